//! `FeedbackLoop`: load is kept up by its own failures, with no more demand than the service has carried before.
//!
//! A metastable failure (Bronson et al., HotOS '21; Huang et al., OSDI '22): whatever began it, repeats of failed requests
//! are now what overloads the service, and it does not recover by itself. Evidence: most of the load is repeats, many of
//! them beyond any budget; the load is more than the service ever carried, the demand in it is not; less is served than
//! usual, on routes that do work. A service that answers nothing at all is called so only at a load that it could not carry
//! even if nothing else were wrong.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::feedback_words::{Moment, finding};
use crate::config::Span;
use crate::detect::{Detector, Finding, Scene};
use crate::flow::{Cell, Name, ratio};
use crate::model::{DurationMs, Timestamp};

/// Services told apart; further ones are counted in `overflowed`.
const SERVICES_MAX: usize = 10_000;
/// Half-life of what is normal.
const HALF_LIFE_S: f64 = 3_600.0;
/// Half-life of the most that was carried: yesterday's peak counts.
const PEAK_HALF_LIFE_S: f64 = 86_400.0;
/// A pause longer than this is not learned from.
const PAUSE_MS_MAX: DurationMs = 60_000;
/// Nothing is said of a service that was seen healthy for less.
const HEALTHY_S_MIN: f64 = 120.0;
/// A minute with a greater share of failures, or of repeats, is not healthy.
const HEALTHY_SHARE_MAX: f64 = 0.05;
/// Length of the span that is looked at.
const MINUTE_S: f64 = 60.0;
/// Requests of a minute that say something.
const REQUESTS_MIN: u64 = 60;
/// Repeats beyond the third attempt, as a share of load: no retry budget holds these clients back.
const BEYOND_SHARE_MIN: f64 = 0.1;
/// Served, as a share of normal: less, beyond chance, is a collapse. Where failures do not depend on load, clients that
/// repeat until they are served are served as much as ever.
const SERVED_SHARE_MAX: f64 = 0.7;
/// Standard deviations of what a minute serves.
const SERVED_Z: f64 = 2.0;
/// Served, as a share of normal: less is an outage, whatever began it.
const SERVED_SHARE_MIN: f64 = 0.02;
/// Load, in times the most that was ever carried, that keeps an outage up by itself: more than clients cause that give up
/// after three attempts.
const CRUSHING_FACTOR: f64 = 3.5;
/// Demand up to this many times normal, or up to what was carried before, would fit.
const DEMAND_FACTOR_MAX: f64 = 1.3;
/// Load that is beyond what was ever carried.
const LOAD_FACTOR_MIN: f64 = 1.2;
/// A route that fails more often than this is broken, not overloaded ...
const BROKEN_SHARE: f64 = 0.98;
/// ... and an overloaded service fails at least so often on its others.
const OVERLOADED_SHARE_MIN: f64 = 0.2;
/// Requests of a minute on routes that work, to say how they are.
const WORKING_REQUESTS_MIN: u64 = 10;
/// The state may pause for this long: one good window is no recovery.
const GAP_MS: DurationMs = 30_000;

/// `detect: {feedback_loop: …}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FeedbackLoopSpec {
    /// Least share of the load that repeats make, over the last minute.
    pub repeats_share_min: f64,
    /// How long the state must have lasted.
    pub lasts: Span,
}

impl Default for FeedbackLoopSpec {
    fn default() -> Self {
        Self { repeats_share_min: 0.5, lasts: Span::from_secs(120) }
    }
}

/// What is normal for a service, from healthy minutes only.
#[derive(Debug, Clone, Copy, Default)]
struct Normal {
    requests: f64,
    served: f64,
    seconds: f64,
    /// The most requests a second of a healthy minute.
    peak: f64,
    until: Timestamp,
}

/// A service over time.
#[derive(Debug, Default)]
struct Service {
    normal: Normal,
    /// First and newest moment of the state.
    looping: Option<(Timestamp, Timestamp)>,
}

/// The last minute of a service.
#[derive(Debug, Default)]
struct Minute {
    cell: Cell,
    by_route: FxHashMap<Name, Cell>,
}

/// The detector's state.
#[derive(Debug)]
pub struct FeedbackLoop {
    spec: FeedbackLoopSpec,
    services: FxHashMap<Name, Service>,
    overflowed: u64,
}

impl FeedbackLoop {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(spec: FeedbackLoopSpec) -> Self {
        Self { spec, services: FxHashMap::default(), overflowed: 0 }
    }

    /// Whether a minute shows the loop.
    fn loops(&self, minute: &Minute, moment: &Moment) -> bool {
        let cell = &minute.cell;
        cell.requests >= REQUESTS_MIN
            && moment.repeats >= self.spec.repeats_share_min * moment.load
            && ratio(cell.beyond_budget(), cell.requests) >= BEYOND_SHARE_MIN
            && moment.served + SERVED_Z * (moment.served / MINUTE_S).sqrt() <= SERVED_SHARE_MAX * moment.served_normal
            && moment.demand() <= (DEMAND_FACTOR_MAX * moment.load_normal).max(moment.load_peak)
            && moment.load >= LOAD_FACTOR_MIN * moment.load_peak
            && overloaded(minute, moment)
    }
}

/// Whether routes fail that are not simply broken; where all are, whether the load alone breaks them.
fn overloaded(minute: &Minute, moment: &Moment) -> bool {
    let mut working = Cell::default();
    minute.by_route.values().filter(|cell| cell.failure_ratio() < BROKEN_SHARE).for_each(|cell| working.add(cell));
    let crushed = moment.load >= CRUSHING_FACTOR * moment.load_peak;
    if working.requests < WORKING_REQUESTS_MIN || moment.served < SERVED_SHARE_MIN * moment.served_normal {
        return crushed;
    }
    working.failure_ratio() >= OVERLOADED_SHARE_MIN
}

fn healthy(cell: &Cell) -> bool {
    cell.failure_ratio() <= HEALTHY_SHARE_MAX && ratio(cell.resends_likely(), cell.requests) <= HEALTHY_SHARE_MAX
}

#[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
impl Normal {
    /// Learns from a window of a healthy minute.
    fn learn(&mut self, window: &Cell, minute_load: f64, scene: &Scene<'_>) {
        let elapsed_s = scene.window.end.since(self.until.max(scene.window.end.plus(-PAUSE_MS_MAX))) as f64 / 1_000.0;
        // Linear in place of an exponential, whose last bit differs between machines.
        let keep = |half_life_s: f64| 1.0 - elapsed_s * std::f64::consts::LN_2 / half_life_s;
        let kept = keep(HALF_LIFE_S);
        self.requests = self.requests * kept + window.requests as f64;
        self.served = self.served * kept + (window.requests - window.failures) as f64;
        self.seconds = self.seconds * kept + elapsed_s;
        self.peak = (self.peak * keep(PEAK_HALF_LIFE_S)).max(minute_load);
        self.until = scene.window.end;
    }

    /// The last minute beside what is normal, once that is known.
    fn moment(&self, cell: &Cell, scene: &Scene<'_>) -> Option<Moment> {
        let seconds = scene.recent.seconds(scene.window.end);
        let per_second = |requests: u64| requests as f64 / seconds;
        (self.seconds >= HEALTHY_S_MIN).then(|| Moment {
            load: per_second(cell.requests),
            load_normal: self.requests / self.seconds,
            load_peak: self.peak,
            repeats: per_second(cell.resends_likely()),
            served: per_second(cell.requests - cell.failures),
            served_normal: (self.served / self.seconds).max(f64::MIN_POSITIVE),
        })
    }
}

/// Sums of the last minute by service, for those with requests in the window that has just closed.
fn minutes(scene: &Scene<'_>) -> FxHashMap<Name, (Cell, Minute)> {
    let mut minutes: FxHashMap<Name, (Cell, Minute)> = FxHashMap::default();
    for (key, cell) in &scene.window.cells {
        minutes.entry(key.service).or_default().0.add(cell);
    }
    for (key, cell) in scene.recent.cells() {
        if let Some((_, minute)) = minutes.get_mut(&key.service) {
            minute.cell.add(cell);
            minute.by_route.entry(key.route).or_default().add(cell);
        }
    }
    minutes
}

impl Detector for FeedbackLoop {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        let end = scene.window.end;
        let mut looping = Vec::new();
        for (name, (window, minute)) in minutes(scene) {
            if self.services.len() >= SERVICES_MAX && !self.services.contains_key(&name) {
                self.overflowed += 1;
                continue;
            }
            let mut service = self.services.remove(&name).unwrap_or_default();
            let moment = service.normal.moment(&minute.cell, scene);
            if healthy(&minute.cell) {
                #[allow(clippy::cast_precision_loss)]
                let load = minute.cell.requests as f64 / scene.recent.seconds(end);
                service.normal.learn(&window, load, scene);
            }
            if let Some(moment) = moment.as_ref().filter(|moment| self.loops(&minute, moment)) {
                let since = service.looping.map_or(scene.window.start, |(since, _)| since);
                service.looping = Some((since, end));
                if end.since(since) >= self.spec.lasts.as_millis() {
                    looping.push((name, since, *moment));
                }
            } else if service.looping.is_some_and(|(_, last)| end.since(last) > GAP_MS) {
                service.looping = None;
            }
            self.services.insert(name, service);
        }
        looping.sort_unstable_by(|(a, ..), (b, ..)| scene.names.text(*a).cmp(scene.names.text(*b)));
        looping.into_iter().map(|(name, since, moment)| finding(name, since, &moment, scene)).collect()
    }

    fn overflowed(&self) -> u64 {
        self.overflowed
    }
}
