//! Values of event fields that change from event to event.

use serde::Deserialize;
use serde_json::{Number, Value};

/// A value, constant or not.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Vary {
    /// The same in every event; a text may hold `{n}` and `{i}`.
    Constant(Scalar),
    /// One after the other, again and again.
    Cycle(Vec<Scalar>),
    /// A number that moves.
    Moving(Moving),
    /// A share of the events have another value.
    Shared(Shared),
}

/// A plain value.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Scalar {
    Bool(bool),
    Whole(i64),
    Number(f64),
    Text(String),
}

/// `{ from: 1e9, to: 2e9 }` over the entry's span, or `{ from: 0, per_minute: 600 }`, `noise` as a share.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Moving {
    from: f64,
    #[serde(default)]
    to: Option<f64>,
    #[serde(default)]
    per_minute: f64,
    #[serde(default)]
    noise: f64,
}

/// `{ usual: 200, other: 503, share: 0.02 }`, spread evenly.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shared {
    usual: Scalar,
    other: Scalar,
    share: f64,
}

/// Which event of an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// From 0.
    pub index: u64,
    /// Number of the subscription, from 1.
    pub subscription: u64,
    /// Since the entry's first event.
    pub after_ms: i64,
    /// Length of the entry.
    pub span_ms: i64,
}

impl Vary {
    /// The value in the event at `place`; `whole`: numbers are rounded.
    pub(super) fn at(&self, place: Place, whole: bool) -> Value {
        match self {
            Self::Constant(scalar) => scalar.at(place),
            Self::Cycle(scalars) => match scalars.len() as u64 {
                0 => Value::Null,
                length => scalars[(place.index % length) as usize].at(place),
            },
            Self::Moving(moving) => number(moving.at(place), whole),
            Self::Shared(shared) => {
                let times = |index: u64| (index as f64 * shared.share).floor();
                let is_other = times(place.index + 1) > times(place.index);
                if is_other { shared.other.at(place) } else { shared.usual.at(place) }
            }
        }
    }
}

impl Vary {
    /// Whether its share is one.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Shared(shared) if !(0.0..=1.0).contains(&shared.share) => {
                Err(format!("`share: {}`: a share is from 0 to 1", shared.share))
            }
            _ => Ok(()),
        }
    }
}

impl Moving {
    fn at(&self, place: Place) -> f64 {
        let share = place.after_ms as f64 / place.span_ms.max(1) as f64;
        let ramp = self.to.map_or(0.0, |to| (to - self.from) * share);
        let level = self.from + ramp + self.per_minute * place.after_ms as f64 / 60_000.0;
        level * (1.0 + self.noise * (2.0 * scatter(place.index) - 1.0))
    }
}

/// A number from 0 up to 1 that looks like chance and is always the same: SplitMix64's mixer.
pub(super) fn scatter(index: u64) -> f64 {
    let mut bits = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

impl Scalar {
    fn at(&self, place: Place) -> Value {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Whole(value) => Value::from(*value),
            Self::Number(value) => number(*value, false),
            Self::Text(text) if text.contains('{') => Value::String(
                text.replace("{n}", &place.subscription.to_string()).replace("{i}", &place.index.to_string()),
            ),
            Self::Text(text) => Value::String(text.clone()),
        }
    }
}

/// A JSON number without a fraction where it has none; fields of bytes and counts take no others.
fn number(value: f64, whole: bool) -> Value {
    let value = if whole { value.round() } else { value };
    if value.fract() == 0.0 && value.abs() < 9.0e15 {
        #[allow(clippy::cast_possible_truncation)] // whole, and within 2^53
        return Value::from(value as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}
