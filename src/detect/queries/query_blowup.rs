//! `QueryBlowup`: a query pattern takes memory far above its own normal, or more than its node has.
//!
//! Who is measured against itself: a pattern that has always been heavy is not named, nor is one whose runs fail because
//! others took the memory. A page needs a node in danger too; without one it is a ticket.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::query_blowup_words::{Culprit, finding};
use super::query_nodes::{Danger, Held, NodeLoad, read_signals};
use super::query_series::{Excess, QuerySeries, RECENT_MS, RunNow};
use crate::detect::{Detector, Finding, Scene};
use crate::flow::{LogHistogram, Name};
use crate::model::{DurationMs, Timestamp};

/// Patterns by origin that are followed; further ones are counted in `overflowed`.
const QUERY_SERIES_MAX: usize = 10_000;
/// At the bound, patterns that have not run for this long make room.
const FORGET_MS: DurationMs = 86_400_000;
/// Origins whose runs are known together: the prior for a new pattern. Further ones have none.
const COHORTS_MAX: usize = 1_000;
/// What ran in the last minute is what a node holds.
const HELD_SPAN_MS: DurationMs = 60_000;
/// A pattern is new only when the log was there before it: in the first minutes everything is.
const LOG_MS_MIN: DurationMs = 300_000;
/// A pattern is new for this long.
const NEW_MS: DurationMs = 3_600_000;
/// Share of a node that a new pattern must hold to be to blame for it.
const NEW_SHARE_MIN: f64 = 0.25;
/// Runs that make a pace.
const STEADY_RUNS_MIN: u64 = 5;
/// Times its normal memory that a pattern takes beyond doubt.
const CLEAR_RATIO_MIN: f64 = 3.0;
/// A flood of ordinary runs holds at least this many times what the pattern normally holds, ...
const FLOOD_RATIO_MIN: f64 = 2.0;
/// ... in this many runs a minute at least, ...
const FLOOD_RUNS_MIN: f64 = 10.0;
/// ... and this share of the node.
const FLOOD_SHARE_MIN: f64 = 0.3;

/// `detect: {query_blowup: …}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueryBlowupSpec {
    /// Whether a node must be in danger.
    pub node_in_danger: bool,
    /// How many times its normal memory a pattern must take.
    pub memory_ratio_min: f64,
    /// Share of its limit that a node may use.
    pub node_share_max: f64,
    /// Share of the node that the pattern must hold beyond its normal.
    pub node_excess_share_min: f64,
}

impl Default for QueryBlowupSpec {
    fn default() -> Self {
        Self { node_in_danger: true, memory_ratio_min: 1.6, node_share_max: 0.85, node_excess_share_min: 0.1 }
    }
}

/// A pattern of one origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SeriesKey {
    /// Normalised query.
    pub fingerprint: Name,
    /// What asks.
    pub origin: Name,
}

/// What patterns of one origin hold on one node beyond their normal, in bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Together {
    bytes: f64,
    greatest_bytes: f64,
}

/// Why a pattern is suspected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Suspicion {
    /// Its runs take far more than they used to.
    Memory(Excess),
    /// It was not there before; median of its runs, and of its origin's other patterns.
    New(f64, f64),
    /// There are far more runs than normal; bytes held now, and normally.
    Flood(f64, f64),
}

/// The detector's state.
#[derive(Debug)]
pub struct QueryBlowup {
    spec: QueryBlowupSpec,
    series: FxHashMap<SeriesKey, QuerySeries>,
    cohorts: FxHashMap<Name, LogHistogram>,
    /// By origin, the pattern that stands for all of it that take too much: it does not change by the second.
    standing: FxHashMap<Name, SeriesKey>,
    first: Option<Timestamp>,
    overflowed: u64,
}

impl QueryBlowup {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(spec: QueryBlowupSpec) -> Self {
        Self {
            spec,
            series: FxHashMap::default(),
            cohorts: FxHashMap::default(),
            standing: FxHashMap::default(),
            first: None,
            overflowed: 0,
        }
    }

    fn push(&mut self, scene: &Scene<'_>) {
        let start = scene.window.start;
        let ended = scene.sorted_queries().into_iter().map(|((key, scan), cell)| (key, *scan, Some(cell)));
        let seen = scene.window.queries.reports.iter().filter(|r| !r.ended).map(|r| (&r.key, None, None));
        for (key, scan, cell) in ended.chain(seen).filter(|(key, ..)| !key.fingerprint.is_absent()) {
            self.first.get_or_insert(start);
            let series = SeriesKey { fingerprint: key.fingerprint, origin: key.origin };
            if !self.has_room(series, start) {
                self.overflowed += 1;
                continue;
            }
            let series = self.series.entry(series).or_insert_with(|| QuerySeries::new(start));
            match cell {
                Some(cell) => series.add(start, key.version, key.node, scan, cell),
                None => series.see_version(key.version, start),
            }
            if let Some(cell) = cell.filter(|_| start.since(series.first) > NEW_MS || !series.is_new())
                && (self.cohorts.len() < COHORTS_MAX || self.cohorts.contains_key(&key.origin))
            {
                self.cohorts.entry(key.origin).or_default().merge(&cell.memory);
            }
        }
        self.cohorts.values_mut().filter(|cohort| cohort.total() > 100_000).for_each(LogHistogram::halve);
    }

    fn has_room(&mut self, key: SeriesKey, now: Timestamp) -> bool {
        if self.series.len() >= QUERY_SERIES_MAX && !self.series.contains_key(&key) {
            // Most of the time nothing can go: it is tried at most for one in a thousand.
            if self.overflowed.is_multiple_of(1_000) {
                self.series.retain(|_, series| now.since(series.last) <= FORGET_MS);
            }
            return self.series.len() < QUERY_SERIES_MAX;
        }
        true
    }

    /// What each pattern holds on each node.
    fn nodes(&self, scene: &Scene<'_>, running: &FxHashMap<SeriesKey, Vec<RunNow>>) -> FxHashMap<Name, NodeLoad> {
        let end = scene.window.end;
        let mut nodes: FxHashMap<Name, NodeLoad> = FxHashMap::default();
        for (key, series) in &self.series {
            for (node, cell) in series.cells(end, HELD_SPAN_MS) {
                let held = nodes.entry(node).or_default().patterns.entry(key.fingerprint).or_default();
                held.now_bytes += per_minute(cell.held_byte_ms);
            }
            for (node, cell) in series.cells(end, RECENT_MS) {
                let held = nodes.entry(node).or_default().patterns.entry(key.fingerprint).or_default();
                held.memory_refused += cell.memory_refused;
                held.ended += cell.ended;
                held.steady_bytes += bytes_held(cell.whole_byte_ms, RECENT_MS);
            }
        }
        for (key, runs) in running {
            for run in runs {
                let held = nodes.entry(run.node).or_default().patterns.entry(key.fingerprint).or_default();
                #[allow(clippy::cast_precision_loss)]
                let bytes = run.memory_bytes as f64;
                held.running_bytes += bytes;
            }
        }
        for load in nodes.values_mut() {
            for held in load.patterns.values_mut() {
                held.now_bytes = held.now_bytes.max(held.running_bytes);
                // A few runs, one of them long, are no pace.
                let steady_bytes = if held.ended >= STEADY_RUNS_MIN { held.steady_bytes } else { 0.0 };
                held.steady_bytes = steady_bytes.max(held.now_bytes);
            }
            // Whole bytes: their sum does not depend on the order.
            load.held_bytes = load.patterns.values().map(|held| held.now_bytes.floor()).sum();
        }
        read_signals(&mut nodes, scene);
        nodes
    }

    fn suspicion(&self, key: SeriesKey, series: &QuerySeries, runs: &[RunNow], end: Timestamp) -> Option<Suspicion> {
        if let Some(excess) = series.excess(end, self.spec.memory_ratio_min, !self.spec.node_in_danger, runs) {
            return Some(Suspicion::Memory(excess));
        }
        if !self.spec.node_in_danger {
            return None;
        }
        let log_ms = self.first.map_or(0, |first| series.first.since(first));
        if log_ms >= LOG_MS_MIN && end.since(series.first) <= NEW_MS {
            let mut memory = LogHistogram::default();
            for (_, cell) in series.cells(end, NEW_MS) {
                memory.merge(&cell.memory);
                memory.merge(&cell.memory_failed);
            }
            runs.iter().for_each(|run| memory.add(run.memory_bytes));
            let cohort = self.cohorts.get(&key.origin).and_then(LogHistogram::median).unwrap_or(0.0);
            return Some(Suspicion::New(memory.median()?, cohort));
        }
        let (normal, normal_runs) = series.normal_load()?;
        let (mut now, mut ended) = (0.0, 0);
        for (_, cell) in series.cells(end, HELD_SPAN_MS) {
            now += per_minute(cell.held_byte_ms).floor();
            ended += cell.ended;
        }
        #[allow(clippy::cast_precision_loss)]
        let (running, count) =
            (runs.iter().map(|run| run.memory_bytes as f64).sum::<f64>(), (ended + runs.len() as u64) as f64);
        // One great run is no flood: there must be more of them, too.
        let many = count >= FLOOD_RUNS_MIN && count >= FLOOD_RATIO_MIN * normal_runs;
        let now = running.max(now);
        (many && now >= FLOOD_RATIO_MIN * normal).then_some(Suspicion::Flood(now, normal))
    }

    /// The node that is most endangered by this suspect, if any is.
    fn endangered<'a>(
        &self,
        key: SeriesKey,
        suspicion: Suspicion,
        nodes: &'a [(Name, NodeLoad)],
        together: &FxHashMap<(Name, Name), Together>,
    ) -> Option<(Name, &'a NodeLoad, Danger)> {
        let on_node = |(name, load): &'a (Name, NodeLoad)| {
            let held = load.patterns.get(&key.fingerprint)?;
            let danger = load.danger(key.fingerprint, self.spec.node_share_max)?;
            let (share_min, beyond) = self.weight(suspicion, held);
            let stands = self.standing.get(&key.origin).map(|known| *known == key);
            let alike = together.get(&(key.origin, *name));
            let alike = alike.filter(|t| stands.unwrap_or(t.greatest_bytes <= beyond));
            let weighs = load.share(alike.map_or(beyond, |t| t.bytes.max(beyond))) >= share_min;
            let blamed = match suspicion {
                Suspicion::Memory(excess) => blamed_for_memory(&excess, danger, held, weighs),
                // Of what is only new, or only more, the node must really be in trouble.
                Suspicion::New(..) | Suspicion::Flood(..) => {
                    weighs && !matches!(danger, Danger::Projected(_) | Danger::Killed { for_memory: false, .. })
                }
            };
            blamed.then_some((load.share(beyond), (*name, load, danger)))
        };
        nodes.iter().filter_map(on_node).max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, found)| found)
    }

    /// What the patterns of an origin that take too much hold together: a release may make all of them heavier, none of
    /// them enough alone. Then the greatest stands for all.
    fn together(
        &self,
        suspects: &[(SeriesKey, Suspicion)],
        nodes: &[(Name, NodeLoad)],
    ) -> FxHashMap<(Name, Name), Together> {
        let mut together: FxHashMap<(Name, Name), Together> = FxHashMap::default();
        for (key, suspicion) in suspects.iter().filter(|(_, s)| matches!(s, Suspicion::Memory(e) if e.sure)) {
            for (name, load) in nodes {
                let Some(held) = load.patterns.get(&key.fingerprint) else { continue };
                let beyond = self.weight(*suspicion, held).1.floor();
                let sum = together.entry((key.origin, *name)).or_default();
                sum.bytes += beyond;
                sum.greatest_bytes = sum.greatest_bytes.max(beyond);
            }
        }
        together
    }

    /// Least share of the node, and the bytes that count: those beyond what is normal.
    fn weight(&self, suspicion: Suspicion, held: &Held) -> (f64, f64) {
        let now = held.now_bytes.max(held.steady_bytes);
        match suspicion {
            Suspicion::Memory(excess) => {
                let beyond = now * (1.0 - excess.normal_bytes / excess.memory_bytes);
                (self.spec.node_excess_share_min, beyond)
            }
            Suspicion::New(..) => (NEW_SHARE_MIN, now),
            Suspicion::Flood(all, normal) => (FLOOD_SHARE_MIN, now * (1.0 - normal / all)),
        }
    }

    /// Patterns that are not as they were.
    fn suspects(&self, end: Timestamp, running: &FxHashMap<SeriesKey, Vec<RunNow>>) -> Vec<(SeriesKey, Suspicion)> {
        let of_series = |(key, series): (&SeriesKey, &QuerySeries)| {
            let runs = running.get(key).map_or(&[][..], Vec::as_slice);
            let silent = runs.is_empty() && series.cells(end, NEW_MS).next().is_none();
            if silent { None } else { Some((*key, self.suspicion(*key, series, runs, end)?)) }
        };
        self.series.iter().filter_map(of_series).collect()
    }

    /// Who is to blame of the suspects.
    fn culprits<'a>(
        &self,
        end: Timestamp,
        suspects: &[(SeriesKey, Suspicion)],
        nodes: &'a [(Name, NodeLoad)],
    ) -> Vec<Culprit<'a>> {
        let together = self.together(suspects, nodes);
        let mut culprits = Vec::new();
        for (key, suspicion) in suspects {
            let node = self.endangered(*key, *suspicion, nodes, &together);
            let sure = matches!(suspicion, Suspicion::Memory(excess) if excess.sure);
            let holds = if self.spec.node_in_danger { node.is_some() } else { sure };
            if holds {
                let rows = self.series.get(key).and_then(|series| series.rows(end));
                culprits.push(Culprit { key: *key, suspicion: *suspicion, node, since: end, rows });
            }
        }
        self.blame(culprits)
    }

    /// Remembers who was not as usual: what these take is not learnt from.
    fn mark(&mut self, suspects: &[(SeriesKey, Suspicion)], culprits: &[Culprit<'_>], scene: &Scene<'_>) {
        let end = scene.window.end;
        self.standing.retain(|_, key| suspects.iter().any(|(known, _)| known == key));
        // Culprits are in no order yet: the greatest first, then by name.
        let mut greatest: Vec<&Culprit<'_>> = culprits.iter().collect();
        greatest.sort_by(|a, b| {
            let name = |c: &Culprit<'_>| scene.names.text(c.key.fingerprint);
            b.weight().total_cmp(&a.weight()).then_with(|| name(a).cmp(name(b)))
        });
        for culprit in greatest.into_iter().filter(|c| matches!(c.suspicion, Suspicion::Memory(_))) {
            self.standing.entry(culprit.key.origin).or_insert(culprit.key);
        }
        for (key, suspicion) in suspects {
            let Some(series) = self.series.get_mut(key) else { continue };
            let culprit = culprits.iter().find(|culprit| culprit.key == *key);
            match suspicion {
                Suspicion::Memory(excess) if excess.sure || culprit.is_some() => {
                    series.mark_abnormal(culprit.map_or(scene.window.start, |culprit| culprit.since), end);
                }
                Suspicion::Memory(_) => series.mark_suspected(end),
                _ => culprit.into_iter().for_each(|culprit| series.mark_abnormal(culprit.since, end)),
            }
        }
    }

    fn onset(&self, culprit: &Culprit<'_>, scene: &Scene<'_>) -> Timestamp {
        let Some(series) = self.series.get(&culprit.key) else { return scene.window.start };
        let onset = match culprit.suspicion {
            Suspicion::Memory(e) => {
                series.onset(scene.window.end, e.version, self.spec.memory_ratio_min * e.normal_bytes)
            }
            Suspicion::New(..) => series.first,
            Suspicion::Flood(..) => scene.window.start,
        };
        onset.min(scene.window.start)
    }

    /// A flood of ordinary runs is to blame only where no pattern took more than its normal memory: those that wait for
    /// memory pile up. Of several floods the greatest is.
    fn blame<'a>(&self, mut culprits: Vec<Culprit<'a>>) -> Vec<Culprit<'a>> {
        let flood = |c: &Culprit<'_>| match c.suspicion {
            Suspicion::Flood(now, normal) => Some(now - normal),
            _ => None,
        };
        let greatest = culprits.iter().filter_map(flood).fold(0.0, f64::max);
        let any_other = culprits.iter().any(|c| flood(c).is_none());
        culprits.retain(|c| flood(c).is_none_or(|beyond| !any_other && beyond >= greatest));
        culprits
    }
}

fn blamed_for_memory(excess: &Excess, danger: Danger, held: &Held, weighs: bool) -> bool {
    let clear = excess.sure || excess.memory_bytes >= CLEAR_RATIO_MIN * excess.normal_bytes;
    let refused = held.ended >= 3 && held.refused_share() >= 0.5;
    match danger {
        // A node that was just killed has lost what ran on it: its share says nothing. But a restart may be a deploy.
        Danger::Killed { for_memory, .. } => for_memory || excess.sure || weighs,
        // A node that is always full is always in danger: then chance must be refused, or the excess be great.
        Danger::Used(_) | Danger::Projected(_) => clear && (weighs || refused),
        Danger::Victims(_) => weighs || refused,
    }
}

fn per_minute(byte_ms: u128) -> f64 {
    bytes_held(byte_ms, HELD_SPAN_MS)
}

/// Whole bytes on average over a span: their sums do not depend on the order.
#[allow(clippy::cast_precision_loss)]
fn bytes_held(byte_ms: u128, span_ms: DurationMs) -> f64 {
    (byte_ms / u128::from(span_ms.unsigned_abs().max(1))) as f64
}

impl Detector for QueryBlowup {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        self.push(scene);
        if self.series.is_empty() {
            return Vec::new();
        }
        let end = scene.window.end;
        let mut running: FxHashMap<SeriesKey, Vec<RunNow>> = FxHashMap::default();
        for (key, runs) in scene.running.iter() {
            let series = SeriesKey { fingerprint: key.fingerprint, origin: key.origin };
            let now = |memory_bytes| RunNow { version: key.version, node: key.node, memory_bytes };
            running.entry(series).or_default().extend(runs.iter().map(|run| now(run.memory_bytes)));
        }
        let mut nodes: Vec<(Name, NodeLoad)> = self.nodes(scene, &running).into_iter().collect();
        nodes.sort_unstable_by(|(a, _), (b, _)| scene.names.text(*a).cmp(scene.names.text(*b)));
        let suspects = self.suspects(end, &running);
        let mut culprits = self.culprits(end, &suspects, &nodes);
        for culprit in &mut culprits {
            let onset = self.onset(culprit, scene);
            culprit.since = self.series.get(&culprit.key).map_or(onset, |series| series.abnormal_since(onset, end));
        }
        self.mark(&suspects, &culprits, scene);
        let text = |name: Name| scene.names.text(name);
        culprits.sort_by_key(|c| (text(c.key.fingerprint), text(c.key.origin)));
        let findings =
            culprits.chunk_by(|a, b| a.key.fingerprint == b.key.fingerprint).map(|same| finding(same, scene)).collect();
        self.series.values_mut().for_each(|series| series.learn(end));
        findings
    }

    fn overflowed(&self) -> u64 {
        self.overflowed
    }
}
