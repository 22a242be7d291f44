//! What a page says, in words: parts with a heading, most important first.

use crate::detect::bytes;
use crate::model::{Cause, Contributor, DurationMs, Page, PageAlert, PageEvent, SampleQuery, SampleRequest};

/// Causes that are put into words; the page as JSON has all.
const CAUSES_SAID_MAX: usize = 3;

/// A heading and its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub heading: &'static str,
    pub lines: Vec<String>,
}

/// Everything that is not a title or a link. Empty parts are left out.
pub(super) fn parts(page: &Page) -> Vec<Part> {
    let state = match page.event {
        PageEvent::Resolved => Part { heading: "Over", lines: end(page) },
        _ => Part { heading: "Impact", lines: vec![page.impact.clone()] },
    };
    let since = format!("{}, {} so far", page.since, lasting(page.at.since(page.since)));
    let since = if page.event == PageEvent::Resolved { page.since.to_string() } else { since };
    let confidence = Some(page.confidence.clone()).filter(|text| !text.is_empty());
    let customers: Vec<&str> = page.customers.iter().map(|customer| customer.subscription.as_str()).collect();
    // A path is no link, but it says where to look.
    let runbook = Some(page.lead.runbook.as_str()).filter(|path| page.links.runbook.is_none() && !path.is_empty());
    let rule = [&page.rule.summary, &page.rule.description];
    let rule: Vec<String> = rule.into_iter().filter(|text| !text.is_empty()).cloned().collect();
    let list = |items: &[&str]| if items.is_empty() { Vec::new() } else { vec![items.join(", ")] };
    let all = [
        state,
        Part { heading: "Taken by", lines: page.acknowledged_by.iter().map(ToString::to_string).collect() },
        Part { heading: "Number", lines: vec![number(&page.lead)] },
        Part { heading: "Since", lines: vec![since] },
        Part { heading: "Rule", lines: rule },
        Part {
            heading: "Likely cause (inferred)",
            lines: page.causes.iter().take(CAUSES_SAID_MAX).map(cause).collect(),
        },
        Part { heading: "Do", lines: page.actions.iter().zip(1..).map(|(text, i)| format!("{i}. {text}")).collect() },
        Part { heading: "Who", lines: contributors(page) },
        Part { heading: "Also", lines: alerts(page) },
        Part {
            heading: "Not it",
            lines: page.ruled_out.iter().map(|refused| format!("{}: {}", refused.candidate, refused.why)).collect(),
        },
        Part { heading: "Customers to contact", lines: list(&customers) },
        Part { heading: "Sample requests", lines: page.sample_requests.iter().map(sample_request).collect() },
        Part { heading: "Sample queries", lines: page.sample_queries.iter().map(sample_query).collect() },
        Part { heading: "Confidence", lines: confidence.into_iter().collect() },
        Part { heading: "Runbook", lines: runbook.into_iter().map(ToOwned::to_owned).collect() },
    ];
    all.into_iter().filter(|part| !part.lines.is_empty()).collect()
}

/// The first thing to read: title, then what it does to users or how it ended.
pub(super) fn headline(page: &Page) -> String {
    let word = match page.event {
        PageEvent::Opened | PageEvent::Updated => "",
        PageEvent::Acknowledged => "Acknowledged: ",
        PageEvent::Resolved => "Resolved: ",
    };
    format!("{word}{}", page.title)
}

/// Links with their names, those that there are.
pub(super) fn links(page: &Page) -> Vec<(&'static str, &str)> {
    let links = &page.links;
    let all = [
        ("Incident", &links.incident),
        ("Dashboard", &links.dashboard),
        ("Query", &links.query),
        ("Runbook", &links.runbook),
    ];
    all.into_iter().filter_map(|(name, url)| Some((name, url.as_deref()?))).collect()
}

/// The number with its baseline.
pub(super) fn number(alert: &PageAlert) -> String {
    let worst = if alert.resolved_at.is_some() { " at worst" } else { "" };
    format!("{} {}{worst}, normal is {}", rounded(alert.value), alert.unit, rounded(alert.baseline))
}

fn end(page: &Page) -> Vec<String> {
    let ended_at = page.resolved_at.unwrap_or(page.at);
    let affected = page.affected;
    let share = percent(affected.requests_share);
    let felt = match (affected.subscriptions, affected.requests_share > 0.0) {
        (0, false) => "No customer is known to have felt it.".to_owned(),
        (0, true) => format!("It concerned {share} of requests."),
        (1, _) => format!("1 subscription with {share} of requests felt it."),
        (customers, _) => format!("{customers} subscriptions with {share} of requests felt it."),
    };
    vec![format!("It lasted {}, until {ended_at}.", lasting(ended_at.since(page.since))), felt]
}

fn sample_request(sample: &SampleRequest) -> String {
    let SampleRequest { request_id, timestamp, subscription, route, status, duration_ms } = sample;
    format!("{request_id}: {subscription} {route}, {status} after {duration_ms:.0} ms at {timestamp}")
}

fn sample_query(sample: &SampleQuery) -> String {
    let SampleQuery { query_id, timestamp, node, user, fingerprint, memory_bytes, duration_ms, .. } = sample;
    let user = user.as_ref().map(|user| format!(" by {user}")).unwrap_or_default();
    let after = duration_ms.map(|ms| format!(" after {ms:.0} ms")).unwrap_or_default();
    #[allow(clippy::cast_precision_loss)] // for reading
    let memory = bytes(*memory_bytes as f64);
    format!("{query_id}: {fingerprint}{user} on {node}, {memory}, {}{after} at {timestamp}", sample.outcome())
}

fn cause(cause: &Cause) -> String {
    let confidence = format!("{:?}", cause.confidence).to_lowercase();
    let (dimensions, share, evidence) = (&cause.dimensions, percent(cause.share), cause.evidence.trim_end_matches('.'));
    format!("{dimensions}: {share} of the harm, {confidence} confidence: {evidence}")
}

fn contributors(page: &Page) -> Vec<String> {
    let one = |who: &Contributor| format!("{} {}", who.dimensions, percent(who.share));
    let mut lines: Vec<String> = page.contributors.iter().map(one).collect();
    if page.contributors_more > 0 {
        lines.push(format!("{} others", page.contributors_more));
    }
    lines
}

fn alerts(page: &Page) -> Vec<String> {
    let one = |alert: &PageAlert| {
        let severity = alert.severity.as_str();
        let over = if alert.resolved_at.is_some() { ", over" } else { "" };
        format!("{} ({severity}{over}): {}", alert.alert, alert.summary)
    };
    let mut lines: Vec<String> = page.alerts.iter().map(one).collect();
    if page.alerts_more > 0 {
        lines.push(format!("{} further alerts", page.alerts_more));
    }
    lines
}

/// `1 d 2 h`, `25 min`, `40 s`: the two largest units.
fn lasting(duration: DurationMs) -> String {
    let seconds = duration.max(0) / 1_000;
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let first = units.iter().position(|(size, _)| seconds >= *size).unwrap_or(units.len() - 1);
    let mut left = seconds;
    let mut words = Vec::new();
    for (size, unit) in units.iter().skip(first).take(2) {
        if left / size > 0 || words.is_empty() {
            words.push(format!("{} {unit}", left / size));
        }
        left %= size;
    }
    words.join(" ")
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Three digits after the point at most, and none that say nothing.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// At most `chars_max` characters; an ellipsis stands for the rest.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::notify::sample;
    use crate::model::QueryState;

    fn shown(page: &Page) -> String {
        let part = |part: Part| format!("{}\n  {}\n", part.heading, part.lines.join("\n  "));
        headline(page) + "\n" + &parts(page).into_iter().map(part).collect::<String>()
    }

    #[test]
    fn an_open_page_says_who_since_when_why_and_what_to_do() {
        insta::assert_snapshot!(shown(&sample::page()));
    }

    #[test]
    fn a_resolved_page_says_duration_peak_and_total_affected() {
        insta::assert_snapshot!(shown(&sample::resolved_page()));
    }

    #[test]
    fn who_felt_it_is_said_of_nobody_of_one_and_of_many() {
        let said = |subscriptions, requests_share| {
            let affected = crate::model::Affected { subscriptions, requests_share };
            end(&Page { affected, ..sample::resolved_page() })[1].clone()
        };
        assert_eq!(said(0, 0.0), "No customer is known to have felt it.");
        assert_eq!(said(0, 0.4), "It concerned 40 % of requests.");
        assert_eq!(said(1, 0.4), "1 subscription with 40 % of requests felt it.");
        assert_eq!(said(2, 0.4), "2 subscriptions with 40 % of requests felt it.");
    }

    #[test]
    fn a_query_is_said_with_what_looks_it_up_and_how_it_ended() {
        let run = SampleQuery {
            query_id: "2f9c-11".into(),
            timestamp: sample::SINCE.plus(61_512),
            node: "ch-1".into(),
            user: Some("dashboards".into()),
            fingerprint: "q2f6c84d91e30b7aa".into(),
            state: Some(QueryState::Running),
            memory_bytes: 9 << 29,
            duration_ms: Some(41_200.0),
            exception_code: None,
        };
        let said = sample_query(&run);
        assert_eq!(
            said,
            "2f9c-11: q2f6c84d91e30b7aa by dashboards on ch-1, 4.5 GiB, running after 41200 ms at 2026-03-01T10:11:01.512Z"
        );
        let failed = SampleQuery { state: Some(QueryState::Failed), exception_code: Some(241), ..run.clone() };
        assert!(sample_query(&failed).contains(", failed (241) after "), "{}", sample_query(&failed));
        let killed = SampleQuery { state: Some(QueryState::Killed), exception_code: Some(394), ..run.clone() };
        assert!(sample_query(&killed).contains(", killed (394) after "), "{}", sample_query(&killed));
        let bare = SampleQuery { user: None, state: None, duration_ms: None, ..run };
        assert!(sample_query(&bare).ends_with("7aa on ch-1, 4.5 GiB, finished at 2026-03-01T10:11:01.512Z"));
        let page = Page { sample_queries: vec![bare], ..sample::page() };
        assert!(parts(&page).iter().any(|part| part.heading == "Sample queries" && part.lines.len() == 1));
    }

    #[test]
    fn a_runbook_is_a_link_or_a_text_and_never_both() {
        let mut page = sample::page();
        let is_text = |page: &Page| parts(page).iter().any(|part| part.heading == "Runbook");
        assert!(!is_text(&page) && links(&page).iter().any(|(name, _)| *name == "Runbook"));
        page.links.runbook = None;
        page.lead.runbook = "alerts/runbooks/x.md".into();
        assert_eq!(parts(&page).last().unwrap().lines, ["alerts/runbooks/x.md"]);
        assert!(!links(&page).iter().any(|(name, _)| *name == "Runbook"));
    }

    #[test]
    fn durations_have_two_units_at_most_and_texts_end_on_a_character() {
        let words: Vec<String> = [0, 40_000, 90_000, 3_600_000, 93_600_000].into_iter().map(lasting).collect();
        assert_eq!(words, ["0 s", "40 s", "1 min 30 s", "1 h", "1 d 2 h"]);
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }
}
