//! A backtest over what is stored: hour by hour, in pieces that the server can sort.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::backtest::{Side, Twins};
use crate::cli::ledger::access::Access;
use crate::config::Config;
use crate::model::Timestamp;
use crate::pipeline::Settings;
use crate::store::history::{HOUR_MS, History, HourExtent, extent, pieces};
use crate::store::{ClickHouse, check_schema};

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
