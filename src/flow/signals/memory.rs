//! Memory of one source over time: seconds, minutes, a day, months.

use std::collections::VecDeque;

use super::SourceHistory;
use super::buckets::{COARSE_BUCKETS_MAX, COARSE_MS, DAY_MS, DAYS_MAX, FINE_BUCKETS_MAX, FINE_MS, Starts, bucket_at};
use crate::flow::SignalCell;
use crate::model::{DurationMs, Timestamp};

/// Readings kept one by one, for what fills up within a minute or two.
const READINGS_MAX: usize = 36;
const READINGS_MS: DurationMs = 180_000;
/// Of what is read seldom, so many of these at least, from so long ago at most.
const READINGS_MIN: usize = 8;
const READINGS_MS_MAX: DurationMs = 1_200_000;
/// Within this share of the limit above its lowest level memory is low.
pub const LOW_SHARE: f64 = 0.03;
/// A process was killed for memory when its use falls by this share of the limit, from so near that one and a half steps
/// as great as the last would have been above it. A garbage collector stops short of that.
const KILL_FALL_SHARE: f64 = 0.4;
const KILL_SHARE_MIN: f64 = 0.9;
const KILL_STEPS: f64 = 1.5;

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
    /// Whether the newest reading is that of a new process, though nothing tells of restarts.
    fn fell_from_its_limit(&self) -> bool {
        let mut newest = self.readings.iter().rev().map(|(_, used)| *used);
        let (Some(limit), Some(now), Some(last), Some(before)) =
            (self.limit_bytes, newest.next(), newest.next(), newest.next())
        else {
            return false;
        };
        let reaches = last + KILL_STEPS * (last - before).max(0.0) >= limit;
        !self.restarts.are_told && last - now >= KILL_FALL_SHARE * limit && last >= KILL_SHARE_MIN * limit && reaches
    }

    pub(super) fn remember_memory(&mut self, at: Timestamp, used: SignalCell) {
        self.readings.push_back((used.at, used.last));
        let age_ms = |readings: &VecDeque<(Timestamp, f64)>| readings.front().map_or(0, |(at, _)| used.at.since(*at));
        while self.readings.len() > READINGS_MAX
            || age_ms(&self.readings) > READINGS_MS && self.readings.len() > READINGS_MIN
            || age_ms(&self.readings) > READINGS_MS_MAX
        {
            self.readings.pop_front();
        }
        let slack = LOW_SHARE * self.limit_bytes.unwrap_or(0.0);
        self.least_bytes = self.least_bytes.min(used.min);
        if used.last <= self.least_bytes + slack {
            self.low_until = used.at;
        }
        if self.fell_from_its_limit() {
            self.restarts.remember_fall(at);
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
