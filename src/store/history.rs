//! Stored events, read back in the order of time: what a backtest replays.
//!
//! Only what detection reads is read: `request_id`, `host` and the like stay where they are. An absent number is stored
//! as 0 and comes back as absent. A duration is stored in single precision and comes back as the shortest decimal that
//! is stored so: what was logged, up to six digits.

mod rows;

use std::collections::BTreeMap;
use std::time::Duration;

use clickhouse::query::RowCursor;
use clickhouse::{RowOwned, RowRead};
use serde::Deserialize;

use self::rows::{ChangeRow, EventRow, QueryRow, RequestRow, SignalRow};
use super::{ClickHouse, StoreError};
use crate::model::{DurationMs, Event, Timestamp};

const EXTENT: &str = include_str!("../../queries/backtest/extent.sql");
const REQUESTS: &str = include_str!("../../queries/backtest/requests.sql");
const SIGNALS: &str = include_str!("../../queries/backtest/signals.sql");
const CHANGES: &str = include_str!("../../queries/backtest/changes.sql");
const QUERIES: &str = include_str!("../../queries/backtest/queries.sql");

/// Rows that the server sorts at once, about: an hour with more is read in pieces.
const ROWS_A_PIECE: u64 = 2_000_000;
/// Shorter pieces than 10 s would read an hour again and again for little.
const PIECES_AN_HOUR_MAX: u64 = 360;
/// An hour.
pub const HOUR_MS: DurationMs = 3_600_000;

/// Rows of one hour of one table.
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

/// The hours that hold anything, oldest first, each cut into pieces of about [`ROWS_A_PIECE`]: spans that the server can sort.
#[must_use]
pub fn pieces<'a>(
    hours: impl IntoIterator<Item = &'a HourExtent>,
    (from, until): (Timestamp, Timestamp),
) -> Vec<(Timestamp, Timestamp)> {
    let mut rows: BTreeMap<i64, u64> = BTreeMap::new();
    for hour in hours {
        *rows.entry(hour.hour_ms).or_default() += hour.rows;
    }
    let mut pieces = Vec::new();
    for (hour_ms, rows) in rows {
        let count = rows.div_ceil(ROWS_A_PIECE).clamp(1, PIECES_AN_HOUR_MAX);
        let count = i64::try_from(count).unwrap_or(1);
        for piece in 0..count {
            let at = |piece: i64| Timestamp::from_millis(hour_ms + HOUR_MS * piece / count);
            let (start, end) = (at(piece).max(from), at(piece + 1).min(until));
            if start < end {
                pieces.push((start, end));
            }
        }
    }
    pieces
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_and_keep_within_the_span() {
        let hour = |hour: i64, rows| HourExtent { source: "requests".to_owned(), hour_ms: hour * HOUR_MS, rows };
        let at = Timestamp::from_millis;
        let span = (at(10 * HOUR_MS + 60_000), at(12 * HOUR_MS));
        let pieces = pieces(&[hour(10, 7_000_000), hour(11, 5)], span);
        assert_eq!(pieces.len(), 5);
        assert_eq!((pieces[0].0, pieces[4].1), span);
        assert!(pieces.windows(2).all(|pair| pair[0].1 == pair[1].0), "{pieces:?}");
    }
}
