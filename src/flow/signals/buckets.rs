//! Buckets of time, oldest first, bounded.

use std::collections::VecDeque;

use crate::model::{DurationMs, Timestamp};

/// Short memory: 30-second buckets for 20 minutes, for "the limit is minutes away".
pub const FINE_MS: DurationMs = 30_000;
pub(super) const FINE_BUCKETS_MAX: usize = 40;
/// Long memory: five-minute buckets for a day, for leaks.
pub const COARSE_MS: DurationMs = 300_000;
pub(super) const COARSE_BUCKETS_MAX: usize = 288;
/// Longest memory: days, for growth over months.
pub const DAY_MS: DurationMs = 86_400_000;
pub(super) const DAYS_MAX: usize = 90;

/// A span of time that begins somewhere.
pub(super) trait Starts {
    fn start(&self) -> Timestamp;
}

/// The bucket of `length_ms` that `at` falls in, made anew with `fresh` when it is the first reading of it. Buckets older
/// than `buckets_max` lengths are forgotten.
pub(super) fn bucket_at<T: Starts>(
    buckets: &mut VecDeque<T>,
    at: Timestamp,
    length_ms: DurationMs,
    buckets_max: usize,
    fresh: impl FnOnce(Timestamp) -> T,
) -> Option<&mut T> {
    let start = at.window_start(length_ms);
    if buckets.back().is_none_or(|bucket| bucket.start() < start) {
        buckets.push_back(fresh(start));
    }
    let span_ms = length_ms.saturating_mul(i64::try_from(buckets_max).unwrap_or(i64::MAX));
    while buckets.front().is_some_and(|bucket| start.since(bucket.start()) >= span_ms) {
        buckets.pop_front();
    }
    buckets.back_mut().filter(|bucket| bucket.start() == start)
}

/// The bucket that begins at `start`.
pub(super) fn find<T: Starts>(buckets: &VecDeque<T>, start: Timestamp) -> Option<&T> {
    let place = buckets.partition_point(|bucket| bucket.start() < start);
    buckets.get(place).filter(|bucket| bucket.start() == start)
}
