//! `api/v2/uptime.json`: days of every component, what was measured and what follows, with the formula. Not of Statuspage.

use serde::Serialize;

use super::PublicFile;
use super::statuspage::Page;
use crate::model::DurationMs;
use crate::status::{Board, ComponentState, ComponentView, DayView};

/// How uptime follows from the minutes beside it.
pub const UPTIME_FORMULA: &str = "uptime = 1 - downtime_minutes / (elapsed_minutes - maintenance_minutes - unknown_minutes), \
    where downtime_minutes = major_outage_minutes + 0.3 * partial_outage_minutes; degraded performance does not count; \
    null where nothing is known";
/// How the share of requests follows.
const SUCCESS_FORMULA: &str =
    "measured_success = 1 - failures / requests, where failures are answers 5xx and 429; null without requests";
/// Digits of shares; they are cut off, so that only what is whole is 1.
const SHARE_STEPS: i128 = 1_000_000;

#[derive(Serialize)]
struct Document {
    page: Page,
    formulas: Formulas,
    components: Vec<Component>,
}

#[derive(Serialize)]
struct Formulas {
    uptime: &'static str,
    measured_success: &'static str,
}

#[derive(Serialize)]
struct Component {
    id: String,
    name: String,
    group: Option<String>,
    state: ComponentState,
    /// What share of requests is to succeed.
    objective: Option<f64>,
    overall: Sums,
    days: Vec<Day>,
}

#[derive(Serialize)]
struct Day {
    date: String,
    #[serde(flatten)]
    sums: Sums,
}

#[derive(Serialize)]
struct Sums {
    uptime: Option<f64>,
    measured_success: Option<f64>,
    elapsed_minutes: f64,
    downtime_minutes: f64,
    major_outage_minutes: f64,
    partial_outage_minutes: f64,
    degraded_minutes: f64,
    maintenance_minutes: f64,
    unknown_minutes: f64,
    requests: u64,
    failures: u64,
    slow: u64,
}

/// The file.
pub(super) fn file(board: &Board) -> PublicFile {
    let document = Document {
        page: Page::of(board),
        formulas: Formulas { uptime: UPTIME_FORMULA, measured_success: SUCCESS_FORMULA },
        components: board.components.iter().map(component).collect(),
    };
    PublicFile::json("api/v2/uptime.json", &document)
}

fn component(view: &ComponentView) -> Component {
    let total = view.days.iter().fold(DayView::default(), added);
    Component {
        id: view.id.clone(),
        name: view.name.clone(),
        group: view.group.clone(),
        state: view.state,
        objective: view.objective,
        overall: sums(&total),
        days: view.days.iter().map(|day| Day { date: day.date.clone(), sums: sums(day) }).collect(),
    }
}

fn added(total: DayView, day: &DayView) -> DayView {
    DayView {
        date: String::new(),
        elapsed_ms: total.elapsed_ms + day.elapsed_ms,
        operational_ms: total.operational_ms + day.operational_ms,
        degraded_ms: total.degraded_ms + day.degraded_ms,
        partial_ms: total.partial_ms + day.partial_ms,
        major_ms: total.major_ms + day.major_ms,
        maintenance_ms: total.maintenance_ms + day.maintenance_ms,
        unknown_ms: total.unknown_ms + day.unknown_ms,
        requests: total.requests + day.requests,
        failures: total.failures + day.failures,
        slow: total.slow + day.slow,
    }
}

fn sums(day: &DayView) -> Sums {
    let down_tenths_ms = 10 * day.major_ms + 3 * day.partial_ms;
    let known_tenths_ms = 10 * (day.elapsed_ms - day.maintenance_ms - day.unknown_ms);
    Sums {
        uptime: share(known_tenths_ms - down_tenths_ms, known_tenths_ms),
        measured_success: share(i128::from(day.requests) - i128::from(day.failures), day.requests),
        elapsed_minutes: minutes(10 * day.elapsed_ms),
        downtime_minutes: minutes(down_tenths_ms),
        major_outage_minutes: minutes(10 * day.major_ms),
        partial_outage_minutes: minutes(10 * day.partial_ms),
        degraded_minutes: minutes(10 * day.degraded_ms),
        maintenance_minutes: minutes(10 * day.maintenance_ms),
        unknown_minutes: minutes(10 * day.unknown_ms),
        requests: day.requests,
        failures: day.failures,
        slow: day.slow,
    }
}

/// A share, its digits cut off; absent of nothing.
fn share(part: impl Into<i128>, whole: impl Into<i128>) -> Option<f64> {
    let (part, whole) = (part.into(), whole.into());
    // At most a million: exact.
    (whole > 0).then(|| (part.max(0) * SHARE_STEPS / whole) as f64 / SHARE_STEPS as f64)
}

/// Tenths of milliseconds as minutes, to a thousandth.
fn minutes(tenths_ms: DurationMs) -> f64 {
    (tenths_ms as f64 / 600.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::status::samples::board;

    fn document(board: &Board) -> Value {
        serde_json::from_slice(&file(board).body).unwrap()
    }

    #[test]
    fn days_and_their_sum_follow_the_formula() {
        let document = document(&board());
        let api = &document["components"][0];
        assert_eq!(api["days"].as_array().unwrap().len(), 90);
        let bad = &api["days"][60];
        assert_eq!((&bad["date"], &bad["downtime_minutes"]), (&json!("2026-03-31"), &json!(37.0)));
        assert_eq!(bad["uptime"], 0.974_305, "1 - 37 / 1440, cut off");
        assert_eq!(bad["measured_success"], 0.987_655);
        let unknown = &api["days"][0];
        assert_eq!((&unknown["uptime"], &unknown["measured_success"]), (&Value::Null, &Value::Null));
        assert_eq!(unknown["unknown_minutes"], 1_440.0);
        let overall = &api["overall"];
        let known = 79.0 * 1_440.0 + 50_000.0 / 60.0;
        let uptime = overall["uptime"].as_f64().unwrap();
        assert!((uptime - (1.0 - 37.0 / known)).abs() < 1e-6, "{uptime}");
        assert_eq!(overall["requests"], 80_000_000);
    }

    #[test]
    fn part_of_an_outage_counts_for_three_tenths_and_degraded_not_at_all() {
        let day = DayView { elapsed_ms: 100_000, partial_ms: 10_000, degraded_ms: 50_000, ..DayView::default() };
        assert_eq!(sums(&day).uptime, Some(0.97));
        let day = DayView { elapsed_ms: 100_000, major_ms: 25_000, maintenance_ms: 30_000, unknown_ms: 20_000, ..day };
        assert_eq!(sums(&day).uptime, Some(0.44), "1 - (25 + 3) / 50");
    }

    #[test]
    fn only_what_is_whole_is_one() {
        let day = DayView {
            elapsed_ms: 86_400_000 * 90,
            major_ms: 1,
            requests: 10_000_000,
            failures: 1,
            ..DayView::default()
        };
        assert_eq!((sums(&day).uptime, sums(&day).measured_success), (Some(0.999_999), Some(0.999_999)));
        let day = DayView { major_ms: 0, failures: 0, ..day };
        assert_eq!((sums(&day).uptime, sums(&day).measured_success), (Some(1.0), Some(1.0)));
    }
}
