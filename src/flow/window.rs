//! One fixed window: bounded counts that do not depend on arrival order. Sums are integers, for the same reason.

use rustc_hash::FxHashMap;

use super::exemplars::{Exemplar, Exemplars};
use super::repeats::{Answer, Inferred, Unmarked};
use super::{Latencies, Name, QueryCounts, QueryKey, QueryWindow, latency_bucket};
use crate::model::{DurationMs, QueryRun, Request, Signal, Timestamp};

/// Attempts a well-behaved client makes of one request (Google SRE book, ch. 21; AWS SDK standard mode: 3).
pub const ATTEMPTS_COMPLIANT_MAX: u32 = 3;

/// A failure that took longer was not simply turned away.
const TURNED_AWAY_MS_MAX: f64 = 1_000.0;
/// 504.
const STATUS_GATEWAY_TIMEOUT: u16 = 504;

/// What requests are counted by. Absent fields are [`Name::ABSENT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CellKey {
    /// Who is billed.
    pub subscription: Name,
    /// Client program.
    pub client: Name,
    /// Version of the client program.
    pub client_version: Name,
    /// Who answered.
    pub service: Name,
    /// Calling service; absent at the edge.
    pub caller: Name,
    /// Route template.
    pub route: Name,
}

impl CellKey {
    /// Where further combinations are counted when a window is full.
    pub const OTHER: Self = Self {
        subscription: Name::OTHER,
        client: Name::OTHER,
        client_version: Name::OTHER,
        service: Name::OTHER,
        caller: Name::ABSENT,
        route: Name::OTHER,
    };
}

/// A way that calls take: who calls whom for what. The caller is absent at the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hop {
    /// Calling service; absent at the edge.
    pub caller: Name,
    /// Who answered.
    pub service: Name,
    /// Route template.
    pub route: Name,
}

impl Hop {
    /// The hop of a combination.
    #[must_use]
    pub fn of(key: &CellKey) -> Self {
        Self { caller: key.caller, service: key.service, route: key.route }
    }
}

/// Counts of one hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HopSums {
    /// All of its cells.
    pub cell: Cell,
    /// Sum of the squares of its cells' requests: over the square of their sum, how much one customer makes of it.
    pub requests_squared: u64,
}

impl HopSums {
    /// Adds a cell of the hop.
    pub fn add(&mut self, cell: &Cell) {
        self.cell.add(cell);
        self.requests_squared = self.requests_squared.saturating_add(cell.requests.saturating_pow(2));
    }

    /// Adds another hop's sums.
    pub fn merge(&mut self, other: &Self) {
        self.cell.add(&other.cell);
        self.requests_squared = self.requests_squared.saturating_add(other.requests_squared);
    }
}

/// Counts of one combination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cell {
    /// Requests answered.
    pub requests: u64,
    /// Of these, 5xx or 429.
    pub failures: u64,
    /// Of these, 5xx.
    pub server_errors: u64,
    /// Of the failures, those that were worked on or waited for before they failed: work done for nobody.
    pub expired: u64,
    /// Of these, not the first attempt of a logical request, as told or as inferred.
    pub resends: u64,
    /// Of these, attempts that no well-behaved client makes (the fourth and later), as told.
    pub resends_beyond_budget: u64,
    /// Of these, with a sign of retries at all (attempt number or request key).
    pub attempts_known: u64,
    /// Sum of durations, in microseconds (an integer, so that the sum does not depend on the order).
    pub duration_us_sum: u64,
    /// What is inferred of requests without any sign of retries.
    pub inferred: Inferred,
    /// Sum of the bytes answered, where they are known.
    pub response_bytes: u64,
    /// Sum of the bytes received, where they are known.
    pub request_bytes: u64,
}

impl Cell {
    /// Adds another cell.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failures += other.failures;
        self.server_errors += other.server_errors;
        self.expired += other.expired;
        self.resends += other.resends;
        self.resends_beyond_budget += other.resends_beyond_budget;
        self.attempts_known += other.attempts_known;
        self.duration_us_sum += other.duration_us_sum;
        self.inferred.add(&other.inferred);
        self.response_bytes = self.response_bytes.saturating_add(other.response_bytes);
        self.request_bytes = self.request_bytes.saturating_add(other.request_bytes);
    }

    /// Takes away a cell that was added before.
    pub fn subtract(&mut self, other: &Self) {
        self.requests -= other.requests;
        self.failures -= other.failures;
        self.server_errors -= other.server_errors;
        self.expired -= other.expired;
        self.resends -= other.resends;
        self.resends_beyond_budget -= other.resends_beyond_budget;
        self.attempts_known -= other.attempts_known;
        self.duration_us_sum -= other.duration_us_sum;
        self.inferred.subtract(&other.inferred);
        self.response_bytes = self.response_bytes.saturating_sub(other.response_bytes);
        self.request_bytes = self.request_bytes.saturating_sub(other.request_bytes);
    }

    /// Attempts per logical request: all attempts over first attempts, or, where more were served than began because old
    /// ones are repeated, over those served (one, where only repeats were seen).
    #[must_use]
    pub fn attempts_per_request(&self) -> f64 {
        if self.requests == 0 {
            return 1.0;
        }
        let resends = self.resends_likely();
        // Clients that repeat what did not fail are not told by what was served.
        let served = if 2 * self.failures >= resends { self.requests - self.failures } else { 0 };
        let firsts = (self.requests - resends.min(self.requests)).max(served).max(1);
        ratio(self.requests, firsts)
    }

    /// Resends without those inferred that chance explains.
    #[must_use]
    pub fn resends_likely(&self) -> u64 {
        let by_chance = self.inferred.resends_by_chance_milli.div_ceil(1_000);
        self.resends - by_chance.min(self.inferred.resends)
    }

    /// Attempts beyond the third: told, and inferred beyond one and a half times what chance explains.
    #[must_use]
    pub fn beyond_budget(&self) -> u64 {
        let by_chance = (self.inferred.beyond_by_chance_milli * 3).div_ceil(2_000);
        self.resends_beyond_budget + self.inferred.beyond_budget.saturating_sub(by_chance)
    }

    /// Takes so many requests for repeats, and so many of these for attempts beyond the third, where less was inferred of
    /// requests that tell neither.
    pub fn raise_inferred(&mut self, resends: u64, beyond_budget: u64) {
        let told = self.resends - self.inferred.resends;
        let unmarked = self.requests.saturating_sub(self.attempts_known);
        if resends > self.resends_likely() - told {
            self.inferred.resends = resends.min(unmarked);
            self.inferred.resends_by_chance_milli = 0;
            self.resends = told + self.inferred.resends;
        }
        if beyond_budget > self.beyond_budget() - self.resends_beyond_budget {
            self.inferred.beyond_budget = beyond_budget.min(self.inferred.resends);
            self.inferred.beyond_by_chance_milli = 0;
        }
    }

    /// Share of requests that failed (5xx or 429), 0 to 1.
    #[must_use]
    pub fn failure_ratio(&self) -> f64 {
        ratio(self.failures, self.requests)
    }

    /// Mean duration in milliseconds.
    #[must_use]
    pub fn duration_ms_mean(&self) -> f64 {
        ratio(self.duration_us_sum, self.requests) / 1_000.0
    }
}

/// `part / whole`, 0 when there is nothing.
#[must_use]
#[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Readings of one metric of one source in one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignalCell {
    /// Time of the newest reading.
    pub at: Timestamp,
    /// Newest reading (the greater one of two with the same time).
    pub last: f64,
    /// Least reading.
    pub min: f64,
    /// Greatest reading.
    pub max: f64,
}

/// A request without an attempt number above one, but with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySighting {
    /// Hash of subscription, hop and key.
    pub hash: u64,
    /// When.
    pub timestamp: Timestamp,
    /// Whether it was served: whoever uses the key again then means something else.
    pub served: bool,
    /// Where it was counted.
    pub cell: CellKey,
}

/// Durations of a (service, route).
#[derive(Debug, Default)]
struct GroupLatencies {
    /// Of all requests.
    all: Latencies,
    /// Of those that another service sent.
    calls: Latencies,
}

/// A window that is still open.
#[derive(Debug)]
pub struct Window {
    cells: FxHashMap<CellKey, Cell>,
    signals: FxHashMap<(Name, Name), SignalCell>,
    queries: QueryWindow,
    sightings: Vec<KeySighting>,
    unmarked: Vec<Unmarked>,
    latencies: FxHashMap<(Name, Name), GroupLatencies>,
    exemplars: Exemplars,
    cells_overflowed: u64,
    sightings_overflowed: u64,
}

/// What was counted in a window.
#[derive(Debug)]
pub struct WindowCounts {
    /// Requests by combination.
    pub cells: FxHashMap<CellKey, Cell>,
    /// Readings by (source, metric).
    pub signals: Vec<((Name, Name), SignalCell)>,
    /// Queries.
    pub queries: QueryCounts,
    /// Keys still to be matched with those of earlier windows.
    pub sightings: Vec<KeySighting>,
    /// Requests without attempt and key.
    pub unmarked: Vec<Unmarked>,
    /// Durations by (service, route).
    pub latencies: Vec<((Name, Name), Latencies)>,
    /// Of these, those of calls between services, where there are any.
    pub call_latencies: Vec<((Name, Name), Latencies)>,
    /// Single requests, by subscription.
    pub exemplars: Vec<Exemplar>,
}

/// Distinct (source, metric) pairs of one window; a platform has hundreds.
const SIGNALS_MAX: usize = 50_000;
/// Distinct (service, route) pairs whose durations are told apart in one window. Routes are templates: a platform with
/// more of them logs raw paths.
const LATENCY_GROUPS_MAX: usize = 5_000;
/// A body is not longer than this; what claims to be would drown all others in a sum.
const BODY_BYTES_MAX: u64 = 1 << 40;

impl Window {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            cells: FxHashMap::default(),
            signals: FxHashMap::default(),
            queries: QueryWindow::default(),
            sightings: Vec::new(),
            unmarked: Vec::new(),
            latencies: FxHashMap::default(),
            exemplars: Exemplars::default(),
            cells_overflowed: 0,
            sightings_overflowed: 0,
        }
    }

    /// Counts a request in the cell `key`, or in [`CellKey::OTHER`] when `cells_max` is reached.
    pub fn add_request(&mut self, request: &Request, mut key: CellKey, cells_max: usize, sightings_max: usize) {
        self.exemplars.add(request, key);
        if self.cells.len() >= cells_max && !self.cells.contains_key(&key) {
            self.cells_overflowed += 1;
            key = CellKey::OTHER;
        }
        let cell = self.cells.entry(key).or_default();
        cell.requests += 1;
        cell.failures += u64::from(request.failed());
        cell.server_errors += u64::from(request.status >= 500);
        cell.expired += u64::from(expired(request));
        cell.duration_us_sum += duration_us(request.duration_ms);
        cell.response_bytes += request.response_bytes.unwrap_or(0).min(BODY_BYTES_MAX);
        cell.request_bytes += request.request_bytes.unwrap_or(0).min(BODY_BYTES_MAX);
        let attempt = request.attempt.unwrap_or(1);
        cell.attempts_known += u64::from(request.attempt.is_some() || request.request_key.is_some());
        cell.resends += u64::from(attempt > 1);
        cell.resends_beyond_budget += u64::from(attempt > ATTEMPTS_COMPLIANT_MAX);
        if request.attempt.is_none() && request.request_key.is_none() {
            if self.unmarked.len() < sightings_max {
                let answer = Answer::of(request.status);
                self.unmarked.push(Unmarked { cell: key, timestamp: request.timestamp, answer });
            } else {
                self.sightings_overflowed += 1;
            }
        }
        // An attempt number above one is trusted. "First" is not: proxies number their own attempts, not the client's.
        if let Some(request_key) = request.request_key.as_ref().filter(|_| attempt <= 1) {
            if self.sightings.len() < sightings_max {
                let hash = hash_key(request, request_key);
                let served = is_served(request);
                self.sightings.push(KeySighting { hash, timestamp: request.timestamp, served, cell: key });
            } else {
                self.sightings_overflowed += 1;
            }
        }
        self.add_latency(request, (key.service, key.route), !key.caller.is_absent());
    }

    /// Counts how long an answer took. Refusals and errors are left out: they are fast (or time out), and say nothing of
    /// how fast the work is done.
    fn add_latency(&mut self, request: &Request, mut group: (Name, Name), is_call: bool) {
        if !is_served(request) {
            return;
        }
        if self.latencies.len() >= LATENCY_GROUPS_MAX && !self.latencies.contains_key(&group) {
            group = (Name::OTHER, Name::OTHER);
        }
        #[allow(clippy::cast_possible_truncation)] // single precision, as the rollup counts
        let bucket = latency_bucket(request.duration_ms as f32);
        let latencies = self.latencies.entry(group).or_default();
        latencies.all.add(bucket, 1);
        if is_call {
            latencies.calls.add(bucket, 1);
        }
    }

    /// Counts a signal reading; readings past [`SIGNALS_MAX`] distinct series are left out.
    pub fn add_signal(&mut self, signal: &Signal, source: Name, metric: Name) {
        if self.signals.len() >= SIGNALS_MAX && !self.signals.contains_key(&(source, metric)) {
            self.cells_overflowed += 1;
            return;
        }
        let fresh = SignalCell { at: signal.timestamp, last: signal.value, min: signal.value, max: signal.value };
        let cell = self.signals.entry((source, metric)).or_insert(fresh);
        cell.min = cell.min.min(signal.value);
        cell.max = cell.max.max(signal.value);
        if signal.timestamp > cell.at || (signal.timestamp == cell.at && signal.value > cell.last) {
            cell.at = signal.timestamp;
            cell.last = signal.value;
        }
    }

    /// Counts a query.
    pub fn add_query(&mut self, query: &QueryRun, key: QueryKey) {
        self.queries.add(query, key);
    }

    /// Requests, queries and series in it.
    #[must_use]
    pub fn events(&self) -> u64 {
        let requests: u64 = self.cells.values().map(|cell| cell.requests).sum();
        requests + self.signals.len() as u64 + self.queries.events()
    }

    /// Requests and readings that no cell of their own was left for.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.cells_overflowed + self.sightings_overflowed + self.queries.overflowed()
    }

    /// Ends the window.
    #[must_use]
    pub fn into_counts(self) -> WindowCounts {
        let (mut latencies, mut call_latencies) = (Vec::with_capacity(self.latencies.len()), Vec::new());
        for (group, durations) in self.latencies {
            latencies.push((group, durations.all));
            if durations.calls.count() > 0 {
                call_latencies.push((group, durations.calls));
            }
        }
        WindowCounts {
            cells: self.cells,
            signals: self.signals.into_iter().collect(),
            queries: self.queries.into_counts(),
            sightings: self.sightings,
            unmarked: self.unmarked,
            latencies,
            call_latencies,
            exemplars: self.exemplars.into_sorted(),
        }
    }
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

fn is_served(request: &Request) -> bool {
    (100..400).contains(&request.status)
}

/// Whether a request failed after it was worked on or waited for, and not because it was turned away.
fn expired(request: &Request) -> bool {
    let told = request.status == STATUS_GATEWAY_TIMEOUT || request.duration_ms >= TURNED_AWAY_MS_MAX;
    request.failed() && told
}

fn duration_us(duration_ms: f64) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to 0..=1 day
    let us = (duration_ms.clamp(0.0, 86_400_000.0) * 1_000.0).round() as u64;
    us
}

/// A key is one logical request on one hop: services that pass it on do not repeat it.
fn hash_key(request: &Request, request_key: &str) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = rustc_hash::FxHasher::default();
    (&request.subscription, &request.caller, &request.service, &request.route).hash(&mut hasher);
    request_key.hash(&mut hasher);
    hasher.finish()
}

/// A window that is over: what detectors see.
#[derive(Debug)]
pub struct ClosedWindow {
    /// First moment of the window.
    pub start: Timestamp,
    /// First moment after the window; what is decided on it is decided "at" this moment.
    pub end: Timestamp,
    /// Requests by combination, in no particular order.
    pub cells: Vec<(CellKey, Cell)>,
    /// All requests of the window.
    pub total: Cell,
    /// Requests at the edge (without a caller).
    pub edge_total: Cell,
    /// Signal readings by (source, metric), in no particular order.
    pub signals: Vec<((Name, Name), SignalCell)>,
    /// Queries that ended or ran in it.
    pub queries: QueryCounts,
    /// Events that came, since the window before was closed, for windows that were closed already.
    pub late: LateCounts,
    /// The cells, summed over subscriptions and clients, in no particular order.
    pub hops: Vec<(Hop, HopSums)>,
    /// Durations of answered requests by (service, route), in no particular order.
    pub latencies: Vec<((Name, Name), Latencies)>,
    /// Of these, those of calls between services, where there are any, in no particular order.
    pub call_latencies: Vec<((Name, Name), Latencies)>,
    /// Single requests that stand for others, by subscription.
    pub exemplars: Vec<Exemplar>,
}

/// Events that came too late to be counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LateCounts {
    /// How many.
    pub events: u64,
    /// Sum of how far behind the closed windows they were, in milliseconds.
    pub behind_ms_sum: u64,
    /// The furthest behind.
    pub behind_ms_max: u64,
}

impl LateCounts {
    /// Counts one that was `behind_ms` behind.
    pub fn add(&mut self, behind_ms: DurationMs) {
        let behind_ms = u64::try_from(behind_ms).unwrap_or(0);
        self.events += 1;
        self.behind_ms_sum = self.behind_ms_sum.saturating_add(behind_ms);
        self.behind_ms_max = self.behind_ms_max.max(behind_ms);
    }
}
