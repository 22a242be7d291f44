//! The usual time between two values of a series, learnt.

use super::sorted::SortedWindow;

/// Steps that are remembered, and how many make the usual one known.
const STEPS_MAX: usize = 64;
const STEPS_MIN: usize = 8;
/// A step this many times the usual one is a gap.
const GAP_STEPS: f64 = 10.0;

#[derive(Debug, Clone)]
pub(super) struct Interval {
    newest_ms: Option<i64>,
    steps_ms: SortedWindow,
}

impl Default for Interval {
    fn default() -> Self {
        Self { newest_ms: None, steps_ms: SortedWindow::new(STEPS_MAX) }
    }
}

impl Interval {
    /// Takes in a timestamp; true after a gap. Timestamps that do not go forward teach nothing.
    pub(super) fn step(&mut self, timestamp_ms: i64) -> bool {
        let newest_ms = self.newest_ms.replace(self.newest_ms.map_or(timestamp_ms, |newest| newest.max(timestamp_ms)));
        let Some(step_ms) = newest_ms.and_then(|newest| timestamp_ms.checked_sub(newest)).filter(|step| *step > 0)
        else {
            return false;
        };
        let gap = self.usual_ms().is_some_and(|usual| step_ms as f64 > GAP_STEPS * usual as f64);
        self.steps_ms.push(step_ms as f64);
        gap
    }

    /// The median step, once it is known.
    pub(super) fn usual_ms(&self) -> Option<i64> {
        (self.steps_ms.len() >= STEPS_MIN).then(|| self.steps_ms.quantile(0.5) as i64)
    }
}
