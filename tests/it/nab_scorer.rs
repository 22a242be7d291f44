//! The benchmark's scorer against cases worked out by hand, and the detector on four series of the benchmark.

#[path = "../../benches/nab/events.rs"]
mod events;
#[path = "../../benches/nab/scorer.rs"]
mod scorer;

use std::path::Path;

use events::{Found, compare};
use floodmark::detect::{SeriesDetector, SeriesOptions, Verdict};
use scorer::{PROFILES, Profile, Scored, at_threshold, optimum, probation_rows};

/// 100 rows, 15 of them on probation, a window of 10 rows.
fn series(detections: &[usize]) -> Scored {
    let mut scores = vec![0.0; 100];
    for row in detections {
        scores[*row] = 1.0;
    }
    Scored { scores, windows: vec![(50, 59)] }
}

fn score(detections: &[usize], profile: &Profile) -> f64 {
    at_threshold(&[series(detections)], profile, 1.0)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn assert_near(left: f64, right: f64) {
    assert!((left - right).abs() < 1e-9, "{left} is not {right}");
}

#[test]
fn nothing_detected_is_0_and_every_window_at_once_100() {
    for profile in &PROFILES {
        assert_near(score(&[], profile), 0.0);
        let perfect = score(&[50], profile);
        assert!((perfect - 100.0).abs() < 1e-9, "{}: {perfect}", profile.name);
    }
}

#[test]
fn the_earliest_detection_in_a_window_counts_once() {
    let [standard, _, low_fn] = &PROFILES;
    // Row 55 is 5 rows of 10 before the end: position −(59 − 55 + 1) / 10 = −0.5.
    let worth = (2.0 * sigmoid(2.5) - 1.0) / (2.0 * sigmoid(5.0) - 1.0);
    assert_near(score(&[55], standard), 100.0 * (worth + 1.0) / 2.0);
    assert_near(score(&[55, 56, 59], standard), score(&[55], standard));
    // A miss weighs 2 there: from −2 (nothing) to 1 (perfect).
    assert_near(score(&[55], low_fn), 100.0 * (worth + 2.0) / 3.0);
}

#[test]
fn false_alarms_weigh_more_the_farther_they_are_behind_a_window() {
    let [standard, low_fp, _] = &PROFILES;
    // Before the first window, and more than three widths (9 rows) behind it: all of the weight.
    for row in [20, 49, 59 + 27, 99] {
        assert_near(score(&[row], standard), -100.0 * 0.11 / 2.0);
        assert_near(score(&[row], low_fp), -100.0 * 0.22 / 2.0);
    }
    // Three rows behind its end: a third of its width.
    let worth = 2.0 * sigmoid(-5.0 / 3.0) - 1.0;
    assert_near(score(&[62], standard), 100.0 * 0.11 * worth / 2.0);
}

#[test]
fn rows_on_probation_do_not_count() {
    assert_eq!([probation_rows(100), probation_rows(4_032), probation_rows(22_695)], [15, 604, 750]);
    assert_near(score(&[0, 14], &PROFILES[0]), 0.0);
    assert!(score(&[15], &PROFILES[0]) < 0.0);
}

#[test]
fn one_threshold_has_to_serve_all_series() {
    let mut quiet = series(&[]);
    quiet.scores[50] = 0.4;
    let mut noisy = series(&[]);
    noisy.windows.clear();
    noisy.scores[20..40].fill(0.4);
    let best = optimum(&[quiet.clone()], &PROFILES[0]);
    assert_eq!((best.threshold, best.normalized), (0.4, 100.0));
    // 20 false alarms cost 2.2, the window brings 2: better no detection at all.
    let best = optimum(&[quiet, noisy], &PROFILES[0]);
    assert_eq!((best.threshold, best.normalized), (f64::INFINITY, 0.0));
}

#[test]
fn an_alert_shortly_after_an_event_belongs_to_it() {
    let at = |rows: &[usize]| (0..20).map(|row| rows.contains(&row)).collect::<Vec<bool>>();
    let found = compare(&at(&[3, 4, 10]), &at(&[7, 14, 15]));
    assert_eq!(found, Found { events: 2, events_found: 1, alerts: 3, alerts_right: 1 });
    assert_eq!((found.recall(), found.precision()), (0.5, 1.0 / 3.0));
}

/// A series of the fixture, judged: verdicts, and its windows.
fn judged(name: &str, windows: &serde_json::Value) -> (Vec<Verdict>, Vec<(usize, usize)>) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/series");
    let text = std::fs::read_to_string(directory.join(name)).unwrap();
    let mut detector = SeriesDetector::new(SeriesOptions::default());
    let rows: Vec<(&str, &str)> = text.lines().skip(1).map(|line| line.split_once(',').unwrap()).collect();
    let step = |(timestamp, value): &(&str, &str)| {
        let at: jiff::civil::DateTime = timestamp.parse().unwrap();
        let at = jiff::tz::TimeZone::UTC.to_timestamp(at).unwrap();
        detector.step(at.as_millisecond(), value.parse().unwrap())
    };
    let verdicts = rows.iter().map(step).collect();
    let limit = |window: &serde_json::Value, at: usize| window[at].as_str().unwrap()[..19].to_owned();
    let windows = windows.as_array().unwrap().iter().map(|window| {
        let first = rows.iter().position(|(at, _)| **at >= *limit(window, 0)).unwrap();
        (first, rows.iter().rposition(|(at, _)| **at <= *limit(window, 1)).unwrap())
    });
    (verdicts, windows.collect())
}

#[test]
fn the_detector_stays_as_good_as_it_was_on_real_series() {
    let labels = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/series/windows.json"));
    let labels: serde_json::Value = serde_json::from_str(&labels.unwrap()).unwrap();
    let (mut by_score, mut by_alert) = (Vec::new(), Vec::new());
    for (name, windows) in labels.as_object().unwrap() {
        let (verdicts, windows) = judged(name, windows);
        let scored = |score: fn(&Verdict) -> f64| Scored {
            scores: verdicts.iter().map(score).collect(),
            windows: windows.clone(),
        };
        by_score.push(scored(|verdict| verdict.score));
        by_alert.push(scored(|verdict| f64::from(u8::from(verdict.alert))));
    }
    let best = PROFILES.map(|profile| optimum(&by_score, &profile).normalized);
    let fixed = at_threshold(&by_alert, &PROFILES[0], 1.0);
    // Reached: 71.7, 64.0 and 81.1 with the best threshold, 65.8 with the one that users have.
    assert!(best[0] > 65.0 && best[1] > 57.0 && best[2] > 74.0 && fixed > 59.0, "{best:?} {fixed}");
}
