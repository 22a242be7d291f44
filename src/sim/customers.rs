//! The customers' side of the simulation: they begin workflows, send requests, and react to the answers.

use super::arrivals::next_arrival;
use super::plan::micros;
use super::random::scramble;
use super::retry::retry_delay_us;
use super::schedule::{Happening, Micros, SECOND_US};
use super::simulation::Simulation;
use super::slab::Handle;
use super::traffic::{Attempt, Running};

/// Most workflows a customer begins in one burst.
const BURST_MAX: u32 = 1_000;
/// The workflows of a burst begin within this time.
const BURST_SPREAD_US: Micros = 2 * SECOND_US;
/// Spread of the pauses between the requests of a workflow.
const THINK_TIME_SIGMA: f64 = 0.7;

impl Simulation {
    /// A burst of a cohort's customer, and the moment of the next.
    pub(super) fn arrive(&mut self, cohort: usize) {
        let now_us = self.now_us;
        let spec = &self.plan.cohorts[cohort];
        // The first happening only starts the process: nobody arrives exactly when the warm-up begins.
        if now_us > -micros(self.scenario.warm_up) {
            let subscription = self.population.pick(cohort, &mut self.arrivals);
            self.schedule.at(now_us, Happening::Begin { subscription });
            for _ in 1..self.arrivals.geometric(spec.burst_mean, BURST_MAX) {
                let at_us = now_us + self.arrivals.uniform_us(BURST_SPREAD_US);
                self.schedule.at(at_us, Happening::Begin { subscription });
            }
        }
        if let Some(at_us) = next_arrival(spec, &self.daily, now_us, self.end_us, &mut self.arrivals) {
            self.schedule.at(at_us, Happening::Arrival { cohort });
        }
    }

    /// A customer begins a workflow, unless all its workers are busy.
    pub(super) fn begin(&mut self, subscription: usize) {
        let customer = &mut self.population.subscriptions[subscription];
        let cohort = &self.plan.cohorts[customer.cohort];
        if customer.running >= cohort.concurrency {
            return;
        }
        customer.running += 1;
        let installation = customer.installation;
        let workflow = cohort.workflows[self.arrivals.pick(&cohort.workflow_weights)];
        let running = self.running.insert(Running {
            subscription,
            installation,
            workflow,
            step: 0,
            request_key: 0,
            attempts: 0,
            fails_persistently: false,
        });
        self.begin_request(running, self.now_us);
    }

    /// A workflow's current step becomes a logical request, sent at `at_us`.
    fn begin_request(&mut self, handle: Handle, at_us: Micros) {
        let request_key = self.next_identifier();
        let Some(running) = self.running.get_mut(handle) else { return };
        let customer = &self.population.subscriptions[running.subscription];
        let route = self.plan.workflows[running.workflow].steps[running.step];
        let scale = self.plan.cohorts[customer.cohort].persistent_failure_scale;
        let share = self.plan.versions[customer.version].persistent_failure_share * scale;
        let applies = self.plan.routes[route].spec.persistent_failures;
        running.request_key = request_key;
        running.attempts = 0;
        running.fails_persistently = applies && self.clients.chance(share);
        self.schedule.at(at_us, Happening::Send { workflow: handle });
    }

    /// The client sends the next attempt; the gateway and the service take it from there.
    pub(super) fn send(&mut self, handle: Handle) {
        let request_id = self.next_identifier();
        let Some(running) = self.running.get_mut(handle) else { return };
        let customer = &self.population.subscriptions[running.subscription];
        if customer.installation != running.installation {
            self.running.remove(handle);
            return;
        }
        running.attempts = running.attempts.saturating_add(1);
        let attempt = Attempt {
            running: handle,
            subscription: running.subscription,
            version: customer.version,
            route: self.plan.workflows[running.workflow].steps[running.step],
            request_key: running.request_key,
            request_id,
            number: running.attempts,
            fails_persistently: running.fails_persistently,
            sent_us: self.now_us,
            container: None,
            answered: false,
        };
        let route = &self.plan.routes[attempt.route];
        let limit = self.rate_limit.as_mut().filter(|_| route.rate_limited);
        if limit.is_some_and(|limit| !limit.admit(attempt.subscription, self.now_us)) {
            return self.respond(attempt, 429);
        }
        let (key_bytes, operations) = (route.spec.store_bytes, route.spec.store_operations);
        if self.store.as_mut().is_some_and(|store| !store.write(self.now_us, key_bytes, operations)) {
            return self.respond(attempt, 500);
        }
        self.admit(attempt);
    }

    /// The client has an answer: it goes on, tries again or gives up.
    pub(super) fn react(&mut self, attempt: Attempt, status: u16) {
        let Some(running) = self.running.get_mut(attempt.running) else { return };
        if self.population.subscriptions[running.subscription].installation != running.installation {
            self.running.remove(attempt.running);
            return;
        }
        if status >= 400 {
            let policy = self.plan.versions[attempt.version].retry;
            return match retry_delay_us(policy, attempt.number, &mut self.clients) {
                Some(delay_us) => {
                    self.schedule.at(self.now_us + delay_us, Happening::Send { workflow: attempt.running })
                }
                None => self.end(attempt.running),
            };
        }
        running.step += 1;
        let workflow = &self.plan.workflows[running.workflow];
        if running.step == workflow.steps.len() {
            return self.end(attempt.running);
        }
        let pause_us = self.clients.lognormal_us(workflow.think_time_us, THINK_TIME_SIGMA);
        self.begin_request(attempt.running, self.now_us + pause_us);
    }

    /// A workflow is over, well or not: its worker is free.
    fn end(&mut self, handle: Handle) {
        if let Some(running) = self.running.remove(handle) {
            let customer = &mut self.population.subscriptions[running.subscription];
            customer.running = customer.running.saturating_sub(1);
        }
    }

    fn next_identifier(&mut self) -> u64 {
        self.identifiers += 1;
        scramble(self.seed ^ self.identifiers)
    }
}
