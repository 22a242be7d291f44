//! Sums of days.

use crate::model::DurationMs;
use crate::status::DayView;

/// How much of a partial outage counts as down.
const PARTIAL_SHARE: f64 = 0.3;

/// What several days come to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Figures {
    known_ms: DurationMs,
    lost_ms: f64,
    /// Requests.
    pub requests: u64,
    failures: u64,
    /// Of the time that passed, how much nobody knows.
    pub unknown_ms: DurationMs,
}

impl Figures {
    /// Of `days`.
    pub fn of(days: &[DayView]) -> Self {
        days.iter().fold(Self::default(), |sums, day| Self {
            known_ms: sums.known_ms + (day.elapsed_ms - day.maintenance_ms - day.unknown_ms).max(0),
            lost_ms: sums.lost_ms + day.major_ms as f64 + PARTIAL_SHARE * day.partial_ms as f64,
            requests: sums.requests + day.requests,
            failures: sums.failures + day.failures,
            unknown_ms: sums.unknown_ms + day.unknown_ms,
        })
    }

    /// 1 − (major + 0.3 · partial) / (elapsed − maintenance − unknown); none where nothing is known.
    pub fn uptime(&self) -> Option<f64> {
        (self.known_ms > 0).then(|| (1.0 - self.lost_ms / self.known_ms as f64).clamp(0.0, 1.0))
    }

    /// Share of requests that succeeded; none without requests.
    pub fn success(&self) -> Option<f64> {
        (self.requests > 0).then(|| 1.0 - self.failures as f64 / self.requests as f64)
    }
}
