//! All components together: what is laid over them, restarts, days, freshness.

use proptest::prelude::*;

use super::ComponentState::{self, MajorOutage, Operational, UnderMaintenance, Unknown};
use super::measured::MeasuredState;
use super::{ComponentChange, ComponentCounts, DAYS_SHOWN, Figures, Freshness, Measured, StatusWindow, uptime};
use crate::config::{ComponentConfig, StatusConfig};
use crate::flow::{Latencies, latency_bucket};
use crate::model::Timestamp;

const WINDOW_MS: i64 = 5_000;
const DAY_MS: i64 = 86_400_000;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn config(zone: &str) -> StatusConfig {
    let search = ComponentConfig { id: "search".to_owned(), name: "Search".to_owned(), ..ComponentConfig::whole() };
    let components = vec![ComponentConfig::whole(), search];
    StatusConfig { time_zone: zone.to_owned(), components, ..StatusConfig::default() }
}

fn counts(requests: u64, failing: u64) -> ComponentCounts {
    let mut latencies = Latencies::default();
    latencies.add(latency_bucket(80.0), requests);
    ComponentCounts { figures: Figures { requests, failures: requests * failing / 100, slow: 0 }, latencies }
}

fn window(start: Timestamp, components: Vec<ComponentCounts>) -> StatusWindow {
    StatusWindow { start, end: start.plus(WINDOW_MS), components }
}

fn nothing(_: usize, _: Timestamp) -> Option<ComponentState> {
    None
}

/// Both components, so many of a hundred requests failing, from `start` to `end`.
fn feed(measured: &mut Measured, start: &str, end: &str, failing: u64) -> Vec<ComponentChange> {
    feed_under(measured, start, end, failing, &nothing)
}

fn feed_under(
    measured: &mut Measured,
    start: &str,
    end: &str,
    failing: u64,
    overlay: &dyn Fn(usize, Timestamp) -> Option<ComponentState>,
) -> Vec<ComponentChange> {
    let (mut start, end) = (at(start), at(end));
    let mut changes = Vec::new();
    while start < end {
        changes.extend(measured.apply(&window(start, vec![counts(400, failing), counts(100, 0)]), overlay));
        start = start.plus(WINDOW_MS);
    }
    changes
}

fn told(changes: &[ComponentChange]) -> Vec<(&str, ComponentState, String)> {
    changes.iter().map(|change| (change.component.as_str(), change.after, change.since.to_string())).collect()
}

#[test]
fn a_component_that_comes_back_has_its_past() {
    let whole = config("UTC");
    let mut measured = Measured::new(&whole);
    feed(&mut measured, "2026-04-29T10:00:00Z", "2026-04-29T11:00:00Z", 80);
    let known = |measured: &Measured, now: &str| {
        let views = measured.views(at(now), Freshness::Current, &nothing);
        let view = views.into_iter().find(|view| view.id == "api").unwrap();
        let today = view.days.last().unwrap().clone();
        (today.major_ms / 60_000, today.operational_ms / 60_000, today.requests)
    };
    let before = known(&measured, "2026-04-29T11:00:00Z");
    assert_eq!((before.0, before.1), (60, 0));
    let without = StatusConfig { components: vec![whole.components[1].clone()], ..whole.clone() };
    let mut measured = Measured::restore(&without, measured.state().clone());
    feed(&mut measured, "2026-04-29T11:00:00Z", "2026-04-29T12:00:00Z", 0);
    let stored = serde_json::to_string(measured.state()).unwrap();
    let mut measured = Measured::restore(&whole, serde_json::from_str(&stored).unwrap());
    assert_eq!(known(&measured, "2026-04-29T12:00:00Z"), before);
    let changes = feed(&mut measured, "2026-04-29T12:00:00Z", "2026-04-29T12:30:00Z", 0);
    let of_api: Vec<_> = told(&changes).into_iter().filter(|(id, ..)| *id == "api").collect();
    assert_eq!(of_api, [("api", Operational, "2026-04-29T12:00:00Z".to_owned())]);
    assert_eq!(known(&measured, "2026-04-29T12:30:00Z").0, 60, "what nobody measured is unknown");
}

#[test]
fn components_are_told_apart_and_their_days_hold_the_outage() {
    let mut measured = Measured::new(&config("Europe/Vienna"));
    feed(&mut measured, "2026-04-29T21:00:00Z", "2026-04-29T21:50:00Z", 0);
    let changes = feed(&mut measured, "2026-04-29T21:50:00Z", "2026-04-29T22:20:00Z", 80);
    assert_eq!(told(&changes), [("api", MajorOutage, "2026-04-29T21:50:00Z".to_owned())]);
    let changes = feed(&mut measured, "2026-04-29T22:20:00Z", "2026-04-29T23:00:00Z", 0);
    assert_eq!(told(&changes), [("api", Operational, "2026-04-29T22:20:00Z".to_owned())]);
    let now = at("2026-04-29T23:00:08Z");
    let views = measured.views(now, measured.freshness(now), &nothing);
    let days = &views[0].days[DAYS_SHOWN - 2..];
    // Ten minutes before midnight in Vienna, twenty after it.
    assert_eq!((days[0].date.as_str(), days[0].major_ms, days[0].failures), ("2026-04-29", 600_000, 120 * 320));
    assert_eq!((days[1].date.as_str(), days[1].major_ms, days[1].failures), ("2026-04-30", 1_200_000, 240 * 320));
    assert_eq!(days[1].operational_ms, 40 * 60_000 + 8_000, "up to now");
    assert_eq!(views[0].since, Some(at("2026-04-29T22:20:00Z")));
    let share = uptime::share(&views[0].days).unwrap();
    assert!((share - (1.0 - 30.0 / (120.0 + 8.0 / 60.0))).abs() < 1e-9, "{share}");
    assert_eq!((views[1].state, uptime::share(&views[1].days)), (Operational, Some(1.0)));
    assert_eq!(views[1].latency.len(), 24);
    let point = views[1].latency[0];
    assert_eq!((point.requests, point.p50_ms, point.p95_ms), (6_000, 83.0, 83.0), "within a bucket of 80 ms");
}

#[test]
fn announced_work_lies_over_what_is_measured_and_counts_instead() {
    let work = |component, at: Timestamp| {
        let (from, until) = (self::at("2026-04-29T10:10:00Z"), self::at("2026-04-29T10:30:00Z"));
        (component == 0 && (from..until).contains(&at)).then_some(UnderMaintenance)
    };
    let mut measured = Measured::new(&config("UTC"));
    let mut changes = feed_under(&mut measured, "2026-04-29T10:00:00Z", "2026-04-29T10:15:00Z", 0, &work);
    changes.extend(feed_under(&mut measured, "2026-04-29T10:15:00Z", "2026-04-29T10:40:00Z", 90, &work));
    changes.retain(|change| change.component == "api");
    let expected = [
        ("api", Operational, "2026-04-29T10:00:00Z".to_owned()),
        ("api", UnderMaintenance, "2026-04-29T10:10:00Z".to_owned()),
        ("api", MajorOutage, "2026-04-29T10:30:00Z".to_owned()),
    ];
    assert_eq!(told(&changes), expected);
    let now = at("2026-04-29T10:40:00Z");
    let today = measured.views(now, Freshness::Current, &work)[0].days[DAYS_SHOWN - 1].clone();
    let sums = (today.operational_ms, today.maintenance_ms, today.major_ms);
    assert_eq!(sums, (600_000, 1_200_000, 600_000));
}

#[test]
fn old_data_is_stale_and_then_nothing_is_known_but_what_a_person_says() {
    let mut measured = Measured::new(&config("UTC"));
    assert_eq!(measured.freshness(at("2026-04-29T10:00:00Z")), Freshness::Unknown);
    feed(&mut measured, "2026-04-29T10:00:00Z", "2026-04-29T10:30:00Z", 0);
    let freshness = |text: &str| measured.freshness(at(text));
    assert_eq!(freshness("2026-04-29T10:32:00Z"), Freshness::Current);
    assert_eq!(freshness("2026-04-29T10:32:01Z"), Freshness::Stale);
    assert_eq!(freshness("2026-04-29T10:40:00Z"), Freshness::Stale);
    let now = at("2026-04-29T11:00:00Z");
    assert_eq!(measured.freshness(now), Freshness::Unknown);
    let word = |component, _| (component == 1).then_some(MajorOutage);
    let views = measured.views(now, Freshness::Unknown, &word);
    assert_eq!((views[0].state, views[0].since), (Unknown, Some(at("2026-04-29T10:30:00Z"))));
    assert_eq!((views[1].state, views[1].days[DAYS_SHOWN - 1].major_ms), (MajorOutage, 1_800_000));
    let today = &views[0].days[DAYS_SHOWN - 1];
    assert_eq!((today.operational_ms, today.unknown_ms, today.elapsed_ms), (1_800_000, 37_800_000, 39_600_000));
}

#[test]
fn components_that_are_new_begin_and_those_that_are_gone_are_forgotten() {
    let mut measured = Measured::new(&config("UTC"));
    feed(&mut measured, "2026-04-29T10:00:00Z", "2026-04-29T10:30:00Z", 0);
    let mut other = config("UTC");
    other.components[0].id = "new".to_owned();
    let restored = Measured::restore(&other, measured.state().clone());
    let views = restored.views(at("2026-04-29T10:30:05Z"), Freshness::Current, &nothing);
    assert_eq!((views[0].state, views[1].state), (Unknown, Operational));
    assert_eq!(views[1].created_at, at("2026-04-29T10:00:00Z"));
}

#[test]
fn history_is_bounded() {
    let mut measured = Measured::new(&config("UTC"));
    let start = at("2026-01-01T00:00:00Z");
    for hour in 0..24 * 120 {
        for step in 0..60_i64 {
            let start = start.plus(hour * 3_600_000 + step * WINDOW_MS);
            let failing = if step % 2 == 0 && hour % 2 == 0 { 100 } else { 0 };
            measured.apply(&window(start, vec![counts(400, failing), counts(1, 0)]), &nothing);
        }
    }
    assert!(measured.spans(0).count() <= super::history::SPANS_KEPT);
    let bytes = serde_json::to_vec(measured.state()).unwrap().len();
    assert!(bytes < 400_000, "{bytes}");
    let now = start.plus(120 * DAY_MS);
    let view = measured.views(now, Freshness::Stale, &nothing).remove(0);
    assert_eq!((view.days.len(), view.days[0].date.as_str()), (DAYS_SHOWN, "2026-02-01"));
    assert!(view.latency.len() <= 288 && view.days[0].requests > 0);
}

/// Windows from the evening before Vienna's clocks go forward: (windows until this one, requests, failing).
fn windows() -> impl Strategy<Value = Vec<StatusWindow>> {
    let gap = prop_oneof![9 => Just(1_i64), 1 => 2..400_i64];
    let failing = prop_oneof![2 => Just(0_u64), 1 => Just(5), 1 => Just(90)];
    let block = (1..60_usize, gap, prop_oneof![Just(0_u64), Just(3), Just(400)], failing);
    prop::collection::vec(block, 1..12).prop_map(|blocks| {
        let mut number = 0;
        let mut windows = Vec::new();
        for (count, gap, requests, failing) in blocks {
            number += gap;
            for _ in 0..count {
                let start = at("2026-03-28T22:30:00Z").plus(number * WINDOW_MS);
                windows.push(window(start, vec![counts(requests, failing), counts(200, 100 - failing)]));
                number += 1;
            }
        }
        windows
    })
}

/// Work in some hours, a person's word in some quarters.
fn laid(component: usize, at: Timestamp) -> Option<ComponentState> {
    let minute = at.as_millis() / 60_000;
    match (component, minute / 17 % 5) {
        (0, 1) => Some(UnderMaintenance),
        (1, 3) => Some(Operational),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_restart_at_any_window_changes_nothing(windows in windows(), stop in any::<prop::sample::Index>(), again in 0..30_usize) {
        let config = config("Europe/Vienna");
        let (mut straight, mut restarted) = (Measured::new(&config), Measured::new(&config));
        let stop = stop.index(windows.len());
        let expected: Vec<_> = windows.iter().flat_map(|window| straight.apply(window, &laid)).collect();
        let mut changes: Vec<_> = windows[..stop].iter().flat_map(|window| restarted.apply(window, &laid)).collect();
        let stored = serde_json::to_string(restarted.state()).unwrap();
        let state: MeasuredState = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(&state, restarted.state());
        let mut restarted = Measured::restore(&config, state);
        // Kafka gives some again.
        changes.extend(windows[stop.saturating_sub(again)..].iter().flat_map(|window| restarted.apply(window, &laid)));
        prop_assert_eq!(changes, expected);
        prop_assert_eq!(restarted.state(), straight.state());
    }

    #[test]
    fn at_any_moment_the_sums_of_a_day_are_its_elapsed_time(windows in windows(), later_ms in 0..2 * DAY_MS) {
        let mut measured = Measured::new(&config("Europe/Vienna"));
        for window in &windows {
            measured.apply(window, &laid);
        }
        let now = measured.data_as_of().unwrap().plus(later_ms);
        for view in measured.views(now, measured.freshness(now), &laid) {
            for day in &view.days {
                let known = day.operational_ms + day.degraded_ms + day.partial_ms + day.major_ms + day.maintenance_ms;
                prop_assert_eq!(known + day.unknown_ms, day.elapsed_ms, "{:?}", day);
                prop_assert!(day.unknown_ms >= 0);
            }
            let begin = at("2026-03-28T22:30:00Z");
            let since_then: i64 = view.days.iter().map(|day| day.elapsed_ms).sum();
            prop_assert!(since_then >= now.since(begin).min(80 * DAY_MS));
        }
    }

    #[test]
    fn what_is_told_is_what_the_spans_say(windows in windows()) {
        let mut measured = Measured::new(&config("UTC"));
        let changes: Vec<_> = windows.iter().flat_map(|window| measured.apply(window, &nothing)).collect();
        for (number, id) in ["api", "search"].into_iter().enumerate() {
            let spans: Vec<_> = measured.spans(number).copied().collect();
            prop_assert!(spans.windows(2).all(|pair| pair[0].until == pair[1].from && pair[0].state != pair[1].state));
            for change in changes.iter().filter(|change| change.component == id) {
                let begins = spans.iter().find(|span| span.from == change.since);
                let is_held = spans.last().is_none_or(|last| last.until <= change.since);
                let is_same = |state: ComponentState| state == change.after || state.is_harm() && change.after.is_harm();
                prop_assert!(is_held || begins.is_some_and(|span| is_same(span.state)), "{:?} {:?}", change, spans);
            }
        }
    }
}
