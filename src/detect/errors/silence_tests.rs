//! A service that falls silent while it fails, and others that go on: its page neither ends nor is there for ever.

use crate::alert::{Detect, Rules};
use crate::config::Span;
use crate::detect::test_traffic::{Lcg, at, request, run, run_with};
use crate::model::{AlertName, Event, Timestamp, Transition, TransitionEvent};

/// When `billing` begins to fail, and when it falls silent, in seconds.
const ONSET_S: f64 = 3_600.0;
const SILENT_S: f64 = 4_500.0;

/// Requests to `api`, which is well, until `end`, and to `billing` until it is silent and again from `again`.
fn told(again: f64, end: f64) -> Vec<Transition> {
    let mut random = Lcg(3);
    let mut events = Vec::new();
    for time in random.arrivals(0.0, end, |_| 4.0, 4.0) {
        let service = ["api", "billing"][random.below(2) as usize];
        let mut one = request(time, random.below(5), ("", service, "/a"));
        if service == "billing" {
            if (SILENT_S..again).contains(&time) {
                continue;
            }
            one.status = if (ONSET_S..SILENT_S).contains(&time) { 500 } else { 200 };
        }
        events.push(Event::Request(one));
    }
    let transitions = run(events).transitions;
    let pages = transitions.into_iter().filter(|t| t.alert == AlertName::ErrorBudgetBurn);
    pages.filter(|t| t.labels.to_string() == "service = billing" && t.runbook.contains("error-budget")).collect()
}

fn moments(told: &[Transition], event: TransitionEvent) -> Vec<Timestamp> {
    let critical = told.iter().filter(|t| t.severity == crate::model::Severity::Critical && t.event == event);
    critical.map(|t| t.at).collect()
}

#[test]
fn a_silent_service_is_not_well_although_others_are() {
    let told = told(f64::INFINITY, SILENT_S + 4_200.0);
    assert_eq!(moments(&told, TransitionEvent::Firing).len(), 1);
    let resolved = moments(&told, TransitionEvent::Resolved);
    assert_eq!(resolved.len(), 1, "{told:#?}");
    let silent_ms = resolved[0].since(at(SILENT_S));
    // For up to five minutes its last failures are still those of now.
    assert!((3_590_000..3_960_000).contains(&silent_ms), "after an hour of silence, not {silent_ms} ms");
}

#[test]
fn a_slow_burn_does_not_end_because_its_service_fell_silent() {
    // Without any time to stay, what is not found any more would be over at once.
    let mut rules = Rules::shipped().unwrap();
    rules.rules.retain(|rule| matches!(rule.detect, Detect::SlowBurn(_)));
    rules.rules.iter_mut().for_each(|rule| rule.keep_firing_for = Span::from_secs(0));
    let mut random = Lcg(5);
    let (silent_s, end_s) = (2.9 * 3_600.0, 11.0 * 3_600.0);
    let mut events = Vec::new();
    for time in random.arrivals(0.0, end_s, |_| 0.5, 0.5) {
        let service = ["api", "billing"][random.below(2) as usize];
        let mut one = request(time, random.below(5), ("", service, "/a"));
        if service == "billing" {
            if time >= silent_s {
                continue;
            }
            // Too few hours for the statistic: only the windows see it, and after six hours they are empty.
            one.status = if time >= silent_s - 1_200.0 && random.below(10) < 4 { 500 } else { 200 };
        }
        events.push(Event::Request(one));
    }
    let told = run_with(rules, &events).transitions;
    let of_billing = told.iter().filter(|t| t.labels.to_string() == "service = billing");
    let minutes: Vec<(TransitionEvent, i64)> = of_billing
        .map(|t| (t.event, t.at.since(at(silent_s)) / 60_000))
        .filter(|(event, _)| *event != TransitionEvent::Pending)
        .collect();
    let [(TransitionEvent::Firing, fired), (TransitionEvent::Resolved, resolved)] = minutes[..] else {
        panic!("{minutes:?}");
    };
    assert!(fired < 30 && (415..425).contains(&resolved), "an hour after nothing is known any more: {minutes:?}");
}

#[test]
fn a_service_that_comes_back_well_ends_its_page() {
    let told = told(SILENT_S + 1_800.0, SILENT_S + 3_000.0);
    assert_eq!(moments(&told, TransitionEvent::Firing).len(), 1);
    let resolved = moments(&told, TransitionEvent::Resolved);
    assert_eq!(resolved.len(), 1, "{told:#?}");
    let well_ms = resolved[0].since(at(SILENT_S + 1_800.0));
    assert!((120_000..400_000).contains(&well_ms), "{well_ms} ms");
}
