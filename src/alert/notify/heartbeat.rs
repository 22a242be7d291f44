//! Tells a dead man's switch of others that detection works: only while the watermark moves.

use std::time::Duration;

use reqwest::Method;
use tokio::time::Instant;

use super::delivery::Message;
use crate::config::HeartbeatMethod;
use crate::model::Timestamp;

/// When to beat.
#[derive(Debug)]
pub(super) struct Heartbeat {
    method: HeartbeatMethod,
    interval: Duration,
    due: Instant,
    /// The watermark at the last beat that was taken.
    told: Option<Timestamp>,
    sending: Option<Timestamp>,
    /// Looks in a row at which the watermark stood still.
    still: u32,
}

impl Heartbeat {
    pub fn new(method: HeartbeatMethod, interval: Duration, now: Instant) -> Self {
        Self { method, interval, due: now, told: None, sending: None, still: 0 }
    }

    /// A beat, when one is due and event time has moved on since the last.
    pub fn start(&mut self, now: Instant, watermark: Option<Timestamp>) -> Option<Message> {
        if now < self.due {
            return None;
        }
        self.due = now + self.interval;
        if watermark <= self.told {
            self.still = self.still.saturating_add(1);
            return None;
        }
        (self.still, self.sending) = (0, watermark);
        let method = match self.method {
            HeartbeatMethod::Get => Method::GET,
            HeartbeatMethod::Post => Method::POST,
        };
        Some(Message::empty(method))
    }

    /// Ends a beat.
    pub fn settle(&mut self, taken: bool) {
        let sending = self.sending.take();
        if taken {
            self.told = sending.max(self.told);
        }
    }

    /// A beat failed: the next try is the receiver's.
    pub fn again(&mut self, now: Instant) {
        self.sending = None;
        self.due = now;
    }

    pub fn due_at(&self) -> Instant {
        self.due
    }

    /// What is wrong, if anything is.
    pub fn trouble(&self) -> Option<&'static str> {
        (self.still > 0).then_some("no heartbeat: the watermark does not move")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_beats_while_event_time_moves_and_stops_when_it_stands() {
        let (start, interval) = (Instant::now(), Duration::from_secs(60));
        let mut heartbeat = Heartbeat::new(HeartbeatMethod::Get, interval, start);
        let at = |milliseconds| Some(Timestamp::from_millis(milliseconds));
        let mut beats = Vec::new();
        for (minute, watermark) in [None, at(1), at(2), at(2), at(2), at(3)].into_iter().enumerate() {
            let now = start + interval * u32::try_from(minute).unwrap();
            assert_eq!(heartbeat.due_at(), now);
            let beat = heartbeat.start(now, watermark);
            beats.push(beat.is_some());
            assert_eq!(heartbeat.trouble().is_some(), beat.is_none());
            assert!(heartbeat.start(now, at(99)).is_none(), "not due");
            heartbeat.settle(true);
        }
        assert_eq!(beats, [false, true, true, false, false, true]);
    }

    #[test]
    fn a_beat_that_failed_is_sent_again_with_the_same_watermark() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(HeartbeatMethod::Post, Duration::from_secs(60), start);
        let watermark = Some(Timestamp::from_millis(1));
        assert!(heartbeat.start(start, watermark).is_some());
        heartbeat.again(start);
        assert_eq!(heartbeat.start(start, watermark).unwrap().method, Method::POST);
    }
}
