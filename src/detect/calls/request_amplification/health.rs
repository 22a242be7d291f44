//! Whether a service suffers: its calls fail, or take longer than is normal for their routes.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::detect::Scene;
use crate::detect::statistics::wilson_lower;
use crate::flow::{BUCKETS_PER_DOUBLING, Name, ZERO_BUCKET, ratio};
use crate::model::{DurationMs, Timestamp};

/// A window is learnt once it is this old and nothing came of it.
const QUARANTINE_MS: DurationMs = 90_000;
/// "Now" is the last half minute.
const NOW_MS: DurationMs = 30_000;
/// Requests that must be known of now, and of the normal.
const REQUESTS_MIN: f64 = 20.0;
const LEARNT_MIN: f64 = 50.0;
/// Failing: this many failures, beyond twice the normal share and beyond 1 %, with chance refused at three sigma.
const FAILURES_MIN: f64 = 5.0;
const FAILING_SHARE_MIN: f64 = 0.01;
/// Slower: the geometric mean is this many buckets up, a factor of 1.5 (8 · log2 1.5), at three sigma.
const SLOWER_BUCKETS: f64 = 4.68;
/// Spread of durations of one route, in buckets: a factor of e up and down (log-normal, σ = 1).
const SPREAD_BUCKETS: f64 = 11.5;
/// Services and routes whose health is followed; further ones are taken for well.
const SUBJECTS_MAX: usize = 10_000;
/// The memory of the normal: a day, in windows of any length.
const MEMORY_MS: f64 = 86_400_000.0;
/// What has been bad for an hour is what there is to compare with.
const ACCEPTED_MS: DurationMs = 3_600_000;

/// A mean over time: now, and normally.
#[derive(Debug, Default)]
struct Level {
    sum: f64,
    count: f64,
    ms: f64,
    recent: VecDeque<(Timestamp, f64, f64)>,
    bad_since: Option<Timestamp>,
}

impl Level {
    #[allow(clippy::cast_precision_loss)]
    fn push(&mut self, start: Timestamp, span_ms: DurationMs, (sum, count): (f64, f64), learns: bool) {
        self.recent.push_back((start, sum, count));
        let learns = learns && self.bad_since.is_none_or(|since| start.since(since) >= ACCEPTED_MS);
        while self.recent.front().is_some_and(|(first, _, _)| start.since(*first) >= QUARANTINE_MS) {
            let Some((_, sum, count)) = self.recent.pop_front() else { break };
            if learns {
                let keep = (1.0 - span_ms as f64 / MEMORY_MS).max(0.0);
                self.sum = self.sum * keep + sum;
                self.count = self.count * keep + count;
                self.ms = self.ms * keep + span_ms as f64;
            }
        }
    }

    fn since(&self, from: Timestamp) -> (f64, f64) {
        let recent = self.recent.iter().rev().take_while(|(start, _, _)| *start >= from);
        recent.fold((0.0, 0.0), |(sums, counts), (_, sum, count)| (sums + sum, counts + count))
    }

    fn mean(&self) -> Option<f64> {
        (self.count >= LEARNT_MIN).then(|| self.sum / self.count)
    }
}

/// A service that suffers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Harm {
    /// Share of requests that fail now, and normally.
    Failing(f64, f64),
    /// How many times slower than normal it answers.
    Slower(f64),
}

/// Failures and durations of all services.
#[derive(Debug, Default)]
pub struct Health {
    failures: FxHashMap<Name, Level>,
    durations: FxHashMap<(Name, Name), Level>,
    edge: Level,
}

impl Health {
    /// Takes in a window. Of services in `doubted` nothing is learnt: what happens to them may be abnormal.
    #[allow(clippy::cast_precision_loss)]
    pub fn push(&mut self, scene: &Scene<'_>, doubted: &FxHashSet<Name>) {
        let window = scene.window;
        let span_ms = window.end.since(window.start);
        let mut failures: FxHashMap<Name, (u64, u64)> = FxHashMap::default();
        for (hop, sums) in &window.hops {
            let sum = failures.entry(hop.service).or_default();
            sum.0 += sums.cell.failures;
            sum.1 += sums.cell.requests;
        }
        for (service, (failed, requests)) in failures {
            if self.failures.len() < SUBJECTS_MAX || self.failures.contains_key(&service) {
                let level = self.failures.entry(service).or_default();
                level.push(window.start, span_ms, (failed as f64, requests as f64), !doubted.contains(&service));
                level.mark(window.start, failing(level, window.end).is_some());
            }
        }
        for (group, latencies) in &window.latencies {
            if self.durations.len() < SUBJECTS_MAX || self.durations.contains_key(group) {
                let level = self.durations.entry(*group).or_default();
                let timed = latencies.iter().filter(|(bucket, _)| *bucket != ZERO_BUCKET);
                let count: u64 = timed.map(|(_, count)| count).sum();
                let sums = (latencies.bucket_sum() as f64, count as f64);
                level.push(window.start, span_ms, sums, !doubted.contains(&group.0));
                let bad = shift(level, window.end).is_some_and(|(shift, _)| shift >= SLOWER_BUCKETS);
                level.mark(window.start, bad);
            }
        }
        let edge = &window.edge_total;
        self.edge.push(window.start, span_ms, (edge.failures as f64, edge.requests as f64), doubted.is_empty());
        self.edge.mark(window.start, failing(&self.edge, window.end).is_some());
    }

    /// What a service suffers from at `end`, if anything.
    pub fn harm(&self, service: Name, end: Timestamp) -> Option<Harm> {
        self.failures.get(&service).and_then(|level| failing(level, end)).or_else(|| self.slower(service, end))
    }

    /// Whether requests at the edge fail.
    pub fn edge_harm(&self, end: Timestamp) -> Option<Harm> {
        failing(&self.edge, end)
    }

    /// Route by route, so that a busier slow route is no slower service.
    fn slower(&self, service: Name, end: Timestamp) -> Option<Harm> {
        // Sums of floats depend on their order, and that of a hash map on history: whole thousandths do not.
        let (mut shifts, mut counts) = (0_i64, 0_i64);
        for (_, level) in self.durations.iter().filter(|((of, _), _)| *of == service) {
            if let Some((shift, count)) = shift(level, end) {
                #[allow(clippy::cast_possible_truncation)] // a shift is some hundreds, a count below 2^40
                {
                    shifts += (shift * count * 1_000.0).round() as i64;
                    counts += count.round() as i64;
                }
            }
        }
        #[allow(clippy::cast_precision_loss)]
        let (shifts, count) = (shifts as f64 / 1_000.0, counts as f64);
        if count < REQUESTS_MIN {
            return None;
        }
        let mean = shifts / count;
        let certain = SLOWER_BUCKETS.max(3.0 * SPREAD_BUCKETS / count.sqrt());
        (mean >= certain).then(|| Harm::Slower((mean / f64::from(BUCKETS_PER_DOUBLING)).exp2()))
    }

    /// How many times more of one of its routes a service answers than normally, from `from` to `end`: the route that grew
    /// most, with chance taken off. Growth of one route explains growth of the calls it makes.
    #[allow(clippy::cast_precision_loss)]
    pub fn route_growth(&self, service: Name, from: Timestamp, end: Timestamp) -> f64 {
        let span_ms = end.since(from).max(1) as f64;
        let of_service = self.durations.iter().filter(|((of, _), _)| *of == service);
        let growth = of_service.filter_map(|(_, level)| {
            let (_, now) = level.since(from);
            let normal = level.count / level.ms.max(1.0) * span_ms;
            (level.count >= LEARNT_MIN && now >= REQUESTS_MIN).then(|| now / normal * (1.0 - 2.0 / now.sqrt()))
        });
        growth.fold(1.0, f64::max)
    }

    /// Requests of a service from `from` to `end`, and how many it normally has in that time.
    #[allow(clippy::cast_precision_loss)]
    pub fn load(&self, service: Name, from: Timestamp, end: Timestamp) -> (f64, f64) {
        let Some(level) = self.failures.get(&service) else { return (0.0, 0.0) };
        (level.since(from).1, level.count / level.ms.max(1.0) * end.since(from) as f64)
    }
}

impl Level {
    fn mark(&mut self, start: Timestamp, bad: bool) {
        self.bad_since = if bad { self.bad_since.or(Some(start)) } else { None };
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // counts
fn failing(level: &Level, end: Timestamp) -> Option<Harm> {
    let normal = level.mean()?;
    let (failed, requests) = level.since(end.plus(-NOW_MS));
    let lower = wilson_lower(failed as u64, requests as u64, 3.0);
    let bad = failed >= FAILURES_MIN && lower > (2.0 * normal).max(FAILING_SHARE_MIN);
    bad.then(|| Harm::Failing(ratio(failed as u64, requests as u64), normal))
}

/// By how many buckets a route's durations have moved, and over how many requests.
fn shift(level: &Level, end: Timestamp) -> Option<(f64, f64)> {
    let normal = level.mean()?;
    let (sum, count) = level.since(end.plus(-NOW_MS));
    (count > 0.0).then(|| (sum / count - normal, count))
}
