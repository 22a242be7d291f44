//! Events on their way out: changes take their place in time, nothing is written while warming up.

use std::collections::VecDeque;

use crate::model::{Attributes, Change, Event, Timestamp};

use super::scenario::Scenario;
use super::schedule::Micros;

/// Events that were made and not yet taken; at most what one happening makes.
#[derive(Debug)]
pub(super) struct Output {
    start: Timestamp,
    changes: VecDeque<Change>,
    ready: VecDeque<Event>,
}

impl Output {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut changes: Vec<Change> = scenario
            .changes
            .iter()
            .map(|spec| Change {
                timestamp: spec.at,
                kind: spec.kind,
                service: spec.service.clone(),
                version: spec.version.clone(),
                title: spec.title.clone(),
                url: None,
                attributes: Attributes::default(),
            })
            .collect();
        changes.sort_by_key(|change| change.timestamp);
        Self { start: scenario.start, changes: changes.into(), ready: VecDeque::new() }
    }

    /// Event time of a moment.
    pub(super) fn timestamp(&self, now_us: Micros) -> Timestamp {
        self.start.plus(now_us.div_euclid(1_000))
    }

    /// Whether anything made at `now_us` is written.
    pub(super) fn is_on(now_us: Micros) -> bool {
        now_us >= 0
    }

    /// Adds an event; the caller's clock never goes back, so neither does the output.
    pub(super) fn push(&mut self, event: Event) {
        self.push_changes(event.timestamp());
        self.ready.push_back(event);
    }

    /// Adds the changes up to a moment.
    pub(super) fn push_changes(&mut self, until: Timestamp) {
        while let Some(change) = self.changes.pop_front_if(|change| change.timestamp <= until) {
            self.ready.push_back(Event::Change(change));
        }
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.ready.len()
    }
}
