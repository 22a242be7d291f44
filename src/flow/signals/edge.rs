//! Requests at the edge over time: what load, failures and waiting the signals are held against.

use std::collections::VecDeque;

use super::buckets::{
    COARSE_BUCKETS_MAX, COARSE_MS, DAY_MS, DAYS_MAX, FINE_BUCKETS_MAX, FINE_MS, Starts, bucket_at, find,
};
use crate::flow::{Cell, ClosedWindow};
use crate::model::{DurationMs, Timestamp};

/// Requests of one span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeBucket {
    /// First moment.
    pub start: Timestamp,
    /// Requests answered at the edge.
    pub requests: u64,
    /// Of these, repeats of requests that had failed, as told or as inferred.
    pub resends: u64,
    /// Of these, 5xx.
    pub server_errors: u64,
    /// Sum of durations, in microseconds.
    pub duration_us_sum: u64,
}

/// Short, long and longest memory of the edge.
#[derive(Debug, Default)]
pub struct EdgeHistory {
    /// 30-second buckets, oldest first.
    pub fine: VecDeque<EdgeBucket>,
    /// Five-minute buckets, oldest first.
    pub coarse: VecDeque<EdgeBucket>,
    /// Days, oldest first.
    pub days: VecDeque<EdgeBucket>,
}

impl Starts for EdgeBucket {
    fn start(&self) -> Timestamp {
        self.start
    }
}

impl EdgeBucket {
    fn new(start: Timestamp) -> Self {
        Self { start, requests: 0, resends: 0, server_errors: 0, duration_us_sum: 0 }
    }

    fn add(&mut self, cell: &Cell) {
        self.requests += cell.requests;
        self.resends += cell.resends_likely();
        self.server_errors += cell.server_errors;
        self.duration_us_sum += cell.duration_us_sum;
    }

    /// Adds another span.
    pub fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.resends += other.resends;
        self.server_errors += other.server_errors;
        self.duration_us_sum += other.duration_us_sum;
    }
}

impl EdgeHistory {
    pub(super) fn push(&mut self, window: &ClosedWindow) {
        let at = window.start;
        let spans = [
            (&mut self.fine, FINE_MS, FINE_BUCKETS_MAX),
            (&mut self.coarse, COARSE_MS, COARSE_BUCKETS_MAX),
            (&mut self.days, DAY_MS, DAYS_MAX),
        ];
        for (buckets, length_ms, buckets_max) in spans {
            if let Some(bucket) = bucket_at(buckets, at, length_ms, buckets_max, EdgeBucket::new) {
                bucket.add(&window.edge_total);
            }
        }
    }

    /// Requests of the bucket of `length_ms` that begins at `start`; 0 where nothing was seen.
    #[must_use]
    pub fn requests(&self, start: Timestamp, length_ms: DurationMs) -> u64 {
        let buckets = match length_ms {
            FINE_MS => &self.fine,
            COARSE_MS => &self.coarse,
            _ => &self.days,
        };
        find(buckets, start).map_or(0, |bucket| bucket.requests)
    }

    /// Sums of the short memory from `from` (a bucket's start) on, before `until`.
    #[must_use]
    pub fn between(&self, from: Timestamp, until: Timestamp) -> EdgeBucket {
        sum(&self.fine, from, until)
    }

    /// Requests a second of the short memory from `from` on, before `until`; nothing where there is no bucket.
    #[must_use]
    pub fn requests_per_second(&self, from: Timestamp, until: Timestamp) -> Option<f64> {
        self.per_second(from, until, |bucket| bucket.requests)
    }

    /// The same, of those that did not end in a 5xx.
    #[must_use]
    pub fn served_per_second(&self, from: Timestamp, until: Timestamp) -> Option<f64> {
        self.per_second(from, until, |bucket| bucket.requests - bucket.server_errors)
    }

    #[allow(clippy::cast_precision_loss)] // far below 2^52 requests
    fn per_second(&self, from: Timestamp, until: Timestamp, of: fn(&EdgeBucket) -> u64) -> Option<f64> {
        let within = |bucket: &&EdgeBucket| bucket.start >= from && bucket.start < until;
        let (sum, count) = self.fine.iter().filter(within).fold((0, 0_u32), |(sum, n), b| (sum + of(b), n + 1));
        let seconds = f64::from(count) * FINE_MS as f64 / 1_000.0;
        (count > 0).then(|| sum as f64 / seconds)
    }

    /// Sums of the long memory from `from` on, before `until`.
    #[must_use]
    pub fn long_between(&self, from: Timestamp, until: Timestamp) -> EdgeBucket {
        sum(&self.coarse, from, until)
    }
}

fn sum(buckets: &VecDeque<EdgeBucket>, from: Timestamp, until: Timestamp) -> EdgeBucket {
    let mut sum = EdgeBucket::new(from);
    buckets.iter().filter(|bucket| bucket.start >= from && bucket.start < until).for_each(|bucket| sum.merge(bucket));
    sum
}
