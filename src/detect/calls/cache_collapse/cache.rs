//! One cache over time: its counters, its normal hit ratio, and whether it has collapsed.

use std::collections::VecDeque;

use super::CacheCollapseSpec;
use crate::flow::{ClosedWindow, SignalCell};
use crate::model::{DurationMs, Timestamp, metric};

/// Counters of a cache (contract, DESIGN §4).
const HITS: &str = "cache_hits_total";
const MISSES: &str = "cache_misses_total";
const EVICTED: &str = "evicted_keys_total";
/// "Now" is the last minute, or the last reading where they are further apart.
const NOW_MS: DurationMs = 60_000;
/// Readings are learnt once they are this old and nothing came of them.
const QUARANTINE_MS: DurationMs = 120_000;
/// Readings further apart say nothing of when it happened.
const GAP_MS: DurationMs = 600_000;
/// The normal: of this time at least ...
const LEARNT_MS_MIN: f64 = 120_000.0;
/// ... and of this many look-ups.
const LEARNT_LOOKUPS_MIN: f64 = 200.0;
/// Memory of the normal. Ratio and misses follow the hours of the day, which is no collapse; one is sudden.
const MEMORY_MS: f64 = 3_600_000.0;
/// Spread of the hit ratio from reading to reading before it is known, worth so many readings.
const SPREAD_PRIOR: f64 = 0.02;
const SPREAD_PRIOR_READINGS: f64 = 5.0;
/// Chance is refused at four sigma (the fall must be a large one too); from three on nothing is learnt.
const Z_MIN: f64 = 4.0;
const Z_DOUBT: f64 = 3.0;
/// A fall of the hit ratio by less is no collapse.
const FALL_MIN: f64 = 0.04;
/// Half of what it used to answer is one, whatever the misses were, ...
const HALF: f64 = 0.5;
/// ... if it used to answer this much.
const HALF_FALL_MIN: f64 = 0.15;
/// What comes through must have grown this much.
const MISSES_GROWTH_MIN: f64 = 1.5;
/// It is over below this factor of misses.
const OVER_FACTOR: f64 = 1.4;
/// After a day the new ratio is the normal one.
const ACCEPTED_MS: DurationMs = 86_400_000;
/// Traces of what happened are looked for this long before.
const TRACES_MS: DurationMs = 300_000;
/// Memory that falls by this share was emptied.
const MEMORY_FALL_MIN: f64 = 0.3;
/// Memory readings kept.
const MEMORY_READINGS_MAX: usize = 120;

/// Whether a metric makes its source a cache.
pub fn is_of_a_cache(metric: &str) -> bool {
    metric == HITS || metric == MISSES
}

/// A collapse, as of the newest reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Collapse {
    /// Since when.
    pub since: Timestamp,
    /// Share of look-ups answered now.
    pub hit_ratio: f64,
    /// The same normally.
    pub hit_ratio_normal: f64,
    /// Look-ups of now.
    pub lookups: u64,
    /// The time they took.
    pub span_ms: DurationMs,
    /// Misses a second now.
    pub misses_per_second: f64,
    /// The same normally.
    pub misses_per_second_normal: f64,
    /// When it restarted, if it did.
    pub restarted_at: Option<Timestamp>,
    /// Its memory before and after, in bytes, if it fell.
    pub memory_fell: Option<(f64, f64)>,
    /// Evictions a second now and normally, if they rose.
    pub evicted_per_second: Option<(f64, f64)>,
}

/// Counts between two readings.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    start: Timestamp,
    span_ms: DurationMs,
    hits: f64,
    misses: f64,
    evicted: f64,
}

/// Sums over steps.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    ms: f64,
    hits: f64,
    misses: f64,
    evicted: f64,
    steps: f64,
}

impl Sums {
    #[allow(clippy::cast_precision_loss)]
    fn add(&mut self, step: &Step) {
        self.ms += step.span_ms as f64;
        self.hits += step.hits;
        self.misses += step.misses;
        self.evicted += step.evicted;
        self.steps += 1.0;
    }

    #[allow(clippy::cast_precision_loss)]
    fn fade(&mut self, span_ms: DurationMs) {
        let keep = (1.0 - span_ms as f64 / MEMORY_MS).max(0.0);
        for sum in [&mut self.ms, &mut self.hits, &mut self.misses, &mut self.evicted, &mut self.steps] {
            *sum *= keep;
        }
    }

    fn lookups(&self) -> f64 {
        self.hits + self.misses
    }

    fn hit_ratio(&self) -> f64 {
        if self.lookups() > 0.0 { self.hits / self.lookups() } else { 0.0 }
    }

    fn per_second(&self, count: f64) -> f64 {
        if self.ms > 0.0 { count / (self.ms / 1_000.0) } else { 0.0 }
    }
}

/// A counter that may start anew.
#[derive(Debug, Default)]
struct Counter(Option<f64>);

impl Counter {
    /// How far it went up since the last reading; one that went down started from zero (as in Prometheus).
    fn increase(&mut self, reading: Option<SignalCell>) -> f64 {
        let Some(reading) = reading else { return 0.0 };
        let Some(before) = self.0.replace(reading.last) else { return 0.0 };
        let reset = reading.last < before || reading.min < before;
        (if reset { reading.last } else { reading.last - before }).clamp(0.0, 1e15)
    }
}

/// What is known of a cache.
#[derive(Debug, Default)]
pub struct Cache {
    hits: Counter,
    misses: Counter,
    evicted: Counter,
    uptime_seconds: Option<f64>,
    restarted_at: Option<Timestamp>,
    memory: VecDeque<(Timestamp, f64)>,
    steps: VecDeque<Step>,
    normal: Sums,
    spread_squares: f64,
    spread_steps: f64,
    counted_at: Option<Timestamp>,
    collapse: Option<Collapse>,
    doubtful: bool,
    last_seen: Timestamp,
}

impl Cache {
    /// Takes in the readings of a window.
    pub fn push(&mut self, window: &ClosedWindow, cells: &[(&str, SignalCell)], spec: &CacheCollapseSpec) {
        self.last_seen = window.end;
        let read = |name: &str| cells.iter().find(|(metric, _)| *metric == name).map(|(_, cell)| *cell);
        self.trace(window, read(metric::UPTIME_SECONDS), read(metric::MEMORY_USED_BYTES));
        let (hits, misses) = (read(HITS), read(MISSES));
        if hits.is_none() && misses.is_none() {
            return;
        }
        let before = self.counted_at.replace(window.start);
        let step = Step {
            start: window.start,
            span_ms: before.map_or(0, |before| window.start.since(before)),
            hits: self.hits.increase(hits),
            misses: self.misses.increase(misses),
            evicted: self.evicted.increase(read(EVICTED)),
        };
        if (1..=GAP_MS).contains(&step.span_ms) {
            self.steps.push_back(step);
            self.judge(window, spec);
        }
        while self.steps.front().is_some_and(|old| window.start.since(old.start) >= QUARANTINE_MS) {
            if let Some(old) = self.steps.pop_front() {
                self.learn(&old);
            }
        }
    }

    /// The collapse, if there is one.
    pub fn collapse(&self) -> Option<&Collapse> {
        self.collapse.as_ref()
    }

    /// When it last reported.
    pub fn last_seen(&self) -> Timestamp {
        self.last_seen
    }

    fn trace(&mut self, window: &ClosedWindow, uptime: Option<SignalCell>, memory: Option<SignalCell>) {
        if let Some(uptime) = uptime
            && self.uptime_seconds.replace(uptime.last).is_some_and(|before| uptime.min < before)
        {
            self.restarted_at = Some(window.start);
        }
        if let Some(memory) = memory {
            self.memory.push_back((window.start, memory.last));
        }
        let old = |(at, _): &(Timestamp, f64)| window.start.since(*at) > 2 * TRACES_MS;
        while self.memory.front().is_some_and(old) || self.memory.len() > MEMORY_READINGS_MAX {
            self.memory.pop_front();
        }
    }

    fn learn(&mut self, old: &Step) {
        if self.collapse.is_some() || self.doubtful {
            return;
        }
        let lookups = old.hits + old.misses;
        if lookups > 0.0 && self.normal.lookups() > 0.0 {
            self.spread_squares += (old.hits / lookups - self.normal.hit_ratio()).powi(2);
            self.spread_steps += 1.0;
        }
        self.normal.fade(old.span_ms);
        self.normal.add(old);
    }

    fn now(&self, end: Timestamp) -> Sums {
        let mut now = Sums::default();
        for (i, step) in self.steps.iter().rev().enumerate() {
            if i > 0 && end.since(step.start) > NOW_MS {
                break;
            }
            now.add(step);
        }
        now
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // counts, spans
    fn judge(&mut self, window: &ClosedWindow, spec: &CacheCollapseSpec) {
        let now = self.now(window.end);
        if self.normal.ms < LEARNT_MS_MIN || self.normal.lookups() < LEARNT_LOOKUPS_MIN {
            return;
        }
        let (ratio, normal) = (now.hit_ratio(), self.normal.hit_ratio());
        let z = (normal - ratio) / self.spread(&now).max(1e-9);
        self.doubtful = z >= Z_DOUBT;
        let factor = (1.0 - ratio) / (1.0 - normal).max(1e-6);
        let growth = now.per_second(now.misses) / self.normal.per_second(self.normal.misses).max(1e-9);
        let since = self.collapse.as_ref().map(|collapse| collapse.since);
        let holds = match since {
            Some(since) if window.end.since(since) >= ACCEPTED_MS => {
                *self = Self { last_seen: self.last_seen, counted_at: self.counted_at, ..Self::default() };
                return;
            }
            Some(_) => factor >= OVER_FACTOR.min(spec.misses_factor_min) || ratio <= HALF * normal,
            None => {
                let fell = factor >= spec.misses_factor_min && normal - ratio >= FALL_MIN;
                let halved = ratio <= HALF * normal && normal - ratio >= HALF_FALL_MIN;
                let enough = now.lookups() >= spec.lookups_min as f64;
                enough && z >= Z_MIN && growth >= MISSES_GROWTH_MIN && (fell || halved)
            }
        };
        let collapse = holds.then(|| Collapse {
            since: since.unwrap_or_else(|| self.onset(normal)),
            hit_ratio: ratio,
            hit_ratio_normal: normal,
            lookups: now.lookups().round() as u64,
            span_ms: now.ms as DurationMs,
            misses_per_second: now.per_second(now.misses),
            misses_per_second_normal: self.normal.per_second(self.normal.misses),
            restarted_at: None,
            memory_fell: None,
            evicted_per_second: None,
        });
        self.collapse = collapse.map(|collapse| self.with_traces(collapse, &now));
    }

    /// Standard deviation of the hit ratio of now: of counting, and of what it is known to vary by from reading to reading.
    fn spread(&self, now: &Sums) -> f64 {
        let normal = self.normal.hit_ratio();
        let counting = normal * (1.0 - normal) / now.lookups().max(1.0);
        let between = (self.spread_squares + SPREAD_PRIOR_READINGS * SPREAD_PRIOR.powi(2))
            / (self.spread_steps + SPREAD_PRIOR_READINGS);
        // Readings depend on each other: their mean varies by more than independent ones' would.
        (counting + between / now.steps.max(1.0).sqrt()).sqrt()
    }

    /// The first of the last readings in a row that were clearly below the normal.
    fn onset(&self, normal: f64) -> Timestamp {
        let newest = self.steps.back().copied().unwrap_or_default();
        let low = |step: &&Step| step.hits < (normal - FALL_MIN / 2.0) * (step.hits + step.misses);
        let first = self.steps.iter().rev().take_while(low).last().copied().unwrap_or(newest);
        first.start.plus(-first.span_ms)
    }

    fn with_traces(&self, mut collapse: Collapse, now: &Sums) -> Collapse {
        let near = |at: Timestamp| at >= collapse.since.plus(-TRACES_MS);
        collapse.restarted_at = self.restarted_at.filter(|at| near(*at));
        let before = self.memory.iter().filter(|(at, _)| near(*at)).map(|(_, used)| *used).fold(0.0, f64::max);
        if let Some((_, after)) = self.memory.back().filter(|(_, used)| *used <= (1.0 - MEMORY_FALL_MIN) * before) {
            collapse.memory_fell = Some((before, *after));
        }
        let (evicts, normally) = (now.per_second(now.evicted), self.normal.per_second(self.normal.evicted));
        if evicts > 2.0 * normally && evicts >= 1.0 {
            collapse.evicted_per_second = Some((evicts, normally));
        }
        collapse
    }
}
