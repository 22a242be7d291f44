//! Incidents as they are stored: reports, what alerts said, and the requests around them from the minute rollup.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::named_queries::Value;
use super::{ClickHouse, StoreError};
use crate::model::{ALERTS_BETWEEN, Affected, Dimension, INCIDENTS_BETWEEN, Severity, Timestamp};
use crate::postmortem::{
    AlertRecord, CUSTOMERS_HELD_MAX, CustomerTraffic, History, IncidentRecord, Role, Selection, Span, TrafficPoint,
    filled_points,
};

const TRAFFIC: &str = include_str!("../../queries/incidents/traffic.sql");
const CUSTOMERS: &str = include_str!("../../queries/incidents/customers.sql");

/// What one incident's alerts said at most: a flapping one says the same again and again.
const ALERTS_MAX: u32 = 5_000;

/// A row of `incidents`. Its lists are JSON.
#[derive(Deserialize)]
struct ReportRow {
    incident: String,
    started_at: String,
    ended_at: Option<String>,
    severity: Severity,
    alerts: String,
    causes: String,
    ruled_out: String,
    customers: String,
    actions: String,
    timeline: String,
    affected_subscriptions: u64,
    affected_requests_share: f64,
    summary: String,
}

/// Reports of incidents that went on between two moments, newest first; with an identity only that one.
///
/// # Errors
/// See [`StoreError`].
pub async fn incident_records(
    clickhouse: &ClickHouse,
    (from, until): (Timestamp, Timestamp),
    incident: &str,
    limit: u32,
) -> Result<Vec<IncidentRecord>, StoreError> {
    let values = values(from, until, incident, limit);
    let rows: Vec<ReportRow> = clickhouse.ask(&INCIDENTS_BETWEEN, values).await?;
    rows.into_iter().map(record).collect()
}

fn record(row: ReportRow) -> Result<IncidentRecord, StoreError> {
    let started_at = moment(&row.started_at)?;
    let ended_at = row.ended_at.as_deref().map(moment).transpose()?;
    Ok(IncidentRecord {
        incident: row.incident,
        started_at,
        ended_at,
        severity: row.severity,
        alerts: json(&row.alerts)?,
        causes: json(&row.causes)?,
        ruled_out: json(&row.ruled_out)?,
        affected: Affected { subscriptions: row.affected_subscriptions, requests_share: row.affected_requests_share },
        customers: json(&row.customers)?,
        actions: json(&row.actions)?,
        timeline: json(&row.timeline)?,
        summary: row.summary,
    })
}

#[derive(Deserialize)]
struct AlertRow {
    at: String,
    event: String,
    alert: String,
    severity: Severity,
    incident: String,
    since: String,
    labels: String,
    value: f64,
    baseline: f64,
    unit: String,
    summary: String,
}

/// What the alerts of an incident said within a stretch of time, in order.
///
/// # Errors
/// See [`StoreError`].
pub async fn incident_alerts(
    clickhouse: &ClickHouse,
    incident: &str,
    (from, until): (Timestamp, Timestamp),
) -> Result<Vec<AlertRecord>, StoreError> {
    let mut values = values(from, until, incident, ALERTS_MAX);
    values.push(("alert", Value::Text(String::new())));
    let mut rows: Vec<AlertRow> = clickhouse.ask(&ALERTS_BETWEEN, values).await?;
    // The newest come first.
    rows.reverse();
    let alert = |row: AlertRow| {
        Ok(AlertRecord {
            at: moment(&row.at)?,
            event: row.event,
            alert: row.alert,
            severity: row.severity,
            incident: row.incident,
            since: moment(&row.since)?,
            labels: json(&row.labels)?,
            value: row.value,
            baseline: row.baseline,
            unit: row.unit,
            summary: row.summary,
        })
    };
    rows.into_iter().map(alert).collect()
}

#[derive(Deserialize)]
struct CustomerRow {
    subscription: String,
    client: String,
    client_version: String,
    is_cause: u8,
    requests: u64,
    failures: u64,
    resends: u64,
    since: String,
    until: String,
}

/// Requests around an incident, from the minute rollup.
///
/// # Errors
/// See [`StoreError`].
pub async fn incident_history(
    clickhouse: &ClickHouse,
    span: Span,
    selection: &Selection,
) -> Result<History, StoreError> {
    let [from, until, began, ended] = [span.from, span.until, span.began, span.ended].map(Timestamp::to_clickhouse);
    let (bucket_s, internal) = ((span.bucket_ms / 1_000).to_string(), u8::from(selection.internal).to_string());
    let of_cause = [
        ("subscription", selection.value(Dimension::Subscription)),
        ("client", selection.value(Dimension::Client)),
        ("client_version", selection.value(Dimension::ClientVersion)),
        ("service", selection.value(Dimension::Service)),
        ("caller", selection.value(Dimension::Caller)),
        ("route", selection.value(Dimension::Route)),
        ("internal", &internal),
        ("began", &began),
        ("ended", &ended),
    ];
    let stretch = [("from", from.as_str()), ("until", &until), ("bucket_s", &bucket_s)];
    let points: Vec<TrafficPoint> = clickhouse.fetch(TRAFFIC, &[&of_cause[..], &stretch].concat()).await?;
    let limit = (CUSTOMERS_HELD_MAX + 1).to_string();
    let limit = [("limit", limit.as_str())];
    let mut rows: Vec<CustomerRow> = clickhouse.fetch(CUSTOMERS, &[&of_cause[..], &limit].concat()).await?;
    let further_customers = rows.len() > CUSTOMERS_HELD_MAX;
    rows.truncate(CUSTOMERS_HELD_MAX);
    let customers: Result<Vec<CustomerTraffic>, StoreError> = rows.into_iter().map(customer).collect();
    Ok(History {
        source: "the table requests_by_minute".to_owned(),
        points: filled_points(span, points),
        customers: customers?,
        further_customers,
    })
}

fn customer(row: CustomerRow) -> Result<CustomerTraffic, StoreError> {
    Ok(CustomerTraffic {
        subscription: row.subscription,
        client: row.client,
        client_version: row.client_version,
        role: if row.is_cause == 1 { Role::Cause } else { Role::Affected },
        requests: row.requests,
        failures: row.failures,
        resends: row.resends,
        since: moment(&row.since)?,
        until: moment(&row.until)?,
    })
}

fn values(from: Timestamp, until: Timestamp, incident: &str, limit: u32) -> Vec<(&'static str, Value)> {
    vec![
        ("from", Value::Moment(from.to_clickhouse())),
        ("until", Value::Moment(until.to_clickhouse())),
        ("incident", Value::Text(incident.to_owned())),
        ("limit", Value::Count(limit)),
    ]
}

/// A list as JSON; an empty text is an empty one: rows of older versions lack some.
fn json<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    let text = if text.is_empty() { "[]" } else { text };
    serde_json::from_str(text).map_err(|error| StoreError::Protocol(format!("a stored incident: {error}")))
}

/// As ClickHouse writes a moment in UTC.
fn moment(text: &str) -> Result<Timestamp, StoreError> {
    let wrong = |_| StoreError::Protocol(format!("{text} is not a time"));
    Timestamp::parse_rfc3339(&format!("{}Z", text.replace(' ', "T"))).map_err(wrong)
}
