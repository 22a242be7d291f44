//! Event time: milliseconds since the Unix epoch, UTC.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of event time in milliseconds.
pub type DurationMs = i64;

/// A moment of event time: milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// The text is neither RFC 3339 nor epoch milliseconds, or lies outside the years 2000–2199.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time or epoch milliseconds between the years 2000 and 2199")]
pub struct ParseTimestampError;

impl Timestamp {
    /// 2000-01-01T00:00:00Z: anything before it is a unit mistake (seconds for milliseconds) or a broken clock.
    pub const MIN: Self = Self(946_684_800_000);
    /// 2200-01-01T00:00:00Z: anything after it is a unit mistake (micro- or nanoseconds) or a broken clock.
    pub const MAX: Self = Self(7_258_118_400_000);

    /// From epoch milliseconds, without a range check.
    #[must_use]
    pub const fn from_millis(epoch_ms: i64) -> Self {
        Self(epoch_ms)
    }

    /// Epoch milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// From epoch milliseconds as a log would carry them.
    ///
    /// # Errors
    /// Outside [`Timestamp::MIN`]..[`Timestamp::MAX`].
    pub fn from_epoch_millis_checked(epoch_ms: i64) -> Result<Self, ParseTimestampError> {
        let timestamp = Self(epoch_ms);
        if (Self::MIN..Self::MAX).contains(&timestamp) { Ok(timestamp) } else { Err(ParseTimestampError) }
    }

    /// From RFC 3339 text such as `2026-03-01T10:15:05.250Z` or `2026-03-01T12:15:05+02:00`. Finer digits than
    /// milliseconds are cut off.
    ///
    /// # Errors
    /// Anything else, or a moment outside [`Timestamp::MIN`]..[`Timestamp::MAX`].
    pub fn parse_rfc3339(text: &str) -> Result<Self, ParseTimestampError> {
        let moment: jiff::Timestamp = text.parse().map_err(|_| ParseTimestampError)?;
        Self::from_epoch_millis_checked(moment.as_millisecond())
    }

    /// As ClickHouse writes and reads a `DateTime64(3, 'UTC')`: `2026-03-01 10:15:05.250`.
    #[must_use]
    pub fn to_clickhouse(self) -> String {
        let second = self.window_start(1_000);
        let text = second.to_string().replace('T', " ").replace('Z', "");
        format!("{text}.{:03}", self.since(second))
    }

    /// The start of the fixed window of `window_ms` that holds this moment (windows start at the epoch).
    #[must_use]
    pub const fn window_start(self, window_ms: DurationMs) -> Self {
        Self(self.0.div_euclid(window_ms) * window_ms)
    }

    /// This moment plus `duration_ms` (which may be negative), saturating.
    #[must_use]
    pub const fn plus(self, duration_ms: DurationMs) -> Self {
        Self(self.0.saturating_add(duration_ms))
    }

    /// Milliseconds from `earlier` to this moment (negative when `earlier` is later), saturating.
    #[must_use]
    pub const fn since(self, earlier: Self) -> DurationMs {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => fmt::Display::fmt(&moment, f),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_rfc3339(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_offsets_and_cuts_below_milliseconds() {
        let utc = Timestamp::parse_rfc3339("2026-03-01T10:15:05.250999Z").unwrap();
        let east = Timestamp::parse_rfc3339("2026-03-01T12:15:05.250+02:00").unwrap();
        assert_eq!(utc, east);
        assert_eq!(utc.to_string(), "2026-03-01T10:15:05.25Z");
        assert_eq!(utc.window_start(5_000).to_string(), "2026-03-01T10:15:05Z");
    }

    #[test]
    fn refuses_unit_mistakes() {
        assert!(Timestamp::from_epoch_millis_checked(1_772_360_105).is_err(), "seconds");
        assert!(Timestamp::from_epoch_millis_checked(1_772_360_105_000_000).is_err(), "microseconds");
        assert!(Timestamp::parse_rfc3339("yesterday").is_err());
        assert!(Timestamp::parse_rfc3339("2026-03-01 10:15:05").is_err(), "no zone");
    }

    #[test]
    fn clickhouse_gets_all_three_digits() {
        let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap().to_clickhouse();
        assert_eq!(at("2026-03-01T10:15:05.007Z"), "2026-03-01 10:15:05.007");
        assert_eq!(at("2026-03-01T10:15:05Z"), "2026-03-01 10:15:05.000");
    }

    #[test]
    fn windows_before_the_epoch_round_down() {
        assert_eq!(Timestamp::from_millis(-1).window_start(5_000), Timestamp::from_millis(-5_000));
    }
}
