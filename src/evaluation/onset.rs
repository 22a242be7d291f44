//! When a storm that comes out of the simulation begins.

use std::collections::BTreeMap;

use crate::model::{DurationMs, Event, Timestamp};

/// The load is counted in spans of ten seconds.
const SPAN_MS: DurationMs = 10_000;
/// A client that gives up after so many attempts is well behaved.
const ATTEMPTS_COMPLIANT_MAX: u32 = 3;
/// Spans are kept until requests can no longer come late: those that ended in an earlier one are decided.
const SPANS_OPEN: usize = 2;

/// Finds the first span in which attempts beyond the third are a given share of the load.
#[derive(Debug)]
pub(super) struct OnsetMeter {
    from: Timestamp,
    share: f64,
    /// Requests, and attempts beyond the third, by span.
    open: BTreeMap<Timestamp, (u64, u64)>,
    onset: Option<Timestamp>,
}

impl OnsetMeter {
    /// From a moment on.
    pub(super) fn new(from: Timestamp, share: f64) -> Self {
        Self { from, share, open: BTreeMap::new(), onset: None }
    }

    pub(super) fn add(&mut self, event: &Event) {
        let Event::Request(request) = event else { return };
        if self.onset.is_some() || request.timestamp < self.from || request.caller.is_some() {
            return;
        }
        let counts = self.open.entry(request.timestamp.window_start(SPAN_MS)).or_default();
        counts.0 += 1;
        counts.1 += u64::from(request.attempt.is_some_and(|attempt| attempt > ATTEMPTS_COMPLIANT_MAX));
        if self.open.len() > SPANS_OPEN {
            self.decide();
        }
    }

    /// Decides the oldest span.
    fn decide(&mut self) {
        let Some((start, (requests, beyond))) = self.open.pop_first() else { return };
        if self.onset.is_none() && beyond as f64 >= self.share * requests as f64 {
            self.onset = Some(start);
        }
    }

    /// The onset, if there was one.
    pub(super) fn onset(mut self) -> Option<Timestamp> {
        while !self.open.is_empty() {
            self.decide();
        }
        self.onset
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Request;

    #[test]
    fn the_onset_is_the_first_span_with_the_share() {
        let mut meter = OnsetMeter::new(Timestamp::from_millis(30_000), 0.05);
        for second in 0..300_i64 {
            for index in 0..10_u32 {
                // One request in ten is a fourth attempt: before the meter listens, and from 2:00 on.
                let storm = index == 0 && !(20..120).contains(&second);
                let request = Request {
                    timestamp: Timestamp::from_millis(second * 1_000),
                    attempt: Some(if storm { 4 } else { 1 }),
                    ..Request::default()
                };
                meter.add(&Event::Request(request));
            }
        }
        assert_eq!(meter.onset(), Some(Timestamp::from_millis(120_000)));
    }
}
