//! One quantity of a hop (calls, or bytes answered): what of it is normal, and the evidence that now is not.
//!
//! Normal is learnt from the log itself: amount per request served over the last day, and amount per time over the last
//! hour, whichever allows more. So a caller that does more because it serves more is normal, and so is one that does the
//! same as ever while it serves less. Counts are over-dispersed: variance = μ + α·μ², α learnt too.

use crate::detect::statistics::cusum_threshold;
use crate::model::{DurationMs, Timestamp};

/// Amount per request served is remembered for this long: a day has every hour once.
const RATIO_MEMORY_MS: f64 = 86_400_000.0;
/// Amount per time follows the hours of the day.
const RATE_MEMORY_MS: f64 = 3_600_000.0;
/// Windows that must have been learnt before anything is judged, by time ...
const LEARNT_MS_MIN: f64 = 60_000.0;
/// ... and by amount (in calls): less is no normal.
const LEARNT_AMOUNT_MIN: f64 = 10.0;
/// Over-dispersion before anything is known: a coefficient of variation of 22 % beyond Poisson ...
const DISPERSION_PRIOR: f64 = 0.05;
/// ... worth this many windows.
const DISPERSION_PRIOR_WINDOWS: f64 = 12.0;
/// Bursts of a timer are that dispersed; beyond it a window says nothing any more.
const DISPERSION_MAX: f64 = 4.0;
/// Evidence is summed for "this many times the normal".
const ALARM_FACTOR: f64 = 2.0;
/// One false alarm a week over a thousand hops of five-second windows.
const RUNS_A_FALSE_ALARM: f64 = 1_000.0 * 120_960.0;
/// Expected amounts are at least this, so that one call where there are none usually is no evidence.
const EXPECTED_MIN: f64 = 0.5;

/// Learnt normal and evidence.
#[derive(Debug, Clone, Default)]
pub struct Measure {
    amount: f64,
    served: f64,
    rate_amount: f64,
    rate_ms: f64,
    learnt_ms: f64,
    squares: f64,
    squares_expected: f64,
    windows: f64,
    score: f64,
    since: Option<Timestamp>,
    fired: Option<Timestamp>,
}

/// What was seen of a quantity in one window.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// First moment of the window.
    pub start: Timestamp,
    /// Its length.
    pub span_ms: DurationMs,
    /// The amount.
    pub amount: f64,
    /// Requests that the amount is compared with.
    pub served: f64,
    /// What was expected then; nothing while too little was known.
    pub expected: Option<f64>,
}

/// The score at which chance is refused.
pub fn threshold() -> f64 {
    cusum_threshold(RUNS_A_FALSE_ALARM)
}

#[allow(clippy::cast_precision_loss)] // spans are far below 2^52 ms
fn faded(sum: f64, span_ms: DurationMs, memory_ms: f64) -> f64 {
    sum * (1.0 - span_ms as f64 / memory_ms).max(0.0)
}

impl Measure {
    /// What a window should hold, given the requests served in it; nothing while too little is known. `unit` is the
    /// amount of one call, `by_habit` an amount a millisecond that the caller is known for.
    #[allow(clippy::cast_precision_loss)]
    pub fn expected(&self, served: f64, span_ms: DurationMs, unit: f64, by_habit: f64) -> Option<f64> {
        if self.learnt_ms < LEARNT_MS_MIN || self.amount < LEARNT_AMOUNT_MIN * unit || self.rate_ms <= 0.0 {
            return None;
        }
        let by_served = if self.served > 0.0 { self.amount / self.served * served } else { 0.0 };
        let by_time = (self.rate_amount / self.rate_ms).max(by_habit) * span_ms as f64;
        Some(by_served.max(by_time).max(EXPECTED_MIN * unit))
    }

    /// Takes in the evidence of one window: log-likelihood ratio of negative binomials with mean 2μ and μ, summed and
    /// never below zero (Page, Biometrika 41, 1954). One window is at most `weight_max` of the way to an alarm.
    pub fn judge(&mut self, seen: &Seen, excused: f64, unit: f64, weight_max: f64) {
        let Some(expected) = seen.expected else { return };
        let (x, mean) = ((seen.amount - excused).max(0.0) / unit, expected / unit);
        let h = threshold();
        let r = 1.0 / self.dispersion(unit);
        let (now, alarm) = (r + mean, r + ALARM_FACTOR * mean);
        let evidence = x * (ALARM_FACTOR * now / alarm).ln() - r * (alarm / now).ln();
        self.score = (self.score + evidence.clamp(-h, weight_max * h)).clamp(0.0, 2.0 * h);
        if self.score <= 0.0 {
            self.since = None;
        } else if self.since.is_none() {
            self.since = Some(seen.start);
        }
        if self.score >= h {
            self.fired = self.fired.or(self.since);
        }
    }

    /// Over-dispersion α, what is not yet known of the normal itself included.
    fn dispersion(&self, unit: f64) -> f64 {
        let learnt = self.dispersion_learnt();
        learnt + unit / self.amount.max(unit) + learnt / self.windows.max(1.0)
    }

    /// α by moments, Σ((x−μ)² − x) / Σμ², drawn towards the prior while windows are few.
    fn dispersion_learnt(&self) -> f64 {
        let mean_square = if self.windows > 0.0 { self.squares_expected / self.windows } else { 1.0 };
        let prior = DISPERSION_PRIOR_WINDOWS * mean_square;
        let alpha = (self.squares + prior * DISPERSION_PRIOR) / (self.squares_expected + prior).max(1e-9);
        alpha.clamp(DISPERSION_PRIOR / 10.0, DISPERSION_MAX)
    }

    /// Learns a window that has turned out to be normal.
    #[allow(clippy::cast_precision_loss)]
    pub fn learn(&mut self, seen: &Seen, unit: f64) {
        let span = seen.span_ms;
        self.amount = faded(self.amount, span, RATIO_MEMORY_MS) + seen.amount;
        self.served = faded(self.served, span, RATIO_MEMORY_MS) + seen.served;
        self.rate_amount = faded(self.rate_amount, span, RATE_MEMORY_MS) + seen.amount;
        self.rate_ms = faded(self.rate_ms, span, RATE_MEMORY_MS) + span as f64;
        self.learnt_ms = (self.learnt_ms + span as f64).min(RATIO_MEMORY_MS);
        // What was not expected at the time is compared with what is now: the first windows are not lost.
        if let Some(expected) = seen.expected.or_else(|| self.expected(seen.served, span, unit, 0.0)) {
            let (x, mean) = (seen.amount / unit, expected / unit);
            self.squares = faded(self.squares, span, RATIO_MEMORY_MS) + (x - mean).powi(2) - x;
            self.squares_expected = faded(self.squares_expected, span, RATIO_MEMORY_MS) + mean.powi(2);
            self.windows = faded(self.windows, span, RATIO_MEMORY_MS) + 1.0;
        }
    }

    /// Whether windows from `start` on may belong to something abnormal, and must not be learnt.
    pub fn doubts(&self, start: Timestamp) -> bool {
        self.fired.is_some_and(|since| start >= since)
            || (self.score > threshold() / 3.0 && self.since.is_some_and(|since| start >= since))
    }

    /// Since when it is beyond chance, if it is.
    pub fn fired(&self) -> Option<Timestamp> {
        self.fired
    }

    /// It is over: the evidence begins anew.
    pub fn calm(&mut self) {
        self.fired = None;
        self.since = None;
        self.score = 0.0;
    }
}
