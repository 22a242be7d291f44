//! The platform's side of the simulation: an attempt is admitted, waits, is worked on, times out, or dies with its
//! container; the gateway answers and logs.

use super::output::Output;
use super::plan::micros;
use super::record::{ERROR_BODY_BYTES, RecordContext, request_event};
use super::schedule::{Happening, Micros};
use super::service::Admission;
use super::simulation::Simulation;
use super::slab::Handle;
use super::traffic::Attempt;

/// The gateway's own share of every duration, at least and at most.
const GATEWAY_US: (Micros, Micros) = (300, 1_500);
/// What the gateway answers when a container dies on a request.
const STATUS_CONNECTION_LOST: u16 = 502;

impl Simulation {
    pub(super) fn admit(&mut self, attempt: Attempt) {
        let service = self.plan.routes[attempt.route].service;
        let handle = self.attempts.insert(attempt);
        let admission = self.services[service].admit(self.now_us, handle);
        let spec = &self.services[service].spec;
        let timeout_at_us = self.now_us + micros(spec.timeout);
        let refuse_at_us = self.now_us + micros(spec.connect_timeout);
        let container = match admission {
            Admission::NoContainer => {
                return self.schedule.at(refuse_at_us, Happening::Refuse { attempt: handle });
            }
            Admission::QueueFull { container } => {
                self.schedule.at(refuse_at_us, Happening::Refuse { attempt: handle });
                container
            }
            Admission::Started { container } | Admission::Queued { container } => {
                self.schedule.at(timeout_at_us, Happening::Timeout { attempt: handle });
                container
            }
        };
        if let Some(attempt) = self.attempts.get_mut(handle) {
            attempt.container = Some(container);
        }
        if matches!(admission, Admission::Started { .. }) {
            self.start_work(handle);
        }
        self.kill_if_out_of_memory(service, container);
    }

    pub(super) fn refuse(&mut self, handle: Handle) {
        if let Some(attempt) = self.attempts.remove(handle) {
            self.respond(attempt, 503);
        }
    }

    fn start_work(&mut self, handle: Handle) {
        let Some(attempt) = self.attempts.get_mut(handle) else { return };
        let time = self.plan.routes[attempt.route].spec.service_time;
        let work_us = self.service_times.lognormal_us(micros(time.median), time.sigma);
        self.schedule.at(self.now_us + work_us, Happening::WorkDone { attempt: handle });
    }

    pub(super) fn work_done(&mut self, handle: Handle) {
        // Absent when the container was killed meanwhile.
        let Some(attempt) = self.attempts.remove(handle) else { return };
        let service = self.plan.routes[attempt.route].service;
        let failure_share = self.services[service].spec.background_failure_share;
        let failed = attempt.fails_persistently || self.service_times.chance(failure_share);
        if let Some(container) = attempt.container
            && let Some(next) = self.services[service].finish(container, handle)
        {
            self.start_work(next);
        }
        if !attempt.answered {
            self.respond(attempt, if failed { 500 } else { 200 });
        }
    }

    pub(super) fn time_out(&mut self, handle: Handle) {
        let Some(attempt) = self.attempts.get_mut(handle).filter(|attempt| !attempt.answered) else { return };
        attempt.answered = true;
        let attempt = *attempt;
        let service = self.plan.routes[attempt.route].service;
        self.respond(attempt, self.services[service].spec.timeout_status);
    }

    fn kill_if_out_of_memory(&mut self, service: usize, container: usize) {
        let Some(victims) = self.services[service].kill_if_out_of_memory(container, self.now_us) else { return };
        let ready_us = self.now_us + micros(self.services[service].spec.restart_duration);
        self.schedule.at(ready_us, Happening::ContainerReady { service, container });
        for victim in victims {
            if let Some(attempt) = self.attempts.remove(victim).filter(|attempt| !attempt.answered) {
                self.respond(attempt, STATUS_CONNECTION_LOST);
            }
        }
    }

    /// The gateway answers and logs; the client takes it from there.
    pub(super) fn respond(&mut self, attempt: Attempt, status: u16) {
        let (least_us, most_us) = GATEWAY_US;
        let gateway_us = least_us + self.service_times.uniform_us(most_us - least_us);
        if Output::is_on(self.now_us) {
            self.log(&attempt, status, self.now_us - attempt.sent_us + gateway_us);
        }
        self.react(attempt, status);
    }

    fn log(&mut self, attempt: &Attempt, status: u16, duration_us: Micros) {
        let route = &self.plan.routes[attempt.route];
        let service = &self.services[route.service];
        let response_bytes = if status < 400 {
            self.service_times.lognormal(route.spec.response_bytes as f64, 0.4) as u64
        } else {
            ERROR_BODY_BYTES
        };
        let context = RecordContext {
            timestamp: self.output.timestamp(self.now_us),
            subscription: &self.population.subscriptions[attempt.subscription].name,
            version: &self.plan.versions[attempt.version],
            route: &route.spec,
            host: attempt.container.map(|index| service.containers[index].host.clone()),
            region: self.scenario.region.clone(),
            log: self.scenario.log,
        };
        let event = request_event(&context, attempt, status, duration_us, response_bytes);
        self.output.push(event);
    }
}
