//! Customers: logical requests that begin, attempts that are due, versions that are installed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::model::Text;
use crate::sim::plan::{cumulative, micros};
use crate::sim::random::{Stream, scramble};
use crate::sim::schedule::{Micros, SECOND_US};

use super::arrivals::Batches;
use super::conditions::GroupNow;
use super::spec::{EffectKind, GroupSpec, PlatformScenario};

/// Attempts that are scheduled at a time; further requests are not begun.
const SCHEDULED_MAX: usize = 200_000;

/// An attempt that is due. It is ordered by time, then by when it was scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Attempt {
    pub at_us: Micros,
    pub sequence: u64,
    pub group: usize,
    pub subscription: usize,
    /// Index of the client version; that of the first attempt.
    pub version: usize,
    pub route: usize,
    pub key: u64,
    /// From 1; 0: the request has not begun.
    pub number: u32,
    pub fails_persistently: bool,
}

/// A version that customers of a group install.
#[derive(Debug)]
struct Install {
    at_us: Micros,
    over_us: Micros,
    share: f64,
    version: usize,
}

/// A group with its names resolved.
#[derive(Debug)]
pub(super) struct Group {
    pub names: Vec<Text>,
    batches: Batches,
    batch_spread_us: Micros,
    concurrency: u32,
    /// Requests under way, by subscription.
    running: Vec<u32>,
    routes: Vec<usize>,
    versions: Vec<usize>,
    version_weights: Vec<f64>,
    installs: Vec<Install>,
    pub clock_ahead_ms: i64,
}

impl Group {
    fn new(scenario: &PlatformScenario, spec: &GroupSpec) -> Self {
        let version = |name: &str| {
            scenario.versions.iter().position(|v| v.client == spec.client && v.version == name).unwrap_or(0)
        };
        let install = |effect: &super::spec::EffectSpec| match &effect.what {
            EffectKind::Install { group, version: name, over, share } if *group == spec.name => Some(Install {
                at_us: micros(effect.at),
                over_us: micros(*over),
                share: *share,
                version: version(name),
            }),
            _ => None,
        };
        let mut installs: Vec<Install> = scenario.effects.iter().filter_map(install).collect();
        installs.sort_by_key(|install| install.at_us);
        let route = |name: &String| scenario.routes.iter().position(|route| route.name == name.as_str()).unwrap_or(0);
        Self {
            names: (1..=spec.subscriptions).map(|number| Text::from(format!("{}-{number}", spec.name))).collect(),
            batches: Batches::new(spec),
            batch_spread_us: micros(spec.batch_spread),
            concurrency: spec.concurrency,
            running: vec![0; spec.subscriptions as usize],
            routes: spec.routes.keys().map(route).collect(),
            versions: spec.versions.keys().map(|name| version(name)).collect(),
            version_weights: cumulative(spec.versions.values().copied()),
            installs,
            clock_ahead_ms: (spec.clock_ahead_seconds * 1_000.0) as i64,
        }
    }

    /// The version a subscription runs: a number of its own, the same for all time, says where it stands.
    fn version(&self, subscription: usize, now_us: Micros) -> usize {
        let rank = |salt: u64| scramble((subscription as u64) << 8 | salt) as f64 / u64::MAX as f64;
        let installed = self.installs.iter().rev().find(|install| {
            let place = rank(1);
            place < install.share
                && now_us >= install.at_us.saturating_add((install.over_us as f64 * place / install.share) as Micros)
        });
        installed.map(|install| install.version).unwrap_or_else(|| {
            let total = self.version_weights.last().copied().unwrap_or(0.0);
            let place = rank(2) * total;
            let index = self.version_weights.partition_point(|sum| *sum <= place);
            self.versions.get(index).or(self.versions.last()).copied().unwrap_or(0)
        })
    }
}

/// All customers and what they have scheduled.
#[derive(Debug)]
pub(super) struct Customers {
    pub groups: Vec<Group>,
    scheduled: BinaryHeap<Reverse<Attempt>>,
    sequence: u64,
    seed: u64,
}

impl Customers {
    pub(super) fn new(scenario: &PlatformScenario, seed: u64) -> Self {
        Self {
            groups: scenario.groups.iter().map(|spec| Group::new(scenario, spec)).collect(),
            scheduled: BinaryHeap::new(),
            sequence: 0,
            seed: scramble(seed),
        }
    }

    /// Attempts scheduled.
    pub(super) fn len(&self) -> usize {
        self.scheduled.len()
    }

    /// The batches that begin in the second at `now_us`.
    pub(super) fn begin_batches(&mut self, now: &[GroupNow], load: f64, now_us: Micros, stream: &mut Stream) {
        for (index, group_now) in now.iter().enumerate() {
            let group = &self.groups[index];
            for _ in 0..group.batches.begin(load * group_now.factor, stream) {
                let group = &self.groups[index];
                let subscription = group.batches.subscription(stream);
                let begins_us = now_us + stream.uniform_us(SECOND_US);
                for place in 0..group.batches.requests(stream) {
                    let group = &self.groups[index];
                    let route = group.routes[stream.pick(&group_now.routes)];
                    // The first one begins the batch, so that single requests are not delayed.
                    let delay_us = if place == 0 { 0 } else { stream.uniform_us(group.batch_spread_us.max(1)) };
                    self.schedule(Attempt {
                        at_us: begins_us + delay_us,
                        sequence: 0,
                        group: index,
                        subscription,
                        version: 0,
                        route,
                        key: 0,
                        number: 0,
                        fails_persistently: false,
                    });
                }
            }
        }
    }

    /// The next attempt due before `until_us`, begun if it is a first one.
    pub(super) fn due(
        &mut self,
        scenario: &PlatformScenario,
        until_us: Micros,
        stream: &mut Stream,
    ) -> Option<Attempt> {
        while self.scheduled.peek().is_some_and(|Reverse(attempt)| attempt.at_us < until_us) {
            let Reverse(mut attempt) = self.scheduled.pop()?;
            let group = &mut self.groups[attempt.group];
            let version = group.version(attempt.subscription, attempt.at_us);
            if attempt.number == 0 {
                if group.running[attempt.subscription] >= group.concurrency {
                    continue;
                }
                group.running[attempt.subscription] += 1;
                attempt.version = version;
                attempt.key = scramble(self.seed ^ attempt.sequence);
                let share = scenario.versions[version].persistent_failure_share;
                let applies = scenario.routes[attempt.route].persistent_failures;
                attempt.fails_persistently = applies && stream.chance(share);
            } else if attempt.version != version {
                // Its process is gone: another version was installed.
                self.end(&attempt);
                continue;
            }
            attempt.number += 1;
            return Some(attempt);
        }
        None
    }

    /// Tries an attempt's request again.
    pub(super) fn try_again(&mut self, attempt: Attempt, at_us: Micros) {
        self.schedule(Attempt { at_us, ..attempt });
    }

    /// A request is over, well or not.
    pub(super) fn end(&mut self, attempt: &Attempt) {
        let running = &mut self.groups[attempt.group].running[attempt.subscription];
        *running = running.saturating_sub(1);
    }

    fn schedule(&mut self, attempt: Attempt) {
        if self.scheduled.len() >= SCHEDULED_MAX {
            if attempt.number > 0 {
                self.end(&attempt);
            }
            return;
        }
        self.sequence += 1;
        self.scheduled.push(Reverse(Attempt { sequence: self.sequence, ..attempt }));
    }
}
