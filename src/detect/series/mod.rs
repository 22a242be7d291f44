//! Anomalies in one series of numbers, online: one pass, no look-ahead, no settings for a single series.
//!
//! Nine statistics look at each value: how high and how low it is, its step, two level shifts, the change of spread, two
//! novelties of the recent shape, and how far it is from everything seen at this time of day. Each is told as surprise,
//! `−log10` of its own tail in this series ([`Tail`]); what exceeds one in ten is added up; [`Episodes`] makes one alert of
//! what belongs together. Memory is bounded: under 1 MiB a series, whatever its length.

mod counter;
mod episodes;
mod interval;
mod novelty;
mod season;
mod sorted;
mod statistics;
mod tail;

use counter::Counter;
use episodes::Episodes;
use interval::Interval;
use statistics::{STATISTICS, Statistics};
use tail::Tail;

/// Greatest magnitude that is told apart: squares of differences stay finite.
const VALUE_MAX: f64 = 1e100;
/// How many values each tail remembers: two weeks of 5-minute values. Longer was not better, and costs time.
const HISTORY_VALUES_MAX: usize = 4_096;
/// Surprise below this is every tenth value: no evidence.
const SURPRISE_USUAL: f64 = 1.0;
/// Values until which there is no evidence, and from which on it counts in full.
const WARM_UP_VALUES: (f64, f64) = (50.0, 150.0);
/// So many values of a series are only learnt from: none of them can be an alert.
pub const VALUES_LEARNT: usize = WARM_UP_VALUES.0 as usize + 1;
/// Evidence that is scored 0.5: two statistics at one in 5,600, or five at one in 130.
const EVIDENCE_HALF: f64 = 5.5;

/// Values that come ten times as often as every five minutes need this much more evidence (one in ten for each of three
/// statistics, as many as usually speak together), rarer ones less: what matters is the false alarms of a day.
const EVIDENCE_A_DECADE: f64 = 3.0;
const INTERVAL_MS: f64 = 300_000.0;
/// Beyond an hour nothing is taken off any more: rare values are few to learn from, too.
const INTERVAL_MS_MAX: f64 = 3_600_000.0;

/// What a user may choose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeriesOptions {
    /// Score from which on a row is an alert, between 0 and 1 (exclusive).
    pub alert_score: f64,
}

impl Default for SeriesOptions {
    fn default() -> Self {
        Self { alert_score: 0.5 }
    }
}

/// What the detector says of a value.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Verdict {
    /// Between 0 (usual, or not known yet) and 1, rounded to 6 digits.
    pub score: f64,
    /// An episode begins here, or becomes much worse.
    pub alert: bool,
}

/// The detector of one series.
#[derive(Debug, Clone)]
pub struct SeriesDetector {
    options: SeriesOptions,
    interval: Interval,
    counter: Counter,
    judge: Judge,
}

/// What has been learnt about values, or about a counter's increments.
#[derive(Debug, Clone)]
struct Judge {
    statistics: Statistics,
    tails: [Tail; STATISTICS],
    episodes: Episodes,
    values: u64,
}

impl SeriesDetector {
    /// A detector that knows nothing yet.
    #[must_use]
    pub fn new(options: SeriesOptions) -> Self {
        Self { options, interval: Interval::default(), counter: Counter::default(), judge: Judge::new() }
    }

    /// Takes in the next value and its time (milliseconds). Values count in order of arrival: a timestamp that is repeated
    /// or goes back is no error. A value that is not finite is missing: nothing is said of it, nothing is learnt.
    pub fn step(&mut self, timestamp_ms: i64, value: f64) -> Verdict {
        if !value.is_finite() {
            return Verdict::default();
        }
        let after_gap = self.interval.step(timestamp_ms);
        let taken = self.counter.step(value.clamp(-VALUE_MAX, VALUE_MAX));
        if taken.begins_anew {
            self.judge = Judge::new();
        }
        let Some(value) = taken.value else { return Verdict::default() };
        let moment = Moment { timestamp_ms, value, after_gap, interval_ms: self.interval.usual_ms() };
        self.judge.step(&moment, self.options.alert_score)
    }
}

/// A value and when it came.
#[derive(Debug, Clone, Copy)]
struct Moment {
    timestamp_ms: i64,
    value: f64,
    /// Much time has passed since the value before.
    after_gap: bool,
    /// The usual time between two values; absent while it is not known.
    interval_ms: Option<i64>,
}

impl Judge {
    fn new() -> Self {
        Self {
            statistics: Statistics::new(HISTORY_VALUES_MAX),
            tails: std::array::from_fn(|_| Tail::new(HISTORY_VALUES_MAX)),
            episodes: Episodes::default(),
            values: 0,
        }
    }

    fn step(&mut self, moment: &Moment, alert_score: f64) -> Verdict {
        let statistics = self.statistics.step(moment);
        let mut evidence = 0.0;
        for (statistic, tail) in statistics.into_iter().zip(&mut self.tails) {
            let surprise = statistic.map_or(0.0, |statistic| tail.surprise(statistic));
            evidence += (surprise - SURPRISE_USUAL).max(0.0);
        }
        let (from, full) = WARM_UP_VALUES;
        evidence *= ((self.values as f64 - from) / (full - from)).clamp(0.0, 1.0);
        self.values += 1;
        if evidence > 0.0
            && let Some(interval_ms) = moment.interval_ms
        {
            evidence = (evidence
                - EVIDENCE_A_DECADE * libm::log10(INTERVAL_MS / (interval_ms as f64).min(INTERVAL_MS_MAX)))
            .max(0.0);
        }
        let enough = EVIDENCE_HALF * alert_score / (1.0 - alert_score);
        let evidence = self.episodes.step(evidence, enough);
        let score = (1e6 * evidence / (evidence + EVIDENCE_HALF)).round() / 1e6;
        Verdict { score, alert: score >= alert_score }
    }
}
