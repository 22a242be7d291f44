//! A service: one queue as a fluid, replicas with memory, latency from utilisation.

use crate::sim::plan::{bytes, micros};
use crate::sim::random::Stream;
use crate::sim::schedule::{Micros, SECOND_US};

use super::conditions::ServiceNow;
use super::spec::PlatformServiceSpec;

/// How fast the smoothed load follows: about five seconds.
const SMOOTHING: f64 = 0.2;
/// The formula of waiting goes to infinity at 1; beyond this the fluid queue says how long the wait is.
const UTILISATION_MAX: f64 = 0.97;
/// Replicas differ in memory by this share.
const REPLICA_MEMORY_SPREAD: f64 = 0.03;
/// A replica that a deploy replaces is followed by the next after this long.
const DEPLOY_STEP_US: Micros = 40 * SECOND_US;

/// A replica.
#[derive(Debug, Clone)]
pub(super) struct Replica {
    /// It is down before this moment.
    pub up_since_us: Micros,
    pub leaked_bytes: f64,
    pub memory_bytes: f64,
    pub restarts_total: u64,
    pub oom_kills_total: u64,
    /// A deploy replaces it at this moment.
    replaced_at_us: Option<Micros>,
}

/// What a service does with a request that reaches it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Admission {
    /// It is refused at once.
    Refused,
    /// It waits for this long.
    Waits(Micros),
}

/// State of a service.
#[derive(Debug)]
pub(super) struct ServiceState {
    /// Units of work that wait at the beginning of this second.
    backlog: f64,
    /// Units of work that have come in this second.
    offered: f64,
    /// Units of work a second that come, smoothed.
    load: f64,
    /// Requests under way in the last second.
    in_flight: f64,
    /// Servers that the capacity stands for.
    servers: f64,
    pub capacity_per_second: f64,
    pub replicas: Vec<Replica>,
    /// Share of requests lost with a replica that was killed this second.
    pub lost_share: f64,
}

impl ServiceState {
    /// `service_seconds` is the mean time of one unit of work.
    pub(super) fn new(spec: &PlatformServiceSpec, service_seconds: f64) -> Self {
        let replica = Replica {
            up_since_us: -3_600 * SECOND_US,
            leaked_bytes: 0.0,
            memory_bytes: spec.memory.map_or(0.0, |memory| bytes(memory.idle) as f64),
            restarts_total: 0,
            oom_kills_total: 0,
            replaced_at_us: None,
        };
        Self {
            backlog: 0.0,
            offered: 0.0,
            load: 0.0,
            in_flight: 0.0,
            servers: (spec.capacity_per_second * service_seconds).max(1.0),
            capacity_per_second: spec.capacity_per_second,
            replicas: vec![replica; spec.replicas as usize],
            lost_share: 0.0,
        }
    }

    /// A request of so much work, `offset_us` after the second began.
    pub(super) fn admit(&mut self, spec: &PlatformServiceSpec, work: f64, offset_us: Micros) -> Admission {
        if self.capacity_per_second <= 0.0 {
            return Admission::Refused;
        }
        let done = self.capacity_per_second * offset_us as f64 / SECOND_US as f64;
        let waiting = (self.backlog + self.offered - done).max(0.0);
        // A queue has so many places, however slowly it moves now.
        if waiting * 1e6 > spec.capacity_per_second * micros(spec.queue_max) as f64 {
            return Admission::Refused;
        }
        let wait_us = (waiting / self.capacity_per_second * 1e6) as Micros;
        self.offered += work;
        Admission::Waits(wait_us)
    }

    /// Mean wait for a free server, in service times (Sakasegawa 1977, approximation for M/M/c).
    pub(super) fn congestion(&self) -> f64 {
        let utilisation = (self.load / self.capacity_per_second.max(f64::MIN_POSITIVE)).min(UTILISATION_MAX);
        let exponent = libm::sqrt(2.0 * (self.servers + 1.0)) - 1.0;
        libm::pow(utilisation, exponent) / (self.servers * (1.0 - utilisation))
    }

    /// Ends a second: the queue moves on, replicas grow, die and come back. `in_flight` requests were under way.
    pub(super) fn end_second(
        &mut self,
        spec: &PlatformServiceSpec,
        now: &ServiceNow,
        second_end_us: Micros,
        in_flight: f64,
        stream: &mut Stream,
    ) {
        let capacity = self.capacity_per_second;
        self.backlog = (self.backlog + self.offered - capacity).max(0.0);
        self.load += SMOOTHING * (self.offered - self.load);
        self.offered = 0.0;
        self.lost_share = 0.0;
        self.in_flight = in_flight;
        let mut up = 0_u32;
        for index in 0..self.replicas.len() {
            up += u32::from(self.grow(spec, now, index, second_end_us, stream));
        }
        let share = f64::from(up) / f64::from(spec.replicas.max(1));
        self.capacity_per_second = spec.capacity_per_second * now.capacity_factor * share;
        if self.lost_share > 0.0 {
            self.backlog *= 1.0 - self.lost_share;
        }
    }

    /// Whether the replica is up.
    fn grow(
        &mut self,
        spec: &PlatformServiceSpec,
        now: &ServiceNow,
        index: usize,
        at_us: Micros,
        stream: &mut Stream,
    ) -> bool {
        let replicas = f64::from(spec.replicas.max(1));
        let replica = &mut self.replicas[index];
        if replica.replaced_at_us.is_some_and(|due_us| due_us <= at_us) {
            replica.replaced_at_us = None;
            replica.leaked_bytes = 0.0;
            // The new one is ready before the old one goes.
            replica.up_since_us = at_us;
        }
        if replica.up_since_us > at_us {
            return false;
        }
        let Some(memory) = spec.memory else { return true };
        replica.leaked_bytes += now.leak_bytes_per_second;
        let requests = self.in_flight / replicas * bytes(memory.per_request) as f64;
        let spread = 1.0 + REPLICA_MEMORY_SPREAD * (index as f64 / replicas - 0.5) + 0.004 * stream.normal();
        replica.memory_bytes = (bytes(memory.idle) as f64 + requests + replica.leaked_bytes) * spread;
        if replica.memory_bytes <= bytes(memory.limit) as f64 {
            return true;
        }
        replica.oom_kills_total += 1;
        replica.restarts_total += 1;
        replica.leaked_bytes = 0.0;
        replica.memory_bytes = bytes(memory.idle) as f64;
        replica.up_since_us = at_us + micros(memory.restart_duration);
        self.lost_share += 1.0 / replicas;
        false
    }

    /// Replicas are replaced one after the other from `at_us` on.
    pub(super) fn deploy(&mut self, at_us: Micros) {
        let mut due_us = at_us;
        for replica in &mut self.replicas {
            replica.replaced_at_us = Some(due_us);
            due_us += DEPLOY_STEP_US;
        }
    }

    /// Requests that wait.
    pub(super) fn waiting(&self) -> f64 {
        self.backlog + self.offered
    }
}
