//! Rows of `alert_transitions` and `incidents`.

use serde::Serialize;

use crate::model::{IncidentReport, Timestamp, Transition};
use crate::store::native_format::{Block, NumberColumn, StringColumn};

/// The rows of `transitions`.
pub(in crate::store) fn transitions(transitions: &[Transition]) -> Block {
    let rows = transitions.len();
    let text = |value: fn(&Transition) -> &str| strings(transitions, |transition| value(transition).to_owned());
    Block::new(rows)
        .column("at", numbers(transitions, |t| t.at))
        .column("event", text(|t| t.event.as_str()))
        .column("alert", text(|t| t.alert.as_str()))
        .column("severity", text(|t| t.severity.as_str()))
        .column("incident", text(|t| &t.incident))
        .column("since", numbers(transitions, |t| t.since))
        .column("labels", strings(transitions, |t| json(&t.labels)))
        .column("value", numbers(transitions, |t| t.value))
        .column("baseline", numbers(transitions, |t| t.baseline))
        .column("unit", text(|t| t.unit))
        .column("causes", strings(transitions, |t| json(&t.causes)))
        .column("affected_subscriptions", numbers(transitions, |t| t.affected.subscriptions))
        .column("affected_requests_share", numbers(transitions, |t| t.affected.requests_share))
        .column("summary", text(|t| &t.summary))
        .column("runbook", text(|t| &t.runbook))
}

/// The rows of `incidents`.
pub(in crate::store) fn incidents(incidents: &[IncidentReport]) -> Block {
    Block::new(incidents.len())
        .column("incident", strings(incidents, |i| i.incident.to_string()))
        .column("started_at", numbers(incidents, |i| i.started_at))
        // The epoch stands for "still open".
        .column("ended_at", numbers(incidents, |i| i.ended_at.unwrap_or(Timestamp::from_millis(0))))
        .column("severity", strings(incidents, |i| i.severity.as_str().to_owned()))
        .column("alerts", strings(incidents, |i| json(&i.alerts)))
        .column("causes", strings(incidents, |i| json(&i.causes)))
        .column("ruled_out", strings(incidents, |i| json(&i.ruled_out)))
        .column("customers", strings(incidents, |i| json(&i.customers)))
        .column("actions", strings(incidents, |i| json(&i.actions)))
        .column("timeline", strings(incidents, |i| json(&i.timeline)))
        .column("affected_subscriptions", numbers(incidents, |i| i.affected.subscriptions))
        .column("affected_requests_share", numbers(incidents, |i| i.affected.requests_share))
        .column("summary", strings(incidents, |i| i.summary.clone()))
}

pub(super) fn strings<R>(rows: &[R], value: impl Fn(&R) -> String) -> StringColumn {
    let mut column = StringColumn::default();
    rows.iter().for_each(|row| column.push(value(row)));
    column
}

pub(super) fn numbers<R, N: crate::store::native_format::Number>(
    rows: &[R],
    value: impl Fn(&R) -> N,
) -> NumberColumn<N> {
    let mut column = NumberColumn::with_capacity(rows.len());
    rows.iter().for_each(|row| column.push(value(row)));
    column
}

/// Plain data with text keys: serialising it cannot fail.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
