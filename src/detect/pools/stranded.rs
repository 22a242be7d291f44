//! Members that are lost so fast that no trend can show: the pool is full within minutes. Told by level alone, from two
//! readings on, and only where something is conserved: members that are acquired, not released and not in use; members
//! that are reserved and become neither. A pool that is slow or busy has its members in use.

use super::pool_evidence::{Leaking, Lost, occupied, whole};
use super::pool_exhaustion::is_full;
use crate::detect::growth::{Growth, median_of, seconds_between};
use crate::detect::time_left::TimeLeft;
use crate::flow::{COARSE_MS, EdgeHistory, FINE_MS, Gauge, PoolBucket, PoolHistory};
use crate::model::{Confidence, DurationMs, Timestamp};

/// Half-minutes with readings that must all show it.
const NEWEST: usize = 2;
/// How many such half-minutes back it may have begun; what is slower has a trend.
const ONSET_MAX: usize = 10;
/// So many before that teach what is normal.
const BASELINE_MIN: usize = 4;
/// What is conserved varies with the moment of reading only: beyond this many times as much, this many members and this
/// share of the pool, members are missing.
const SPREAD_FACTOR: f64 = 2.0;
const MEMBERS_MIN: f64 = 3.0;
const MISSING_SHARE_MIN: f64 = 0.05;
/// Reserved: this many times as many as ever, for the load, and this share of the pool more.
const RESERVED_FACTOR: f64 = 2.0;
const RESERVED_SHARE_MIN: f64 = 0.1;
/// Members that are reserved now and not then, of which this share is in use, are being used.
const USED_SHARE_MAX: f64 = 0.3;
/// Reserved members have their place in the pool; what exceeds it waits for one.
const WAITING_SHARE: f64 = 1.02;
/// Before the pool is full so many rises in a row are needed, the last not much less than the greatest: a step, and
/// members that wait longer and are served in the end, are no leak.
const RISES_MIN: usize = 3;
const RISE_SHARE_MIN: f64 = 0.1;
const LAST_RISE_SHARE_MIN: f64 = 0.6;
/// A pool that is not full in this time has a trend by then.
const NEAR_MS: DurationMs = 300_000;

/// The evidence at `until`, if any.
pub(super) fn stranded(pool: &PoolHistory, edge: &EdgeHistory, until: Timestamp) -> Option<Leaking> {
    let life = |bucket: &&PoolBucket| bucket.start >= pool.begun_at && bucket.start < until;
    let buckets: Vec<&PoolBucket> = pool.fine.iter().filter(life).collect();
    let full = is_full(pool, true);
    missing(pool, &buckets, full).or_else(|| reserved(pool, edge, &buckets, full))
}

/// A gauge in one half-minute.
#[derive(Debug, Clone, Copy)]
struct Level {
    at: Timestamp,
    gauge: Gauge,
}

/// A gauge that stands at a new level.
#[derive(Debug, Clone, Copy)]
struct NewLevel {
    since: Timestamp,
    usual: f64,
    floor: f64,
    highest: f64,
    last: Level,
    /// Rises in a row up to now.
    rises: usize,
}

fn levels(buckets: &[&PoolBucket], of: fn(&PoolBucket) -> Option<Gauge>) -> Vec<Level> {
    buckets.iter().filter_map(|bucket| of(bucket).map(|gauge| Level { at: bucket.start, gauge })).collect()
}

/// The new level, by the latest onset for which the newest half-minutes pass `threshold` (of least and greatest before).
fn new_level(levels: &[Level], threshold: impl Fn(f64, f64) -> f64) -> Option<NewLevel> {
    let newest = levels.len().checked_sub(NEWEST)?;
    let floor = levels[newest..].iter().map(|level| level.gauge.min).fold(f64::INFINITY, f64::min);
    let earliest = newest.saturating_sub(ONSET_MAX).max(BASELINE_MIN);
    (earliest..=newest).rev().find_map(|onset| {
        let before = &levels[..onset];
        let least = before.iter().map(|level| level.gauge.min).fold(f64::INFINITY, f64::min);
        let highest = before.iter().map(|level| level.gauge.max).fold(f64::NEG_INFINITY, f64::max);
        let needed = threshold(least, highest);
        (floor >= needed).then(|| {
            let usual = median_of(before.iter().map(|level| level.gauge.last));
            let began = before.iter().rposition(|level| level.gauge.last <= usual.max(highest.min(needed) / 2.0));
            let first = began.map_or(0, |place| place + 1).min(levels.len() - 1);
            let rises = rises(&levels[first.saturating_sub(1)..], floor - usual);
            NewLevel { since: levels[first].at, usual, floor, highest, last: levels[levels.len() - 1], rises }
        })
    })
}

/// Rises in a row at the end, none of them small beside `total`, the last one about as great as any.
fn rises(levels: &[Level], total: f64) -> usize {
    let steps: Vec<f64> = levels.windows(2).map(|pair| pair[1].gauge.min - pair[0].gauge.min).collect();
    let run = steps.iter().rev().take_while(|step| **step >= RISE_SHARE_MIN * total).count();
    let greatest = steps.iter().copied().fold(0.0, f64::max);
    let goes_on = steps.last().is_some_and(|last| *last >= LAST_RISE_SHARE_MIN * greatest);
    if goes_on { run } else { 0 }
}

/// Conservation, under whichever convention shows least: a reservation is an acquisition, is in use, or neither.
fn missing(pool: &PoolHistory, buckets: &[&PoolBucket], full: bool) -> Option<Leaking> {
    let size = pool.size.unwrap_or(0.0);
    let beyond_noise = |least: f64, highest: f64| {
        highest + (SPREAD_FACTOR * (highest - least)).max(MEMBERS_MIN).max(MISSING_SHARE_MIN * size)
    };
    let plain = new_level(&levels(buckets, |bucket| bucket.missing), beyond_noise)?;
    let beyond = new_level(&levels(buckets, |bucket| bucket.missing_beyond_reserved), beyond_noise)?;
    let with = new_level(&levels(buckets, |bucket| bucket.missing_and_reserved), beyond_noise)?;
    let risen = |level: &NewLevel| level.floor - level.usual;
    let found = [plain, beyond, with].into_iter().min_by(|a, b| risen(a).total_cmp(&risen(b)))?;
    let lost = found.last.gauge.last - found.usual;
    let why =
        format!("{} members more than before {} are acquired, not released and not in use", whole(lost), found.since);
    leaking(pool, full, Lost::Missing, found, occupied(pool, lost)?, why)
}

fn reserved(pool: &PoolHistory, edge: &EdgeHistory, buckets: &[&PoolBucket], full: bool) -> Option<Leaking> {
    let size = pool.size?;
    let levels = levels(buckets, |bucket| bucket.reserved);
    let above = MEMBERS_MIN.max(RESERVED_SHARE_MIN * size);
    let found = new_level(&levels, |_, highest| (RESERVED_FACTOR * highest).max(highest + above))?;
    let (before, now): (Vec<_>, Vec<_>) = buckets.iter().copied().partition(|bucket| bucket.start < found.since);
    let known = pool.coarse.iter().filter(|bucket| bucket.start.plus(COARSE_MS) <= found.since);
    let known = known.filter_map(|bucket| bucket.reserved).filter(|gauge| gauge.max >= found.floor);
    if found.floor < RESERVED_FACTOR * found.highest * load_factor(pool, edge, &before, &now) || known.count() > 0 {
        return None;
    }
    let grown = found.last.gauge.last - found.usual;
    let change = |of: fn(&PoolBucket) -> Option<Gauge>| {
        let newest = &now[now.len().saturating_sub(NEWEST)..];
        let typical = |part: &[&PoolBucket]| median_of(part.iter().filter_map(|b| of(b)).map(|gauge| gauge.last));
        typical(newest) - typical(&before)
    };
    // Counted in use although nothing acquired them: the balance of the counters says so.
    let inside = pool.counts_acquisitions() && change(|bucket| bucket.missing) <= -(1.0 - USED_SHARE_MAX) * grown;
    let used = change(|bucket| bucket.in_use) - if inside { grown } else { 0.0 };
    let newest = buckets.iter().rev().take(NEWEST);
    let held_max = newest.map(|b| b.in_use.map_or(0.0, |g| g.last) + b.reserved.map_or(0.0, |g| g.last));
    let waits = !inside && held_max.fold(0.0, f64::max) > WAITING_SHARE * size;
    if used > USED_SHARE_MAX * grown || waits {
        return None;
    }
    let held = if inside {
        median_of(now.iter().rev().take(NEWEST).filter_map(|b| b.in_use).map(|g| g.last))
    } else {
        occupied(pool, 0.0)?
    };
    let why = format!(
        "{} members are reserved and were {} before {}; they are neither acquired nor given back",
        whole(found.last.gauge.last),
        whole(found.usual),
        found.since
    );
    leaking(pool, full, Lost::Reserved, found, held, why)
}

/// By which factor demand is greater than before, at least 1: acquisitions where they are counted, and requests.
fn load_factor(pool: &PoolHistory, edge: &EdgeHistory, before: &[&PoolBucket], now: &[&PoolBucket]) -> f64 {
    let acquired = |part: &[&PoolBucket]| median_of(part.iter().filter_map(|bucket| bucket.acquired.per_second()));
    #[allow(clippy::cast_precision_loss)] // far below 2^52 requests
    let requested = |part: &[&PoolBucket]| median_of(part.iter().map(|b| edge.requests(b.start, FINE_MS) as f64));
    let factor = |before: f64, now: f64| if before > 0.0 { (now / before).max(1.0) } else { 1.0 };
    if pool.counts_acquisitions() {
        factor(acquired(before), acquired(now))
    } else {
        factor(requested(before), requested(now))
    }
}

fn leaking(pool: &PoolHistory, full: bool, lost: Lost, found: NewLevel, occupied: f64, why: String) -> Option<Leaking> {
    let grown = found.last.gauge.last - found.usual;
    #[allow(clippy::cast_precision_loss)] // half a minute
    let seconds = seconds_between(found.since, found.last.at) + FINE_MS as f64 / 1_000.0;
    let slope = grown / seconds;
    // Losses are counted: the pace is as sure as a count of that many.
    let unsure = (1.645 / grown.max(1.0).sqrt()).min(0.9);
    let growth = Growth {
        since: found.since,
        start_level: found.usual,
        level: found.last.gauge.last,
        samples: found.rises,
        slope,
        slope_lower: slope * (1.0 - unsure),
        slope_upper: slope * (1.0 + unsure),
    };
    let left = pool.size.and_then(|size| {
        if full {
            Some(TimeLeft::NONE)
        } else {
            TimeLeft::new(size - occupied, slope, growth.slope_lower, growth.slope_upper)
        }
    });
    let near = left.is_some_and(|left| left.likely_ms <= NEAR_MS);
    (full || found.rises >= RISES_MIN && near).then_some(Leaking {
        lost,
        growth,
        occupied,
        left,
        why,
        confidence: if lost == Lost::Missing || pool.counts_acquisitions() {
            Confidence::High
        } else {
            Confidence::Medium
        },
    })
}
