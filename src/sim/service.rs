//! A service: containers that share the load in turn, each with workers, a bounded queue and a memory limit.
//!
//! Nothing here decides a latency: requests take their service time, and everything else is waiting.

use std::collections::VecDeque;

use crate::model::Text;

use super::expiring::Expiring;
use super::plan::{bytes, micros};
use super::scenario::ServiceSpec;
use super::schedule::{Micros, SECOND_US};
use super::slab::Handle;

/// Containers were started half a day before: a fresh start would look like part of what happens.
const UPTIME_AT_START_US: Micros = 12 * 3_600 * SECOND_US;

/// A container of a service.
#[derive(Debug)]
pub(super) struct Container {
    pub host: Text,
    pub source: Text,
    /// When it started; `None` while it is restarting.
    pub up_since_us: Option<Micros>,
    pub restarts_total: u64,
    pub oom_kills_total: u64,
    queue: VecDeque<Handle>,
    working: Vec<Handle>,
    connections: Expiring,
}

/// What became of a request that reached the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// A worker took it.
    Started { container: usize },
    /// It waits.
    Queued { container: usize },
    /// The container's queue is full.
    QueueFull { container: usize },
    /// No container is up.
    NoContainer,
}

/// State of a service.
#[derive(Debug)]
pub(super) struct Service {
    pub spec: ServiceSpec,
    pub containers: Vec<Container>,
    turn: usize,
}

impl Service {
    pub(super) fn new(spec: &ServiceSpec, start_us: Micros) -> Self {
        let container = |number: u32| Container {
            host: Text::from(format!("{}-{number}", spec.name)),
            source: Text::from(format!("container/{}-{number}", spec.name)),
            up_since_us: Some(start_us - UPTIME_AT_START_US),
            restarts_total: 0,
            oom_kills_total: 0,
            queue: VecDeque::new(),
            working: Vec::new(),
            connections: Expiring::new(micros(spec.memory.connection_life)),
        };
        Self { spec: spec.clone(), containers: (1..=spec.containers).map(container).collect(), turn: 0 }
    }

    /// Gives a request to the next container that is up.
    pub(super) fn admit(&mut self, now_us: Micros, attempt: Handle) -> Admission {
        let count = self.containers.len();
        let turn = self.turn;
        let mut candidates = (0..count).map(|i| (turn + i) % count);
        let Some(container) = candidates.find(|i| self.containers[*i].up_since_us.is_some()) else {
            return Admission::NoContainer;
        };
        self.turn = (container + 1) % count;
        let (workers, queue_max) = (self.spec.workers as usize, self.spec.queue_max as usize);
        let state = &mut self.containers[container];
        state.connections.add(now_us, 1);
        if state.working.len() < workers {
            state.working.push(attempt);
            Admission::Started { container }
        } else if state.queue.len() < queue_max {
            state.queue.push_back(attempt);
            Admission::Queued { container }
        } else {
            Admission::QueueFull { container }
        }
    }

    /// A worker is done; the request it takes next, if one waits.
    pub(super) fn finish(&mut self, container: usize, attempt: Handle) -> Option<Handle> {
        let state = &mut self.containers[container];
        state.working.retain(|other| *other != attempt);
        let next = state.queue.pop_front()?;
        state.working.push(next);
        Some(next)
    }

    /// Memory of a container that is up.
    pub(super) fn memory_bytes(&mut self, container: usize, now_us: Micros) -> u64 {
        let memory = self.spec.memory;
        let state = &mut self.containers[container];
        let requests = (state.queue.len() + state.working.len()) as u64;
        let connections = state.connections.total(now_us);
        bytes(memory.idle)
            .saturating_add(requests.saturating_mul(bytes(memory.per_request)))
            .saturating_add(connections.saturating_mul(bytes(memory.per_connection)))
    }

    /// Kills a container that is above its memory limit. Gives the requests that die with it.
    pub(super) fn kill_if_out_of_memory(&mut self, container: usize, now_us: Micros) -> Option<Vec<Handle>> {
        if self.memory_bytes(container, now_us) <= bytes(self.spec.memory.limit) {
            return None;
        }
        let state = &mut self.containers[container];
        state.up_since_us = None;
        state.oom_kills_total += 1;
        state.restarts_total += 1;
        state.connections.clear();
        let mut victims = std::mem::take(&mut state.working);
        victims.extend(state.queue.drain(..));
        Some(victims)
    }
}
