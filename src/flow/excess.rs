//! Repeats in a stream so busy that no request can be told to follow a failure: growth that its failures pay for.

use super::demand::Pace;
use crate::model::Timestamp;

/// Share of the failures not yet repeated that a client still repeats in the next window. What fails is tried again within
/// seconds or by a client that waits so long that it floods nobody.
const PURSE_KEPT: f64 = 0.67;
/// Standard deviations of demand that are not taken for growth.
const NOISE_Z: f64 = 2.0;
/// Requests before the first failure that show the pace at which an incident began.
const ONSET_REQUESTS: usize = 10;
/// They come this much faster than usual only when demand grew: ten of a steady stream do so in 1 % of all cases.
const ONSET_FACTOR: f64 = 2.0;
/// Attempts of a well-behaved client (see `ATTEMPTS_COMPLIANT_MAX`).
const COMPLIANT: f64 = 3.0;
/// How far noise alone goes beyond its [`NOISE_Z`] deviations on average, in deviations, with room to spare.
const NOISE_EXCESS: f64 = 0.15;

/// What a window of a busy stream shows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Excess {
    /// Requests that failures paid for.
    pub resends: f64,
    /// Of these, more than a client makes that gives up after three attempts.
    pub beyond_budget: f64,
    /// As many of these as noise makes on average.
    pub beyond_by_chance: f64,
}

/// A busy stream in trouble.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Failures that may yet be repeated.
    purse: f64,
    /// Demand as it has grown since the trouble began, in requests a second.
    demand: f64,
}

impl Account {
    /// Takes in a window: requests as (time, whether the platform failed it), in order of time.
    ///
    /// What the failures so far cannot pay for is demand, and stays demand: a crowd that comes before the failures it
    /// causes is no repeat of them. Being turned away (429) pays for nothing, because who is limited goes on at his own
    /// pace.
    #[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
    pub fn settle(&mut self, requests: &[(Timestamp, bool)], pace: Pace, window_s: f64) -> Excess {
        let failures = requests.iter().filter(|(_, failed)| *failed).count() as f64;
        if self.demand <= 0.0 {
            self.demand =
                demand_at_onset(requests).filter(|rate| *rate > ONSET_FACTOR * pace.mean).unwrap_or(pace.mean);
        }
        let demand = self.demand * window_s;
        // Requests in bursts vary more than independent ones.
        let fano = 1.0 + (pace.in_bursts - pace.mean) * window_s;
        let deviation = (demand * fano).sqrt();
        let load = requests.len() as f64;
        let grown = (load - demand - NOISE_Z * deviation).max(0.0);
        let resends = grown.min(self.purse + failures);
        self.demand += (grown - resends) / window_s;
        self.purse = (self.purse + failures - resends) * PURSE_KEPT;
        let compliant = COMPLIANT * (self.demand * window_s + NOISE_Z * deviation);
        Excess {
            resends,
            beyond_budget: (load - compliant).clamp(0.0, resends),
            beyond_by_chance: NOISE_EXCESS * COMPLIANT * deviation,
        }
    }

    /// Whether nothing is left to repeat.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.purse < 1.0
    }
}

/// Requests a second just before the first failure.
#[allow(clippy::cast_precision_loss)]
fn demand_at_onset(requests: &[(Timestamp, bool)]) -> Option<f64> {
    let first = requests.iter().position(|(_, failed)| *failed)?;
    let before = &requests[first.checked_sub(ONSET_REQUESTS)?..=first];
    let span_ms = requests[first].0.since(before[0].0).max(1);
    Some((ONSET_REQUESTS as f64 - 1.0) / (span_ms as f64 / 1_000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { mean: 10.0, in_bursts: 10.0 };

    fn window(number: i64, per_second: i64, failing_of_ten: i64) -> Vec<(Timestamp, bool)> {
        let count = per_second * 5;
        (0..count)
            .map(|i| (Timestamp::from_millis(number * 5_000 + i * 5_000 / count), i % 10 < failing_of_ten))
            .collect()
    }

    fn beyond(windows: &[(i64, i64)]) -> f64 {
        let mut account = Account::default();
        let settle = |(number, (rate, failing)): (i64, &(i64, i64))| {
            let excess = account.settle(&window(number, *rate, *failing), PACE, 5.0);
            excess.beyond_budget - excess.beyond_by_chance
        };
        (0..).zip(windows).map(settle).sum()
    }

    #[test]
    fn growth_that_failures_pay_for_is_repeats() {
        assert!(beyond(&[(10, 9), (60, 9), (100, 9), (100, 9)]) > 500.0);
    }

    #[test]
    fn three_attempts_a_crowd_and_a_steady_failing_stream_are_none() {
        assert!(beyond(&[(10, 9), (30, 10), (30, 10), (30, 10)]) <= 0.0);
        assert!(beyond(&[(100, 0), (100, 9), (100, 9), (100, 9)]) <= 0.0);
        assert!(beyond(&[(10, 10); 20]) <= 0.0);
    }
}
