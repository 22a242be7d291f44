//! When an event is due, as a pure function of its time.

use std::time::Duration;

use crate::model::Timestamp;

/// Maps event time to time since a feed began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    start: Timestamp,
    /// `None`: as fast as possible.
    speed: Option<f64>,
}

impl Pace {
    /// Event time runs `speed` times as fast as real time from `start` on; `None` is as fast as possible.
    #[must_use]
    pub fn new(start: Timestamp, speed: Option<f64>) -> Self {
        Self { start, speed: speed.filter(|speed| *speed > 0.0) }
    }

    /// How long after the feed began an event of this time is due. Events before `start` (a release of last week) are
    /// due at once.
    #[must_use]
    pub fn due(&self, timestamp: Timestamp) -> Duration {
        let Some(speed) = self.speed else { return Duration::ZERO };
        let elapsed_ms = timestamp.since(self.start).max(0) as f64;
        Duration::try_from_secs_f64(elapsed_ms / 1_000.0 / speed).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_times_real_time() {
        let start = Timestamp::from_millis(1_000_000);
        let pace = Pace::new(start, Some(60.0));
        assert_eq!(pace.due(start.plus(120_000)), Duration::from_secs(2));
        assert_eq!(pace.due(start.plus(-1)), Duration::ZERO);
        assert_eq!(Pace::new(start, None).due(start.plus(120_000)), Duration::ZERO);
    }
}
