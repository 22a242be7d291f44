//! One hop over time: its last windows, its normal, and what of its calls well-behaved retries explain.

use std::collections::VecDeque;

use super::habit::Habit;
use super::measure::{Measure, Seen};
use crate::flow::{Cell, HopSums, ratio};
use crate::model::{DurationMs, Timestamp};

/// A window is learnt once it is this old and nothing came of it: what is about to be told must not become normal.
const QUARANTINE_MS: DurationMs = 90_000;
/// Sums of "now" reach back at most this far.
pub const NOW_MS: DurationMs = 60_000;
/// It is over when the last half minute is near normal again ...
const CALM_MS: DurationMs = 30_000;
/// ... below this factor.
const CALM_FACTOR: f64 = 1.3;
/// Callers that have served fewer requests than this serve nothing: they are compared with the edge.
const SERVED_MIN: f64 = 20.0;
/// After a day the new level is what is normal: the alert has been seen.
const ACCEPTED_MS: DurationMs = 86_400_000;
/// One window is at most this share of an alarm: two of calls, six of bytes, whose sizes are of all orders.
const CALLS_WEIGHT_MAX: f64 = 0.5;
const BYTES_WEIGHT_MAX: f64 = 0.17;
/// Failures in half a minute that retries may follow.
const FAILURES_MIN: u64 = 5;
/// Share of calls with attempt or key from which on retries are counted, not estimated.
const KNOWN_SHARE_MIN: f64 = 0.9;

/// Half of all calls by one customer make a quarter of all pairs ...
const CONCENTRATED_MIN: f64 = 0.25;
/// ... which says something where it was never so.
const CONCENTRATED_FACTOR: f64 = 3.0;

/// What one window saw of a hop.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moment {
    /// First moment.
    pub start: Timestamp,
    /// Length.
    pub span_ms: DurationMs,
    /// Its calls.
    pub sums: HopSums,
    /// Requests the caller served.
    pub served: u64,
    /// Requests at the edge.
    pub edge: u64,
    /// Calls expected at the time; nothing while too little was known.
    pub expected_calls: Option<f64>,
    /// Bytes answered, likewise.
    pub expected_bytes: Option<f64>,
}

/// Which quantity is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// Number of calls.
    Calls,
    /// Bytes answered.
    Bytes,
}

/// Sums over a span of time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    /// Length of the windows in it.
    pub ms: DurationMs,
    /// Calls.
    pub cell: Cell,
    /// How concentrated they are on one customer.
    pub pairs: Pairs,
    /// Amount of the quantity.
    pub amount: f64,
    /// What was expected of it.
    pub expected: f64,
    /// Requests it is compared with: those the caller served, or those at the edge.
    pub served: u64,
}

/// Pairs of calls in the same window: how many are of the same customer (and route), of how many at all. Their ratio is
/// Simpson's index, which does not depend on how many calls there are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pairs {
    same: f64,
    all: f64,
}

impl Pairs {
    #[allow(clippy::cast_precision_loss)]
    fn add(&mut self, sums: &HopSums) {
        let calls = sums.cell.requests as f64;
        self.same += (sums.requests_squared as f64 - calls).max(0.0);
        self.all += calls * calls - calls;
    }

    fn same(self) -> f64 {
        if self.all > 0.0 { self.same / self.all } else { 0.0 }
    }
}

/// A hop, or all hops between two services.
#[derive(Debug, Default)]
pub struct HopHistory {
    moments: VecDeque<Moment>,
    calls: Measure,
    bytes: Measure,
    habit: Habit,
    served_learnt: f64,
    cell_learnt: Cell,
    pairs_learnt: Pairs,
    last_called: Timestamp,
}

impl HopHistory {
    /// Takes in a window in which there was any traffic.
    pub fn push(&mut self, mut moment: Moment) {
        if moment.sums.cell.requests > 0 {
            self.last_called = moment.start;
        }
        let (served, unit) = (self.compared_with(&moment), self.bytes_a_call());
        // A caller that serves nothing works when it works: a job that runs by the hour is known for what it does then.
        let habit = if self.serves() { 0.0 } else { self.habit.calls_per_ms() };
        moment.expected_calls = self.calls.expected(served, moment.span_ms, 1.0, habit);
        moment.expected_bytes = unit.and_then(|unit| self.bytes.expected(served, moment.span_ms, unit, habit * unit));
        self.moments.push_back(moment);
        let excused = self.excused(&moment);
        self.calls.judge(&self.seen(&moment, Quantity::Calls), excused, 1.0, CALLS_WEIGHT_MAX);
        if let Some(unit) = unit {
            self.bytes.judge(&self.seen(&moment, Quantity::Bytes), excused * unit, unit, BYTES_WEIGHT_MAX);
        }
        self.end_what_is_over(moment.start.plus(moment.span_ms));
        while self.moments.front().is_some_and(|first| moment.start.since(first.start) >= QUARANTINE_MS) {
            let busy = self.busy_per_ms();
            if let Some(old) = self.moments.pop_front() {
                self.learn(&old, busy);
            }
        }
    }

    /// Calls a millisecond in the oldest minute that is kept, and whether any of it may be abnormal.
    #[allow(clippy::cast_precision_loss)]
    fn busy_per_ms(&self) -> (f64, bool) {
        let Some(first) = self.moments.front() else { return (0.0, true) };
        let minute = || self.moments.iter().take_while(|moment| moment.start.since(first.start) < NOW_MS);
        let calls: u64 = minute().map(|moment| moment.sums.cell.requests).sum();
        let doubted = minute().last().is_some_and(|last| self.calls.doubts(last.start));
        (calls as f64 / NOW_MS as f64, doubted)
    }

    /// It is abnormal, and something suffers: it must not become a habit.
    pub fn harms(&mut self) {
        self.habit.harms();
    }

    fn learn(&mut self, old: &Moment, (busy_per_ms, busy_doubted): (f64, bool)) {
        if self.calls.doubts(old.start) || self.bytes.doubts(old.start) {
            self.habit.doubted(busy_per_ms);
            return;
        }
        if !busy_doubted {
            self.habit.learn(old.start, busy_per_ms);
        }
        let cell = &old.sums.cell;
        self.cell_learnt.requests += cell.requests;
        self.cell_learnt.resends += cell.resends;
        self.cell_learnt.response_bytes = self.cell_learnt.response_bytes.saturating_add(cell.response_bytes);
        self.pairs_learnt.add(&old.sums);
        #[allow(clippy::cast_precision_loss)]
        let served = old.served as f64;
        self.served_learnt += served;
        let unit = self.bytes_a_call().unwrap_or(1.0);
        self.calls.learn(&self.seen(old, Quantity::Calls), 1.0);
        self.bytes.learn(&self.seen(old, Quantity::Bytes), unit);
    }

    #[allow(clippy::cast_precision_loss)]
    fn seen(&self, moment: &Moment, quantity: Quantity) -> Seen {
        let (amount, expected) = match quantity {
            Quantity::Calls => (moment.sums.cell.requests, moment.expected_calls),
            Quantity::Bytes => (moment.sums.cell.response_bytes, moment.expected_bytes),
        };
        let served = self.compared_with(moment);
        Seen { start: moment.start, span_ms: moment.span_ms, amount: amount as f64, served, expected }
    }

    /// Whether the caller serves requests that its calls can be compared with.
    pub fn serves(&self) -> bool {
        self.served_learnt >= SERVED_MIN
    }

    #[allow(clippy::cast_precision_loss)]
    fn compared_with(&self, moment: &Moment) -> f64 {
        if self.serves() { moment.served as f64 } else { moment.edge as f64 }
    }

    #[allow(clippy::cast_precision_loss)]
    fn bytes_a_call(&self) -> Option<f64> {
        let learnt = &self.cell_learnt;
        (learnt.response_bytes > 0 && learnt.requests > 0)
            .then(|| learnt.response_bytes as f64 / learnt.requests as f64)
    }

    /// Calls that retries of failed ones explain, as a client with three attempts makes them. Where attempts or keys are
    /// known they are counted; else of calls failing with p, 1 + p + p² are one request's.
    #[allow(clippy::cast_precision_loss)]
    fn excused(&self, moment: &Moment) -> f64 {
        let now = moment.sums.cell;
        let mut lately = Cell::default();
        let recent = self.moments.iter().rev().take_while(|m| moment.start.since(m.start) < CALM_MS);
        recent.for_each(|m| lately.add(&m.sums.cell));
        if lately.failures < FAILURES_MIN || now.requests == 0 {
            return 0.0;
        }
        if ratio(lately.attempts_known, lately.requests) >= KNOWN_SHARE_MIN {
            let compliant = now.resends.saturating_sub(now.resends_beyond_budget);
            return compliant.min(now.failures.max(lately.failures)) as f64;
        }
        let p = now.failure_ratio().max(lately.failure_ratio());
        now.requests as f64 * (1.0 - 1.0 / (1.0 + p + p * p))
    }

    fn end_what_is_over(&mut self, end: Timestamp) {
        for quantity in [Quantity::Calls, Quantity::Bytes] {
            let Some(since) = self.measure(quantity).fired() else { continue };
            let lately = self.span(quantity, end.plus(-CALM_MS));
            let over = end.since(since) >= CALM_MS && lately.amount < CALM_FACTOR * lately.expected;
            if end.since(since) >= ACCEPTED_MS {
                *self = Self { last_called: self.last_called, ..Self::default() };
                return;
            }
            if over {
                self.measure_mut(quantity).calm();
                self.habit.over(end);
            }
        }
    }

    fn measure(&self, quantity: Quantity) -> &Measure {
        match quantity {
            Quantity::Calls => &self.calls,
            Quantity::Bytes => &self.bytes,
        }
    }

    fn measure_mut(&mut self, quantity: Quantity) -> &mut Measure {
        match quantity {
            Quantity::Calls => &mut self.calls,
            Quantity::Bytes => &mut self.bytes,
        }
    }

    /// Since when a quantity is beyond chance, if it is.
    pub fn fired(&self, quantity: Quantity) -> Option<Timestamp> {
        self.measure(quantity).fired()
    }

    /// Whether what it does now may be abnormal.
    pub fn doubts(&self) -> bool {
        let newest = self.moments.back().map(|moment| moment.start);
        newest.is_some_and(|start| self.calls.doubts(start) || self.bytes.doubts(start))
    }

    /// Sums of the windows that begin at `from` or later.
    pub fn span(&self, quantity: Quantity, from: Timestamp) -> Span {
        let mut span = Span::default();
        for moment in self.moments.iter().rev().take_while(|moment| moment.start >= from) {
            let seen = self.seen(moment, quantity);
            span.ms += moment.span_ms;
            span.cell.add(&moment.sums.cell);
            span.pairs.add(&moment.sums);
            span.amount += seen.amount;
            span.expected += seen.expected.unwrap_or(0.0);
            span.served += if self.serves() { moment.served } else { moment.edge };
        }
        span
    }

    /// Share of calls that repeated a key, normally.
    pub fn repeated_normally(&self) -> f64 {
        ratio(self.cell_learnt.resends, self.cell_learnt.requests)
    }

    /// Whether one customer makes most of `now` who normally does not: work of somebody, not more work a request.
    pub fn concentrated(&self, now: &Span) -> bool {
        let (now, normal) = (now.pairs.same(), self.pairs_learnt.same());
        now >= CONCENTRATED_MIN && now >= CONCENTRATED_FACTOR * normal
    }

    /// When it was last called.
    pub fn last_called(&self) -> Timestamp {
        self.last_called
    }
}
