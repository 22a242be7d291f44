//! Rows of the raw tables, as the queries of a backtest give them, to events.

use clickhouse::Row;
use serde::Deserialize;

use crate::model::{Attributes, Change, ChangeKind, Event, QueryRun, QueryState, Request, Signal, Text, Timestamp};
use crate::store::StoreError;

/// A row that was an event.
pub(super) trait EventRow {
    fn into_event(self) -> Result<Event, StoreError>;
}

/// Of `requests`.
#[derive(Row, Deserialize)]
pub(super) struct RequestRow {
    timestamp_ms: i64,
    subscription: Text,
    client: Text,
    client_version: Text,
    service: Text,
    caller: Text,
    route: Text,
    status: u16,
    duration_ms: f32,
    response_bytes: u64,
    attempt: u32,
    request_key: Text,
}

/// Of `signals`.
#[derive(Row, Deserialize)]
pub(super) struct SignalRow {
    timestamp_ms: i64,
    source: Text,
    metric: Text,
    value: f64,
}

/// Of `changes`.
#[derive(Row, Deserialize)]
pub(super) struct ChangeRow {
    timestamp_ms: i64,
    kind: Text,
    service: Text,
    version: Text,
    title: Text,
    url: Text,
}

/// Of `query_runs`.
#[derive(Row, Deserialize)]
pub(super) struct QueryRow {
    timestamp_ms: i64,
    node: Text,
    query: Text,
    fingerprint: Text,
    user: Text,
    origin: Text,
    version: Text,
    subscription: Text,
    state: Text,
    duration_ms: f64,
    memory_bytes: u64,
    read_rows: u64,
    read_bytes: u64,
    exception_code: i32,
    query_id: Text,
}

fn text(value: Text) -> Option<Text> {
    (!value.is_empty()).then_some(value)
}

/// An absent number is stored as 0.
fn number<N: Default + PartialEq>(value: N) -> Option<N> {
    (value != N::default()).then_some(value)
}

/// What was logged: 80.1 is stored as 80.09999847, and `f32` knows that 80.1 is what it stands for.
fn logged(duration_ms: f32) -> f64 {
    duration_ms.to_string().parse().unwrap_or_else(|_| f64::from(duration_ms))
}

fn unknown(column: &str, value: &str) -> StoreError {
    StoreError::Protocol(format!("{column} holds \"{value}\""))
}

impl EventRow for RequestRow {
    fn into_event(self) -> Result<Event, StoreError> {
        Ok(Event::Request(Request {
            timestamp: Timestamp::from_millis(self.timestamp_ms),
            subscription: self.subscription,
            client: text(self.client),
            client_version: text(self.client_version),
            service: text(self.service),
            caller: text(self.caller),
            route: self.route,
            status: self.status,
            duration_ms: logged(self.duration_ms),
            response_bytes: number(self.response_bytes),
            attempt: number(self.attempt),
            request_key: text(self.request_key),
            ..Request::default()
        }))
    }
}

impl EventRow for SignalRow {
    fn into_event(self) -> Result<Event, StoreError> {
        let timestamp = Timestamp::from_millis(self.timestamp_ms);
        let (source, metric, value) = (self.source, self.metric, self.value);
        Ok(Event::Signal(Signal { timestamp, source, metric, value, attributes: Attributes::default() }))
    }
}

impl EventRow for ChangeRow {
    fn into_event(self) -> Result<Event, StoreError> {
        let kinds = [ChangeKind::Release, ChangeKind::Deploy, ChangeKind::Config, ChangeKind::Flag];
        let kind = kinds.into_iter().find(|kind| kind.as_str() == self.kind);
        Ok(Event::Change(Change {
            timestamp: Timestamp::from_millis(self.timestamp_ms),
            kind: kind.ok_or_else(|| unknown("changes.kind", &self.kind))?,
            service: self.service,
            version: text(self.version),
            title: text(self.title),
            url: text(self.url),
            attributes: Attributes::default(),
        }))
    }
}

impl EventRow for QueryRow {
    fn into_event(self) -> Result<Event, StoreError> {
        let state = match self.state.as_str() {
            "" => None,
            "finished" => Some(QueryState::Finished),
            "failed" => Some(QueryState::Failed),
            "running" => Some(QueryState::Running),
            "killed" => Some(QueryState::Killed),
            other => return Err(unknown("query_runs.state", other)),
        };
        let mut attributes = Attributes::default();
        if !self.query_id.is_empty() {
            attributes.insert("query_id", &self.query_id);
        }
        Ok(Event::Query(Box::new(QueryRun {
            timestamp: Timestamp::from_millis(self.timestamp_ms),
            node: self.node,
            query: text(self.query),
            fingerprint: text(self.fingerprint),
            user: text(self.user),
            origin: text(self.origin),
            version: text(self.version),
            subscription: text(self.subscription),
            state,
            duration_ms: number(self.duration_ms),
            memory_bytes: number(self.memory_bytes),
            read_rows: number(self.read_rows),
            read_bytes: number(self.read_bytes),
            exception_code: number(self.exception_code),
            attributes,
        })))
    }
}
