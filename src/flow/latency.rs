//! Durations in buckets: OpenTelemetry's base-2 exponential histogram, scale 3. Mergeable in any order, exactly.

use serde::{Deserialize, Serialize};

/// Histogram buckets of each doubling: scale 3 has 2^3, so a bucket is 9 % wide.
pub const BUCKETS_PER_DOUBLING: i16 = 8;
/// Bucket of durations that are zero (or less, which a clock step can cause): outside what a logarithm can give.
pub const ZERO_BUCKET: i16 = i16::MIN;

/// 2^(k/8): where the buckets of a doubling end. Compared, not computed: a logarithm may differ in its last bit from
/// machine to machine, and the same log must give the same alerts on all of them.
const BOUNDS: [f32; 8] =
    [1.0, 1.090_507_7, 1.189_207_1, 1.296_839_6, std::f32::consts::SQRT_2, 1.542_210_8, 1.681_792_9, 1.834_008];

/// The bucket that counts `duration_ms` milliseconds: number `i` holds the durations above 2^(i/8) up to 2^((i+1)/8).
#[must_use]
pub fn latency_bucket(duration_ms: f32) -> i16 {
    if duration_ms.is_nan() || duration_ms <= 0.0 {
        return ZERO_BUCKET;
    }
    let bits = duration_ms.to_bits();
    #[allow(clippy::cast_possible_truncation)] // eight bits of exponent
    let exponent = (bits >> 23) as i16 - 127;
    let mantissa = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000);
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // at most eight
    let above = BOUNDS.iter().filter(|bound| mantissa > **bound).count() as i16;
    exponent * BUCKETS_PER_DOUBLING + above - 1
}

/// The longest duration a bucket holds, in milliseconds.
#[must_use]
pub fn bucket_end_ms(bucket: i16) -> f64 {
    if bucket == ZERO_BUCKET { 0.0 } else { ((f64::from(bucket) + 1.0) / f64::from(BUCKETS_PER_DOUBLING)).exp2() }
}

/// How many requests took how long: (bucket, count) in the order of the buckets. A group has some tens of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Latencies {
    buckets: Vec<(i16, u64)>,
    count: u64,
}

impl Latencies {
    /// Counts `count` requests in `bucket`.
    pub fn add(&mut self, bucket: i16, count: u64) {
        self.count += count;
        match self.buckets.binary_search_by_key(&bucket, |(at, _)| *at) {
            Ok(place) => self.buckets[place].1 += count,
            Err(place) => self.buckets.insert(place, (bucket, count)),
        }
    }

    /// Adds all of another histogram.
    pub fn merge(&mut self, other: &Self) {
        other.buckets.iter().for_each(|(bucket, count)| self.add(*bucket, *count));
    }

    /// Requests counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The buckets that hold something, in order.
    pub fn iter(&self) -> impl Iterator<Item = (i16, u64)> {
        self.buckets.iter().copied()
    }

    /// Requests in buckets above `bucket`.
    #[must_use]
    pub fn count_above(&self, bucket: i16) -> u64 {
        self.buckets.iter().filter(|(at, _)| *at > bucket).map(|(_, count)| count).sum()
    }

    /// Takes away a histogram that was added before.
    pub fn subtract(&mut self, other: &Self) {
        for (bucket, count) in other.iter() {
            if let Ok(place) = self.buckets.binary_search_by_key(&bucket, |(at, _)| *at) {
                let left = self.buckets[place].1.saturating_sub(count);
                self.count -= self.buckets[place].1 - left;
                self.buckets[place].1 = left;
            }
        }
        self.buckets.retain(|(_, count)| *count > 0);
    }

    /// The duration that the share `q` of requests is not longer than, milliseconds, at most a bucket's width (9 %) above
    /// the truth. Nothing when empty.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
    pub fn quantile_ms(&self, q: f64) -> Option<f64> {
        let wanted = q * self.count as f64;
        let mut below = 0.0;
        let holds = |(bucket, count): (i16, u64)| {
            below += count as f64;
            (below >= wanted).then(|| bucket_end_ms(bucket))
        };
        self.iter().find_map(holds)
    }

    /// Sum of the bucket numbers of all requests: over their count it is the logarithm of the geometric mean duration.
    #[must_use]
    pub fn bucket_sum(&self) -> i64 {
        let timed = self.buckets.iter().filter(|(bucket, _)| *bucket != ZERO_BUCKET);
        timed.map(|(bucket, count)| i64::from(*bucket) * i64::try_from(*count).unwrap_or(i64::MAX)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_their_upper_bound_as_opentelemetry_has_it() {
        assert_eq!(latency_bucket(1.0), -1);
        assert_eq!(latency_bucket(1.000_1), 0);
        assert_eq!(latency_bucket(2.0), 7);
        assert_eq!(latency_bucket(1_024.0), 79);
        assert_eq!(latency_bucket(0.5), -9);
        assert_eq!([latency_bucket(0.0), latency_bucket(-1.0), latency_bucket(f32::NAN)], [ZERO_BUCKET; 3]);
    }

    #[test]
    fn the_bounds_are_those_of_the_logarithm() {
        for i in 1..200_000_i32 {
            #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
            let duration_ms = 0.003 * 1.000_1_f64.powi(i) as f32;
            #[allow(clippy::cast_possible_truncation)]
            let expected = ((f64::from(duration_ms).log2() * 8.0).ceil() - 1.0) as i16;
            assert_eq!(latency_bucket(duration_ms), expected, "{duration_ms}");
            assert!(f64::from(duration_ms) <= bucket_end_ms(expected) * (1.0 + 1e-6));
        }
    }

    #[test]
    fn what_is_taken_away_was_never_there_and_quantiles_are_within_a_bucket() {
        let mut all = Latencies::default();
        (1..=100_u8).for_each(|ms| all.add(latency_bucket(f32::from(ms)), 1));
        let (before, mut calls) = (all.clone(), Latencies::default());
        (0..7_u8).for_each(|ms| calls.add(latency_bucket(f32::from(ms) * 30.0), 2));
        all.merge(&calls);
        all.subtract(&calls);
        assert_eq!(all, before);
        for (q, truth) in [(0.5, 50.0), (0.95, 95.0), (1.0, 100.0)] {
            let quantile_ms = all.quantile_ms(q).unwrap();
            assert!((truth..truth * 1.1).contains(&quantile_ms), "{q}: {quantile_ms}");
        }
        assert_eq!(Latencies::default().quantile_ms(0.5), None);
    }

    #[test]
    fn merging_parts_in_any_order_is_counting_once() {
        let parts: Vec<Latencies> = (0..3_u8)
            .map(|part| {
                let mut latencies = Latencies::default();
                (0..50_u8).for_each(|i| latencies.add(latency_bucket(f32::from(i * 5 + part)), 1));
                latencies
            })
            .collect();
        let merged = |order: [usize; 3]| {
            let mut whole = Latencies::default();
            order.iter().for_each(|place| whole.merge(&parts[*place]));
            whole
        };
        assert_eq!(merged([0, 1, 2]), merged([2, 0, 1]));
        assert_eq!(merged([0, 1, 2]).count(), 150);
    }
}
