//! One transition and one incident for tests of what is made of them.

use super::{
    Affected, AlertName, Cause, Confidence, Dimension, Dimensions, IncidentReport, RuledOut, Severity, Timestamp,
    Transition, TransitionEvent,
};

/// 2026-03-01T10:15:00Z.
pub const START: Timestamp = Timestamp::from_millis(1_772_360_100_000);
const INCIDENT: &str = "20260301T101000Z-retry-amplification-3f9c";

/// Labels of an alert about one client version.
pub fn labels_of(version: &str) -> Dimensions {
    Dimensions::new([(Dimension::Client, "kameleo-cli".into()), (Dimension::ClientVersion, version.into())])
}

fn cause() -> Cause {
    Cause {
        dimensions: Dimensions::new([(Dimension::ClientVersion, "4.0.0".into())]),
        share: 0.93,
        confidence: Confidence::High,
        evidence: "9.8 attempts per request against 1.02 of every other version".to_owned(),
    }
}

/// A firing alert about one client version, at [`START`].
pub fn transition_of(version: &str) -> Transition {
    Transition {
        at: START,
        event: TransitionEvent::Firing,
        alert: AlertName::RetryAmplification,
        severity: Severity::Critical,
        incident: INCIDENT.into(),
        since: START.plus(-300_000),
        labels: labels_of(version),
        value: 9.8,
        baseline: 1.05,
        unit: "attempts per request",
        causes: vec![cause()],
        affected: Affected { subscriptions: 41, requests_share: 0.37 },
        summary: "kameleo-cli 4.0.0 repeats failed requests".to_owned(),
        runbook: "alerts/runbooks/RetryAmplification.md".into(),
    }
}

/// The usual one.
pub fn transition() -> Transition {
    transition_of("4.0.0")
}

/// An open incident.
pub fn incident() -> IncidentReport {
    IncidentReport {
        event: "incident",
        incident: INCIDENT.into(),
        started_at: START.plus(-300_000),
        ended_at: None,
        severity: Severity::Critical,
        alerts: vec![AlertName::RetryAmplification],
        causes: vec![cause()],
        timeline: Vec::new(),
        ruled_out: vec![RuledOut { candidate: "agent's memory".to_owned(), why: "grew before".to_owned() }],
        affected: Affected { subscriptions: 41, requests_share: 0.37 },
        customers: Vec::new(),
        sample_requests: Vec::new(),
        sample_queries: Vec::new(),
        actions: Vec::new(),
        summary: "a retry storm".to_owned(),
    }
}
