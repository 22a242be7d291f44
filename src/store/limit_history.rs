//! What a limit that is tried on the past reads: requests one by one, or counts by minute, and incidents.

use std::time::Duration;

use clickhouse::query::RowCursor;
use clickhouse::{Row, RowOwned, RowRead};
use serde::Deserialize;

use super::history::HourExtent;
use super::{ClickHouse, StoreError};
use crate::limits::{Described, MinuteCell, PastIncident, culprits};
use crate::model::{Cause, Request, Severity, Text, Timestamp};

const EXTENT: &str = include_str!("../../queries/limits/extent.sql");
const REQUESTS: &str = include_str!("../../queries/limits/requests.sql");
const MINUTES: &str = include_str!("../../queries/limits/minutes.sql");
const INCIDENTS: &str = include_str!("../../queries/limits/incidents.sql");

/// From when to before when.
pub type TimeSpan = (Timestamp, Timestamp);

/// A request, with what a limit counts by.
#[derive(Debug, Row, Deserialize)]
pub struct RequestRow {
    timestamp_ms: i64,
    subscription: Text,
    client: Text,
    client_version: Text,
    service: Text,
    route: Text,
    status: u16,
    attempt: u32,
}

impl RequestRow {
    /// The request, as far as it was read.
    #[must_use]
    pub fn into_request(self) -> Request {
        let text = |text: Text| (!text.is_empty()).then_some(text);
        Request {
            timestamp: Timestamp::from_millis(self.timestamp_ms),
            subscription: self.subscription,
            client: text(self.client),
            client_version: text(self.client_version),
            service: text(self.service),
            route: self.route,
            status: self.status,
            attempt: (self.attempt > 0).then_some(self.attempt),
            ..Request::default()
        }
    }
}

/// Requests of a minute that are described alike.
#[derive(Debug, Row, Deserialize)]
pub struct MinuteRow {
    minute_ms: i64,
    subscription: Text,
    by_client: Text,
    by_client_version: Text,
    by_service: Text,
    by_route: Text,
    requests_sum: u64,
    resends_sum: u64,
}

impl MinuteRow {
    /// The same, for a limiter.
    #[must_use]
    pub fn cell(&self) -> MinuteCell<'_> {
        MinuteCell {
            described: Described {
                at: Timestamp::from_millis(self.minute_ms),
                subscription: &self.subscription,
                client: &self.by_client,
                client_version: &self.by_client_version,
                service: &self.by_service,
                caller: "",
                route: &self.by_route,
            },
            requests: self.requests_sum,
            repeats: self.resends_sum,
        }
    }
}

/// Rows as they come; one is held.
pub struct Rows<R> {
    cursor: RowCursor<R>,
    timeout: Duration,
}

impl<R: RowOwned + RowRead> Rows<R>
where
    for<'a> R: Row<Value<'a> = R>,
{
    fn open(clickhouse: &ClickHouse, sql: &str, parameters: &[(&str, i64)]) -> Result<Self, StoreError> {
        let (cursor, timeout) = clickhouse.rows::<R>(sql, parameters)?;
        Ok(Self { cursor, timeout })
    }

    /// The next row.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn next(&mut self) -> Result<Option<R>, StoreError> {
        let row = tokio::time::timeout(self.timeout, self.cursor.next()).await;
        let row = row.map_err(|_| StoreError::TimedOut(self.timeout))?;
        row.map_err(|error| StoreError::from_client(error, self.timeout))
    }
}

/// Requests at the edge, in the order of time. The server sorts the span: keep it short where there is much.
///
/// # Errors
/// See [`StoreError`].
pub fn requests(clickhouse: &ClickHouse, (from, until): TimeSpan) -> Result<Rows<RequestRow>, StoreError> {
    Rows::open(clickhouse, REQUESTS, &[("from", from.as_millis()), ("until", until.as_millis())])
}

/// Counts by minute at the edge, in the order of time; `described` by more than subscription and route.
///
/// # Errors
/// See [`StoreError`].
pub fn minutes(
    clickhouse: &ClickHouse,
    (from, until): TimeSpan,
    described: bool,
) -> Result<Rows<MinuteRow>, StoreError> {
    let parameters = [("from", from.as_millis()), ("until", until.as_millis()), ("described", i64::from(described))];
    Rows::open(clickhouse, MINUTES, &parameters)
}

/// Rows by hour, oldest first; `source` is `requests` or `minutes`.
///
/// # Errors
/// See [`StoreError`].
pub async fn extent(clickhouse: &ClickHouse, span: TimeSpan) -> Result<Vec<HourExtent>, StoreError> {
    let (from, until) = (span.0.as_millis().to_string(), span.1.as_millis().to_string());
    clickhouse.fetch(EXTENT, &[("from", &from), ("until", &until)]).await
}

#[derive(Deserialize)]
struct IncidentRow {
    incident: Text,
    started_ms: String,
    ended_ms: String,
    severity: String,
    causes: String,
    summary: String,
}

/// Incidents that touch the span.
///
/// # Errors
/// See [`StoreError`]; [`StoreError::Protocol`] for a row that cannot be read.
pub async fn incidents(clickhouse: &ClickHouse, span: TimeSpan) -> Result<Vec<PastIncident>, StoreError> {
    let (from, until) = (span.0.as_millis().to_string(), span.1.as_millis().to_string());
    let rows: Vec<IncidentRow> = clickhouse.fetch(INCIDENTS, &[("from", &from), ("until", &until)]).await?;
    rows.into_iter().map(past_incident).collect()
}

fn past_incident(row: IncidentRow) -> Result<PastIncident, StoreError> {
    let unreadable = |what: &str| StoreError::Protocol(format!("incident {}: {what} cannot be read", row.incident));
    let moment = |text: &str| text.parse().map(Timestamp::from_millis).map_err(|_| unreadable("a time"));
    let severity = Severity::ALL.into_iter().find(|severity| severity.as_str() == row.severity);
    let causes: Vec<Cause> = serde_json::from_str(&row.causes).map_err(|_| unreadable("causes"))?;
    let ended_at = moment(&row.ended_ms)?;
    Ok(PastIncident {
        started_at: moment(&row.started_ms)?,
        ended_at: (ended_at.as_millis() != 0).then_some(ended_at),
        severity: severity.ok_or_else(|| unreadable("severity"))?,
        culprits: culprits(causes.iter().map(|cause| &cause.dimensions)),
        summary: row.summary.clone(),
        incident: row.incident.clone(),
    })
}
