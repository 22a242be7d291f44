//! Counters: a series that only rises is judged by its increments.

/// Values without a fall that make a counter, and between two falls (resets) of one.
const STEADY_VALUES: u32 = 256;

/// What to judge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Taken {
    /// None at a counter's reset: what it counted between is not known.
    pub(super) value: Option<f64>,
    /// From here on something else is judged than before.
    pub(super) begins_anew: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Counter {
    last: Option<f64>,
    /// Values since the last fall, and how many of them rose.
    steady: u32,
    rises: u32,
    counting: bool,
}

impl Counter {
    /// The value itself, or the increment of a counter.
    pub(super) fn step(&mut self, value: f64) -> Taken {
        let last = self.last.replace(value).unwrap_or(value);
        let was_counting = self.counting;
        if value < last {
            // A counter is reset to near nothing, and not twice in a row.
            self.counting &= self.steady >= STEADY_VALUES && value >= 0.0 && value < last / 2.0;
            (self.steady, self.rises) = (0, 0);
        } else {
            self.steady = self.steady.saturating_add(1);
            self.rises = self.rises.saturating_add(u32::from(value > last));
            self.counting |= self.steady >= STEADY_VALUES && self.rises > self.steady / 2;
        }
        let increment = (value >= last).then_some(value - last);
        let value = if self.counting { increment } else { Some(value) };
        Taken { value, begins_anew: self.counting != was_counting }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_that_only_rises_is_judged_by_its_increments_across_a_reset() {
        let mut counter = Counter::default();
        let taken: Vec<Taken> = (1..=300).map(|n| counter.step(f64::from(n) * 7.0)).collect();
        assert_eq!(taken[100], Taken { value: Some(101.0 * 7.0), begins_anew: false });
        assert_eq!(taken.iter().filter(|taken| taken.begins_anew).count(), 1);
        assert_eq!(taken[299], Taken { value: Some(7.0), begins_anew: false });
        assert_eq!(counter.step(3.0), Taken { value: None, begins_anew: false });
        assert_eq!(counter.step(10.0), Taken { value: Some(7.0), begins_anew: false });
        assert_eq!(counter.step(4.0), Taken { value: Some(4.0), begins_anew: true }, "two falls: no counter");
    }
}
