//! On which side of a number a value must be, and how far back it must go before that is over.

use serde::{Deserialize, Serialize};

/// How a value is compared with the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Op {
    /// Above it.
    #[serde(rename = ">")]
    Above,
    /// Above it, or just there.
    #[serde(rename = ">=")]
    AtLeast,
    /// Below it.
    #[serde(rename = "<")]
    Below,
    /// Below it, or just there.
    #[serde(rename = "<=")]
    AtMost,
}

impl Op {
    /// Whether `value` is on that side of `limit`.
    #[must_use]
    pub fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Above => value > limit,
            Self::AtLeast => value >= limit,
            Self::Below => value < limit,
            Self::AtMost => value <= limit,
        }
    }

    /// Whether more is worse.
    #[must_use]
    pub fn is_upward(self) -> bool {
        matches!(self, Self::Above | Self::AtLeast)
    }

    /// In a sentence: `above`.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::AtLeast => "not below",
            Self::Below => "below",
            Self::AtMost => "not above",
        }
    }
}

/// A threshold with its hysteresis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Which side.
    pub op: Op,
    /// Of what.
    pub threshold: f64,
    /// What a value that was past the threshold must come back over; the threshold itself, where nothing else is said.
    pub clear: Option<f64>,
}

impl Level {
    /// Whether a value is past the threshold, given whether it was before.
    #[must_use]
    pub fn holds(&self, value: f64, held: bool) -> bool {
        self.op.holds(value, self.clear.filter(|_| held).unwrap_or(self.threshold))
    }

    /// What is wrong with it: key and message.
    #[must_use]
    pub fn problem(&self) -> Option<(&'static str, &'static str)> {
        let clear = self.clear.unwrap_or(self.threshold);
        let beyond = if self.op.is_upward() { clear > self.threshold } else { clear < self.threshold };
        if !clear.is_finite() {
            return Some(("clear", "must be a number"));
        }
        beyond.then_some(("clear", "must lie on the calm side of the threshold: what it ends would not have begun"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_every_boundary() {
        for (op, below, at, above) in [
            (Op::Above, false, false, true),
            (Op::AtLeast, false, true, true),
            (Op::Below, true, false, false),
            (Op::AtMost, true, true, false),
        ] {
            let level = Level { op, threshold: 5.0, clear: None };
            assert_eq!([4.9, 5.0, 5.1].map(|value| level.holds(value, false)), [below, at, above], "{op:?}");
            assert_eq!([4.9, 5.0, 5.1].map(|value| level.holds(value, true)), [below, at, above], "{op:?}");
        }
    }

    #[test]
    fn what_held_must_come_back_over_clear() {
        let level = Level { op: Op::Above, threshold: 5.0, clear: Some(3.0) };
        assert_eq!([3.0, 3.1, 5.0].map(|value| level.holds(value, true)), [false, true, true]);
        assert!(!level.holds(4.0, false));
        let level = Level { op: Op::Below, threshold: 5.0, clear: Some(7.0) };
        assert_eq!([4.9, 6.9, 7.0].map(|value| level.holds(value, true)), [true, true, false]);
        assert_eq!(level.problem(), None);
        assert!(Level { clear: Some(4.0), ..level }.problem().is_some());
    }
}
