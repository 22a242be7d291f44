//! Demand of a client version when its trouble began: the measure of its load while too much fails to tell repeats apart.
//!
//! A crowd comes before the failures it causes, repeats come after. So the demand at the onset, however great, is demand;
//! what comes on top while requests fail may be repeats, as far as failures pay for them. Clients that give up after three
//! attempts make at most 1 + f + f² of it, where f is the share that fails.

use crate::flow::Cell;
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
const GROWTH_MAX: f64 = 1.3;
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
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OnsetDemand {
    now: Mean,
    minute: Mean,
    healthy_s: f64,
    /// Requests a second that are no repeats, as far as is known.
    demand: f64,
    trouble_since: Option<Timestamp>,
    until: Option<Timestamp>,
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
        } else {
            self.trouble_since.get_or_insert(start);
            // Every repeat follows a failure: what no failure pays for is demand.
            self.demand = self.demand.max(self.minute.load - self.minute.failures);
        }
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
        let attempts = 1.0 + failing + failing * failing;
        let demand = GROWTH_MAX * MINUTE_S * self.demand;
        MINUTE_S * self.minute.load > attempts * (demand + burst(demand))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        demand.is_exceeded(|mean| 3.0 * (3.0 * mean).sqrt())
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
