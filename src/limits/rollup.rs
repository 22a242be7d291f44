//! How far an answer from counts by minute may lie from the exact one.
//!
//! A count by minute does not tell when in the minute requests came. What was throttled *at least*, whenever they came, is
//! what the limiter throttles when each minute's requests come in the order that is best for them
//! ([`super::Limiter::admit_minute`]). What was throttled *at most* follows from this: when a request is refused, at least
//! `m` others passed within the span before it (`m` is the limit with its burst of a sliding window; the lesser of size and
//! limit of a bucket). That span touches two neighbouring spans of the clock at most, so in two neighbours of which the
//! later one refuses, `m` pass; what the later one passes below `m / 2` the earlier one passes above it. So over all spans
//! at least the sum of `min(requests, m / 2)` passes. A window on the clock that is whole minutes long is exact.

use super::limiter::{Algorithm, most};
use super::rate::Rate;
use super::spec::Spec;
use crate::model::Timestamp;

/// The most that may have been throttled, by key.
#[derive(Debug)]
pub(super) struct ThrottledMost {
    rate: Rate,
    /// Requests of a span that pass for certain, on the whole.
    certain: u64,
    /// Span, requests in it, and what earlier ones may have lost.
    keys: Vec<(i64, u64, u64)>,
}

/// Requests of a span that pass for certain.
fn certain(spec: &Spec, rate: Rate) -> u64 {
    let most = most(spec.algorithm, rate, spec.burst);
    match spec.algorithm {
        Algorithm::FixedWindow => most,
        Algorithm::SlidingWindow => most / 2,
        Algorithm::TokenBucket | Algorithm::Gcra => most.min(rate.requests) / 2,
    }
}

impl ThrottledMost {
    pub(super) fn new(spec: &Spec) -> Self {
        Self { rate: spec.rate, certain: certain(spec, spec.rate), keys: Vec::new() }
    }

    pub(super) fn add(&mut self, key: usize, minute: Timestamp, requests: u64) {
        if self.keys.len() <= key {
            self.keys.resize(key + 1, (i64::MIN, 0, 0));
        }
        let certain = self.certain;
        let (span, in_span, lost) = &mut self.keys[key];
        let now = minute.as_millis().div_euclid(self.rate.per_ms);
        if now != *span {
            *lost += in_span.saturating_sub(certain);
            (*span, *in_span) = (now, 0);
        }
        *in_span += requests;
    }

    /// The most that may have been throttled of a key.
    pub(super) fn of(&self, key: usize) -> u64 {
        self.keys.get(key).map_or(0, |(_, in_span, lost)| lost + in_span.saturating_sub(self.certain))
    }
}

/// What the error is, in words.
pub(super) fn words(spec: &Spec) -> String {
    let certain = certain(spec, spec.rate);
    match spec.algorithm {
        Algorithm::FixedWindow => "counts by minute are exact for windows of whole minutes on the clock".to_owned(),
        algorithm => format!(
            "counts by minute do not tell when in the minute requests came: `throttled` is the least that {} can have \
             refused, `throttled_most` the most; whoever never made more than {certain} in {} was certainly not touched",
            algorithm.as_str(),
            crate::config::Span::from_millis(spec.rate.per_ms.unsigned_abs())
        ),
    }
}
