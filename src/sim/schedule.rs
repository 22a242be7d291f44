//! What happens next: a heap of future happenings in (time, sequence) order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::slab::Handle;

/// Simulated time in microseconds since the scenario's start; negative while warming up.
pub(super) type Micros = i64;

pub(super) const SECOND_US: Micros = 1_000_000;

/// Something that happens at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Happening {
    /// Customers of a cohort may begin workflows.
    Arrival { cohort: usize },
    /// A subscription's workers begin one workflow.
    Begin { subscription: usize },
    /// A client sends the next attempt of a workflow's current request.
    Send { workflow: Handle },
    /// A worker is done with an attempt.
    WorkDone { attempt: Handle },
    /// The gateway no longer waits for an attempt.
    Timeout { attempt: Handle },
    /// The gateway has found no container with room for an attempt.
    Refuse { attempt: Handle },
    /// A killed container is ready again.
    ContainerReady { service: usize, container: usize },
    /// A subscription installs another version of its client.
    Switch { subscription: usize, version: usize },
    /// Gauges and counters are read.
    ReadSignals,
}

/// Future happenings. Those of one moment happen in the order they were scheduled, so a run has one order only.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    heap: BinaryHeap<Reverse<(Micros, u64, Happening)>>,
    sequence: u64,
}

impl Schedule {
    pub(super) fn at(&mut self, time_us: Micros, happening: Happening) {
        self.sequence += 1;
        self.heap.push(Reverse((time_us, self.sequence, happening)));
    }

    pub(super) fn next(&mut self) -> Option<(Micros, Happening)> {
        self.heap.pop().map(|Reverse((time_us, _, happening))| (time_us, happening))
    }

    /// How many happenings are scheduled.
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}
