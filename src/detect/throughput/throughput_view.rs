//! Throughput as `Saturation` looks at it: what goes through now, and what was normal before.

use crate::detect::edge_harm::surely_failing;
use crate::detect::growth::median_of;
use crate::flow::{COARSE_MS, EdgeHistory, FINE_MS, Flow, ThroughputBucket, ThroughputHistory};
use crate::model::{DurationMs, Timestamp};

/// Two neighbouring half-minutes with readings, this young, are "now": one could be a burst.
const NOW_BUCKETS: usize = 2;
const NOW_MS: DurationMs = 300_000;
/// What led up to it does not count as normal.
const LEAD_MS: DurationMs = 150_000;
/// Fewer half-minutes teach nothing.
const TAUGHT_MIN: usize = 6;
/// Drops are abnormal above these factors of what three quarters and 95 % of the time stay below ...
const QUARTILE_FACTOR: f64 = 5.0;
const HIGHEST_FACTOR: f64 = 2.0;
/// ... or, while requests fail, above this one of the median: then they need not be rare to count.
const MEDIAN_FACTOR: f64 = 3.0;
/// Fewer drops than these are nothing: a second, and of operations.
const DROPS_PER_SECOND_MIN: f64 = 0.2;
const DROPS_SHARE_MIN: f64 = 0.000_05;
/// Where nothing is known of before, this share of operations dropped while requests fail speaks for itself.
const UNTAUGHT_SHARE_MIN: f64 = 0.001;
const UNTAUGHT_PER_SECOND_MIN: f64 = 5.0;
/// Flat: throughput varies no more than this over five minutes, in so many half-minutes with readings at least.
const FLAT_MS: DurationMs = 300_000;
const FLAT_BUCKETS_MIN: usize = 4;
const FLAT_VARIATION_MAX: f64 = 0.02;
const FLAT_RISE_MAX: f64 = 0.015;

/// The newest stretch of throughput.
#[derive(Debug, Clone, Copy)]
pub(super) struct Throughput {
    /// Its first moment.
    pub first: Timestamp,
    /// Operations a second.
    pub operations: Option<f64>,
    /// The lesser of the two buckets'.
    pub operations_least: Option<f64>,
    /// Bytes a second.
    pub bytes: Option<f64>,
    /// Dropped packets a second.
    pub drops: Option<f64>,
    drops_least: [Option<Drops>; NOW_BUCKETS],
    /// Operations or bytes hardly vary.
    pub is_flat: bool,
}

/// Drops of one bucket, a second and as a share of operations where these are known.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Drops {
    per_second: f64,
    share: Option<f64>,
}

fn drops(bucket: &ThroughputBucket) -> Option<Drops> {
    let per_second = bucket.drops.per_second()?;
    let operations = bucket.operations.per_second().filter(|operations| *operations > 0.0);
    Some(Drops { per_second, share: operations.map(|operations| per_second / operations) })
}

pub(super) fn is_watched(bucket: &ThroughputBucket) -> bool {
    [bucket.operations, bucket.bytes, bucket.drops].iter().any(|flow| flow.watched_ms > 0)
}

impl Throughput {
    /// The last two half-minutes with readings.
    pub(super) fn lately(history: &ThroughputHistory, end: Timestamp) -> Option<Self> {
        let young = |bucket: &&ThroughputBucket| end.since(bucket.start) <= NOW_MS;
        let mut newest = history.fine.iter().rev().take_while(young).filter(|bucket| is_watched(bucket));
        let (last, before) = (newest.next()?, newest.next()?);
        let sum = |of: fn(&ThroughputBucket) -> Flow| {
            let mut flow = of(before);
            flow.add(of(last));
            flow.per_second()
        };
        let least = |of: fn(&ThroughputBucket) -> Flow| Some(of(last).per_second()?.min(of(before).per_second()?));
        Some(Self {
            first: before.start,
            operations: sum(|bucket| bucket.operations),
            operations_least: least(|bucket| bucket.operations),
            bytes: sum(|bucket| bucket.bytes),
            drops: sum(|bucket| bucket.drops),
            drops_least: [drops(before), drops(last)],
            is_flat: flat(history, |bucket| bucket.operations, end)
                .or_else(|| flat(history, |bucket| bucket.bytes, end))
                .is_some(),
        })
    }

    /// Whether there is anything to look into: drops at all, or no movement.
    pub(super) fn is_remarkable(&self) -> bool {
        let drops = |drops: &Option<Drops>| drops.is_some_and(|drops| drops.per_second >= DROPS_PER_SECOND_MIN);
        self.drops_least.iter().all(drops) || self.is_flat
    }

    /// The share of operations that is dropped.
    pub(super) fn drops_share(&self) -> Option<f64> {
        self.drops.zip(self.operations).filter(|(_, operations)| *operations > 0.0).map(|(drops, all)| drops / all)
    }

    /// Whether drops are plain without knowing what is normal: many, while requests fail.
    pub(super) fn fails_with_drops(&self, edge: &EdgeHistory, end: Timestamp) -> bool {
        let many = self.drops_share().map_or_else(
            || self.drops.is_some_and(|drops| drops >= UNTAUGHT_PER_SECOND_MIN),
            |share| share >= UNTAUGHT_SHARE_MIN,
        );
        many && surely_failing(&edge.between(self.first, end), 0.0)
    }
}

/// The mean of the last five minutes, where it hardly varies.
pub(super) fn flat(history: &ThroughputHistory, of: fn(&ThroughputBucket) -> Flow, end: Timestamp) -> Option<f64> {
    let whole = history.fine.iter().rev().filter(|bucket| bucket.start.plus(FINE_MS) <= end);
    let young = whole.take_while(|bucket| end.since(bucket.start) <= FLAT_MS + FINE_MS);
    let rates: Vec<f64> = young.filter_map(|bucket| of(bucket).per_second()).collect();
    if rates.len() < FLAT_BUCKETS_MIN {
        return None;
    }
    #[allow(clippy::cast_precision_loss)] // at most eleven
    let n = rates.len() as f64;
    let mean = rates.iter().sum::<f64>() / n;
    let deviation = (rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / n).sqrt();
    // Newest first. What still rises is on its way, however evenly.
    let third = (rates.len() / 3).max(1);
    let part = |rates: &[f64]| median_of(rates.iter().copied());
    let rises = part(&rates[..third]) - part(&rates[rates.len() - third..]) > FLAT_RISE_MAX * mean;
    (mean > 0.0 && deviation <= FLAT_VARIATION_MAX * mean && !rises).then_some(mean)
}

/// What was normal for a source before a moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Background {
    taught: bool,
    per_second: Spread,
    share: Spread,
    operations_max: f64,
    bytes_max: f64,
    /// Operations a second as a rule.
    pub operations_usual: f64,
}

/// How a quantity is spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Spread {
    median: f64,
    quartile: f64,
    highest: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let at = |share: f64| {
            let place = (share * values.len() as f64).floor() as usize;
            values.get(place.min(values.len().saturating_sub(1))).copied().unwrap_or(0.0)
        };
        Self { median: at(0.5), quartile: at(0.75), highest: at(0.95) }
    }

    fn threshold(&self, with_harm: bool) -> f64 {
        let rare = (QUARTILE_FACTOR * self.quartile).max(HIGHEST_FACTOR * self.highest);
        if with_harm { rare.min(MEDIAN_FACTOR * self.median) } else { rare }
    }
}

impl Background {
    /// From the short and long memory before `onset`.
    pub(super) fn learn(history: &ThroughputHistory, onset: Timestamp) -> Self {
        let until = onset.plus(-LEAD_MS);
        let fine: Vec<&ThroughputBucket> =
            history.fine.iter().filter(|bucket| bucket.start < until && is_watched(bucket)).collect();
        let first_fine = fine.first().map_or(until, |bucket| bucket.start);
        let coarse = history.coarse.iter().filter(|b| b.start.plus(COARSE_MS) <= first_fine && is_watched(b));
        let all: Vec<&ThroughputBucket> = coarse.chain(fine.iter().copied()).collect();
        let of_drops = |part: fn(&Drops) -> Option<f64>| {
            Spread::of(all.iter().filter_map(|bucket| drops(bucket)).filter_map(|drops| part(&drops)).collect())
        };
        let rates = |of: fn(&ThroughputBucket) -> Flow| all.iter().filter_map(move |bucket| of(bucket).per_second());
        Self {
            taught: all.len() >= TAUGHT_MIN,
            per_second: of_drops(|drops| Some(drops.per_second)),
            share: of_drops(|drops| drops.share),
            operations_max: rates(|bucket| bucket.operations).fold(0.0, f64::max),
            bytes_max: rates(|bucket| bucket.bytes).fold(0.0, f64::max),
            operations_usual: median_of(rates(|bucket| bucket.operations)),
        }
    }

    /// Whether there was too little before to know what is normal.
    pub(super) fn is_untaught(&self) -> bool {
        !self.taught
    }

    /// Usual drops a second.
    pub(super) fn drops_usual(&self) -> f64 {
        self.per_second.median
    }

    /// Whether packets are dropped beyond the usual trickle, in both of the last half-minutes. A trickle that grows with
    /// the throughput is still one: both the rate and the share must be abnormal.
    pub(super) fn drops_exceed(&self, now: &Throughput, with_harm: bool) -> bool {
        self.taught
            && now.drops_least.iter().all(|drops| {
                drops.is_some_and(|drops| {
                    let many = drops.per_second >= DROPS_PER_SECOND_MIN.max(self.per_second.threshold(with_harm));
                    let share = |share| share >= DROPS_SHARE_MIN.max(self.share.threshold(with_harm));
                    many && drops.share.is_none_or(share)
                })
            })
    }

    /// Whether throughput is high for the source; true where it is not told.
    pub(super) fn is_high(&self, now: &Throughput, share: f64) -> bool {
        let high = |now: Option<f64>, max: f64| now.is_some_and(|now| now >= share * max);
        (now.operations.is_none() && now.bytes.is_none())
            || high(now.operations, self.operations_max)
            || high(now.bytes, self.bytes_max)
    }
}
