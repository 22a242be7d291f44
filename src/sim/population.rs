//! Subscriptions: who they are, how big, and which client version each runs.

use crate::model::Text;

use super::plan::{Cohort, Plan, cumulative};
use super::random::{Concern, Stream};
use super::schedule::{Happening, Schedule};

/// Numbers of subscriptions begin here, so that all have as many digits.
const FIRST_NUMBER: usize = 1_001;

/// A subscription.
#[derive(Debug)]
pub(super) struct Subscription {
    pub name: Text,
    pub cohort: usize,
    /// Index of the client version it runs.
    pub version: usize,
    /// Rises with each installation; what began under an older one is given up.
    pub installation: u32,
    /// Workflows running now.
    pub running: u32,
}

/// All subscriptions, cohort after cohort, in each the biggest first.
#[derive(Debug)]
pub(super) struct Population {
    pub subscriptions: Vec<Subscription>,
    /// Per cohort: index of its first subscription, and cumulative weights.
    cohorts: Vec<(usize, Vec<f64>)>,
}

impl Population {
    /// Draws the subscriptions and schedules their installations.
    pub(super) fn new(plan: &Plan, seed: u64, schedule: &mut Schedule) -> Self {
        let mut stream = Stream::new(seed, Concern::Population);
        let mut population = Self { subscriptions: Vec::new(), cohorts: Vec::new() };
        for (index, cohort) in plan.cohorts.iter().enumerate() {
            population.add(index, cohort, &mut stream, schedule);
        }
        population
    }

    fn add(&mut self, index: usize, cohort: &Cohort, stream: &mut Stream, schedule: &mut Schedule) {
        let first = self.subscriptions.len();
        let size = |k: u32| libm::pow(f64::from(k), -cohort.zipf);
        self.cohorts.push((first, cumulative((1..=cohort.subscriptions).map(size))));
        for _ in 0..cohort.subscriptions {
            let version = cohort.versions[stream.pick(&cohort.version_weights)];
            let name = Text::from(format!("sub-{}", FIRST_NUMBER + self.subscriptions.len()));
            self.subscriptions.push(Subscription { name, cohort: index, version, installation: 0, running: 0 });
        }
        let count = i64::from(cohort.subscriptions);
        for switch in &cohort.switches {
            let slot_us = switch.over_us / count;
            for k in 0..count {
                // The biggest come first in the vector and install last.
                let subscription = first + (count - 1 - k) as usize;
                let at_us = switch.at_us + k * slot_us + stream.uniform_us(slot_us);
                schedule.at(at_us, Happening::Switch { subscription, version: switch.version });
            }
        }
    }

    /// One subscription of a cohort, by weight.
    pub(super) fn pick(&self, cohort: usize, stream: &mut Stream) -> usize {
        let (first, weights) = &self.cohorts[cohort];
        first + stream.pick(weights)
    }

    /// A subscription installs a version. Everything its old processes were doing is given up.
    pub(super) fn switch(&mut self, subscription: usize, version: usize) {
        let subscription = &mut self.subscriptions[subscription];
        subscription.version = version;
        subscription.installation += 1;
        subscription.running = 0;
    }
}
