//! Text that may be public, by construction: either made of pieces that cannot hold a name from an event, or a person's and
//! looked through for names ([`super::words`]). Nothing else makes one.

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::config::ComponentConfig;
use crate::model::{DurationMs, Timestamp};

/// Text that may be public.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PublicText(String);

/// The name of a component. It comes out of the configuration only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicName(String);

/// What a template is made of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Piece<'a> {
    /// Words of the program.
    Fixed(&'static str),
    /// Words of the configuration.
    Name(&'a PublicName),
    /// A number.
    Count(u64),
    /// `10:41 CET`, or `3 May 2026, 10:41 CET` where it is not the day of `beside`.
    Moment { at: Timestamp, beside: Timestamp, zone: &'a TimeZone },
    /// `10:04`, likewise: the zone is said after it.
    Clock { at: Timestamp, beside: Timestamp, zone: &'a TimeZone },
    /// `37 minutes`.
    Lasting(DurationMs),
}

impl PublicName {
    /// As the public knows a component.
    #[must_use]
    pub fn of(component: &ComponentConfig) -> Self {
        Self(component.name.clone())
    }

    /// The component there is where none is configured.
    pub(super) fn of_all_requests() -> Self {
        Self("API".to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PublicText {
    /// Of pieces.
    pub(super) fn of(pieces: &[Piece<'_>]) -> Self {
        Self(pieces.iter().map(Piece::text).collect())
    }

    /// What a person wrote and [`super::words`] let pass.
    pub(super) fn passed(text: String) -> Self {
        Self(text)
    }

    /// Several, with `between` them.
    pub(super) fn joined(texts: &[Self], between: &'static str) -> Self {
        Self(texts.iter().map(Self::as_str).collect::<Vec<_>>().join(between))
    }

    /// Characters of it.
    pub(super) fn characters(&self) -> usize {
        self.0.chars().count()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, to become part of what is public.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl Piece<'_> {
    fn text(&self) -> String {
        match self {
            Self::Fixed(words) => (*words).to_owned(),
            Self::Name(name) => name.0.clone(),
            Self::Count(count) => crate::limits::words::thousands(*count),
            Self::Moment { at, beside, zone } => clock(*at, *beside, zone, "%H:%M %Z", "%-d %B %Y, %H:%M %Z"),
            Self::Clock { at, beside, zone } => clock(*at, *beside, zone, "%H:%M", "%-d %B %Y, %H:%M"),
            Self::Lasting(span) => lasting(*span),
        }
    }
}

fn clock(at: Timestamp, beside: Timestamp, zone: &TimeZone, same_day: &str, other_day: &str) -> String {
    let zoned = |at: Timestamp| Some(jiff::Timestamp::from_millisecond(at.as_millis()).ok()?.to_zoned(zone.clone()));
    let (Some(at_zoned), Some(beside)) = (zoned(at), zoned(beside)) else { return at.to_string() };
    let form = if at_zoned.date() == beside.date() { same_day } else { other_day };
    at_zoned.strftime(form).to_string()
}

/// A span of time in full words, to the minute.
fn lasting(span: DurationMs) -> String {
    let minutes = (span.max(0) + 30_000) / 60_000;
    let counted = |number: i64, noun: &str| match number {
        0 => None,
        1 => Some(format!("1 {noun}")),
        _ => Some(format!("{number} {noun}s")),
    };
    let parts = match (minutes / 1_440, minutes / 60 % 24, minutes % 60) {
        (0, 0, 0) => return "less than a minute".to_owned(),
        (0, hours, minutes) => [counted(hours, "hour"), counted(minutes, "minute")],
        (days, hours, _) => [counted(days, "day"), counted(hours, "hour")],
    };
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::samples::at;

    #[test]
    fn spans_are_told_in_full() {
        let texts = [20_000, 60_000, 37 * 60_000, 65 * 60_000, 120 * 60_000, 1_500 * 60_000].map(lasting);
        assert_eq!(
            texts,
            ["less than a minute", "1 minute", "37 minutes", "1 hour 5 minutes", "2 hours", "1 day 1 hour"]
        );
    }

    #[test]
    fn times_are_told_in_the_zone_of_the_page_and_with_their_day_where_it_is_another() {
        let zone = &TimeZone::get("Europe/Vienna").unwrap();
        let (day, beside) = (at("2026-03-01T09:04:30Z"), at("2026-03-01T22:30:00Z"));
        assert_eq!(PublicText::of(&[Piece::Moment { at: day, beside, zone }]).as_str(), "10:04 CET");
        let beside = at("2026-03-01T23:30:00Z");
        assert_eq!(PublicText::of(&[Piece::Moment { at: day, beside, zone }]).as_str(), "1 March 2026, 10:04 CET");
        assert_eq!(PublicText::of(&[Piece::Clock { at: day, beside: day, zone }]).as_str(), "10:04");
    }
}
