//! Failed and all requests over time, exactly: by the minute for hours, by the hour for a month. Bounded, no decay.

use std::collections::VecDeque;

use crate::model::{DurationMs, Timestamp};

const MINUTE_MS: DurationMs = 60_000;
const HOUR_MS: DurationMs = 3_600_000;
/// The month that an objective is about.
pub const MONTH_MS: DurationMs = 30 * 24 * HOUR_MS;

/// Failures and requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Requests that count as failed.
    pub failures: u64,
    /// All requests.
    pub requests: u64,
}

impl Sums {
    /// Adds another sum.
    pub fn add(&mut self, other: Self) {
        self.failures += other.failures;
        self.requests += other.requests;
    }
}

/// Sums by a fixed step, the oldest forgotten.
#[derive(Debug, Default)]
struct Ring(VecDeque<(Timestamp, Sums)>);

impl Ring {
    fn push(&mut self, at: Timestamp, sums: Sums, step_ms: DurationMs, keep_ms: DurationMs) {
        let start = at.window_start(step_ms);
        match self.0.back_mut().filter(|(last, _)| *last == start) {
            Some((_, last)) => last.add(sums),
            None => self.0.push_back((start, sums)),
        }
        while self.0.front().is_some_and(|(first, _)| at.since(*first) >= keep_ms) {
            self.0.pop_front();
        }
    }

    fn sum(&self, end: Timestamp, span_ms: DurationMs) -> Sums {
        let mut sums = Sums::default();
        let within = self.0.iter().rev().take_while(|(start, _)| end.since(*start) <= span_ms);
        within.for_each(|(_, step)| sums.add(*step));
        sums
    }
}

/// One subject's requests over a month: 720 hours, and optionally minutes.
#[derive(Debug, Default)]
pub struct OutcomeSums {
    minutes: Ring,
    hours: Ring,
    minutes_ms: DurationMs,
    first: Option<Timestamp>,
}

impl OutcomeSums {
    /// Nothing counted yet. Spans up to `minutes_ms` are exact to the minute, longer ones to the hour.
    #[must_use]
    pub fn new(minutes_ms: DurationMs) -> Self {
        Self { minutes_ms, ..Self::default() }
    }

    /// Counts requests at a moment.
    pub fn push(&mut self, at: Timestamp, sums: Sums) {
        self.first.get_or_insert(at);
        if self.minutes_ms > 0 {
            self.minutes.push(at, sums, MINUTE_MS, self.minutes_ms);
        }
        self.hours.push(at, sums, HOUR_MS, MONTH_MS);
    }

    /// Sums of the `span_ms` before `end`.
    #[must_use]
    pub fn sums(&self, end: Timestamp, span_ms: DurationMs) -> Sums {
        if span_ms <= self.minutes_ms { self.minutes.sum(end, span_ms) } else { self.hours.sum(end, span_ms) }
    }

    /// How long ago counting began, at most a month.
    #[must_use]
    pub fn age_ms(&self, end: Timestamp) -> DurationMs {
        self.first.map_or(0, |first| end.since(first)).clamp(0, MONTH_MS)
    }

    /// The hours of the last month, oldest first, the one that is not over included.
    pub fn hours(&self) -> impl Iterator<Item = Sums> {
        self.hours.0.iter().map(|(_, sums)| *sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_exact_and_bounded() {
        let mut sums = OutcomeSums::new(6 * HOUR_MS);
        let start = Timestamp::from_millis(1_700_006_400_000);
        for minute in 0..40 * 1_440 {
            sums.push(start.plus(minute * MINUTE_MS), Sums { failures: 1, requests: 500 });
        }
        let end = start.plus(40 * 1_440 * MINUTE_MS);
        assert_eq!(sums.sums(end, HOUR_MS).requests, 60 * 500);
        assert_eq!(sums.sums(end, MONTH_MS), Sums { failures: 30 * 1_440, requests: 30 * 1_440 * 500 });
        assert_eq!((sums.hours.0.len(), sums.minutes.0.len()), (720, 360));
    }
}
