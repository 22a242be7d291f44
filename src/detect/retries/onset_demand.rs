//! Demand of a client version when its trouble began: the measure of its load while too much fails to tell repeats apart.
//!
//! A crowd comes before the failures it causes, repeats come after. So the demand at the onset, however great, is demand;
//! what comes on top while requests fail may be repeats, as far as failures pay for them. Clients that give up after three
//! attempts make at most 1 + f + f² of it, where f is the share that fails.

use rustc_hash::FxHashMap;

use crate::flow::{Cell, Name, ratio};
use crate::model::{DurationMs, Timestamp};

/// Spans of the means: what was just now, and the last minute.
const NOW_S: f64 = 10.0;
const MINUTE_S: f64 = 60.0;
/// From this share of failures just now, there is trouble.
const FAILING_SHARE_MIN: f64 = 0.2;
/// Trouble younger than this is not judged: the last minute is still that of before.
const TROUBLE_MS_MIN: DurationMs = 60_000;
/// A version seen for less before its trouble has no demand to speak of.
const HEALTHY_S_MIN: f64 = 120.0;
/// Demand may grow by so much in an outage: hours of the day, people who try again.
pub(super) const GROWTH_MAX: f64 = 1.3;
/// A version without requests for longer is forgotten.
const SILENT_MS: DurationMs = 600_000;

/// Requests a second and of these failures, over some span, newer ones counting more.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    load: f64,
    failures: f64,
}

impl Mean {
    fn follow(&mut self, load: f64, failures: f64, elapsed_s: f64, span_s: f64) {
        let share = (elapsed_s / span_s).min(1.0);
        self.load += share * (load - self.load);
        self.failures += share * (failures - self.failures);
    }
}

/// A version over time.
#[derive(Debug, Clone, Default)]
pub(super) struct OnsetDemand {
    now: Mean,
    minute: Mean,
    healthy_s: f64,
    /// Requests a second that are no repeats, as far as is known.
    demand: f64,
    trouble_since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// What each customer asked for in the minute in which the trouble began. Who came to the version later is no growth.
    customers: FxHashMap<Name, u64>,
}

/// What the customers of a version ask for in a trouble beyond what they asked for before it, in requests of a minute.
#[derive(Debug, PartialEq)]
pub(super) struct Growth {
    /// By customer, more than before.
    pub grown: FxHashMap<Name, u64>,
    /// Of all together, more than before.
    pub resends: u64,
    /// Of all together, more than clients make that give up after three attempts.
    pub beyond_budget: u64,
}

#[allow(clippy::cast_precision_loss)] // counts and spans stay far below 2^52
impl OnsetDemand {
    /// Takes in a window of requests that tell neither attempt nor key.
    pub(super) fn observe(&mut self, cell: &Cell, (start, end): (Timestamp, Timestamp)) {
        let unmarked = cell.requests.saturating_sub(cell.attempts_known);
        let window_s = end.since(start).max(1) as f64 / 1_000.0;
        // Windows without requests of the version are not shown: they count by the time that has passed.
        let elapsed_s = end.since(self.until.unwrap_or(start)) as f64 / 1_000.0;
        let empty_s = elapsed_s - window_s;
        let failures = cell.failures.min(unmarked) as f64 / window_s;
        for (mean, span_s) in [(&mut self.now, NOW_S), (&mut self.minute, MINUTE_S)] {
            mean.follow(0.0, 0.0, empty_s.max(0.0), span_s);
            mean.follow(unmarked as f64 / window_s, failures, window_s, span_s);
        }
        self.until = Some(end);
        if self.now.failures < FAILING_SHARE_MIN * self.now.load {
            self.healthy_s += window_s;
            self.demand = self.now.load.max(self.minute.load);
            self.trouble_since = None;
            self.customers = FxHashMap::default();
        } else {
            self.trouble_since.get_or_insert(start);
            // Every repeat follows a failure: what no failure pays for is demand.
            self.demand = self.demand.max(self.minute.load - self.minute.failures);
        }
    }

    /// Whether its trouble began in the window that starts so.
    pub(super) fn has_begun(&self, start: Timestamp) -> bool {
        self.trouble_since == Some(start)
    }

    /// Remembers what a customer asked for in the last minute, if there is `room` for one more. Whether it does.
    pub(super) fn remember(&mut self, customer: Name, requests: u64, room: &mut usize) -> bool {
        if !self.customers.contains_key(&customer) {
            let Some(left) = room.checked_sub(1) else { return false };
            *room = left;
        }
        *self.customers.entry(customer).or_default() += requests;
        true
    }

    /// Load of the last minute and demand, in thousandths of a request a second: sums must not depend on a map's order.
    pub(super) fn load_and_demand_milli(&self) -> (u64, u64) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // never negative
        let milli = |rate: f64| (rate * 1_000.0) as u64;
        (milli(self.minute.load), milli(self.demand))
    }

    /// Customers that are remembered.
    pub(super) fn customers(&self) -> usize {
        self.customers.len()
    }

    /// Whether it has been silent for so long that the next trouble is another one.
    pub(super) fn is_forgotten(&self, start: Timestamp) -> bool {
        self.until.is_some_and(|until| start.since(until) > SILENT_MS)
    }

    /// Whether the last minute of a trouble holds more than clients make that give up after three attempts. `burst`: what
    /// may come in a minute beyond a demand, both in requests.
    pub(super) fn is_exceeded(&self, burst: impl Fn(f64) -> f64) -> bool {
        let lasts_ms = self.trouble_since.zip(self.until).map_or(0, |(since, until)| until.since(since));
        if self.healthy_s < HEALTHY_S_MIN || lasts_ms < TROUBLE_MS_MIN {
            return false;
        }
        let failing = self.minute.failures / self.minute.load.max(f64::MIN_POSITIVE);
        MINUTE_S * self.minute.load > compliant_max(failing, MINUTE_S * self.demand, burst)
    }

    /// What customers who were there before the trouble add to it, by their last minute, if it is more than clients make that
    /// give up after three attempts even without the customer who adds most: one customer shows nothing of a version.
    pub(super) fn growth(&self, minute: &FxHashMap<Name, Cell>, burst: impl Fn(f64) -> f64) -> Option<Growth> {
        let known = || minute.iter().filter_map(|(name, cell)| Some((name, cell, *self.customers.get(name)?)));
        let sums = known().fold((0, 0, 0), |(now, failures, before), (_, cell, own)| {
            (now + cell.requests, failures + cell.failures, before + own)
        });
        let grown = |(_, cell, own): &(&Name, &Cell, u64)| cell.requests.saturating_sub(*own);
        let (_, top, top_before) = known().max_by_key(|one| (grown(one), one.1.requests, one.1.failures))?;
        let (now, failures, before) = (sums.0 - top.requests, sums.1 - top.failures, sums.2 - top_before);
        if now as f64 <= compliant_max(ratio(failures, now), before as f64, burst) {
            return None;
        }
        let (now, failures, before) = sums;
        let compliant = attempts(ratio(failures, now)) * before as f64;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to counts
        let beyond_budget = (now as f64 - compliant).clamp(0.0, now as f64) as u64;
        let grown = known().map(|one| (*one.0, grown(&one))).filter(|(_, grown)| *grown > 0).collect();
        Some(Growth { grown, resends: now.saturating_sub(before), beyond_budget })
    }
}

/// Attempts of a client that gives up after three, on average, where this share fails.
fn attempts(failing: f64) -> f64 {
    1.0 + failing + failing * failing
}

/// The most that such clients make of a demand, which may have grown and is bursty.
fn compliant_max(failing: f64, demand: f64, burst: impl Fn(f64) -> f64) -> f64 {
    let demand = GROWTH_MAX * demand;
    attempts(failing) * (demand + burst(demand))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Names;

    /// Minutes with so many requests a window of five seconds, of which so many in a hundred fail.
    fn exceeded(minutes: &[(u64, u64)]) -> bool {
        let (mut demand, mut number) = (OnsetDemand::default(), 0_i64);
        for (requests, failing) in minutes {
            for _ in 0..12 {
                let cell = Cell { requests: *requests, failures: requests * failing / 100, ..Cell::default() };
                let start = Timestamp::from_millis(number * 5_000);
                demand.observe(&cell, (start, start.plus(5_000)));
                number += 1;
            }
        }
        demand.is_exceeded(burst)
    }

    fn burst(mean: f64) -> f64 {
        3.0 * (3.0 * mean).sqrt()
    }

    /// Customers with so many requests in the minute before and now, nine of ten failing now.
    fn growth(customers: &[(u64, u64)]) -> Option<Growth> {
        let mut names = Names::new(100);
        let mut demand = OnsetDemand::default();
        let mut minute = FxHashMap::default();
        for (number, (before, now)) in customers.iter().enumerate() {
            let name = names.intern(&format!("customer-{number}"));
            if *before > 0 {
                assert!(demand.remember(name, *before, &mut 1));
            }
            minute.insert(name, Cell { requests: *now, failures: now * 9 / 10, ..Cell::default() });
        }
        demand.growth(&minute, burst)
    }

    #[test]
    fn customers_who_were_there_before_show_the_growth_of_a_version() {
        let told = growth(&[(100, 900); 10]).unwrap();
        assert_eq!((told.grown.len(), told.resends), (10, 8_000));
        assert!(told.beyond_budget.abs_diff(9_000 - 2_710) <= 1, "1 + f + f² of each: {told:?}");
        assert_eq!(growth(&[(100, 270); 10]), None, "three attempts of each");
        assert_eq!(growth(&[(0, 900); 10]), None, "they came to the version in the trouble");
        let mut one = vec![(100, 250); 10];
        one[4] = (100, 9_000);
        assert_eq!(growth(&one), None, "one customer is not the version");
        let mut two = vec![(10, 20); 10];
        (two[4], two[5]) = ((200, 1_800), (200, 1_800));
        assert_eq!(growth(&two).map(|told| told.resends), Some(3_280));
    }

    #[test]
    fn more_than_three_attempts_of_the_demand_at_the_onset_is_more_than_compliant() {
        let calm = (25, 0);
        assert!(exceeded(&[calm, calm, calm, (60, 97), (160, 97), (160, 97)]));
        assert!(!exceeded(&[calm, calm, calm, (60, 99), (75, 99), (75, 99)]), "three attempts of all");
        assert!(!exceeded(&[calm, calm, calm, (200, 0), (400, 60), (400, 60)]), "a crowd comes before its failures");
        assert!(!exceeded(&[calm, calm, calm, (60, 10), (120, 10), (250, 10)]), "few failures pay for no growth");
        assert!(!exceeded(&[calm, (160, 97), (160, 97)]), "too young");
    }
}
