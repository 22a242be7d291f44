//! A rate as people write it: `1200/min`; and a range of them: `100/min..5000/min`.

use serde::{Deserialize, Serialize};

use crate::config::Span;
use crate::model::DurationMs;

/// Most requests of a limit. Levels are kept as requests times milliseconds: with more they would not fit 64 bits.
pub const RATE_REQUESTS_MAX: u64 = 10_000_000;
/// Longest span of a limit, for the same reason.
pub const RATE_PER_MS_MAX: DurationMs = 86_400_000;

/// At most so many requests in a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Requests, 1 to [`RATE_REQUESTS_MAX`].
    pub requests: u64,
    /// The span in milliseconds, 1 to [`RATE_PER_MS_MAX`].
    pub per_ms: DurationMs,
}

/// The text is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no rate: {what}; write 1200/min, 20/s or 100/10s")]
pub struct ParseRateError {
    text: String,
    what: &'static str,
}

impl Rate {
    /// A rate within the bounds; `None` outside of them.
    #[must_use]
    pub fn new(requests: u64, per_ms: DurationMs) -> Option<Self> {
        let fits = (1..=RATE_REQUESTS_MAX).contains(&requests) && (1..=RATE_PER_MS_MAX).contains(&per_ms);
        fits.then_some(Self { requests, per_ms })
    }

    /// Requests a minute, rounded.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // the bounds are far below 2^52
    pub fn per_minute(self) -> f64 {
        self.requests as f64 * 60_000.0 / self.per_ms as f64
    }

    /// The same span with other requests, kept within the bounds.
    #[must_use]
    pub fn with_requests(self, requests: u64) -> Self {
        Self { requests: requests.clamp(1, RATE_REQUESTS_MAX), ..self }
    }
}

fn per_ms(text: &str) -> Option<DurationMs> {
    match text {
        "ms" => Some(1),
        "s" | "sec" | "second" => Some(1_000),
        "m" | "min" | "minute" => Some(60_000),
        "h" | "hour" => Some(3_600_000),
        "d" | "day" => Some(86_400_000),
        other => other.parse::<Span>().ok().map(Span::as_millis),
    }
}

impl std::str::FromStr for Rate {
    type Err = ParseRateError;

    fn from_str(text: &str) -> Result<Self, ParseRateError> {
        let error = |what| ParseRateError { text: text.chars().take(60).collect(), what };
        let (requests, per) = text.split_once('/').ok_or_else(|| error("there is no /"))?;
        let requests = requests.trim().replace([',', '_'], "");
        let requests = requests.parse().map_err(|_| error("before the / is no whole number"))?;
        let per_ms = per_ms(per.trim()).ok_or_else(|| error("after the / is no span of time"))?;
        Self::new(requests, per_ms)
            .ok_or_else(|| error("it must lie between 1 and 10,000,000 requests in a span of up to a day"))
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.per_ms {
            1_000 => write!(f, "{}/s", self.requests),
            60_000 => write!(f, "{}/min", self.requests),
            3_600_000 => write!(f, "{}/h", self.requests),
            86_400_000 => write!(f, "{}/day", self.requests),
            other => write!(f, "{}/{}", self.requests, Span::from_millis(other.unsigned_abs())),
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Rates of one span to try, from the least to the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateRange {
    /// The least.
    pub from: Rate,
    /// The greatest.
    pub to: Rate,
}

impl RateRange {
    /// About `points` rates, each about as many times the one before it, rounded to two digits; both ends included.
    #[must_use]
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn rates(self, points: usize) -> Vec<Rate> {
        let (from, to) = (self.from.requests as f64, self.to.requests as f64);
        let steps = points.max(2) - 1;
        let mut requests: Vec<u64> = (0..=steps)
            .map(|step| two_digits((from * (to / from).powf(step as f64 / steps as f64)).round() as u64))
            .map(|requests| requests.clamp(self.from.requests, self.to.requests))
            .collect();
        requests.extend([self.from.requests, self.to.requests]);
        requests.sort_unstable();
        requests.dedup();
        requests.into_iter().map(|requests| self.from.with_requests(requests)).collect()
    }
}

/// Rounded up to two digits: what a person would set.
pub(super) fn two_digits(requests: u64) -> u64 {
    let mut unit = 1;
    while requests / unit >= 100 {
        unit *= 10;
    }
    requests.div_ceil(unit) * unit
}

impl std::str::FromStr for RateRange {
    type Err = ParseRateError;

    fn from_str(text: &str) -> Result<Self, ParseRateError> {
        let error = |what| ParseRateError { text: text.chars().take(60).collect(), what };
        let (from, to) = text.split_once("..").ok_or_else(|| error("a range has two of them with .. between"))?;
        let (from, to): (Rate, Rate) = (from.trim().parse()?, to.trim().parse()?);
        if from.per_ms != to.per_ms || from.requests >= to.requests {
            return Err(error("both ends of a range have the same span, and the first is less"));
        }
        Ok(Self { from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_written() {
        for (text, written) in [
            ("1200/min", "1200/min"),
            ("1,200/1m", "1200/min"),
            ("20/s", "20/s"),
            ("100 / 10s", "100/10s"),
            ("5_000/h", "5000/h"),
            ("9/day", "9/day"),
        ] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), written);
        }
        for text in ["1200", "x/min", "0/min", "5/never", "5/2d", "99999999/s", "-1/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_range_is_rates_that_people_would_set() {
        let range: RateRange = "100/min..5000/min".parse().unwrap();
        let rates: Vec<u64> = range.rates(9).into_iter().map(|rate| rate.requests).collect();
        assert_eq!(rates, [100, 170, 270, 440, 710, 1_200, 1_900, 3_100, 5_000]);
        for text in ["100/min", "5000/min..100/min", "1/s..100/min"] {
            assert!(text.parse::<RateRange>().is_err(), "{text}");
        }
    }
}
