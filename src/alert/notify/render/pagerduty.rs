//! A page as an event of PagerDuty's Events API v2.

use std::collections::BTreeMap;

use serde::Serialize;

use super::text::{cut, headline, links, parts};
use crate::model::{Dimension, Page, PageEvent, Severity, Timestamp};

/// Longest `dedup_key`, in characters.
const DEDUP_KEY_CHARS_MAX: usize = 255;
/// Longest summary, in characters.
const SUMMARY_CHARS_MAX: usize = 1_024;
/// Longest text of one detail, in characters: with fourteen of them the event stays far below 512 KB.
const DETAIL_CHARS_MAX: usize = 4_000;

/// The event.
#[derive(Debug, Serialize)]
pub(super) struct Event<'a> {
    routing_key: &'a str,
    event_action: &'static str,
    dedup_key: String,
    client: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_url: Option<&'a str>,
    payload: Payload<'a>,
    links: Vec<Link<'a>>,
}

#[derive(Debug, Serialize)]
struct Payload<'a> {
    summary: String,
    source: &'a str,
    severity: &'static str,
    timestamp: Timestamp,
    component: &'a str,
    class: &'static str,
    custom_details: BTreeMap<&'static str, String>,
}

#[derive(Debug, Serialize)]
struct Link<'a> {
    href: &'a str,
    text: &'static str,
}

/// An update is a further `trigger`: PagerDuty adds it to the alert of the same key, and wakes nobody again.
pub(super) fn body<'a>(page: &'a Page, routing_key: &'a str) -> Event<'a> {
    let event_action = match page.event {
        PageEvent::Opened | PageEvent::Updated => "trigger",
        PageEvent::Acknowledged => "acknowledge",
        PageEvent::Resolved => "resolve",
    };
    let severity = match page.severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Info => "info",
    };
    let detail = |lines: &[String]| cut(&lines.join("\n"), DETAIL_CHARS_MAX);
    Event {
        routing_key,
        event_action,
        dedup_key: cut(&page.dedup_key, DEDUP_KEY_CHARS_MAX),
        client: "Floodmark",
        client_url: page.links.incident.as_deref(),
        payload: Payload {
            summary: summary(page),
            source: subject(page),
            severity,
            timestamp: page.since,
            component: subject(page),
            class: page.lead.alert.as_str(),
            custom_details: parts(page).iter().map(|part| (part.heading, detail(&part.lines))).collect(),
        },
        links: links(page).into_iter().map(|(text, href)| Link { href, text }).collect(),
    }
}

fn summary(page: &Page) -> String {
    let impact = if page.impact.is_empty() { String::new() } else { format!(": {}", page.impact) };
    cut(&format!("{}{impact}", headline(page)), SUMMARY_CHARS_MAX)
}

/// What the page is about, in one name.
fn subject(page: &Page) -> &str {
    let labels = &page.lead.labels;
    let first = [Dimension::Service, Dimension::Source, Dimension::Node, Dimension::Client, Dimension::Subscription];
    first.into_iter().find_map(|dimension| labels.get(dimension)).unwrap_or("platform")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::notify::sample;

    #[test]
    fn a_trigger() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&body(&sample::page(), "KEY")).unwrap());
    }

    #[test]
    fn the_action_follows_the_event() {
        let action = |event| body(&Page { event, ..sample::page() }, "KEY").event_action;
        let events = [PageEvent::Opened, PageEvent::Updated, PageEvent::Acknowledged, PageEvent::Resolved];
        assert_eq!(events.map(action), ["trigger", "trigger", "acknowledge", "resolve"]);
    }

    #[test]
    fn at_the_limits_texts_are_cut_to_a_character() {
        let mut page = Page { dedup_key: "ä".repeat(300).into(), impact: "ö".repeat(3_000), ..sample::page() };
        page.actions = vec!["ü".repeat(9_000)];
        let event = body(&page, "KEY");
        assert_eq!(event.dedup_key.chars().count(), DEDUP_KEY_CHARS_MAX);
        assert_eq!(event.payload.summary.chars().count(), SUMMARY_CHARS_MAX);
        assert_eq!(event.payload.custom_details["Do"].chars().count(), DETAIL_CHARS_MAX);
        let exact = Page { impact: String::new(), title: "t".repeat(SUMMARY_CHARS_MAX), ..page };
        assert_eq!(body(&exact, "KEY").payload.summary, exact.title, "what fits is not cut");
    }
}
