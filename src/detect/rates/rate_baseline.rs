//! What is normal for one subscription's request rate: a few numbers each, so that a million of them fit.
//!
//! Counts of a minute are negative binomial, Var = μ + μ²/r (real Fano factors are 10–160). The mean is a Gamma–Poisson
//! posterior that forgets with a half-life of a day and begins at its cohort's: μ̂ = (α + Σx) / (β + Σe), where the
//! exposure `e` is how busy everybody else is, so that day, night and weekend need not be learnt by each alone.

use crate::detect::statistics::NegativeBinomial;

/// What each minute's evidence is kept by: half of it is left after a day.
const KEEP: f64 = 0.999_518_8;
/// Weight of the cohort's mean, in minutes of own data.
const PRIOR_MINUTES: f64 = 5.0;
/// Weight of the cohort's dispersion, in minutes of own data.
const DISPERSION_PRIOR_MINUTES: f64 = 60.0;
/// Arrivals are never calmer than this: deciding by Poisson would raise thousands of false alarms.
const FANO_MIN: f64 = 2.0;
/// Minutes after which own bursts of the past are half forgotten, too: five days.
const PEAK_KEEP: f64 = 0.999_903_7;

/// Baseline of one rate. Minutes are the unit of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateBaseline {
    requests: f64,
    exposure: f64,
    /// Σ (x − μ)² and Σ μ: their ratio is the Fano factor.
    squares: f64,
    means: f64,
    /// Highest smoothed rate seen, requests a minute; fades.
    peak: f64,
    /// Smoothed rate of the last five minutes or so.
    smoothed: f64,
}

/// What a cohort has in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cohort {
    /// Requests a minute.
    pub mean: f64,
    /// Variance over mean.
    pub fano: f64,
}

impl RateBaseline {
    /// Nothing seen yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { requests: 0.0, exposure: 0.0, squares: 0.0, means: 0.0, peak: 0.0, smoothed: 0.0 }
    }

    /// Requests a minute at exposure 1.
    #[must_use]
    pub fn mean(&self, cohort: Cohort) -> f64 {
        (cohort.mean * PRIOR_MINUTES + self.requests) / (PRIOR_MINUTES + self.exposure)
    }

    /// Variance over mean of a minute's count.
    #[must_use]
    pub fn fano(&self, cohort: Cohort) -> f64 {
        let prior = DISPERSION_PRIOR_MINUTES * self.mean(cohort).max(1e-9);
        ((prior * cohort.fano + self.squares) / (prior + self.means)).max(FANO_MIN)
    }

    /// The distribution of the next minute's count at `exposure`.
    #[must_use]
    pub fn expected(&self, cohort: Cohort, exposure: f64) -> NegativeBinomial {
        // The size is that of quiet times: when everybody is busier, bursts are bigger in proportion.
        let mean = self.mean(cohort).max(1e-6);
        NegativeBinomial { mean: mean * exposure, size: mean / (self.fano(cohort) - 1.0) }
    }

    /// Highest smoothed rate remembered, requests a minute.
    #[must_use]
    pub fn peak(&self) -> f64 {
        self.peak
    }

    /// Rate of the last minutes, requests a minute.
    #[must_use]
    pub fn smoothed(&self) -> f64 {
        self.smoothed
    }

    /// Minutes of own data, faded.
    #[must_use]
    pub fn minutes(&self) -> f64 {
        self.exposure
    }

    /// Notes a minute with `count` requests.
    pub fn observe(&mut self, count: f64) {
        self.smoothed += (count - self.smoothed) / 3.0;
    }

    /// Learns from a minute that is believed to be normal.
    pub fn learn(&mut self, count: f64, exposure: f64, cohort: Cohort) {
        let mean = self.mean(cohort) * exposure;
        self.squares = self.squares * KEEP + (count - mean).powi(2);
        self.means = self.means * KEEP + mean;
        self.requests = self.requests * KEEP + count;
        self.exposure = self.exposure * KEEP + exposure;
        self.peak = (self.peak * PEAK_KEEP).max(self.smoothed);
    }

    /// A surge is over: this was its highest rate, requests a minute. The next one like it is no news.
    pub fn remember_peak(&mut self, peak: f64) {
        self.peak = self.peak.max(peak);
    }

    /// How far `learn` has come in Fano's terms: sums for the cohort's estimate.
    #[must_use]
    pub fn dispersion_sums(&self) -> (f64, f64) {
        (self.squares, self.means)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COHORT: Cohort = Cohort { mean: 10.0, fano: 10.0 };

    #[test]
    fn a_newcomer_is_like_its_cohort_and_then_like_itself() {
        let mut baseline = RateBaseline::new();
        assert!((baseline.mean(COHORT) - 10.0).abs() < 1e-9);
        for _ in 0..200 {
            baseline.learn(100.0, 1.0, COHORT);
        }
        assert!((baseline.mean(COHORT) - 100.0).abs() < 5.0);
    }

    #[test]
    fn busy_hours_of_everybody_are_not_the_own_rate() {
        let mut baseline = RateBaseline::new();
        for minute in 0..600 {
            let exposure = if minute % 2 == 0 { 1.0 } else { 4.0 };
            baseline.learn(20.0 * exposure, exposure, COHORT);
        }
        assert!((baseline.mean(COHORT) - 20.0).abs() < 0.5);
        assert!((baseline.expected(COHORT, 4.0).mean - 80.0).abs() < 2.0);
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<RateBaseline>() <= 48);
    }
}
