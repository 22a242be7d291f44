//! How often and how long to try.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

/// How often and how long to try. The default is for production.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Pause after the first failure; each further one doubles it. A part of it, up to half, is left out at random.
    pub backoff_first: Duration,
    /// Longest pause of our own choice.
    pub backoff_max: Duration,
    /// Longest pause that a receiver may ask for (`Retry-After`).
    pub retry_after_max: Duration,
    /// A notification is given up this long after it came in: an older page helps nobody.
    pub retry_for: Duration,
    /// A resolved alert is told to Alertmanager for this long, as its clients are asked to.
    pub resolved_for: Duration,
    /// What fired before a restart and is not heard of while the log moves on by this much (event time), from where it was,
    /// or by as much as its rule takes to fire and stays, is told to Alertmanager as resolved.
    pub restored_for: Duration,
    /// The next message of a receiver waits for the disk to know of itself and of the end of the one before, but not for
    /// longer than this: a crash repeats one message a receiver, and a disk that hangs holds up no page.
    pub wait_for_disk: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            backoff_first: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            retry_after_max: Duration::from_secs(900),
            retry_for: Duration::from_secs(3_600),
            resolved_for: Duration::from_secs(300),
            restored_for: Duration::from_secs(900),
            wait_for_disk: Duration::from_secs(1),
        }
    }
}

impl Pace {
    /// Pause after this many failures in a row (from 1) of `receiver`, which may have asked for one. Receivers that failed
    /// together do not come again together: each has its own part of the pause.
    pub(super) fn pause(self, receiver: &str, failures: u32, asked: Option<Duration>) -> Duration {
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
        let whole = self.backoff_first.saturating_mul(factor).min(self.backoff_max);
        let mut hasher = DefaultHasher::new();
        (receiver, failures).hash(&mut hasher);
        let jitter = f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or(0)) / f64::from(u32::MAX);
        let own = whole.mul_f64(1.0 - jitter / 2.0);
        own.max(asked.unwrap_or_default().min(self.retry_after_max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_back_off_doubles_up_to_its_cap_less_a_part_of_its_own() {
        let pace = Pace::default();
        for (failures, seconds) in [(1, 1.0), (2, 2.0), (3, 4.0), (7, 60.0), (8, 60.0), (u32::MAX, 60.0)] {
            let pauses: Vec<f64> =
                (0..100).map(|i| pace.pause(&format!("receiver-{i}"), failures, None).as_secs_f64()).collect();
            assert!(pauses.iter().all(|pause| (seconds / 2.0..=seconds).contains(pause)), "{failures}: {pauses:?}");
            let (least, most) = pauses.iter().fold((f64::MAX, 0.0_f64), |(a, b), p| (a.min(*p), b.max(*p)));
            assert!(most - least > seconds * 0.4, "they are spread");
        }
    }

    #[test]
    fn what_a_receiver_asks_for_is_honoured_within_reason() {
        let (pace, seconds) = (Pace::default(), Duration::from_secs);
        assert_eq!(pace.pause("a", 1, Some(seconds(120))), seconds(120));
        assert_eq!(pace.pause("a", 1, Some(seconds(999_999))), seconds(900));
        assert!(pace.pause("a", 7, Some(seconds(1))) >= seconds(30));
    }
}
