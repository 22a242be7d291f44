//! Counts of whole numbers by size, eight buckets an octave: mergeable, order-independent, a few bytes while values are
//! alike. Bucket bounds are integers, so that every machine sorts a value into the same one.

/// Buckets an octave, as a power of two: a bucket is at most 12.5 % wide.
const SUB_BITS: u32 = 3;
const SUBS: u64 = 1 << SUB_BITS;

/// A sparse logarithmic histogram; at most 496 buckets, whatever comes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogHistogram {
    /// (bucket, count), in the order of the buckets.
    counts: Vec<(u16, u32)>,
    total: u64,
}

fn bucket_of(value: u64) -> u16 {
    let bucket = if value < SUBS {
        value
    } else {
        let top = u64::from(63 - value.leading_zeros());
        let sub = (value >> (top - u64::from(SUB_BITS))) & (SUBS - 1);
        ((top - u64::from(SUB_BITS) + 1) << SUB_BITS) + sub
    };
    // At most 61 · 8 + 7.
    u16::try_from(bucket).unwrap_or(u16::MAX)
}

/// First value of a bucket, and its width.
#[allow(clippy::cast_precision_loss)] // a bucket's bounds are eight-bit numbers times a power of two
fn bounds(bucket: u16) -> (f64, f64) {
    let bucket = u64::from(bucket);
    if bucket < SUBS {
        return (bucket as f64, 1.0);
    }
    let octave = (bucket >> SUB_BITS) - 1;
    let low = (SUBS + (bucket & (SUBS - 1))) as f64;
    let scale = (1_u64 << octave.min(60)) as f64;
    (low * scale, scale)
}

impl LogHistogram {
    /// Counts a value.
    pub fn add(&mut self, value: u64) {
        self.add_count(bucket_of(value), 1);
    }

    fn add_count(&mut self, bucket: u16, count: u32) {
        self.total += u64::from(count);
        match self.counts.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(place) => self.counts[place].1 = self.counts[place].1.saturating_add(count),
            Err(place) => self.counts.insert(place, (bucket, count)),
        }
    }

    /// Adds all values of another one.
    pub fn merge(&mut self, other: &Self) {
        other.counts.iter().for_each(|(bucket, count)| self.add_count(*bucket, *count));
    }

    /// Adds those values of another one that are at least `least`.
    pub fn merge_from(&mut self, other: &Self, least: f64) {
        let high = other.counts.iter().filter(|(bucket, _)| bounds(*bucket).0 >= least);
        high.for_each(|(bucket, count)| self.add_count(*bucket, *count));
    }

    /// Values counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Forgets half of each bucket (rounded down): old values lose weight.
    pub fn halve(&mut self) {
        self.counts.iter_mut().for_each(|(_, count)| *count /= 2);
        self.counts.retain(|(_, count)| *count > 0);
        self.total = self.counts.iter().map(|(_, count)| u64::from(*count)).sum();
    }

    /// The value below which the share `q` lies, interpolated inside its bucket; nothing when empty.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let wanted = q.clamp(0.0, 1.0) * self.total as f64;
        let mut below = 0.0;
        for (bucket, count) in &self.counts {
            let count = f64::from(*count);
            if below + count >= wanted {
                let (low, width) = bounds(*bucket);
                return Some(low + width * ((wanted - below) / count).clamp(0.0, 1.0));
            }
            below += count;
        }
        self.max()
    }

    /// The middle value; nothing when empty.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        self.quantile(0.5)
    }

    /// The geometric mean (of bucket middles): less noisy than the median where sizes are lognormal. Nothing when empty.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn geometric_mean(&self) -> Option<f64> {
        let middle = |bucket: u16| {
            let (low, width) = bounds(bucket);
            (low + width / 2.0).ln()
        };
        let sum: f64 = self.counts.iter().map(|(bucket, count)| f64::from(*count) * middle(*bucket)).sum();
        (self.total > 0).then(|| (sum / self.total as f64).exp())
    }

    /// Start of the lowest bucket.
    #[must_use]
    pub fn min(&self) -> Option<f64> {
        self.counts.first().map(|(bucket, _)| bounds(*bucket).0)
    }

    /// End of the highest bucket.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        self.counts.last().map(|(bucket, _)| bounds(*bucket)).map(|(low, width)| low + width)
    }

    /// How surely these values are greater than `before`: Mann–Whitney's z with ties (Mann & Whitney, 1947). 0 when
    /// either is empty.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn mann_whitney_z(&self, before: &Self) -> f64 {
        let (n, m) = (self.total as f64, before.total as f64);
        if n == 0.0 || m == 0.0 {
            return 0.0;
        }
        let mut all = before.clone();
        all.merge(self);
        let count = |of: &Self, bucket: u16| {
            let place = of.counts.binary_search_by_key(&bucket, |(bucket, _)| *bucket);
            place.map_or(0.0, |place| f64::from(of.counts[place].1))
        };
        let (mut u, mut ties, mut below) = (0.0, 0.0, 0.0);
        for (bucket, together) in &all.counts {
            let (own, other, together) = (count(self, *bucket), count(before, *bucket), f64::from(*together));
            u += own * (below + other / 2.0);
            below += other;
            ties += together * (together * together - 1.0);
        }
        let whole = n + m;
        let variance = n * m / 12.0 * (whole + 1.0 - ties / (whole * (whole - 1.0)).max(1.0));
        if variance > 0.0 { (u - n * m / 2.0) / variance.sqrt() } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> LogHistogram {
        let mut histogram = LogHistogram::default();
        values.into_iter().for_each(|value| histogram.add(value));
        histogram
    }

    #[test]
    fn every_value_lies_in_its_bucket() {
        for value in (0..70).chain([1_000, 4_095, 4_096, 1 << 40, (1 << 40) - 1, u64::MAX / 3]) {
            let (low, width) = bounds(bucket_of(value));
            #[allow(clippy::cast_precision_loss)]
            let exact = value as f64;
            assert!(low <= exact && exact < low + width && width <= (low / 8.0).max(1.0), "{value}: {low} + {width}");
        }
    }

    #[test]
    fn quantiles_and_merging() {
        let (low, high) = (of(1..=500), of(501..=1_000));
        let mut both = high.clone();
        both.merge(&low);
        assert_eq!(both, of(1..=1_000));
        assert!((both.median().unwrap() - 500.0).abs() < 20.0);
        assert!((both.quantile(0.99).unwrap() - 990.0).abs() < 60.0);
        both.halve();
        assert!(both.total() <= 500);
        assert!(LogHistogram::default().median().is_none());
    }

    #[test]
    fn mann_whitney_agrees_with_its_formula() {
        // Complete separation of 9 from 20: (nm/2)/sqrt(nm(n+m+1)/12) = 4.24.
        let z = of((0..9).map(|i| 10_000 << i)).mann_whitney_z(&of((0..20).map(|i| 100 + 20 * i)));
        assert!((z - 4.24).abs() < 0.05, "{z}");
        assert!(of(0..100).mann_whitney_z(&of(0..100)).abs() < 1e-9);
        assert!(of([5; 10]).mann_whitney_z(&of([5; 10])).abs() < 1e-9);
    }
}
