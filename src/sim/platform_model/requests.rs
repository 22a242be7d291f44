//! One request on its way through the platform: what it waits for, what it calls, how it ends.

use crate::model::{Attributes, Event, Request, Text};
use crate::sim::plan::micros;
use crate::sim::random::scramble;
use crate::sim::record::ERROR_BODY_BYTES;
use crate::sim::retry::retry_delay_us;
use crate::sim::schedule::{Micros, SECOND_US};

use super::PlatformSimulation;
use super::clickhouse::Asking;
use super::customers::Attempt;
use super::service::Admission;

/// Most calls of one route that one request makes.
const CALLS_MAX: u32 = 500;
/// A refusal takes this long.
const REFUSED_US: Micros = 3_000;
/// A dropped packet is sent again after this long.
const RESEND_US: f64 = 400_000.0;
/// Of requests that meet a drop, this share fails.
const DROP_FAILS: f64 = 0.3;
/// Spread of response sizes.
const BYTES_SIGMA: f64 = 0.35;

/// A request at a service's door.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visit<'a> {
    pub attempt: &'a Attempt,
    pub route: usize,
    /// Calling service; absent at the edge.
    pub caller: Option<usize>,
    /// Which of the things that a call asks for.
    pub key: Option<u64>,
    /// Attempt number of a call between services.
    pub number: u32,
    pub at_us: Micros,
}

/// How it ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub status: u16,
    pub duration_us: Micros,
}

impl PlatformSimulation {
    /// A customer's attempt, and what the customer does then.
    pub(super) fn serve_attempt(&mut self, attempt: Attempt) {
        let visit = Visit {
            attempt: &attempt,
            route: attempt.route,
            caller: None,
            key: None,
            number: attempt.number,
            at_us: attempt.at_us,
        };
        let answer = self.visit(visit);
        let failed = answer.status >= 500 || answer.status == 429;
        let policy = self.scenario.versions[attempt.version].retry;
        let delay = if failed { retry_delay_us(policy, attempt.number, &mut self.clients) } else { None };
        match delay {
            Some(delay_us) => self.customers.try_again(attempt, attempt.at_us + answer.duration_us + delay_us),
            None => self.customers.end(&attempt),
        }
    }

    /// A request of a route, and its record.
    fn visit(&mut self, visit: Visit<'_>) -> Answer {
        let service = self.topology.routes[visit.route].service;
        let timeout_us = micros(self.scenario.services[service].timeout);
        let mut answer = self.work(visit, service);
        if answer.duration_us > timeout_us {
            answer = Answer { status: 504, duration_us: timeout_us };
        }
        self.record(visit, service, answer);
        answer
    }

    fn work(&mut self, visit: Visit<'_>, service: usize) -> Answer {
        let spec = &self.scenario.services[service];
        let route = &self.scenario.routes[visit.route];
        let now = &self.conditions.routes[visit.route];
        let offset_us = visit.at_us - self.now_us;
        let state = &mut self.services[service];
        let Admission::Waits(wait_us) = state.admit(spec, route.work * now.slow, offset_us) else {
            return Answer { status: 503, duration_us: REFUSED_US };
        };
        let own_us = self.service_times.lognormal(micros(route.service_time.median) as f64, route.service_time.sigma);
        let own_us = own_us * now.slow;
        let queued_us = self.service_times.exponential(own_us * state.congestion());
        let mut duration_us = (wait_us as f64 + own_us + queued_us).min(3.6e9) as Micros;
        let (failing, background) = (now.failing, spec.background_failure_share);
        if self.service_times.chance(state.lost_share) {
            return Answer { status: 502, duration_us };
        }
        if visit.attempt.fails_persistently && visit.caller.is_none() || self.service_times.chance(background) {
            return Answer { status: 500, duration_us };
        }
        if self.service_times.chance(failing.share) {
            return Answer { status: failing.status, duration_us };
        }
        match self.resources(visit, duration_us) {
            Ok(more_us) => duration_us += more_us,
            Err(failed) => return Answer { duration_us: failed.duration_us + duration_us, ..failed },
        }
        self.calls(visit, service, duration_us)
    }

    /// Pool, store and query of a route: how much longer it takes, or how it fails.
    fn resources(&mut self, visit: Visit<'_>, begun_us: Micros) -> Result<Micros, Answer> {
        let resolved = &self.topology.routes[visit.route];
        let mut more_us = 0;
        if let Some(pool) = resolved.pool {
            let (spec, now) = (&self.scenario.pools[pool], &self.conditions.pools[pool]);
            if !self.pools[pool].take(spec, now, visit.at_us, &mut self.service_times) {
                return Err(Answer { status: 503, duration_us: REFUSED_US });
            }
        }
        if let Some(store) = resolved.store {
            let (spec, state) = (&self.scenario.stores[store], &mut self.stores[store]);
            let payload = self.conditions.routes[visit.route].payload;
            if !state.write(spec, payload, self.now_us) {
                return Err(Answer { status: 500, duration_us: REFUSED_US });
            }
            if self.service_times.chance(state.drop_share) {
                more_us += self.service_times.exponential(RESEND_US) as Micros;
                if self.service_times.chance(DROP_FAILS) {
                    return Err(Answer { status: 504, duration_us: more_us });
                }
            }
        }
        if let Some(query) = resolved.query {
            let name = &self.customers.groups[visit.attempt.group].names[visit.attempt.subscription];
            let mut asking = Asking {
                scenario: &self.scenario,
                queries: &self.conditions.queries,
                stream: &mut self.queries,
                outbox: &mut self.outbox,
                now_us: visit.at_us + begun_us,
            };
            match self.clickhouse.ask(&mut asking, query, Some(name), 1) {
                Some(run_us) => more_us += run_us,
                None => return Err(Answer { status: 500, duration_us: REFUSED_US }),
            }
        }
        Ok(more_us)
    }

    /// The calls a route makes, one after the other; one that fails for good fails the request.
    fn calls(&mut self, visit: Visit<'_>, service: usize, begun_us: Micros) -> Answer {
        let mut duration_us = begun_us;
        let timeout_us = micros(self.scenario.services[service].timeout);
        for index in 0..self.topology.routes[visit.route].calls.len() {
            let times = self.conditions.routes[visit.route].calls[index];
            let whole = libm::floor(times);
            let count = whole as u32 + u32::from(self.service_times.chance(times - whole));
            for _ in 0..count.min(CALLS_MAX) {
                if duration_us > timeout_us {
                    // Whoever asked has gone.
                    return Answer { status: 504, duration_us: timeout_us };
                }
                let answer = self.call(visit, service, index, duration_us);
                duration_us += answer.duration_us;
                if answer.status >= 500 {
                    return Answer { status: 502, duration_us };
                }
            }
        }
        Answer { status: 200, duration_us }
    }

    fn call(&mut self, visit: Visit<'_>, service: usize, index: usize, begun_us: Micros) -> Answer {
        let spec = &self.scenario.routes[visit.route].calls[index];
        let (attempts, keys) = (spec.attempts, spec.keys);
        let resolved = self.topology.routes[visit.route].calls[index];
        if let Some(cache) = resolved.cache {
            let (held, spec) = (self.conditions.caches[cache], &self.scenario.caches[cache]);
            if self.caches[cache].lookup(spec, held, &mut self.service_times) {
                return Answer { status: 200, duration_us: 800 };
            }
        }
        let key = (keys > 0).then(|| (self.service_times.unit() * f64::from(keys)) as u64);
        let mut duration_us = 0;
        let mut status = 200;
        for number in 1..=attempts.max(1) {
            let at_us = visit.at_us + begun_us + duration_us;
            let answer =
                self.visit(Visit { route: resolved.route, caller: Some(service), key, number, at_us, ..visit });
            duration_us += answer.duration_us;
            status = answer.status;
            if status < 500 {
                break;
            }
        }
        Answer { status, duration_us }
    }

    fn record(&mut self, visit: Visit<'_>, service: usize, answer: Answer) {
        let (scenario, log) = (&self.scenario, self.scenario.log);
        let route = &scenario.routes[visit.route];
        let group = &self.customers.groups[visit.attempt.group];
        let edge = visit.caller.is_none();
        let version = &scenario.versions[visit.attempt.version];
        let ended_us = visit.at_us + answer.duration_us;
        let hexadecimal = |value: u64| Text::from(format!("{value:016x}"));
        let response_bytes = if answer.status < 400 {
            let payload = self.conditions.routes[visit.route].payload;
            self.service_times.lognormal(route.response_bytes as f64 * payload, BYTES_SIGMA) as u64
        } else {
            ERROR_BODY_BYTES
        };
        self.identifiers += 1;
        let request = Request {
            timestamp: self.timestamp(ended_us).plus(if edge { group.clock_ahead_ms } else { 0 }),
            subscription: group.names[visit.attempt.subscription].clone(),
            client: (edge && log.client).then(|| version.client.clone()),
            client_version: (edge && log.client).then(|| version.version.clone()),
            service: Some(scenario.services[service].name.clone()),
            caller: visit.caller.map(|caller| scenario.services[caller].name.clone()),
            method: Some(route.method.clone()),
            route: route.name.clone(),
            status: answer.status,
            duration_ms: answer.duration_us.div_euclid(100) as f64 / 10.0,
            request_bytes: log.bytes.then_some(route.request_bytes),
            response_bytes: log.bytes.then_some(response_bytes),
            attempt: (log.attempt && (edge || visit.number > 1)).then_some(visit.number),
            request_key: match visit.key {
                Some(key) => Some(Text::from(format!("item-{key}"))),
                None => (edge && log.request_key).then(|| hexadecimal(visit.attempt.key)),
            },
            request_id: log.request_id.then(|| hexadecimal(scramble(self.seed ^ self.identifiers))),
            region: scenario.region.clone(),
            attributes: Attributes::default(),
            ..Request::default()
        };
        self.in_flight[service] += answer.duration_us as f64 / SECOND_US as f64;
        self.outbox.push(ended_us, Event::Request(request));
    }
}
