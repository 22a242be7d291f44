//! Moments as feeds write them.

use jiff::tz::TimeZone;

use crate::model::Timestamp;

/// ISO 8601 in UTC with milliseconds, always all three digits: `2026-04-29T12:00:05.000Z`.
pub fn iso(at: Timestamp) -> String {
    format!("{}Z", at.to_clickhouse().replace(' ', "T"))
}

/// For people, in the page's zone: `29 April 2026, 14:20 CEST`.
pub fn words(at: Timestamp, zone: &TimeZone) -> String {
    in_zone(at, zone, "%-d %B %Y, %H:%M %Z")
}

/// As RSS has it: `Wed, 29 Apr 2026 12:20:00 +0000`.
pub fn rfc_2822(at: Timestamp) -> String {
    in_zone(at, &TimeZone::UTC, "%a, %d %b %Y %H:%M:%S %z")
}

/// The day in the page's zone: `2026-04-29`.
pub fn date(at: Timestamp, zone: &TimeZone) -> String {
    in_zone(at, zone, "%Y-%m-%d")
}

/// The page's zone. The configuration was looked through before: a name that is not known is UTC.
pub fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

fn in_zone(at: Timestamp, zone: &TimeZone, format: &str) -> String {
    match jiff::Timestamp::from_millisecond(at.as_millis()) {
        Ok(moment) => moment.to_zoned(zone.clone()).strftime(format).to_string(),
        // Thousands of years away: nothing that was measured is.
        Err(_) => at.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::samples::at;

    #[test]
    fn moments_are_written_with_all_their_digits_and_in_the_zone_of_the_page() {
        let (even, odd) = (at("2026-04-29T22:30:05Z"), at("2026-04-29T22:30:05.25Z"));
        assert_eq!(iso(even), "2026-04-29T22:30:05.000Z");
        assert_eq!(iso(odd), "2026-04-29T22:30:05.250Z");
        let vienna = zone("Europe/Vienna");
        assert_eq!(words(even, &vienna), "30 April 2026, 00:30 CEST");
        assert_eq!(date(even, &vienna), "2026-04-30");
        assert_eq!(date(even, &zone("not a zone")), "2026-04-29");
        assert_eq!(rfc_2822(even), "Wed, 29 Apr 2026 22:30:05 +0000");
    }
}
