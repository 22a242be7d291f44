//! `PoolLeak`: a pool loses members; near its end it pages, far from it it is a ticket.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::pool_evidence::{Leaking, Lost, leaking, occupied, whole};
use super::pool_exhaustion::is_full;
use crate::config::Span;
use crate::detect::growth::Growth;
use crate::detect::time_left::TimeLeft;
use crate::detect::words::rounded;
use crate::detect::{Detector, Finding, Role, Scene};
use crate::flow::{FINE_MS, Name, PoolBucket, PoolHistory};
use crate::model::{Affected, AlertName, Cause, Dimension, Dimensions, DurationMs, Text, Timestamp};

/// A pool this full has nothing left to lose: its leak has no trend any more, and goes on.
const FULL_SHARE: f64 = 0.97;
/// While this share of what was lost is not back, it is still lost.
const STILL_LOST_SHARE: f64 = 0.7;
/// So long, or so many of its readings' intervals, a leak is remembered that does not show.
const HIDDEN_MS: DurationMs = 600_000;
const INTERVALS_HIDDEN: DurationMs = 6;
/// Members in use may have a reason that nothing shows; below this share of the pool nobody is woken for them.
const IN_USE_SHARE_MIN: f64 = 0.5;

/// `detect: {pool_leak: …}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolLeakSpec {
    /// How near in time the last member's loss must be.
    pub time_to_exhaustion_max: Span,
    /// Whether a leak counts whose end is not known, because the pool tells no size.
    pub without_size: bool,
}

impl Default for PoolLeakSpec {
    fn default() -> Self {
        Self { time_to_exhaustion_max: Span::from_secs(1_800), without_size: false }
    }
}

/// The detector's state.
#[derive(Debug)]
pub struct PoolLeak {
    spec: PoolLeakSpec,
    /// Leaks, and when each was last seen to grow.
    leaks: FxHashMap<Name, (Timestamp, Leaking)>,
    judged_at: Option<Timestamp>,
}

impl PoolLeak {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(spec: PoolLeakSpec) -> Self {
        Self { spec, leaks: FxHashMap::default(), judged_at: None }
    }

    /// Buckets are half a minute long, windows five seconds.
    fn judge(&mut self, scene: &Scene<'_>) {
        let moment = scene.window.end.window_start(FINE_MS);
        if self.judged_at == Some(moment) {
            return;
        }
        self.judged_at = Some(moment);
        let known = std::mem::take(&mut self.leaks);
        for &(name, history) in scene.sources {
            let Some(pool) = history.pool.as_deref() else { continue };
            let end = scene.window.end;
            let found = leaking(pool, scene.signals.edge(), end);
            let still = |(at, leak): &(Timestamp, Leaking)| {
                let fresh = end.since(*at) <= HIDDEN_MS.max(INTERVALS_HIDDEN * history.interval_ms());
                still_lost(leak, pool, fresh).map(|leak| (*at, leak))
            };
            let found = match (found, known.get(&name).and_then(still)) {
                // The last members of a pool that is full already are no leak of their own.
                (Some(_), Some((_, still))) if still.left == Some(TimeLeft::NONE) => Some((end, still)),
                (Some(found), _) => Some((end, found)),
                (None, still) => still,
            };
            found.into_iter().for_each(|leak| {
                self.leaks.insert(name, leak);
            });
        }
    }

    fn counts(&self, leak: &Leaking, pool: &PoolHistory) -> bool {
        let near = leak
            .left
            .map_or(self.spec.without_size, |left| left.likely_ms <= self.spec.time_to_exhaustion_max.as_millis());
        let is_ticket = self.spec.without_size;
        let used_enough = pool.size.is_none_or(|size| leak.occupied >= IN_USE_SHARE_MIN * size);
        near && (leak.lost != Lost::InUse || used_enough || is_ticket)
    }
}

/// A leak whose members have not come back: of a pool that is full, or one that was `fresh`ly seen to grow. What is
/// conserved is lost whether or not its trend shows in every half-minute; members in use may come back any time.
fn still_lost(leak: &Leaking, pool: &PoolHistory, fresh: bool) -> Option<Leaking> {
    let size = pool.size?;
    let of = |bucket: &PoolBucket| match leak.lost {
        Lost::Missing => bucket.missing,
        Lost::Reserved => bucket.reserved,
        Lost::InUse => bucket.in_use,
    };
    // A half-minute that has just begun may not have been told in full.
    let gauge = pool.fine.iter().rev().take(2).find_map(of);
    let grown = leak.growth.level - leak.growth.start_level;
    let lost = gauge?.last >= leak.growth.start_level + STILL_LOST_SHARE * grown;
    let missing = if leak.lost == Lost::Missing { gauge?.last - leak.growth.start_level } else { 0.0 };
    let held = occupied(pool, missing)?;
    let full = held >= FULL_SHARE * size || is_full(pool, true);
    let Growth { slope, slope_lower, slope_upper, .. } = leak.growth;
    let left = if full { Some(TimeLeft::NONE) } else { TimeLeft::new(size - held, slope, slope_lower, slope_upper) };
    (lost && (full || fresh && leak.lost != Lost::InUse)).then(|| Leaking { occupied: held, left, ..leak.clone() })
}

/// What is lost, as one says it.
pub(super) fn noun(lost: Lost) -> &'static str {
    match lost {
        Lost::Missing => "members that are acquired and neither in use nor released",
        Lost::Reserved => "reserved members that are neither acquired nor released",
        Lost::InUse => "members in use that are not released",
    }
}

fn outlook(leak: &Leaking, size: Option<f64>) -> String {
    match (size, leak.left) {
        (Some(size), Some(TimeLeft { likely_ms: 0, .. })) => {
            format!("{} of {} are held, none is left", whole(leak.occupied), whole(size))
        }
        (Some(size), Some(left)) => {
            format!("{} of {} are held, none is left in {left}", whole(leak.occupied), whole(size))
        }
        _ => format!("{} are held, and the pool tells no size", whole(leak.occupied)),
    }
}

fn finding(source: &Text, leak: &Leaking, size: Option<f64>) -> Finding {
    let labels = Dimensions::new([(Dimension::Source, source.clone())]);
    let growth = &leak.growth;
    let a_minute = growth.slope * 60.0;
    let pace =
        if a_minute >= 1.0 { format!("{a_minute:.1} a minute") } else { format!("{:.1} an hour", a_minute * 60.0) };
    let outlook = outlook(leak, size);
    Finding {
        alert: AlertName::PoolLeak,
        labels: labels.clone(),
        since: growth.since,
        value: rounded(growth.level),
        baseline: rounded(growth.start_level),
        // Of the pool, where its size is known: what it is near its end can explain, it cannot far from it.
        harm: size.map_or(leak.occupied, |size| leak.occupied / size),
        unit: "members",
        causes: vec![Cause {
            dimensions: labels,
            share: 1.0,
            confidence: leak.confidence,
            evidence: format!("{}; it loses {pace}; {outlook}", leak.why),
        }],
        affected: Affected::default(),
        customers: Vec::new(),
        summary: format!("{source} loses {pace}, {}: {outlook}", noun(leak.lost)),
        role: Role::Cause,
    }
}

impl Detector for PoolLeak {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        self.judge(scene);
        if self.leaks.is_empty() {
            return Vec::new();
        }
        let mut findings = Vec::new();
        for &(name, history) in scene.sources {
            let Some(((_, leak), pool)) = self.leaks.get(&name).zip(history.pool.as_deref()) else { continue };
            if history.is_current(scene.window.end) && self.counts(leak, pool) {
                findings.push(finding(scene.names.text(name), leak, pool.size));
            }
        }
        findings
    }
}
