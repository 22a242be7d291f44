//! Statistics that detectors share. Each formula names its source.

use statrs::distribution::{ContinuousCDF, Normal};

/// Evidence that a share is above what it may be: cumulative sum of log-likelihood ratios of "share = `alarm`" against
/// "share = `allowed`", never below zero (Page, Biometrika 41, 1954; Bernoulli form: Reynolds & Stoumbos, JQT 31, 1999).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BernoulliCusum {
    hit: f64,
    miss: f64,
}

impl BernoulliCusum {
    /// Both shares lie strictly between 0 and 1, `allowed < alarm`.
    #[must_use]
    pub fn new(allowed: f64, alarm: f64) -> Self {
        Self { hit: (alarm / allowed).ln(), miss: ((1.0 - alarm) / (1.0 - allowed)).ln() }
    }

    /// The sum after `hits` of `trials` more, at most `max`, so that recovery takes no longer than it should.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
    pub fn step(&self, score: f64, hits: u64, trials: u64, max: f64) -> f64 {
        let misses = trials.saturating_sub(hits);
        (score + hits as f64 * self.hit + misses as f64 * self.miss).clamp(0.0, max)
    }
}

/// The smallest of `z_scores` that still is a discovery among `tests` comparisons, when at most `rate` of the discoveries
/// may be chance (Benjamini & Hochberg, JRSS B 57, 1995). Comparisons that are not in `z_scores` found nothing. `None`: no
/// discovery.
#[must_use]
#[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
pub fn discovery_z(z_scores: &[f64], tests: usize, rate: f64) -> Option<f64> {
    let normal = Normal::standard();
    let mut sorted = z_scores.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let tests = tests.max(sorted.len()) as f64;
    let is_one = |rank: usize, z: f64| normal.sf(z) <= rate * (rank + 1) as f64 / tests;
    sorted.iter().enumerate().filter(|(rank, z)| is_one(*rank, **z)).map(|(_, z)| *z).next_back()
}

/// Evidence that counts are above what is accepted: `score` after `observed` more where `accepted` were, against `factor`
/// times as many, never below zero (Lucas, Technometrics 27, 1985).
#[must_use]
pub fn poisson_cusum(score: f64, observed: f64, accepted: f64, factor: f64) -> f64 {
    (score + observed * factor.ln() - accepted * (factor - 1.0)).max(0.0)
}

/// Lower end of Wilson's score interval for `hits` of `trials` at `z` standard deviations (Wilson, JASA 22, 1927).
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn wilson_lower(hits: u64, trials: u64, z: f64) -> f64 {
    if trials == 0 {
        return 0.0;
    }
    let n = trials as f64;
    let p = hits as f64 / n;
    let centre = p + z * z / (2.0 * n);
    let spread = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    ((centre - spread) / (1.0 + z * z / n)).max(0.0)
}

/// Upper end of the same interval; 1 for no trials: nothing is known.
#[must_use]
pub fn wilson_upper(hits: u64, trials: u64, z: f64) -> f64 {
    if trials == 0 { 1.0 } else { 1.0 - wilson_lower(trials - hits.min(trials), trials, z) }
}

/// Counts with more variance than Poisson's: Var = μ + μ²/r.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NegativeBinomial {
    /// μ.
    pub mean: f64,
    /// r; large is Poisson.
    pub size: f64,
}

impl NegativeBinomial {
    /// Log-likelihood ratio of a mean `factor` times as high against this one, same size, for a count (the step of a
    /// negative-binomial CUSUM; Höhle & Paul, CSDA 52, 2008, eq. 4).
    #[must_use]
    pub fn log_likelihood_ratio(&self, count: f64, factor: f64) -> f64 {
        let (low, high, r) = (self.mean, self.mean * factor, self.size);
        count * (factor * (r + low) / (r + high)).ln() - r * ((r + high) / (r + low)).ln()
    }
}

/// Trend of a short series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// Median slope, in y per x (Theil–Sen).
    pub slope: f64,
    /// Lower end of its 90 % interval.
    pub slope_lower: f64,
    /// Upper end of the same interval.
    pub slope_upper: f64,
    /// Mann–Kendall's z: how surely it rises.
    pub z: f64,
}

/// Theil–Sen slope with Sen's interval and Mann–Kendall's test, ties counted (Sen, JASA 63, 1968). O(n² log n); `None`
/// for fewer than four points or when all x are the same.
#[must_use]
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn theil_sen(points: &[(f64, f64)]) -> Option<Trend> {
    let n = points.len();
    if n < 4 {
        return None;
    }
    let mut slopes = Vec::with_capacity(n * (n - 1) / 2);
    let mut s = 0.0;
    for (i, (x1, y1)) in points.iter().enumerate() {
        for (x2, y2) in &points[i + 1..] {
            if x2 > x1 {
                slopes.push((y2 - y1) / (x2 - x1));
                s += (y2 - y1).partial_cmp(&0.0).map_or(0.0, |order| f64::from(order as i8));
            }
        }
    }
    if slopes.is_empty() {
        return None;
    }
    slopes.sort_unstable_by(f64::total_cmp);
    let variance = mann_kendall_variance(points);
    let z = if variance > 0.0 { (s - s.signum().min(s.abs())) / variance.sqrt() } else { 0.0 };
    // Sen's interval: ranks (N ∓ C)/2 with C = z(90 %) · sqrt(Var S).
    let c = 1.645 * variance.sqrt();
    let count = slopes.len() as f64;
    let lower_rank = (((count - c) / 2.0).floor().max(0.0) as usize).min(slopes.len() - 1);
    let slope_upper = slopes[slopes.len() - 1 - lower_rank];
    Some(Trend { slope: median_sorted(&slopes), slope_lower: slopes[lower_rank], slope_upper, z })
}

/// Var S = (n(n−1)(2n+5) − Σ t(t−1)(2t+5)) / 18 over groups of t tied values.
#[allow(clippy::cast_precision_loss)]
fn mann_kendall_variance(points: &[(f64, f64)]) -> f64 {
    let mut values: Vec<f64> = points.iter().map(|(_, y)| *y).collect();
    values.sort_unstable_by(f64::total_cmp);
    let term = |t: usize| (t * (t - 1) * (2 * t + 5)) as f64;
    let ties: f64 = values.chunk_by(|a, b| a.total_cmp(b).is_eq()).map(|group| term(group.len())).sum();
    (term(values.len()) - ties) / 18.0
}

/// Median of values in order; the mean of the middle two for an even count. Zero for none.
#[must_use]
pub fn median_sorted(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// Least-squares slope of y on x, 0 when x does not vary.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn least_squares_slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (sum_x, sum_y) = points.iter().fold((0.0, 0.0), |(sx, sy), (x, y)| (sx + x, sy + y));
    let (mean_x, mean_y) = (sum_x / n, sum_y / n);
    let sxx: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let sxy: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    if sxx > 0.0 { sxy / sxx } else { 0.0 }
}

/// Standard normal quantile, for thresholds given as probabilities.
#[must_use]
pub fn normal_quantile(probability: f64) -> f64 {
    Normal::standard().inverse_cdf(probability)
}

/// Share of a standard normal below `z`.
#[must_use]
pub fn normal_share_below(z: f64) -> f64 {
    Normal::standard().cdf(z)
}

/// Score at which a run of windows raises a false alarm once in `runs` on average: ln(runs).
#[must_use]
pub fn cusum_threshold(runs: f64) -> f64 {
    runs.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_agrees_with_the_published_example() {
        // Brown, Cai & DasGupta (2001): 10 of 100 at 95 % gives [0.0552, 0.1744].
        assert!((wilson_lower(10, 100, normal_quantile(0.975)) - 0.0552).abs() < 5e-4);
        assert!(wilson_lower(0, 0, 3.0).abs() < 1e-12);
    }

    #[test]
    fn theil_sen_ignores_outliers_and_sees_no_trend_in_noise() {
        let mut points: Vec<(f64, f64)> = (0..40).map(|i| (f64::from(i), 5.0 + 2.0 * f64::from(i))).collect();
        points[7].1 = 1e6;
        points[21].1 = -1e6;
        let trend = theil_sen(&points).unwrap();
        assert!((trend.slope - 2.0).abs() < 1e-9 && trend.slope_lower > 1.5 && trend.z > 5.0);
        let noise: Vec<(f64, f64)> = (0..40).map(|i| (f64::from(i), f64::from((i * 7919) % 101))).collect();
        assert!(theil_sen(&noise).unwrap().z.abs() < 2.0);
        let flat: Vec<(f64, f64)> = (0..40).map(|i| (f64::from(i), 3.0)).collect();
        assert!(theil_sen(&flat).unwrap().z.abs() < 1e-12);
    }

    #[test]
    fn the_ratio_is_that_of_the_probabilities() {
        // ln p(x; kμ, r) − ln p(x; μ, r) by the definition of the distribution.
        let log_probability = |x: f64, mean: f64, r: f64| x * (mean / (r + mean)).ln() + r * (r / (r + mean)).ln();
        let normal = NegativeBinomial { mean: 12.0, size: 3.0 };
        for x in [0.0, 7.0, 80.0] {
            let expected = log_probability(x, 36.0, 3.0) - log_probability(x, 12.0, 3.0);
            assert!((normal.log_likelihood_ratio(x, 3.0) - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn discoveries_need_more_evidence_among_more_comparisons() {
        // 1 % of 1 comparison: z of 2.33; of 10,000 comparisons, the best must reach 4.75.
        assert_eq!(discovery_z(&[2.4], 1, 0.01), Some(2.4));
        assert_eq!(discovery_z(&[4.7], 10_000, 0.01), None);
        assert_eq!(discovery_z(&[4.8], 10_000, 0.01), Some(4.8));
        // Many at once stand together: chance would not make so many.
        assert_eq!(discovery_z(&[4.1; 40], 10_000, 0.01), Some(4.1));
        assert_eq!(discovery_z(&[], 10, 0.01), None);
    }

    #[test]
    fn cusum_falls_under_the_allowed_share_and_rises_above_the_alarm() {
        let cusum = BernoulliCusum::new(0.02, 0.15);
        assert!(cusum.step(0.0, 2, 100, 50.0).abs() < 1e-12);
        assert!(cusum.step(0.0, 50, 100, 500.0) > 90.0);
        assert!((cusum.step(0.0, 1_000, 1_000, 50.0) - 50.0).abs() < 1e-12);
    }
}
