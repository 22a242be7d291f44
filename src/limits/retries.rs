//! Requests that clients would have sent again after a refusal.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::keys::KeyId;
use crate::model::{DurationMs, Timestamp};

/// Requests waiting to come again; further ones are given up.
pub const RETRIES_WAITING_MAX: usize = 200_000;
/// After this long a refused request comes again, each time it is refused: what most client libraries do.
const DELAYS_MS: [DurationMs; 3] = [1_000, 2_000, 4_000];

/// A request that comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Again {
    pub(super) at: Timestamp,
    pub(super) key: KeyId,
    /// How often it came again before.
    times: usize,
}

/// What waits, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    waiting: BinaryHeap<Reverse<Again>>,
    pub(super) given_up: u64,
}

impl Waiting {
    /// A request was refused at this moment: for the first time, or as it came again.
    pub(super) fn refused(&mut self, key: KeyId, at: Timestamp, before: Option<Again>) {
        let times = before.map_or(0, |again| again.times + 1);
        match DELAYS_MS.get(times) {
            Some(delay_ms) if self.waiting.len() < RETRIES_WAITING_MAX => {
                self.waiting.push(Reverse(Again { at: at.plus(*delay_ms), key, times }));
            }
            _ => self.given_up += 1,
        }
    }

    /// The next one that comes by `now`.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<Again> {
        let is_due = self.waiting.peek().is_some_and(|Reverse(again)| again.at <= now);
        if is_due { self.waiting.pop().map(|Reverse(again)| again) } else { None }
    }

    /// What never came, because the log ended.
    pub(super) fn left(&self) -> u64 {
        self.waiting.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_comes_again_three_times_at_most() {
        let mut waiting = Waiting::default();
        let at = Timestamp::from_millis;
        waiting.refused(KeyId::new(0), at(0), None);
        let mut came = Vec::new();
        while let Some(again) = waiting.due(at(1_000_000)) {
            came.push(again.at.as_millis());
            waiting.refused(again.key, again.at, Some(again));
        }
        assert_eq!((came, waiting.given_up, waiting.left()), (vec![1_000, 3_000, 7_000], 1, 0));
        waiting.refused(KeyId::new(0), at(0), None);
        assert_eq!(waiting.due(at(999)), None);
        assert_eq!(waiting.left(), 1);
    }
}
