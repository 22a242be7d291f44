//! Signals over time, by source: memory in buckets beside the load of the same time, and restarts.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::window::ClosedWindow;
use super::{Name, Names, SignalCell};
use crate::model::{DurationMs, Timestamp, metric};

/// A source silent for longer is forgotten: it was removed, or its telemetry was.
pub const SERIES_SILENT_MS: DurationMs = 3_600_000;
/// Sources remembered; further ones are counted in `overflowed`.
const SOURCES_MAX: usize = 10_000;
/// Short memory: 30-second buckets for 20 minutes, for "the limit is minutes away".
pub const FINE_MS: DurationMs = 30_000;
const FINE_BUCKETS_MAX: usize = 40;
/// Long memory: five-minute buckets for a day, for leaks.
pub const COARSE_MS: DurationMs = 300_000;
const COARSE_BUCKETS_MAX: usize = 288;
/// Readings further apart than this leave a gap.
const GAP_MS: DurationMs = 300_000;
/// Restarts remembered a source; a loop is three.
const RESTARTS_MAX: usize = 64;

/// Memory and load of one span of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// First moment.
    pub start: Timestamp,
    /// Newest reading, in bytes.
    pub used_bytes: f64,
    /// Least reading, in bytes: a garbage collector's trough.
    pub trough_bytes: f64,
    /// Requests answered at the edge meanwhile.
    pub requests: u64,
}

/// What is known of one source.
#[derive(Debug, Default)]
pub struct SourceHistory {
    /// 30-second buckets, oldest first.
    pub fine: VecDeque<Bucket>,
    /// Five-minute buckets, oldest first.
    pub coarse: VecDeque<Bucket>,
    /// Newest memory limit, in bytes.
    pub limit_bytes: Option<f64>,
    /// When it restarted (or was killed for memory), oldest first.
    pub restarts: VecDeque<Timestamp>,
    /// Restarts among these that were out-of-memory kills.
    pub oom_kills: VecDeque<Timestamp>,
    last_seen: Timestamp,
    restarts_total: Option<f64>,
    oom_kills_total: Option<f64>,
    uptime_seconds: Option<f64>,
}

/// All sources.
#[derive(Debug, Default)]
pub struct SignalHistory {
    sources: FxHashMap<Name, SourceHistory>,
    overflowed: u64,
}

impl SignalHistory {
    /// Takes in the signals of a closed window.
    pub fn push(&mut self, window: &ClosedWindow, names: &Names) {
        let mut readings: FxHashMap<Name, Vec<(&str, SignalCell)>> = FxHashMap::default();
        for ((source, metric), cell) in &window.signals {
            readings.entry(*source).or_default().push((names.text(*metric), *cell));
        }
        for (source, cells) in readings {
            if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&source) {
                self.overflowed += 1;
                continue;
            }
            self.sources.entry(source).or_default().push(window, &cells);
        }
        for history in self.sources.values_mut() {
            history.add_load(window);
        }
        self.sources.retain(|_, history| window.end.since(history.last_seen) <= SERIES_SILENT_MS);
    }

    /// The sources, in the order of their names.
    #[must_use]
    pub fn sorted<'a>(&'a self, names: &'a Names) -> Vec<(Name, &'a SourceHistory)> {
        let mut sources: Vec<_> = self.sources.iter().map(|(name, history)| (*name, history)).collect();
        sources.sort_unstable_by(|(a, _), (b, _)| names.text(*a).cmp(names.text(*b)));
        sources
    }

    /// Readings of sources past the bound.
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

    /// Restarts in the `span_ms` before `end`.
    #[must_use]
    pub fn restarts_within(&self, end: Timestamp, span_ms: DurationMs) -> usize {
        self.restarts.iter().filter(|at| end.since(**at) < span_ms).count()
    }

    fn push(&mut self, window: &ClosedWindow, cells: &[(&str, SignalCell)]) {
        let silent_ms = window.end.since(self.last_seen);
        self.last_seen = window.end;
        let read = |name: &str| cells.iter().find(|(metric, _)| *metric == name).map(|(_, cell)| *cell);
        if let Some(limit) = read(metric::MEMORY_LIMIT_BYTES) {
            self.limit_bytes = Some(limit.last).filter(|bytes| *bytes > 0.0);
        }
        if let Some(used) = read(metric::MEMORY_USED_BYTES) {
            add_reading(&mut self.fine, window.start, FINE_MS, FINE_BUCKETS_MAX, used);
            add_reading(&mut self.coarse, window.start, COARSE_MS, COARSE_BUCKETS_MAX, used);
        }
        let restarted = counted(&mut self.restarts_total, read(metric::RESTARTS_TOTAL));
        let killed = counted(&mut self.oom_kills_total, read(metric::OOM_KILLS_TOTAL));
        let reset = self.uptime_reset(read(metric::UPTIME_SECONDS));
        // Where restarts are counted they count alone: a kill is one of them, told at another moment.
        let restarts = if self.restarts_total.is_some() { restarted } else { killed.max(reset) };
        remember(&mut self.restarts, window.end, restarts, silent_ms);
        remember(&mut self.oom_kills, window.end, killed, silent_ms);
    }

    fn uptime_reset(&mut self, reading: Option<SignalCell>) -> usize {
        let Some(reading) = reading else { return 0 };
        let before = self.uptime_seconds.replace(reading.last);
        usize::from(before.is_some_and(|before| reading.min < before))
    }

    fn add_load(&mut self, window: &ClosedWindow) {
        for (buckets, length_ms) in [(&mut self.fine, FINE_MS), (&mut self.coarse, COARSE_MS)] {
            if let Some(bucket) = buckets.back_mut().filter(|b| b.start == window.start.window_start(length_ms)) {
                bucket.requests += window.edge_total.requests;
            }
        }
    }
}

fn add_reading(
    buckets: &mut VecDeque<Bucket>,
    at: Timestamp,
    length_ms: DurationMs,
    buckets_max: usize,
    cell: SignalCell,
) {
    let start = at.window_start(length_ms);
    match buckets.back_mut().filter(|bucket| bucket.start == start) {
        Some(bucket) => {
            bucket.used_bytes = cell.last;
            bucket.trough_bytes = bucket.trough_bytes.min(cell.min);
        }
        None => buckets.push_back(Bucket { start, used_bytes: cell.last, trough_bytes: cell.min, requests: 0 }),
    }
    let span_ms = length_ms.saturating_mul(i64::try_from(buckets_max).unwrap_or(i64::MAX));
    while buckets.front().is_some_and(|bucket| start.since(bucket.start) >= span_ms) {
        buckets.pop_front();
    }
}

/// How far a counter went up; a counter that went down started anew from zero (as in Prometheus).
fn counted(last: &mut Option<f64>, reading: Option<SignalCell>) -> usize {
    let Some(reading) = reading else { return 0 };
    let Some(before) = last.replace(reading.last) else { return 0 };
    let increase = if reading.last >= before { reading.last - before } else { reading.last };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    let increase = increase.clamp(0.0, 1e6) as usize;
    increase
}

/// Remembers `count` restarts at `at`. After a gap in the readings nobody knows when they happened: they are spread over
/// it, so that a gap's worth of restarts is no loop.
fn remember(times: &mut VecDeque<Timestamp>, at: Timestamp, count: usize, silent_ms: DurationMs) {
    let count = i64::try_from(count.min(RESTARTS_MAX)).unwrap_or(0);
    for i in (0..count).rev() {
        let back_ms = if silent_ms > GAP_MS { silent_ms / count * i } else { 0 };
        times.push_back(at.plus(-back_ms));
    }
    while times.len() > RESTARTS_MAX {
        times.pop_front();
    }
}
