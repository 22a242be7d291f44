//! The words of a page: title, impact, how sure.

use super::page_state::{PageState, Phase};
use crate::detect::{count, duration, percent};
use crate::model::{AlertName, Cause, Confidence, Dimension, Dimensions, PageAlert, Severity, TITLE_CHARS_MAX};

/// `[CRITICAL] subject: symptom`, cut at [`TITLE_CHARS_MAX`] characters.
pub(super) fn title(page: &PageState, lead: &PageAlert) -> String {
    let severity = match page.severity {
        Severity::Critical => "CRITICAL",
        Severity::Warning => "WARNING",
        Severity::Info => "INFO",
    };
    let text = if page.is_storm() {
        let others = page.alerts.iter().any(|known| known.alert.alert != lead.alert);
        let more = if others { " and others" } else { "" };
        format!("[{severity}] {} at once: {}{more}", count(page.members as usize, "alert"), lead.alert)
    } else {
        format!("[{severity}] {}: {}", subject(&lead.labels), symptom(lead.alert))
    };
    cut(text)
}

fn cut(text: String) -> String {
    if text.chars().count() <= TITLE_CHARS_MAX {
        return text;
    }
    let kept: String = text.chars().take(TITLE_CHARS_MAX - 1).collect();
    format!("{}…", kept.trim_end())
}

/// Who or what it is about, as people name it.
fn subject(labels: &Dimensions) -> String {
    let label = |dimension| labels.get(dimension);
    match (label(Dimension::Client), label(Dimension::ClientVersion)) {
        (Some(client), Some(version)) => return format!("{client} {version}"),
        (None, Some(version)) => return format!("client version {version}"),
        (Some(client), None) => return client.to_owned(),
        (None, None) => {}
    }
    if let (Some(caller), Some(service)) = (label(Dimension::Caller), label(Dimension::Service)) {
        return format!("{caller} → {service}");
    }
    if let Some(subscription) = label(Dimension::Subscription) {
        return format!("subscription {subscription}");
    }
    if let Some(fingerprint) = label(Dimension::Fingerprint) {
        return format!("query {}", label(Dimension::Origin).unwrap_or(fingerprint));
    }
    if let (Some(service), Some(route)) = (label(Dimension::Service), label(Dimension::Route)) {
        return format!("{service} {route}");
    }
    let values: Vec<&str> = labels.0.values().map(crate::model::Text::as_str).collect();
    if values.is_empty() { "all traffic".to_owned() } else { values.join(" ") }
}

fn symptom(alert: AlertName) -> &'static str {
    match alert {
        AlertName::Custom(_) => "a rule of yours holds",
        AlertName::RetryAmplification => "repeats failed requests",
        AlertName::RateLimitExceeded => "above its request limit",
        AlertName::ErrorBudgetBurn => "too many requests fail",
        AlertName::MemoryExhaustion => "memory runs out",
        AlertName::RestartLoop => "restarts again and again",
        AlertName::RequestAmplification => "makes too many calls",
        AlertName::FeedbackLoop => "load kept up by its own failures",
        AlertName::TrafficSurge => "unexplained traffic",
        AlertName::LatencyRegression => "slower than usual",
        AlertName::PoolLeak => "pool loses members",
        AlertName::PoolExhaustion => "pool is empty",
        AlertName::Saturation => "at its ceiling",
        AlertName::CacheCollapse => "cache stopped answering",
        AlertName::QueryBlowup => "takes abnormal memory",
        AlertName::QueryRegression => "became heavier",
        AlertName::DataDelayed => "data comes late",
    }
}

/// What it does to users, in plain words; what the pager did is said first.
pub(super) fn impact(page: &PageState) -> String {
    let mut sentences = Vec::new();
    if let (Phase::Resolved, Some(ended_at)) = (page.phase, page.resolved_at) {
        let note = page.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        sentences.push(format!("Over after {}{note}.", duration(ended_at.since(page.since))));
    }
    if page.is_flapping
        && let Some(first) = page.openings.first()
    {
        sentences.push(format!("Flapping: {} times since {first}.", page.openings.len()));
    }
    if page.is_storm() {
        let incidents = page.incidents.len();
        sentences.push(format!("{} of {}.", count(page.members as usize, "alert"), count(incidents, "incident")));
    }
    let affected = page.facts.affected;
    let share = percent(affected.requests_share);
    sentences.push(match (affected.subscriptions, affected.requests_share > 0.0) {
        (0, false) => "No customer is known to feel it.".to_owned(),
        (0, true) => format!("It concerns {share} of all requests."),
        (subscriptions, false) => format!("{} feel it.", count(subscriptions as usize, "subscription")),
        (subscriptions, true) => {
            format!("{} feel it, in {share} of all requests.", count(subscriptions as usize, "subscription"))
        }
    });
    sentences.join(" ")
}

/// How sure the first cause is, and of what.
pub(super) fn confidence(causes: &[Cause]) -> String {
    let Some(cause) = causes.first().filter(|cause| !cause.dimensions.is_empty()) else {
        return "no cause is named".to_owned();
    };
    let how = match cause.confidence {
        Confidence::Low => "low: a coincidence in time, little more",
        Confidence::Medium => "medium: evidence, with another explanation left open",
        Confidence::High => "high: direct evidence, others refused",
    };
    format!("{} is behind it; {how}", cause.dimensions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::paging::page_state::{Fired, PageKind};
    use crate::model::Text;
    use crate::model::samples;

    fn title_of(version: &str) -> String {
        let fired = Fired::of(&samples::transition_of(version));
        title(&PageState::new("key".into(), PageKind::Incident, &fired), &fired.alert)
    }

    #[test]
    fn a_title_names_who_and_what_and_ends_on_a_character() {
        assert_eq!(title_of("4.0.0"), "[CRITICAL] kameleo-cli 4.0.0: repeats failed requests");
        let long = title_of(&"é".repeat(200));
        assert_eq!(long.chars().count(), TITLE_CHARS_MAX);
        assert!(long.ends_with("é…"), "{long}");
    }

    #[test]
    fn subjects_read_as_people_name_them() {
        let of = |pairs: &[(Dimension, &str)]| {
            subject(&Dimensions::new(pairs.iter().map(|(dimension, value)| (*dimension, Text::from(*value)))))
        };
        assert_eq!(of(&[(Dimension::Caller, "web"), (Dimension::Service, "profiles")]), "web → profiles");
        assert_eq!(of(&[(Dimension::Subscription, "s1"), (Dimension::Limit, "start")]), "subscription s1");
        assert_eq!(of(&[(Dimension::Fingerprint, "ab12"), (Dimension::Origin, "reports")]), "query reports");
        assert_eq!(of(&[(Dimension::Source, "redis/main")]), "redis/main");
        assert_eq!(of(&[]), "all traffic");
    }
}
