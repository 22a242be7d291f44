//! Evidence that a group repeats beyond any budget, accumulated until chance is refused.
//!
//! Told by attempts and keys: the share of attempts beyond the third. Inferred without them: how many there are against how
//! many the streams' own pace brings.

use rustc_hash::{FxHashMap, FxHashSet};

use super::Scene;
use super::retry_groups::Group;
use super::statistics::{BernoulliCusum, cusum_threshold, poisson_cusum};
use crate::flow::Cell;
use crate::model::{DurationMs, Timestamp};

/// One false alarm in 10⁵ subscriptions × 60,480 ten-second steps (a week), over three kinds of group.
const RUNS_A_FALSE_ALARM: f64 = 1e5 * 60_480.0 * 3.0;
/// Groups with a score of their own, told and inferred each. Groups without repeats need none.
const GROUPS_MAX: usize = 100_000;
/// A suspect without traffic for this long is a suspect no more: its next storm is another one.
const SILENT_MS: DurationMs = 600_000;
/// Inferred repeats beyond the third that are still accepted: this many times what chance brings ...
pub const CHANCE_FACTOR: f64 = 1.5;
/// ... and this share of the requests, because a stream's pace is only known so well.
const INFERRED_SHARE_ALLOWED: f64 = 0.03;
/// Times what is accepted that is looked for.
const INFERRED_ALARM_FACTOR: f64 = 3.0;
/// First requests that a ratio of first requests is not trusted below.
const FIRSTS_PRIOR: f64 = 5.0;

#[derive(Debug, Clone, Copy)]
struct Score {
    score: f64,
    since: Timestamp,
    last: Timestamp,
}

/// Scores by group.
#[derive(Debug)]
pub struct Scores {
    cusum: BernoulliCusum,
    threshold: f64,
    told: FxHashMap<Group, Score>,
    inferred: FxHashMap<Group, Score>,
    overflowed: u64,
}

impl Scores {
    /// No evidence yet; shares of attempts beyond the third as in the rule.
    #[must_use]
    pub fn new(allowed: f64, alarm: f64) -> Self {
        Self {
            cusum: BernoulliCusum::new(allowed, alarm),
            threshold: cusum_threshold(RUNS_A_FALSE_ALARM),
            told: FxHashMap::default(),
            inferred: FxHashMap::default(),
            overflowed: 0,
        }
    }

    /// Takes in the window that has just closed.
    pub fn step(&mut self, scene: &Scene<'_>) {
        let mut sums: FxHashMap<Group, Cell> = FxHashMap::default();
        for (key, cell) in &scene.window.cells {
            for group in Group::of(key) {
                let known = cell.resends_beyond_budget > 0 || cell.inferred.beyond_budget > 0 || self.has(group);
                if known || matches!(group, Group::Version { .. }) {
                    sums.entry(group).or_default().add(cell);
                }
            }
        }
        let start = scene.window.start;
        let silent = |score: &Score| start.since(score.last) > SILENT_MS;
        self.told.retain(|_, score| !silent(score));
        self.inferred.retain(|_, score| !silent(score));
        let of_minute = self.minute(&sums, scene);
        let max = 2.0 * self.threshold;
        for (group, cell) in sums {
            let before = self.told.get(&group).map_or(0.0, |score| score.score);
            let score = self.cusum.step(before, cell.resends_beyond_budget, cell.requests, max);
            self.overflowed += put(&mut self.told, group, score, start);
            let before = self.inferred.get(&group).map_or(0.0, |score| score.score);
            let score = match of_minute.get(&group) {
                Some(minute) if 2 * minute.attempts_known < minute.requests => {
                    inferred_step(before, &cell, demand_factor(minute)).min(max)
                }
                _ => 0.0,
            };
            self.overflowed += put(&mut self.inferred, group, score, start);
        }
    }

    /// The last minute of groups about which something is inferred.
    fn minute(&self, sums: &FxHashMap<Group, Cell>, scene: &Scene<'_>) -> FxHashMap<Group, Cell> {
        let inferred =
            sums.iter().filter(|(group, cell)| cell.inferred.beyond_budget > 0 || self.inferred.contains_key(*group));
        let groups: FxHashSet<Group> = inferred.map(|(group, _)| *group).collect();
        let mut minute: FxHashMap<Group, Cell> = FxHashMap::default();
        if groups.is_empty() {
            return minute;
        }
        for (key, cell) in scene.recent.cells() {
            for group in Group::of(key).filter(|group| groups.contains(group)) {
                minute.entry(group).or_default().add(cell);
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
        let beyond = |score: &Score| score.score >= self.threshold;
        self.told.values().any(beyond) || self.inferred.values().any(beyond)
    }

    /// Whether a group repeats beyond chance.
    #[must_use]
    pub fn beyond_chance(&self, group: Group) -> bool {
        self.is_told(group) || self.inferred.get(&group).is_some_and(|score| score.score >= self.threshold)
    }

    /// Whether it does by what its requests tell, not only by what is inferred.
    #[must_use]
    pub fn is_told(&self, group: Group) -> bool {
        self.told.get(&group).is_some_and(|score| score.score >= self.threshold)
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

/// Keeps a score above zero; gives how many could not be kept.
fn put(scores: &mut FxHashMap<Group, Score>, group: Group, score: f64, start: Timestamp) -> u64 {
    let before = scores.get(&group).copied();
    if score <= 0.0 {
        scores.remove(&group);
    } else if before.is_some() || scores.len() < GROUPS_MAX {
        scores.insert(group, Score { score, since: before.map_or(start, |s| s.since), last: start });
    } else {
        return 1;
    }
    0
}

/// How many times more first requests come than the streams' own pace brings; demand that fell proves nothing.
#[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
fn demand_factor(minute: &Cell) -> f64 {
    let expected = minute.inferred.firsts_expected_milli as f64 / 1_000.0;
    ((minute.inferred.firsts as f64 + FIRSTS_PRIOR) / (expected + FIRSTS_PRIOR)).max(1.0)
}

#[allow(clippy::cast_precision_loss)]
fn inferred_step(before: f64, cell: &Cell, demand_factor: f64) -> f64 {
    let chance = cell.inferred.beyond_by_chance_milli as f64 / 1_000.0;
    let unmarked = cell.requests.saturating_sub(cell.attempts_known) as f64;
    let accepted = CHANCE_FACTOR * demand_factor * chance + INFERRED_SHARE_ALLOWED * unmarked;
    poisson_cusum(before, cell.inferred.beyond_budget as f64, accepted, INFERRED_ALARM_FACTOR)
}
