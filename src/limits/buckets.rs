//! The busiest second or minute of a stream that is nearly in order.

use std::collections::BTreeMap;

use crate::model::{DurationMs, Timestamp};

/// Buckets that may still grow: ten minutes of seconds. A log is out of order by less; one clock far ahead takes one of
/// them and disturbs nobody.
const OPEN_MAX: usize = 600;

/// Requests in the busiest bucket, and when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Peak {
    pub(super) requests: u64,
    pub(super) at: Timestamp,
}

/// Requests before and after a limit, by second or minute.
#[derive(Debug, Clone)]
pub(super) struct Buckets {
    width_ms: DurationMs,
    open: BTreeMap<i64, (u64, u64)>,
    before: Peak,
    after: Peak,
}

impl Buckets {
    pub(super) fn new(width_ms: DurationMs) -> Self {
        Self { width_ms, open: BTreeMap::new(), before: Peak::default(), after: Peak::default() }
    }

    /// Counts requests at a moment: how many there were, and how many would have been let pass.
    pub(super) fn add(&mut self, at: Timestamp, before: u64, after: u64) {
        let bucket = self.open.entry(at.as_millis().div_euclid(self.width_ms)).or_default();
        bucket.0 += before;
        bucket.1 += after;
        if self.open.len() > OPEN_MAX
            && let Some((number, counts)) = self.open.pop_first()
        {
            self.close(number, counts);
        }
    }

    fn close(&mut self, number: i64, (before, after): (u64, u64)) {
        let at = Timestamp::from_millis(number.saturating_mul(self.width_ms));
        for (peak, requests) in [(&mut self.before, before), (&mut self.after, after)] {
            if requests > peak.requests {
                *peak = Peak { requests, at };
            }
        }
    }

    /// The busiest before and after.
    pub(super) fn peaks(mut self) -> (Peak, Peak) {
        for (number, counts) in std::mem::take(&mut self.open) {
            self.close(number, counts);
        }
        (self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_far_ahead_disturbs_nobody() {
        let mut buckets = Buckets::new(1_000);
        let at = Timestamp::from_millis;
        buckets.add(at(9_000_000_000), 1, 1);
        for second in 0..2_000 {
            buckets.add(at(second * 1_000), 2, 1);
            buckets.add(at(second * 1_000 + 7), u64::from(second == 1_500), 0);
        }
        let (before, after) = buckets.peaks();
        assert_eq!((before, after), (Peak { requests: 3, at: at(1_500_000) }, Peak { requests: 1, at: at(0) }));
    }
}
