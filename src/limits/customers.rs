//! What a limit would have done to each customer: how much, and when.

use super::report::{CustomerEffect, Interval};
use super::words::share;
use crate::model::{DurationMs, Text, Timestamp};

/// Stretches of time told of one customer; further ones are counted.
pub const INTERVALS_MAX: usize = 20;
/// Refusals no further apart than this are one stretch.
const INTERVAL_GAP_MS_MIN: DurationMs = 60_000;

/// Counts of one key.
#[derive(Debug, Clone, Default)]
pub(super) struct CustomerTally {
    requests: u64,
    pub(super) throttled: u64,
    pub(super) throttled_outside: u64,
    minute: i64,
    in_minute: u64,
    /// Its busiest minute.
    busiest: u64,
    /// Its busiest minute while no incident was under way.
    busiest_outside: u64,
    stretches: Option<Box<Stretches>>,
}

#[derive(Debug, Clone, Default)]
struct Stretches {
    told: Vec<Interval>,
    further: u64,
    last: Option<Timestamp>,
}

impl CustomerTally {
    /// Counts requests that the limit counts, and how many it refused. `lasts_ms` is how long they took to come.
    pub(super) fn add(
        &mut self,
        (at, lasts_ms): (Timestamp, DurationMs),
        (sent, throttled): (u64, u64),
        outside: bool,
        per_ms: DurationMs,
    ) {
        self.requests += sent;
        let minute = at.as_millis().div_euclid(60_000);
        if minute != self.minute {
            (self.minute, self.in_minute) = (minute, 0);
        }
        self.in_minute += sent;
        self.busiest = self.busiest.max(self.in_minute);
        if outside {
            self.busiest_outside = self.busiest_outside.max(self.in_minute);
            self.throttled_outside += throttled;
        }
        self.throttled += throttled;
        if throttled > 0 {
            self.stretches.get_or_insert_default().add((at, at.plus(lasts_ms)), throttled, per_ms);
        }
    }

    pub(super) fn busiest_outside(&self) -> u64 {
        self.busiest_outside
    }

    pub(super) fn finish(&self, key: Text, plan: Option<Text>, throttled_most: u64) -> CustomerEffect {
        let stretches = self.stretches.as_deref().cloned().unwrap_or_default();
        CustomerEffect {
            key,
            plan,
            requests: self.requests,
            throttled: self.throttled,
            throttled_most,
            share: share(self.throttled, self.requests),
            throttled_outside_incidents: self.throttled_outside,
            busiest_minute: self.busiest,
            intervals: stretches.told,
            further_intervals: stretches.further,
        }
    }
}

impl Stretches {
    fn add(&mut self, (from, until): (Timestamp, Timestamp), throttled: u64, per_ms: DurationMs) {
        let gap_ms = per_ms.max(INTERVAL_GAP_MS_MIN);
        let goes_on = self.last.is_some_and(|last| from.since(last) <= gap_ms);
        self.last = Some(until.max(self.last.unwrap_or(until)));
        if goes_on {
            // Of a stretch that is not told, only that it was.
            if let Some(interval) = self.told.last_mut().filter(|_| self.further == 0) {
                interval.until = interval.until.max(until);
                interval.throttled += throttled;
            }
        } else if self.told.len() < INTERVALS_MAX {
            self.told.push(Interval { from, until, throttled });
        } else {
            self.further += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_near_each_other_are_one_stretch() {
        let mut tally = CustomerTally::default();
        let mut refuse = |second: i64| tally.add((Timestamp::from_millis(second * 1_000), 0), (2, 1), true, 60_000);
        [5, 6, 60, 200, 210].into_iter().for_each(&mut refuse);
        (0..30).for_each(|i| refuse(1_000 + 100 * i));
        let effect = tally.finish("a".into(), None, 0);
        let seconds = |at: Timestamp| at.as_millis() / 1_000;
        let told: Vec<_> = effect.intervals.iter().map(|i| (seconds(i.from), seconds(i.until), i.throttled)).collect();
        assert_eq!(told[..3], [(5, 60, 3), (200, 210, 2), (1_000, 1_000, 1)]);
        assert_eq!((told.len(), effect.further_intervals), (INTERVALS_MAX, 12));
        assert_eq!((effect.throttled, effect.requests, effect.busiest_minute), (35, 70, 4));
    }
}
