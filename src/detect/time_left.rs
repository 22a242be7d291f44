//! How long until something is full, with its interval.

use super::words::duration;
use crate::model::DurationMs;

/// Times beyond this are "far".
const FAR_MS: f64 = 400.0 * 86_400_000.0;

/// Time until a limit: gap over pace, and over the ends of the pace's 90 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeLeft {
    /// At the median pace.
    pub likely_ms: DurationMs,
    /// At the fastest.
    pub soonest_ms: DurationMs,
    /// At the slowest; nothing when it may stand still.
    pub latest_ms: Option<DurationMs>,
}

impl TimeLeft {
    /// Nothing left.
    pub(super) const NONE: Self = Self { likely_ms: 0, soonest_ms: 0, latest_ms: Some(0) };

    /// `gap` in a unit, slopes in that unit a second. Nothing without a rising pace.
    pub(super) fn new(gap: f64, slope: f64, slope_lower: f64, slope_upper: f64) -> Option<Self> {
        #[allow(clippy::cast_possible_truncation)] // clamped
        let time_ms = |slope: f64| ((gap.max(0.0) / slope * 1_000.0).clamp(0.0, FAR_MS)) as DurationMs;
        (slope > 0.0).then(|| Self {
            likely_ms: time_ms(slope),
            soonest_ms: time_ms(slope_upper.max(slope)),
            latest_ms: (slope_lower > 0.0).then(|| time_ms(slope_lower.min(slope))),
        })
    }
}

impl std::fmt::Display for TimeLeft {
    /// `3 h 10 min (2 h 50 min – 3 h 40 min)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&duration(self.likely_ms))?;
        let soonest = duration(self.soonest_ms);
        match self.latest_ms.map(duration) {
            Some(latest) if latest == soonest => Ok(()),
            Some(latest) => write!(f, " ({soonest} – {latest})"),
            None => write!(f, " ({soonest} or later)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_a_time_with_its_interval() {
        let left = TimeLeft::new(11_400.0, 1.0, 0.9, 1.1).unwrap();
        assert_eq!(left.to_string(), "3 h 10 min (2 h 52 min – 3 h 31 min)");
        assert_eq!(TimeLeft::new(60.0, 1.0, 0.0, 2.0).unwrap().to_string(), "1 min (30 s or later)");
        assert_eq!(TimeLeft::new(60.0, 0.0, 0.0, 2.0), None);
        assert_eq!(TimeLeft::NONE.to_string(), "0 s");
    }
}
