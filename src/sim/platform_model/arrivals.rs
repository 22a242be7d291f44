//! How many logical requests begin in a second, and whose they are.
//!
//! A compound Poisson process whose batches have a logarithmic number of requests: over a span the counts are negative
//! binomial, with the variance-to-mean ratio (Fano factor) that the scenario asks for, and a batch is one customer's, as
//! real ones are (Johnson, Kemp and Kotz, Univariate Discrete Distributions, section 5.3).

use crate::model::Timestamp;
use crate::sim::plan::cumulative;
use crate::sim::random::Stream;

use super::spec::{GroupSpec, LoadSpec};

/// Most requests of one batch.
const BATCH_MAX: f64 = 2_000.0;
/// Means above this are drawn as a sum of smaller ones, so that exp(−mean) does not vanish.
const POISSON_MEAN_MAX: f64 = 32.0;
const DAY_MS: i64 = 86_400_000;

/// Times the usual load at a moment: day and week.
pub(super) fn load_factor(load: &LoadSpec, moment: Timestamp) -> f64 {
    let day = moment.as_millis().div_euclid(DAY_MS);
    // 1970-01-01 was a Thursday: days 2 and 3 of each run of seven are Saturday and Sunday.
    let weekend = matches!(day.rem_euclid(7), 2 | 3);
    let daily = load.daily.map_or(1.0, |daily| {
        let hours = moment.as_millis().rem_euclid(DAY_MS) as f64 / 3_600_000.0;
        1.0 + daily.amplitude * libm::cos(std::f64::consts::TAU * (hours - daily.peak_hour) / 24.0)
    });
    daily * if weekend { load.weekend_factor } else { 1.0 }
}

/// The batches of a group.
#[derive(Debug)]
pub(super) struct Batches {
    /// Parameter of the logarithmic distribution: 1 − 1/Fano.
    parameter: f64,
    /// Batches a second at the usual load.
    per_second: f64,
    /// Cumulative shares of the subscriptions.
    sizes: Vec<f64>,
}

impl Batches {
    pub(super) fn new(group: &GroupSpec) -> Self {
        let parameter = 1.0 - 1.0 / group.fano.max(1.0);
        let mean = if parameter > 0.0 { -parameter / ((1.0 - parameter) * libm::log(1.0 - parameter)) } else { 1.0 };
        let size = |k: u32| libm::pow(f64::from(k), -group.zipf);
        Self {
            parameter,
            per_second: group.requests_per_minute / 60.0 / mean,
            sizes: cumulative((1..=group.subscriptions).map(size)),
        }
    }

    /// How many batches begin in a second at `factor` times the usual load.
    pub(super) fn begin(&self, factor: f64, stream: &mut Stream) -> u32 {
        poisson(self.per_second * factor, stream)
    }

    /// Whose a batch is.
    pub(super) fn subscription(&self, stream: &mut Stream) -> usize {
        stream.pick(&self.sizes)
    }

    /// How many requests it has (Kemp 1981, algorithm LK).
    pub(super) fn requests(&self, stream: &mut Stream) -> u32 {
        let v = stream.unit();
        if self.parameter <= 0.0 || v >= self.parameter {
            return 1;
        }
        let q = 1.0 - libm::pow(1.0 - self.parameter, stream.unit());
        let size = 1.0 + libm::floor(libm::log(v.max(f64::MIN_POSITIVE)) / libm::log(q));
        size.clamp(1.0, BATCH_MAX) as u32
    }
}

/// A Poisson count (Knuth's product of uniforms).
pub(super) fn poisson(mean: f64, stream: &mut Stream) -> u32 {
    let mut count = 0;
    let mut left = mean;
    while left > 0.0 {
        let part = left.min(POISSON_MEAN_MAX);
        left -= part;
        let floor = libm::exp(-part);
        let mut product = stream.unit();
        while product > floor {
            count += 1;
            product *= stream.unit();
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::random::Concern;

    #[test]
    fn counts_have_the_mean_and_the_fano_factor_asked_for() {
        for fano in [1.0, 10.0, 72.0] {
            let group: GroupSpec = toml::from_str(&format!(
                "name = 'g'\nsubscriptions = 10\nrequests_per_minute = 600.0\nfano = {fano:?}\nroutes = {{ A = 1.0 }}\n\
                 client = 'c'\nversions = {{ '1' = 1.0 }}"
            ))
            .unwrap();
            let batches = Batches::new(&group);
            let mut stream = Stream::new(7, Concern::Batches);
            let counts: Vec<f64> = (0..20_000)
                .map(|_| {
                    let begun = batches.begin(1.0, &mut stream);
                    (0..begun).map(|_| f64::from(batches.requests(&mut stream))).sum()
                })
                .collect();
            let n = counts.len() as f64;
            let mean = counts.iter().sum::<f64>() / n;
            let variance = counts.iter().map(|c| (c - mean) * (c - mean)).sum::<f64>() / n;
            assert!((mean / 10.0 - 1.0).abs() < 0.06, "fano {fano}: mean {mean}");
            assert!((variance / mean / fano - 1.0).abs() < 0.12, "fano {fano}: {}", variance / mean);
        }
    }

    #[test]
    fn the_weekend_is_saturday_and_sunday() {
        let load = LoadSpec { daily: None, weekend_factor: 0.5 };
        let at = |text| load_factor(&load, Timestamp::parse_rfc3339(text).unwrap());
        assert_eq!(at("2026-03-06T23:59:59Z"), 1.0, "Friday");
        assert_eq!(at("2026-03-07T00:00:00Z"), 0.5, "Saturday");
        assert_eq!(at("2026-03-08T23:59:59Z"), 0.5, "Sunday");
        assert_eq!(at("2026-03-09T00:00:00Z"), 1.0, "Monday");
    }
}
