//! Timestamps as series have them. Without an offset they are UTC.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Numbers from here on are epoch milliseconds: as seconds they would be in the year 5138.
const MILLISECONDS_FROM: f64 = 1e11;
/// Spellings beside ISO 8601.
const SPELLINGS: [&str; 6] = [
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
];

/// Milliseconds since 1970.
pub(super) fn milliseconds(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse::<f64>() {
        let milliseconds = if number.abs() < MILLISECONDS_FROM { number * 1_000.0 } else { number };
        // Beyond it is no time, and not an exact number either.
        return (milliseconds.abs() < 1e15).then_some(milliseconds as i64);
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp.as_millisecond());
    }
    let iso = || text.parse::<DateTime>().ok();
    let other = || SPELLINGS.iter().find_map(|spelling| DateTime::strptime(spelling, text).ok());
    let timestamp = TimeZone::UTC.to_timestamp(iso().or_else(other)?).ok()?;
    Some(timestamp.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_minute_in_every_spelling() {
        for text in [
            "2018-04-25T00:01:00Z",
            "2018-04-25T02:01:00+02:00",
            "2018-04-25 00:01:00",
            "2018-04-25 00:01:00.000000",
            "2018-04-25 00:01",
            "1524614460",
            "1524614460.0",
            "1524614460000",
            "4/25/2018 0:01",
            "04/25/2018 00:01:00",
            "4/25/2018 12:01:00 AM",
            "2018/04/25 00:01:00",
        ] {
            assert_eq!(milliseconds(text), Some(1_524_614_460_000), "{text}");
        }
        for text in ["", "yesterday", "2018-13-01 00:00:00", "1e300", "NaN", "25/04/2018 00:01"] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
