//! Signals over time, by source: memory, pools, throughput and restarts, beside the load at the edge of the same time.

mod buckets;
mod counter;
mod edge;
mod memory;
mod pool;
mod readings;
mod restarts;
mod throughput;

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

pub use self::buckets::{COARSE_MS, DAY_MS, FINE_MS};
pub use self::counter::Flow;
pub use self::edge::{EdgeBucket, EdgeHistory};
pub use self::memory::{Bucket, LOW_SHARE};
pub use self::pool::{Gauge, PoolBucket, PoolHistory};
use self::readings::Readings;
pub use self::restarts::{Restarts, within};
pub use self::throughput::{ThroughputBucket, ThroughputHistory};
use super::window::ClosedWindow;
use super::{Name, Names, SignalCell};
use crate::model::{DurationMs, Timestamp, is_rule_row, metric};

/// A source silent for longer is forgotten: it was removed, or its telemetry was. One that is read more seldom is given
/// four of its usual intervals.
pub const SERIES_SILENT_MS: DurationMs = 3_600_000;
const INTERVALS_SILENT: DurationMs = 4;
const INTERVALS_SILENT_MS_MAX: DurationMs = 2 * DAY_MS;
/// How long a source with one reading is waited for: how often it is read is not known.
const FIRST_SILENT_MS: DurationMs = 6 * 3_600_000;
/// A source silent for longer than three of its intervals says nothing about now; within these bounds.
const INTERVALS_CURRENT: DurationMs = 3;
const CURRENT_MS_MIN: DurationMs = 120_000;
const CURRENT_MS_MAX: DurationMs = 900_000;
const _: () = assert!(CURRENT_MS_MAX < SERIES_SILENT_MS);
/// Sources remembered; further ones are counted in `overflowed`.
const SOURCES_MAX: usize = 10_000;
/// Pools remembered, a day of each; further ones are counted in `overflowed`.
const POOLS_MAX: usize = 2_000;

/// What is known of one source.
#[derive(Debug, Default)]
pub struct SourceHistory {
    /// Memory of the last three minutes as it was read: time and bytes, oldest first.
    pub readings: VecDeque<(Timestamp, f64)>,
    /// Memory in 30-second buckets, oldest first.
    pub fine: VecDeque<Bucket>,
    /// Memory in five-minute buckets, oldest first.
    pub coarse: VecDeque<Bucket>,
    /// Memory by day, oldest first.
    pub days: VecDeque<Bucket>,
    /// Whether it had evicted keys when it was first seen: a cache whose limit is where it works.
    pub evicts: bool,
    /// Newest memory limit, in bytes.
    pub limit_bytes: Option<f64>,
    /// When its memory was last as low as it has ever been, or nearly.
    pub low_until: Timestamp,
    least_bytes: f64,
    /// When it restarted.
    pub restarts: Restarts,
    /// Its pool, where it has one.
    pub pool: Option<Box<PoolHistory>>,
    /// Its throughput, where it tells it.
    pub throughput: Option<Box<ThroughputHistory>>,
    first_seen: Timestamp,
    last_seen: Timestamp,
    /// Usual time between readings (a decaying mean); none before the second.
    interval_ms: Option<DurationMs>,
}

/// All sources.
#[derive(Debug, Default)]
pub struct SignalHistory {
    sources: FxHashMap<Name, SourceHistory>,
    edge: EdgeHistory,
    pools: usize,
    overflowed: u64,
}

impl SignalHistory {
    /// Takes in the signals of a closed window.
    pub fn push(&mut self, window: &ClosedWindow, names: &Names) {
        self.edge.push(window);
        let mut readings: FxHashMap<Name, Vec<(&str, SignalCell)>> = FxHashMap::default();
        // Rows of rules are no sources of the platform: their detectors follow them.
        for ((source, metric), cell) in window.signals.iter().filter(|((name, _), _)| !is_rule_row(names.text(*name))) {
            readings.entry(*source).or_default().push((names.text(*metric), *cell));
        }
        let mut by_name: Vec<_> = readings.into_iter().collect();
        // At a bound, which sources are followed must not depend on the order of a hash map.
        by_name.sort_unstable_by(|(a, _), (b, _)| names.text(*a).cmp(names.text(*b)));
        for (source, cells) in by_name {
            if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&source) {
                self.overflowed += 1;
                continue;
            }
            let history = self.sources.entry(source).or_default();
            let had_pool = history.pool.is_some();
            self.overflowed += u64::from(!history.push(window, &Readings(&cells), self.pools < POOLS_MAX));
            self.pools += usize::from(!had_pool && history.pool.is_some());
        }
        self.sources.retain(|_, history| !history.is_forgotten(window.end));
        self.pools = self.sources.values().filter(|history| history.pool.is_some()).count();
    }

    /// One source.
    #[must_use]
    pub fn get(&self, source: Name) -> Option<&SourceHistory> {
        self.sources.get(&source)
    }

    /// The sources, in the order of their names.
    #[must_use]
    pub fn sorted<'a>(&'a self, names: &'a Names) -> Vec<(Name, &'a SourceHistory)> {
        let mut sources: Vec<_> = self.sources.iter().map(|(name, history)| (*name, history)).collect();
        sources.sort_unstable_by(|(a, _), (b, _)| names.text(*a).cmp(names.text(*b)));
        sources
    }

    /// Requests at the edge over time.
    #[must_use]
    pub fn edge(&self) -> &EdgeHistory {
        &self.edge
    }

    /// Readings of sources and pools past the bounds.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

impl SourceHistory {
    /// Whether the source has reported in the last `span_ms`.
    #[must_use]
    pub fn reported_within(&self, end: Timestamp, span_ms: DurationMs) -> bool {
        end.since(self.last_seen) <= span_ms
    }

    /// Whether its newest readings still tell of `end`: what is read every minute says less often that it goes on.
    #[must_use]
    pub fn is_current(&self, end: Timestamp) -> bool {
        let interval_ms = self.interval_ms.unwrap_or(0);
        let silent_ms = (INTERVALS_CURRENT * interval_ms).clamp(CURRENT_MS_MIN, CURRENT_MS_MAX);
        self.reported_within(end, silent_ms)
    }

    /// Usual time between its readings, in milliseconds; 0 before the second.
    #[must_use]
    pub fn interval_ms(&self) -> DurationMs {
        self.interval_ms.unwrap_or(0)
    }

    /// Since when it is followed.
    #[must_use]
    pub fn first_seen(&self) -> Timestamp {
        self.first_seen
    }

    fn is_forgotten(&self, end: Timestamp) -> bool {
        let silent_ms = self.interval_ms.map_or(FIRST_SILENT_MS, |interval_ms| {
            (INTERVALS_SILENT * interval_ms).clamp(SERIES_SILENT_MS, INTERVALS_SILENT_MS_MAX)
        });
        end.since(self.last_seen) > silent_ms
    }

    /// Takes in what the source said in a window; false when its pool found no room.
    fn push(&mut self, window: &ClosedWindow, readings: &Readings<'_>, may_add_pool: bool) -> bool {
        let first = self.last_seen == Timestamp::default();
        let silent_ms = if first { 0 } else { window.end.since(self.last_seen) };
        if first {
            self.first_seen = window.start;
            self.least_bytes = f64::INFINITY;
            // Counted from its start: it did so before this log began.
            self.evicts = readings.get("evicted_keys_total").is_some_and(|evicted| evicted.last > 0.0);
        } else {
            self.interval_ms =
                Some(self.interval_ms.map_or(silent_ms, |interval_ms| interval_ms + (silent_ms - interval_ms) / 8));
        }
        self.last_seen = window.end;
        if let Some(limit) = readings.get(metric::MEMORY_LIMIT_BYTES) {
            self.limit_bytes = Some(limit.last).filter(|bytes| *bytes > 0.0);
        }
        if let Some(used) = readings.get(metric::MEMORY_USED_BYTES) {
            self.remember_memory(window.start, used);
        }
        self.restarts.push(window.end, silent_ms, readings);
        if self.throughput.is_some() || ThroughputHistory::concerns(readings) {
            self.throughput.get_or_insert_default().push(window.start, readings);
        }
        if self.pool.is_none() && PoolHistory::concerns(readings) && !may_add_pool {
            return false;
        }
        if self.pool.is_some() || PoolHistory::concerns(readings) {
            self.pool.get_or_insert_default().push(window.start, readings);
        }
        true
    }
}
