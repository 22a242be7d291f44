//! The watermark: how far event time has certainly come, over all streams.
//!
//! A stream is a Kafka partition or a replay. Its clock follows its newest *credible* event: a client with a clock ahead
//! of everybody else's must not make everybody else late. A step up to [`STEP_MS_MIN`], or to [`STEP_GAPS`] times the
//! stream's usual gap, is credible at once; a longer jump, and a beginning, only when [`CONFIRMATIONS`] events in a row
//! say so.

use std::collections::BTreeMap;

use crate::model::{DurationMs, Timestamp};

/// Identity of a stream, given out by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// Steps up to this are always credible: half the default lateness, so that a credible wrong clock makes nobody late.
const STEP_MS_MIN: DurationMs = 2_000;
/// Exponentially distributed gaps exceed eight times their mean once in 3,000 events.
const STEP_GAPS: f64 = 8.0;
/// At 40 % of events with a wrong clock, 16 in a row happen once in 2 million events.
const CONFIRMATIONS: usize = 16;
/// Weight of the newest gap in the usual gap.
const GAP_WEIGHT: f64 = 1.0 / 32.0;

/// The clock of one stream.
#[derive(Debug, Clone)]
struct StreamClock {
    credible_max: Option<Timestamp>,
    promise: Option<Timestamp>,
    gap_ms_mean: f64,
    /// The last timestamps that were past a credible step, while no other came between.
    beyond: [Timestamp; CONFIRMATIONS],
    beyond_len: usize,
    idle: bool,
}

impl StreamClock {
    fn new() -> Self {
        Self {
            credible_max: None,
            promise: None,
            gap_ms_mean: 0.0,
            beyond: [Timestamp::default(); CONFIRMATIONS],
            beyond_len: 0,
            idle: false,
        }
    }

    fn observe(&mut self, timestamp: Timestamp) {
        match self.credible_max {
            Some(credible_max) if self.is_credible(timestamp.since(credible_max)) => {
                self.beyond_len = 0;
                self.advance(credible_max, timestamp);
            }
            // A first event is no more credible than a jump.
            _ => self.doubt(timestamp),
        }
    }

    #[allow(clippy::cast_precision_loss)] // steps are far below 2^52 ms
    fn is_credible(&self, step_ms: DurationMs) -> bool {
        step_ms <= STEP_MS_MIN || step_ms as f64 <= STEP_GAPS * self.gap_ms_mean
    }

    fn advance(&mut self, credible_max: Timestamp, timestamp: Timestamp) {
        let step_ms = timestamp.since(credible_max);
        if step_ms != 0 {
            #[allow(clippy::cast_precision_loss)]
            let step = step_ms.max(0) as f64;
            self.gap_ms_mean += GAP_WEIGHT * (step - self.gap_ms_mean);
        }
        self.credible_max = Some(credible_max.max(timestamp));
    }

    /// Enough doubtful events in a row confirm each other: the clock goes to the earliest of them, and on from there as
    /// far as steps are credible at their own usual gap.
    fn doubt(&mut self, timestamp: Timestamp) {
        self.beyond[self.beyond_len] = timestamp;
        self.beyond_len += 1;
        if self.beyond_len < CONFIRMATIONS {
            return;
        }
        self.beyond_len = 0;
        self.beyond.sort_unstable();
        // Signals come several at one moment, and then not for a minute: the usual gap is that between moments.
        let gaps = self.beyond.windows(2).map(|pair| pair[1].since(pair[0]));
        let mut gaps: Vec<DurationMs> = gaps.filter(|gap| *gap > 0).collect();
        gaps.sort_unstable();
        #[allow(clippy::cast_precision_loss)]
        let gap_median = gaps.get(gaps.len() / 2).map_or(0.0, |gap| *gap as f64);
        self.gap_ms_mean = self.gap_ms_mean.max(gap_median);
        let mut credible_max = self.beyond[0];
        for next in self.beyond {
            if self.is_credible(next.since(credible_max)) {
                credible_max = next;
            }
        }
        self.credible_max = Some(credible_max);
    }

    fn watermark(&self, lateness_ms: DurationMs) -> Option<Timestamp> {
        let from_events = self.credible_max.map(|max| max.plus(-lateness_ms));
        from_events.max(self.promise)
    }
}

/// The watermark over all streams. It never goes back.
#[derive(Debug)]
pub struct Watermark {
    streams: BTreeMap<StreamId, StreamClock>,
    lateness_ms: DurationMs,
    current: Option<Timestamp>,
}

impl Watermark {
    /// No stream yet. `lateness_ms` is how far behind the newest event of its stream an event may come.
    #[must_use]
    pub fn new(lateness_ms: DurationMs) -> Self {
        Self { streams: BTreeMap::new(), lateness_ms, current: None }
    }

    /// A stream exists: it holds the watermark until it has events or is idle.
    pub fn add(&mut self, stream: StreamId) {
        self.streams.entry(stream).or_insert_with(StreamClock::new);
    }

    /// A stream is gone and holds nothing back any more.
    pub fn remove(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
    }

    /// A stream is read to its end and silent: it holds nothing back until its next event.
    pub fn set_idle(&mut self, stream: StreamId) {
        if let Some(clock) = self.streams.get_mut(&stream) {
            clock.idle = true;
        }
    }

    /// An event of `stream`. Returns the watermark of that stream, which [`Self::current`] may or may not follow.
    pub fn observe(&mut self, stream: StreamId, timestamp: Timestamp) -> Option<Timestamp> {
        let clock = self.streams.entry(stream).or_insert_with(StreamClock::new);
        clock.idle = false;
        clock.observe(timestamp);
        clock.watermark(self.lateness_ms)
    }

    /// The producer of `stream` promises that nothing before `timestamp` follows.
    pub fn promise(&mut self, stream: StreamId, timestamp: Timestamp) -> Option<Timestamp> {
        let clock = self.streams.entry(stream).or_insert_with(StreamClock::new);
        clock.idle = false;
        clock.promise = clock.promise.max(Some(timestamp));
        clock.watermark(self.lateness_ms)
    }

    /// The newest credible event time of any stream.
    #[must_use]
    pub fn newest_credible(&self) -> Option<Timestamp> {
        self.streams.values().filter_map(|clock| clock.credible_max).max()
    }

    /// The watermark as [`Self::current`] last found it.
    #[must_use]
    pub fn last(&self) -> Option<Timestamp> {
        self.current
    }

    /// The watermark: the least of all streams that are not idle. Costs one step a stream.
    pub fn current(&mut self) -> Option<Timestamp> {
        let mut least = None;
        for clock in self.streams.values().filter(|clock| !clock.idle) {
            match (clock.watermark(self.lateness_ms), least) {
                (None, _) => return self.current,
                (Some(own), None) => least = Some(own),
                (Some(own), Some(other)) => least = Some(own.min(other)),
            }
        }
        self.current = self.current.max(least);
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: StreamId = StreamId(1);
    const B: StreamId = StreamId(2);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + seconds * 1_000)
    }

    #[test]
    fn the_slowest_stream_decides_unless_it_is_idle() {
        let mut watermark = Watermark::new(4_000);
        watermark.add(A);
        watermark.add(B);
        let sixteen = |watermark: &mut Watermark, stream, end: i64| {
            for i in 0..16 {
                watermark.observe(stream, at(end - 15 + i));
            }
        };
        sixteen(&mut watermark, A, 100);
        assert_eq!(watermark.current(), None, "nothing of B is known yet");
        sixteen(&mut watermark, B, 50);
        assert_eq!(watermark.current(), Some(at(46)));
        watermark.set_idle(B);
        assert_eq!(watermark.current(), Some(at(96)));
        watermark.observe(B, at(51));
        assert_eq!(watermark.current(), Some(at(96)), "never back");
    }

    #[test]
    fn one_client_with_a_clock_ahead_moves_nothing() {
        let mut watermark = Watermark::new(4_000);
        for i in 0..2_000 {
            let skewed = i % 5 == 0;
            watermark.observe(A, at(if skewed { i + 86_400 } else { i }));
        }
        assert_eq!(watermark.current(), Some(at(1_995)));
    }

    #[test]
    fn many_signals_at_one_moment_every_minute_are_followed() {
        let mut watermark = Watermark::new(4_000);
        for minute in 0..60 {
            for _ in 0..12 {
                watermark.observe(A, at(60 * minute));
            }
        }
        assert_eq!(watermark.current(), Some(at(60 * 59 - 4)));
    }

    #[test]
    fn a_gap_in_the_log_is_followed_after_some_confirmations() {
        let mut watermark = Watermark::new(4_000);
        for i in 0..100 {
            watermark.observe(A, at(i));
        }
        for i in 0..15 {
            watermark.observe(A, at(7_200 + i));
            assert_eq!(watermark.current(), Some(at(95)));
        }
        watermark.observe(A, at(7_215));
        assert_eq!(watermark.current(), Some(at(7_211)));
    }

    #[test]
    fn a_sparse_stream_is_followed_event_by_event() {
        let mut watermark = Watermark::new(4_000);
        for i in 0..200 {
            watermark.observe(A, at(i * 600));
        }
        assert_eq!(watermark.current(), Some(at(199 * 600 - 4)));
    }

    #[test]
    fn a_promise_needs_no_event() {
        let mut watermark = Watermark::new(4_000);
        watermark.add(A);
        watermark.promise(A, at(10));
        assert_eq!(watermark.current(), Some(at(10)));
    }
}
