//! Stored events, read back in the order of time: what a backtest replays.
//!
//! Only what detection reads is read: `request_id`, `host` and the like stay where they are. An absent number is stored
//! as 0 and comes back as absent. A duration is stored in single precision and comes back as the shortest decimal that
//! is stored so: what was logged, up to six digits.

mod rows;

use std::time::Duration;

use clickhouse::query::RowCursor;
use clickhouse::{RowOwned, RowRead};
use serde::Deserialize;

use self::rows::{ChangeRow, EventRow, QueryRow, RequestRow, SignalRow};
use super::{ClickHouse, StoreError};
use crate::model::{Event, Timestamp};

const EXTENT: &str = include_str!("../../queries/backtest/extent.sql");
const REQUESTS: &str = include_str!("../../queries/backtest/requests.sql");
const SIGNALS: &str = include_str!("../../queries/backtest/signals.sql");
const CHANGES: &str = include_str!("../../queries/backtest/changes.sql");
const QUERIES: &str = include_str!("../../queries/backtest/queries.sql");

/// Rows of one hour of one raw table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HourExtent {
    /// `requests`, `signals`, `changes` or `queries`.
    pub source: String,
    /// The hour's beginning, epoch milliseconds.
    pub hour_ms: i64,
    /// Rows.
    #[serde(deserialize_with = "number_or_text")]
    pub rows: u64,
}

/// ClickHouse writes 64-bit numbers into JSON as text, unless it is told otherwise.
fn number_or_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Number(u64),
        Text(String),
    }
    match Number::deserialize(deserializer)? {
        Number::Number(number) => Ok(number),
        Number::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

/// How many rows there are from `from` up to `until`, by hour, oldest first.
///
/// # Errors
/// See [`StoreError`].
pub async fn extent(
    clickhouse: &ClickHouse,
    (from, until): (Timestamp, Timestamp),
) -> Result<Vec<HourExtent>, StoreError> {
    let (from, until) = (from.as_millis().to_string(), until.as_millis().to_string());
    clickhouse.fetch(EXTENT, &[("from", &from), ("until", &until)]).await
}

/// The events of a span, merged by time from the four raw tables as they arrive: one row of each is held.
pub struct History {
    requests: Table<RequestRow>,
    signals: Table<SignalRow>,
    changes: Table<ChangeRow>,
    queries: Table<QueryRow>,
}

impl History {
    /// Asks for the events from `from` up to `until`. The server sorts the span: keep it short where there is much.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open(clickhouse: &ClickHouse, span: (Timestamp, Timestamp)) -> Result<Self, StoreError> {
        Ok(Self {
            requests: Table::open(clickhouse, REQUESTS, span).await?,
            signals: Table::open(clickhouse, SIGNALS, span).await?,
            changes: Table::open(clickhouse, CHANGES, span).await?,
            queries: Table::open(clickhouse, QUERIES, span).await?,
        })
    }

    /// The next event. Of the same moment, changes come first: what they change shows in the others.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn next(&mut self) -> Result<Option<Event>, StoreError> {
        let heads = [self.changes.head_at(), self.signals.head_at(), self.queries.head_at(), self.requests.head_at()];
        let earliest = heads.iter().enumerate().filter_map(|(i, at)| Some(((*at)?, i))).min();
        match earliest.map(|(_, table)| table) {
            None => Ok(None),
            Some(0) => self.changes.take().await,
            Some(1) => self.signals.take().await,
            Some(2) => self.queries.take().await,
            Some(_) => self.requests.take().await,
        }
    }
}

/// One raw table, row by row.
struct Table<R> {
    cursor: RowCursor<R>,
    timeout: Duration,
    head: Option<Event>,
}

impl<R: RowOwned + RowRead + EventRow> Table<R>
where
    for<'a> R: clickhouse::Row<Value<'a> = R>,
{
    async fn open(
        clickhouse: &ClickHouse,
        sql: &str,
        (from, until): (Timestamp, Timestamp),
    ) -> Result<Self, StoreError> {
        let (cursor, timeout) =
            clickhouse.rows::<R>(sql, &[("from", from.as_millis()), ("until", until.as_millis())])?;
        let mut table = Self { cursor, timeout, head: None };
        table.advance().await?;
        Ok(table)
    }

    fn head_at(&self) -> Option<Timestamp> {
        self.head.as_ref().map(Event::timestamp)
    }

    async fn take(&mut self) -> Result<Option<Event>, StoreError> {
        let event = self.head.take();
        self.advance().await?;
        Ok(event)
    }

    async fn advance(&mut self) -> Result<(), StoreError> {
        let row = tokio::time::timeout(self.timeout, self.cursor.next()).await;
        let row = row.map_err(|_| StoreError::TimedOut(self.timeout))?;
        let row = row.map_err(|error| StoreError::from_client(error, self.timeout))?;
        self.head = row.map(EventRow::into_event).transpose()?;
        Ok(())
    }
}
