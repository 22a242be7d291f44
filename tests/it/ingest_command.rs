//! `floodmark ingest`, as a person runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::broker::TestBroker;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn floodmark(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_floodmark"))
        .arg("ingest")
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn counts(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_dry_run_shows_what_each_line_becomes() {
    let file = fixture("access-log/odd_lines.log");
    let output = floodmark(&[file.to_str().unwrap(), "--format", "combined", "--dry-run"], &[]);
    assert!(output.status.success());
    insta::assert_snapshot!(format!("{}\n---\n{}", text(&output.stdout), text(&output.stderr)));
}

#[test]
fn a_gateways_log_ends_with_what_can_be_seen_in_it() {
    let file = fixture("formats/envoy.ndjson");
    let output = floodmark(&["--file", file.to_str().unwrap(), "--format", "envoy", "--dry-run"], &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 8);
    insta::assert_snapshot!(text(&output.stderr));
}

#[test]
fn a_binary_message_is_a_whole_file() {
    let file = fixture("formats/otlp_logs.binpb");
    let arguments = [file.to_str().unwrap(), "--format", "otlp_proto", "--to", "stdout", "--output", "json"];
    let output = floodmark(&arguments, &[]);
    assert_eq!(text(&output.stdout).lines().count(), 2, "{}", text(&output.stdout));
    let counts: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((&counts["lines"], &counts["rejected"]["missing_field"]), (&1.into(), &1.into()));
    assert_eq!(counts["requests"]["sources"]["stainless_retry_count"], 1);
    let small = [("FLOODMARK__DECODE__RECORD_BYTES_MAX", "1KiB")];
    let file = fixture("formats/otlp_json.ndjson");
    let output = floodmark(&[file.to_str().unwrap(), "--format", "otlp_proto", "--dry-run"], &small);
    assert!(text(&output.stdout).contains("too_long"), "{}", text(&output.stdout));
}

#[test]
fn usage_is_explained() {
    let combined = [("FLOODMARK__DECODE__REQUESTS_FORMAT", "combined")];
    let output = floodmark(&["x.ndjson", "--format", "native", "--to", "kafka"], &combined);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("decode.requests_format"), "{}", text(&output.stderr));
    assert_eq!(floodmark(&["x", "--format", "native"], &[]).status.code(), Some(64), "neither --to nor --dry-run");
    assert_eq!(floodmark(&["--format", "native", "--dry-run"], &[]).status.code(), Some(64), "no file");
    let missing = floodmark(&["no-such-file", "--format", "native", "--dry-run"], &[]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("no-such-file"));
    let bad = floodmark(&["x", "--format", "native", "--dry-run"], &[("FLOODMARK__DECODE__NO", "1")]);
    assert_eq!(bad.status.code(), Some(78));
}

#[test]
fn missing_topics_are_named() {
    let broker = TestBroker::without_topics();
    let file = fixture("native_records.ndjson");
    let brokers = &broker.kafka.brokers;
    let output = floodmark(&[file.to_str().unwrap(), "--format", "native", "--to", "kafka", "--brokers", brokers], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("topic requests does not exist"), "{}", text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_the_format_that_the_service_reads_go_as_they_are() {
    let broker = TestBroker::start(1).await;
    let file = fixture("access-log/odd_lines.log");
    let to = ["--to", "kafka", "--output", "json", "--brokers", &broker.kafka.brokers];
    let arguments = [&[file.to_str().unwrap(), "--format", "combined"][..], &to].concat();
    let output = floodmark(&arguments, &[("FLOODMARK__DECODE__REQUESTS_FORMAT", "combined")]);
    let counts = counts(&output);
    // 18 lines, one of them a watermark, which goes to four partitions, as the one at the end does.
    assert_eq!((&counts["lines"], &counts["sent"], &counts["dead_lettered"]), (&18.into(), &17.into(), &0.into()));
    assert!(counts["watermarks"].as_u64().unwrap() >= 8, "{counts}");

    let messages = broker.read("requests", 0, 17);
    let lines = std::fs::read_to_string(&file).unwrap();
    let is_line = |body: &[u8]| lines.lines().any(|line| line.as_bytes() == body);
    let as_they_are: Vec<&(String, Vec<u8>)> = messages.iter().filter(|(_, body)| is_line(body)).collect();
    assert!(as_they_are.len() >= 15, "{}", as_they_are.len());
    assert_eq!(as_they_are[0].0, "192.0.2.1", "keyed by the subscription");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_formats_are_converted_and_bad_lines_dead_lettered_from_here() {
    let broker = TestBroker::start(1).await;
    let file = fixture("access-log/odd_lines.log");
    let to = ["--to", "kafka", "--output", "json", "--no-watermarks", "--brokers", &broker.kafka.brokers];
    let arguments = [&[file.to_str().unwrap(), "--format", "combined"][..], &to].concat();
    let counts = counts(&floodmark(&arguments, &[]));
    assert_eq!((&counts["sent"], &counts["dead_lettered"]), (&8.into(), &9.into()));

    let first: serde_json::Value = serde_json::from_slice(&broker.read("requests", 0, 8)[0].1).unwrap();
    assert_eq!((&first["type"], &first["route"]), (&"request".into(), &"/v1/profiles/{id}".into()));
    let (key, letter) = broker.read("floodmark.dead-letters", 0, 9).swap_remove(0);
    assert_eq!(key, "odd_lines.log[0]@8");
    let letter: serde_json::Value = serde_json::from_slice(&letter).unwrap();
    assert_eq!((&letter["reason"], &letter["decoder"]), (&"wrong_type".into(), &"combined".into()));
    assert!(letter["payload"].as_str().unwrap().contains("31/Feb/2026"));
}
