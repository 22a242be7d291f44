//! Series made of counts: sums by key over a sliding span, in at most a dozen slots.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::ThresholdSpec;
use super::key::{Key, of_cell};
use super::series::Family;
use super::sums::{QuerySums, Sums};
use crate::detect::Scene;
use crate::flow::{Name, Names};
use crate::model::{Dimension, DurationMs, Timestamp};

/// Keys that one rule follows. Of more, those with the most events come first; what is left out is counted.
pub(super) const KEYS_MAX: usize = 5_000;
/// Parts of a span that are forgotten one by one: a minute in windows of five seconds is exact.
const SLOTS_MAX: DurationMs = 12;

/// Sums of all keys over the span of a rule.
#[derive(Debug)]
pub(super) struct SumsMeter {
    slots: VecDeque<Slot>,
    slot_ms: DurationMs,
    overflowed: u64,
}

/// A part of the span.
#[derive(Debug)]
struct Slot {
    /// Start of its first window.
    start: Timestamp,
    sums: FxHashMap<Key, Sums>,
}

impl SumsMeter {
    pub fn new(spec: &ThresholdSpec) -> Self {
        let slot_ms = (spec.over_ms() / SLOTS_MAX).max(1);
        Self { slots: VecDeque::new(), slot_ms, overflowed: 0 }
    }

    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Takes a window in and gives the values of all keys with enough to tell them from.
    pub fn observe(&mut self, spec: &ThresholdSpec, scene: &Scene<'_>) -> Vec<(Key, f64)> {
        let (start, end) = (scene.window.start, scene.window.end);
        while self.slots.front().is_some_and(|slot| end.since(slot.start) > spec.over_ms()) {
            self.slots.pop_front();
        }
        let followed: FxHashSet<Key> = self.slots.iter().flat_map(|slot| slot.sums.keys().copied()).collect();
        let fresh = self.bounded(counted(spec, scene, &followed), &followed, scene.names);
        match self.slots.back_mut() {
            Some(slot) if slot.start.window_start(self.slot_ms) == start.window_start(self.slot_ms) => {
                merge_into(&mut slot.sums, &fresh);
            }
            _ => self.slots.push_back(Slot { start, sums: fresh }),
        }
        self.values(spec, end)
    }

    fn values(&self, spec: &ThresholdSpec, end: Timestamp) -> Vec<(Key, f64)> {
        let start = self.slots.front().map_or(end, |slot| slot.start);
        #[allow(clippy::cast_precision_loss)] // at most an hour
        let seconds = end.since(start).max(1) as f64 / 1_000.0;
        let mut whole: FxHashMap<Key, Sums> = FxHashMap::default();
        self.slots.iter().for_each(|slot| merge_into(&mut whole, &slot.sums));
        let least = spec.least_samples();
        let enough = whole.into_iter().filter(|(_, sums)| sums.samples() >= least);
        enough.filter_map(|(key, sums)| Some((key, sums.value(spec.series, seconds)?))).collect()
    }

    /// Leaves out new keys that there is no room for: which, must not depend on the order of a hash map.
    fn bounded(
        &mut self,
        mut sums: FxHashMap<Key, Sums>,
        followed: &FxHashSet<Key>,
        names: &Names,
    ) -> FxHashMap<Key, Sums> {
        let room = KEYS_MAX.saturating_sub(followed.len());
        let mut new: Vec<(Key, u64)> =
            sums.iter().filter(|(key, _)| !followed.contains(*key)).map(|(key, sums)| (*key, sums.samples())).collect();
        if new.len() > room {
            new.sort_by(|(a, a_samples), (b, b_samples)| {
                b_samples.cmp(a_samples).then_with(|| a.texts(names).cmp(&b.texts(names)))
            });
            for (key, _) in new.drain(room..) {
                sums.remove(&key);
                self.overflowed += 1;
            }
        }
        sums
    }
}

fn merge_into(whole: &mut FxHashMap<Key, Sums>, part: &FxHashMap<Key, Sums>) {
    for (key, sums) in part {
        whole.entry(*key).and_modify(|sum| sum.merge(sums)).or_insert_with(|| sums.clone());
    }
}

/// What the window has for each key.
fn counted(spec: &ThresholdSpec, scene: &Scene<'_>, followed: &FxHashSet<Key>) -> FxHashMap<Key, Sums> {
    let is_asked_for = |name: &dyn Fn(Dimension) -> Name| {
        spec.only.0.iter().all(|(dimension, texts)| texts.name(scene.names.text(name(*dimension))))
    };
    let mut sums: FxHashMap<Key, Sums> = FxHashMap::default();
    let mut add = |name: &dyn Fn(Dimension) -> Name, part: Sums| {
        if is_asked_for(name) {
            let key = Key::of(&spec.by, name);
            sums.entry(key).and_modify(|sum| sum.merge(&part)).or_insert(part);
        }
    };
    match spec.series.family() {
        Family::Latencies => scene.window.latencies.iter().for_each(|((service, route), latencies)| {
            let name = |dimension| if dimension == Dimension::Service { *service } else { *route };
            add(&name, Sums::Latencies(latencies.clone()));
        }),
        Family::Queries => scene.window.queries.cells.iter().for_each(|((key, _), cell)| {
            let mut sums = QuerySums::default();
            sums.add(cell);
            add(&|dimension| key.name(dimension), Sums::Queries(Box::new(sums)));
        }),
        Family::Late => {
            let late = scene.window.late;
            let events = late.events + scene.window.total.requests;
            let part = Sums::Late { late: late.events, events, behind_ms_sum: late.behind_ms_sum };
            add(&|_| Name::ABSENT, part);
        }
        Family::Calls => return calls(spec, scene, followed),
        Family::Requests | Family::Signals => scene.window.cells.iter().for_each(|(key, cell)| {
            add(&|dimension| of_cell(key, dimension), Sums::Requests(*cell));
        }),
    }
    sums
}

/// Calls by who makes them, beside the requests that these serve: also of those that make none now and did before.
fn calls(spec: &ThresholdSpec, scene: &Scene<'_>, followed: &FxHashSet<Key>) -> FxHashMap<Key, Sums> {
    let mut served: FxHashMap<Name, u64> = FxHashMap::default();
    for (hop, sums) in &scene.window.hops {
        *served.entry(hop.service).or_default() += sums.cell.requests;
    }
    let served_by = |caller: Option<Name>| caller.and_then(|caller| served.get(&caller)).copied().unwrap_or(0);
    let mut all: FxHashMap<Key, Sums> = followed
        .iter()
        .map(|key| (*key, served_by(key.get(&spec.by, Dimension::Caller))))
        .filter(|(_, served)| *served > 0)
        .map(|(key, served)| (key, Sums::Calls { calls: 0, served }))
        .collect();
    for (hop, sums) in scene.window.hops.iter().filter(|(hop, _)| !hop.caller.is_absent()) {
        let name = |dimension| if dimension == Dimension::Caller { hop.caller } else { hop.service };
        let asked_for = spec.only.0.iter().all(|(dimension, texts)| texts.name(scene.names.text(name(*dimension))));
        if !asked_for {
            continue;
        }
        let fresh = || Sums::Calls { calls: 0, served: served_by(Some(hop.caller)) };
        let own = all.entry(Key::of(&spec.by, name)).or_insert_with(fresh);
        own.merge(&Sums::Calls { calls: sums.cell.requests, served: 0 });
    }
    all
}
