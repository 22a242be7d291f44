//! `RateLimitExceeded`: a subscription makes more requests over a group of routes than its limit.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use super::limits::{Limit, Limits};
use crate::detect::words::{percent, rounded};
use crate::detect::{Detector, Finding, Role, Scene};
use crate::flow::{Name, ratio};
use crate::model::{Affected, AlertName, Cause, Confidence, Customer, Dimension, Dimensions, Text, Timestamp};

/// `detect: {rate_limit: …}` of a rule; the limits themselves are in the limits file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimitSpec {}

/// The detector's state.
#[derive(Debug)]
pub struct RateLimit {
    counters: Vec<Counter>,
}

/// Sliding count of one limit.
#[derive(Debug)]
struct Counter {
    limit: Limit,
    /// Names of the routes, learnt as they are seen.
    routes: FxHashSet<Text>,
    windows: VecDeque<(Timestamp, FxHashMap<Name, u64>)>,
    sums: FxHashMap<Name, u64>,
    /// Since when each subscription above the limit has been so.
    above_since: FxHashMap<Name, Timestamp>,
}

impl RateLimit {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(_: &RateLimitSpec, limits: &Limits) -> Self {
        Self { counters: limits.limits.iter().cloned().map(Counter::new).collect() }
    }
}

impl Counter {
    fn new(limit: Limit) -> Self {
        let routes = limit.routes.iter().map(Text::from).collect();
        Self { limit, routes, windows: VecDeque::new(), sums: FxHashMap::default(), above_since: FxHashMap::default() }
    }

    fn push(&mut self, scene: &Scene<'_>) {
        let per_ms = self.limit.per.as_millis();
        while self.windows.front().is_some_and(|(start, _)| scene.window.end.since(*start) > per_ms) {
            let Some((_, counts)) = self.windows.pop_front() else { break };
            for (subscription, count) in counts {
                let sum = self.sums.entry(subscription).or_default();
                *sum -= count;
                if *sum == 0 {
                    self.sums.remove(&subscription);
                }
            }
        }
        let mut counts: FxHashMap<Name, u64> = FxHashMap::default();
        for (key, cell) in &scene.window.cells {
            let counted = self.routes.is_empty() || self.routes.contains(scene.names.text(key.route));
            if key.caller.is_absent() && counted {
                *counts.entry(key.subscription).or_default() += cell.requests;
            }
        }
        for (subscription, count) in &counts {
            *self.sums.entry(*subscription).or_default() += count;
        }
        self.windows.push_back((scene.window.start, counts));
    }

    fn findings(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        let limit = self.limit.requests;
        self.above_since.retain(|subscription, _| self.sums.get(subscription).is_some_and(|sum| *sum > limit));
        let mut above: Vec<(Name, u64)> =
            self.sums.iter().filter(|(_, sum)| **sum > limit).map(|(name, sum)| (*name, *sum)).collect();
        above.sort_unstable_by(|(a, _), (b, _)| scene.names.text(*a).cmp(scene.names.text(*b)));
        let load: u64 = self.sums.values().sum();
        above
            .into_iter()
            .map(|(subscription, sum)| {
                let since = *self.above_since.entry(subscription).or_insert(scene.window.start);
                self.finding(scene.names.text(subscription), sum, ratio(sum, load), since)
            })
            .collect()
    }

    #[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
    fn finding(&self, subscription: &Text, sum: u64, share: f64, since: Timestamp) -> Finding {
        let limit = &self.limit;
        let over = if limit.routes.is_empty() { String::new() } else { format!(" over {}", limit.routes.join(" + ")) };
        let times = sum as f64 / limit.requests as f64;
        Finding {
            alert: AlertName::RateLimitExceeded,
            labels: Dimensions::new([
                (Dimension::Subscription, subscription.clone()),
                (Dimension::Limit, Text::from(&limit.name)),
            ]),
            since,
            value: sum as f64,
            baseline: limit.requests as f64,
            harm: sum as f64,
            unit: "requests per limit period",
            causes: vec![Cause {
                dimensions: Dimensions::new([(Dimension::Subscription, subscription.clone())]),
                share: 1.0,
                confidence: Confidence::High,
                evidence: format!(
                    "{sum} requests in {}{over}, {times:.1} times its limit of {}; {} of all requests on these routes",
                    limit.per,
                    limit.requests,
                    percent(share)
                ),
            }],
            affected: Affected { subscriptions: 1, requests_share: rounded(share) },
            customers: vec![Customer { subscription: subscription.clone(), share: 1.0 }],
            summary: format!(
                "subscription {subscription} made {sum} requests in {}{over}; its limit is {}",
                limit.per, limit.requests
            ),
            role: Role::Separate,
        }
    }
}

impl Detector for RateLimit {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for counter in &mut self.counters {
            counter.push(scene);
            findings.extend(counter.findings(scene));
        }
        findings
    }
}
