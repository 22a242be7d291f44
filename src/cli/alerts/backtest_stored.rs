//! A backtest over what is stored: hour by hour, in pieces that the server can sort.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::backtest::{Side, Twins};
use crate::cli::ledger::access::Access;
use crate::config::Config;
use crate::model::{DurationMs, Timestamp};
use crate::pipeline::Settings;
use crate::store::history::{History, HourExtent, extent};
use crate::store::{ClickHouse, check_schema};

/// Rows that the server sorts at once, about: an hour with more is read in pieces.
const ROWS_A_PIECE: u64 = 2_000_000;
const HOUR_MS: DurationMs = 3_600_000;
/// Shorter pieces would read an hour again and again for little.
const PIECES_AN_HOUR_MAX: u64 = 360;
const EVENTS_A_PROGRESS: u64 = 8_192;

/// Replays what is stored in `span` through both rule sets.
pub(super) async fn run(
    config: &Config,
    span: (Timestamp, Timestamp),
    timeout: Duration,
    (old, new): (&Settings, &Settings),
) -> anyhow::Result<(Side, Side)> {
    let Some(access) = Access::open(config, timeout).await? else {
        bail!("the local ClickHouse holds nothing; set clickhouse.url, or give --files");
    };
    let result = replay(&access.clickhouse, span, (old, new)).await;
    access.close().await?;
    result
}

async fn replay(
    clickhouse: &ClickHouse,
    span: (Timestamp, Timestamp),
    (old, new): (&Settings, &Settings),
) -> anyhow::Result<(Side, Side)> {
    check_schema(clickhouse).await?;
    let hours = extent(clickhouse, span).await.context("cannot count the stored rows")?;
    let total: u64 = hours.iter().map(|hour| hour.rows).sum();
    if total == 0 {
        bail!("nothing is stored from {} until {}", span.0, span.1);
    }
    say_extent(&hours);
    let progress = progress(total);
    let mut twins = Twins::start(old, new);
    let mut events = 0_u64;
    for piece in pieces(&hours, span) {
        progress.set_message(piece.0.to_string());
        let mut history = History::open(clickhouse, piece).await.context("cannot read the stored rows")?;
        while let Some(event) = history.next().await.context("cannot read the stored rows")? {
            twins.apply(event)?;
            events += 1;
            if events.is_multiple_of(EVENTS_A_PROGRESS) {
                progress.set_position(events);
            }
        }
    }
    let sides = twins.finish()?;
    progress.finish_and_clear();
    Ok(sides)
}

/// The hours that hold anything, each cut into pieces of about [`ROWS_A_PIECE`].
fn pieces(hours: &[HourExtent], (from, until): (Timestamp, Timestamp)) -> Vec<(Timestamp, Timestamp)> {
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

/// What there is, a line a table: a retention shorter than the span must not go unsaid.
fn say_extent(hours: &[HourExtent]) {
    let mut tables: BTreeMap<&str, (i64, i64, u64)> = BTreeMap::new();
    for hour in hours {
        let table = tables.entry(&hour.source).or_insert((hour.hour_ms, hour.hour_ms, 0));
        *table = (table.0.min(hour.hour_ms), table.1.max(hour.hour_ms), table.2 + hour.rows);
    }
    for (name, (first, last, rows)) in tables {
        let (first, last) = (Timestamp::from_millis(first), Timestamp::from_millis(last + HOUR_MS));
        eprintln!("{name}: {rows} rows from {first} until {last}");
    }
}

/// A bar over events on stderr; hidden where stderr is no terminal.
fn progress(events: u64) -> ProgressBar {
    let bar = ProgressBar::new(events);
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len}  {per_sec}  {msg}  {eta}");
    // The template is a constant; should it ever not parse, the plain bar does as well.
    style.map(|style| bar.clone().with_style(style)).unwrap_or(bar)
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
