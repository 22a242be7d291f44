//! Failures that wait for a repeat, of one stream: a request that comes soon after one is taken for its repeat.

use super::demand::seconds;
use crate::model::{DurationMs, Timestamp};

/// Failures that wait at once; a client with more at once has enough of them to show how it repeats.
const WAITING_MAX: usize = 16;
/// Numbers of attempts above this are not told apart.
const ATTEMPT_MAX: u8 = 4;
/// Attempts of a well-behaved client (see `ATTEMPTS_COMPLIANT_MAX`).
const COMPLIANT_MAX: u8 = 3;

#[derive(Debug, Clone, Copy)]
struct Waiting {
    at: Timestamp,
    attempt: u8,
}

/// What happened in a span.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Links {
    /// Requests after no failure.
    pub firsts: u64,
    /// Requests soon after a failure.
    pub resends: u64,
    /// Of these, beyond the third of their chain.
    pub beyond_budget: u64,
    /// Seconds in which a request would have been taken for a repeat.
    pub resend_s: f64,
    /// Seconds in which a request would have been taken for a fourth or later attempt.
    pub beyond_s: f64,
    /// Requests while no failure was recent, repeated or not: surely nobody's repeats.
    pub clear_firsts: u64,
    /// Seconds without a recent failure.
    pub clear_s: f64,
}

/// The failures of one stream that wait for a repeat.
#[derive(Debug, Clone)]
pub struct Chain {
    waiting: Vec<Waiting>,
    until: Timestamp,
    /// Until when the newest failure is recent.
    recent_until: Option<Timestamp>,
}

impl Chain {
    /// None waits.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self { waiting: Vec::new(), until: start, recent_until: None }
    }

    /// Takes in the requests (time, failed) of a window up to `end`, in order of time. `patience_ms`: a later request is
    /// no repeat.
    ///
    /// Of several failures the one with the fewest attempts is answered first. So as few requests as possible are beyond
    /// the third attempt; chance does not make a culprit of a busy client.
    pub fn follow(&mut self, requests: &[(Timestamp, bool)], end: Timestamp, patience_ms: DurationMs) -> Links {
        let mut links = Links::default();
        for (at, failed) in requests {
            self.wait_until(*at, patience_ms, &mut links);
            let attempt = self.answer().map_or(1, |attempt| (attempt + 1).min(ATTEMPT_MAX));
            links.firsts += u64::from(attempt == 1);
            links.clear_firsts += u64::from(self.recent_until.is_none_or(|until| until <= *at));
            links.resends += u64::from(attempt > 1);
            links.beyond_budget += u64::from(attempt > COMPLIANT_MAX);
            if *failed {
                self.recent_until = Some(at.plus(patience_ms));
            }
            if *failed && self.waiting.len() < WAITING_MAX {
                self.waiting.push(Waiting { at: *at, attempt });
            }
        }
        self.wait_until(end, patience_ms, &mut links);
        links
    }

    /// Whether no failure waits any more, and none was lately.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.recent_until.is_none_or(|until| until <= self.until)
    }

    /// Counts the time until `at`, and forgets failures that nobody repeats any more.
    fn wait_until(&mut self, at: Timestamp, patience_ms: DurationMs, links: &mut Links) {
        let last = |wanted: fn(u8) -> bool| {
            let those = self.waiting.iter().filter(|waiting| wanted(waiting.attempt));
            those
                .map(|waiting| waiting.at.plus(patience_ms))
                .max()
                .unwrap_or(self.until)
                .clamp(self.until, at.max(self.until))
        };
        let within_budget = last(|attempt| attempt < COMPLIANT_MAX);
        let beyond = last(|attempt| attempt >= COMPLIANT_MAX);
        links.resend_s += seconds(within_budget.max(beyond).since(self.until));
        links.beyond_s += seconds(beyond.since(within_budget).max(0));
        let clear_from = self.recent_until.map_or(self.until, |until| until.max(self.until));
        links.clear_s += seconds(at.since(clear_from).max(0));
        self.waiting.retain(|waiting| waiting.at.plus(patience_ms) > at);
        self.until = self.until.max(at);
    }

    fn answer(&mut self) -> Option<u8> {
        let place = (0..self.waiting.len()).min_by_key(|i| (self.waiting[*i].attempt, self.waiting[*i].at))?;
        Some(self.waiting.remove(place).attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_chain_counts_attempts_and_ends_with_success() {
        let mut chain = Chain::new(at(0));
        let tries = [(0, true), (1_000, true), (2_000, true), (3_000, true), (4_000, false)];
        let requests: Vec<_> = tries.iter().map(|(ms, failed)| (at(*ms), *failed)).collect();
        let links = chain.follow(&requests, at(5_000), 10_000);
        assert_eq!((links.firsts, links.resends, links.beyond_budget), (1, 4, 2));
        assert!((links.resend_s - 4.0).abs() < 1e-9 && (links.beyond_s - 2.0).abs() < 1e-9, "{links:?}");
        assert!(!chain.is_over(), "a failure is recent");
        assert_eq!(chain.follow(&[], at(13_000), 10_000).resends, 0);
        assert!(chain.is_over());
    }

    #[test]
    fn a_failure_that_nobody_repeats_is_waited_for_no_longer_than_patience() {
        let mut chain = Chain::new(at(0));
        let links = chain.follow(&[(at(1_000), true)], at(5_000), 10_000);
        assert!((links.resend_s - 4.0).abs() < 1e-9);
        let links = chain.follow(&[(at(60_000), true)], at(65_000), 10_000);
        assert!((links.resend_s - 6.0 - 5.0).abs() < 1e-9, "{links:?}");
        assert_eq!((links.firsts, links.resends), (1, 0));
    }
}
