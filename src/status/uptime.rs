//! Spans of states become sums by day, and sums an uptime. Days are those of the page's time zone: 23 to 25 hours.
//!
//! Uptime of any days = 1 − (major + 0.3 · partial) / (elapsed − maintenance − unknown), all in milliseconds. Degraded time
//! counts as up, as Statuspage has it; announced work and what nobody knows is left out of both sides, and where nothing
//! is left there is no uptime.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{ComponentState, DAYS_SHOWN, DayView};
use crate::model::{DurationMs, Timestamp};

/// What partly out counts of being out, as Statuspage weighs it.
pub const PARTIAL_WEIGHT: f64 = 0.3;
/// Days that are remembered: those shown, and one more, for a zone that changes.
pub const DAYS_KEPT: usize = DAYS_SHOWN + 1;
/// Further back nothing is summed: it would not be kept.
const BACK_MS_MAX: DurationMs = (DAYS_KEPT as DurationMs + 2) * 86_400_000;

/// A state that lasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSpan {
    /// Which.
    pub state: ComponentState,
    /// First moment.
    pub from: Timestamp,
    /// First moment after it.
    pub until: Timestamp,
}

/// The last [`DAYS_SHOWN`] days up to `now`, the oldest first, today last. Where spans overlap, the later one of the list
/// counts. What no span says is unknown; what is after `now` is left out.
#[must_use]
pub fn days(spans: &[StateSpan], zone: &TimeZone, now: Timestamp) -> Vec<DayView> {
    let mut sums = Vec::new();
    for span in painted(spans) {
        add(&mut sums, zone, StateSpan { until: span.until.min(now), ..span });
    }
    shown(&sums, zone, now)
}

/// Uptime of the days, 0 to 1: see the head of this file. Absent where nothing is known of them.
#[must_use]
#[allow(clippy::cast_precision_loss)] // milliseconds of years stay far below 2^52
pub fn share(days: &[DayView]) -> Option<f64> {
    let sum = |part: fn(&DayView) -> DurationMs| days.iter().map(part).sum::<DurationMs>() as f64;
    let known = sum(|day| day.elapsed_ms - day.maintenance_ms - day.unknown_ms);
    let down = sum(|day| day.major_ms) + PARTIAL_WEIGHT * sum(|day| day.partial_ms);
    (known > 0.0).then(|| 1.0 - down / known)
}

/// Adds a span to the sums of the days it touches; `elapsed_ms` stays 0 until they are [`shown`]. Days are in order, no
/// more than [`DAYS_KEPT`].
pub fn add(sums: &mut Vec<DayView>, zone: &TimeZone, span: StateSpan) {
    let mut from = span.from.max(span.until.plus(-BACK_MS_MAX));
    while from < span.until {
        let date = date_of(zone, from);
        let end = next_border(zone, date, from);
        let until = end.min(span.until);
        *part(day(sums, &date.to_string()), span.state) += until.since(from);
        from = until;
    }
}

/// The sums of a day, made where it has none yet.
pub fn day<'a>(sums: &'a mut Vec<DayView>, date: &str) -> &'a mut DayView {
    // Nearly always the last one; dates are ordered as text.
    let place = sums.iter().rposition(|day| day.date.as_str() <= date);
    let place = match place {
        Some(place) if sums[place].date == date => place,
        before => {
            let mut place = before.map_or(0, |before| before + 1);
            sums.insert(place, DayView { date: date.to_owned(), ..DayView::default() });
            if sums.len() > DAYS_KEPT && place > 0 {
                sums.remove(0);
                place -= 1;
            }
            place
        }
    };
    &mut sums[place]
}

/// The sums as people see them: [`DAYS_SHOWN`] days up to `now`, with their lengths; the rest of each is unknown.
#[must_use]
pub fn shown(sums: &[DayView], zone: &TimeZone, now: Timestamp) -> Vec<DayView> {
    let today = date_of(zone, now);
    let back = |days: usize| today.checked_sub(jiff::Span::new().days(i64::try_from(days).unwrap_or(0))).ok();
    let view = |date: Date| {
        let text = date.to_string();
        let mut day = sums.iter().find(|day| day.date == text).cloned().unwrap_or_default();
        let begin = start_of(zone, date);
        let end = date.tomorrow().map_or(now, |tomorrow| start_of(zone, tomorrow));
        let known = day.operational_ms + day.degraded_ms + day.partial_ms + day.major_ms + day.maintenance_ms;
        day.date = text;
        // What is measured may be ahead of the clock that says how late it is.
        day.elapsed_ms = end.min(now).since(begin).max(known).max(0);
        day.unknown_ms = day.elapsed_ms - known;
        day
    };
    (0..DAYS_SHOWN).rev().filter_map(back).map(view).collect()
}

/// The day that a moment is of.
#[must_use]
pub fn date_of(zone: &TimeZone, at: Timestamp) -> Date {
    // A timestamp of an event is always within what jiff knows.
    let moment = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
    zone.to_datetime(moment).date()
}

/// The first moment of a day.
fn start_of(zone: &TimeZone, date: Date) -> Timestamp {
    let start = date.to_zoned(zone.clone()).and_then(|midnight| midnight.start_of_day());
    start.map(|start| Timestamp::from_millis(start.timestamp().as_millisecond())).unwrap_or(Timestamp::MAX)
}

/// The first border of days after `from`, which is of `date`. A zone may leave out a whole day.
fn next_border(zone: &TimeZone, date: Date, from: Timestamp) -> Timestamp {
    let mut date = date;
    for _ in 0..3 {
        let Ok(tomorrow) = date.tomorrow() else { break };
        let border = start_of(zone, tomorrow);
        if border > from {
            return border;
        }
        date = tomorrow;
    }
    Timestamp::MAX
}

/// Where a state is summed.
fn part(day: &mut DayView, state: ComponentState) -> &mut DurationMs {
    match state {
        ComponentState::Operational => &mut day.operational_ms,
        ComponentState::DegradedPerformance => &mut day.degraded_ms,
        ComponentState::PartialOutage => &mut day.partial_ms,
        ComponentState::MajorOutage => &mut day.major_ms,
        ComponentState::UnderMaintenance => &mut day.maintenance_ms,
        ComponentState::Unknown => &mut day.unknown_ms,
    }
}

/// The spans without overlaps, in order: of those that overlap, the later one of the list is on top.
fn painted(spans: &[StateSpan]) -> Vec<StateSpan> {
    let mut painted: Vec<StateSpan> = Vec::new();
    for span in spans.iter().filter(|span| span.from < span.until) {
        let first = painted.partition_point(|other| other.until <= span.from);
        let last = painted.partition_point(|other| other.from < span.until).max(first);
        let under = &painted[first..last];
        let left = under.first().map(|other| StateSpan { until: span.from, ..*other });
        let right = under.last().map(|other| StateSpan { from: span.until, ..*other });
        let pieces = [left, Some(*span), right].into_iter().flatten().filter(|piece| piece.from < piece.until);
        let pieces: Vec<StateSpan> = pieces.collect();
        painted.splice(first..last, pieces);
    }
    painted
}
