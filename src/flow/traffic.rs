//! The last hours of traffic in steps, for people who look on: how much, how well, and who makes most of it.
//!
//! Kept only where it is asked for: detectors do not read it, so a replay does without. The cost is by window, not by event.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::window::{Cell, CellKey, ClosedWindow};
use super::{Name, Names};
use crate::model::{Dimension, DurationMs, Text, Timestamp};

/// Length of a step: six default windows, and a curve of two hours has 240 points.
pub const STEP_MS: DurationMs = 30_000;
/// Steps that are kept: two hours, and the one that is filling. The oldest is forgotten.
pub const STEPS_MAX: usize = 241;
/// Names of a dimension that a step tells apart when it is over: what a person looks at.
pub const TOPS_MAX: usize = 10;
/// Names of a dimension that are counted while a step fills. Further ones are in its totals only.
const NAMES_MAX: usize = 100_000;

/// The dimensions of requests. Of those who ask, requests at the edge are counted; of the inside, all.
const DIMENSIONS: [Dimension; 6] = Dimension::OF_REQUESTS;

/// Counts of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrafficCounts {
    /// Requests answered.
    pub requests: u64,
    /// Of these, 5xx or 429.
    pub failures: u64,
    /// Of these, not the first attempt of a logical request, as told or as inferred.
    pub resends: u64,
}

impl TrafficCounts {
    fn add(&mut self, cell: &Cell) {
        self.requests += cell.requests;
        self.failures += cell.failures;
        self.resends += cell.resends;
    }
}

/// One name's part of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficPart {
    /// Of what kind the name is.
    pub dimension: Dimension,
    /// The name.
    pub name: Text,
    /// Its requests.
    pub counts: TrafficCounts,
}

/// A step of traffic.
#[derive(Debug, Clone, PartialEq)]
pub struct TrafficStep {
    /// Its first moment, a multiple of [`STEP_MS`].
    pub start: Timestamp,
    /// What it covers so far, in milliseconds: less than [`STEP_MS`] while it fills.
    pub span_ms: DurationMs,
    /// Requests at the edge.
    pub edge: TrafficCounts,
    /// Calls between services.
    pub calls: u64,
    /// Attempts for each logical request at the edge.
    pub attempts_per_request: f64,
    /// Who makes most of it: of each dimension at most [`TOPS_MAX`] names, the largest first.
    pub parts: Vec<TrafficPart>,
}

impl TrafficStep {
    /// A count as a rate a second.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
    pub fn per_second(&self, count: u64) -> f64 {
        count as f64 * 1_000.0 / self.span_ms.max(1) as f64
    }

    /// The counts of a name; absent where it was not among the largest.
    #[must_use]
    pub fn part(&self, dimension: Dimension, name: &str) -> Option<TrafficCounts> {
        self.parts.iter().find(|part| part.dimension == dimension && part.name == name).map(|part| part.counts)
    }

    /// The largest of a dimension.
    pub fn tops(&self, dimension: Dimension) -> impl Iterator<Item = &TrafficPart> {
        self.parts.iter().filter(move |part| part.dimension == dimension)
    }
}

/// A step that is filling.
#[derive(Debug, Default)]
struct Filling {
    start: Timestamp,
    span_ms: DurationMs,
    edge: Cell,
    calls: u64,
    names: [FxHashMap<Name, TrafficCounts>; DIMENSIONS.len()],
}

impl Filling {
    fn new(start: Timestamp) -> Self {
        Self { start, ..Self::default() }
    }

    fn add(&mut self, window: &ClosedWindow) {
        self.span_ms = window.end.since(self.start);
        self.edge.add(&window.edge_total);
        self.calls += window.total.requests - window.edge_total.requests;
        for (key, cell) in &window.cells {
            for (names, dimension) in self.names.iter_mut().zip(DIMENSIONS) {
                let Some(name) = name_of(key, dimension) else { continue };
                if names.len() < NAMES_MAX || names.contains_key(&name) {
                    names.entry(name).or_default().add(cell);
                }
            }
        }
    }

    /// As it is after `span_ms`.
    fn step(&self, span_ms: DurationMs, names: &Names) -> TrafficStep {
        let mut parts = Vec::new();
        for (counts, dimension) in self.names.iter().zip(DIMENSIONS) {
            let mut largest: Vec<(&Name, &TrafficCounts)> = counts.iter().collect();
            let order = |(name, counts): &(&Name, &TrafficCounts)| (Reverse(counts.requests), names.text(**name));
            if largest.len() > TOPS_MAX {
                largest.select_nth_unstable_by(TOPS_MAX, |a, b| order(a).cmp(&order(b)));
                largest.truncate(TOPS_MAX);
            }
            largest.sort_by(|a, b| order(a).cmp(&order(b)));
            let part = |(name, counts): (&Name, &TrafficCounts)| TrafficPart {
                dimension,
                name: names.text(*name).clone(),
                counts: *counts,
            };
            parts.extend(largest.into_iter().map(part));
        }
        let mut edge = TrafficCounts::default();
        edge.add(&self.edge);
        let attempts_per_request = self.edge.attempts_per_request();
        let (start, calls) = (self.start, self.calls);
        TrafficStep { start, span_ms, edge, calls, attempts_per_request, parts }
    }
}

/// What a request is counted under; absent where it is not counted.
fn name_of(key: &CellKey, dimension: Dimension) -> Option<Name> {
    let at_edge = key.caller.is_absent();
    let name = match dimension {
        Dimension::Subscription if at_edge => key.subscription,
        Dimension::Client if at_edge => key.client,
        Dimension::ClientVersion if at_edge => key.client_version,
        Dimension::Service => key.service,
        Dimension::Caller => key.caller,
        Dimension::Route => key.route,
        _ => return None,
    };
    (!name.is_absent()).then_some(name)
}

/// Steps of traffic, oldest first. Cloning copies pointers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrafficSteps(Arc<[Arc<TrafficStep>]>);

impl TrafficSteps {
    /// Oldest first; the last one may still be filling.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &TrafficStep> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// The newest step that is over; the one that fills where there is no other.
    #[must_use]
    pub fn newest(&self) -> Option<&TrafficStep> {
        let over = self.iter().rev().take(2).find(|step| step.span_ms >= STEP_MS);
        over.or_else(|| self.iter().next_back())
    }
}

/// The ring.
#[derive(Debug, Default)]
pub struct Traffic {
    over: VecDeque<Arc<TrafficStep>>,
    filling: Option<Filling>,
    shown: TrafficSteps,
    is_shown: bool,
}

impl Traffic {
    /// Takes in a closed window; windows come in order.
    pub fn push(&mut self, window: &ClosedWindow, names: &Names) {
        let start = window.start.window_start(STEP_MS);
        if let Some(before) = self.filling.take_if(|filling| filling.start != start) {
            // Windows without any event are left out: that it is over says that there were none.
            self.over.push_back(Arc::new(before.step(before.span_ms.max(STEP_MS), names)));
        }
        self.filling.get_or_insert_with(|| Filling::new(start)).add(window);
        while self.over.front().is_some_and(|oldest| {
            self.over.len() >= STEPS_MAX || start.since(oldest.start) > STEP_MS * (STEPS_MAX as DurationMs - 1)
        }) {
            self.over.pop_front();
        }
        self.is_shown = false;
    }

    /// What there is. Made anew only when a window was closed since.
    pub fn steps(&mut self, names: &Names) -> TrafficSteps {
        if !self.is_shown {
            let filling = self.filling.iter().map(|filling| Arc::new(filling.step(filling.span_ms, names)));
            self.shown = TrafficSteps(self.over.iter().cloned().chain(filling).collect());
            self.is_shown = true;
        }
        self.shown.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{LateCounts, QueryCounts};

    fn window(start_s: i64, cells: &[(CellKey, u64)]) -> ClosedWindow {
        let start = Timestamp::from_millis(start_s * 1_000);
        let cell = |requests| Cell { requests, failures: requests / 2, ..Cell::default() };
        let cells: Vec<(CellKey, Cell)> = cells.iter().map(|(key, requests)| (*key, cell(*requests))).collect();
        let (mut total, mut edge_total) = (Cell::default(), Cell::default());
        for (key, cell) in &cells {
            total.add(cell);
            if key.caller.is_absent() {
                edge_total.add(cell);
            }
        }
        ClosedWindow {
            start,
            end: start.plus(5_000),
            cells,
            total,
            edge_total,
            signals: Vec::new(),
            queries: QueryCounts::default(),
            late: LateCounts::default(),
            hops: Vec::new(),
            latencies: Vec::new(),
            call_latencies: Vec::new(),
            exemplars: Vec::new(),
        }
    }

    fn key(names: &mut Names, subscription: &str, caller: Option<&str>) -> CellKey {
        let caller = caller.map_or(Name::ABSENT, |caller| names.intern(caller));
        CellKey { subscription: names.intern(subscription), service: names.intern("api"), caller, ..CellKey::OTHER }
    }

    #[test]
    fn windows_become_steps_and_calls_are_told_apart() {
        let (mut traffic, mut names) = (Traffic::default(), Names::new(100));
        let (acme, call) = (key(&mut names, "acme", None), key(&mut names, "acme", Some("web")));
        for second in [0, 5, 30] {
            traffic.push(&window(second, &[(acme, 20), (call, 6)]), &names);
        }
        let steps = traffic.steps(&names);
        let told: Vec<_> = steps.iter().map(|step| (step.start.as_millis(), step.span_ms, step.calls)).collect();
        assert_eq!(told, [(0, 30_000, 12), (30_000, 5_000, 6)]);
        let first = steps.iter().next().unwrap();
        assert_eq!(
            (first.edge.requests, first.edge.failures, first.per_second(first.edge.requests)),
            (40, 20, 40.0 / 30.0)
        );
        assert_eq!(first.part(Dimension::Subscription, "acme").unwrap().requests, 40, "at the edge");
        assert_eq!(first.part(Dimension::Service, "api").unwrap().requests, 52, "calls as well");
        assert_eq!(first.part(Dimension::Caller, "web").unwrap().requests, 12);
        assert_eq!(first.part(Dimension::Subscription, "other"), None);
    }

    #[test]
    fn the_largest_are_named_largest_first() {
        let (mut traffic, mut names) = (Traffic::default(), Names::new(1_000));
        let cells: Vec<(CellKey, u64)> =
            (0..50).map(|i| (key(&mut names, &format!("s{i:02}"), None), 100 + i)).collect();
        traffic.push(&window(0, &cells), &names);
        let steps = traffic.steps(&names);
        let tops: Vec<&str> = steps.newest().unwrap().tops(Dimension::Subscription).map(|p| p.name.as_str()).collect();
        assert_eq!((tops.len(), tops[0], tops[9]), (TOPS_MAX, "s49", "s40"));
    }

    #[test]
    fn two_hours_are_kept_by_count_and_by_time() {
        let (mut traffic, mut names) = (Traffic::default(), Names::new(100));
        let acme = key(&mut names, "acme", None);
        for step in 0..400 {
            traffic.push(&window(step * 30, &[(acme, 1)]), &names);
        }
        let steps = traffic.steps(&names);
        assert_eq!((steps.iter().count(), steps.iter().next().unwrap().start.as_millis()), (STEPS_MAX, 159 * 30_000));
        traffic.push(&window(400 * 30 + 7_000, &[(acme, 1)]), &names);
        let steps = traffic.steps(&names);
        let span = steps.iter().next_back().unwrap().start.since(steps.iter().next().unwrap().start);
        assert!(span <= 7_200_000 && steps.iter().count() < STEPS_MAX, "{span}");
    }

    #[test]
    fn what_is_shown_is_made_anew_only_for_a_new_window() {
        let (mut traffic, mut names) = (Traffic::default(), Names::new(100));
        let acme = key(&mut names, "acme", None);
        traffic.push(&window(0, &[(acme, 1)]), &names);
        let (first, second) = (traffic.steps(&names), traffic.steps(&names));
        assert!(Arc::ptr_eq(&first.0, &second.0));
        traffic.push(&window(5, &[(acme, 1)]), &names);
        assert_eq!(traffic.steps(&names).newest().unwrap().edge.requests, 2);
    }
}
