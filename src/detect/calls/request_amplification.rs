//! `RequestAmplification`: a caller makes more calls to a service per request it serves than is normal for it.
//!
//! Calls are compared with the requests their caller serves (with those at the edge, for a caller that serves nothing), so
//! a flash crowd amplifies nothing. Calls that retries of failed ones explain are not counted as evidence: where a service
//! fails first, its callers' repeats are its own doing. It wakes a person only when the additional calls are much of all
//! calls between services and something suffers, or when they are so many that it soon will.

mod habit;
mod health;
mod hop;
mod layers;
mod measure;
mod picture;
mod words;

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use self::health::Health;
use self::hop::{HopHistory, Moment, NOW_MS, Quantity};
use self::picture::Picture;
use crate::detect::{Detector, Finding, Scene};
use crate::flow::{Hop, HopSums, Name};
use crate::model::{DurationMs, Timestamp};

/// Hops and pairs of services told apart; further ones are counted in `overflowed`.
const HOPS_MAX: usize = 10_000;
/// A hop that was not taken for longer than a day has no normal any more.
const SILENT_MS: DurationMs = 90_000_000;
/// Without harm: from this many times the normal on, ...
const UNHARMED_FACTOR_MIN: f64 = 5.0;
/// ... for longer than a cold cache takes to fill, ...
const UNHARMED_MS_MIN: DurationMs = 45_000;
/// ... as half of the callee's load, three times as much as it normally has.
const UNHARMED_CALLEE_SHARE_MIN: f64 = 0.5;
const UNHARMED_CALLEE_GROWTH_MIN: f64 = 3.0;
/// Failures at the edge are put down to calls of a caller that serves nothing only when these are much of all calls.
const EDGE_SHARE_MIN: f64 = 0.2;
/// Growth of one route that a caller serves explains this share of the growth of its calls.
const EXPLAINED_SHARE_MIN: f64 = 0.7;

/// `detect: {request_amplification: …}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RequestAmplificationSpec {
    /// Least factor between calls per request served and their normal.
    pub factor_min: f64,
    /// Share of all calls between services that the additional calls must make at least.
    pub load_share_min: f64,
    /// Whether something must suffer (or must be about to).
    pub impact_needed: bool,
}

impl Default for RequestAmplificationSpec {
    fn default() -> Self {
        Self { factor_min: 1.6, load_share_min: 0.05, impact_needed: true }
    }
}

/// A hop, or (without a route) all hops between two services.
type Way = (Name, Name, Option<Name>);

/// The detector's state.
#[derive(Debug)]
pub struct RequestAmplification {
    spec: RequestAmplificationSpec,
    ways: FxHashMap<Way, HopHistory>,
    health: Health,
    /// Calls between services, by window of the last minute.
    internal: VecDeque<(Timestamp, u64)>,
    overflowed: u64,
}

impl RequestAmplification {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(spec: RequestAmplificationSpec) -> Self {
        Self { spec, ways: FxHashMap::default(), health: Health::default(), internal: VecDeque::new(), overflowed: 0 }
    }

    fn push(&mut self, scene: &Scene<'_>) {
        let window = scene.window;
        let mut sums: FxHashMap<Way, HopSums> = FxHashMap::default();
        let mut served: FxHashMap<Name, u64> = FxHashMap::default();
        let mut internal = 0;
        for (hop, own) in &window.hops {
            // A service that calls itself serves nobody by it.
            if hop.caller != hop.service {
                *served.entry(hop.service).or_default() += own.cell.requests;
            }
            if !hop.caller.is_absent() {
                internal += own.cell.requests;
                self.add(&mut sums, *hop, own);
            }
        }
        let span_ms = window.end.since(window.start);
        for ((caller, service, route), history) in &mut self.ways {
            history.push(Moment {
                start: window.start,
                span_ms,
                sums: sums.get(&(*caller, *service, *route)).copied().unwrap_or_default(),
                served: served.get(caller).copied().unwrap_or(0),
                edge: window.edge_total.requests,
                ..Moment::default()
            });
        }
        self.ways.retain(|_, history| window.start.since(history.last_called()) <= SILENT_MS);
        self.internal.push_back((window.start, internal));
        while self.internal.front().is_some_and(|(start, _)| window.end.since(*start) > NOW_MS) {
            self.internal.pop_front();
        }
        self.health.push(scene, &self.doubted());
    }

    fn add(&mut self, sums: &mut FxHashMap<Way, HopSums>, hop: Hop, own: &HopSums) {
        for route in [None, Some(hop.route)] {
            let way = (hop.caller, hop.service, route);
            if self.ways.len() >= HOPS_MAX && !self.ways.contains_key(&way) {
                self.overflowed += 1;
                continue;
            }
            self.ways.entry(way).or_default();
            sums.entry(way).or_default().merge(own);
        }
    }

    /// Services at either end of a hop that may be abnormal.
    fn doubted(&self) -> FxHashSet<Name> {
        let doubted = self.ways.iter().filter(|(_, history)| history.doubts());
        doubted.flat_map(|((caller, service, _), _)| [*caller, *service]).collect()
    }

    /// The pairs of services whose calls are beyond chance, in the order of their names.
    fn pictures(&self, scene: &Scene<'_>) -> Vec<Picture> {
        let mut since: FxHashMap<(Name, Name, Quantity), Timestamp> = FxHashMap::default();
        for ((caller, service, _), history) in &self.ways {
            for quantity in [Quantity::Calls, Quantity::Bytes] {
                if let Some(fired) = history.fired(quantity) {
                    let first = since.entry((*caller, *service, quantity)).or_insert(fired);
                    *first = fired.min(*first);
                }
            }
        }
        let mut pairs: Vec<(Name, Name)> = since.keys().map(|(caller, service, _)| (*caller, *service)).collect();
        pairs.sort_by_key(|(caller, service)| (scene.names.text(*caller), scene.names.text(*service)));
        pairs.dedup();
        let found = pairs.into_iter().filter_map(|(caller, service)| {
            // More calls bring more bytes: bytes tell only what calls do not.
            [Quantity::Calls, Quantity::Bytes].into_iter().find_map(|quantity| {
                let since = *since.get(&(caller, service, quantity))?;
                let picture = self.picture((caller, service), quantity, since, scene)?;
                (picture.factor >= self.spec.factor_min).then_some(picture)
            })
        });
        found.collect()
    }

    fn picture(
        &self,
        (caller, service): (Name, Name),
        quantity: Quantity,
        since: Timestamp,
        scene: &Scene<'_>,
    ) -> Option<Picture> {
        let end = scene.window.end;
        let from = since.max(end.plus(-NOW_MS));
        let pair = self.ways.get(&(caller, service, None))?;
        let mut routes: Vec<(Name, &HopHistory)> = self
            .ways
            .iter()
            .filter(|((of, to, _), _)| *of == caller && *to == service)
            .filter_map(|((_, _, route), history)| route.map(|route| (route, history)))
            .collect();
        routes.sort_by_key(|(route, _)| scene.names.text(*route));
        let internal = self.internal.iter().filter(|(start, _)| *start >= from).map(|(_, calls)| calls).sum();
        let mut picture = Picture::new((caller, service), quantity, (since, from), pair, &routes, internal)?;
        let (calls, normally) = self.health.load(service, from, end);
        picture.callee_share = picture.calls_added / calls.max(1.0);
        picture.callee_growth = if normally > 0.0 { calls / normally } else { 1.0 };
        picture.harm = self.harm(&picture, end);
        Some(picture)
    }

    /// What suffers: the service called, the caller, or (for a caller that serves nothing) the edge.
    fn harm(&self, picture: &Picture, end: Timestamp) -> Option<(Option<Name>, health::Harm)> {
        let of = |name: Name| self.health.harm(name, end).map(|harm| (Some(name), harm));
        let edge = || {
            let much = !picture.serves && picture.load_share >= EDGE_SHARE_MIN;
            self.health.edge_harm(end).filter(|_| much).map(|harm| (None, harm))
        };
        of(picture.service).or_else(|| of(picture.caller)).or_else(edge)
    }

    /// Whether it is enough to be told.
    fn matters(&self, picture: &Picture, end: Timestamp) -> bool {
        if picture.load_share < self.spec.load_share_min || self.is_explained_by_a_route(picture, end) {
            return false;
        }
        !self.spec.impact_needed || picture.harm.is_some() || is_about_to_harm(picture, end)
    }

    /// More requests of the one route that makes these calls are demand, not amplification.
    fn is_explained_by_a_route(&self, picture: &Picture, end: Timestamp) -> bool {
        let growth = self.health.route_growth(picture.caller, picture.from, end);
        let served_growth = picture.served_growth(&self.health, end);
        picture.serves && growth / served_growth.max(1.0) >= EXPLAINED_SHARE_MIN * picture.factor
    }
}

/// Nothing suffers yet, but the load of the service called has multiplied, with more of the same for every request: not
/// the work of one customer, and not of a caller that works on its own (unless it asks for the same again and again).
fn is_about_to_harm(picture: &Picture, end: Timestamp) -> bool {
    picture.quantity == Quantity::Calls
        && picture.factor >= UNHARMED_FACTOR_MIN
        && end.since(picture.since) >= UNHARMED_MS_MIN
        && picture.callee_share >= UNHARMED_CALLEE_SHARE_MIN
        && picture.callee_growth >= UNHARMED_CALLEE_GROWTH_MIN
        && ((picture.serves && !picture.concentrated) || picture.repeats())
}

impl Detector for RequestAmplification {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        if scene.window.total.requests == 0 {
            return Vec::new();
        }
        self.push(scene);
        let end = scene.window.end;
        let mut pictures = self.pictures(scene);
        layers::add_up(&mut pictures);
        for picture in pictures.iter().filter(|picture| picture.harm.is_some()) {
            let of_pair = |((caller, service, _), _): &(&Way, &mut HopHistory)| {
                *caller == picture.caller && *service == picture.service
            };
            self.ways.iter_mut().filter(of_pair).for_each(|(_, history)| history.harms());
        }
        let told = pictures.iter().filter(|picture| self.matters(picture, end));
        told.map(|picture| words::finding(picture, &pictures, scene)).collect()
    }

    fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

#[cfg(test)]
mod tests;
