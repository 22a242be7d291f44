//! Memory of one source over time: seconds, minutes, a day, months.

use super::SourceHistory;
use super::buckets::{COARSE_BUCKETS_MAX, COARSE_MS, DAY_MS, DAYS_MAX, FINE_BUCKETS_MAX, FINE_MS, Starts, bucket_at};
use crate::flow::SignalCell;
use crate::model::{DurationMs, Timestamp};

/// Readings kept one by one, for what fills up within a minute or two.
const READINGS_MAX: usize = 36;
const READINGS_MS: DurationMs = 180_000;

/// Memory in one span of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// First moment.
    pub start: Timestamp,
    /// Newest reading, in bytes.
    pub used_bytes: f64,
    /// Least reading, in bytes: a garbage collector's trough.
    pub trough_bytes: f64,
    /// Greatest reading, in bytes.
    pub peak_bytes: f64,
}

impl Starts for Bucket {
    fn start(&self) -> Timestamp {
        self.start
    }
}

impl Bucket {
    fn new(start: Timestamp) -> Self {
        Self { start, used_bytes: 0.0, trough_bytes: f64::INFINITY, peak_bytes: 0.0 }
    }

    fn add(&mut self, cell: SignalCell) {
        self.used_bytes = cell.last;
        self.trough_bytes = self.trough_bytes.min(cell.min);
        self.peak_bytes = self.peak_bytes.max(cell.max);
    }
}

impl SourceHistory {
    pub(super) fn remember_memory(&mut self, at: Timestamp, used: SignalCell) {
        self.readings.push_back((used.at, used.last));
        let old = |(read_at, _): &(Timestamp, f64)| used.at.since(*read_at) > READINGS_MS;
        while self.readings.len() > READINGS_MAX || self.readings.front().is_some_and(old) {
            self.readings.pop_front();
        }
        let spans = [
            (&mut self.fine, FINE_MS, FINE_BUCKETS_MAX),
            (&mut self.coarse, COARSE_MS, COARSE_BUCKETS_MAX),
            (&mut self.days, DAY_MS, DAYS_MAX),
        ];
        for (buckets, length_ms, buckets_max) in spans {
            if let Some(bucket) = bucket_at(buckets, at, length_ms, buckets_max, Bucket::new) {
                bucket.add(used);
            }
        }
    }
}
