//! Gauges and counters of the store, the containers and the agents.

use crate::model::{Attributes, Event, Signal, Text, Timestamp, metric};

use super::output::Output;
use super::plan::bytes;
use super::random::Stream;
use super::scenario::AgentSpec;
use super::schedule::{Micros, SECOND_US};
use super::service::Service;
use super::store::Store;

/// One reading of everything, in a fixed order.
pub(super) struct Reading<'a> {
    pub now_us: Micros,
    pub output: &'a mut Output,
}

impl Reading<'_> {
    fn push(&mut self, source: &Text, metric: &'static str, value: f64) {
        let timestamp: Timestamp = self.output.timestamp(self.now_us);
        self.output.push(Event::Signal(Signal {
            timestamp,
            source: source.clone(),
            metric: Text::const_new(metric),
            value,
            attributes: Attributes::default(),
        }));
    }

    pub(super) fn store(&mut self, store: &mut Store) {
        let used = store.memory_bytes(self.now_us);
        let source = store.spec.source.clone();
        self.push(&source, metric::MEMORY_USED_BYTES, used as f64);
        self.push(&source, metric::MEMORY_LIMIT_BYTES, bytes(store.spec.memory_limit) as f64);
        self.push(&source, metric::OPERATIONS_TOTAL, store.operations_total as f64);
    }

    /// A container that is restarting has no memory to read; its counters go on.
    pub(super) fn service(&mut self, service: &mut Service) {
        for index in 0..service.containers.len() {
            let used = service.memory_bytes(index, self.now_us);
            let container = &service.containers[index];
            let (source, up_since_us) = (container.source.clone(), container.up_since_us);
            let (restarts, kills) = (container.restarts_total, container.oom_kills_total);
            if let Some(up_since_us) = up_since_us {
                self.push(&source, metric::MEMORY_USED_BYTES, used as f64);
                let uptime_seconds = (self.now_us - up_since_us) / SECOND_US;
                self.push(&source, metric::UPTIME_SECONDS, uptime_seconds as f64);
            }
            self.push(&source, metric::MEMORY_LIMIT_BYTES, bytes(service.spec.memory.limit) as f64);
            self.push(&source, metric::RESTARTS_TOTAL, restarts as f64);
            self.push(&source, metric::OOM_KILLS_TOTAL, kills as f64);
        }
    }

    /// The trend of a leak, with the noise of its readings; the platform's load has no part in it.
    pub(super) fn agent(&mut self, agent: &AgentSpec, stream: &mut Stream) {
        let hours = self.now_us as f64 / (3_600.0 * SECOND_US as f64);
        let leaked = bytes(agent.leak_per_hour) as f64 * hours;
        let noise = bytes(agent.noise) as f64 * stream.normal();
        let limit = bytes(agent.memory_limit) as f64;
        let used = (bytes(agent.memory_at_start) as f64 + leaked + noise).clamp(0.0, limit);
        self.push(&agent.source, metric::MEMORY_USED_BYTES, used.trunc());
        self.push(&agent.source, metric::MEMORY_LIMIT_BYTES, limit);
        self.push(&agent.source, metric::RESTARTS_TOTAL, 0.0);
    }
}
