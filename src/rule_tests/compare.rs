//! What a case expected beside what came.

use serde::Serialize;

use super::file::{Expected, RuleKey};
use super::generate::START;
use crate::config::Span;
use crate::model::{AlertName, Dimensions, Severity, Timestamp, Transition, TransitionEvent};

/// A transition that came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Event time since the start, in milliseconds.
    pub at_ms: i64,
    /// What happened.
    pub event: TransitionEvent,
    /// Alert name.
    pub alert: AlertName,
    /// Severity.
    pub severity: Severity,
    /// About what.
    pub labels: Dimensions,
}

impl Seen {
    /// A transition of a log that began at `start`.
    pub(super) fn of(transition: &Transition, start: Timestamp) -> Self {
        Self {
            at_ms: transition.at.since(start),
            event: transition.event,
            alert: transition.alert,
            severity: transition.severity,
            labels: transition.labels.clone(),
        }
    }

    /// As a line of `expect:`.
    #[must_use]
    pub fn line(&self, rule: &RuleKey) -> String {
        let at = Span::from_millis(self.at_ms.unsigned_abs());
        let labels: Vec<String> =
            self.labels.0.iter().map(|(name, value)| format!("{}: \"{value}\"", name.as_str())).collect();
        line(at, self.event, (self.alert, self.severity), rule, &labels)
    }
}

fn line(
    at: Span,
    event: TransitionEvent,
    (alert, severity): (AlertName, Severity),
    rule: &RuleKey,
    labels: &[String],
) -> String {
    let at = humantime::format_duration(at.0).to_string().replace(' ', "");
    let mut text = format!("{{ at: {at}, event: {}", event.as_str());
    if alert != rule.alert {
        text.push_str(&format!(", alert: {alert}"));
    }
    if severity != rule.severity {
        text.push_str(&format!(", severity: {}", severity.as_str()));
    }
    if !labels.is_empty() {
        text.push_str(&format!(", labels: {{ {} }}", labels.join(", ")));
    }
    text.push_str(" }");
    text
}

/// One line of a diff: `-` was expected and did not come, `+` came and was not expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Whether it was expected.
    pub expected: bool,
    /// The line, as in `expect:`.
    pub line: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", if self.expected { '-' } else { '+' }, self.line)
    }
}

/// Holds what came against what was expected. Each expectation takes the first that fits and is not taken.
pub(super) fn compare(rule: &RuleKey, expected: &[Expected], seen: &[Seen]) -> Vec<Difference> {
    let pending_counts = expected.iter().any(|expected| expected.event == TransitionEvent::Pending);
    let mut left: Vec<&Seen> =
        seen.iter().filter(|seen| pending_counts || seen.event != TransitionEvent::Pending).collect();
    let mut differences = Vec::new();
    for expected in expected {
        match left.iter().position(|seen| fits(rule, expected, seen)) {
            Some(place) => {
                left.remove(place);
            }
            None => differences.push(Difference { expected: true, line: expected_line(rule, expected) }),
        }
    }
    differences.extend(left.iter().map(|seen| Difference { expected: false, line: seen.line(rule) }));
    differences
}

fn expected_line(rule: &RuleKey, expected: &Expected) -> String {
    let labels: Vec<String> =
        expected.labels.iter().map(|(name, value)| format!("{}: \"{value}\"", name.as_str())).collect();
    let identity = (expected.alert.unwrap_or(rule.alert), expected.severity.unwrap_or(rule.severity));
    line(expected.at, expected.event, identity, rule, &labels)
}

fn fits(rule: &RuleKey, expected: &Expected, seen: &Seen) -> bool {
    let off_ms = (seen.at_ms - expected.at.as_millis()).abs();
    seen.event == expected.event
        && seen.alert == expected.alert.unwrap_or(rule.alert)
        && seen.severity == expected.severity.unwrap_or(rule.severity)
        && off_ms <= expected.within.as_millis()
        && expected.labels.iter().all(|(name, value)| seen.labels.get(*name) == Some(value.as_str()))
}

/// When a case without a scenario begins.
pub(super) const fn start() -> Timestamp {
    START
}
