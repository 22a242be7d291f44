//! What became of the statements of a trial.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

/// Times kept of one kind of statement, and no more: a trial of hours stays small.
const DURATIONS_MAX: usize = 200_000;

/// What became of statements of one kind.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Share {
    /// Sent.
    pub sent: u64,
    /// Answered with success.
    pub succeeded: u64,
    /// Failed, by ClickHouse's exception code; 0: no connection.
    pub failed: BTreeMap<u32, u64>,
    /// Turned away by the guard, with its own words.
    pub refused: u64,
    /// Milliseconds of those that succeeded.
    #[serde(skip)]
    durations_ms: Vec<f64>,
}

impl Share {
    /// Counts a success.
    pub fn succeed(&mut self, took: Duration) {
        self.sent += 1;
        self.succeeded += 1;
        if self.durations_ms.len() < DURATIONS_MAX {
            self.durations_ms.push(took.as_secs_f64() * 1e3);
        }
    }

    /// Counts a failure.
    pub fn fail(&mut self, code: u32) {
        self.sent += 1;
        *self.failed.entry(code).or_default() += 1;
    }

    /// Counts a refusal.
    pub fn refuse(&mut self) {
        self.sent += 1;
        self.refused += 1;
    }

    /// Failures of all codes.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// The duration in milliseconds that `share` of the successes did not exceed (nearest rank). `None` without any.
    #[must_use]
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let mut sorted = self.durations_ms.clone();
        sorted.sort_by(f64::total_cmp);
        // Truncation is meant: at most DURATIONS_MAX.
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied()
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: Share) {
        self.sent += other.sent;
        self.succeeded += other.succeeded;
        self.refused += other.refused;
        for (code, count) in other.failed {
            *self.failed.entry(code).or_default() += count;
        }
        let room = DURATIONS_MAX.saturating_sub(self.durations_ms.len());
        self.durations_ms.extend(other.durations_ms.into_iter().take(room));
    }
}

/// What became of all statements of a run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tally {
    /// Dashboards.
    pub dashboards: Share,
    /// Inserts.
    pub inserts: Share,
    /// Reports of the bad release.
    pub reports: Share,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_successes() {
        let mut share = Share::default();
        assert_eq!(share.quantile_ms(0.95), None);
        for ms in 1..=100 {
            share.succeed(Duration::from_millis(ms));
        }
        share.fail(241);
        assert_eq!(share.quantile_ms(0.95).map(f64::round), Some(95.0));
        assert_eq!((share.sent, share.failures()), (101, 1));
    }
}
