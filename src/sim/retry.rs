//! Whether and when a client tries again.

use super::plan::micros;
use super::random::Stream;
use super::scenario::RetrySpec;
use super::schedule::Micros;

/// An unlimited client's fixed delay still varies by this share: timers and networks do.
const FIXED_DELAY_JITTER: f64 = 0.2;

/// How long a client waits after failed attempt number `attempt` (from 1), or `None` when it gives up. The bounded
/// policy is exponential back-off with full jitter: uniform in [0, min(cap, base × 2^(attempt − 1))].
pub(super) fn retry_delay_us(policy: RetrySpec, attempt: u32, stream: &mut Stream) -> Option<Micros> {
    match policy {
        RetrySpec::None => None,
        RetrySpec::Bounded { attempts, .. } if attempt >= attempts => None,
        RetrySpec::Bounded { base, cap, .. } => {
            let doubled = micros(base).saturating_mul(1_i64 << (attempt - 1).min(32));
            Some(stream.uniform_us(doubled.min(micros(cap)) + 1))
        }
        RetrySpec::Unlimited { delay } => {
            let delay_us = micros(delay);
            Some(delay_us + stream.uniform_us((delay_us as f64 * FIXED_DELAY_JITTER) as Micros))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Span;
    use crate::sim::random::Concern;

    #[test]
    fn bounded_retries_back_off_and_end() {
        let policy = RetrySpec::Bounded { attempts: 4, base: Span::from_millis(100), cap: Span::from_millis(250) };
        let mut stream = Stream::new(3, Concern::Client);
        for (attempt, max_us) in [(1, 100_000), (2, 200_000), (3, 250_000)] {
            let longest = (0..2_000).filter_map(|_| retry_delay_us(policy, attempt, &mut stream)).max().unwrap();
            assert!(longest <= max_us && longest > max_us * 9 / 10, "attempt {attempt}: {longest}");
        }
        assert_eq!(retry_delay_us(policy, 4, &mut stream), None);
    }

    #[test]
    fn unlimited_retries_never_end() {
        let policy = RetrySpec::Unlimited { delay: Span::from_millis(500) };
        let mut stream = Stream::new(3, Concern::Client);
        let delay_us = retry_delay_us(policy, u32::MAX, &mut stream).unwrap();
        assert!((500_000..=600_000).contains(&delay_us));
    }
}
