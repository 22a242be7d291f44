//! How bursty customers are: variance over mean of a customer's requests a minute, learnt from healthy minutes.
//!
//! Where nothing tells repeats from requests, a burst of an over-dispersed customer looks like repeats. Real Fano factors
//! are 10 and more, so evidence that was counted as if requests were independent weighs that much less.

use rustc_hash::FxHashMap;

use crate::detect::Scene;
use crate::flow::Name;
use crate::model::{DurationMs, Timestamp};

const MINUTE_MS: DurationMs = 60_000;
/// Customers followed; further ones are as bursty as these.
const CUSTOMERS_MAX: usize = 100_000;
/// A customer's minutes before its mean says something.
const MINUTES_MIN: u32 = 5;
/// Minutes that a mean remembers.
const MINUTES_REMEMBERED: u32 = 30;
/// A minute with a greater share of failures is not healthy.
const HEALTHY_SHARE_MAX: f64 = 0.02;
/// Independent requests and a little more: what is believed until more is seen.
pub(super) const FANO_MIN: f64 = 2.5;
const FANO_MAX: f64 = 200.0;
/// Sums are integers, in thousandths: they must not depend on the map's order.
const FIXED: f64 = 1_000.0;

/// The platform's dispersion.
#[derive(Debug, Default)]
pub(super) struct Dispersion {
    customers: FxHashMap<Name, (f64, u32)>,
    squares: u64,
    means: u64,
    minute: Option<Timestamp>,
}

impl Dispersion {
    /// Takes in the last minute, once a minute, if the edge was healthy in it.
    pub(super) fn observe(&mut self, scene: &Scene<'_>) {
        let minute = scene.window.start.window_start(MINUTE_MS);
        if self.minute.replace(minute).is_none_or(|before| before == minute) {
            return;
        }
        if scene.recent.edge_total().failure_ratio() > HEALTHY_SHARE_MAX {
            return;
        }
        let mut counts: FxHashMap<Name, u64> = FxHashMap::default();
        for (key, cell) in scene.recent.cells().filter(|(key, _)| key.caller.is_absent()) {
            *counts.entry(key.subscription).or_default() += cell.requests;
        }
        for name in counts.keys() {
            if self.customers.len() < CUSTOMERS_MAX {
                self.customers.entry(*name).or_default();
            }
        }
        // Half of what is known is forgotten in six hours.
        (self.squares, self.means) = (self.squares / 512 * 511, self.means / 512 * 511);
        for (name, (mean, minutes)) in &mut self.customers {
            #[allow(clippy::cast_precision_loss)] // far below 2^52
            let count = counts.get(name).copied().unwrap_or(0) as f64;
            if *minutes >= MINUTES_MIN {
                self.squares += fixed((count - *mean).powi(2));
                self.means += fixed(*mean);
            }
            *minutes = (*minutes + 1).min(MINUTES_REMEMBERED);
            *mean += (count - *mean) / f64::from(*minutes);
        }
    }

    /// Variance over mean.
    #[allow(clippy::cast_precision_loss)] // a ratio
    pub(super) fn fano(&self) -> f64 {
        if self.means == 0 { FANO_MIN } else { (self.squares as f64 / self.means as f64).clamp(FANO_MIN, FANO_MAX) }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
fn fixed(value: f64) -> u64 {
    (value * FIXED).clamp(0.0, 1e12) as u64
}
