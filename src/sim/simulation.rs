//! The simulation: happenings in order, each of which may cause others. Load makes queues, queues make latency and
//! memory, these make failures, and failures make load.

use crate::model::Event;

use super::arrivals::Daily;
use super::output::Output;
use super::plan::{Plan, micros};
use super::population::Population;
use super::random::{Concern, Stream, scramble};
use super::rate_limit::RateLimit;
use super::scenario::{Scenario, ScenarioError};
use super::schedule::{Happening, Micros, Schedule};
use super::service::Service;
use super::signals::Reading;
use super::slab::Slab;
use super::store::Store;
use super::traffic::{Attempt, Running};

/// A running simulation. As an iterator it gives the events in time order; a request's timestamp is when it ended.
/// Memory depends on the number of customers and on what is under way, not on the length of the run.
#[derive(Debug)]
pub struct Simulation {
    pub(super) scenario: Scenario,
    pub(super) plan: Plan,
    pub(super) end_us: Micros,
    pub(super) now_us: Micros,
    pub(super) daily: Daily,
    pub(super) schedule: Schedule,
    pub(super) population: Population,
    pub(super) services: Vec<Service>,
    pub(super) store: Option<Store>,
    pub(super) rate_limit: Option<RateLimit>,
    pub(super) running: Slab<Running>,
    pub(super) attempts: Slab<Attempt>,
    pub(super) arrivals: Stream,
    pub(super) service_times: Stream,
    pub(super) clients: Stream,
    pub(super) readings: Stream,
    pub(super) seed: u64,
    pub(super) identifiers: u64,
    pub(super) output: Output,
    pub(super) ended: bool,
}

impl Simulation {
    /// A simulation of `scenario`, at its beginning. The same scenario and seed give the same events everywhere.
    ///
    /// # Errors
    /// [`ScenarioError::Invalid`] when the scenario was changed into one that is not valid.
    pub fn new(scenario: &Scenario, seed: u64) -> Result<Self, ScenarioError> {
        let invalid = |problems| ScenarioError::Invalid { origin: scenario.name.clone(), problems };
        scenario.validate().map_err(invalid)?;
        let plan = Plan::build(scenario).map_err(invalid)?;
        let begin_us = -micros(scenario.warm_up);
        let mut schedule = Schedule::default();
        let population = Population::new(&plan, seed, &mut schedule);
        for cohort in 0..plan.cohorts.len() {
            schedule.at(begin_us, Happening::Arrival { cohort });
        }
        schedule.at(0, Happening::ReadSignals);
        let start_of_day_us = scenario.start.as_millis().rem_euclid(86_400_000) * 1_000;
        Ok(Self {
            end_us: micros(scenario.duration),
            now_us: begin_us,
            daily: Daily { spec: scenario.daily, start_of_day_us },
            services: scenario.services.iter().map(|spec| Service::new(spec, begin_us)).collect(),
            store: scenario.store.as_ref().map(Store::new),
            rate_limit: scenario.rate_limit.as_ref().map(|s| RateLimit::new(s, population.subscriptions.len())),
            running: Slab::default(),
            attempts: Slab::default(),
            arrivals: Stream::new(seed, Concern::Arrivals),
            service_times: Stream::new(seed, Concern::Service),
            clients: Stream::new(seed, Concern::Client),
            readings: Stream::new(seed, Concern::Signals),
            seed: scramble(seed),
            identifiers: 0,
            output: Output::new(scenario),
            ended: false,
            scenario: scenario.clone(),
            plan,
            schedule,
            population,
        })
    }

    /// How many things are kept in memory that grow and shrink with the load.
    #[must_use]
    pub fn entries_held(&self) -> usize {
        self.schedule.len() + self.running.len() + self.attempts.len() + self.output.len()
    }

    fn step(&mut self) {
        let Some((time_us, happening)) = self.schedule.next().filter(|(time_us, _)| *time_us < self.end_us) else {
            self.output.push_changes(self.scenario.end());
            self.ended = true;
            return;
        };
        self.now_us = time_us;
        match happening {
            Happening::Arrival { cohort } => self.arrive(cohort),
            Happening::Begin { subscription } => self.begin(subscription),
            Happening::Send { workflow } => self.send(workflow),
            Happening::WorkDone { attempt } => self.work_done(attempt),
            Happening::Timeout { attempt } => self.time_out(attempt),
            Happening::Refuse { attempt } => self.refuse(attempt),
            Happening::ContainerReady { service, container } => {
                self.services[service].containers[container].up_since_us = Some(time_us);
            }
            Happening::Switch { subscription, version } => self.population.switch(subscription, version),
            Happening::ReadSignals => self.read_signals(),
        }
    }

    fn read_signals(&mut self) {
        self.schedule.at(self.now_us + micros(self.scenario.signals_interval), Happening::ReadSignals);
        let mut reading = Reading { now_us: self.now_us, output: &mut self.output };
        if let Some(store) = &mut self.store {
            reading.store(store);
        }
        for service in &mut self.services {
            reading.service(service);
        }
        for agent in &self.scenario.agents {
            reading.agent(agent, &mut self.readings);
        }
    }
}

impl Iterator for Simulation {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.output.pop() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            self.step();
        }
    }
}
