//! `PoolExhaustion`: a pool has no members left, and that is new, or hurts.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::pool_evidence::{Leaking, held, leaking, whole};
use super::pool_leak::noun;
use crate::config::Span;
use crate::detect::edge_harm::{EdgeHarm, affected_at_the_edge, edge_harm};
use crate::detect::growth::median_of;
use crate::detect::words::{duration, percent, rounded};
use crate::detect::{Detector, Finding, Role, Scene};
use crate::flow::{FINE_MS, Gauge, Name, PoolBucket, PoolHistory};
use crate::model::{Affected, AlertName, Cause, Confidence, Dimension, Dimensions, DurationMs, Text, Timestamp};

/// Full: within this share of its size, or half a member.
const FULL_TOLERANCE_SHARE: f64 = 0.01;
/// A fast leak shows in whole half-minutes only when the pool is full already; later, nothing grows any more.
const LEAK_SHOWS_MS: DurationMs = 300_000;
/// Requests that fail or wait are looked for in this time: a pool may have been full for long before.
const HARM_MS: DurationMs = 300_000;
/// A pool that was full still is above this share of its size.
const STILL_FULL_SHARE: f64 = 0.95;
/// One above this share still hovers at it: so many readings in a row, within these bounds, say that it does not.
const HOVERS_SHARE: f64 = 0.85;
const READINGS_FREE_MAX: DurationMs = 2;
const FREE_MS_MAX: DurationMs = 300_000;
/// Reservations that queue for a full pool may be counted beside its members.
const STILL_FULL_SHARE_MAX: f64 = 1.1;
/// Fullness that is this share of a pool's history is how it works: a worker pool with a queue before it.
const BY_DESIGN_SHARE: f64 = 0.1;
/// So many half-minutes of history tell how a pool works.
const HISTORY_MIN: usize = 8;

/// `detect: {pool_exhaustion: …}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolExhaustionSpec {
    /// How long a pool may be full without a leak and without requests that fail or wait.
    pub harmless_max: Span,
}

impl Default for PoolExhaustionSpec {
    fn default() -> Self {
        Self { harmless_max: Span::from_secs(120) }
    }
}

/// The detector's state: pools that are full.
#[derive(Debug)]
pub struct PoolExhaustion {
    spec: PoolExhaustionSpec,
    full: FxHashMap<Name, Full>,
}

/// A pool that is full, and what was known when it became so.
#[derive(Debug, Clone)]
struct Full {
    since: Timestamp,
    /// The newest reading that said so.
    read_at: Timestamp,
    /// Since when requests fail or wait.
    harmed_since: Option<Timestamp>,
    by_design: bool,
    usual: f64,
    leak: Option<Leaking>,
}

impl PoolExhaustion {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(spec: PoolExhaustionSpec) -> Self {
        Self { spec, full: FxHashMap::default() }
    }

    fn finding(&self, scene: &Scene<'_>, source: &Text, pool: &PoolHistory, full: &mut Full) -> Option<Finding> {
        let end = scene.window.end;
        let onset = full.harmed_since.unwrap_or_else(|| full.since.max(end.plus(-HARM_MS)));
        let harm = edge_harm(scene.signals.edge(), onset, end);
        full.harmed_since = harm.map(|_| onset);
        let lasted_ms = end.since(full.since);
        if full.leak.is_none() && lasted_ms <= LEAK_SHOWS_MS {
            full.leak = leaking(pool, scene.signals.edge(), end);
        }
        let new = !full.by_design && lasted_ms >= self.spec.harmless_max.as_millis();
        if full.leak.is_none() && harm.is_none() && !new {
            return None;
        }
        let size = pool.size?;
        let labels = Dimensions::new([(Dimension::Source, source.clone())]);
        let why = full.reason(size);
        let suffers = harm.map(|harm| format!("; {harm}")).unwrap_or_default();
        let newest = pool.fine.back()?;
        let part = |gauge: Option<Gauge>, of: &str| gauge.map(|g| format!("{} {of}", whole(g.last)));
        let parts: Vec<String> =
            [part(newest.in_use, "in use"), part(newest.reserved, "reserved")].into_iter().flatten().collect();
        Some(Finding {
            alert: AlertName::PoolExhaustion,
            labels: labels.clone(),
            since: full.since,
            value: rounded(size),
            baseline: rounded(full.usual),
            harm: harm.and_then(|harm| harm.failing).map_or(0.0, |(now, _)| now),
            unit: "members",
            causes: vec![Cause {
                dimensions: labels,
                share: 1.0,
                confidence: full.leak.as_ref().map_or(Confidence::Medium, |leak| leak.confidence),
                evidence: format!("{} of {} members; {why}{suffers}", parts.join(" and "), whole(size)),
            }],
            affected: harm.filter(EdgeHarm::fails).map_or(Affected::default(), |_| affected_at_the_edge(scene)),
            customers: Vec::new(),
            summary: format!(
                "{source} has had none of its {} members left for {}: {why}{suffers}",
                whole(size),
                duration(lasted_ms)
            ),
            role: Role::Symptom,
        })
    }
}

impl Full {
    fn of(pool: &PoolHistory, scene: &Scene<'_>) -> Self {
        let since = scene.window.start;
        let size = pool.size.unwrap_or(0.0);
        let started = since.window_start(FINE_MS);
        let fine: Vec<&PoolBucket> = pool.fine.iter().filter(|bucket| bucket.start < started).collect();
        let long: Vec<&PoolBucket> = pool.coarse.iter().filter(|bucket| bucket.start < started).collect();
        let history = if long.len() >= HISTORY_MIN { long } else { fine };
        let held: Vec<f64> = history.iter().filter_map(|bucket| held_at_most(bucket, pool)).collect();
        let full = held.iter().filter(|held| is_at(**held, size)).count();
        #[allow(clippy::cast_precision_loss)] // buckets
        let often = full as f64 > BY_DESIGN_SHARE * held.len() as f64;
        Self {
            since,
            read_at: scene.window.end,
            harmed_since: None,
            // What has been full since the log began may always have been.
            by_design: often || held.len() < HISTORY_MIN,
            usual: median_of(held.into_iter()),
            leak: leaking(pool, scene.signals.edge(), scene.window.end),
        }
    }

    fn reason(&self, size: f64) -> String {
        match &self.leak {
            Some(leak) => format!(
                "it leaks: {} {} were {} at {}",
                whole(leak.growth.level),
                noun(leak.lost),
                whole(leak.growth.start_level),
                leak.growth.since
            ),
            None if self.by_design => "no leak is seen; it is often full".to_owned(),
            None => format!("no leak is seen: more is asked of it than it has ({} are held as a rule)", {
                percent(self.usual / size)
            }),
        }
    }
}

fn is_at(held: f64, size: f64) -> bool {
    (held - size).abs() <= (FULL_TOLERANCE_SHARE * size).max(0.5)
}

fn held_at_most(bucket: &PoolBucket, pool: &PoolHistory) -> Option<f64> {
    let reserved = bucket.reserved.filter(|_| pool.reserved_inside != Some(true));
    bucket.in_use.into_iter().chain(reserved).map(|gauge| gauge.max).reduce(|a, b| a + b)
}

/// Whether no member is left. Which gauge includes which is not told: in use alone, with reserved beside it, and with
/// what is missing. A sum that stops exactly at the size has met it; one that passes it counts something twice.
pub(in crate::detect) fn is_full(pool: &PoolHistory, was_full: bool) -> bool {
    let (Some(size), Some(newest)) = (pool.size, pool.fine.back()) else { return false };
    let in_use = newest.in_use.map(|gauge| gauge.last);
    if in_use.is_some_and(|in_use| in_use >= size - (FULL_TOLERANCE_SHARE * size).min(0.5)) {
        return true;
    }
    // Who waits takes what is given back: between two readings a member may be free for a moment.
    let meets = |held: f64| {
        is_at(held, size) || (was_full && (STILL_FULL_SHARE..=STILL_FULL_SHARE_MAX).contains(&(held / size)))
    };
    let all = || pool.coarse.iter().chain(&pool.fine);
    let above_floor = |of: fn(&PoolBucket) -> Option<Gauge>| {
        let floor = all().filter_map(of).map(|gauge| gauge.min).fold(f64::INFINITY, f64::min);
        of(newest).map_or(0.0, |gauge| gauge.last - floor)
    };
    // Under whichever convention shows least.
    let missing = above_floor(|bucket| bucket.missing).min(above_floor(|bucket| bucket.missing_and_reserved));
    let beyond = above_floor(|bucket| bucket.missing_beyond_reserved);
    let alone = in_use.map(|in_use| in_use + missing.max(0.0));
    let beside = held(newest, pool);
    [alone, beside, beside.map(|held| held + missing.min(beyond).max(0.0))].into_iter().flatten().any(meets)
}

/// Whether a pool that was full has a few members free in one reading only: who waits takes them before the next.
fn hovers(pool: &PoolHistory, full: &Full, end: Timestamp, interval_ms: DurationMs) -> bool {
    // The sum of gauges that are read seldom may meet the size by chance, once.
    let confirmed = full.read_at.since(full.since) > interval_ms + interval_ms / 4;
    let one_reading = end.since(full.read_at) <= (READINGS_FREE_MAX * interval_ms).clamp(FINE_MS, FREE_MS_MAX);
    let held = pool.fine.back().and_then(|bucket| held(bucket, pool));
    confirmed && one_reading && held.zip(pool.size).is_some_and(|(held, size)| held >= HOVERS_SHARE * size)
}

impl Detector for PoolExhaustion {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        let mut known = std::mem::take(&mut self.full);
        let mut findings = Vec::new();
        for &(name, history) in scene.sources {
            let Some(pool) = history.pool.as_deref() else { continue };
            let before = known.remove(&name);
            if !history.is_current(scene.window.end) {
                // Silence is no member given back.
                before.into_iter().for_each(|full| {
                    self.full.insert(name, full);
                });
            } else if is_full(pool, before.is_some()) {
                let mut full = before.unwrap_or_else(|| Full::of(pool, scene));
                full.read_at = scene.window.end;
                findings.extend(self.finding(scene, scene.names.text(name), pool, &mut full));
                self.full.insert(name, full);
            } else if let Some(mut full) =
                before.filter(|full| hovers(pool, full, scene.window.end, history.interval_ms()))
            {
                findings.extend(self.finding(scene, scene.names.text(name), pool, &mut full));
                self.full.insert(name, full);
            }
        }
        findings
    }
}
