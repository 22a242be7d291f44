//! Alerts as Alertmanager's API v2 takes them (`POST /api/v2/alerts`).
//!
//! Alertmanager holds an alert as firing until `endsAt`, so a firing one is sent again with a later `endsAt` and ends by
//! itself when we are gone. Our times are event times and may lie in the past (a replay, a demo) or, with a producer's
//! wrong clock, ahead: `startsAt` and a resolved alert's `endsAt` are never after the wall clock, else Alertmanager would
//! take a resolved alert for a firing one.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{AlertName, Dimensions, RuleWords, Severity, Timestamp, Transition};

/// How many resend intervals `endsAt` lies ahead: three may be lost before a firing alert ends.
const ENDS_AFTER_RESENDS: i64 = 4;

/// An alert as it is held for Alertmanager, in memory and on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct HeldAlert {
    pub alert: AlertName,
    pub labels: Dimensions,
    /// The one under which Alertmanager knows it.
    pub severity: Severity,
    pub since: Timestamp,
    /// When it resolved (event time).
    pub resolved_at: Option<Timestamp>,
    /// Until when a resolved one is told (wall clock).
    pub told_until: Option<Timestamp>,
    pub annotations: BTreeMap<String, String>,
}

impl HeldAlert {
    /// The same, with what its rule says.
    pub fn told_with(mut self, words: &RuleWords) -> Self {
        for (name, text) in [("rule_summary", &words.summary), ("rule_description", &words.description)] {
            if !text.is_empty() {
                self.annotations.insert(name.to_owned(), text.clone());
            }
        }
        self
    }

    /// The alert of a transition, firing.
    pub fn new(transition: &Transition, severity: Severity) -> Self {
        let annotations = [
            ("summary", transition.summary.clone()),
            ("description", description(transition)),
            ("runbook_url", transition.runbook.to_string()),
            ("incident", transition.incident.to_string()),
        ];
        Self {
            alert: transition.alert,
            labels: transition.labels.clone(),
            severity,
            since: transition.since,
            resolved_at: None,
            told_until: None,
            annotations: annotations.into_iter().map(|(name, text)| (name.to_owned(), text)).collect(),
        }
    }
}

/// An alert on the wire.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireAlert<'a> {
    labels: BTreeMap<&'static str, &'a str>,
    annotations: &'a BTreeMap<String, String>,
    starts_at: Timestamp,
    ends_at: Timestamp,
}

/// The alert as it is now, by the wall clock: firing, or resolved.
pub(super) fn wire_alert(held: &HeldAlert, resend_interval: Duration, now: Timestamp) -> WireAlert<'_> {
    let starts_at = held.since.min(now);
    let resend_ms = i64::try_from(resend_interval.as_millis()).unwrap_or(i64::MAX);
    let ends_at = match held.resolved_at {
        Some(at) => at.min(now).max(starts_at),
        None => now.plus(resend_ms.saturating_mul(ENDS_AFTER_RESENDS)),
    };
    // Identity only: a value in a label would make every change another alert.
    let mut labels: BTreeMap<&'static str, &str> =
        held.labels.0.iter().map(|(dimension, value)| (dimension.as_str(), value.as_str())).collect();
    labels.insert("alertname", held.alert.as_str());
    labels.insert("severity", held.severity.as_str());
    WireAlert { labels, annotations: &held.annotations, starts_at, ends_at }
}

/// The number with its baseline, since when, the first cause, and who feels it.
fn description(transition: &Transition) -> String {
    let Transition { value, baseline, unit, since, affected, .. } = transition;
    let mut text = format!("{} {unit}, normal is {}. Since {since}.", rounded(*value), rounded(*baseline));
    // Writing into a string cannot fail.
    if let Some(cause) = transition.causes.first() {
        let share = cause.share * 100.0;
        let confidence = format!("{:?}", cause.confidence).to_lowercase();
        let _ = write!(
            text,
            " Likely cause ({confidence} confidence): {}, {share:.0} % of the harm: {}.",
            cause.dimensions,
            cause.evidence.trim_end_matches('.')
        );
    }
    let (subscriptions, share) = (affected.subscriptions, affected.requests_share * 100.0);
    let noun = if subscriptions == 1 { "subscription" } else { "subscriptions" };
    let _ = write!(text, " Affects {subscriptions} {noun} and {share:.0} % of requests.");
    text
}

/// Three digits after the point at most, and none that say nothing.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples;

    const RESEND: Duration = Duration::from_secs(60);

    #[test]
    fn the_wire_format_of_a_firing_alert() {
        let transition = samples::transition();
        let now = transition.at.plus(2_000);
        let held = HeldAlert::new(&transition, transition.severity);
        let alert = wire_alert(&held, RESEND, now);
        insta::assert_snapshot!(serde_json::to_string_pretty(&[alert]).unwrap());
    }

    #[test]
    fn a_resolved_alert_never_ends_in_the_future_nor_before_it_started() {
        let transition = samples::transition();
        let wire = |resolved_at, now| {
            let held = HeldAlert { resolved_at: Some(resolved_at), ..HeldAlert::new(&transition, transition.severity) };
            let alert = wire_alert(&held, RESEND, now);
            (alert.starts_at, alert.ends_at)
        };
        let (since, at) = (transition.since, transition.at);
        assert_eq!(wire(at, at.plus(1_000_000)), (since, at), "a replay of the past keeps event time");
        assert_eq!(wire(at.plus(5_000), at), (since, at), "a clock ahead of ours is cut");
        let before = since.plus(-60_000);
        assert_eq!(wire(at, before), (before, before), "event time wholly in the future");
    }
}
