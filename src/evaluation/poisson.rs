//! The exact upper bound of a Poisson rate.

/// Bisection halves an interval this often: far below a digit that anybody prints.
const HALVINGS: u32 = 80;

/// One-sided 95 % upper bound of the mean when `count` events were seen (Garwood 1936): the mean at which so few, or fewer,
/// have a probability of 5 %. For none seen it is −ln 0.05 = 2.996.
#[must_use]
pub fn upper_bound(count: u64) -> f64 {
    let (mut low, mut high) = (count as f64, 2.0 * count as f64 + 20.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if at_most(count, middle) > 0.05 { low = middle } else { high = middle }
    }
    high
}

/// Probability of at most `count` events at a mean.
fn at_most(count: u64, mean: f64) -> f64 {
    let log_mean = libm::log(mean.max(f64::MIN_POSITIVE));
    let term = |k: u64| libm::exp(k as f64 * log_mean - mean - libm::lgamma(k as f64 + 1.0));
    (0..=count).map(term).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_the_tables() {
        // Garwood's limits, as tabulated (chi-square quantiles halved).
        for (count, bound) in [(0, 2.996), (1, 4.744), (2, 6.296), (5, 10.513), (20, 29.062)] {
            assert!((upper_bound(count) - bound).abs() < 0.001, "{count}: {}", upper_bound(count));
        }
    }
}
