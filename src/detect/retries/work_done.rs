//! Whether a service in trouble is limited by its capacity: the work it does stays the same, however much load comes.
//!
//! Where each request fails with some probability, whatever the load, work done goes up and down with the load. Where a
//! capacity is exhausted, it does not: what comes on top is turned away, or worked on until nobody waits for it any more.
//! Work done is what was served and what expired. Its elasticity (per cent more work for one per cent more load) is 1 in
//! the first case and 0 in the second.

use std::collections::VecDeque;

use crate::flow::Cell;
use crate::model::{DurationMs, Timestamp};

/// What is looked at: the last ten minutes of trouble.
const SPAN_MS: DurationMs = 600_000;
/// Windows kept, however short they are.
const WINDOWS_MAX: usize = 240;
/// Fewer windows say nothing.
const WINDOWS_MIN: usize = 12;
/// A window with a smaller share of failures is none of trouble.
const FAILING_SHARE_MIN: f64 = 0.2;
/// Halfway between both cases.
const ELASTICITY_MAX: f64 = 0.5;
/// Standard errors that the elasticity of an outage is away: one in 4,000 by chance.
const OUTAGE_Z: f64 = 3.5;
/// Windows that say how much work is done just now.
const WINDOWS_NOW: usize = 3;
/// Work done, as a share of normal: with less something holds the service back.
const HELD_BACK_SHARE: f64 = 0.7;
/// For so long, for chance to have no part in it.
const HELD_BACK_MS_MIN: DurationMs = 15_000;

/// A window.
#[derive(Debug, Clone, Copy)]
struct Work {
    start: Timestamp,
    end: Timestamp,
    load: f64,
    done: f64,
}

impl Work {
    fn length_ms(&self) -> DurationMs {
        self.end.since(self.start).max(1)
    }
}

/// The windows of one trouble of a service, since it was held back last.
#[derive(Debug, Default)]
pub(super) struct WorkDone {
    windows: VecDeque<Work>,
    held_back_ms: DurationMs,
}

#[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
impl WorkDone {
    /// Takes in a window of routes that are not simply broken. `normal`: what the service usually serves a second.
    pub(super) fn observe(&mut self, cell: &Cell, (start, end): (Timestamp, Timestamp), normal: f64) {
        if cell.failure_ratio() < FAILING_SHARE_MIN {
            return;
        }
        while self.windows.front().is_some_and(|work| end.since(work.start) > SPAN_MS)
            || self.windows.len() >= WINDOWS_MAX
        {
            self.windows.pop_front();
        }
        let done = cell.requests - cell.failures + cell.expired;
        let work = Work { start, end, load: cell.requests as f64, done: done as f64 };
        self.windows.push_back(work);
        if self.done_now() < HELD_BACK_SHARE * normal {
            self.held_back_ms += work.length_ms();
            // What a service does while it is held back says nothing of what it can do.
            let old = self.windows.len().saturating_sub(WINDOWS_NOW);
            self.windows.drain(..old);
        }
    }

    /// The trouble is over.
    pub(super) fn clear(&mut self) {
        self.windows.clear();
        self.held_back_ms = 0;
    }

    /// Work done a second, just now.
    fn done_now(&self) -> f64 {
        let newest = || self.windows.iter().rev().take(WINDOWS_NOW);
        let done: f64 = newest().map(|work| work.done).sum();
        let length_ms: DurationMs = newest().map(Work::length_ms).sum();
        1_000.0 * done / length_ms.max(1) as f64
    }

    /// Whether something held the service back for a while since the trouble began, and it works off more than `demand` a
    /// second now: the demand would fit if nothing else came.
    pub(super) fn is_let_go(&self, demand: f64) -> bool {
        self.held_back_ms >= HELD_BACK_MS_MIN && self.done_now() >= demand
    }

    /// Whether work done does not depend on the load: an outage is refused beyond chance, a capacity is nearer.
    pub(super) fn is_at_capacity(&self) -> bool {
        self.elasticity().is_some_and(|(value, error)| value <= ELASTICITY_MAX && value + OUTAGE_Z * error <= 1.0)
    }

    /// Least squares of work done on load: per cent for one per cent, and its standard error.
    fn elasticity(&self) -> Option<(f64, f64)> {
        let n = self.windows.len();
        if n < WINDOWS_MIN {
            return None;
        }
        let count = n as f64;
        let mean = |of: fn(&Work) -> f64| self.windows.iter().map(of).sum::<f64>() / count;
        let (load, done) = (mean(|work| work.load), mean(|work| work.done));
        let sum = |of: &dyn Fn(&Work) -> f64| self.windows.iter().map(of).sum::<f64>();
        let load_squares = sum(&|work| (work.load - load).powi(2));
        if load_squares <= 0.0 || done <= 0.0 {
            return None;
        }
        let slope = sum(&|work| (work.load - load) * (work.done - done)) / load_squares;
        let residuals = sum(&|work| (work.done - done - slope * (work.load - load)).powi(2));
        let error = (residuals / (count - 2.0) / load_squares).sqrt();
        Some((slope * load / done, error * load / done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two minutes in which so many of a window's requests are served, and so many expire.
    fn watched(served: impl Fn(u64) -> u64, expired: impl Fn(u64) -> u64) -> WorkDone {
        let mut work = WorkDone::default();
        for number in 0..24_u32 {
            let requests = 100 + u64::from(number * 7 % 13) * 6;
            let failures = requests - served(requests);
            let cell = Cell { requests, failures, expired: expired(requests), ..Cell::default() };
            let start = Timestamp::from_millis(i64::from(number) * 5_000);
            work.observe(&cell, (start, start.plus(5_000)), 10.0);
        }
        work
    }

    #[test]
    fn a_capacity_does_the_same_work_under_any_load_and_an_outage_does_not() {
        assert!(watched(|_| 40, |_| 0).is_at_capacity());
        assert!(watched(|_| 0, |_| 75).is_at_capacity());
        assert!(watched(|requests| 6_000 / requests, |_| 0).is_at_capacity(), "congestion: less is served under more");
        assert!(!watched(|requests| requests * 3 / 10, |_| 0).is_at_capacity());
        assert!(!watched(|_| 0, |requests| requests).is_at_capacity(), "everything times out");
        assert!(!watched(|_| 0, |_| 0).is_at_capacity(), "a full outage says nothing of load");
    }

    #[test]
    fn what_held_a_service_back_has_to_be_seen_to_go() {
        let mut work = watched(|_| 0, |_| 75);
        assert!(!work.is_let_go(9.0), "it was never held back");
        let held = |number: i64| (Timestamp::from_millis(number * 5_000), Timestamp::from_millis((number + 1) * 5_000));
        let cell = |expired| Cell { requests: 100, failures: 100, expired, ..Cell::default() };
        (24..30).for_each(|number| work.observe(&cell(10), held(number), 10.0));
        assert!(!work.is_let_go(9.0), "it is held back still");
        (30..36).for_each(|number| work.observe(&cell(75), held(number), 10.0));
        assert!(work.is_let_go(9.0) && !work.is_let_go(20.0));
        work.clear();
        assert!(!work.is_let_go(9.0));
    }
}
