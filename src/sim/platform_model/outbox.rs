//! Events on their way out: in the order they reach the log, which is not always that of their timestamps.

use std::collections::{BTreeMap, VecDeque};

use crate::model::{Attributes, Change, Event, EventKind};
use crate::sim::plan::micros;
use crate::sim::random::{Concern, Stream};
use crate::sim::scenario::ChangeSpec;
use crate::sim::schedule::Micros;

use super::spec::{DisturbanceSpec, Disturbed, PlatformScenario};

/// Events that were made and have not reached the log yet. A request reaches it when it ends, so there are at most as many
/// as end within the longest timeout, and those that a disturbance delays.
#[derive(Debug)]
pub(super) struct Outbox {
    start_ms: i64,
    disturbances: Vec<DisturbanceSpec>,
    stream: Stream,
    waiting: BTreeMap<(Micros, u64), Event>,
    sequence: u64,
    ready: VecDeque<Event>,
}

impl Outbox {
    /// Changes before the start come first.
    pub(super) fn new(scenario: &PlatformScenario, seed: u64) -> Self {
        let mut outbox = Self {
            start_ms: scenario.start.as_millis(),
            disturbances: scenario.disturbances.clone(),
            stream: Stream::new(seed, Concern::Delivery),
            waiting: BTreeMap::new(),
            sequence: 0,
            ready: VecDeque::new(),
        };
        let mut changes: Vec<&ChangeSpec> = scenario.changes.iter().collect();
        changes.sort_by_key(|change| change.at);
        for spec in changes {
            let reached_us = spec.at.as_millis().saturating_sub(outbox.start_ms).saturating_mul(1_000);
            outbox.put(reached_us, Event::Change(change(spec)));
        }
        outbox
    }

    /// An event that reaches the log at `reached_us`, unless a disturbance has it.
    pub(super) fn push(&mut self, reached_us: Micros, event: Event) {
        let kind = event.kind();
        let active = self
            .disturbances
            .iter()
            .find(|d| (micros(d.at)..micros(d.at) + micros(d.lasts)).contains(&reached_us) && touches(d.what, kind));
        let Some(disturbance) = active else { return self.put(reached_us, event) };
        if !self.stream.chance(disturbance.share) {
            self.put(reached_us, event);
        } else if let Some(delay) = disturbance.delay {
            self.put(reached_us + micros(delay), event);
        }
    }

    fn put(&mut self, reached_us: Micros, event: Event) {
        self.sequence += 1;
        self.waiting.insert((reached_us, self.sequence), event);
    }

    /// Everything that has reached the log before `until_us` is ready to be taken.
    pub(super) fn release(&mut self, until_us: Micros) {
        while let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 < until_us) {
            self.ready.push_back(entry.remove());
        }
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// How many events it holds.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.ready.len()
    }
}

fn touches(what: Disturbed, kind: EventKind) -> bool {
    match what {
        Disturbed::Requests => kind == EventKind::Request,
        Disturbed::Signals => kind == EventKind::Signal,
        Disturbed::Queries => kind == EventKind::Query,
        Disturbed::All => kind != EventKind::Change,
    }
}

fn change(spec: &ChangeSpec) -> Change {
    Change {
        timestamp: spec.at,
        kind: spec.kind,
        service: spec.service.clone(),
        version: spec.version.clone(),
        title: spec.title.clone(),
        url: None,
        attributes: Attributes::default(),
    }
}
