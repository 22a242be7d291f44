//! A pool over time: who holds its members, and who is missing.

use std::collections::VecDeque;

use super::buckets::{COARSE_BUCKETS_MAX, COARSE_MS, FINE_BUCKETS_MAX, FINE_MS, Starts, bucket_at};
use super::counter::{Counter, Flow};
use super::readings::Readings;
use crate::flow::SignalCell;
use crate::model::{Timestamp, metric};

/// Readings of a gauge in a span of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gauge {
    /// Newest.
    pub last: f64,
    /// Least: the floor that a leak raises.
    pub min: f64,
    /// Greatest.
    pub max: f64,
}

/// A pool in one span of time. What was not read is absent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoolBucket {
    /// First moment.
    pub start: Timestamp,
    /// Members in use; without that gauge, acquired minus released.
    pub in_use: Option<Gauge>,
    /// Members reserved.
    pub reserved: Option<Gauge>,
    /// Acquired minus released minus in use.
    pub missing: Option<Gauge>,
    /// The same minus reserved: what is missing if a reservation is counted as an acquisition.
    pub missing_beyond_reserved: Option<Gauge>,
    /// The same plus reserved: what is missing if a reservation is counted as in use.
    pub missing_and_reserved: Option<Gauge>,
    /// Acquisitions.
    pub acquired: Flow,
    /// Returns.
    pub released: Flow,
}

/// Short and long memory of a pool.
#[derive(Debug, Default)]
pub struct PoolHistory {
    /// 30-second buckets, oldest first.
    pub fine: VecDeque<PoolBucket>,
    /// Five-minute buckets, oldest first.
    pub coarse: VecDeque<PoolBucket>,
    /// Newest size.
    pub size: Option<f64>,
    /// Whether reserved members are known to be counted in `in_use` (true), beside it (false).
    pub reserved_inside: Option<bool>,
    /// When its counters last began anew: what was held before was given back with its holder.
    pub begun_at: Timestamp,
    acquired: Counter,
    released: Counter,
    in_use: Option<f64>,
    reserved: Option<f64>,
    /// Gauge and counters have been read in one window: they always are then, and staggered pairs are not compared.
    read_together: bool,
}

/// A sum of gauges above the size by more than this share says that one includes the other.
const ABOVE_SIZE_SHARE: f64 = 0.01;

impl Starts for PoolBucket {
    fn start(&self) -> Timestamp {
        self.start
    }
}

impl PoolBucket {
    fn new(start: Timestamp) -> Self {
        let (acquired, released) = (Flow::default(), Flow::default());
        Self {
            start,
            in_use: None,
            reserved: None,
            missing: None,
            missing_beyond_reserved: None,
            missing_and_reserved: None,
            acquired,
            released,
        }
    }
}

fn widen(known: &mut Option<Gauge>, last: f64, min: f64, max: f64) {
    let (min, max) = known.map_or((min, max), |gauge| (gauge.min.min(min), gauge.max.max(max)));
    *known = Some(Gauge { last, min, max });
}

impl PoolHistory {
    /// Whether any of `readings` is about a pool.
    pub(super) fn concerns(readings: &Readings<'_>) -> bool {
        [metric::POOL_IN_USE, metric::POOL_RESERVED, metric::POOL_ACQUIRED_TOTAL]
            .iter()
            .any(|name| readings.get(name).is_some())
    }

    /// Whether members that are in use are told by a gauge of their own.
    #[must_use]
    pub fn has_in_use(&self) -> bool {
        self.in_use.is_some()
    }

    /// Whether acquisitions are counted.
    #[must_use]
    pub fn counts_acquisitions(&self) -> bool {
        self.acquired.value().is_some()
    }

    pub(super) fn push(&mut self, at: Timestamp, readings: &Readings<'_>) {
        if let Some(size) = readings.get(metric::POOL_SIZE) {
            self.size = Some(size.last).filter(|size| *size > 0.0);
        }
        let in_use = readings.get(metric::POOL_IN_USE);
        let reserved = readings.get(metric::POOL_RESERVED);
        let acquired_reading = readings.get(metric::POOL_ACQUIRED_TOTAL);
        let released_reading = readings.get(metric::POOL_RELEASED_TOTAL);
        self.read_together |= in_use.is_some() && acquired_reading.is_some() && released_reading.is_some();
        let acquired = acquired_reading.and_then(|cell| self.acquired.read(cell));
        let released = released_reading.and_then(|cell| self.released.read(cell));
        if acquired.into_iter().chain(released).any(|increase| increase.reset) {
            self.begin_anew(at);
        }
        self.in_use = in_use.map(|cell| cell.last).or(self.in_use);
        self.reserved = reserved.map(|cell| cell.last).or(self.reserved);
        self.learn_convention();
        let complete = in_use.is_some() && acquired_reading.is_some() && released_reading.is_some();
        let balance = self.balance().filter(|_| complete || !self.read_together);
        let missing = balance.zip(self.in_use).map(|(balance, in_use)| balance - in_use);
        // Only counters: what was acquired and not released is in use.
        let balance_alone = balance.filter(|_| self.in_use.is_none());
        let reserved_now = self.reserved.unwrap_or(0.0);
        let (fine, coarse) = (&mut self.fine, &mut self.coarse);
        for (buckets, length_ms, buckets_max) in
            [(fine, FINE_MS, FINE_BUCKETS_MAX), (coarse, COARSE_MS, COARSE_BUCKETS_MAX)]
        {
            let Some(bucket) = bucket_at(buckets, at, length_ms, buckets_max, PoolBucket::new) else { continue };
            let note = |gauge: &mut Option<Gauge>, cell: Option<SignalCell>| {
                cell.into_iter().for_each(|cell| widen(gauge, cell.last, cell.min, cell.max));
            };
            note(&mut bucket.in_use, in_use);
            note(&mut bucket.reserved, reserved);
            balance_alone.into_iter().for_each(|held| widen(&mut bucket.in_use, held, held, held));
            let note_missing = |gauge: &mut Option<Gauge>, reserved: f64| {
                missing.map(|m| m + reserved).into_iter().for_each(|value| widen(gauge, value, value, value));
            };
            note_missing(&mut bucket.missing, 0.0);
            note_missing(&mut bucket.missing_beyond_reserved, -reserved_now);
            note_missing(&mut bucket.missing_and_reserved, reserved_now);
            bucket.acquired.take(acquired);
            bucket.released.take(released);
        }
    }

    fn balance(&self) -> Option<f64> {
        self.acquired.value().zip(self.released.value()).map(|(acquired, released)| acquired - released)
    }

    /// Counters from before a restart cannot be compared with those after it.
    fn begin_anew(&mut self, at: Timestamp) {
        self.begun_at = at;
        for bucket in self.fine.iter_mut().chain(&mut self.coarse) {
            (bucket.missing, bucket.missing_beyond_reserved, bucket.missing_and_reserved) = (None, None, None);
            if self.in_use.is_none() {
                bucket.in_use = None;
            }
        }
    }

    /// Reserved members are beside those in use when there are more of them; inside when both together exceed the pool.
    fn learn_convention(&mut self) {
        let Some((in_use, reserved)) = self.in_use.zip(self.reserved) else { return };
        if reserved > in_use * (1.0 + ABOVE_SIZE_SHARE) + 0.5 {
            self.reserved_inside = Some(false);
        } else if self.size.is_some_and(|size| in_use + reserved > size * (1.0 + ABOVE_SIZE_SHARE) + 0.5) {
            self.reserved_inside = Some(true);
        }
    }
}
