//! Throughput of one source over time: operations, bytes and dropped packets as flows, and its known limit.

use std::collections::VecDeque;

use super::buckets::{COARSE_BUCKETS_MAX, COARSE_MS, FINE_BUCKETS_MAX, FINE_MS, Starts, bucket_at};
use super::counter::{Counter, Flow};
use super::readings::Readings;
use crate::model::{Timestamp, metric};

/// What went through in one span of time. An increase counts where its later reading is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThroughputBucket {
    /// First moment.
    pub start: Timestamp,
    /// Operations.
    pub operations: Flow,
    /// Bytes over the network.
    pub bytes: Flow,
    /// Dropped packets.
    pub drops: Flow,
}

/// Short and long memory of a source's throughput.
#[derive(Debug, Default)]
pub struct ThroughputHistory {
    /// 30-second buckets, oldest first.
    pub fine: VecDeque<ThroughputBucket>,
    /// Five-minute buckets, oldest first.
    pub coarse: VecDeque<ThroughputBucket>,
    /// Newest limit, in operations a second.
    pub operations_limit_per_second: Option<f64>,
    operations: Counter,
    bytes: Counter,
    drops: Counter,
}

impl Starts for ThroughputBucket {
    fn start(&self) -> Timestamp {
        self.start
    }
}

impl ThroughputBucket {
    fn new(start: Timestamp) -> Self {
        Self { start, operations: Flow::default(), bytes: Flow::default(), drops: Flow::default() }
    }
}

impl ThroughputHistory {
    /// Whether any of `readings` is about throughput.
    pub(super) fn concerns(readings: &Readings<'_>) -> bool {
        [metric::OPERATIONS_TOTAL, metric::NETWORK_BYTES_TOTAL, metric::DROPPED_PACKETS_TOTAL]
            .iter()
            .any(|name| readings.get(name).is_some())
    }

    pub(super) fn push(&mut self, at: Timestamp, readings: &Readings<'_>) {
        if let Some(limit) = readings.get(metric::OPERATIONS_LIMIT_PER_SECOND) {
            self.operations_limit_per_second = Some(limit.last).filter(|limit| *limit > 0.0);
        }
        let operations = readings.get(metric::OPERATIONS_TOTAL).and_then(|cell| self.operations.read(cell));
        let bytes = readings.get(metric::NETWORK_BYTES_TOTAL).and_then(|cell| self.bytes.read(cell));
        let drops = readings.get(metric::DROPPED_PACKETS_TOTAL).and_then(|cell| self.drops.read(cell));
        if operations.is_none() && bytes.is_none() && drops.is_none() {
            return;
        }
        let spans = [(&mut self.fine, FINE_MS, FINE_BUCKETS_MAX), (&mut self.coarse, COARSE_MS, COARSE_BUCKETS_MAX)];
        for (buckets, length_ms, buckets_max) in spans {
            if let Some(bucket) = bucket_at(buckets, at, length_ms, buckets_max, ThroughputBucket::new) {
                bucket.operations.take(operations);
                bucket.bytes.take(bytes);
                bucket.drops.take(drops);
            }
        }
    }
}
