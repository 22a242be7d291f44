//! Query rules in the core: rows of answers as signals, which are there, gone, old, or of a rule of another name.

use super::tests::{story, told};
use crate::detect::test_traffic::{request, signal};
use crate::model::{
    Dimension, Dimensions, Event, FAILURES_IN_A_ROW_METRIC, ROWS_METRIC, Text, rule_row_source, rule_source,
};

const CONDITION: &str = "query: { name: traffic_by_minute, every: 1m, value: failures, by: { subscription: subscription }, \
                         params: { from: now-5m, until: now, service: '', limit: 1000 }, op: \">\", threshold: 10, clear: 5 }";

/// One answer.
fn answer(seconds: f64, rows: &[(&str, f64)]) -> Vec<Event> {
    let row = |(subscription, value): &(&str, f64)| {
        let labels = Dimensions::new([(Dimension::Subscription, Text::from(*subscription))]);
        signal(seconds, &rule_row_source("MyOwn", &labels), "failures", *value)
    };
    #[allow(clippy::cast_precision_loss)]
    let count = signal(seconds, &rule_source("MyOwn"), ROWS_METRIC, rows.len() as f64);
    rows.iter().map(row).chain([count]).collect()
}

/// Traffic, so that there are windows.
fn traffic(seconds: u32) -> Vec<Event> {
    (0..seconds).map(|second| Event::Request(request(f64::from(second), 1, ("", "api", "r")))).collect()
}

#[test]
fn rows_fire_clear_by_hysteresis_and_end_when_they_are_gone() {
    let mut log = traffic(400);
    log.extend(answer(1.0, &[("a", 11.0), ("b", 10.0), ("c", 20.0)]));
    log.extend(answer(61.0, &[("a", 6.0), ("c", 20.0)]));
    log.extend(answer(121.0, &[("a", 5.0)]));
    let told = told(CONDITION, "for: 10s", log).0;
    assert_eq!(
        story(&told),
        [
            "firing 15 s subscription = a",
            "firing 15 s subscription = c",
            "resolved 125 s subscription = a",
            "resolved 125 s subscription = c",
        ]
    );
    assert_eq!(told[0].causes[0].dimensions.get(Dimension::Subscription), Some("a"));
    assert_eq!(told[2].summary, "subscription = a: failures of traffic_by_minute is 11, above 10 (value)");
}

#[test]
fn without_an_answer_nothing_begins_and_nothing_ends() {
    let mut log = traffic(1_200);
    log.extend(answer(1.0, &[("a", 11.0)]));
    log.push(signal(700.0, &rule_source("MyOwn"), FAILURES_IN_A_ROW_METRIC, 9.0));
    log.extend(answer(900.0, &[("a", 1.0)]));
    let story = story(&told(CONDITION, "", log).0);
    assert_eq!(story, ["firing 5 s subscription = a", "resolved 905 s subscription = a"]);
}

#[test]
fn rows_of_another_rule_and_of_another_column_are_not_ours() {
    let mut log = traffic(60);
    let labels = Dimensions::default();
    log.push(signal(1.0, &rule_row_source("MyOwnToo", &labels), "failures", 99.0));
    log.push(signal(1.0, &rule_row_source("MyOwn", &labels), "requests", 99.0));
    log.push(signal(1.0, &rule_source("MyOwn"), ROWS_METRIC, 1.0));
    assert_eq!(story(&told(CONDITION, "", log).0), [""; 0]);
}

#[test]
fn a_row_is_no_source_of_the_platform() {
    let mut log = traffic(60);
    log.push(signal(1.0, &rule_row_source("MyOwn", &Dimensions::default()), "failures", 99.0));
    let threshold = "threshold: { series: signal, metric: failures, op: \">\", value: 10 }";
    assert_eq!(story(&told(threshold, "", log).0), [""; 0]);
}
