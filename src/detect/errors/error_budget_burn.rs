//! `ErrorBudgetBurn`, fast: a service spends its error budget so fast that somebody must look now.
//!
//! Multi-window, multi-burn-rate (Google SRE workbook, ch. 5): the long window says that it matters, the short one that
//! it still goes on. A failure is a 5xx; 429 is the platform doing what it promised. Small numbers do not page: the lower
//! end of the interval of the failure ratio must be above the threshold, not the ratio itself.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::objective::{ObjectiveSelector, known_services};
use super::outcome_sums::Sums;
use crate::config::Span;
use crate::detect::statistics::wilson_lower;
use crate::detect::words::{percent, rounded};
use crate::detect::{Detector, Finding, Role, Scene};
use crate::flow::{CellKey, Name, ratio};
use crate::model::{Affected, AlertName, Dimension, Dimensions, DurationMs, Timestamp};

/// Windows longer than this are kept by the minute.
const MINUTE_MS: DurationMs = 60_000;
/// Services told apart; further ones are counted in `overflowed`.
const SERVICES_MAX: usize = 10_000;
/// A log younger than this counts as if the time before had been free of failures: the first bad minute of a fresh
/// start is not an hour's worth.
const HISTORY_MS_MIN: DurationMs = 600_000;
/// A burn that is not seen in the first of these spans that has enough requests is over, however long the short window
/// is: a spike that has recovered must not page, and on-call wants to know when it ends.
const STILL_MS: [DurationMs; 3] = [30_000, 60_000, 300_000];
/// Requests that say whether it goes on.
const STILL_REQUESTS_MIN: u64 = 20;
/// Confidence of the interval, in standard deviations (one-sided 99.9 %).
const INTERVAL_Z: f64 = 3.09;

/// `detect: {error_budget_burn: …}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ErrorBudgetBurnSpec {
    /// Share of requests that must succeed, over 30 days.
    pub objective: f64,
    /// Pairs of windows; any one of them is enough.
    pub windows: Vec<BurnWindows>,
    /// Failed requests that the short window must hold at least.
    pub failures_min: u64,
    /// What the objective is about. Absent: each service by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<ObjectiveSelector>,
    /// Services that have an objective of their own, and are left to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except_services: Vec<String>,
}

/// A long and a short window with their burn rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BurnWindows {
    /// Long window: it matters.
    pub long: Span,
    /// Short window: it still goes on.
    pub short: Span,
    /// How many times faster than sustainable the budget is spent (1 spends it in exactly 30 days).
    pub burn_rate: f64,
}

impl Default for ErrorBudgetBurnSpec {
    fn default() -> Self {
        let windows = |long_s, short_s, burn_rate| BurnWindows {
            long: Span::from_secs(long_s),
            short: Span::from_secs(short_s),
            burn_rate,
        };
        Self {
            objective: 0.999,
            windows: vec![windows(3_600, 300, 14.4), windows(6 * 3_600, 1_800, 6.0)],
            failures_min: 10,
            select: None,
            except_services: Vec::new(),
        }
    }
}

/// One service over time: windows for the last minutes, minutes for the last hours. All sums, no decay.
#[derive(Debug, Default)]
struct ServiceHistory {
    minutes: VecDeque<(Timestamp, Sums)>,
    /// Windows of the last minutes: whether it goes on.
    windows: VecDeque<(Timestamp, Sums)>,
    burning_since: Option<Timestamp>,
    first: Option<Timestamp>,
}

impl ServiceHistory {
    fn push(&mut self, start: Timestamp, sums: Sums, longest_ms: DurationMs) {
        self.first.get_or_insert(start);
        let minute = start.window_start(MINUTE_MS);
        match self.minutes.back_mut().filter(|(at, _)| *at == minute) {
            Some((_, last)) => last.add(sums),
            None => self.minutes.push_back((minute, sums)),
        }
        while self.minutes.front().is_some_and(|(at, _)| start.since(*at) >= longest_ms) {
            self.minutes.pop_front();
        }
        self.windows.push_back((start, sums));
        while self.windows.front().is_some_and(|(at, _)| start.since(*at) >= STILL_MS[2]) {
            self.windows.pop_front();
        }
    }

    /// Failure ratio of the shortest span that says something; nothing while nothing comes: 0 of 0 is not healthy.
    fn failing_now(&self, end: Timestamp) -> Option<f64> {
        let mut now = Sums::default();
        for span_ms in STILL_MS {
            now = Sums::default();
            let within = self.windows.iter().rev().take_while(|(at, _)| end.since(*at) <= span_ms);
            within.for_each(|(_, window)| now.add(*window));
            if now.requests >= STILL_REQUESTS_MIN {
                break;
            }
        }
        (now.requests > 0).then(|| ratio(now.failures, now.requests))
    }

    fn sums(&self, end: Timestamp, span_ms: DurationMs) -> Sums {
        let mut sums = Sums::default();
        let within = self.minutes.iter().rev().take_while(|(at, _)| end.since(*at) <= span_ms);
        within.for_each(|(_, minute)| sums.add(*minute));
        sums
    }

    /// Requests as they would have been had the log reached back far enough.
    fn pad(&self, sums: Sums, end: Timestamp, span_ms: DurationMs) -> Sums {
        let age_ms = self.first.map_or(0, |first| end.since(first)).max(1);
        let wanted_ms = span_ms.min(HISTORY_MS_MIN);
        if age_ms >= wanted_ms {
            return sums;
        }
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let requests = (sums.requests as f64 * wanted_ms as f64 / age_ms as f64) as u64;
        Sums { failures: sums.failures, requests }
    }
}

/// The detector's state.
#[derive(Debug)]
pub struct ErrorBudgetBurn {
    spec: ErrorBudgetBurnSpec,
    services: FxHashMap<Name, ServiceHistory>,
    overflowed: u64,
}

impl ErrorBudgetBurn {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(spec: ErrorBudgetBurnSpec) -> Self {
        Self { spec, services: FxHashMap::default(), overflowed: 0 }
    }

    fn longest_ms(&self) -> DurationMs {
        self.spec.windows.iter().map(|w| w.long.as_millis()).max().unwrap_or(MINUTE_MS)
    }

    /// The window's sums by service; of an objective, all that it selects as one.
    fn sums(&mut self, scene: &Scene<'_>) -> FxHashMap<Name, Sums> {
        let mut sums: FxHashMap<Name, Sums> = FxHashMap::default();
        if let Some(select) = &self.spec.select {
            let own = select.sums(scene);
            // Absent data is not zero.
            sums.extend((own.requests > 0).then_some((Name::ABSENT, own)));
            return sums;
        }
        let except = known_services(&self.spec.except_services, scene.names);
        if !except.is_empty() {
            // Services may be left to their objectives while this runs.
            self.services.retain(|service, _| !except.contains(service));
        }
        for (key, cell) in scene.window.cells.iter().filter(|(key, _)| !except.contains(&key.service)) {
            sums.entry(key.service).or_default().add(Sums { failures: cell.server_errors, requests: cell.requests });
        }
        sums
    }

    fn push(&mut self, scene: &Scene<'_>) {
        let sums = self.sums(scene);
        let longest_ms = self.longest_ms();
        for (service, sums) in sums {
            if self.services.len() >= SERVICES_MAX && !self.services.contains_key(&service) {
                self.overflowed += 1;
                continue;
            }
            self.services.entry(service).or_default().push(scene.window.start, sums, longest_ms);
        }
    }

    fn burns(&self, history: &ServiceHistory, end: Timestamp) -> Option<(BurnWindows, Sums)> {
        let budget = 1.0 - self.spec.objective;
        self.spec.windows.iter().find_map(|windows| {
            let span = |span_ms| history.pad(history.sums(end, span_ms), end, span_ms);
            let (long, short) = (span(windows.long.as_millis()), span(windows.short.as_millis()));
            // No more than all requests can fail: an objective of 80 % must page, too.
            let limit = (windows.burn_rate * budget).min(0.99);
            let exceeds = |sums: Sums| wilson_lower(sums.failures, sums.requests, INTERVAL_Z) > limit;
            // What is silent neither begins nor ends: the alert waits for a window with requests.
            let still = history.failing_now(end).is_some_and(|failing| failing > limit);
            let burns = short.failures >= self.spec.failures_min && exceeds(long) && exceeds(short) && still;
            burns.then_some((*windows, short))
        })
    }

    fn finding(
        &self,
        service: Name,
        history: &ServiceHistory,
        burn: (BurnWindows, Sums),
        scene: &Scene<'_>,
    ) -> Finding {
        let budget = 1.0 - self.spec.objective;
        let (windows, short) = burn;
        let end = scene.window.end;
        let before = baseline(history, end, windows.long.as_millis(), self.longest_ms());
        let failing = ratio(short.failures, short.requests);
        let (labels, who, bad) = self.subject(service, scene);
        Finding {
            alert: AlertName::ErrorBudgetBurn,
            labels,
            since: history.burning_since.unwrap_or(scene.window.start),
            value: rounded(failing / budget),
            baseline: rounded(before / budget),
            harm: failing,
            unit: "times the sustainable burn rate",
            causes: Vec::new(),
            affected: self.affected(service, scene),
            customers: Vec::new(),
            summary: format!(
                "{} of requests to {who} {bad} in the last {} (objective {}, normally {} {})",
                percent(failing),
                windows.short,
                percent_exact(self.spec.objective),
                percent(before),
                if bad == "failed" { "fail" } else { "do" },
            ),
            role: Role::Symptom,
        }
    }

    /// Labels, and words for who it is and what happens to the requests.
    fn subject(&self, service: Name, scene: &Scene<'_>) -> (Dimensions, String, String) {
        let failed = "failed".to_owned();
        let name = scene.names.text(service);
        match &self.spec.select {
            Some(select) => (select.labels(), select.who(), select.bad()),
            None if service.is_absent() => (Dimensions::default(), "the platform".to_owned(), failed),
            None => (Dimensions::new([(Dimension::Service, name.clone())]), format!("service {name}"), failed),
        }
    }

    fn affected(&self, service: Name, scene: &Scene<'_>) -> Affected {
        match &self.spec.select {
            Some(select) => affected(select.filter(scene.names), scene),
            None => affected(|key| key.service == service, scene),
        }
    }
}

/// Failure ratio before the long window; 0 when the log does not reach back so far.
fn baseline(history: &ServiceHistory, end: Timestamp, long_ms: DurationMs, longest_ms: DurationMs) -> f64 {
    let (all, long) = (history.sums(end, longest_ms), history.sums(end, long_ms));
    ratio(all.failures - long.failures, all.requests - long.requests)
}

fn affected(is_own: impl Fn(&CellKey) -> bool, scene: &Scene<'_>) -> Affected {
    let mut subscriptions = rustc_hash::FxHashSet::default();
    let (mut failed, mut requests) = (0, 0);
    for (key, cell) in scene.recent.cells().filter(|(key, _)| is_own(key)) {
        failed += cell.server_errors;
        requests += cell.requests;
        if cell.server_errors > 0 {
            subscriptions.insert(key.subscription);
        }
    }
    Affected { subscriptions: subscriptions.len() as u64, requests_share: rounded(ratio(failed, requests)) }
}

/// An objective keeps its nines.
fn percent_exact(share: f64) -> String {
    let text = format!("{:.4}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

impl Detector for ErrorBudgetBurn {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        self.push(scene);
        let end = scene.window.end;
        let mut burning = Vec::new();
        for (service, history) in &self.services {
            if let Some(burn) = self.burns(history, end) {
                burning.push((*service, burn));
            }
        }
        burning.sort_unstable_by(|(a, _), (b, _)| scene.names.text(*a).cmp(scene.names.text(*b)));
        for (service, history) in &mut self.services {
            if burning.iter().any(|(name, _)| name == service) {
                history.burning_since.get_or_insert(scene.window.start);
            } else if history.failing_now(end).is_some() {
                history.burning_since = None;
            }
        }
        burning
            .into_iter()
            .map(|(service, burn)| self.finding(service, &self.services[&service], burn, scene))
            .collect()
    }

    fn leave_services(&mut self, services: &[String]) {
        self.spec.except_services = services.to_vec();
    }

    fn overflowed(&self) -> u64 {
        self.overflowed
    }
}
