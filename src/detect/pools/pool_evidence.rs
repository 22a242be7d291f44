//! Evidence that a pool loses members, from whichever of its metrics there are.
//!
//! Surest first: members that are acquired, not released and not in use (conservation); members that are reserved longer
//! and longer (Little's law: reserved / rate of acquisitions) while nothing follows; members in use beyond what load and
//! the time requests take explain. A pool that is merely slow or busy follows these, and comes down with them.

use super::stranded::stranded;
use crate::detect::growth::{Criteria, Growth, Sample, growth, median_of, seconds_between};
use crate::detect::time_left::TimeLeft;
use crate::detect::words::{duration, rate};
use crate::flow::{COARSE_MS, EdgeBucket, EdgeHistory, FINE_MS, Gauge, PoolBucket, PoolHistory, ratio};
use crate::model::{Confidence, DurationMs, Timestamp};

/// Fewer lost members prove nothing.
const MEMBERS_MIN: f64 = 3.0;
/// Buckets before the growth that teach what is normal.
const BASELINE_MIN: usize = 6;
/// Or so many five-minute ones.
const LONG_BASELINE_MIN: usize = 3;
/// Without them growth must last so many buckets longer to be more than a pool that fills after a start.
const UNTAUGHT_SAMPLES: usize = 24;
/// A reservation this much older than usual is not waiting any more.
const AGE_FACTOR: f64 = 2.0;
/// Members in use above what load and time explain, by this factor.
const EXCESS_FACTOR: f64 = 1.2;
/// A pool that became slow is as full as it gets after a few of its new holds.
const HOLDS_MIN: f64 = 6.0;
/// A pool this full cannot be waited for.
const NEARLY_FULL_SHARE: f64 = 0.85;
/// Share of a growth up to which it has hardly begun.
const FOOT_SHARE: f64 = 0.15;
/// Reserved members are counted in use too when that gauge grows by this share of their growth.
const INSIDE_SHARE: f64 = 0.7;
/// The last third of a steady growth is a third of it; this much at least, with noise.
const LAST_THIRD_SHARE: f64 = 0.25;
/// Half-minutes that tell how many are held.
const HELD_BUCKETS: usize = 4;
/// Members in use that grow by this share of the pool are looked at sooner, where holds are known.
const STEEP_SHARE: f64 = 0.25;
/// Five-minute buckets looked at: twelve hours.
const COARSE_MAX: usize = 144;

/// Which members are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// Acquired, not released, not in use.
    Missing,
    /// Reserved, and neither acquired nor given back.
    Reserved,
    /// In use, and not given back.
    InUse,
}

/// A pool that loses members.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leaking {
    /// Which.
    pub lost: Lost,
    /// Their growth.
    pub growth: Growth,
    /// Members held, lost ones included.
    pub occupied: f64,
    /// Time until none is left; nothing without a size.
    pub left: Option<TimeLeft>,
    /// Why it is a leak, in words.
    pub why: String,
    /// How sure.
    pub confidence: Confidence,
}

/// One length of buckets, and what counts as growth in them.
struct Look<'a> {
    buckets: Vec<&'a PoolBucket>,
    length_ms: DurationMs,
    size: Option<f64>,
    pool: &'a PoolHistory,
    edge: &'a EdgeHistory,
}

/// The strongest evidence in whole buckets before `until`, if any.
pub(super) fn leaking(pool: &PoolHistory, edge: &EdgeHistory, until: Timestamp) -> Option<Leaking> {
    let looks = [(&pool.fine, FINE_MS), (&pool.coarse, COARSE_MS)].map(|(buckets, length_ms)| {
        let whole = |bucket: &&PoolBucket| bucket.start >= pool.begun_at && bucket.start.plus(length_ms) <= until;
        let whole: Vec<&PoolBucket> = buckets.iter().filter(whole).collect();
        let newest = whole[whole.len().saturating_sub(COARSE_MAX)..].to_vec();
        Look { buckets: newest, length_ms, size: pool.size, pool, edge }
    });
    let missing = looks.iter().find_map(Look::missing);
    let reserved = || missing.or_else(|| looks.iter().find_map(Look::reserved));
    reserved().or_else(|| stranded(pool, edge, until)).or_else(|| looks.iter().find_map(Look::in_use))
}

/// Members held now: in use, reserved beside it, and lost; over the last two minutes, because single readings vary.
pub(super) fn occupied(pool: &PoolHistory, lost: f64) -> Option<f64> {
    let recent = pool.fine.iter().rev().take(HELD_BUCKETS);
    let held: Vec<f64> = recent.filter_map(|bucket| held(bucket, pool)).collect();
    (!held.is_empty()).then(|| median_of(held.into_iter()) + lost)
}

/// Members held at the end of a bucket: in use, and reserved beside it.
pub(super) fn held(bucket: &PoolBucket, pool: &PoolHistory) -> Option<f64> {
    let reserved = bucket.reserved.filter(|_| pool.reserved_inside != Some(true));
    bucket.in_use.into_iter().chain(reserved).map(|gauge| gauge.last).reduce(|a, b| a + b)
}

impl Look<'_> {
    fn samples(&self, floor: impl Fn(&PoolBucket) -> Option<f64>) -> Vec<Sample> {
        let sample = |bucket: &&PoolBucket| {
            floor(bucket).map(|level| Sample { at: bucket.start, level, load: self.load(bucket) })
        };
        self.buckets.iter().filter_map(sample).collect()
    }

    /// Demand on the pool: acquisitions where they are counted, else requests at the edge.
    #[allow(clippy::cast_precision_loss)] // far below 2^52 requests
    fn load(&self, bucket: &PoolBucket) -> f64 {
        if self.pool.counts_acquisitions() {
            // A flow, not a count: readings a minute apart tell of a minute in one half-minute, and of none in the next.
            bucket.acquired.per_second().unwrap_or(0.0) * self.length_ms as f64 / 1_000.0
        } else {
            self.edge.requests(bucket.start, self.length_ms) as f64
        }
    }

    fn criteria(&self, samples_min: usize, z_min: f64, size_share_min: f64) -> Criteria<'static> {
        let growth_min = MEMBERS_MIN.max(size_share_min * self.size.unwrap_or(0.0));
        Criteria { samples_min, z_min, growth_min, limit: self.size, smoothings: &[1.0, 4.0, 10.0] }
    }

    /// Conservation, under whichever convention shows least: a reservation is an acquisition, is in use, or neither.
    fn missing(&self) -> Option<Leaking> {
        // It is missing whatever the load does, and a fall of load does not make it less of a leak.
        let criteria = Criteria { smoothings: &[1.0], limit: Some(0.0), ..self.criteria(6, 2.58, 0.02) };
        let growth_of = |floor: fn(&PoolBucket) -> Option<Gauge>| {
            let mut samples = self.samples(|bucket| floor(bucket).map(|gauge| gauge.min));
            samples.iter_mut().for_each(|sample| sample.load = 0.0);
            growth(&samples, &criteria)
        };
        let plain = growth_of(|bucket| bucket.missing)?;
        let beyond = growth_of(|bucket| bucket.missing_beyond_reserved)?;
        let with = growth_of(|bucket| bucket.missing_and_reserved)?;
        let grown = |growth: &Growth| growth.level - growth.start_level;
        let growth = [plain, beyond, with].into_iter().min_by(|a, b| grown(a).total_cmp(&grown(b)))?;
        let least = self.buckets.iter().filter_map(|bucket| bucket.missing).map(|gauge| gauge.min);
        let lost = growth.level - least.fold(growth.start_level, f64::min);
        let why = format!(
            "{} members more than at {} are acquired, not released and not in use",
            whole(grown(&growth)),
            growth.since
        );
        Some(self.leaking(Lost::Missing, growth, occupied(self.pool, lost)?, why, Confidence::High))
    }

    fn reserved(&self) -> Option<Leaking> {
        let samples = self.samples(|bucket| bucket.reserved.map(|gauge| gauge.min));
        let criteria = Criteria { smoothings: &[1.0], ..self.criteria(8, 3.3, 0.03) };
        let growth = growth(&samples, &criteria)?;
        let normal = self.normal(|bucket| bucket.reserved, &growth)?;
        if normal.level < AGE_FACTOR * normal.explained.max(1.0) {
            return None;
        }
        let counted = self.pool.counts_acquisitions();
        let why = format!(
            "{} members are reserved and were {} at {}; {}",
            whole(growth.level),
            whole(growth.start_level),
            growth.since,
            if counted { normal.ages(growth.level) } else { "requests do not explain it".to_owned() }
        );
        let confidence = if counted { Confidence::High } else { Confidence::Medium };
        let span = &self.buckets[self.buckets.len() - growth.samples.min(self.buckets.len())..];
        let in_use = |buckets: &[&PoolBucket]| median_of(buckets.iter().filter_map(|b| b.in_use).map(|g| g.last));
        let third = span.len().min(3);
        let followed = in_use(&span[span.len() - third..]) - in_use(&span[..third]);
        let inside = followed >= INSIDE_SHARE * (growth.level - growth.start_level);
        let occupied = if inside { in_use(&span[span.len() - third..]) } else { occupied(self.pool, 0.0)? };
        Some(self.leaking(Lost::Reserved, growth, occupied, why, confidence))
    }

    fn in_use(&self) -> Option<Leaking> {
        let samples = self.samples(|bucket| bucket.in_use.map(|gauge| gauge.min));
        let coarse = self.length_ms == COARSE_MS;
        let criteria = self.criteria(if coarse { 12 } else { 20 }, 4.0, if coarse { 0.05 } else { 0.08 });
        let steep = || {
            let knows_holds = !coarse && self.pool.counts_acquisitions();
            knows_holds.then(|| growth(&samples, &self.criteria(8, 3.3, STEEP_SHARE))).flatten()
        };
        let growth = growth(&samples, &criteria).or_else(steep)?;
        let normal = self.normal(|bucket| bucket.in_use, &growth)?;
        let excess = normal.level - EXCESS_FACTOR * normal.explained;
        if !still_rises(&samples, &growth) {
            return None;
        }
        let lasted_seconds = seconds_between(foot(&samples, &growth), self.buckets.last()?.start);
        let nearly_full =
            self.size.zip(occupied(self.pool, 0.0)).is_some_and(|(size, held)| held >= NEARLY_FULL_SHARE * size);
        if excess < criteria.growth_min || lasted_seconds < HOLDS_MIN * self.hold_seconds(&normal) && !nearly_full {
            return None;
        }
        let why = format!(
            "{} members are in use and were {} at {}; load and the time that requests take explain {}",
            whole(normal.level),
            whole(growth.start_level),
            growth.since,
            whole(normal.explained)
        );
        Some(self.leaking(Lost::InUse, growth, occupied(self.pool, 0.0)?, why, Confidence::Medium))
    }

    /// How long a member is held now, by Little's law; zero where acquisitions are not counted.
    fn hold_seconds(&self, normal: &Normal) -> f64 {
        let counted = self.pool.counts_acquisitions() && normal.acquired_per_second > 0.0;
        if counted { normal.level / normal.acquired_per_second } else { 0.0 }
    }

    fn leaking(&self, lost: Lost, growth: Growth, occupied: f64, why: String, confidence: Confidence) -> Leaking {
        let left = self
            .size
            .and_then(|size| TimeLeft::new(size - occupied, growth.slope, growth.slope_lower, growth.slope_upper));
        Leaking { lost, growth, occupied, left, why, confidence }
    }

    /// What was normal before the growth, and what of the level now that explains. Newest readings are compared: floors
    /// are lower the less a pool is used, by more than in proportion.
    fn normal(&self, gauge: fn(&PoolBucket) -> Option<Gauge>, growth: &Growth) -> Option<Normal> {
        let samples = self.samples(|bucket| gauge(bucket).map(|gauge| gauge.last));
        let before = &samples[..samples.len() - growth.samples];
        let longer = || self.long_before(gauge, growth.since);
        let taught = if before.len() >= BASELINE_MIN { Some(before.to_vec()) } else { longer() };
        if taught.is_none() && growth.samples < UNTAUGHT_SAMPLES {
            return None;
        }
        let first = &taught.unwrap_or_else(|| samples[..BASELINE_MIN.min(samples.len())].to_vec())[..];
        let last = &samples[samples.len() - 3..];
        let level_of = |part: &[Sample]| median_of(part.iter().map(|sample| sample.level));
        let load_of = |part: &[Sample]| median_of(part.iter().map(|sample| sample.load));
        let (load_before, load_now) = (load_of(first), load_of(last));
        let level = level_of(first).max(self.level_at_load(first, load_now));
        #[allow(clippy::cast_precision_loss)] // a bucket's length
        let per_second = |load: f64| load * 1_000.0 / self.length_ms as f64;
        Some(Normal {
            level: level_of(last),
            explained: level * self.slower(first, last),
            age_seconds: (load_before > 0.0).then(|| level_of(first) / per_second(load_before)),
            acquired_per_second: per_second(load_now),
        })
    }

    /// The long memory before a growth that fills the short one, as happens where readings are a minute apart; loads are
    /// those of a bucket of this look.
    #[allow(clippy::cast_precision_loss)] // lengths of buckets
    fn long_before(&self, gauge: fn(&PoolBucket) -> Option<Gauge>, since: Timestamp) -> Option<Vec<Sample>> {
        let within = |b: &&PoolBucket| b.start >= self.pool.begun_at && b.start.plus(COARSE_MS) <= since;
        let share = self.length_ms as f64 / COARSE_MS as f64;
        let counted = self.pool.counts_acquisitions();
        let sample = |b: &PoolBucket| {
            let acquired = || b.acquired.per_second().unwrap_or(0.0) * self.length_ms as f64 / 1_000.0;
            let load = if counted { acquired() } else { self.edge.requests(b.start, COARSE_MS) as f64 * share };
            gauge(b).map(|gauge| Sample { at: b.start, level: gauge.last, load })
        };
        let samples: Vec<Sample> = self.pool.coarse.iter().filter(within).filter_map(sample).collect();
        (samples.len() >= LONG_BASELINE_MIN).then_some(samples)
    }

    /// The level that a load went with: in proportion, as a rule; over hours, at most (but for a tenth of the time).
    fn level_at_load(&self, before: &[Sample], load: f64) -> f64 {
        let with_load = before.iter().filter(|sample| sample.load > 0.0);
        let mut per_load: Vec<f64> = with_load.map(|sample| sample.level / sample.load).collect();
        per_load.sort_unstable_by(f64::total_cmp);
        let tenths = if self.length_ms == COARSE_MS { 9 } else { 5 };
        per_load.get(per_load.len() * tenths / 10).map_or(0.0, |ratio| ratio * load)
    }

    /// By which factor requests at the edge take longer now than before, at least 1.
    fn slower(&self, before: &[Sample], now: &[Sample]) -> f64 {
        let span = |part: &[Sample]| -> Option<EdgeBucket> {
            let (from, until) = (part.first()?.at, part.last()?.at.plus(self.length_ms));
            let fine = self.edge.between(from, until);
            let short = self.length_ms == FINE_MS && fine.requests > 0;
            Some(if short { fine } else { self.edge.long_between(from, until) })
        };
        let mean = |part: &[Sample]| span(part).map_or(0.0, |sum| ratio(sum.duration_us_sum, sum.requests));
        let (before, now) = (mean(before), mean(now));
        if before > 0.0 { (now / before).max(1.0) } else { 1.0 }
    }
}

/// When the level left the ground: what was flat before does not count as having lasted.
fn foot(samples: &[Sample], growth: &Growth) -> Timestamp {
    let span = &samples[samples.len() - growth.samples..];
    let low = growth.start_level + FOOT_SHARE * (growth.level - growth.start_level);
    span.iter().rposition(|sample| sample.level <= low).map_or(growth.since, |place| span[place].at)
}

/// Whether the last third of the growth carries its part of it: what has reached its new level is no leak.
fn still_rises(samples: &[Sample], growth: &Growth) -> bool {
    let span = &samples[samples.len() - growth.samples..];
    let around = span.len() * 2 / 3;
    let level = |part: &[Sample]| median_of(part.iter().map(|sample| sample.level));
    let then = level(&span[around - 1..=around + 1]);
    growth.level - then >= LAST_THIRD_SHARE * (growth.level - growth.start_level)
}

struct Normal {
    /// The level now.
    level: f64,
    /// How much of the level load and time explain now.
    explained: f64,
    /// How long a member was held, by Little's law.
    age_seconds: Option<f64>,
    acquired_per_second: f64,
}

impl Normal {
    fn ages(&self, level: f64) -> String {
        #[allow(clippy::cast_possible_truncation)] // a time
        let time = |seconds: f64| duration((seconds.min(1e9) * 1_000.0) as DurationMs);
        let acquired = self.acquired_per_second;
        let usual = self.age_seconds.map(|age| format!(", {} as a rule", time(age))).unwrap_or_default();
        if acquired > 0.0 {
            let now = time(level / acquired);
            format!("at {} acquired that is {now} of waiting{usual}", rate(acquired))
        } else {
            format!("none of them is acquired{usual}")
        }
    }
}

/// Members are whole.
pub(super) fn whole(members: f64) -> String {
    format!("{:.0}", members.max(0.0))
}
