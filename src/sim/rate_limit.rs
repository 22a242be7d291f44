//! A limit at the gateway: requests of one subscription in one minute.

use super::plan::micros;
use super::scenario::RateLimitSpec;
use super::schedule::{Micros, SECOND_US};

/// Counts of the current minute, by subscription.
#[derive(Debug)]
pub(super) struct RateLimit {
    from_us: Micros,
    requests_max: u32,
    /// Minute and count, by subscription index.
    counts: Vec<(i64, u32)>,
}

impl RateLimit {
    pub(super) fn new(spec: &RateLimitSpec, subscriptions: usize) -> Self {
        let counts = vec![(i64::MIN, 0); subscriptions];
        Self { from_us: micros(spec.from), requests_max: spec.requests_per_minute, counts }
    }

    /// Counts a request and says whether it may pass.
    pub(super) fn admit(&mut self, subscription: usize, now_us: Micros) -> bool {
        let minute = now_us.div_euclid(60 * SECOND_US);
        let (counted_minute, count) = &mut self.counts[subscription];
        if *counted_minute != minute {
            (*counted_minute, *count) = (minute, 0);
        }
        *count = count.saturating_add(1);
        now_us < self.from_us || *count <= self.requests_max
    }
}
