//! `Saturation`: something works at its ceiling, or drops packets.
//!
//! A ceiling is the known limit of operations, or the highest throughput so far while more is asked for. Drops count
//! beyond the trickle that is normal for the source.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::ceiling::Ceiling;
use super::throughput_view::{Background, Throughput};
use crate::detect::edge_harm::{EdgeHarm, affected_at_the_edge, edge_harm};
use crate::detect::pools::is_full;
use crate::detect::words::{percent, rate, rounded};
use crate::detect::{Detector, Finding, Role, Scene};
use crate::flow::{EdgeHistory, FINE_MS, Name, SourceHistory, ThroughputHistory};
use crate::model::{Affected, AlertName, Cause, Confidence, Dimension, Dimensions, DurationMs, Text, Timestamp};

/// Throughput that is this share of the highest so far is high: a source that drops then drops because of it.
const HIGH_SHARE: f64 = 0.8;
/// Load at the edge above what it was half an hour before by this factor is what fills the source: it only shows it.
const LOAD_FACTOR_MAX: f64 = 1.5;
const LOAD_BEFORE_MS: DurationMs = 900_000;
/// Failures in these minutes before the drops were there without them.
const FAILED_BEFORE_MS: DurationMs = 180_000;
/// How often what is normal is learnt.
const LEARNT_EVERY_MS: DurationMs = 60_000;
/// A source that comes down from its ceiling for less than this has not left it.
const REMEMBERED_MS: DurationMs = 600_000;

/// `detect: {saturation: …}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SaturationSpec {
    /// Share of the known limit from which on a source is near it.
    pub near_limit_share: f64,
    /// Whether it must hurt: packets are dropped, or requests at the edge fail.
    pub with_harm: bool,
}

impl Default for SaturationSpec {
    fn default() -> Self {
        Self { near_limit_share: 0.9, with_harm: true }
    }
}

/// The detector's state: sources at their ceiling.
#[derive(Debug)]
pub struct Saturation {
    spec: SaturationSpec,
    known: FxHashMap<Name, Known>,
    /// What is normal for a source, and when that was learnt.
    learnt: FxHashMap<Name, (Timestamp, Background)>,
}

/// Since when a source is at its ceiling, and what was normal before: learnt once, so that an incident does not become
/// normal while it lasts.
#[derive(Debug, Clone, Copy)]
struct Known {
    since: Timestamp,
    held_at: Timestamp,
    normal: Background,
}

/// A source at its ceiling.
#[derive(Debug)]
struct Saturated {
    now: Throughput,
    known: Known,
    near_limit: Option<f64>,
    dropping: bool,
    ceiling: Option<Ceiling>,
    harm: Option<EdgeHarm>,
}

impl Saturation {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(spec: SaturationSpec) -> Self {
        Self { spec, known: FxHashMap::default(), learnt: FxHashMap::default() }
    }

    /// What is normal, learnt anew every minute: a day is much to look at.
    fn normal(&mut self, name: Name, history: &ThroughputHistory, now: &Throughput) -> Background {
        let fresh = self.learnt.get(&name).filter(|(at, _)| now.first.since(*at) < LEARNT_EVERY_MS);
        if let Some((_, normal)) = fresh {
            return *normal;
        }
        let normal = Background::learn(history, now.first);
        self.learnt.insert(name, (now.first, normal));
        normal
    }

    fn judge(
        &mut self,
        scene: &Scene<'_>,
        (name, history): (Name, &ThroughputHistory),
        ceilings: &[(Name, Ceiling)],
    ) -> Option<Saturated> {
        let (edge, end) = (scene.signals.edge(), scene.window.end);
        let now = Throughput::lately(history, end)?;
        if history.operations_limit_per_second.is_none() && !now.is_remarkable() {
            return None;
        }
        let known = match self.known.get(&name) {
            Some(known) => *known,
            None => Known { since: now.first, held_at: end, normal: self.normal(name, history, &now) },
        };
        let normal = known.normal;
        let near_limit = history.operations_limit_per_second.filter(|limit| {
            now.operations_least.is_some_and(|operations| operations >= self.spec.near_limit_share * limit)
        });
        let harm = edge_harm(edge, known.since, end).filter(EdgeHarm::fails);
        let plain = normal.is_untaught() && now.fails_with_drops(edge, end);
        let dropping = plain || normal.drops_exceed(&now, harm.is_some());
        let high = normal.is_high(&now, HIGH_SHARE);
        let ceiling = ceilings.iter().find(|(of, _)| *of == name).map(|(_, ceiling)| *ceiling);
        let felt = ceiling.and_then(|ceiling| edge_harm(edge, ceiling.since, end));
        let ceiling = ceiling.filter(|ceiling| ceiling.binds(felt.as_ref()));
        let harm = harm.or(felt.filter(|_| ceiling.is_some()));
        let hurts = (dropping && (plain || high || harm.is_some()))
            || (near_limit.is_some() && harm.is_some())
            || (ceiling.is_some() && harm.is_some() && ceilings.len() == 1);
        let holds = hurts || (!self.spec.with_harm && (dropping || near_limit.is_some() || ceiling.is_some()));
        let known = ceiling.filter(|_| !dropping).map_or(known, |ceiling| known.begun_at(ceiling.since));
        holds.then_some(Saturated { now, known, near_limit, dropping, ceiling, harm })
    }
}

impl Known {
    /// The same, begun earlier.
    fn begun_at(self, since: Timestamp) -> Self {
        Self { since: since.min(self.since), ..self }
    }
}

impl Saturated {
    /// It is the cause of failures that came with its drops, unless failures were there before, or load has multiplied.
    fn role(&self, edge: &EdgeHistory, end: Timestamp) -> Role {
        let since = self.known.since;
        let failed_before =
            edge_harm(edge, since.plus(-FAILED_BEFORE_MS), since.plus(-FINE_MS)).is_some_and(|harm| harm.fails());
        let before = edge.requests_per_second(since.plus(-LOAD_BEFORE_MS), since.plus(-FAILED_BEFORE_MS));
        let now = edge.requests_per_second(end.plus(-FAILED_BEFORE_MS), end.window_start(FINE_MS));
        let multiplied = before.zip(now).is_none_or(|(before, now)| now > LOAD_FACTOR_MAX * before);
        if (self.dropping || self.ceiling.is_some()) && self.harm.is_some() && !failed_before && !multiplied {
            Role::Cause
        } else {
            Role::Symptom
        }
    }

    fn what(&self) -> String {
        let operations = self.now.operations.map(|now| format!("{} operations", rate(now)));
        let mut parts = Vec::new();
        if self.dropping {
            let share = self.now.drops_share().zip(operations.as_ref());
            let share = share.map(|(share, of)| format!(", {} of {of}", small_percent(share))).unwrap_or_default();
            let (now, usual) = (self.now.drops.unwrap_or(0.0), self.known.normal.drops_usual());
            parts.push(format!("drops {} packets{share} ({} as a rule)", rate(now), rate(usual)));
        }
        if let Some((limit, now)) = self.near_limit.zip(self.now.operations) {
            parts.push(format!(
                "works at {} of its limit: {} of {} operations",
                percent(now / limit),
                rate(now),
                rate(limit)
            ));
        }
        if let Some(Ceiling { what, per_second, demand_per_second, .. }) = self.ceiling {
            let asked = demand_per_second.map(|demand| format!(", while {} are asked of it", rate(demand)));
            parts.push(format!(
                "has stopped at its highest rate so far, {} {what}{}",
                rate(per_second),
                asked.unwrap_or_default()
            ));
        }
        parts.join(" and ")
    }

    fn finding(&self, source: &Text, scene: &Scene<'_>) -> Finding {
        let labels = Dimensions::new([(Dimension::Source, source.clone())]);
        let what = self.what();
        let suffers = self.harm.map(|harm| format!("; {harm}")).unwrap_or_default();
        let (value, baseline, unit) = match (self.dropping, self.ceiling) {
            (true, _) => (self.now.drops.unwrap_or(0.0), self.known.normal.drops_usual(), "dropped packets per second"),
            (false, Some(Ceiling { what: "bytes", per_second, .. })) if self.near_limit.is_none() => {
                (per_second, per_second, "bytes per second")
            }
            _ => (self.now.operations.unwrap_or(0.0), self.known.normal.operations_usual, "operations per second"),
        };
        let confidence = if self.harm.is_some() { Confidence::High } else { Confidence::Medium };
        Finding {
            alert: AlertName::Saturation,
            labels: labels.clone(),
            since: self.known.since,
            value: rounded(value),
            baseline: rounded(baseline),
            harm: value,
            unit,
            causes: vec![Cause { dimensions: labels, share: 1.0, confidence, evidence: format!("it {what}{suffers}") }],
            affected: self.harm.map_or(Affected::default(), |_| affected_at_the_edge(scene)),
            customers: Vec::new(),
            summary: format!("{source} {what}{suffers}"),
            role: self.role(scene.signals.edge(), scene.window.end),
        }
    }
}

/// Sources at a ceiling that nobody told. Where a pool is full, or where several stand still at once, what they carry is cut
/// off before them: which one binds is not known, and none of them wakes anybody.
fn ceilings(scene: &Scene<'_>) -> Vec<(Name, Ceiling)> {
    let end = scene.window.end;
    let of = |(name, history): &(Name, &SourceHistory)| {
        let throughput = history.throughput.as_deref().filter(|_| history.is_current(end))?;
        Ceiling::of(throughput, scene.signals.edge(), end).map(|ceiling| (*name, ceiling))
    };
    let found: Vec<(Name, Ceiling)> = scene.sources.iter().filter_map(of).collect();
    let pools = || scene.sources.iter().filter_map(|(_, history)| history.pool.as_deref());
    if !found.is_empty() && pools().any(|pool| is_full(pool, true)) { Vec::new() } else { found }
}

/// A share of packets: hundredths of a percent matter.
fn small_percent(share: f64) -> String {
    if share < 0.001 { format!("{:.3} %", share * 100.0) } else { percent(share) }
}

impl Detector for Saturation {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        let end = scene.window.end;
        let mut findings = Vec::new();
        let ceilings = ceilings(scene);
        for &(name, history) in scene.sources {
            let Some(throughput) = history.throughput.as_deref() else { continue };
            if !history.is_current(end) {
                continue;
            }
            if let Some(saturated) = self.judge(scene, (name, throughput), &ceilings) {
                self.known.insert(name, Known { held_at: end, ..saturated.known });
                findings.push(saturated.finding(scene.names.text(name), scene));
            }
        }
        self.known.retain(|_, known| end.since(known.held_at) <= REMEMBERED_MS);
        self.learnt.retain(|_, (at, _)| end.since(*at) <= REMEMBERED_MS);
        findings
    }
}
