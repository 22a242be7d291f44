//! How memory climbs: over minutes by half-minute buckets, or, when it fills up at once, reading by reading.

use crate::detect::growth::{median_of, seconds_between};
use crate::detect::statistics::{Trend, theil_sen};
use crate::detect::time_left::TimeLeft;
use crate::flow::{Bucket, SourceHistory};
use crate::model::{DurationMs, Timestamp};

/// Fewer buckets or readings say nothing about a trend.
const POINTS_MIN: usize = 6;
/// Mann–Kendall: one-sided 99.5 %.
const RISING_Z: f64 = 2.58;
/// Single readings tell of a limit this near, when they span at least so much and rose by this share of it.
const READINGS_TIME_TO_LIMIT_MAX_MS: DurationMs = 180_000;
const READINGS_SPAN_MS_MIN: DurationMs = 25_000;
const READINGS_RISE_SHARE_MIN: f64 = 0.1;
/// So many steps in a row, what they are held against, and by how much they must exceed it and this share of the limit.
const JUMPS_MIN: usize = 2;
const JUMPS_MAX: usize = 10;
const JUMPS_BEFORE_MIN: usize = 4;
const JUMP_FACTOR: f64 = 3.0;
const JUMP_SHARE_MIN: f64 = 0.04;
/// What follows load late climbs in an S: its end flattens out by itself, over five minutes.
const NEWEST_BUCKETS: usize = 10;
/// At this share of its pace over this time a climb has stopped.
const STOPPED_PACE_SHARE: f64 = 0.3;
const STOPPED_SECONDS: f64 = 90.0;
/// Growth of the second half over the first's, below which a climb flattens out ...
const FLATTENING_RATIO: f64 = 0.85;
/// ... and this share of the limit is not reached by what flattens out.
const SAFE_SHARE: f64 = 0.95;

/// The newest stretch of a source's memory.
#[derive(Debug)]
pub(super) struct Climb {
    /// First moment looked at.
    pub first: Timestamp,
    /// Last bucket looked at.
    pub last: Timestamp,
    /// Memory at `first`.
    pub start_bytes: f64,
    /// Least memory in the stretch, and when: where the climb began.
    pub least_bytes: f64,
    /// When that was.
    pub least_at: Timestamp,
    by_minutes: Vec<(f64, f64)>,
    by_reading: Vec<(f64, f64)>,
}

impl Climb {
    /// The last `trend_ms` of the source's present life: a restart begins a new one.
    pub(super) fn of(history: &SourceHistory, end: Timestamp, trend_ms: DurationMs) -> Option<Self> {
        let born = history.restarts.newest();
        let alive = |at: Timestamp| born.is_none_or(|born| at >= born);
        let buckets: Vec<&Bucket> =
            history.fine.iter().filter(|b| end.since(b.start) <= trend_ms && alive(b.start)).collect();
        let readings: Vec<&(Timestamp, f64)> = history.readings.iter().filter(|(at, _)| alive(*at)).collect();
        let first_reading = readings.first()?;
        // A life that began in this bucket has readings only.
        let (first, start_bytes) = buckets.first().map_or(**first_reading, |bucket| (bucket.start, bucket.used_bytes));
        let levels = buckets.iter().map(|b| (b.start, b.used_bytes)).chain(readings.iter().map(|reading| **reading));
        let (least_at, least_bytes) = levels.min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)))?;
        Some(Self {
            first,
            last: buckets.last().map_or(first, |bucket| bucket.start),
            start_bytes,
            least_bytes,
            least_at,
            by_minutes: buckets.iter().map(|b| (seconds_between(first, b.start), b.used_bytes)).collect(),
            by_reading: readings.iter().map(|(at, used)| (seconds_between(first, *at), *used)).collect(),
        })
    }

    /// Time until the limit at the present pace; nothing where memory does not surely climb, or flattens out before it.
    pub(super) fn time_left(&self, limit_bytes: f64) -> Option<TimeLeft> {
        self.by_reading(limit_bytes).or_else(|| self.by_jumps(limit_bytes)).or_else(|| {
            let trend = rising(&self.by_minutes).filter(|trend| {
                let newest = &self.by_minutes[self.by_minutes.len().saturating_sub(NEWEST_BUCKETS)..];
                let flattens = flattens_out(&self.by_minutes, limit_bytes) || flattens_out(newest, limit_bytes);
                !flattens && !has_stopped(&self.by_reading, trend.slope)
            })?;
            let used = self.by_reading.last()?.1;
            TimeLeft::new(limit_bytes - used, trend.slope, trend.slope_lower, trend.slope_upper)
        })
    }

    /// Steps in a row that are far greater than any before: what is read every minute would be full before its
    /// readings make a trend.
    fn by_jumps(&self, limit_bytes: f64) -> Option<TimeLeft> {
        let steps: Vec<(f64, f64)> =
            self.by_minutes.windows(2).map(|pair| (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1)).collect();
        let jumps = |count: usize| {
            let (before, newest) = steps.split_at(steps.len().checked_sub(count)?);
            let usual = before.iter().map(|(_, step)| step.abs()).fold(0.0, f64::max);
            let jump = |(_, step): &(f64, f64)| *step >= (JUMP_FACTOR * usual).max(JUMP_SHARE_MIN * limit_bytes);
            (before.len() >= JUMPS_BEFORE_MIN && newest.iter().all(jump)).then_some(newest)
        };
        let newest = (JUMPS_MIN..=JUMPS_MAX).find_map(jumps)?;
        if newest[newest.len() - 1].1 < FLATTENING_RATIO * newest[newest.len() - 2].1 {
            return None;
        }
        let paces = newest.iter().map(|(seconds, step)| step / seconds);
        let (slowest, fastest) = paces.fold((f64::INFINITY, 0.0), |(low, high), pace| (pace.min(low), pace.max(high)));
        let used = self.by_reading.last()?.1;
        TimeLeft::new(limit_bytes - used, f64::midpoint(slowest, fastest), slowest, fastest)
            .filter(|left| left.likely_ms <= READINGS_TIME_TO_LIMIT_MAX_MS)
    }

    fn by_reading(&self, limit_bytes: f64) -> Option<TimeLeft> {
        let (first, last) = (self.by_reading.first()?, self.by_reading.last()?);
        #[allow(clippy::cast_precision_loss)] // a constant
        let long_enough = last.0 - first.0 >= READINGS_SPAN_MS_MIN as f64 / 1_000.0;
        let steep = last.1 - first.1 >= READINGS_RISE_SHARE_MIN * limit_bytes;
        if !long_enough || !steep || flattens_out(&self.by_reading, limit_bytes) {
            return None;
        }
        let trend = rising(&self.by_reading)?;
        let left = TimeLeft::new(limit_bytes - last.1, trend.slope, trend.slope_lower, trend.slope_upper)?;
        (left.likely_ms <= READINGS_TIME_TO_LIMIT_MAX_MS).then_some(left)
    }
}

fn rising(points: &[(f64, f64)]) -> Option<Trend> {
    let trend = (points.len() >= POINTS_MIN).then(|| theil_sen(points)).flatten()?;
    (trend.z >= RISING_Z && trend.slope_lower > 0.0).then_some(trend)
}

/// Whether the last readings rise at a small part of the pace: memory has reached its new level.
fn has_stopped(readings: &[(f64, f64)], slope: f64) -> bool {
    let newest = readings.last().map_or(0.0, |reading| reading.0);
    let recent = readings.partition_point(|reading| reading.0 < newest - STOPPED_SECONDS);
    theil_sen(&readings[recent..]).is_some_and(|trend| trend.slope < STOPPED_PACE_SHARE * slope)
}

/// Whether the climb slows down such that it ends below the limit: memory that follows a load that has come.
fn flattens_out(points: &[(f64, f64)], limit_bytes: f64) -> bool {
    let n = points.len();
    if n < POINTS_MIN {
        return false;
    }
    let level = |middle: usize| {
        let around = &points[middle.saturating_sub(1)..(middle + 2).min(n)];
        median_of(around.iter().map(|p| p.1))
    };
    let (start, middle, end) = (level(1), level(n / 2), level(n - 2));
    let (first, second) = (middle - start, end - middle);
    if first <= 0.0 || second >= FLATTENING_RATIO * first {
        return false;
    }
    let ratio = (second / first).max(0.0);
    end + second.max(0.0) * ratio / (1.0 - ratio) < SAFE_SHARE * limit_bytes
}
