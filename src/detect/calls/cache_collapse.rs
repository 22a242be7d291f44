//! `CacheCollapse`: a cache stops answering what it used to answer, and what is behind it gets the look-ups instead.
//!
//! From the counters of hits and misses of a source. What hurts is not the ratio but the misses: where the hit ratio falls
//! because look-ups do (at night keys expire between them), nothing more comes through, and nothing is told.

mod cache;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use self::cache::{Cache, Collapse};
use crate::detect::words::{bytes, duration, percent, rate, rounded};
use crate::detect::{Detector, Finding, Role, Scene};
use crate::flow::{Name, SignalCell};
use crate::model::{Affected, AlertName, Cause, Confidence, Dimension, Dimensions, DurationMs};

/// Caches followed; further ones are counted in `overflowed`.
const CACHES_MAX: usize = 10_000;
/// A cache silent for a day has no normal any more.
const FORGOTTEN_MS: DurationMs = 90_000_000;
/// What was last known of a silent cache counts for this long.
const SILENT_MS: DurationMs = 120_000;
/// Other caches that a summary names.
const OTHERS_NAMED_MAX: usize = 3;

/// `detect: {cache_collapse: …}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheCollapseSpec {
    /// How many times its normal share of misses a cache must have.
    pub misses_factor_min: f64,
    /// Look-ups in the last minute that there must be at least.
    pub lookups_min: u64,
}

impl Default for CacheCollapseSpec {
    fn default() -> Self {
        Self { misses_factor_min: 1.8, lookups_min: 50 }
    }
}

/// The detector's state.
#[derive(Debug)]
pub struct CacheCollapse {
    spec: CacheCollapseSpec,
    caches: FxHashMap<Name, Cache>,
    overflowed: u64,
}

impl CacheCollapse {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(spec: CacheCollapseSpec) -> Self {
        Self { spec, caches: FxHashMap::default(), overflowed: 0 }
    }

    fn push(&mut self, scene: &Scene<'_>) {
        let mut readings: FxHashMap<Name, Vec<(&str, SignalCell)>> = FxHashMap::default();
        for ((source, metric), cell) in &scene.window.signals {
            readings.entry(*source).or_default().push((scene.names.text(*metric), *cell));
        }
        for (source, cells) in readings {
            let known = self.caches.contains_key(&source);
            if !known && !cells.iter().any(|(metric, _)| cache::is_of_a_cache(metric)) {
                continue;
            }
            if !known && self.caches.len() >= CACHES_MAX {
                self.overflowed += 1;
                continue;
            }
            self.caches.entry(source).or_default().push(scene.window, &cells, &self.spec);
        }
        let end = scene.window.end;
        self.caches.retain(|_, cache| end.since(cache.last_seen()) <= FORGOTTEN_MS);
    }

    fn finding(source: Name, collapse: &Collapse, others: &[(Name, &Collapse)], scene: &Scene<'_>) -> Finding {
        let name = scene.names.text(source);
        let mut evidence = vec![format!(
            "{} of {} look-ups in the last {} were hits, normally {}",
            percent(collapse.hit_ratio),
            collapse.lookups,
            duration(collapse.span_ms),
            percent(collapse.hit_ratio_normal)
        )];
        evidence.extend(traces(collapse));
        Finding {
            alert: AlertName::CacheCollapse,
            labels: Dimensions::new([(Dimension::Source, name.clone())]),
            since: collapse.since,
            value: rounded(collapse.hit_ratio),
            baseline: rounded(collapse.hit_ratio_normal),
            harm: (collapse.misses_per_second - collapse.misses_per_second_normal).max(0.0),
            unit: "share of look-ups answered",
            causes: vec![Cause {
                dimensions: Dimensions::new([(Dimension::Source, name.clone())]),
                share: 1.0,
                confidence: Confidence::High,
                evidence: evidence.join("; "),
            }],
            affected: Affected::default(),
            customers: Vec::new(),
            summary: summary(name, collapse, others, scene),
            role: Role::Symptom,
        }
    }
}

fn summary(name: &str, collapse: &Collapse, others: &[(Name, &Collapse)], scene: &Scene<'_>) -> String {
    let mut summary = format!(
        "cache {name} answers {} of its look-ups (normally {}): what is behind it gets {} instead of {}",
        percent(collapse.hit_ratio),
        percent(collapse.hit_ratio_normal),
        rate(collapse.misses_per_second),
        rate(collapse.misses_per_second_normal),
    );
    if let Some(trace) = traces(collapse).first() {
        summary = format!("{summary}; {trace}");
    }
    if !others.is_empty() {
        let named: Vec<&str> =
            others.iter().take(OTHERS_NAMED_MAX).map(|(other, _)| scene.names.text(*other).as_str()).collect();
        let more = others.len() - named.len();
        let and = if more > 0 { format!(" and {more} more") } else { String::new() };
        summary = format!("{summary}; several cache layers vanished at once, {}{and} too", named.join(", "));
    }
    summary
}

/// What else the source tells of it.
fn traces(collapse: &Collapse) -> Vec<String> {
    let mut traces = Vec::new();
    if let Some(at) = collapse.restarted_at {
        traces.push(format!("it restarted at {at}"));
    }
    if let Some((from, to)) = collapse.memory_fell {
        traces.push(format!("its memory fell from {} to {}", bytes(from), bytes(to)));
    }
    if let Some((now, normal)) = collapse.evicted_per_second {
        traces.push(format!("it evicts {} keys (normally {})", rate(now), rate(normal)));
    }
    traces
}

impl Detector for CacheCollapse {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        if !scene.window.signals.is_empty() {
            self.push(scene);
        }
        let end = scene.window.end;
        let speaking = self.caches.iter().filter(|(_, cache)| end.since(cache.last_seen()) <= SILENT_MS);
        let mut collapsed: Vec<(Name, &Collapse)> =
            speaking.filter_map(|(source, cache)| Some((*source, cache.collapse()?))).collect();
        collapsed.sort_unstable_by(|(a, _), (b, _)| scene.names.text(*a).cmp(scene.names.text(*b)));
        let finding = |(source, collapse): &(Name, &Collapse)| {
            let others: Vec<(Name, &Collapse)> =
                collapsed.iter().filter(|(other, _)| other != source).copied().collect();
            Self::finding(*source, collapse, &others, scene)
        };
        collapsed.iter().map(finding).collect()
    }

    fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

#[cfg(test)]
mod tests;
