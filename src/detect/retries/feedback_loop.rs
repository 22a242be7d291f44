//! `FeedbackLoop`: load is kept up by its own failures, with no more demand than the service has carried before.
//!
//! A metastable failure (Bronson et al., HotOS '21; Huang et al., OSDI '22): whatever began it, repeats of failed requests
//! are now what overloads the service, and it does not recover by itself. Evidence: most of the load is repeats; the load is
//! more than the service ever carried, the demand in it is not; less is served than usual. Then one of two:
//!
//! - Many repeats are beyond any budget, on routes that do work. A service that answers nothing at all is called so only at
//!   a load that it could not carry even if nothing else were wrong.
//! - Clients give up after three attempts, but the service was held back, is so no more, and works off more than its whole
//!   demand, however much comes: the rest is turned away, and what it works on, nobody waits for any more.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::feedback_words::{Moment, finding};
use super::work_done::WorkDone;
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
/// Work for nobody, as a share of the load: with less the service is not busy with what has expired.
const EXPIRED_SHARE_MIN: f64 = 0.2;
/// Length of the span that is looked at.
const MINUTE_S: f64 = 60.0;
/// Requests of a minute that say something.
const REQUESTS_MIN: u64 = 60;
/// Repeats beyond the third attempt, as a share of load: no retry budget holds these clients back.
const BEYOND_SHARE_MIN: f64 = 0.1;
/// Served, as a share of normal: less, beyond chance, is a collapse. Where failures do not depend on load, clients that
/// repeat until they are served are served as much as ever.
const SERVED_SHARE_MAX: f64 = 0.7;
/// The same where a capacity is seen to be exhausted.
const SERVED_SHARE_MAX_AT_CAPACITY: f64 = 0.9;
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
    work: WorkDone,
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

    /// The moment, if it shows the loop.
    fn looping(&self, minute: &Minute, moment: Moment, work: &WorkDone) -> Option<Moment> {
        let cell = &minute.cell;
        let at_capacity = work.is_at_capacity();
        let served_max = if at_capacity { SERVED_SHARE_MAX_AT_CAPACITY } else { SERVED_SHARE_MAX };
        let beyond_any_budget =
            ratio(cell.beyond_budget(), cell.requests) >= BEYOND_SHARE_MIN && overloaded(minute, &moment);
        let for_nobody = || {
            2 * cell.attempts_known >= cell.requests
                && ratio(cell.expired, cell.requests) >= EXPIRED_SHARE_MIN
                && work.is_let_go(moment.demand())
        };
        let kept_up = cell.requests >= REQUESTS_MIN
            && moment.repeats >= self.spec.repeats_share_min * moment.load
            && moment.served + SERVED_Z * (moment.served / MINUTE_S).sqrt() <= served_max * moment.served_normal
            && moment.demand() <= (DEMAND_FACTOR_MAX * moment.load_normal).max(moment.load_peak)
            && moment.load >= LOAD_FACTOR_MIN * moment.load_peak;
        let for_nobody = kept_up && !beyond_any_budget && at_capacity && for_nobody();
        (kept_up && (beyond_any_budget || for_nobody)).then_some(Moment { for_nobody, ..moment })
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
            expired: per_second(cell.expired),
            for_nobody: false,
        })
    }
}

/// A service now.
#[derive(Debug, Default)]
struct Current {
    minute: Minute,
    /// The window that has just closed, by route.
    window: FxHashMap<Name, Cell>,
}

impl Current {
    /// The window, with or without routes that do no work at all.
    fn window(&self, working: bool) -> Cell {
        let mut sum = Cell::default();
        let of_route = |route: &Name| self.minute.by_route.get(route).is_some_and(is_broken);
        self.window.iter().filter(|(route, _)| !working || !of_route(route)).for_each(|(_, cell)| sum.add(cell));
        sum
    }
}

/// Whether a route fails at once, always.
fn is_broken(cell: &Cell) -> bool {
    cell.failure_ratio() >= BROKEN_SHARE && ratio(cell.expired, cell.requests) < 1.0 - BROKEN_SHARE
}

/// Sums by service, for those with requests in the window that has just closed.
fn services_now(scene: &Scene<'_>) -> FxHashMap<Name, Current> {
    let mut services: FxHashMap<Name, Current> = FxHashMap::default();
    for (key, cell) in &scene.window.cells {
        services.entry(key.service).or_default().window.entry(key.route).or_default().add(cell);
    }
    for (key, cell) in scene.recent.cells() {
        if let Some(Current { minute, .. }) = services.get_mut(&key.service) {
            minute.cell.add(cell);
            minute.by_route.entry(key.route).or_default().add(cell);
        }
    }
    services
}

impl Service {
    /// Takes in a window; gives the last minute beside what was normal before it, once that is known.
    fn learn(&mut self, current: &Current, scene: &Scene<'_>) -> Option<Moment> {
        let cell = &current.minute.cell;
        let moment = self.normal.moment(cell, scene);
        if healthy(cell) {
            #[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
            let load = cell.requests as f64 / scene.recent.seconds(scene.window.end);
            self.normal.learn(&current.window(false), load, scene);
            self.work.clear();
        } else if let Some(moment) = &moment {
            self.work.observe(&current.window(true), (scene.window.start, scene.window.end), moment.served_normal);
        }
        moment
    }
}

impl Detector for FeedbackLoop {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        let end = scene.window.end;
        let mut looping = Vec::new();
        for (name, current) in services_now(scene) {
            if self.services.len() >= SERVICES_MAX && !self.services.contains_key(&name) {
                self.overflowed += 1;
                continue;
            }
            let mut service = self.services.remove(&name).unwrap_or_default();
            let moment = service.learn(&current, scene);
            let looping_now = moment.and_then(|moment| self.looping(&current.minute, moment, &service.work));
            if let Some(moment) = looping_now {
                let since = service.looping.map_or(scene.window.start, |(since, _)| since);
                service.looping = Some((since, end));
                if end.since(since) >= self.spec.lasts.as_millis() {
                    looping.push((name, since, moment));
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
