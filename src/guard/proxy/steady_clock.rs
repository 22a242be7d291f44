//! The gate's time: the wall clock's, as long as that goes forward. One that is set back would hold every wait, every breaker
//! and safe mode for as long as it was set back by; here time goes on, a tenth slower, until the wall clock has caught up.

use tokio::time::Instant;

use crate::clock;
use crate::model::Timestamp;

/// How fast time passes while the wall clock is behind: of this many parts,
const PARTS: i64 = 10;
/// so many. Waits are a tenth longer then, and what was a step back of an hour is gone after ten.
const PARTS_BEHIND: i64 = 9;

/// Time that never goes back and never stands still.
#[derive(Debug)]
pub(super) struct SteadyClock {
    began: Instant,
    /// When the wall clock was last the one to believe, and how long the process had run then, in milliseconds.
    believed: (Timestamp, i64),
}

impl SteadyClock {
    /// From now on.
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), believed: (Timestamp::from_millis(0), 0) }
    }

    /// The time.
    pub(super) fn now(&mut self) -> Timestamp {
        let passed_ms = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.at(clock::now(), passed_ms)
    }

    /// The time when the wall clock shows `wall` and the process has run for `passed_ms`.
    fn at(&mut self, wall: Timestamp, passed_ms: i64) -> Timestamp {
        let (believed, believed_ms) = self.believed;
        let gone_on = believed.plus((passed_ms - believed_ms) / PARTS * PARTS_BEHIND);
        if wall < gone_on {
            return gone_on;
        }
        self.believed = (wall, passed_ms);
        wall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_is_set_back_holds_nothing_up() {
        let mut steady = SteadyClock::new();
        let noon = 1_800_000_000_000;
        let mut at =
            |wall_ms: i64, passed_ms| steady.at(Timestamp::from_millis(noon + wall_ms), passed_ms).as_millis() - noon;
        assert_eq!((at(0, 5), at(1_000, 1_005)), (0, 1_000));
        // Set back by an hour: time goes on, a tenth slower.
        assert_eq!(at(1_000 - 3_600_000, 1_005), 1_000);
        assert_eq!(at(11_000 - 3_600_000, 11_005), 10_000);
        let last = (1..=36_000).map(|second| at(second * 1_000 - 3_599_000, 1_005 + second * 1_000)).last();
        assert_eq!(last, Some(32_401_000), "after ten hours both are the same");
        assert_eq!(at(32_600_000, 36_200_005), 32_600_000);
        // What is set forward is believed.
        assert_eq!(at(40_000_000, 36_200_006), 40_000_000);
    }

    #[test]
    fn time_never_goes_back() {
        let mut steady = SteadyClock::new();
        let walls = [0, 10, 5, 7, 30, 29, 28, 1_000, 0, 0, 0];
        let times =
            walls.into_iter().zip(0..).map(|(wall, passed)| steady.at(Timestamp::from_millis(wall), passed * 15));
        assert!(times.collect::<Vec<_>>().is_sorted());
    }
}
