//! What is remembered of one level of harm: since when it may be reached, and since when it is not.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::machine::{LOOKBACK_MS, SPAN_MS};
use super::{ComponentState, Figures};
use crate::config::{ComponentConfig, ThresholdConfig};
use crate::flow::ratio;
use crate::model::{DurationMs, Timestamp};

/// Pauses between good requests count as good up to this: with a request a minute, an outage ends as well.
const PAUSE_MS_MAX: DurationMs = 60_000;
/// Degraded, out in part, out.
pub const LEVELS: usize = 3;

/// The state of a level, the least bad first.
pub fn state_of(level: usize) -> ComponentState {
    match level {
        0 => ComponentState::DegradedPerformance,
        1 => ComponentState::PartialOutage,
        _ => ComponentState::MajorOutage,
    }
}

/// From what on a level is reached.
pub fn threshold(config: &ComponentConfig, level: usize) -> &ThresholdConfig {
    match level {
        0 => &config.degraded,
        1 => &config.partial,
        _ => &config.major,
    }
}

/// Whether the counts reach it.
pub fn reaches(threshold: &ThresholdConfig, figures: &Figures) -> bool {
    reaches_by(1, threshold, figures)
}

/// Whether they do with so many requests that failed, or that were slow, at least.
pub fn reaches_by(bad_min: u64, threshold: &ThresholdConfig, figures: &Figures) -> bool {
    let reaches = |part: u64, from: f64| part >= bad_min && ratio(part, figures.requests) >= from;
    let is_slow = threshold.slow.is_some_and(|slow| reaches(figures.slow, slow));
    figures.requests > 0 && (reaches(figures.failures, threshold.failing) || is_slow)
}

/// A window of one component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// First moment.
    pub start: Timestamp,
    /// First moment after it.
    pub end: Timestamp,
    /// Its counts.
    pub figures: Figures,
}

/// The windows that are judged together, the oldest first; those without a request are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Span {
    tallies: VecDeque<Tally>,
    total: Figures,
}

impl Span {
    /// Takes in a window, and lets go of those that are not needed beside it.
    pub fn push(&mut self, tally: Tally, requests_min: u64) {
        self.total.add(&tally.figures);
        self.tallies.push_back(tally);
        self.prune(tally.end, requests_min);
    }

    /// Lets go of windows that are too old at `end`, or not needed.
    pub fn prune(&mut self, end: Timestamp, requests_min: u64) {
        while let Some(oldest) = self.tallies.front() {
            let is_old = end.since(oldest.start) > LOOKBACK_MS && end > oldest.end;
            let is_spare = self.tallies.get(1).is_some_and(|next| end.since(next.start) >= SPAN_MS)
                && self.total.requests - oldest.figures.requests >= requests_min;
            if !is_old && !is_spare {
                break;
            }
            self.total.subtract(&oldest.figures);
            self.tallies.pop_front();
        }
    }

    /// All of its counts.
    pub fn total(&self) -> Figures {
        self.total
    }

    /// Start of the oldest window.
    pub fn start(&self) -> Option<Timestamp> {
        self.tallies.front().map(|tally| tally.start)
    }

    /// The oldest window that reaches the threshold alone.
    pub fn first_bad(&self, threshold: &ThresholdConfig) -> Option<&Tally> {
        self.tallies.iter().find(|tally| reaches(threshold, &tally.figures))
    }

    /// How long nothing came before the newest window.
    fn pause_before_last_ms(&self) -> DurationMs {
        let (last, before) = (self.tallies.len().checked_sub(1), self.tallies.len().checked_sub(2));
        let tally = |place: Option<usize>| self.tallies.get(place?);
        tally(last).zip(tally(before)).map_or(0, |(last, before)| last.start.since(before.end))
    }

    /// The newest one.
    fn last_bad(&self, threshold: &ThresholdConfig) -> Option<&Tally> {
        self.tallies.iter().rev().find(|tally| reaches(threshold, &tally.figures))
    }

    /// Counts and length of the windows from `from` on.
    fn since(&self, from: Timestamp) -> (Figures, DurationMs) {
        let (mut figures, mut length_ms) = (Figures::default(), 0);
        for tally in self.tallies.iter().filter(|tally| tally.start >= from) {
            figures.add(&tally.figures);
            length_ms += tally.end.since(tally.start);
        }
        (figures, length_ms)
    }
}

/// It may be that bad since then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rise {
    /// Start of the first window that was.
    pub since: Timestamp,
    /// What was counted from then on.
    pub figures: Figures,
    /// When it was last judged to be.
    seen: Timestamp,
}

/// One level.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Level {
    /// It may have been reached.
    pub rise: Option<Rise>,
    /// It was last judged not to be reached.
    pub is_good: bool,
    /// For how long without a break, as far as requests show it.
    pub good_ms: DurationMs,
    /// End of the last window that reached it alone, of those that were judged to.
    pub bad_until: Option<Timestamp>,
    /// What was counted from then on.
    pub after_bad: Figures,
}

impl Level {
    /// Takes in a window that has requests; `is_bad` is absent where they are too few.
    pub fn take(&mut self, is_bad: Option<bool>, tally: &Tally, span: &Span, threshold: &ThresholdConfig) {
        match is_bad {
            Some(true) => {
                let until = span.last_bad(threshold).map_or(tally.end, |bad| bad.end);
                self.bad_until = Some(until);
                (self.after_bad, self.good_ms) = (span.since(until).0, 0);
                self.is_good = false;
            }
            Some(false) if !self.is_good => {
                let until = self.bad_until.unwrap_or(tally.start);
                (self.after_bad, self.good_ms) = span.since(until);
                self.is_good = true;
            }
            Some(false) => {
                self.good_ms += tally.end.since(tally.start) + span.pause_before_last_ms().min(PAUSE_MS_MAX);
                self.after_bad.add(&tally.figures);
            }
            None => self.after_bad.add(&tally.figures),
        }
    }

    /// Watches whether a level above the state is being reached.
    pub fn watch(
        &mut self,
        is_bad: Option<bool>,
        tally: &Tally,
        span: &Span,
        threshold: &ThresholdConfig,
        patience_ms: DurationMs,
    ) {
        if let Some(rise) = &mut self.rise {
            rise.figures.add(&tally.figures);
            if is_bad == Some(true) {
                rise.seen = tally.end;
            }
            let is_over = is_bad == Some(false) && tally.end.since(rise.seen) >= patience_ms;
            if is_over || !reaches(threshold, &rise.figures) {
                self.rise = None;
            }
        }
        if is_bad == Some(true) && self.rise.is_none() {
            let since = span.first_bad(threshold).map_or(tally.start, |bad| bad.start);
            self.rise = Some(Rise { since, figures: span.since(since).0, seen: tally.end });
        }
    }
}
