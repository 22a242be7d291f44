//! `RetryAmplification`: a client version, a subscription or a calling service repeats requests beyond any retry budget.
//!
//! Evidence is causal, not a rate: attempts that no well-behaved client makes (the fourth and later of one logical
//! request), told by attempts and keys or inferred from failures, accumulated per group until chance is refused. A client
//! that stops after three attempts is therefore never named, not even in a full outage. Impact is the repeats' share of the
//! load.

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use super::retry_groups::{Group, Suspect};
use super::retry_scores::Scores;
use super::retry_words::{BEHAVES_SHARE_MAX, Culprit, OTHERS_REQUESTS_MIN, SHARE_MIN, finding, spread};
use crate::detect::statistics::wilson_lower;
use crate::detect::{Detector, Finding, Scene};
use crate::flow::{Cell, Name, ratio};
use crate::model::{DurationMs, Timestamp};

/// Subscriptions whose first version is remembered; further ones are taken to have been on theirs for ever.
const FIRST_VERSION_MAX: usize = 200_000;
/// More subscriptions than this at once, with no version in common, are reported as one finding.
const SUBSCRIPTIONS_APART_MAX: usize = 5;
/// Failed requests others must have had: who never fails has nothing to repeat.
const OTHERS_FAILURES_MIN: u64 = 10;
/// Among many subscriptions, one with this share of the repeats is named alone.
const DOMINANT_SHARE_MIN: f64 = 0.5;
/// A version once blamed stays so for this long while it remains a suspect: culprits do not change by the second.
const BLAME_MS: DurationMs = 600_000;
/// Half-life of the platform's normal attempts per request, in windows (an hour of five-second windows).
const BASELINE_WINDOWS: f64 = 720.0;

/// `detect: {retry_amplification: …}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryAmplificationSpec {
    /// Share of attempts beyond the third that is still accepted.
    pub beyond_budget_allowed: f64,
    /// Share of attempts beyond the third that is looked for.
    pub beyond_budget_alarm: f64,
    /// Least attempts per logical request over the last minute.
    pub attempts_per_request_min: f64,
    /// Least share of the platform's load that the group's repeats make, over the last minute.
    pub load_share_min: f64,
}

impl Default for RetryAmplificationSpec {
    fn default() -> Self {
        Self {
            beyond_budget_allowed: 0.002,
            beyond_budget_alarm: 0.15,
            attempts_per_request_min: 1.1,
            load_share_min: 0.05,
        }
    }
}

/// The detector's state.
#[derive(Debug)]
pub struct RetryAmplification {
    spec: RetryAmplificationSpec,
    scores: Scores,
    /// The version each subscription was first seen on.
    first_version: FxHashMap<Name, Group>,
    /// When each version was last blamed.
    blamed: FxHashMap<Group, Timestamp>,
    baseline_requests: f64,
    baseline_firsts: f64,
}

/// Who is to blame.
struct Culprits {
    /// Each by name.
    named: Vec<Group>,
    /// Subscriptions that are only together worth a word.
    spread: Vec<Group>,
}

impl RetryAmplification {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(spec: RetryAmplificationSpec) -> Self {
        Self {
            scores: Scores::new(spec.beyond_budget_allowed, spec.beyond_budget_alarm),
            spec,
            first_version: FxHashMap::default(),
            blamed: FxHashMap::default(),
            baseline_requests: 0.0,
            baseline_firsts: 0.0,
        }
    }

    /// The version each subscription was first seen on.
    fn remember_versions(&mut self, scene: &Scene<'_>) {
        for (key, _) in &scene.window.cells {
            for group in Group::of(key) {
                self.remember(key.subscription, group);
            }
        }
    }

    fn remember(&mut self, subscription: Name, group: Group) {
        let room = self.first_version.len() < FIRST_VERSION_MAX;
        if matches!(group, Group::Version { .. }) && (room || self.first_version.contains_key(&subscription)) {
            self.first_version.entry(subscription).or_insert(group);
        }
    }

    /// Groups with repeats beyond any budget in the last minute: all versions, others only beyond chance.
    fn suspects(&self, scene: &Scene<'_>) -> FxHashMap<Group, Suspect> {
        let mut suspects: FxHashMap<Group, Suspect> = FxHashMap::default();
        if !self.scores.any() {
            return suspects;
        }
        for (key, cell) in scene.recent.cells() {
            for group in Group::of(key) {
                if matches!(group, Group::Version { .. } | Group::Unversioned) || self.scores.beyond_chance(group) {
                    let suspect = suspects.entry(group).or_default();
                    suspect.cell.add(cell);
                    suspect.by_subscription.entry(key.subscription).or_default().add(cell);
                }
            }
        }
        for (group, suspect) in suspects.iter_mut().filter(|(group, _)| matches!(group, Group::Version { .. })) {
            let growth = self.scores.growth(*group, &suspect.by_subscription);
            growth.iter().for_each(|growth| suspect.count_growth(growth));
        }
        suspects.retain(|_, suspect| suspect.cell.beyond_budget() > 0);
        suspects
    }

    /// Whether a suspect repeats beyond chance, however little it is of the load.
    fn repeats(&self, group: Group, suspect: &Suspect) -> bool {
        self.scores.beyond_chance(group) && suspect.cell.attempts_per_request() >= self.spec.attempts_per_request_min
    }

    /// Whether repeats are enough of the load to matter.
    fn matters(&self, resends: u64, requests: u64, scene: &Scene<'_>) -> bool {
        let load = scene.recent.edge_total().requests.max(requests);
        ratio(resends, load) >= self.spec.load_share_min
    }

    fn group_matters(&self, group: Group, suspects: &FxHashMap<Group, Suspect>, scene: &Scene<'_>) -> bool {
        let cell = &suspects[&group].cell;
        self.matters(cell.resends_likely(), cell.requests, scene)
    }

    /// The version that makes most of a subscription's repeats.
    fn version_of(subscription: Name, repeats: u64, suspects: &FxHashMap<Group, Suspect>) -> Option<Group> {
        let of_version = |(group, suspect): (&Group, &Suspect)| {
            let own = suspect.by_subscription.get(&subscription)?.beyond_budget();
            let most = matches!(group, Group::Version { .. }) && ratio(own, repeats) >= SHARE_MIN;
            most.then_some(*group)
        };
        suspects.iter().find_map(of_version)
    }

    /// A version is to blame unless one subscription makes its repeats while others on it fail too and behave. When
    /// nobody else on it fails, it is to blame if that subscription came to it from another version.
    fn version_is_to_blame(&self, version: Group, suspect: &Suspect, end: Timestamp) -> bool {
        if self.blamed.get(&version).is_some_and(|at| end.since(*at) <= BLAME_MS) {
            return true;
        }
        let top = suspect.by_subscription.iter().max_by_key(|(_, c)| (c.beyond_budget(), c.requests));
        let Some((subscription, top)) = top else { return false };
        if ratio(top.beyond_budget(), suspect.cell.beyond_budget()) < SHARE_MIN {
            return true;
        }
        let mut others = suspect.cell;
        others.subtract(top);
        if others.failures >= OTHERS_FAILURES_MIN && others.requests >= OTHERS_REQUESTS_MIN {
            return wilson_lower(others.beyond_budget(), others.requests, 3.0) > BEHAVES_SHARE_MAX;
        }
        self.first_version.get(subscription).is_some_and(|first| *first != version)
    }

    /// The culprits: versions to blame, then subscriptions and callers that no such version explains.
    fn culprits(&mut self, suspects: &FxHashMap<Group, Suspect>, scene: &Scene<'_>) -> Culprits {
        let end = scene.window.end;
        let matters = |group: &Group| self.group_matters(*group, suspects, scene);
        let blame = |version: &Group| self.version_is_to_blame(*version, &suspects[version], end);
        let (mut versions, mut callers, mut subscriptions) = (FxHashSet::default(), Vec::new(), Vec::new());
        let mut pooled = Vec::new();
        for (group, suspect) in suspects.iter().filter(|(group, suspect)| self.repeats(**group, suspect)) {
            match group {
                Group::Version { .. } => versions.extend((matters(group) && blame(group)).then_some(*group)),
                // Healthy customers on a version dilute it: one who stands out may show what the version does.
                Group::Subscription(name) => {
                    let version = Self::version_of(*name, suspect.cell.beyond_budget(), suspects);
                    match version.filter(|version| matters(version) && blame(version)) {
                        Some(version) => versions.extend([version]),
                        None => subscriptions.push(*group),
                    }
                }
                Group::Unversioned => pooled.extend((matters(group) && self.is_shared(suspect, end)).then_some(*group)),
                Group::Caller { .. } => callers.extend(matters(group).then_some(*group)),
            }
        }
        self.blamed.retain(|_, at| end.since(*at) <= BLAME_MS);
        self.blamed.extend(versions.iter().chain(&pooled).map(|group| (*group, end)));
        // Whoever stormed with the others is not a culprit of its own when theirs ends a moment earlier.
        subscriptions.retain(|group| !self.is_explained(*group, suspects));
        if self.is_spread(&subscriptions, suspects, scene) {
            pooled.append(&mut subscriptions);
        }
        subscriptions.retain(|group| self.group_matters(*group, suspects, scene));
        let named: Vec<Group> = versions.into_iter().chain(callers).chain(subscriptions).collect();
        let sorted = |mut groups: Vec<Group>| {
            groups.sort_by_cached_key(|group| group.labels(scene.names));
            groups
        };
        Culprits { named: sorted(named), spread: sorted(pooled) }
    }

    /// Whether versions, or customers without one, blamed of late make at least half of a subscription's repeats.
    fn is_explained(&self, group: Group, suspects: &FxHashMap<Group, Suspect>) -> bool {
        let Group::Subscription(name) = group else { return false };
        let of = |blamed: &Group| suspects.get(blamed)?.by_subscription.get(&name).map(Cell::beyond_budget);
        let explained: u64 = self.blamed.keys().filter_map(of).sum();
        2 * explained >= suspects[&group].cell.beyond_budget()
    }

    /// Whether the repeats of customers without a version are not those of a few who can be named.
    fn is_shared(&self, suspect: &Suspect, end: Timestamp) -> bool {
        let mut shares: Vec<u64> = suspect.by_subscription.values().map(Cell::beyond_budget).collect();
        shares.sort_unstable_by_key(|beyond| std::cmp::Reverse(*beyond));
        let few: u64 = shares.iter().take(SUBSCRIPTIONS_APART_MAX).sum();
        let all: u64 = shares.iter().sum();
        self.blamed.get(&Group::Unversioned).is_some_and(|at| end.since(*at) <= BLAME_MS) || ratio(few, all) < SHARE_MIN
    }

    /// Whether many subscriptions repeat, none of them most of it, and all of them enough to matter together.
    fn is_spread(&self, subscriptions: &[Group], suspects: &FxHashMap<Group, Suspect>, scene: &Scene<'_>) -> bool {
        let resends = |group: &Group| suspects[group].cell.resends_likely();
        let all: u64 = subscriptions.iter().map(resends).sum();
        let requests: u64 = subscriptions.iter().map(|group| suspects[group].cell.requests).sum();
        let top = subscriptions.iter().map(resends).max().unwrap_or(0);
        subscriptions.len() > SUBSCRIPTIONS_APART_MAX
            && ratio(top, all) < DOMINANT_SHARE_MIN
            && self.matters(all, requests, scene)
    }

    fn learn_baseline(&mut self, scene: &Scene<'_>) {
        let keep = 1.0 - 1.0 / BASELINE_WINDOWS;
        let total = &scene.window.edge_total;
        #[allow(clippy::cast_precision_loss)]
        let (requests, resends) = (total.requests as f64, total.resends_likely() as f64);
        self.baseline_requests = self.baseline_requests * keep + requests;
        self.baseline_firsts = self.baseline_firsts * keep + (requests - resends);
    }

    fn baseline(&self) -> f64 {
        if self.baseline_firsts > 0.0 { self.baseline_requests / self.baseline_firsts } else { 1.0 }
    }

    /// A version that one of its customers showed has its evidence from that customer.
    fn culprit(&self, group: Group, suspect: &Suspect, scene: &Scene<'_>) -> Culprit {
        let shown = |name: &Name| Group::Subscription(*name);
        let of_customers = || suspect.by_subscription.keys().map(shown).filter(|one| self.scores.beyond_chance(*one));
        let groups: Vec<Group> = if self.scores.beyond_chance(group) { vec![group] } else { of_customers().collect() };
        Culprit {
            group,
            since: groups.iter().filter_map(|one| self.scores.since(*one)).min().unwrap_or(scene.window.start),
            told: groups.iter().any(|one| self.scores.is_told(*one)),
            baseline: self.baseline(),
        }
    }

    /// Many subscriptions, no version in common.
    fn spread(&self, groups: &[Group], suspects: &FxHashMap<Group, Suspect>, scene: &Scene<'_>) -> Finding {
        let mut all = Suspect::default();
        for suspect in groups.iter().map(|group| &suspects[group]) {
            all.cell.add(&suspect.cell);
            all.by_subscription.extend(suspect.by_subscription.iter().map(|(name, cell)| (*name, *cell)));
        }
        let culprit = Culprit {
            since: groups.iter().filter_map(|group| self.scores.since(*group)).min().unwrap_or(scene.window.start),
            told: groups.iter().any(|group| self.scores.is_told(*group)),
            ..self.culprit(groups[0], &all, scene)
        };
        spread(&culprit, &all, scene)
    }
}

impl Detector for RetryAmplification {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        if scene.window.total.requests == 0 {
            return Vec::new();
        }
        self.remember_versions(scene);
        self.scores.step(scene);
        let suspects = self.suspects(scene);
        let culprits = self.culprits(&suspects, scene);
        if culprits.named.is_empty() && culprits.spread.is_empty() {
            self.learn_baseline(scene);
            return Vec::new();
        }
        let mut findings = Vec::new();
        if !culprits.spread.is_empty() {
            findings.push(self.spread(&culprits.spread, &suspects, scene));
        }
        findings.extend(
            culprits
                .named
                .into_iter()
                .map(|group| (group, &suspects[&group]))
                .map(|(group, suspect)| finding(&self.culprit(group, suspect, scene), suspect, scene)),
        );
        findings
    }

    fn overflowed(&self) -> u64 {
        self.scores.overflowed()
    }
}
