//! Limiters as gateways have them, exact, with a state for each key.
//!
//! Whole numbers only: a bucket's level is kept in requests times the span's milliseconds, so that nothing is rounded.
//! GCRA with a burst of N is the token bucket of N + 1 seen from the other side (ITU-T I.371, appendix on the equivalence of
//! the virtual scheduling and the leaky bucket algorithm); a test holds the two together.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::keys::KeyId;
use super::rate::Rate;
use crate::model::{DurationMs, Timestamp};

/// How requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// Spans that begin on the clock: Envoy's rate-limit service
    #[default]
    FixedWindow,
    /// The span up to now, whenever now is
    SlidingWindow,
    /// A bucket that fills at the rate: AWS, Envoy's local limit
    TokenBucket,
    /// Requests keep their distance: NGINX's limit_req, redis-cell
    Gcra,
}

impl Algorithm {
    /// Spelling in arguments and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FixedWindow => "fixed-window",
            Self::SlidingWindow => "sliding-window",
            Self::TokenBucket => "token-bucket",
            Self::Gcra => "gcra",
        }
    }
}

/// One limiter over all keys.
#[derive(Debug)]
pub struct Limiter {
    rate: Rate,
    /// Most requests at once: of a window with its burst, or a bucket's size.
    most: u64,
    states: States,
}

#[derive(Debug)]
enum States {
    /// Number of the window, and what passed in it.
    Fixed(Vec<(i64, u64)>),
    /// What passed, by moment, oldest first; and when all were last looked through.
    Sliding { logs: Vec<Log>, pruned_at: Timestamp },
    /// The level, and when it was so.
    Bucket(Vec<Option<(Timestamp, i64)>>),
}

/// What passed in the last span.
#[derive(Debug, Clone, Default)]
struct Log {
    moments: VecDeque<(Timestamp, u64)>,
    sum: u64,
}

impl Log {
    /// Forgets what passed at `until` or before.
    fn forget(&mut self, until: Timestamp) {
        while let Some((at, passed)) = self.moments.front().copied().filter(|(at, _)| *at <= until) {
            self.moments.pop_front();
            self.sum -= passed;
            debug_assert!(at <= until);
        }
    }
}

impl Limiter {
    /// `burst` comes on top of a window's requests; it is a token bucket's size (the rate's requests without one) and
    /// the requests that GCRA lets come early (none without one).
    #[must_use]
    pub fn new(algorithm: Algorithm, rate: Rate, burst: Option<u64>) -> Self {
        let most = most(algorithm, rate, burst);
        let states = match algorithm {
            Algorithm::FixedWindow => States::Fixed(Vec::new()),
            Algorithm::SlidingWindow => States::Sliding { logs: Vec::new(), pruned_at: Timestamp::MIN },
            Algorithm::TokenBucket | Algorithm::Gcra => States::Bucket(Vec::new()),
        };
        Self { rate, most, states }
    }

    /// The limit.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Whether one request of `key` passes at this moment. A moment before the key's last one counts as that.
    pub fn admit(&mut self, key: KeyId, at: Timestamp) -> bool {
        self.offer(key, at, 0, 1) == 1
    }

    /// How many of `count` requests within the minute that begins at `minute` pass at most, whenever they came in it; the
    /// span must be whole minutes.
    pub fn admit_minute(&mut self, key: KeyId, minute: Timestamp, count: u64) -> u64 {
        self.offer(key, minute, 60_000, count)
    }

    /// Of `count` requests, spread over `lasts_ms` from `at` on, how many pass.
    fn offer(&mut self, key: KeyId, at: Timestamp, lasts_ms: DurationMs, count: u64) -> u64 {
        let (most, per_ms) = (self.most, self.rate.per_ms);
        match &mut self.states {
            States::Fixed(windows) => {
                let (window, passed_before) = slot(windows, key, (i64::MIN, 0));
                let now = at.as_millis().div_euclid(per_ms);
                if now > *window {
                    (*window, *passed_before) = (now, 0);
                }
                let passed = count.min(most.saturating_sub(*passed_before));
                *passed_before += passed;
                passed
            }
            States::Sliding { logs, pruned_at } => {
                if at.since(*pruned_at) > per_ms {
                    prune(logs, at.plus(-per_ms));
                    *pruned_at = at;
                }
                let log = slot(logs, key, Log::default());
                log.forget(at.plus(-per_ms));
                let passed = count.min(most.saturating_sub(log.sum));
                log.sum += passed;
                match log.moments.back_mut() {
                    Some((last, sum)) if *last >= at => *sum += passed,
                    _ if passed > 0 => log.moments.push_back((at, passed)),
                    _ => {}
                }
                passed
            }
            States::Bucket(buckets) => {
                let full = whole(most, per_ms);
                let bucket = slot(buckets, key, None);
                let (last, level) = bucket.unwrap_or((at, full));
                let now = at.max(last);
                let gained = |ms: DurationMs| ms.saturating_mul(whole(self.rate.requests, 1));
                let level = level.saturating_add(gained(now.since(last))).min(full);
                let available = level.saturating_add(gained(lasts_ms));
                let passed = count.min(u64::try_from(available / per_ms).unwrap_or(0));
                let level = (available - whole(passed, per_ms)).min(full);
                *bucket = Some((now.plus(lasts_ms), level));
                passed
            }
        }
    }
}

/// Most requests at once.
pub(super) fn most(algorithm: Algorithm, rate: Rate, burst: Option<u64>) -> u64 {
    match algorithm {
        Algorithm::FixedWindow | Algorithm::SlidingWindow => rate.requests + burst.unwrap_or(0),
        Algorithm::TokenBucket => burst.unwrap_or(rate.requests),
        Algorithm::Gcra => burst.unwrap_or(0) + 1,
    }
}

fn whole(requests: u64, units: DurationMs) -> i64 {
    i64::try_from(requests).unwrap_or(i64::MAX).saturating_mul(units)
}

fn slot<T: Clone>(states: &mut Vec<T>, key: KeyId, empty: T) -> &mut T {
    let place = key.index();
    if states.len() <= place {
        states.resize(place + 1, empty);
    }
    &mut states[place]
}

/// Keys that fell silent must not hold what passed long ago.
fn prune(logs: &mut [Log], until: Timestamp) {
    for log in logs {
        log.forget(until);
        if log.moments.is_empty() {
            log.moments = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests;
