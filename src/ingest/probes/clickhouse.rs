//! ClickHouse by its system tables: memory, parts, merges and errors as signals; queries as events.
//!
//! Only reads, and only what a user with `readonly = 1` may: no setting is sent along. Floodmark's own statements are
//! known by their user agent and left out.

use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::clickhouse_cursor::{Position, QueryCursor};
use super::clickhouse_rows::{QueryRow, as_number, signals};
use super::http::HttpClient;
use super::{ProbeError, Reading, signal};
use crate::config::{ClickHouseProbeConfig, Secret};
use crate::model::metric::MEMORY_LIMIT_BYTES;
use crate::model::{Event, Timestamp};

const SIGNALS: &str = include_str!("../../../queries/probes/signals.sql");
const MEMORY_LIMIT: &str = include_str!("../../../queries/probes/memory_limit.sql");
const MEMORY_TOTAL: &str = include_str!("../../../queries/probes/memory_total.sql");
const QUERIES_FINISHED: &str = include_str!("../../../queries/probes/queries_finished.sql");
const QUERIES_RUNNING: &str = include_str!("../../../queries/probes/queries_running.sql");

/// Longest answer that is read: a page of queries, each with up to 8,000 characters of text and 2,000 of comment,
/// six bytes each at most (`\u0001`).
const BODY_BYTES_MAX: usize = 64 * 1_024 * 1_024;
/// Rows of a page, as in `queries_finished.sql`.
const PAGE_ROWS: usize = 1_000;
/// Most pages of one look; the next goes on from there.
const PAGES_MAX: usize = 10;
/// ClickHouse's code of "no such table".
const TABLE_ABSENT: i32 = 60;

/// A ClickHouse server and how far its query log was read.
#[derive(Debug)]
pub(super) struct ClickHouseProbe {
    source: String,
    node: String,
    url: Url,
    user: String,
    password: Option<Secret>,
    http: HttpClient,
    queries: bool,
    cursor: QueryCursor,
}

impl ClickHouseProbe {
    /// Reads the files that the configuration names.
    pub fn new(config: &ClickHouseProbeConfig) -> Result<Self, ProbeError> {
        Ok(Self {
            source: format!("clickhouse/{}", config.name),
            node: config.node.clone().unwrap_or_else(|| config.name.clone()),
            url: Url::parse(&config.url).map_err(|error| ProbeError::Protocol(format!("url: {error}")))?,
            user: config.user.clone(),
            password: config.secret()?,
            http: HttpClient::new(&config.url, config.ca_file.as_deref(), config.timeout.0)?,
            queries: config.queries,
            cursor: QueryCursor::default(),
        })
    }

    /// Asks once. Signals must come; of queries, what cannot be read is a note.
    pub async fn look(&mut self, now: Timestamp) -> Result<Reading, ProbeError> {
        let rows: Vec<Map<String, Value>> = self.rows(SIGNALS, &[]).await?;
        let row = rows.into_iter().next().ok_or_else(|| ProbeError::Protocol("no row of signals".to_owned()))?;
        let mut events = signals(&row, &self.source, now);
        let mut notes = Vec::new();
        match self.memory_limit().await {
            Ok(limit) => events.extend(limit.map(|limit| signal(now, &self.source, MEMORY_LIMIT_BYTES, limit))),
            Err(error) => notes.push(format!("memory limit: {error}")),
        }
        if self.queries {
            let clock_us = row.get("now_us").and_then(as_number).map_or(now.as_millis() * 1_000, |us| us as i64);
            notes.extend(self.finished(clock_us, &mut events).await.err().map(|e| format!("finished queries: {e}")));
            notes.extend(self.running(now, &mut events).await.err().map(|e| format!("running queries: {e}")));
            if self.cursor.skipped > 0 {
                notes.push(format!("{} times queries older than 10m were left out", self.cursor.skipped));
            }
        }
        Ok(Reading { events, note: (!notes.is_empty()).then(|| notes.join("; ")) })
    }

    /// The server's own limit, else the machine's, where they can be read.
    async fn memory_limit(&self) -> Result<Option<f64>, ProbeError> {
        for sql in [MEMORY_LIMIT, MEMORY_TOTAL] {
            let rows: Result<Vec<Map<String, Value>>, _> = self.rows(sql, &[]).await;
            let rows = match rows {
                // Old servers have no table of settings, small ones no asynchronous metrics.
                Err(ProbeError::ClickHouse { code: TABLE_ABSENT, .. }) => continue,
                rows => rows?,
            };
            let limit = rows.first().and_then(|row| as_number(row.get(MEMORY_LIMIT_BYTES)?));
            if let Some(limit) = limit.filter(|limit| *limit > 0.0) {
                return Ok(Some(limit));
            }
        }
        Ok(None)
    }

    async fn finished(&mut self, clock_us: i64, events: &mut Vec<Event>) -> Result<(), ProbeError> {
        let mut position = self.cursor.begin(clock_us);
        for _ in 0..PAGES_MAX {
            let from_us = position.time_us.to_string();
            let parameters = [("param_from_us", from_us), ("param_from_id", escaped(&position.query_id))];
            let page = match self.rows::<QueryRow>(QUERIES_FINISHED, &parameters).await {
                Ok(page) => page,
                Err(error) => {
                    self.cursor.end(Some(position));
                    return Err(error);
                }
            };
            let is_last = page.len() < PAGE_ROWS;
            for row in page {
                position = Position { time_us: row.time_us.map_or(0, |us| us as i64), query_id: row.query_id.clone() };
                let timestamp = Timestamp::from_epoch_millis_checked(position.time_us / 1_000);
                if let (true, Ok(timestamp)) = (self.cursor.take(&position), timestamp) {
                    events.push(row.event(&self.node, timestamp));
                }
            }
            if is_last {
                self.cursor.end(None);
                return Ok(());
            }
        }
        self.cursor.end(Some(position));
        Ok(())
    }

    async fn running(&self, now: Timestamp, events: &mut Vec<Event>) -> Result<(), ProbeError> {
        let rows: Vec<QueryRow> = self.rows(QUERIES_RUNNING, &[]).await?;
        events.extend(rows.into_iter().map(|row| row.event(&self.node, now)));
        Ok(())
    }

    async fn rows<T: DeserializeOwned>(&self, sql: &str, parameters: &[(&str, String)]) -> Result<Vec<T>, ProbeError> {
        let mut url = self.url.clone();
        url.query_pairs_mut().extend_pairs(parameters);
        let request = |client: &reqwest::Client| {
            let request = client.post(url).header("x-clickhouse-user", &self.user).body(sql.to_owned());
            match &self.password {
                Some(password) => request.header("x-clickhouse-key", password.expose()),
                None => request,
            }
        };
        let answer = self.http.ask(request, BODY_BYTES_MAX).await?;
        if answer.status != 200 || answer.exception_code.is_some() {
            return Err(refusal(answer.status, answer.exception_code, &answer.body));
        }
        let lines = answer.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let row = |line| {
            serde_json::from_slice(line).map_err(|_| ProbeError::Protocol(format!("row {}", ProbeError::quote(line))))
        };
        lines.map(row).collect()
    }
}

fn refusal(status: u16, code: Option<i32>, body: &[u8]) -> ProbeError {
    let message = ProbeError::quote(body);
    // "Code: 60. DB::Exception: Unknown table … (UNKNOWN_TABLE) (version …)": the version says nothing here.
    let message = message.split(" (version ").next().unwrap_or_default().to_owned();
    match code {
        Some(code) => ProbeError::ClickHouse { code, message },
        None => ProbeError::Refused(format!("HTTP status {status} {message}")),
    }
}

/// A parameter's value is read like a field of tab-separated text.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n")
}
