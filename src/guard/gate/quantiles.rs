//! Quantiles of what queries took, in few bytes: counts in buckets of an eighth of an octave, so that a quantile is at
//! most 12.5 % above the truth and never below it.

use serde::{Deserialize, Serialize};

/// From here on old runs lose half their weight, so that what is learned follows a query that changes.
const RUNS_MAX: u32 = 256;
/// Buckets of an octave, as a power of two.
const SUB_BITS: u32 = 3;

/// Counts by bucket. At most `RUNS_MAX` buckets, as each holds a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Quantiles {
    /// Bucket and count, by bucket.
    counts: Vec<(u16, u16)>,
}

impl Quantiles {
    pub(super) fn add(&mut self, value: u64) {
        let bucket = bucket_of(value);
        match self.counts.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.counts[at].1 = self.counts[at].1.saturating_add(1),
            Err(at) => self.counts.insert(at, (bucket, 1)),
        }
        if self.runs() > RUNS_MAX {
            self.counts.iter_mut().for_each(|(_, count)| *count /= 2);
            self.counts.retain(|(_, count)| *count > 0);
        }
    }

    /// Runs that count.
    pub(super) fn runs(&self) -> u32 {
        self.counts.iter().map(|(_, count)| u32::from(*count)).sum()
    }

    /// The smallest bucket's upper end that `per_cent` of the runs do not exceed (nearest rank).
    pub(super) fn quantile(&self, per_cent: u32) -> Option<u64> {
        let rank = (self.runs() * per_cent).div_ceil(100).max(1);
        let mut seen = 0;
        let bucket = self.counts.iter().find(|(_, count)| {
            seen += u32::from(*count);
            seen >= rank
        });
        bucket.map(|(bucket, _)| upper_end(*bucket))
    }
}

fn bucket_of(value: u64) -> u16 {
    let octave = 63 - (value | 1).leading_zeros();
    if octave < SUB_BITS {
        // Below 2^3 each number has its own bucket; it fits by construction.
        return value as u16;
    }
    let sub = (value >> (octave - SUB_BITS)) & ((1 << SUB_BITS) - 1);
    // 64 octaves of 8 buckets are below 2^16.
    (((octave - SUB_BITS + 1) << SUB_BITS) as u16) + sub as u16
}

fn upper_end(bucket: u16) -> u64 {
    let (octave, sub) = (u32::from(bucket) >> SUB_BITS, u128::from(bucket) & ((1 << SUB_BITS) - 1));
    if octave == 0 {
        return u64::from(bucket);
    }
    let end = (((1_u128 << SUB_BITS) + sub + 1) << (octave - 1).min(64)) - 1;
    u64::try_from(end).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_is_at_most_an_eighth_below_its_bucket(value: u64) {
            let end = upper_end(bucket_of(value));
            prop_assert!(end >= value);
            prop_assert!(end - value <= value / 8, "{value} {end}");
        }
    }

    #[test]
    fn old_runs_lose_weight() {
        let mut quantiles = Quantiles::default();
        assert_eq!(quantiles.quantile(95), None);
        (0..200).for_each(|_| quantiles.add(1_000_000));
        (0..20).for_each(|_| quantiles.add(8));
        assert_eq!(quantiles.quantile(5), Some(8));
        (0..600).for_each(|_| quantiles.add(8));
        assert_eq!(quantiles.quantile(95), Some(8), "a query that was mended is seen as mended");
        assert!(quantiles.runs() <= RUNS_MAX);
    }
}
