//! How often each stream of requests comes by itself: the pace that repeats are told from.
//!
//! A stream is what one subscription asks of one route, whatever version it runs: a customer who moves to another version
//! takes its pace along. It is learned from windows in which nothing of the stream failed, never from an incident.

use rustc_hash::FxHashMap;

use super::names::Name;
use super::window::CellKey;
use crate::model::{DurationMs, Timestamp};

/// Streams whose pace is known (some 64 bytes each); of further ones nothing is inferred, and they are counted.
const STREAMS_MAX: usize = 500_000;
/// Half-life of what is known.
const HALF_LIFE_S: f64 = 3_600.0;
/// A pause longer than this is a customer who is away; its pace is that of when it is here.
const PAUSE_MS_MAX: DurationMs = 600_000;
/// What is assumed before anything was seen: one request in ten seconds.
const PRIOR_REQUESTS: f64 = 1.0;
const PRIOR_S: f64 = 10.0;
/// Nothing is inferred of streams that have been watched for less.
const WATCHED_S_MIN: f64 = 60.0;
/// A stream silent for longer is forgotten when room is made.
const FORGET_MS: DurationMs = 86_400_000;

/// One subscription's requests to one route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    subscription: Name,
    service: Name,
    caller: Name,
    route: Name,
}

impl StreamKey {
    /// The stream of a combination.
    #[must_use]
    pub fn of(key: &CellKey) -> Self {
        Self { subscription: key.subscription, service: key.service, caller: key.caller, route: key.route }
    }

    /// The combination of the stream with a version (client, version).
    #[must_use]
    pub fn with_version(self, (client, client_version): (Name, Name)) -> CellKey {
        let Self { subscription, service, caller, route } = self;
        CellKey { subscription, client, client_version, service, caller, route }
    }
}

/// A stream's own pace, in requests a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// On average.
    pub mean: f64,
    /// Shortly after another request: more than the mean where requests come in bursts.
    pub in_bursts: f64,
}

#[derive(Debug, Clone, Copy)]
struct Demand {
    requests: f64,
    /// Ordered pairs of requests in the same window: their excess over chance is burstiness.
    pairs: f64,
    seconds: f64,
    until: Timestamp,
    /// What it adds to the pace of all streams.
    counted_micro: u64,
}

impl Demand {
    fn mean(&self) -> f64 {
        (self.requests + PRIOR_REQUESTS) / (self.seconds + PRIOR_S)
    }
}

/// The pace of every stream.
#[derive(Debug, Default)]
pub struct Demands {
    streams: FxHashMap<StreamKey, Demand>,
    /// Pace of all streams seen lately, in millionths of a request a second: an integer, because order must not matter.
    total_micro: u64,
    swept_at: Option<Timestamp>,
    overflowed: u64,
}

impl Demands {
    /// Learns from a window in which nothing of the stream failed. Gives the seconds since it was looked at last.
    #[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
    pub fn learn(&mut self, stream: StreamKey, requests: u64, start: Timestamp, end: Timestamp) -> f64 {
        let mut total_micro = self.total_micro;
        let Some(demand) = self.entry(stream, start) else { return 0.0 };
        let elapsed_s = seconds(end.since(demand.until).min(PAUSE_MS_MAX));
        // Linear in place of an exponential, whose last bit differs between machines.
        let keep = 1.0 - elapsed_s * std::f64::consts::LN_2 / HALF_LIFE_S;
        let n = requests as f64;
        demand.requests = demand.requests * keep + n;
        demand.pairs = demand.pairs * keep + n * (n - 1.0);
        demand.seconds = demand.seconds * keep + elapsed_s;
        demand.until = end;
        total_micro -= demand.counted_micro;
        demand.counted_micro = if demand.seconds >= WATCHED_S_MIN { micro(demand.mean()) } else { 0 };
        total_micro += demand.counted_micro;
        self.total_micro = total_micro;
        elapsed_s
    }

    /// Looks away from a window that must not be learned from. Gives the seconds between the last look and `start`.
    pub fn skip(&mut self, stream: StreamKey, start: Timestamp, end: Timestamp) -> f64 {
        let Some(demand) = self.entry(stream, start) else { return 0.0 };
        let elapsed_s = seconds(start.since(demand.until).clamp(0, PAUSE_MS_MAX));
        demand.until = end;
        elapsed_s
    }

    /// The pace of a stream that has been watched for long enough; `window_s` is the length of a window.
    #[must_use]
    pub fn pace(&self, stream: StreamKey, window_s: f64) -> Option<Pace> {
        let demand = self.streams.get(&stream).filter(|demand| demand.seconds >= WATCHED_S_MIN)?;
        let mean = demand.mean();
        let in_bursts = demand.pairs / ((demand.requests + PRIOR_REQUESTS) * window_s);
        Some(Pace { mean, in_bursts: in_bursts.max(mean) })
    }

    /// The pace of all streams seen in the last hour or two, in requests a second.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn pace_of_all(&self) -> f64 {
        self.total_micro as f64 / 1e6
    }

    /// Streams that there was no room for.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Once an hour: forgets streams that are gone, and no longer counts on those that are away.
    pub fn sweep(&mut self, at: Timestamp) {
        const SWEEP_MS: DurationMs = 3_600_000;
        if at.since(*self.swept_at.get_or_insert(at)) < SWEEP_MS {
            return;
        }
        self.swept_at = Some(at);
        self.streams.retain(|_, demand| at.since(demand.until) <= FORGET_MS);
        for demand in self.streams.values_mut().filter(|demand| at.since(demand.until) > SWEEP_MS) {
            demand.counted_micro = 0;
        }
        self.total_micro = self.streams.values().map(|demand| demand.counted_micro).sum();
    }

    fn entry(&mut self, stream: StreamKey, start: Timestamp) -> Option<&mut Demand> {
        if self.streams.len() >= STREAMS_MAX && !self.streams.contains_key(&stream) {
            self.overflowed += 1;
            return None;
        }
        let fresh = Demand { requests: 0.0, pairs: 0.0, seconds: 0.0, until: start, counted_micro: 0 };
        Some(self.streams.entry(stream).or_insert(fresh))
    }
}

/// Milliseconds as seconds.
#[must_use]
#[allow(clippy::cast_precision_loss)] // spans are far below 2^52 ms
pub fn seconds(ms: DurationMs) -> f64 {
    ms as f64 / 1_000.0
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a pace is neither negative nor beyond millions
fn micro(value: f64) -> u64 {
    (value * 1e6).round() as u64
}
