//! `QueryRegression` on made query traffic.

use crate::detect::test_logs::{Factors, GIB, Pattern, at, change, firing, replay, runs, sorted};
use crate::model::{AlertName, ChangeKind, Dimension, Severity, Transition};

const ONSET_S: f64 = 1_800.0;

fn others() -> Vec<Pattern> {
    vec![
        Pattern::new("aa01", "api"),
        Pattern { memory_bytes: 0.6 * GIB, sigma: 0.8, ..Pattern::new("bb02", "export") },
        Pattern { sigma: 1.0, ..Pattern::new("cc03", "dashboard") },
    ]
}

fn with(factors: fn(f64, f64) -> Factors) -> Vec<Pattern> {
    let mut patterns = others();
    patterns.push(Pattern { at: factors, ..Pattern::new("dd04", "billing") });
    patterns
}

fn regressions(transitions: &[Transition]) -> Vec<&Transition> {
    firing(transitions, AlertName::QueryRegression)
}

#[test]
fn a_new_version_that_takes_more_is_a_ticket_that_names_it() {
    let slower: fn(f64, f64) -> Factors =
        |s, _| if s < ONSET_S { (Some("7"), 1.0, 1.0, 1.0) } else { (Some("8"), 1.0, 2.0, 1.0) };
    let larger: fn(f64, f64) -> Factors =
        |s, u| if s < ONSET_S || u < 0.5 { (Some("7"), 1.0, 1.0, 1.0) } else { (Some("8"), 2.0, 1.0, 1.0) };
    let tenfold: fn(f64, f64) -> Factors =
        |s, _| if s < ONSET_S { (Some("7"), 1.0, 1.0, 1.0) } else { (Some("8"), 10.0, 10.0, 10.0) };
    for (name, factors) in [("time 2x", slower), ("memory 2x in half of the runs", larger), ("all 10x", tenfold)] {
        for seed in 1..=3 {
            let (transitions, _) = replay(&runs(&with(factors), 60.0, seed));
            let alerts = regressions(&transitions);
            assert_eq!(alerts.len(), 1, "{name}/{seed}: {alerts:#?}");
            let alert = alerts[0];
            assert_eq!(alert.severity, Severity::Warning);
            assert_eq!(alert.labels.get(Dimension::Fingerprint), Some("dd04"));
            assert_eq!(alert.causes[0].dimensions.get(Dimension::Version), Some("8"));
            assert_eq!(alert.causes[0].dimensions.get(Dimension::Origin), Some("billing"));
            let delay_s = alert.at.since(at(ONSET_S)) / 1_000;
            assert!((0..=420).contains(&delay_s), "{name}/{seed}: {delay_s} s");
            println!("{name}/{seed}: {delay_s} s: {} | {}", alert.summary, alert.causes[0].evidence);
        }
    }
}

#[test]
fn without_versions_a_change_event_is_compared_and_without_any_change_nothing_is() {
    let slower: fn(f64, f64) -> Factors =
        |s, _| if s < ONSET_S { (None, 1.0, 1.0, 1.0) } else { (None, 3.0, 3.0, 1.0) };
    let mut events = runs(&with(slower), 60.0, 4);
    assert!(regressions(&replay(&events).0).is_empty());
    events.push(change(ONSET_S - 60.0, ChangeKind::Config, "billing", None));
    let (transitions, _) = replay(&sorted(events));
    let alerts = regressions(&transitions);
    assert_eq!(alerts.len(), 1);
    assert!(alerts[0].causes[0].evidence.contains("config of billing"), "{}", alerts[0].causes[0].evidence);
    assert!(alerts[0].causes[0].evidence.contains("reads no more than before"));
}

#[test]
fn harmless_changes_and_a_slow_platform_are_silent() {
    let migrates: fn(f64, f64) -> Factors =
        |s, u| (Some(if u < (s - 600.0) / 1_800.0 { "8" } else { "7" }), 1.0, 1.0, 1.0);
    for seed in 11..=14 {
        let mut events = runs(&with(migrates), 120.0, seed);
        events.push(change(ONSET_S, ChangeKind::Deploy, "dashboard", Some("3")));
        events.push(change(ONSET_S + 900.0, ChangeKind::Flag, "api", None));
        events.push(change(ONSET_S + 1_900.0, ChangeKind::Config, "clickhouse", None));
        let (transitions, _) = replay(&sorted(events));
        assert!(transitions.is_empty(), "{seed}: {transitions:#?}");
    }
    // From the change on everything is three times slower: not the new version's doing.
    let all_slow: fn(f64, f64) -> Factors =
        |s, _| if s < ONSET_S { (Some("7"), 1.0, 1.0, 1.0) } else { (Some("8"), 1.0, 3.0, 1.0) };
    let slow: fn(f64, f64) -> Factors =
        |s, _| if s < ONSET_S { (Some("1"), 1.0, 1.0, 1.0) } else { (Some("1"), 1.0, 3.0, 1.0) };
    let mut patterns: Vec<Pattern> = others().into_iter().map(|p| Pattern { at: slow, ..p }).collect();
    patterns.push(Pattern { at: all_slow, ..Pattern::new("dd04", "billing") });
    let (transitions, _) = replay(&runs(&patterns, 60.0, 15));
    assert!(regressions(&transitions).is_empty(), "{transitions:#?}");
}
