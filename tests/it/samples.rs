//! Transitions and incidents for tests of what shows or sends them.

use floodmark::model::{
    Affected, AlertName, Dimension, Dimensions, IncidentReport, Severity, Timestamp, Transition, TransitionEvent,
};

/// Midday of 2026-03-01.
pub fn noon() -> Timestamp {
    Timestamp::parse_rfc3339("2026-03-01T12:00:00Z").unwrap()
}

/// A critical retry storm of one client version.
pub fn transition(version: &str, event: TransitionEvent) -> Transition {
    Transition {
        at: noon(),
        event,
        alert: AlertName::RetryAmplification,
        severity: Severity::Critical,
        incident: "incident-1".into(),
        since: noon().plus(-60_000),
        labels: Dimensions::new([(Dimension::ClientVersion, version.into())]),
        value: 9.8,
        baseline: 1.05,
        unit: "attempts per request",
        causes: Vec::new(),
        affected: Affected { subscriptions: 41, requests_share: 0.37 },
        summary: "a retry storm".to_owned(),
        runbook: "alerts/runbooks/RetryAmplification.md".into(),
    }
}

/// An incident, open unless `ended_at` is given.
pub fn incident(id: &str, started_at: Timestamp, ended_at: Option<Timestamp>) -> IncidentReport {
    IncidentReport {
        event: "incident",
        incident: id.into(),
        started_at,
        ended_at,
        severity: Severity::Critical,
        alerts: vec![AlertName::RetryAmplification],
        causes: Vec::new(),
        timeline: Vec::new(),
        ruled_out: Vec::new(),
        affected: Affected::default(),
        sample_requests: Vec::new(),
        sample_queries: Vec::new(),
        customers: Vec::new(),
        actions: Vec::new(),
        summary: "a retry storm".to_owned(),
    }
}
