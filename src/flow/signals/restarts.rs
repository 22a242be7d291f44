//! When a source restarted, by each of the ways in which it may be told.

use std::collections::VecDeque;

use super::counter::Counter;
use super::readings::Readings;
use crate::model::{DurationMs, Timestamp, metric};

/// Restarts remembered a source and way; a loop is three.
const RESTARTS_MAX: usize = 64;
/// Readings further apart than this leave a gap.
const GAP_MS: DurationMs = 300_000;

/// Restarts by way of telling. One restart may be told in three ways, at three moments: ways are never added up.
#[derive(Debug, Default)]
pub struct Restarts {
    /// By `restarts_total`, oldest first.
    pub counted: VecDeque<Timestamp>,
    /// By `oom_kills_total`, oldest first.
    pub oom_kills: VecDeque<Timestamp>,
    /// By `uptime_seconds` that went back, oldest first.
    pub uptime_resets: VecDeque<Timestamp>,
    /// By memory that fell from its limit, oldest first; only where nothing else tells of restarts.
    pub memory_falls: VecDeque<Timestamp>,
    /// How long the source had been up at the first restart that its uptime told of, in seconds.
    pub first_uptime_seconds: Option<f64>,
    /// Whether anything ever told of restarts: then a life without one is known to be one life.
    pub are_told: bool,
    restarts_total: Counter,
    oom_kills_total: Counter,
    uptime_seconds: Option<f64>,
}

impl Restarts {
    pub(super) fn push(&mut self, end: Timestamp, silent_ms: DurationMs, readings: &Readings<'_>) {
        let ways = [metric::RESTARTS_TOTAL, metric::OOM_KILLS_TOTAL, metric::UPTIME_SECONDS];
        self.are_told |= ways.into_iter().any(|name| readings.get(name).is_some());
        let count = |counter: &mut Counter, name: &str| {
            let increase = readings.get(name).and_then(|reading| counter.read(reading));
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
            let count = increase.map_or(0.0, |increase| increase.by.clamp(0.0, 1e6)) as usize;
            count
        };
        let restarted = count(&mut self.restarts_total, metric::RESTARTS_TOTAL);
        let killed = count(&mut self.oom_kills_total, metric::OOM_KILLS_TOTAL);
        remember(&mut self.counted, end, restarted, silent_ms);
        remember(&mut self.oom_kills, end, killed, silent_ms);
        if let Some(reading) = readings.get(metric::UPTIME_SECONDS) {
            let before = self.uptime_seconds.replace(reading.last);
            let reset = before.is_some_and(|before| reading.min < before);
            self.first_uptime_seconds = self.first_uptime_seconds.or(before.filter(|_| reset));
            remember(&mut self.uptime_resets, end, usize::from(reset), silent_ms);
        }
    }

    fn ways(&self) -> [&VecDeque<Timestamp>; 4] {
        [&self.counted, &self.oom_kills, &self.uptime_resets, &self.memory_falls]
    }

    pub(super) fn remember_fall(&mut self, at: Timestamp) {
        remember(&mut self.memory_falls, at, 1, 0);
    }

    /// The way that tells of most restarts in the `span_ms` before `end`.
    #[must_use]
    pub fn best_told(&self, end: Timestamp, span_ms: DurationMs) -> &VecDeque<Timestamp> {
        let mut best = &self.counted;
        // What only memory tells may be a collector: it is looked at where nothing else tells.
        for way in [&self.oom_kills, &self.uptime_resets] {
            if within(way, end, span_ms) > within(best, end, span_ms) {
                best = way;
            }
        }
        best
    }

    /// The newest restart, by whichever way.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        self.ways().into_iter().filter_map(|way| way.back().copied()).max()
    }
}

/// Restarts of `times` in the `span_ms` before `end`.
#[must_use]
pub fn within(times: &VecDeque<Timestamp>, end: Timestamp, span_ms: DurationMs) -> usize {
    times.iter().filter(|at| end.since(**at) < span_ms).count()
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
