//! `RetryAmplification`: a client version, a subscription or a calling service repeats requests beyond any retry budget.
//!
//! Evidence is causal, not a rate: attempts that no well-behaved client makes (the fourth and later of one logical
//! request), accumulated per group until chance is refused. A client that stops after three attempts is therefore never
//! named, not even in a full outage. Impact is the group's share of the load.

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use super::retry_groups::Group;
use super::statistics::{BernoulliCusum, cusum_threshold, wilson_lower};
use super::words::{count, percent, rate, rounded};
use super::{Detector, Finding, Role, Scene};
use crate::flow::{Cell, Name, ratio};
use crate::model::{Affected, AlertName, Cause, Confidence, Customer, Dimension, Dimensions, DurationMs, Timestamp};

/// One false alarm in 10⁵ subscriptions × 60,480 ten-second steps (a week), over three kinds of group.
const RUNS_A_FALSE_ALARM: f64 = 1e5 * 60_480.0 * 3.0;
/// Groups with a score of their own. Groups without repeats need none.
const GROUPS_MAX: usize = 100_000;
/// Subscriptions whose first version is remembered; further ones are taken to have been on theirs for ever.
const FIRST_VERSION_MAX: usize = 200_000;
/// One subscription with this share of a version's repeats, while others on the version behave, is the culprit itself.
const SUBSCRIPTION_SHARE_MIN: f64 = 0.8;
/// Requests others must have made for "the others behave" to mean something.
const OTHERS_REQUESTS_MIN: u64 = 20;
/// More subscriptions than this at once, with no version in common, are reported as one finding.
const SUBSCRIPTIONS_APART_MAX: usize = 5;
/// Failed requests others must have had: who never fails has nothing to repeat.
const OTHERS_FAILURES_MIN: u64 = 10;
/// A suspect without traffic for this long is a suspect no more: its next storm is another one.
const SILENT_MS: DurationMs = 600_000;
/// Among many subscriptions, one with this share of the repeats is named alone.
const DOMINANT_SHARE_MIN: f64 = 0.5;
/// Customers a finding tells of; reports name fewer.
const CUSTOMERS_TOLD_MAX: usize = 1_000;
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
            beyond_budget_allowed: 0.02,
            beyond_budget_alarm: 0.15,
            attempts_per_request_min: 1.5,
            load_share_min: 0.05,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Score {
    score: f64,
    since: Timestamp,
    last: Timestamp,
}

/// The detector's state.
#[derive(Debug)]
pub struct RetryAmplification {
    spec: RetryAmplificationSpec,
    cusum: BernoulliCusum,
    threshold: f64,
    scores: FxHashMap<Group, Score>,
    /// The version each subscription was first seen on.
    first_version: FxHashMap<Name, Group>,
    /// When each version was last blamed.
    blamed: FxHashMap<Group, Timestamp>,
    baseline_requests: f64,
    baseline_firsts: f64,
    overflowed: u64,
}

/// Sums of the last minute for one suspect.
#[derive(Debug, Default)]
struct Suspect {
    cell: Cell,
    by_subscription: FxHashMap<Name, Cell>,
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
            cusum: BernoulliCusum::new(spec.beyond_budget_allowed, spec.beyond_budget_alarm),
            threshold: cusum_threshold(RUNS_A_FALSE_ALARM),
            spec,
            scores: FxHashMap::default(),
            first_version: FxHashMap::default(),
            blamed: FxHashMap::default(),
            baseline_requests: 0.0,
            baseline_firsts: 0.0,
            overflowed: 0,
        }
    }

    fn step_scores(&mut self, scene: &Scene<'_>) {
        let mut sums: FxHashMap<Group, (u64, u64)> = FxHashMap::default();
        for (key, cell) in &scene.window.cells {
            for group in Group::of(key) {
                self.remember(key.subscription, group);
                let known = cell.resends_beyond_budget > 0 || self.scores.contains_key(&group);
                if known || matches!(group, Group::Version { .. }) {
                    let sum = sums.entry(group).or_default();
                    sum.0 += cell.resends_beyond_budget;
                    sum.1 += cell.requests;
                }
            }
        }
        self.scores.retain(|_, score| scene.window.start.since(score.last) <= SILENT_MS);
        for (group, (beyond, requests)) in sums {
            self.step_score(group, beyond, requests, scene.window.start);
        }
    }

    fn remember(&mut self, subscription: Name, group: Group) {
        let room = self.first_version.len() < FIRST_VERSION_MAX;
        if matches!(group, Group::Version { .. }) && (room || self.first_version.contains_key(&subscription)) {
            self.first_version.entry(subscription).or_insert(group);
        }
    }

    fn step_score(&mut self, group: Group, beyond: u64, requests: u64, start: Timestamp) {
        let before = self.scores.get(&group).copied();
        let score = self.cusum.step(before.map_or(0.0, |s| s.score), beyond, requests, 2.0 * self.threshold);
        if score <= 0.0 {
            self.scores.remove(&group);
        } else if before.is_some() || self.scores.len() < GROUPS_MAX {
            self.scores.insert(group, Score { score, since: before.map_or(start, |s| s.since), last: start });
        } else {
            self.overflowed += 1;
        }
    }

    /// Groups with repeats beyond any budget in the last minute: all versions, others only beyond chance.
    fn suspects(&self, scene: &Scene<'_>) -> FxHashMap<Group, Suspect> {
        let beyond_chance = |group: &Group| self.scores.get(group).is_some_and(|s| s.score >= self.threshold);
        let mut suspects: FxHashMap<Group, Suspect> = FxHashMap::default();
        if !self.scores.values().any(|s| s.score >= self.threshold) {
            return suspects;
        }
        for (key, cell) in scene.recent.cells() {
            for group in Group::of(key) {
                if matches!(group, Group::Version { .. }) || beyond_chance(&group) {
                    let suspect = suspects.entry(group).or_default();
                    suspect.cell.add(cell);
                    suspect.by_subscription.entry(key.subscription).or_default().add(cell);
                }
            }
        }
        suspects.retain(|_, suspect| suspect.cell.resends_beyond_budget > 0);
        suspects
    }

    /// Whether a suspect repeats beyond chance, however little it is of the load.
    fn repeats(&self, group: Group, suspect: &Suspect) -> bool {
        self.scores.get(&group).is_some_and(|s| s.score >= self.threshold)
            && suspect.cell.attempts_per_request() >= self.spec.attempts_per_request_min
    }

    /// Whether repeats are enough of the load to matter.
    fn matters(&self, resends: u64, requests: u64, scene: &Scene<'_>) -> bool {
        let load = scene.recent.edge_total().requests.max(requests);
        ratio(resends, load) >= self.spec.load_share_min
    }

    /// The version that makes most of a subscription's repeats.
    fn version_of(subscription: Name, repeats: u64, suspects: &FxHashMap<Group, Suspect>) -> Option<Group> {
        let of_version = |(group, suspect): (&Group, &Suspect)| {
            let own = suspect.by_subscription.get(&subscription)?.resends_beyond_budget;
            let most = matches!(group, Group::Version { .. }) && ratio(own, repeats) >= SUBSCRIPTION_SHARE_MIN;
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
        let top = suspect.by_subscription.iter().max_by_key(|(_, c)| (c.resends_beyond_budget, c.requests));
        let Some((subscription, top)) = top else { return false };
        if ratio(top.resends_beyond_budget, suspect.cell.resends_beyond_budget) < SUBSCRIPTION_SHARE_MIN {
            return true;
        }
        let mut others = suspect.cell;
        others.subtract(top);
        if others.failures >= OTHERS_FAILURES_MIN && others.requests >= OTHERS_REQUESTS_MIN {
            return wilson_lower(others.resends_beyond_budget, others.requests, 3.0) > self.spec.beyond_budget_allowed;
        }
        self.first_version.get(subscription).is_some_and(|first| *first != version)
    }

    /// The culprits: versions to blame, then subscriptions and callers that no such version explains.
    fn culprits(&mut self, suspects: &FxHashMap<Group, Suspect>, scene: &Scene<'_>) -> Culprits {
        let end = scene.window.end;
        let matters = |group: &Group| {
            let cell = &suspects[group].cell;
            self.matters(cell.resends, cell.requests, scene)
        };
        let blame = |version: &Group| self.version_is_to_blame(*version, &suspects[version], end);
        let (mut versions, mut callers, mut subscriptions) = (FxHashSet::default(), Vec::new(), Vec::new());
        for (group, suspect) in suspects.iter().filter(|(group, suspect)| self.repeats(**group, suspect)) {
            match group {
                Group::Version { .. } => versions.extend((matters(group) && blame(group)).then_some(*group)),
                // Healthy customers on a version dilute it: one who stands out may show what the version does.
                Group::Subscription(name) => {
                    let version = Self::version_of(*name, suspect.cell.resends_beyond_budget, suspects);
                    match version.filter(|version| matters(group) && blame(version)) {
                        Some(version) => versions.extend([version]),
                        None => subscriptions.push(*group),
                    }
                }
                Group::Caller { .. } => callers.extend(matters(group).then_some(*group)),
            }
        }
        subscriptions.retain(|group| !explained_by(&versions, *group, suspects));
        let spread = self.is_spread(&subscriptions, suspects, scene);
        if !spread {
            subscriptions.retain(matters);
        }
        self.blamed.retain(|_, at| end.since(*at) <= BLAME_MS);
        self.blamed.extend(versions.iter().map(|version| (*version, end)));
        let mut named: Vec<Group> = versions.into_iter().chain(callers).collect();
        let pooled = if spread { std::mem::take(&mut subscriptions) } else { Vec::new() };
        named.append(&mut subscriptions);
        let sorted = |mut groups: Vec<Group>| {
            groups.sort_by_cached_key(|group| group.labels(scene.names));
            groups
        };
        Culprits { named: sorted(named), spread: sorted(pooled) }
    }

    /// Whether many subscriptions repeat, none of them most of it, and all of them enough to matter together.
    fn is_spread(&self, subscriptions: &[Group], suspects: &FxHashMap<Group, Suspect>, scene: &Scene<'_>) -> bool {
        let resends = |group: &Group| suspects[group].cell.resends;
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
        let (requests, resends) = (total.requests as f64, total.resends as f64);
        self.baseline_requests = self.baseline_requests * keep + requests;
        self.baseline_firsts = self.baseline_firsts * keep + (requests - resends);
    }

    fn baseline(&self) -> f64 {
        if self.baseline_firsts > 0.0 { self.baseline_requests / self.baseline_firsts } else { 1.0 }
    }

    fn finding(&self, group: Group, suspect: &Suspect, scene: &Scene<'_>) -> Finding {
        let cell = &suspect.cell;
        let edge = scene.recent.edge_total();
        let load = edge.requests.max(cell.requests);
        let retrying = suspect.by_subscription.values().filter(|c| c.resends_beyond_budget > 0).count();
        let seconds = scene.recent.seconds(scene.window.end);
        #[allow(clippy::cast_precision_loss)]
        let (now, without, resends) =
            (load as f64 / seconds, (load - cell.resends.min(load)) as f64 / seconds, cell.resends as f64 / seconds);
        let attempts = cell.attempts_per_request();
        let baseline = self.baseline();
        let from = match group {
            Group::Version { .. } => format!(" from {}", count(retrying, "subscription")),
            Group::Subscription(_) | Group::Caller { .. } => String::new(),
        };
        let summary = format!(
            "{} makes {attempts:.1} attempts per request (normal {baseline:.2}){from}: {} of the load; without its \
             repeats load would be {} instead of {}",
            group.title(scene.names),
            percent(ratio(cell.requests, load)),
            rate(without),
            rate(now),
        );
        Finding {
            alert: AlertName::RetryAmplification,
            labels: group.labels(scene.names),
            since: self.scores.get(&group).map_or(scene.window.start, |score| score.since),
            value: rounded(attempts),
            baseline: rounded(baseline),
            harm: resends,
            unit: "attempts per request",
            causes: vec![self.cause(group, suspect, scene)],
            affected: Affected { subscriptions: retrying as u64, requests_share: rounded(ratio(cell.requests, load)) },
            customers: customers(suspect, scene),
            summary,
            role: Role::Cause,
        }
    }

    fn cause(&self, group: Group, suspect: &Suspect, scene: &Scene<'_>) -> Cause {
        let (others, resends_total) = others(group, scene);
        let cell = &suspect.cell;
        let share = ratio(cell.resends, resends_total.max(cell.resends));
        let behave = others.requests >= OTHERS_REQUESTS_MIN
            && wilson_lower(others.resends_beyond_budget, others.requests, 3.0) <= self.spec.beyond_budget_allowed;
        let evidence = format!(
            "{} of all repeats; {} of its requests are beyond the third attempt, of all others' {}; {} of its {} \
             repeat so; attempt or request key known on {} of its requests",
            percent(share),
            percent(ratio(cell.resends_beyond_budget, cell.requests)),
            percent(ratio(others.resends_beyond_budget, others.requests)),
            suspect.by_subscription.values().filter(|c| c.resends_beyond_budget > 0).count(),
            count(suspect.by_subscription.len(), "subscription"),
            percent(ratio(cell.attempts_known, cell.requests)),
        );
        Cause {
            dimensions: cause_dimensions(group, scene),
            share: rounded(share),
            confidence: if behave || share >= SUBSCRIPTION_SHARE_MIN { Confidence::High } else { Confidence::Medium },
            evidence,
        }
    }

    /// Many subscriptions, no version in common: one finding that says so.
    fn spread(&self, culprits: &[Group], suspects: &FxHashMap<Group, Suspect>, scene: &Scene<'_>) -> Finding {
        let mut all = Suspect::default();
        for group in culprits {
            let suspect = &suspects[group];
            all.cell.add(&suspect.cell);
            all.by_subscription.extend(suspect.by_subscription.iter().map(|(name, cell)| (*name, *cell)));
        }
        let since = culprits.iter().filter_map(|g| self.scores.get(g)).map(|s| s.since).min();
        let mut finding = self.finding(culprits[0], &all, scene);
        finding.labels = Dimensions::default();
        finding.since = since.unwrap_or(scene.window.start);
        finding.summary = format!(
            "{} repeat requests without limit ({:.1} attempts per request, normal {:.2}); no client version explains it",
            count(culprits.len(), "subscription"),
            finding.value,
            finding.baseline
        );
        finding.causes = vec![Cause {
            dimensions: Dimensions::default(),
            share: 1.0,
            confidence: Confidence::Low,
            evidence: format!("no narrower culprit: repeats are spread over {}", count(culprits.len(), "subscription")),
        }];
        finding
    }
}

/// Whether versions to blame make at least half of a subscription's repeats.
fn explained_by(versions: &FxHashSet<Group>, group: Group, suspects: &FxHashMap<Group, Suspect>) -> bool {
    let Group::Subscription(name) = group else { return false };
    let of = |version: &Group| suspects[version].by_subscription.get(&name).map_or(0, |c| c.resends_beyond_budget);
    let explained: u64 = versions.iter().map(of).sum();
    2 * explained >= suspects[&group].cell.resends_beyond_budget
}

/// The subscriptions that repeat most.
fn customers(suspect: &Suspect, scene: &Scene<'_>) -> Vec<Customer> {
    let mut customers: Vec<Customer> = suspect
        .by_subscription
        .iter()
        .filter(|(_, cell)| cell.resends_beyond_budget > 0)
        .map(|(name, cell)| Customer {
            subscription: scene.names.text(*name).clone(),
            share: rounded(ratio(cell.resends, suspect.cell.resends)),
        })
        .collect();
    customers.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.subscription.cmp(&b.subscription)));
    customers.truncate(CUSTOMERS_TOLD_MAX);
    customers
}

/// Everybody else at the same time, and all repeats.
fn others(group: Group, scene: &Scene<'_>) -> (Cell, u64) {
    let mut others = Cell::default();
    let mut resends_total = 0;
    for (key, cell) in scene.recent.cells() {
        let same_side = key.caller.is_absent() != matches!(group, Group::Caller { .. });
        if same_side {
            resends_total += cell.resends;
            if Group::of(key).all(|g| g != group) {
                others.add(cell);
            }
        }
    }
    (others, resends_total)
}

/// The version alone says it, unless another client has a version of the same name.
fn cause_dimensions(group: Group, scene: &Scene<'_>) -> Dimensions {
    let mut dimensions = group.labels(scene.names);
    if let Group::Version { client, client_version } = group
        && !client_version.is_absent()
        && !scene.recent.cells().any(|(key, _)| key.client_version == client_version && key.client != client)
    {
        dimensions.0.remove(&Dimension::Client);
    }
    dimensions
}

impl Detector for RetryAmplification {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        if scene.window.total.requests == 0 {
            return Vec::new();
        }
        self.step_scores(scene);
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
        findings.extend(culprits.named.into_iter().map(|group| self.finding(group, &suspects[&group], scene)));
        findings
    }

    fn overflowed(&self) -> u64 {
        self.overflowed
    }
}
