//! `LatencyRegression`: a service answers more slowly than is normal for the same route under a similar load. A ticket.
//!
//! Route by route, so that a change of what is asked for is no regression; answers only, so that fast refusals and errors
//! neither hide nor make one. A request is slow when it takes longer than 95 % of its route's do at such a load; evidence
//! is summed until chance is refused, and the shift must be one of half again the normal duration.

mod route;
mod slice;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use self::route::{RouteHistory, Slow};
use self::slice::narrowest;
use super::words::{duration, percent, rounded};
use super::{Detector, Finding, Role, Scene};
use crate::flow::{BUCKETS_PER_DOUBLING, Latencies, Name, bucket_end_ms, latency_bucket, ratio};
use crate::model::{Affected, AlertName, Cause, Confidence, Dimension, Dimensions, DurationMs, Timestamp};

/// Routes followed; further ones are counted in `overflowed`.
const ROUTES_MAX: usize = 5_000;
/// A route silent for a day has no normal any more.
const FORGOTTEN_MS: DurationMs = 90_000_000;
/// Load is that of the last minute.
const LOAD_MS: DurationMs = 60_000;
/// Requests in a quarter of it that say something of the load.
const LOAD_REQUESTS_MIN: u64 = 100;
/// From this share of a service's requests on, on more than one route, it is the service that is slow.
const SERVICE_SHARE_MIN: f64 = 0.5;
/// Loads within a factor of √2 are similar.
const LOAD_BUCKETS: i16 = BUCKETS_PER_DOUBLING / 2;

/// `detect: {latency_regression: …}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LatencyRegressionSpec {
    /// How many times its normal the median or the 95th percentile must be.
    pub factor_min: f64,
}

impl Default for LatencyRegressionSpec {
    fn default() -> Self {
        Self { factor_min: 1.5 }
    }
}

/// The detector's state.
#[derive(Debug)]
pub struct LatencyRegression {
    spec: LatencyRegressionSpec,
    routes: FxHashMap<(Name, Name), RouteHistory>,
    /// Requests of each service by window of the last minute.
    load: FxHashMap<Name, Vec<(Timestamp, u64)>>,
    overflowed: u64,
}

/// A slow route, by name.
struct SlowRoute {
    route: Name,
    slow: Slow,
}

impl LatencyRegression {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(spec: LatencyRegressionSpec) -> Self {
        Self { spec, routes: FxHashMap::default(), load: FxHashMap::default(), overflowed: 0 }
    }

    fn push(&mut self, scene: &Scene<'_>) {
        let window = scene.window;
        self.push_load(scene);
        for (group, latencies) in &window.latencies {
            if self.routes.len() >= ROUTES_MAX && !self.routes.contains_key(group) {
                self.overflowed += 1;
                continue;
            }
            let load = load_class(self.load.get(&group.0), window.end);
            self.routes.entry(*group).or_default().push(window, latencies, load);
        }
        self.routes.retain(|_, route| window.end.since(route.last_seen()) <= FORGOTTEN_MS);
    }

    fn push_load(&mut self, scene: &Scene<'_>) {
        let window = scene.window;
        let mut requests: FxHashMap<Name, u64> = FxHashMap::default();
        for (hop, sums) in &window.hops {
            *requests.entry(hop.service).or_default() += sums.cell.requests;
        }
        for (service, requests) in requests {
            if self.load.len() < ROUTES_MAX || self.load.contains_key(&service) {
                self.load.entry(service).or_default().push((window.start, requests));
            }
        }
        self.load.retain(|_, windows| {
            windows.retain(|(start, _)| window.end.since(*start) <= LOAD_MS);
            !windows.is_empty()
        });
    }

    /// Slow routes by service, and how many requests of the service could be judged, in the order of names.
    fn slow(&self, scene: &Scene<'_>) -> Vec<(Name, Vec<SlowRoute>, u64)> {
        let mut services: FxHashMap<Name, (Vec<SlowRoute>, u64)> = FxHashMap::default();
        for ((service, route), history) in &self.routes {
            let entry = services.entry(*service).or_default();
            entry.1 += history.requests_lately(scene.window.end);
            if let Some(slow) = history.slow(scene.window.end, self.spec.factor_min) {
                entry.0.push(SlowRoute { route: *route, slow });
            }
        }
        let mut slow: Vec<(Name, Vec<SlowRoute>, u64)> = services
            .into_iter()
            .filter(|(_, (routes, _))| !routes.is_empty())
            .map(|(service, (routes, requests))| (service, routes, requests))
            .collect();
        slow.sort_by(|(a, _, _), (b, _, _)| scene.names.text(*a).cmp(scene.names.text(*b)));
        for (_, routes, _) in &mut slow {
            routes.sort_by(|a, b| scene.names.text(a.route).cmp(scene.names.text(b.route)));
        }
        slow
    }
}

/// The load of a service in steps of √2: of the last minute, or of its last quarter where that is more already.
#[allow(clippy::cast_precision_loss)]
fn load_class(windows: Option<&Vec<(Timestamp, u64)>>, end: Timestamp) -> i16 {
    let windows = windows.map(Vec::as_slice).unwrap_or_default();
    let since = |from: Timestamp| -> (u64, f32) {
        let within = || windows.iter().filter(|(start, _)| *start >= from);
        let requests = within().map(|(_, requests)| requests).sum();
        let span_ms = within().next().map_or(LOAD_MS, |(start, _)| end.since(*start)).max(1);
        (requests, requests as f32 * 1_000.0 / span_ms as f32)
    };
    let (_, of_the_minute) = since(end.plus(-LOAD_MS));
    let (requests, lately) = since(end.plus(-LOAD_MS / 4));
    // Few requests come in bunches: what they say of a quarter of a minute is chance.
    let load = if requests >= LOAD_REQUESTS_MIN { of_the_minute.max(lately) } else { of_the_minute };
    latency_bucket(load.max(0.001)).div_euclid(LOAD_BUCKETS)
}

/// What is told of a service: of all of it, or of each slow route.
fn findings(service: Name, slow: &[SlowRoute], requests: u64, scene: &Scene<'_>) -> Vec<Finding> {
    let slow_requests: u64 = slow.iter().map(|route| route.slow.requests_lately).sum();
    if slow.len() > 1 && ratio(slow_requests, requests) >= SERVICE_SHARE_MIN {
        return vec![finding(service, None, slow, scene)];
    }
    slow.iter().map(|route| finding(service, Some(route.route), std::slice::from_ref(route), scene)).collect()
}

fn finding(service: Name, route: Option<Name>, slow: &[SlowRoute], scene: &Scene<'_>) -> Finding {
    // Of several routes the one with the most requests speaks; of equals the first by name.
    let speaks = slow.iter().rev().max_by_key(|route| route.slow.requests_lately).unwrap_or(&slow[0]);
    let told = &speaks.slow;
    let text = |name| scene.names.text(name);
    let since = slow.iter().map(|route| route.slow.since).min().unwrap_or(told.since);
    let pairs = [(Dimension::Service, Some(service)), (Dimension::Route, route)];
    let pairs = pairs.into_iter().filter_map(|(dimension, name)| Some((dimension, name?)));
    let labels = Dimensions::new(
        pairs.filter(|(_, name)| !name.is_absent()).map(|(dimension, name)| (dimension, text(name).clone())),
    );
    let routes: Vec<Name> = slow.iter().map(|route| route.route).collect();
    let (subscriptions, share) = reach(service, &routes, scene);
    let who = match route {
        _ if service.is_absent() => text(speaks.route).to_string(),
        Some(route) => format!("{} of {}", text(route), text(service)),
        None => format!("{} ({} routes, of which {} most)", text(service), slow.len(), text(speaks.route)),
    };
    let summary = format!(
        "{who} takes {} at the {} (normally {} under such a load) since {since}; {} of its requests are slower than 95 % \
         normally are",
        duration_ms(told.value_ms),
        told.quantile,
        duration_ms(told.normal_ms),
        percent(told.slow_share),
    );
    Finding {
        alert: AlertName::LatencyRegression,
        labels: labels.clone(),
        since,
        value: rounded(told.value_ms),
        baseline: rounded(told.normal_ms),
        harm: told.value_ms / told.normal_ms.max(f64::MIN_POSITIVE),
        unit: told.unit,
        causes: vec![cause(labels, service, &routes, told, scene)],
        affected: Affected { subscriptions, requests_share: rounded(share) },
        customers: Vec::new(),
        summary,
        role: Role::Symptom,
    }
}

fn cause(labels: Dimensions, service: Name, routes: &[Name], told: &Slow, scene: &Scene<'_>) -> Cause {
    let (dimensions, share, words) = narrowest(service, routes, scene).unwrap_or((
        Dimensions::default(),
        1.0,
        "no client version and no subscription is slower than the others".to_owned(),
    ));
    let mut all = labels;
    let narrowed = !dimensions.is_empty();
    all.0.extend(dimensions.0);
    Cause {
        dimensions: all,
        share: rounded(share),
        confidence: if narrowed { Confidence::High } else { Confidence::Medium },
        evidence: format!(
            "{} requests of the last {} against {} before, under loads like this: {:.1} times as long; {words}",
            told.requests,
            duration(told.span_ms),
            told.requests_normal,
            told.value_ms / told.normal_ms.max(f64::MIN_POSITIVE),
        ),
    }
}

/// Subscriptions that use the slow routes, and these routes' share of all requests of the last minute.
fn reach(service: Name, routes: &[Name], scene: &Scene<'_>) -> (u64, f64) {
    let mut subscriptions = rustc_hash::FxHashSet::default();
    let (mut own, mut all) = (0, 0);
    for (key, cell) in scene.recent.cells() {
        all += cell.requests;
        if key.service == service && routes.contains(&key.route) {
            own += cell.requests;
            subscriptions.insert(key.subscription);
        }
    }
    (subscriptions.len() as u64, ratio(own, all))
}

/// Milliseconds as people write them.
fn duration_ms(ms: f64) -> String {
    if ms >= 10_000.0 { format!("{:.0} s", ms / 1_000.0) } else { format!("{} ms", rounded_ms(ms)) }
}

fn rounded_ms(ms: f64) -> String {
    if ms >= 10.0 { format!("{ms:.0}") } else { format!("{ms:.1}") }
}

/// The bucket that holds the `quantile` (0 to 1) of a histogram given as (bucket, weight), in order.
fn quantile_bucket(buckets: impl Iterator<Item = (i16, f64)> + Clone, quantile: f64) -> Option<i16> {
    let total: f64 = buckets.clone().map(|(_, weight)| weight).sum();
    let mut left = quantile * total;
    let mut last = None;
    for (bucket, weight) in buckets {
        last = Some(bucket);
        left -= weight;
        if left <= 1e-9 * total {
            break;
        }
    }
    last
}

/// Whole counts as weights.
#[allow(clippy::cast_precision_loss)]
fn weights(latencies: &Latencies) -> impl Iterator<Item = (i16, f64)> + Clone {
    latencies.iter().map(|(bucket, count)| (bucket, count as f64)).collect::<Vec<_>>().into_iter()
}

/// Middle of a bucket on the logarithmic scale, in milliseconds.
fn middle_ms(bucket: i16) -> f64 {
    bucket_end_ms(bucket) / (0.5 / f64::from(BUCKETS_PER_DOUBLING)).exp2()
}

impl Detector for LatencyRegression {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        if scene.window.total.requests == 0 {
            return Vec::new();
        }
        self.push(scene);
        let slow = self.slow(scene);
        slow.iter().flat_map(|(service, routes, requests)| findings(*service, routes, *requests, scene)).collect()
    }

    fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

#[cfg(test)]
mod tests;
