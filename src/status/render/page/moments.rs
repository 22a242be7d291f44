//! Moments, spans and shares as people read them.

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::model::{DurationMs, Timestamp};
use crate::status::PageInfo;

const MINUTE_MS: DurationMs = 60_000;

/// The page's time zone.
#[derive(Debug)]
pub(super) struct Zone(TimeZone);

impl Zone {
    /// As configured; UTC where that is no zone.
    pub fn of(page: &PageInfo) -> Self {
        Self(TimeZone::get(&page.time_zone).unwrap_or(TimeZone::UTC))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// `29 Apr 2026, 14:53 CEST`.
    pub fn text(&self, at: Timestamp) -> String {
        self.written(at, "%-d %b %Y, %H:%M %Z")
    }

    /// `April 2026`.
    pub fn month(&self, at: Timestamp) -> String {
        self.written(at, "%B %Y")
    }

    fn written(&self, at: Timestamp, form: &str) -> String {
        match jiff::Timestamp::from_millisecond(at.as_millis()) {
            Ok(moment) => moment.to_zoned(self.0.clone()).strftime(form).to_string(),
            Err(_) => at.to_string(),
        }
    }

    /// The same for people and for programs; the script writes it in the reader's zone.
    pub fn moment(&self, at: Timestamp) -> Markup {
        html! { time datetime=(at) { (self.text(at)) } }
    }
}

/// `37 min`, `2 h 5 min`, `3 d 4 h`.
pub(super) fn lasted(span_ms: DurationMs) -> String {
    let minutes = (span_ms + MINUTE_MS / 2) / MINUTE_MS;
    let two = |first: i64, name: &str, second: i64, below: &str| match second {
        0 => format!("{first} {name}"),
        second => format!("{first} {name} {second} {below}"),
    };
    match minutes {
        ..1 => "under 1 min".to_owned(),
        1..60 => format!("{minutes} min"),
        60..1_440 => two(minutes / 60, "h", minutes % 60, "min"),
        _ => two(minutes / 1_440, "d", minutes % 1_440 / 60, "h"),
    }
}

/// Minutes of a day: `37 min`.
pub(super) fn minutes(span_ms: DurationMs) -> String {
    match (span_ms + MINUTE_MS / 2) / MINUTE_MS {
        ..1 => "under 1 min".to_owned(),
        minutes => format!("{minutes} min"),
    }
}

/// `99.97 %`: never more than it is, and 100 only where nothing is missing.
pub(super) fn percent(share: f64) -> String {
    // What a division loses below this is not time.
    let hundredths = (share * 10_000.0 + 1e-6).floor();
    let hundredths = if share < 1.0 { hundredths.min(9_999.0) } else { 10_000.0 };
    format!("{} %", hundredths.max(0.0) / 100.0)
}

/// An objective as it was written: `99.95 %`.
pub(super) fn objective(share: f64) -> String {
    format!("{} %", (share * 1e8).round() / 1e6)
}

/// `1 incident`, `3 incidents`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_never_made_better() {
        let shares = [1.0, 0.999_999_9, 0.9997, 0.97, 0.999_899, 0.5, 0.0, 0.123_456].map(percent);
        assert_eq!(shares, ["100 %", "99.99 %", "99.97 %", "97 %", "99.98 %", "50 %", "0 %", "12.34 %"]);
        assert_eq!([0.999, 0.9995, 0.99999].map(objective), ["99.9 %", "99.95 %", "99.999 %"]);
    }

    #[test]
    fn spans_have_two_units_at_most() {
        let spans = [10_000, 60_000, 37 * 60_000, 125 * 60_000, 7_200_000, 86_400_000, 100 * 3_600_000].map(lasted);
        assert_eq!(spans, ["under 1 min", "1 min", "37 min", "2 h 5 min", "2 h", "1 d", "4 d 4 h"]);
    }

    #[test]
    fn moments_are_in_the_zone_of_the_page() {
        let page = |zone: &str| PageInfo {
            id: String::new(),
            name: String::new(),
            description: None,
            url: String::new(),
            time_zone: zone.to_owned(),
            is_replay: false,
        };
        let at = Timestamp::parse_rfc3339("2026-03-29T01:30:00Z").unwrap();
        assert_eq!(Zone::of(&page("Europe/Vienna")).text(at), "29 Mar 2026, 03:30 CEST");
        assert_eq!(Zone::of(&page("Asia/Kolkata")).text(at), "29 Mar 2026, 07:00 IST");
        let none = Zone::of(&page("Nowhere/None"));
        assert_eq!((none.text(at).as_str(), none.name()), ("29 Mar 2026, 01:30 UTC", "UTC"));
    }
}
