//! Gauges and counters of everything, in a fixed order.

use crate::model::{Attributes, Event, Signal, Text, metric};
use crate::sim::plan::bytes;
use crate::sim::schedule::SECOND_US;

use super::PlatformSimulation;

impl PlatformSimulation {
    /// Reads everything at the end of the current second.
    pub(super) fn read_signals(&mut self) {
        self.read_services();
        self.read_caches();
        self.read_pools();
        self.read_stores();
        for index in 0..self.scenario.gauges.len() {
            let (spec, state) = (&self.scenario.gauges[index], &self.gauges[index]);
            let used = libm::trunc(state.read(spec, &mut self.readings));
            let (restarts, limit) = (state.restarts_total, bytes(spec.memory_limit));
            let uptime = state.uptime_seconds(self.now_us);
            let (source, restarting) = (spec.source.clone(), spec.restarts);
            self.signal(&source, metric::MEMORY_USED_BYTES, used);
            self.signal(&source, metric::MEMORY_LIMIT_BYTES, limit as f64);
            if restarting {
                self.signal(&source, metric::RESTARTS_TOTAL, restarts as f64);
                self.signal(&source, metric::OOM_KILLS_TOTAL, restarts as f64);
                self.signal(&source, metric::UPTIME_SECONDS, uptime as f64);
            }
        }
        for index in 0..self.scenario.nodes.len() {
            let (spec, state) = (&self.scenario.nodes[index], &self.clickhouse.nodes[index]);
            let source = Text::from(format!("clickhouse/{}", spec.name));
            let (limit, used, restarts) = (bytes(spec.machine_memory), state.memory_bytes, state.restarts_total);
            let up_seconds = (self.now_us - state.up_since_us).div_euclid(SECOND_US);
            if up_seconds >= 0 {
                self.signal(&source, metric::MEMORY_USED_BYTES, libm::trunc(used));
                self.signal(&source, metric::UPTIME_SECONDS, up_seconds as f64);
            }
            self.signal(&source, metric::MEMORY_LIMIT_BYTES, limit as f64);
            self.signal(&source, metric::RESTARTS_TOTAL, restarts as f64);
            self.signal(&source, metric::OOM_KILLS_TOTAL, restarts as f64);
        }
    }

    /// A replica that is down has no memory to read; its counters go on.
    fn read_services(&mut self) {
        for service in 0..self.scenario.services.len() {
            let spec = &self.scenario.services[service];
            let Some(memory) = spec.memory else { continue };
            let name = spec.name.clone();
            for index in 0..self.services[service].replicas.len() {
                let replica = self.services[service].replicas[index].clone();
                let source = Text::from(format!("container/{name}-{}", index + 1));
                let up_seconds = (self.now_us - replica.up_since_us).div_euclid(SECOND_US);
                if up_seconds >= 0 {
                    self.signal(&source, metric::MEMORY_USED_BYTES, libm::trunc(replica.memory_bytes));
                    self.signal(&source, metric::UPTIME_SECONDS, up_seconds as f64);
                }
                self.signal(&source, metric::MEMORY_LIMIT_BYTES, bytes(memory.limit) as f64);
                self.signal(&source, metric::RESTARTS_TOTAL, replica.restarts_total as f64);
                self.signal(&source, metric::OOM_KILLS_TOTAL, replica.oom_kills_total as f64);
            }
        }
    }

    fn read_caches(&mut self) {
        for index in 0..self.scenario.caches.len() {
            let source = self.scenario.caches[index].source.clone();
            let (hits, misses) = (self.caches[index].hits_total, self.caches[index].misses_total);
            self.signal(&source, "cache_hits_total", hits as f64);
            self.signal(&source, "cache_misses_total", misses as f64);
        }
    }

    fn read_pools(&mut self) {
        for index in 0..self.scenario.pools.len() {
            let (source, size) = (self.scenario.pools[index].source.clone(), self.scenario.pools[index].size);
            let state = &self.pools[index];
            let readings = [
                ("pool_size", f64::from(size)),
                ("pool_in_use", f64::from(state.in_use)),
                ("pool_reserved", f64::from(state.reserved)),
                ("pool_acquired_total", state.acquired_total as f64),
                ("pool_released_total", state.released_total as f64),
            ];
            for (metric, value) in readings {
                self.signal(&source, metric, value);
            }
        }
    }

    fn read_stores(&mut self) {
        for index in 0..self.scenario.stores.len() {
            let spec = &self.scenario.stores[index];
            let (source, limit, network) = (spec.source.clone(), bytes(spec.memory_limit), spec.network.is_some());
            let used = self.stores[index].memory_bytes(spec, self.now_us);
            let state = &self.stores[index];
            let (operations, bytes_total) = (state.operations_total, state.network_bytes_total);
            let dropped = state.dropped_packets_total;
            self.signal(&source, metric::MEMORY_USED_BYTES, used as f64);
            self.signal(&source, metric::MEMORY_LIMIT_BYTES, limit as f64);
            self.signal(&source, metric::OPERATIONS_TOTAL, operations as f64);
            if network {
                self.signal(&source, "network_bytes_total", libm::trunc(bytes_total));
                self.signal(&source, "dropped_packets_total", dropped as f64);
            }
        }
    }

    fn signal(&mut self, source: &Text, metric: &'static str, value: f64) {
        let read_us = self.now_us + SECOND_US - 1_000;
        let signal = Signal {
            timestamp: self.timestamp(read_us),
            source: source.clone(),
            metric: Text::const_new(metric),
            value,
            attributes: Attributes::default(),
        };
        self.outbox.push(read_us, Event::Signal(signal));
    }
}
