//! Day sums: borders of days, zones, summer time, cuts.

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::uptime::{StateSpan, days, share};
use super::{ComponentState, DAYS_SHOWN, DayView};
use crate::model::Timestamp;

const ZONES: [&str; 7] = [
    "UTC",
    "Europe/Vienna",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Havana",
];
const HOUR_MS: i64 = 3_600_000;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn span(state: ComponentState, from: &str, until: &str) -> StateSpan {
    StateSpan { state, from: at(from), until: at(until) }
}

fn known_ms(day: &DayView) -> i64 {
    day.operational_ms + day.degraded_ms + day.partial_ms + day.major_ms + day.maintenance_ms
}

#[test]
fn a_span_over_midnight_of_the_zone_is_of_two_days() {
    let spans = [span(ComponentState::MajorOutage, "2026-04-29T21:30:00Z", "2026-04-29T22:15:00Z")];
    let days = days(&spans, &zone("Europe/Vienna"), at("2026-04-30T10:00:00Z"));
    let (before, today) = (&days[DAYS_SHOWN - 2], &days[DAYS_SHOWN - 1]);
    assert_eq!((before.date.as_str(), before.major_ms), ("2026-04-29", 1_800_000));
    assert_eq!((today.date.as_str(), today.major_ms, today.elapsed_ms), ("2026-04-30", 900_000, 12 * HOUR_MS));
    assert_eq!(today.unknown_ms, 12 * HOUR_MS - 900_000, "what nobody said");
}

#[test]
fn days_of_summer_time_have_23_and_25_hours() {
    for (now, date, hours) in [
        ("2026-03-31T12:00:00Z", "2026-03-29", 23),
        ("2026-10-27T12:00:00Z", "2026-10-25", 25),
        ("2026-10-27T12:00:00Z", "2026-10-24", 24),
    ] {
        let days = days(&[], &zone("Europe/Vienna"), at(now));
        let day = days.iter().find(|day| day.date == date).unwrap();
        assert_eq!((day.elapsed_ms, day.unknown_ms), (hours * HOUR_MS, hours * HOUR_MS), "{date}");
    }
    let island = days(&[], &zone("Australia/Lord_Howe"), at("2026-04-07T00:00:00Z"));
    let longest = island.iter().map(|day| day.elapsed_ms).max();
    assert_eq!(longest, Some(24 * HOUR_MS + 1_800_000), "half an hour there");
}

#[test]
fn uptime_weighs_partly_out_and_leaves_out_work_and_what_nobody_knows() {
    let now = at("2026-04-29T10:00:00Z");
    let spans = [
        span(ComponentState::Operational, "2026-04-29T00:00:00Z", "2026-04-29T10:00:00Z"),
        span(ComponentState::MajorOutage, "2026-04-29T01:00:00Z", "2026-04-29T02:00:00Z"),
        span(ComponentState::PartialOutage, "2026-04-29T02:00:00Z", "2026-04-29T03:00:00Z"),
        span(ComponentState::DegradedPerformance, "2026-04-29T03:00:00Z", "2026-04-29T04:00:00Z"),
        span(ComponentState::UnderMaintenance, "2026-04-29T04:00:00Z", "2026-04-29T05:00:00Z"),
        span(ComponentState::Unknown, "2026-04-29T05:00:00Z", "2026-04-29T06:00:00Z"),
    ];
    let days = days(&spans, &TimeZone::UTC, now);
    assert!((share(&days).unwrap() - (1.0 - 1.3 / 8.0)).abs() < 1e-12);
    assert_eq!(share(&days[..DAYS_SHOWN - 1]), None, "nothing is known of the days before");
    let work = [span(ComponentState::UnderMaintenance, "2026-04-29T00:00:00Z", "2026-04-29T10:00:00Z")];
    assert_eq!(share(&super::uptime::days(&work, &TimeZone::UTC, now)), None, "only work");
}

/// Spans without overlaps, in order, some far back and some with time between.
fn spans() -> impl Strategy<Value = Vec<StateSpan>> {
    let length_ms = prop_oneof![5_000..600_000_i64, HOUR_MS..40 * HOUR_MS];
    prop::collection::vec((0..6_usize, length_ms, prop_oneof![Just(0), 0..30 * HOUR_MS]), 0..80).prop_map(|parts| {
        let mut from = at("2026-01-20T10:11:12.345Z");
        let span = |(state, length_ms, gap_ms): (usize, i64, i64)| {
            let begin = from.plus(gap_ms);
            from = begin.plus(length_ms);
            StateSpan { state: ComponentState::ALL[state], from: begin, until: from }
        };
        parts.into_iter().map(span).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_sums_of_a_day_are_its_elapsed_time(spans in spans(), name in 0..ZONES.len(), later_ms in 0..60 * HOUR_MS) {
        let now = spans.last().map_or(at("2026-05-01T00:00:00Z"), |last| last.until).plus(later_ms - 20 * HOUR_MS);
        let days = days(&spans, &zone(ZONES[name]), now);
        prop_assert_eq!(days.len(), DAYS_SHOWN);
        for day in &days {
            prop_assert_eq!(known_ms(day) + day.unknown_ms, day.elapsed_ms, "{:?}", day);
            prop_assert!((0..=25 * HOUR_MS).contains(&day.elapsed_ms) && day.unknown_ms >= 0, "{:?}", day);
        }
        prop_assert!(days.windows(2).all(|pair| pair[0].date < pair[1].date));
        prop_assert!(share(&days).is_none_or(|share| (0.0..=1.0).contains(&share)));
    }

    #[test]
    fn a_span_cut_anywhere_gives_the_same_sums(spans in spans(), name in 0..ZONES.len(), cuts in prop::collection::vec(0.0..1.0_f64, 80)) {
        let zone = zone(ZONES[name]);
        let now = spans.last().map_or(at("2026-05-01T00:00:00Z"), |last| last.until);
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
        let cut = |(span, part): (&StateSpan, &f64)| {
            let middle = span.from.plus((span.until.since(span.from) as f64 * part) as i64);
            [StateSpan { until: middle, ..*span }, StateSpan { from: middle, ..*span }]
        };
        let parts: Vec<StateSpan> = spans.iter().zip(&cuts).flat_map(cut).collect();
        prop_assert_eq!(days(&spans, &zone, now), days(&parts, &zone, now));
    }

    #[test]
    fn of_overlapping_spans_the_later_one_counts(spans in spans(), over in 0..80_usize) {
        // What is under the last span does not matter.
        let Some(covered) = spans.get(over % spans.len().max(1)).copied() else { return Ok(()) };
        let now = spans[spans.len() - 1].until;
        let top = StateSpan { state: ComponentState::UnderMaintenance, ..covered };
        let mut replaced = spans.clone();
        replaced[over % spans.len()] = top;
        let laid: Vec<StateSpan> = spans.iter().copied().chain([top]).collect();
        prop_assert_eq!(days(&laid, &TimeZone::UTC, now), days(&replaced, &TimeZone::UTC, now));
    }
}
