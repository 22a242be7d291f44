//! A pool of sessions: every one is reserved, then in use, then released; a leaked one stays reserved for ever.

use std::collections::BTreeMap;

use crate::sim::plan::micros;
use crate::sim::random::Stream;
use crate::sim::schedule::{Micros, SECOND_US};

use super::conditions::PoolNow;
use super::spec::PoolSpec;

/// State of a pool. What is scheduled is bounded by its size.
#[derive(Debug, Default)]
pub(super) struct PoolState {
    pub in_use: u32,
    pub reserved: u32,
    pub acquired_total: u64,
    pub released_total: u64,
    /// Sessions that change from reserved to in use, and that are released, by second.
    due: BTreeMap<i64, (u32, u32)>,
}

impl PoolState {
    /// Takes a session, if there is one.
    pub(super) fn take(&mut self, spec: &PoolSpec, now: &PoolNow, at_us: Micros, stream: &mut Stream) -> bool {
        if self.in_use + self.reserved >= spec.size {
            return false;
        }
        self.reserved += 1;
        self.acquired_total += 1;
        if stream.chance(now.leak_share) {
            return true;
        }
        let use_us = at_us + stream.lognormal_us(micros(spec.reserved_for), 0.3);
        let used_for = micros(spec.used_for.median) as f64 * now.slow;
        let release_us = use_us + stream.lognormal_us(used_for as Micros, spec.used_for.sigma);
        let second = |us: Micros| us.div_euclid(SECOND_US) + 1;
        self.due.entry(second(use_us)).or_default().0 += 1;
        self.due.entry(second(release_us).max(second(use_us) + 1)).or_default().1 += 1;
        true
    }

    /// What is due at a second happens.
    pub(super) fn advance(&mut self, now_us: Micros) {
        let second = now_us.div_euclid(SECOND_US);
        while let Some(entry) = self.due.first_entry().filter(|entry| *entry.key() <= second) {
            let (used, released) = entry.remove();
            self.reserved -= used.min(self.reserved);
            self.in_use += used;
            self.in_use -= released.min(self.in_use);
            self.released_total += u64::from(released);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::random::Concern;

    #[test]
    fn sessions_are_conserved_and_leaked_ones_stay() {
        let spec: PoolSpec = toml::from_str(
            "source = 'pool/s'\nsize = 40\nreserved_for = '2s'\nused_for = { median = '20s', sigma = 0.3 }",
        )
        .unwrap();
        let (mut pool, mut stream) = (PoolState::default(), Stream::new(1, Concern::Service));
        let now = PoolNow { leak_share: 0.1, slow: 1.0 };
        let mut refused = 0;
        for second in 0..2_000 {
            pool.advance(second * SECOND_US);
            refused += u32::from(!pool.take(&spec, &now, second * SECOND_US, &mut stream));
            let taken = u64::from(pool.in_use + pool.reserved);
            assert_eq!(pool.acquired_total - pool.released_total, taken);
        }
        assert!(refused > 1_000, "the leak exhausts it");
        pool.advance(10_000 * SECOND_US);
        assert_eq!((pool.in_use, pool.reserved), (0, 40));
    }
}
