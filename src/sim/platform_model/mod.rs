//! The platform model: a whole platform in steps of a second of virtual time, closed loop, deterministic by seed.
//!
//! Where the model of queues follows single requests through the workers of one service, this one knows services that call
//! each other, caches, pools, networks and ClickHouse, over weeks. Within a second every event has its own moment; what a
//! second leaves behind (queues, memory, drops) is what the next one meets.

mod arrivals;
mod cache;
mod clickhouse;
mod conditions;
mod customers;
mod gauge;
mod outbox;
mod pool;
mod references;
mod requests;
mod service;
mod signals;
mod spec;
mod store;
#[cfg(test)]
mod tests;
mod topology;
mod validate;

pub use spec::{
    CacheSpec, CallSpec, ClickHouseNodeSpec, DisturbanceSpec, Disturbed, EffectKind, EffectSpec, GaugeSpec, GroupSpec,
    InternalRouteSpec, LoadSpec, NetworkSpec, PlatformModelName, PlatformScenario, PlatformServiceSpec,
    PlatformStoreSpec, PoolSpec, QuerySpec, RecordSpec, ReplicaMemorySpec,
};

use crate::model::{Event, Timestamp};

use super::plan::micros;
use super::random::{Concern, Stream, scramble};
use super::scenario::ScenarioError;
use super::schedule::{Micros, SECOND_US};
use arrivals::{load_factor, poisson};
use cache::CacheState;
use clickhouse::{Asking, ClickHouse};
use conditions::Conditions;
use customers::Customers;
use gauge::GaugeState;
use outbox::Outbox;
use pool::PoolState;
use service::ServiceState;
use spec::EffectKind as Kind;
use store::StoreState;
use topology::Topology;

/// A running simulation. As an iterator it gives the events in the order they reach the log.
/// Memory depends on the number of customers and on what is under way, not on the length of the run.
#[derive(Debug)]
pub struct PlatformSimulation {
    scenario: PlatformScenario,
    topology: Topology,
    conditions: Conditions,
    /// Beginning of the current second.
    now_us: Micros,
    end_us: Micros,
    load: f64,
    customers: Customers,
    services: Vec<ServiceState>,
    /// Request-seconds that ended in this second, by service: how many were under way (Little's law).
    in_flight: Vec<f64>,
    caches: Vec<CacheState>,
    pools: Vec<PoolState>,
    stores: Vec<StoreState>,
    gauges: Vec<GaugeState>,
    clickhouse: ClickHouse,
    batches: Stream,
    service_times: Stream,
    clients: Stream,
    queries: Stream,
    readings: Stream,
    seed: u64,
    identifiers: u64,
    outbox: Outbox,
}

impl PlatformSimulation {
    /// A simulation of `scenario`, at its beginning. The same scenario and seed give the same events everywhere.
    ///
    /// # Errors
    /// [`ScenarioError::Invalid`] when the scenario was changed into one that is not valid.
    pub fn new(scenario: &PlatformScenario, seed: u64) -> Result<Self, ScenarioError> {
        let invalid = |problems| ScenarioError::Invalid { origin: scenario.name.clone(), problems };
        scenario.validate().map_err(invalid)?;
        let topology = Topology::build(scenario);
        let service = |(index, spec)| ServiceState::new(spec, topology.service_seconds(scenario, index));
        Ok(Self {
            conditions: Conditions::at(scenario, 0),
            now_us: 0,
            end_us: micros(scenario.duration),
            load: load_factor(&scenario.load, scenario.start),
            customers: Customers::new(scenario, seed),
            services: scenario.services.iter().enumerate().map(service).collect(),
            in_flight: vec![0.0; scenario.services.len()],
            caches: scenario.caches.iter().map(|_| CacheState::warm()).collect(),
            pools: scenario.pools.iter().map(|_| PoolState::default()).collect(),
            stores: scenario.stores.iter().map(StoreState::new).collect(),
            gauges: scenario.gauges.iter().map(|_| GaugeState::default()).collect(),
            clickhouse: ClickHouse::new(scenario),
            batches: Stream::new(seed, Concern::Batches),
            service_times: Stream::new(seed, Concern::Service),
            clients: Stream::new(seed, Concern::Client),
            queries: Stream::new(seed, Concern::Queries),
            readings: Stream::new(seed, Concern::Signals),
            seed: scramble(seed),
            identifiers: 0,
            outbox: Outbox::new(scenario, seed),
            topology,
            scenario: scenario.clone(),
        })
    }

    /// How many things are kept in memory that grow and shrink with the load.
    #[must_use]
    pub fn entries_held(&self) -> usize {
        self.outbox.len() + self.customers.len() + self.clickhouse.len()
    }

    fn timestamp(&self, at_us: Micros) -> Timestamp {
        self.scenario.start.plus(at_us.div_euclid(1_000))
    }

    /// One second.
    fn step(&mut self) {
        let now_us = self.now_us;
        if now_us >= self.conditions.until_us {
            self.conditions = Conditions::at(&self.scenario, now_us);
        }
        self.load = load_factor(&self.scenario.load, self.timestamp(now_us));
        self.deploy();
        self.pools.iter_mut().for_each(|pool| pool.advance(now_us));
        self.ask_queries();
        self.customers.begin_batches(&self.conditions.groups, self.load, now_us, &mut self.batches);
        while let Some(attempt) = self.customers.due(&self.scenario, now_us + SECOND_US, &mut self.clients) {
            self.serve_attempt(attempt);
        }
        self.end_second();
        if now_us.rem_euclid(micros(self.scenario.signals_interval)) == 0 {
            self.read_signals();
        }
        self.now_us += SECOND_US;
        self.outbox.release(self.now_us.min(self.end_us));
    }

    fn deploy(&mut self) {
        for effect in &self.scenario.effects {
            let Kind::Deploy { service } = &effect.what else { continue };
            if micros(effect.at).div_euclid(SECOND_US) == self.now_us.div_euclid(SECOND_US) {
                let found = self.scenario.services.iter().zip(&mut self.services);
                found.filter(|(spec, _)| spec.name == *service).for_each(|(_, state)| state.deploy(self.now_us));
            }
        }
    }

    /// Queries end and begin.
    fn ask_queries(&mut self) {
        let mut asking = Asking {
            scenario: &self.scenario,
            queries: &self.conditions.queries,
            stream: &mut self.queries,
            outbox: &mut self.outbox,
            now_us: self.now_us,
        };
        self.clickhouse.advance(&mut asking);
        for index in 0..self.scenario.queries.len() {
            let mean = self.scenario.queries[index].per_minute / 60.0 * self.load;
            for _ in 0..poisson(mean, asking.stream) {
                asking.now_us = self.now_us + asking.stream.uniform_us(SECOND_US);
                self.clickhouse.ask(&mut asking, index, None, 1);
            }
        }
    }

    fn end_second(&mut self) {
        let end_us = self.now_us + SECOND_US;
        for (index, state) in self.services.iter_mut().enumerate() {
            let in_flight = self.in_flight[index] + state.waiting();
            let now = &self.conditions.services[index];
            state.end_second(&self.scenario.services[index], now, end_us, in_flight, &mut self.readings);
            self.in_flight[index] = 0.0;
        }
        for (spec, state) in self.scenario.stores.iter().zip(&mut self.stores) {
            state.end_second(spec, self.load);
        }
        for (index, state) in self.gauges.iter_mut().enumerate() {
            state.grow(&self.scenario.gauges[index], self.conditions.gauges[index], self.load, end_us);
        }
    }
}

impl Iterator for PlatformSimulation {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.outbox.pop() {
                return Some(event);
            }
            if self.now_us >= self.end_us {
                return None;
            }
            self.step();
        }
    }
}
