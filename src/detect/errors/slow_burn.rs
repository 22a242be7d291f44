//! `ErrorBudgetBurn`, slow: a service fails a little too often for hours or weeks. A ticket.
//!
//! Three ways in: the long windows of the SRE workbook (ch. 5: 1 d and 2 h at 3 times the sustainable rate, 3 d and 6 h at
//! once), and a statistic over all that is known, up to 30 days, which sees 0.2 % where 0.1 % is allowed and says how sure
//! it is. Failures come in bursts: the statistic allows for how unevenly the hours fail (quasi-Poisson; Wedderburn,
//! Biometrika 61, 1974), so that one bad hour is not taken for a month's habit. A 429 counts like a 5xx, unless it is a
//! limit that does its job.

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use super::objective::{ObjectiveSelector, known_services};
use super::outcome_sums::{MONTH_MS, OutcomeSums, Sums};
use super::slow_burn_pools::Pools;
use crate::detect::statistics::{normal_share_below, wilson_lower};
use crate::detect::words::{count, duration, percent, rounded};
use crate::detect::{Detector, Finding, Role, Scene};
use crate::flow::{Name, ratio};
use crate::model::{Affected, AlertName, Cause, Confidence, Dimension, Dimensions, DurationMs, Timestamp};

/// Services told apart; further ones are counted in `overflowed`.
const SLOW_SERVICES_MAX: usize = 10_000;
/// Spans up to this are exact to the minute.
const MINUTES_MS: DurationMs = 6 * 3_600_000;
/// The statistic looks at the hours once a minute, not at every window.
const JUDGE_MS: DurationMs = 60_000;
/// Standard deviations above the budget: on the line itself, one month in 200 gets there by chance.
const ABOVE_Z: f64 = 3.5;
/// Fewer hours tell nothing about how unevenly they fail.
const HOURS_MIN: usize = 4;
/// Confidence of the windows' interval, in standard deviations (one-sided 99.9 %).
const INTERVAL_Z: f64 = 3.09;
/// The workbook's tickets: long window, short window, burn rate.
const WINDOWS: [(DurationMs, DurationMs, f64); 2] =
    [(86_400_000, 7_200_000, 3.0), (3 * 86_400_000, 6 * 3_600_000, 1.0)];
/// Least requests of a subscription in a minute, and share of them refused, for a 429 to be its limit at work.
const LIMITED_REQUESTS_MIN: u64 = 20;
const LIMITED_SHARE_MIN: f64 = 0.1;

/// `detect: {slow_burn: …}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SlowBurnSpec {
    /// Share of requests that must succeed, over 30 days.
    pub objective: f64,
    /// Failed requests that must be known at least.
    pub failures_min: u64,
    /// What the objective is about. Absent: each service, and where none burns, routes, versions and customers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<ObjectiveSelector>,
    /// Services that have an objective of their own, and are left to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except_services: Vec<String>,
}

impl Default for SlowBurnSpec {
    fn default() -> Self {
        Self { objective: 0.999, failures_min: 20, select: None, except_services: Vec::new() }
    }
}

/// More failures than the objective allows, and how that is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burn {
    /// What was counted.
    pub sums: Sums,
    /// Over which span.
    pub span_ms: DurationMs,
    /// Standard deviations above the budget, for the statistic; nothing for a window.
    pub z: Option<f64>,
}

/// Whether the hours fail more than `budget` (a share), allowing for how unevenly they do. Times without a log count as
/// nothing, not as healthy: a ticket asks whether it is so, not whether the month is lost.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn above_budget(sums: &OutcomeSums, end: Timestamp, budget: f64, failures_min: u64) -> Option<Burn> {
    let all = sums.sums(end, MONTH_MS);
    let expected = budget * all.requests as f64;
    if all.failures < failures_min || (all.failures as f64) <= expected {
        return None;
    }
    let own = ratio(all.failures, all.requests);
    let hours: Vec<Sums> = sums.hours().filter(|hour| hour.requests > 0).collect();
    if hours.len() < HOURS_MIN {
        return None;
    }
    let pearson: f64 = hours
        .iter()
        .map(|hour| {
            let expected = own * hour.requests as f64;
            (hour.failures as f64 - expected).powi(2) / expected.max(1e-9)
        })
        .sum();
    let spread = (pearson / (hours.len() - 1) as f64).max(1.0);
    let z = (all.failures as f64 - expected) / (spread * expected.max(1.0)).sqrt();
    (z >= ABOVE_Z).then_some(Burn { sums: all, span_ms: sums.age_ms(end), z: Some(z) })
}

/// The detector's state.
#[derive(Debug)]
pub struct SlowBurn {
    spec: SlowBurnSpec,
    services: FxHashMap<Name, OutcomeSums>,
    pools: Pools,
    since: FxHashMap<Dimensions, Timestamp>,
    judged_at: Option<Timestamp>,
    held: Vec<Finding>,
    overflowed: u64,
}

impl SlowBurn {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(spec: SlowBurnSpec) -> Self {
        Self {
            spec,
            services: FxHashMap::default(),
            pools: Pools::default(),
            since: FxHashMap::default(),
            judged_at: None,
            held: Vec::new(),
            overflowed: 0,
        }
    }

    fn push(&mut self, scene: &Scene<'_>) {
        let start = scene.window.start;
        let sums = match &self.spec.select {
            Some(select) => {
                let own = select.sums(scene);
                (own.requests > 0).then_some((Name::ABSENT, own)).into_iter().collect()
            }
            None => self.count(scene),
        };
        self.pools.push(start);
        for (service, sums) in sums {
            if self.services.len() >= SLOW_SERVICES_MAX && !self.services.contains_key(&service) {
                self.overflowed += 1;
                continue;
            }
            self.services.entry(service).or_insert_with(|| OutcomeSums::new(MINUTES_MS)).push(start, sums);
        }
    }

    /// The window's sums by service; its pools are counted on the way.
    fn count(&mut self, scene: &Scene<'_>) -> FxHashMap<Name, Sums> {
        let limited = limited(scene);
        let except = known_services(&self.spec.except_services, scene.names);
        if !except.is_empty() {
            // Services may be left to their objectives while this runs.
            self.services.retain(|service, _| !except.contains(service));
            self.pools.leave(&except);
        }
        let mut sums: FxHashMap<Name, Sums> = FxHashMap::default();
        for (key, cell) in scene.window.cells.iter().filter(|(key, _)| !except.contains(&key.service)) {
            let failures = if limited.contains(&key.subscription) { cell.server_errors } else { cell.failures };
            let own = Sums { failures, requests: cell.requests };
            sums.entry(key.service).or_default().add(own);
            self.pools.count(key, own);
        }
        sums
    }

    fn burn(&self, sums: &OutcomeSums, end: Timestamp) -> Option<Burn> {
        let budget = 1.0 - self.spec.objective;
        above_budget(sums, end, budget, self.spec.failures_min).or_else(|| {
            WINDOWS.iter().find_map(|(long_ms, short_ms, rate)| {
                let (long, short) = (sums.sums(end, *long_ms), sums.sums(end, *short_ms));
                // A young log: as if the time before had been as busy, and without failures.
                let padded = pad(long, sums.age_ms(end), *long_ms);
                let exceeds = |s: Sums| wilson_lower(s.failures, s.requests, INTERVAL_Z) > (rate * budget).min(0.99);
                let burns = short.failures >= self.spec.failures_min && exceeds(padded) && exceeds(short);
                burns.then_some(Burn { sums: long, span_ms: sums.age_ms(end).min(*long_ms), z: None })
            })
        })
    }

    fn judge(&mut self, scene: &Scene<'_>) {
        let end = scene.window.end;
        if self.judged_at.is_some_and(|at| end.since(at) < JUDGE_MS) {
            return;
        }
        self.judged_at = Some(end);
        let budget = 1.0 - self.spec.objective;
        let mut services: Vec<(Name, &OutcomeSums)> = self.services.iter().map(|(name, sums)| (*name, sums)).collect();
        services.sort_unstable_by(|(a, _), (b, _)| scene.names.text(*a).cmp(scene.names.text(*b)));
        let mut found: Vec<(Dimensions, Burn, Option<Cause>, String)> = Vec::new();
        let mut burning = FxHashSet::default();
        let is_only = services.len() == 1;
        for (service, sums) in services {
            if let Some(burn) = self.burn(sums, end) {
                burning.insert(service);
                // Pools know hours: both are counted by them.
                let span_ms = burn.span_ms.max(MINUTES_MS + 1);
                let all = sums.sums(end, span_ms);
                let narrower = self.pools.narrower((service, is_only), all, (end, span_ms), scene.names);
                let select = self.spec.select.as_ref();
                let pairs = (!service.is_absent()).then(|| (Dimension::Service, scene.names.text(service).clone()));
                let labels = select.map_or_else(|| Dimensions::new(pairs), ObjectiveSelector::labels);
                found.push((labels, burn, narrower, String::new()));
            }
        }
        for pool in self.pools.above(end, budget, self.spec.failures_min, &burning, scene.names) {
            found.push((pool.labels, pool.burn, None, pool.note));
        }
        self.since.retain(|labels, _| found.iter().any(|(known, ..)| known == labels));
        let mut held = Vec::new();
        for (labels, burn, narrower, note) in found {
            let since = *self.since.entry(labels.clone()).or_insert(scene.window.start);
            held.push(self.finding(labels, burn, narrower, (since, &note)));
        }
        self.held = held;
    }

    fn finding(
        &self,
        labels: Dimensions,
        burn: Burn,
        narrower: Option<Cause>,
        (since, note): (Timestamp, &str),
    ) -> Finding {
        let budget = 1.0 - self.spec.objective;
        let failing = ratio(burn.sums.failures, burn.sums.requests);
        let (who, bad) = match &self.spec.select {
            Some(select) => (select.who(), select.bad()),
            None if labels.is_empty() => ("the platform".to_owned(), "failed".to_owned()),
            None => (labels.to_string(), "failed".to_owned()),
        };
        let sure = match burn.z {
            Some(z) => format!("{} sure that it is above the budget (z = {z:.1})", percent_sure(normal_share_below(z))),
            None => "in both windows".to_owned(),
        };
        let evidence = format!(
            "{} of {} in {}, allowed {}; {sure}{note}",
            count(usize::try_from(burn.sums.failures).unwrap_or(usize::MAX), "failure"),
            count(usize::try_from(burn.sums.requests).unwrap_or(usize::MAX), "request"),
            duration(burn.span_ms),
            percent(budget)
        );
        let cause = match narrower {
            Some(cause) => Cause { evidence: format!("{}; {evidence}", cause.evidence), ..cause },
            None => {
                let dimensions = if note.is_empty() { Dimensions::default() } else { labels.clone() };
                Cause { dimensions, share: 1.0, confidence: Confidence::Low, evidence }
            }
        };
        Finding {
            alert: AlertName::ErrorBudgetBurn,
            since,
            value: rounded(failing / budget),
            baseline: 1.0,
            harm: failing,
            unit: "times the sustainable burn rate",
            causes: vec![cause],
            affected: Affected { subscriptions: 0, requests_share: rounded(failing) },
            customers: Vec::new(),
            summary: format!(
                "{} of requests to {who} {bad} over {} ({} are allowed): the budget of 30 days lasts {}; {sure}{note}",
                percent(failing),
                duration(burn.span_ms),
                percent(budget),
                lasts(failing / budget)
            ),
            role: Role::Separate,
            labels,
        }
    }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // at most 30 days
fn lasts(burn_rate: f64) -> String {
    duration((MONTH_MS as f64 / burn_rate.max(1.0)) as DurationMs)
}

fn percent_sure(share: f64) -> String {
    if share >= 0.9999 { "99.99 %".to_owned() } else { format!("{:.1} %", share * 100.0) }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn pad(sums: Sums, age_ms: DurationMs, wanted_ms: DurationMs) -> Sums {
    let times = (wanted_ms as f64 / age_ms.max(1) as f64).max(1.0);
    Sums { failures: sums.failures, requests: (sums.requests as f64 * times) as u64 }
}

/// Subscriptions of which many requests were refused (429) in the last minute: their limit does its job.
fn limited(scene: &Scene<'_>) -> FxHashSet<Name> {
    let mut by_subscription: FxHashMap<Name, (u64, u64)> = FxHashMap::default();
    for (key, cell) in scene.recent.cells() {
        let sums = by_subscription.entry(key.subscription).or_default();
        sums.0 += cell.failures - cell.server_errors;
        sums.1 += cell.requests;
    }
    let limited = |(refused, requests): &(u64, u64)| {
        *requests >= LIMITED_REQUESTS_MIN && ratio(*refused, *requests) >= LIMITED_SHARE_MIN
    };
    by_subscription.into_iter().filter(|(_, sums)| limited(sums)).map(|(name, _)| name).collect()
}

impl Detector for SlowBurn {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        if scene.window.total.requests == 0 {
            return Vec::new();
        }
        self.push(scene);
        self.judge(scene);
        self.held.clone()
    }

    fn leave_services(&mut self, services: &[String]) {
        self.spec.except_services = services.to_vec();
        // What is held may be about one of them.
        self.judged_at = None;
    }

    fn overflowed(&self) -> u64 {
        self.overflowed + self.pools.overflowed()
    }
}
