//! Values with units, as people write them: `5s`, `64MiB`.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A span of time, written `250ms`, `5s`, `2m`, `14d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Span(#[serde(with = "humantime_serde")] pub Duration);

impl Span {
    /// How a JSON Schema says that a text is one.
    pub const FORMAT: &'static str = "humantime";

    /// From whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// From whole milliseconds.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// From whole days.
    #[must_use]
    pub const fn from_days(days: u64) -> Self {
        Self::from_secs(days * 86_400)
    }

    /// Milliseconds, saturating.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }
}

impl std::str::FromStr for Span {
    type Err = humantime::DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        humantime::parse_duration(text).map(Self)
    }
}

impl std::fmt::Display for Span {
    /// Exact, in the largest unit that divides it: `800d`, `90s`. (`humantime` would write years of 365.25 days.)
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nanoseconds = self.0.as_nanos();
        let units = [
            (86_400_000_000_000, "d"),
            (3_600_000_000_000, "h"),
            (60_000_000_000, "m"),
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
        ];
        let fitting = units.into_iter().find(|(size, _)| nanoseconds >= *size && nanoseconds.is_multiple_of(*size));
        match fitting {
            Some((size, unit)) => write!(f, "{}{unit}", nanoseconds / size),
            None => write!(f, "{}", humantime::format_duration(self.0)),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": Self::FORMAT,
            "description": "a span of time, e.g. 250ms, 5s, 2m, 14d",
            "examples": ["5s"]
        })
    }
}

/// A number of bytes, written `64MiB`, `1GB` or as a plain integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct ByteCount(pub bytesize::ByteSize);

impl ByteCount {
    /// From mebibytes.
    #[must_use]
    pub const fn mib(mebibytes: u64) -> Self {
        Self(bytesize::ByteSize::mib(mebibytes))
    }

    /// As `usize`, saturating.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0.as_u64()).unwrap_or(usize::MAX)
    }
}

impl std::fmt::Display for ByteCount {
    /// Exact, in the largest binary unit that divides it: `32MiB`, `1000B`. (`bytesize` rounds to one digit.)
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.0.as_u64();
        let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let fitting = units.into_iter().find(|(size, _)| bytes >= *size && bytes.is_multiple_of(*size));
        let (size, unit) = fitting.unwrap_or((1, "B"));
        write!(f, "{}{unit}", bytes / size)
    }
}

impl Serialize for ByteCount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for ByteCount {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByteCount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "integer"], "description": "bytes, e.g. 64MiB", "examples": ["64MiB"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_exactly_and_read_back() {
        for (milliseconds, text) in
            [(0, "0s"), (250, "250ms"), (90_000, "90s"), (120_000, "2m"), (7_200_000, "2h"), (69_120_000_000, "800d")]
        {
            let span = Span::from_millis(milliseconds);
            assert_eq!(span.to_string(), text);
            let json = serde_json::to_string(&span).unwrap();
            assert_eq!(serde_json::from_str::<Span>(&json).unwrap(), span);
        }
        let odd = Span(Duration::from_nanos(1_500));
        assert_eq!(serde_json::from_str::<Span>(&serde_json::to_string(&odd).unwrap()).unwrap(), odd);
    }

    #[test]
    fn bytes_are_written_exactly_and_read_back() {
        for (bytes, text) in [(0, "0B"), (1_000, "1000B"), (1_536, "1536B"), (2_048, "2KiB"), (33_554_432, "32MiB")] {
            let count = ByteCount(bytesize::ByteSize::b(bytes));
            assert_eq!(count.to_string(), text);
            let json = serde_json::to_string(&count).unwrap();
            assert_eq!(serde_json::from_str::<ByteCount>(&json).unwrap(), count);
        }
    }
}
