//! Evidence that a group repeats beyond any budget, accumulated until chance is refused.
//!
//! Told by attempts and keys: the share of attempts beyond the third. Inferred without them: how many there are against how
//! many the streams' own pace brings.

use rustc_hash::{FxHashMap, FxHashSet};

use super::dispersion::{Dispersion, FANO_MIN};
use super::onset_demand::{GROWTH_MAX, Growth, OnsetDemand};
use super::retry_groups::Group;
use crate::detect::Scene;
use crate::detect::statistics::{BernoulliCusum, cusum_threshold, poisson_cusum};
use crate::flow::{Cell, Name};
use crate::model::{DurationMs, Timestamp};

/// Ten-second steps of a week, over three kinds of group ...
const STEPS_A_FALSE_ALARM: f64 = 60_480.0 * 3.0;
/// ... of so many subscriptions ...
const SUBSCRIPTIONS: f64 = 1e5;
/// ... and so many versions and callers.
const VERSIONS: f64 = 1e3;
/// Groups with a score of their own, told and inferred each. Groups without repeats need none.
const GROUPS_MAX: usize = 100_000;
/// Customers of versions in trouble whose requests of before are remembered; those of further ones are no growth.
const TROUBLED_CUSTOMERS_MAX: usize = 100_000;
/// A suspect without traffic for this long is a suspect no more: its next storm is another one.
const SILENT_MS: DurationMs = 600_000;
/// Inferred repeats beyond the third that are still accepted: this many times what chance brings ...
pub const CHANCE_FACTOR: f64 = 1.5;
/// ... and this share of the requests, because a stream's pace is only known so well.
const INFERRED_SHARE_ALLOWED: f64 = 0.03;
/// Times what is accepted that is looked for.
const INFERRED_ALARM_FACTOR: f64 = 2.2;
/// Customers of a version who repeat beyond the third attempt in the same window, in times what is expected by chance: the
/// alternatives that are looked for. Customers are independent of each other where the requests of one are not.
const CUSTOMERS_ALARM_FACTORS: [f64; 2] = [5.0, 20.0];
/// As many of a version's requests are accepted to look so whatever the streams' pace says ...
const CUSTOMERS_SHARE_ALLOWED: f64 = 0.002;
/// ... and fewer customers than this may be a customer's own doing.
const CUSTOMERS_MIN: usize = 3;
/// First requests that a ratio of first requests is not trusted below.
const FIRSTS_PRIOR: f64 = 5.0;
/// What is kept of first requests from window to window: a crowd is known as one within seconds.
const FIRSTS_KEPT: f64 = 0.75;
/// Load beyond three times demand that no chance explains, in standard deviations ...
const EXCESS_Z: f64 = 3.0;
/// ... of demand as bursty as customers are. Their tail is exponential, its length their Fano factor: so many times that.
const EXCESS_TAIL: f64 = 15.0;

#[derive(Debug, Clone, Copy, Default)]
struct Score {
    score: f64,
    since: Timestamp,
    last: Timestamp,
    /// First requests of late, and as many as the streams' own pace brings.
    firsts: f64,
    firsts_expected: f64,
    /// By customers instead of requests, against each of [`CUSTOMERS_ALARM_FACTORS`].
    customers: [f64; 2],
}

/// A group in the window that has just closed, or in the last minute.
#[derive(Debug, Default)]
struct Sums {
    cell: Cell,
    /// Customers with inferred attempts beyond the third.
    customers: FxHashSet<Name>,
}

impl Sums {
    fn add(&mut self, subscription: Name, cell: &Cell) {
        self.cell.add(cell);
        if cell.inferred.beyond_budget > 0 {
            self.customers.insert(subscription);
        }
    }
}

/// Scores by group.
#[derive(Debug)]
pub struct Scores {
    cusum: BernoulliCusum,
    told: FxHashMap<Group, Score>,
    inferred: FxHashMap<Group, Score>,
    dispersion: Dispersion,
    /// Of versions.
    demands: FxHashMap<Group, OnsetDemand>,
    overflowed: u64,
}

impl Scores {
    /// No evidence yet; shares of attempts beyond the third as in the rule.
    #[must_use]
    pub fn new(allowed: f64, alarm: f64) -> Self {
        Self {
            cusum: BernoulliCusum::new(allowed, alarm),
            told: FxHashMap::default(),
            inferred: FxHashMap::default(),
            dispersion: Dispersion::default(),
            demands: FxHashMap::default(),
            overflowed: 0,
        }
    }

    /// Takes in the window that has just closed.
    pub fn step(&mut self, scene: &Scene<'_>) {
        self.dispersion.observe(scene);
        let fano = self.dispersion.fano();
        let mut sums: FxHashMap<Group, Sums> = FxHashMap::default();
        for (key, cell) in &scene.window.cells {
            for group in Group::of(key) {
                let known = cell.resends_beyond_budget > 0 || cell.inferred.beyond_budget > 0 || self.has(group);
                if known || is_of_many(group) {
                    sums.entry(group).or_default().add(key.subscription, cell);
                }
            }
        }
        let start = scene.window.start;
        let silent = |score: &Score| start.since(score.last) > SILENT_MS;
        self.told.retain(|_, score| !silent(score));
        self.inferred.retain(|_, score| !silent(score));
        self.follow_demand(&sums, scene);
        let of_minute = self.minute(&sums, scene);
        for (group, sums) in sums {
            let (cell, threshold) = (&sums.cell, threshold(group));
            let mut told = self.told.get(&group).copied().unwrap_or_default();
            let max = 2.0 * threshold;
            told.score = self.cusum.step(told.score, cell.resends_beyond_budget, cell.requests, max);
            self.overflowed += put(&mut self.told, group, told, start);
            let mut inferred = self.inferred.get(&group).copied().unwrap_or_default();
            match of_minute.get(&group) {
                Some(minute) if 2 * minute.cell.attempts_known < minute.cell.requests => {
                    inferred.step(&sums, minute, fano, threshold);
                    if self.demands.get(&group).is_some_and(|demand| demand.is_exceeded(|mean| burst(mean, fano))) {
                        inferred.score = inferred.score.max(threshold);
                    }
                }
                _ => (inferred.score, inferred.customers) = (0.0, [0.0; 2]),
            }
            self.overflowed += put(&mut self.inferred, group, inferred, start);
        }
    }

    /// Follows the load of versions, in trouble or not.
    fn follow_demand(&mut self, sums: &FxHashMap<Group, Sums>, scene: &Scene<'_>) {
        let (start, end) = (scene.window.start, scene.window.end);
        self.demands.retain(|_, demand| !demand.is_forgotten(start));
        for (group, sums) in sums.iter().filter(|(group, _)| is_of_many(**group)) {
            if self.demands.len() < GROUPS_MAX || self.demands.contains_key(group) {
                self.demands.entry(*group).or_default().observe(&sums.cell, (start, end));
            } else {
                self.overflowed += 1;
            }
        }
        self.remember_customers(scene);
    }

    /// Remembers who is on the versions whose trouble has just begun.
    fn remember_customers(&mut self, scene: &Scene<'_>) {
        let start = scene.window.start;
        if !self.demands.values().any(|demand| demand.has_begun(start)) {
            return;
        }
        let mut room = TROUBLED_CUSTOMERS_MAX.saturating_sub(self.demands.values().map(OnsetDemand::customers).sum());
        for (key, cell) in scene.recent.cells() {
            for group in Group::of(key).filter(|group| matches!(group, Group::Version { .. })) {
                if let Some(demand) = self.demands.get_mut(&group).filter(|demand| demand.has_begun(start)) {
                    self.overflowed += u64::from(!demand.remember(key.subscription, cell.requests, &mut room));
                }
            }
        }
    }

    /// How the load of a version has grown in its trouble, if that is more than well-behaved clients make of it.
    pub(super) fn growth(&self, group: Group, minute: &FxHashMap<Name, Cell>) -> Option<Growth> {
        let (demand, fano) = (self.demands.get(&group)?, self.dispersion.fano());
        let burst = |mean| burst(mean, fano);
        let stands_out = demand.is_exceeded(burst) && self.outgrows_others(group, demand);
        stands_out.then(|| demand.growth(minute, burst)).flatten()
    }

    /// Whether the load of a version has grown by more than that of all others: in a crowd all grow.
    #[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
    fn outgrows_others(&self, group: Group, own: &OnsetDemand) -> bool {
        let others = self.demands.iter().filter(|(other, _)| **other != group);
        let (load, demand) = others.fold((0, 0), |(load, demand), (_, other)| {
            let (more_load, more_demand) = other.load_and_demand_milli();
            (load + more_load, demand + more_demand)
        });
        let (own_load, own_demand) = own.load_and_demand_milli();
        own_load as f64 * demand as f64 >= GROWTH_MAX * load as f64 * own_demand as f64
    }

    /// The last minute of groups about which something is inferred.
    fn minute(&self, sums: &FxHashMap<Group, Sums>, scene: &Scene<'_>) -> FxHashMap<Group, Sums> {
        let inferred = sums
            .iter()
            .filter(|(group, sums)| sums.cell.inferred.beyond_budget > 0 || self.inferred.contains_key(*group));
        let groups: FxHashSet<Group> = inferred.map(|(group, _)| *group).collect();
        let mut minute: FxHashMap<Group, Sums> = FxHashMap::default();
        if groups.is_empty() {
            return minute;
        }
        for (key, cell) in scene.recent.cells() {
            for group in Group::of(key).filter(|group| groups.contains(group)) {
                minute.entry(group).or_default().add(key.subscription, cell);
            }
        }
        minute
    }

    fn has(&self, group: Group) -> bool {
        self.told.contains_key(&group) || self.inferred.contains_key(&group)
    }

    /// Whether any group repeats beyond chance.
    #[must_use]
    pub fn any(&self) -> bool {
        let beyond = |(group, score): (&Group, &Score)| score.score >= threshold(*group);
        self.told.iter().any(beyond) || self.inferred.iter().any(beyond)
    }

    /// Whether a group repeats beyond chance.
    #[must_use]
    pub fn beyond_chance(&self, group: Group) -> bool {
        self.is_told(group) || self.inferred.get(&group).is_some_and(|score| score.score >= threshold(group))
    }

    /// Whether it does by what its requests tell, not only by what is inferred.
    #[must_use]
    pub fn is_told(&self, group: Group) -> bool {
        self.told.get(&group).is_some_and(|score| score.score >= threshold(group))
    }

    /// Since when there has been evidence against a group.
    #[must_use]
    pub fn since(&self, group: Group) -> Option<Timestamp> {
        let scores = if self.is_told(group) { &self.told } else { &self.inferred };
        scores.get(&group).map(|score| score.since)
    }

    /// Groups that there was no room for.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

/// Whether a group is of many customers.
fn is_of_many(group: Group) -> bool {
    matches!(group, Group::Version { .. } | Group::Unversioned)
}

/// The score at which chance is refused.
fn threshold(group: Group) -> f64 {
    let groups = match group {
        Group::Subscription(_) => SUBSCRIPTIONS,
        Group::Version { .. } | Group::Unversioned | Group::Caller { .. } => VERSIONS,
    };
    cusum_threshold(groups * STEPS_A_FALSE_ALARM)
}

/// Keeps a score above zero; gives how many could not be kept.
fn put(scores: &mut FxHashMap<Group, Score>, group: Group, score: Score, start: Timestamp) -> u64 {
    let before = scores.get(&group).copied();
    if score.score <= 0.0 && score.customers.iter().all(|score| *score <= 0.0) {
        scores.remove(&group);
    } else if before.is_some() || scores.len() < GROUPS_MAX {
        scores.insert(group, Score { since: before.map_or(start, |s| s.since), last: start, ..score });
    } else {
        return 1;
    }
    0
}

#[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
impl Score {
    /// Takes in a window in which nothing, or too little, is told; `minute` is the last one, this window included.
    fn step(&mut self, window: &Sums, minute: &Sums, fano: f64, threshold: f64) {
        let (customers, several) = (window.customers.len(), minute.customers.len() >= CUSTOMERS_MIN);
        let (window, minute) = (&window.cell, &minute.cell);
        self.firsts = self.firsts * FIRSTS_KEPT + window.inferred.firsts as f64;
        self.firsts_expected = self.firsts_expected * FIRSTS_KEPT + per_mille(window.inferred.firsts_expected_milli);
        let factor = self.demand_factor(minute);
        let unmarked = window.requests.saturating_sub(window.attempts_known) as f64;
        let chance = per_mille(window.inferred.beyond_by_chance_milli);
        let accepted = CHANCE_FACTOR * factor * chance + INFERRED_SHARE_ALLOWED * unmarked;
        let observed = window.inferred.beyond_budget as f64;
        // Quasi-likelihood: evidence of over-dispersed counts weighs less by the factor.
        let weight = FANO_MIN / fano;
        let score = poisson_cusum(self.score, weight * observed, weight * accepted, INFERRED_ALARM_FACTOR);
        self.score = score.min(2.0 * threshold);
        let expected = factor * chance + CUSTOMERS_SHARE_ALLOWED * unmarked;
        let alternatives = self.customers.iter_mut().zip(CUSTOMERS_ALARM_FACTORS);
        for (score, alarm) in alternatives {
            *score = poisson_cusum(*score, customers as f64, expected, alarm).min(2.0 * threshold);
        }
        // Two alternatives are twice as many tests.
        let by_customers = several && self.customers.iter().any(|score| *score >= threshold + 2_f64.ln());
        if by_customers || exceeds_compliant(minute, factor, fano) {
            self.score = self.score.max(threshold);
        }
    }

    /// How many times more first requests come than the streams' own pace brings, now or over the minute; demand that
    /// fell proves nothing.
    fn demand_factor(&self, minute: &Cell) -> f64 {
        let factor = |firsts: f64, expected: f64| (firsts + FIRSTS_PRIOR) / (expected + FIRSTS_PRIOR);
        let of_minute = factor(minute.inferred.firsts as f64, per_mille(minute.inferred.firsts_expected_milli));
        factor(self.firsts, self.firsts_expected).max(of_minute).max(1.0)
    }
}

/// Whether a minute holds more requests than clients make that give up after three attempts, and failures pay for them.
#[allow(clippy::cast_precision_loss)]
fn exceeds_compliant(minute: &Cell, demand_factor: f64, fano: f64) -> bool {
    let inferred = &minute.inferred;
    let load = (inferred.firsts + inferred.resends) as f64;
    let usual = per_mille(inferred.firsts_expected_milli + inferred.resends_by_chance_milli);
    let demand = demand_factor * usual;
    // Three attempts of each, as far as attempts fail: 1 + f + f².
    let failing = minute.failure_ratio();
    let attempts = 1.0 + failing + failing * failing;
    let compliant = attempts * (demand + burst(demand, fano));
    load > compliant && 2.0 * minute.failures as f64 >= load - usual
}

/// What bursty customers may send in a minute beyond a demand.
fn burst(demand: f64, fano: f64) -> f64 {
    EXCESS_Z * (fano * (demand + 1.0)).sqrt() + EXCESS_TAIL * (fano - FANO_MIN)
}

#[allow(clippy::cast_precision_loss)]
fn per_mille(milli: u64) -> f64 {
    milli as f64 / 1_000.0
}
