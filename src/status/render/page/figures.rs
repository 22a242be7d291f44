//! Sums of days.

use crate::model::DurationMs;
use crate::status::{DayView, uptime};

/// What several days come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figures {
    /// Share of the time that is known; none where nothing is.
    pub uptime: Option<f64>,
    /// Requests.
    pub requests: u64,
    failures: u64,
    /// Of the time that passed, how much nobody knows.
    pub unknown_ms: DurationMs,
}

impl Figures {
    /// Of `days`.
    pub fn of(days: &[DayView]) -> Self {
        Self {
            uptime: uptime::share(days),
            requests: days.iter().map(|day| day.requests).sum(),
            failures: days.iter().map(|day| day.failures).sum(),
            unknown_ms: days.iter().map(|day| day.unknown_ms).sum(),
        }
    }

    /// Share of requests that succeeded; none without requests.
    pub fn success(&self) -> Option<f64> {
        (self.requests > 0).then(|| 1.0 - self.failures as f64 / self.requests as f64)
    }
}
