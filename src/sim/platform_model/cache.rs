//! A cache: how often it hits, and how it warms up again after a loss.

use crate::sim::random::Stream;

use super::spec::CacheSpec;

/// State of a cache.
#[derive(Debug)]
pub(super) struct CacheState {
    /// Lookups since it was empty; infinite at the start: it is warm.
    lookups: f64,
    pub hits_total: u64,
    pub misses_total: u64,
}

impl CacheState {
    pub(super) fn warm() -> Self {
        Self { lookups: f64::INFINITY, hits_total: 0, misses_total: 0 }
    }

    /// Whether a lookup hits; `held` is the ratio an effect holds it at.
    pub(super) fn lookup(&mut self, spec: &CacheSpec, held: Option<f64>, stream: &mut Stream) -> bool {
        let ratio = match held {
            Some(ratio) => {
                self.lookups = 0.0;
                ratio
            }
            None => {
                self.lookups += 1.0;
                spec.hit_ratio * (1.0 - libm::exp(-self.lookups / spec.warming_lookups.max(1.0)))
            }
        };
        let hit = stream.chance(ratio);
        self.hits_total += u64::from(hit);
        self.misses_total += u64::from(!hit);
        hit
    }
}
