//! The machine: requests in the order of time, or counts by minute, in; a report out.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use super::buckets::Buckets;
use super::customers::CustomerTally;
use super::incidents::{self, IncidentTally, PastIncident};
use super::keys::{Described, KEYS_MAX, KeyId, Keys};
use super::limiter::Limiter;
use super::report::{SourceKind, Traffic};
use super::retries::Waiting;
use super::rollup::ThrottledMost;
use super::spec::{Retries, Spec};
use super::sweep::{self, Trial};
use crate::model::{DurationMs, Request, Severity, Text, Timestamp};

/// Minutes of a span that are kept for what is usual: two months. Later ones count in everything else.
pub const MINUTES_MAX: usize = 90_000;
/// Routes that are kept to say which one was meant where nobody called the one that was asked for.
const ROUTES_KEPT_MAX: usize = 10_000;
const MINUTE_MS: DurationMs = 60_000;

/// A limit tried on the past.
#[derive(Debug)]
pub struct WhatIf {
    pub(super) spec: Spec,
    pub(super) kind: SourceKind,
    pub(super) keys: Keys,
    limiter: Limiter,
    pub(super) customers: Vec<CustomerTally>,
    pub(super) most: ThrottledMost,
    pub(super) traffic: Traffic,
    pub(super) refused_then: u64,
    /// Calls between services.
    pub(super) calls: u64,
    pub(super) counted_outside: u64,
    pub(super) throttled_outside: u64,
    /// Requests of each minute as it was, and whether an incident was under way.
    pub(super) minutes: BTreeMap<i64, (u64, bool)>,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    pub(super) all: [Buckets; 2],
    pub(super) counted: [Buckets; 2],
    pub(super) not_refused_then: Buckets,
    pub(super) incidents: Vec<IncidentTally>,
    pub(super) incidents_left_out: u64,
    pub(super) trials: Vec<Trial>,
    pub(super) waiting: Waiting,
    /// Routes that were called; of those that were asked for, all.
    pub(super) routes_seen: FxHashSet<Text>,
}

/// Requests of one minute that are described alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinuteCell<'a> {
    /// What they have in common; `at` is the minute's beginning.
    pub described: Described<'a>,
    /// How many.
    pub requests: u64,
    /// Of these, repeats.
    pub repeats: u64,
}

impl WhatIf {
    /// Nothing looked at yet. `incidents` are those of the span, in any order.
    #[must_use]
    pub fn new(spec: &Spec, kind: SourceKind, incidents: Vec<PastIncident>) -> Self {
        Self::bounded(spec, kind, incidents, KEYS_MAX)
    }

    pub(super) fn bounded(spec: &Spec, kind: SourceKind, incidents: Vec<PastIncident>, keys_max: usize) -> Self {
        let (incidents, incidents_left_out) = incidents::kept(incidents);
        let buckets = || [Buckets::new(MINUTE_MS), Buckets::new(1_000)];
        Self {
            kind,
            keys: Keys::new(&spec.by, keys_max),
            limiter: Limiter::new(spec.algorithm, spec.rate, spec.burst),
            customers: Vec::new(),
            most: ThrottledMost::new(spec),
            traffic: Traffic::default(),
            refused_then: 0,
            calls: 0,
            counted_outside: 0,
            throttled_outside: 0,
            minutes: BTreeMap::new(),
            first: None,
            last: None,
            all: buckets(),
            counted: buckets(),
            not_refused_then: Buckets::new(MINUTE_MS),
            incidents: incidents.into_iter().map(IncidentTally::new).collect(),
            incidents_left_out,
            trials: sweep::trials(spec),
            waiting: Waiting::default(),
            routes_seen: FxHashSet::default(),
            spec: spec.clone(),
        }
    }

    /// Looks at one request; requests come in the order of time.
    pub fn apply(&mut self, request: &Request) {
        self.come_again(request.timestamp);
        if request.caller.is_some() {
            self.calls += 1;
            return;
        }
        if self.spec.retries == Retries::None && request.attempt.is_some_and(|attempt| attempt > 1) {
            self.traffic.repeats_left_out += 1;
            return;
        }
        let refused_then = request.status == 429;
        self.refused_then += u64::from(refused_then);
        self.not_refused_then.add(request.timestamp, u64::from(!refused_then), 0);
        let refused = self.look(&Described::of(request), 0, 1);
        // Whoever repeats a failed request has done so in the log.
        if let Some(key) = refused.filter(|_| self.spec.retries == Retries::Client && !request.failed()) {
            self.waiting.refused(key, request.timestamp, None);
        }
    }

    /// Looks at the requests of a minute that are described alike; minutes come in order.
    pub fn apply_minute(&mut self, cell: &MinuteCell<'_>) {
        if !cell.described.caller.is_empty() {
            self.calls += cell.requests;
            return;
        }
        let left_out = if self.spec.retries == Retries::None { cell.repeats.min(cell.requests) } else { 0 };
        self.traffic.repeats_left_out += left_out;
        if cell.requests > left_out {
            self.look(&cell.described, MINUTE_MS, cell.requests - left_out);
        }
    }

    /// Looks at requests that come within `lasts_ms`. The key, when any was refused.
    fn look(&mut self, described: &Described<'_>, lasts_ms: DurationMs, sent: u64) -> Option<KeyId> {
        let at = described.at;
        let outside = self.note_minute(at, lasts_ms, sent);
        self.note_route(described.route);
        let counts = self.spec.counts(described.route, described.subscription);
        let key = if counts { self.keys.of(described) } else { None };
        self.traffic.requests += sent;
        self.traffic.counted += if counts { sent } else { 0 };
        self.traffic.not_judged += if counts && key.is_none() { sent } else { 0 };
        let passed = key.map_or(sent, |key| self.offer(key, (at, lasts_ms), sent, outside));
        for buckets in &mut self.all {
            buckets.add(at, sent, passed);
        }
        if counts {
            for buckets in &mut self.counted {
                buckets.add(at, sent, passed);
            }
            self.counted_outside += if outside { sent } else { 0 };
        }
        for incident in self.incidents.iter_mut().filter(|incident| incident.past.covers(at)) {
            incident.add(described, sent, passed);
        }
        if key.is_none() && !outside {
            self.trials.iter_mut().for_each(|trial| trial.pass(at, sent));
        }
        key.filter(|_| passed < sent)
    }

    /// Without routes in the question nobody asks for them.
    fn note_route(&mut self, route: &str) {
        if self.spec.routes.is_empty() || self.routes_seen.contains(route) {
            return;
        }
        if self.routes_seen.len() < ROUTES_KEPT_MAX || self.spec.routes.contains(route) {
            self.routes_seen.insert(Text::from(route));
        }
    }

    /// Offers requests of a key to all limiters; how many pass the one that was asked for.
    fn offer(&mut self, key: KeyId, when: (Timestamp, DurationMs), sent: u64, outside: bool) -> u64 {
        let passed = match when.1 {
            0 => u64::from(self.limiter.admit(key, when.0)),
            _ => self.limiter.admit_minute(key, when.0, sent),
        };
        let throttled = sent - passed;
        if self.customers.len() <= key.index() {
            self.customers.resize(key.index() + 1, CustomerTally::default());
        }
        self.customers[key.index()].add(when, (sent, throttled), outside, self.spec.rate.per_ms);
        self.traffic.throttled += throttled;
        self.throttled_outside += if outside { throttled } else { 0 };
        if self.kind == SourceKind::RequestsByMinute {
            self.most.add(key.index(), when.0, sent);
        }
        for trial in &mut self.trials {
            trial.offer(key, when, sent, outside);
        }
        passed
    }

    /// Requests that were refused come again by `now`. They are load that was not there before.
    fn come_again(&mut self, now: Timestamp) {
        while let Some(again) = self.waiting.due(now) {
            self.traffic.sent_again += 1;
            if !self.limiter.admit(again.key, again.at) {
                self.waiting.refused(again.key, again.at, Some(again));
                continue;
            }
            self.traffic.passed_again += 1;
            for buckets in self.all.iter_mut().chain(&mut self.counted) {
                buckets.add(again.at, 0, 1);
            }
            for incident in self.incidents.iter_mut().filter(|incident| incident.past.covers(again.at)) {
                incident.add_load(again.at, 0, 1);
            }
        }
    }

    /// Counts a minute's requests for what is usual. Whether no incident that wakes somebody was under way.
    fn note_minute(&mut self, at: Timestamp, lasts_ms: DurationMs, sent: u64) -> bool {
        let wakes = |incident: &IncidentTally| {
            incident.past.severity == Severity::Critical
                && (incident.past.covers(at) || lasts_ms > 0 && incident.past.covers(at.plus(lasts_ms - 1)))
        };
        let outside = !self.incidents.iter().any(wakes);
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at.plus(lasts_ms))));
        let minute = at.as_millis().div_euclid(MINUTE_MS);
        let room = self.minutes.len() < MINUTES_MAX;
        match self.minutes.get_mut(&minute) {
            Some((requests, quiet)) => {
                *requests += sent;
                *quiet &= outside;
            }
            None if room => {
                self.minutes.insert(minute, (sent, outside));
            }
            None => {}
        }
        outside
    }
}
