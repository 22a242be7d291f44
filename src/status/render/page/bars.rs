//! A bar a day: a list of days in words, which the style sheet draws as bars. So each day has a name without an attribute
//! of its own, and ninety of them take two kilobytes.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};

use super::moments::{minutes, percent};
use crate::status::{ComponentView, DayView, uptime};

/// What stands out of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Well,
    Degraded,
    Partial,
    Major,
    Work,
    /// Part of it nobody knows.
    Unknown,
    /// All of it nobody knows.
    Nothing,
}

impl Look {
    /// The worst of a day. What is not known stands out before what is well, and before work.
    fn of(day: &DayView) -> Self {
        match day {
            DayView { major_ms: 1.., .. } => Self::Major,
            DayView { partial_ms: 1.., .. } => Self::Partial,
            DayView { degraded_ms: 1.., .. } => Self::Degraded,
            _ if day.unknown_ms >= day.elapsed_ms => Self::Nothing,
            DayView { unknown_ms: 1.., .. } => Self::Unknown,
            DayView { maintenance_ms: 1.., .. } => Self::Work,
            _ => Self::Well,
        }
    }

    /// Class in the style sheet: one letter, there are hundreds of them.
    fn class(self) -> &'static str {
        match self {
            Self::Well => "",
            Self::Degraded => " class=d",
            Self::Partial => " class=p",
            Self::Major => " class=m",
            Self::Work => " class=w",
            Self::Unknown => " class=u",
            Self::Nothing => " class=n",
        }
    }
}

/// The list of a component's days.
pub(super) fn bars(component: &ComponentView) -> Markup {
    let mut items = String::with_capacity(component.days.len() * 24);
    for day in &component.days {
        // Writing to a string does not fail. The end tag of a list's item may be left out, and is. Digits, names of
        // months and words of ours: nothing to escape.
        let _ = write!(items, "<li{}>{}", Look::of(day).class(), words(day));
    }
    html! {
        ol.days role="list" id={ "days-" (component.id) } aria-label={ (component.name) ", uptime by day" } {
            (PreEscaped(items))
        }
    }
}

/// `30 Apr: 97.43 %, 37 min out`.
fn words(day: &DayView) -> String {
    let date = short_date(&day.date);
    if Look::of(day) == Look::Nothing {
        return format!("{date}: no data");
    }
    let uptime = uptime::share(std::slice::from_ref(day)).map(percent);
    let spans = [
        (day.major_ms, "out"),
        (day.partial_ms, "partly out"),
        (day.degraded_ms, "degraded"),
        (day.unknown_ms, "unknown"),
        (day.maintenance_ms, "maintenance"),
    ];
    let spans = spans.into_iter().filter(|(span_ms, _)| *span_ms > 0);
    let spans = spans.map(|(span_ms, name)| format!("{} {name}", minutes(span_ms)));
    let all: Vec<String> = uptime.into_iter().chain(spans).collect();
    format!("{date}: {}", all.join(", "))
}

fn short_date(date: &str) -> String {
    match date.parse::<jiff::civil::Date>() {
        Ok(date) => date.strftime("%-d %b").to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    fn day() -> DayView {
        DayView { date: "2026-04-09".to_owned(), elapsed_ms: 1_440 * MINUTE_MS, ..DayView::default() }
    }

    #[test]
    fn days_say_what_they_lost_and_what_nobody_knows() {
        let told = |day: DayView| format!("{}{}", Look::of(&day).class(), words(&day));
        assert_eq!(told(day()), "9 Apr: 100 %");
        assert_eq!(
            told(DayView { major_ms: 37 * MINUTE_MS, degraded_ms: 10_000, ..day() }),
            " class=m9 Apr: 97.43 %, 37 min out, under 1 min degraded"
        );
        assert_eq!(told(DayView { partial_ms: 60 * MINUTE_MS, ..day() }), " class=p9 Apr: 98.75 %, 60 min partly out");
        assert_eq!(told(DayView { unknown_ms: 1_440 * MINUTE_MS, ..day() }), " class=n9 Apr: no data");
        assert_eq!(
            told(DayView { unknown_ms: 20 * MINUTE_MS, maintenance_ms: 60 * MINUTE_MS, ..day() }),
            " class=u9 Apr: 100 %, 20 min unknown, 60 min maintenance"
        );
        // Work all day is neither up nor down.
        assert_eq!(told(DayView { maintenance_ms: 1_440 * MINUTE_MS, ..day() }), " class=w9 Apr: 1440 min maintenance");
    }
}
