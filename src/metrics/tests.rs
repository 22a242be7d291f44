//! The text as a scraper reads it.

use std::sync::Arc;

use super::*;
use crate::config::TopicsConfig;
use crate::model::{Rejection, RejectionReason, TopicPartition};

fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

fn chunk(rejections: usize) -> Chunk {
    let reason = RejectionReason { code: RejectionCode::Syntax, field: None, message: "no".to_owned() };
    Chunk {
        topic_partition: TopicPartition { topic: Arc::from("requests"), partition: 3 },
        start: 10,
        end: 15,
        messages: 5,
        bytes: 700,
        events: Vec::new(),
        rejections: (0..rejections).map(|_| Rejection { offset: 10, index: 0, reason: reason.clone() }).collect(),
    }
}

#[test]
fn a_chunk_is_counted_by_input_and_reason() {
    let metrics = Metrics::new();
    metrics.add_chunk(Input::Requests, &chunk(2));
    metrics.add_chunk(Input::Requests, &chunk(0));
    let text = metrics.encode(Timestamp::from_millis(0));
    assert_eq!(value(&text, r#"floodmark_messages_total{input="requests"}"#), Some(10.0));
    assert_eq!(value(&text, r#"floodmark_input_bytes_total{input="requests"}"#), Some(1_400.0));
    assert_eq!(value(&text, r#"floodmark_rejections_total{input="requests",code="syntax"}"#), Some(2.0));
    assert_eq!(value(&text, r#"floodmark_rejections_total{input="signals",code="syntax"}"#), Some(0.0));
}

#[test]
fn the_watermark_has_an_age_only_once_there_is_one() {
    let metrics = Metrics::new();
    assert!(!metrics.encode(Timestamp::from_millis(5_000)).contains("watermark_age_seconds{"));
    metrics.set_watermark(Timestamp::from_millis(2_500));
    let text = metrics.encode(Timestamp::from_millis(5_000));
    assert_eq!(value(&text, "floodmark_watermark_timestamp_seconds{}"), Some(2.5));
    assert_eq!(value(&text, "floodmark_watermark_age_seconds{}"), Some(2.5));
}

#[test]
fn alerts_that_no_longer_fire_go_back_to_zero() {
    let metrics = Metrics::new();
    let firing = (AlertName::RestartLoop, Severity::Critical);
    let series = r#"floodmark_alerts_firing{alert="RestartLoop",severity="critical"}"#;
    metrics.set_alerts_firing([firing, firing]);
    assert_eq!(value(&metrics.encode(Timestamp::default()), series), Some(2.0));
    metrics.set_alerts_firing([]);
    assert_eq!(value(&metrics.encode(Timestamp::default()), series), Some(0.0));
}

#[test]
fn a_revoked_partition_is_forgotten() {
    let metrics = Metrics::new();
    metrics.set_partition(Input::Signals, 7, PartitionProgress { position: 40, end: 50, level: false });
    let series = r#"floodmark_consumer_lag_messages{input="signals",partition="7"}"#;
    assert_eq!(value(&metrics.encode(Timestamp::default()), series), Some(10.0));
    metrics.remove_partition(Input::Signals, 7);
    assert!(!metrics.encode(Timestamp::default()).contains(r#"partition="7""#));
}

#[test]
fn a_probe_is_told_by_kind_and_name_and_its_totals_are_counted_once() {
    let metrics = Metrics::new();
    for failures in [2, 2, 5] {
        metrics.set_probe("redis", "main", ProbeProgress { up: false, failures, ..ProbeProgress::default() });
    }
    let text = metrics.encode(Timestamp::default());
    assert_eq!(value(&text, r#"floodmark_probe_up{kind="redis",probe="main"}"#), Some(0.0));
    assert_eq!(value(&text, r#"floodmark_probe_failures_total{kind="redis",probe="main"}"#), Some(5.0));
}

#[test]
fn topics_are_known_by_what_they_are_for() {
    let topics = TopicsConfig { signals: "gauges".to_owned(), ..TopicsConfig::default() };
    assert_eq!(Input::of(&topics, "gauges"), Some(Input::Signals));
    assert_eq!(Input::of(&topics, &topics.dead_letters), None);
}

#[test]
fn model_enums_index_their_own_tables() {
    assert!(Severity::ALL.into_iter().enumerate().all(|(i, severity)| severity as usize == i));
}

#[test]
fn every_metric_has_a_name_a_type_and_a_help_text() {
    let metrics = Metrics::new();
    // Families without a series are not written: give every one of them one.
    metrics.set_watermark(Timestamp::default());
    metrics.set_partition(Input::Signals, 7, PartitionProgress { position: 40, end: 50, level: false });
    metrics.set_queue(Queue::Detect, 1, 2);
    metrics.set_notifications_waiting(ReceiverKind::Webhook, 1);
    metrics.add_store_error("timeout");
    metrics.set_probe("redis", "main", ProbeProgress { up: true, ..ProbeProgress::default() });
    metrics.add_transition(&crate::model::samples::transition());
    metrics.add_query_rule("RuleOfMine".parse().unwrap());
    let text = metrics.encode(Timestamp::default());
    assert!(text.ends_with("# EOF\n"));
    let described: Vec<&str> = text.lines().filter(|line| line.starts_with("# ")).collect();
    insta::assert_snapshot!(described.join("\n"));
}
