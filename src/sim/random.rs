//! Random draws that are the same on every machine: ChaCha8 and `libm`, never the platform's own mathematics.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream of draws is for. Each concern has its own, so that a change of one (another retry policy, say)
/// leaves the others' draws where they were.
#[derive(Debug, Clone, Copy)]
pub(super) enum Concern {
    Population = 1,
    Arrivals = 2,
    Service = 3,
    Client = 4,
    Signals = 5,
    Batches = 6,
    Queries = 7,
    Delivery = 8,
}

/// A stream of random draws.
#[derive(Debug, Clone)]
pub(super) struct Stream(ChaCha8Rng);

impl Stream {
    pub(super) fn new(seed: u64, concern: Concern) -> Self {
        let mut key = [0_u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(concern as u64);
        Self(generator)
    }

    /// Uniform in [0, 1), 53 bits.
    pub(super) fn unit(&mut self) -> f64 {
        const SCALE: f64 = 1.0 / (1_u64 << 53) as f64;
        (self.0.next_u64() >> 11) as f64 * SCALE
    }

    /// True with probability `share`.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        // No draw for a certainty: a scenario without a feature does not pay for it.
        share > 0.0 && self.unit() < share
    }

    /// Uniform in [0, `limit_us`).
    pub(super) fn uniform_us(&mut self, limit_us: i64) -> i64 {
        (self.unit() * limit_us as f64) as i64
    }

    /// Exponential with the given mean: the gap to the next event of a Poisson process.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(1.0 - self.unit())
    }

    /// Standard normal (Box and Muller 1958).
    pub(super) fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.unit()));
        radius * libm::cos(std::f64::consts::TAU * self.unit())
    }

    /// Log-normal, given by its median and the standard deviation of its logarithm.
    pub(super) fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * libm::exp(sigma * self.normal())
    }

    /// Log-normal span of time, at most a day: the tail of a wide distribution has no end, a clock has one.
    pub(super) fn lognormal_us(&mut self, median_us: i64, sigma: f64) -> i64 {
        const DAY_US: f64 = 86_400e6;
        self.lognormal(median_us as f64, sigma).min(DAY_US) as i64
    }

    /// Geometric from 1 with the given mean (at least 1), at most `max`.
    pub(super) fn geometric(&mut self, mean: f64, max: u32) -> u32 {
        if mean <= 1.0 {
            return 1;
        }
        let draws = libm::log(1.0 - self.unit()) / libm::log(1.0 - 1.0 / mean);
        (draws as u32).saturating_add(1).min(max)
    }

    /// Index drawn from cumulative weights, which end in their sum.
    pub(super) fn pick(&mut self, cumulative: &[f64]) -> usize {
        let total = cumulative.last().copied().unwrap_or(0.0);
        let target = self.unit() * total;
        cumulative.partition_point(|sum| *sum <= target).min(cumulative.len().saturating_sub(1))
    }
}

/// A bijective scramble of 64 bits (SplitMix64, Steele et al. 2014): turns counters into identifiers without repeats.
pub(super) fn scramble(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_moments_they_promise() {
        let mut stream = Stream::new(7, Concern::Service);
        let n = 20_000;
        let mean = |f: &mut dyn FnMut() -> f64| (0..n).map(|_| f()).sum::<f64>() / f64::from(n);
        assert!((mean(&mut || stream.unit()) - 0.5).abs() < 0.01);
        assert!((mean(&mut || stream.exponential(3.0)) - 3.0).abs() < 0.1);
        assert!(mean(&mut || stream.normal()).abs() < 0.03);
        assert!((mean(&mut || f64::from(stream.geometric(4.0, 1_000))) - 4.0).abs() < 0.15);
        let above = mean(&mut || f64::from(u8::from(stream.lognormal(80.0, 0.5) > 80.0)));
        assert!((above - 0.5).abs() < 0.02, "half lie above the median");
    }

    #[test]
    fn the_stream_is_part_of_the_contract() {
        // A new generator or another key derivation would silently change every scenario: this test says so.
        let mut stream = Stream::new(7, Concern::Arrivals);
        let draws: Vec<u64> = (0..2).map(|_| (stream.unit() * 1e9) as u64).collect();
        assert_eq!(draws, [10_922_764, 194_391_998]);
    }

    #[test]
    fn pick_follows_the_weights() {
        let mut stream = Stream::new(1, Concern::Client);
        let mut counts = [0_u32; 3];
        for _ in 0..10_000 {
            counts[stream.pick(&[1.0, 1.0, 4.0])] += 1;
        }
        assert_eq!(counts[1], 0, "weight 0");
        assert!((2_300..2_700).contains(&counts[0]), "{counts:?}");
    }
}
