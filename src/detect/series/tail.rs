//! How rare a value of a statistic is for its own series: its rank, and above all ranks a generalised Pareto tail.

use super::sorted::SortedWindow;

/// Values that have to be known before one can be called rare.
const KNOWN_MIN: usize = 30;
/// The greatest values are the tail: this share, at least so many.
const TAIL_SHARE: f64 = 0.02;
const TAIL_MIN: usize = 10;
/// From n values nothing is called rarer than one in n to this power.
const TRUST: f64 = 2.5;
/// Tails heavier than this have no usable moments.
const SHAPE_MAX: f64 = 0.45;

/// Learns the distribution of a statistic and says how surprising a value of it is.
#[derive(Debug, Clone)]
pub(super) struct Tail {
    known: SortedWindow,
}

impl Tail {
    pub(super) fn new(history_values_max: usize) -> Self {
        Self { known: SortedWindow::new(history_values_max) }
    }

    /// `−log10 P(X ≥ value)`, then learns the value. Zero while too little is known.
    pub(super) fn surprise(&mut self, value: f64) -> f64 {
        let surprise = if self.known.len() < KNOWN_MIN { 0.0 } else { self.rarity(value) };
        self.known.push(value);
        surprise
    }

    fn rarity(&self, value: f64) -> f64 {
        let ascending = self.known.ascending();
        let known = ascending.len();
        let tail = ((known as f64 * TAIL_SHARE) as usize).max(TAIL_MIN);
        let (usual, excesses) = ascending.split_at(known - tail);
        let start = usual.last().copied().unwrap_or(value);
        if value <= start {
            let share = (self.known.count_from(value) as f64 + 0.5) / (known as f64 + 1.0);
            return (-libm::log10(share)).max(0.0);
        }
        let in_tail = -libm::log10(tail as f64 / (known as f64 + 1.0));
        (in_tail + beyond(value - start, excesses, start)).min(TRUST * libm::log10(known as f64))
    }
}

/// `−log10` of the chance to exceed the start of the tail by `excess`: a generalised Pareto distribution fitted by
/// moments (Hosking and Wallis, Technometrics 29, 1987), as in peaks over threshold (Siffer et al., KDD 2017). Tails
/// lighter than exponential are taken as exponential: a sample's bound is no bound of the series.
fn beyond(excess: f64, tail: &[f64], start: f64) -> f64 {
    let count = tail.len() as f64;
    let mean = tail.iter().map(|value| value - start).sum::<f64>() / count;
    if mean <= 0.0 {
        // Never a value above the start before: a flat series that changes.
        return 2.0 * libm::log10(count + 1.0);
    }
    let variance = tail.iter().map(|value| (value - start - mean).powi(2)).sum::<f64>() / count;
    let ratio = if variance > 0.0 { mean * mean / variance } else { 1.0 };
    let shape = (0.5 * (1.0 - ratio)).clamp(0.0, SHAPE_MAX);
    if shape < 1e-6 {
        return excess / mean / std::f64::consts::LN_10;
    }
    let scale = 0.5 * mean * (1.0 + ratio);
    libm::log10(1.0 + shape * excess / scale) / shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exponential_tail_is_continued() {
        let mut tail = Tail::new(4_096);
        // Quantiles of the exponential distribution, in an order that has nothing to do with their size.
        for n in 0..2_000_u32 {
            tail.surprise(-libm::log(1.0 - (f64::from(n * 733 % 2_000) + 0.5) / 2_000.0));
        }
        let surprise = tail.surprise(5.0 * std::f64::consts::LN_10);
        assert!((4.5..5.5).contains(&surprise), "one in 10^5 is said to be one in 10^{surprise}");
        assert!(tail.surprise(0.5) < 0.5);
    }

    #[test]
    fn what_has_never_changed_surprises_by_changing() {
        let mut tail = Tail::new(4_096);
        assert!((0..500).all(|_| tail.surprise(0.0) < 0.1));
        assert!(tail.surprise(1e-9) > 3.0);
    }

    #[test]
    fn little_is_not_trusted_far() {
        let mut tail = Tail::new(4_096);
        assert!((0..KNOWN_MIN).all(|n| tail.surprise(n as f64) == 0.0));
        assert!(tail.surprise(1e9) <= TRUST * libm::log10(KNOWN_MIN as f64));
    }
}
