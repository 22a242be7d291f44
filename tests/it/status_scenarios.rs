//! Scenarios through `floodmark status replay`: states over time, against a truth that is computed here, of the events alone.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use floodmark::alert::Rules;
use floodmark::config::{ComponentConfig, FlowConfig, Span, StatusConfig};
use floodmark::detect::Limits;
use floodmark::flow::StreamId;
use floodmark::model::{Event, Request, Timestamp};
use floodmark::pipeline::{Pipeline, Settings};
use floodmark::sim::ScenarioFile;
use serde_json::Value;

use crate::support::outages::{Outage, WINDOW_MS, outages, windows};

/// An outage lasts for this long.
const LASTING_MS: i64 = 30_000;

fn events(name: &str) -> Vec<Event> {
    let scenario = ScenarioFile::load(name, None).unwrap();
    scenario.events(scenario.seed()).unwrap().collect()
}

fn write(events: &[Event], path: &Path) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    for event in events {
        serde_json::to_writer(&mut file, event).unwrap();
        file.write_all(b"\n").unwrap();
    }
    file.flush().unwrap();
}

fn replay(log: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floodmark"));
    command.args(["status", "replay"]).args(arguments).arg(log).env_remove("FLOODMARK_CONFIG");
    let output = command.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Replays a scenario: its changes as (since, at, after), and the last line.
fn states(name: &str) -> (Vec<(String, String, String)>, Value, Vec<Event>) {
    let directory = tempfile::tempdir().unwrap();
    let (log, events) = (directory.path().join("log.ndjson"), events(name));
    write(&events, &log);
    let output = replay(&log, &[]);
    assert_eq!(output, replay(&log, &[]), "the same log gives the same output");
    let mut lines: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.pop().unwrap();
    let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
    assert!(lines.iter().all(|line| line["event"] == "component" && line["component"] == "api"));
    let changes = lines.iter().map(|line| (text(line, "since"), text(line, "at"), text(line, "after"))).collect();
    (changes, last, events)
}

/// Checks a scenario against the expected table of (since, decided at, state) and against the truth of its events.
fn check(name: &str, expected: &[(&str, &str, &str)]) -> Value {
    let (changes, last, events) = states(name);
    let told: Vec<(&str, &str, &str)> = changes.iter().map(|(s, a, t)| (s.as_str(), a.as_str(), t.as_str())).collect();
    assert_eq!(told, expected, "{name}");

    let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
    let mut recorded: Vec<Outage> = Vec::new();
    for pair in changes.windows(2) {
        let ((since, _, state), (until, _, _)) = (&pair[0], &pair[1]);
        match recorded.last_mut() {
            _ if state == "operational" || state == "unknown" => {}
            Some(last) if last.1 == at(since) => last.1 = at(until),
            _ => recorded.push((at(since), at(until))),
        }
    }
    let windows = windows(&events, |_| true);
    let truth = outages(&windows, LASTING_MS, 1);
    assert_eq!(recorded.len(), truth.len(), "{name}: {recorded:?}, in truth {truth:?}");
    for (recorded, truth) in recorded.iter().zip(&truth) {
        assert!(recorded.0.since(truth.0).abs() <= WINDOW_MS, "{name}: {recorded:?}, in truth {truth:?}");
        assert!(recorded.1.since(truth.1).abs() <= WINDOW_MS, "{name}: {recorded:?}, in truth {truth:?}");
    }

    let component = &last["components"][0];
    let sum = |part: fn(&(u64, u64)) -> u64| windows.values().map(part).sum::<u64>();
    assert_eq!(component["requests"], sum(|(requests, _)| *requests), "{name}");
    assert_eq!(component["failures"], sum(|(_, failures)| *failures), "{name}");
    assert_eq!((&last["windows_lost"], &last["late"], &last["rejected"]), (&0.into(), &0.into(), &0.into()), "{name}");
    let down_ms: i64 =
        ["degraded_ms", "partial_ms", "major_ms"].iter().map(|key| component[key].as_i64().unwrap()).sum();
    let recorded_ms: i64 = recorded.iter().map(|(from, until)| until.since(*from)).sum();
    assert_eq!(down_ms, recorded_ms, "{name}: the days hold what was told");
    last
}

#[test]
fn the_retry_storm_is_one_outage_that_gets_worse() {
    let expected = [
        ("2026-03-09T09:00:00Z", "2026-03-09T09:00:05Z", "operational"),
        ("2026-03-09T10:04:30Z", "2026-03-09T10:05:00Z", "partial_outage"),
        ("2026-03-09T10:06:10Z", "2026-03-09T10:06:40Z", "major_outage"),
        ("2026-03-09T11:00:05Z", "2026-03-09T11:03:05Z", "operational"),
    ];
    let last = check("kameleo-retry-storm", &expected);
    let component = &last["components"][0];
    // 53 min 50 s out, 1 min 45 s out in part, of 2 h 30 min.
    assert_eq!((&component["major_ms"], &component["partial_ms"]), (&3_230_000.into(), &105_000.into()));
    let uptime = component["uptime"].as_f64().unwrap();
    assert!((uptime - (1.0 - (3_230.0 + 0.3 * 105.0) / 9_000.0)).abs() < 1e-9, "{uptime}");
}

#[test]
fn lost_caches_and_slow_queries_are_one_outage_each() {
    let expected = [
        ("2026-02-17T08:00:00Z", "2026-02-17T08:00:10Z", "operational"),
        ("2026-02-17T09:10:05Z", "2026-02-17T09:10:45Z", "major_outage"),
        ("2026-02-17T09:40:15Z", "2026-02-17T09:43:15Z", "operational"),
    ];
    check("kameleoon-cache-loss", &expected);
    let expected = [
        ("2026-01-20T09:00:05Z", "2026-01-20T09:00:30Z", "operational"),
        ("2026-01-20T10:00:10Z", "2026-01-20T10:00:50Z", "major_outage"),
        ("2026-01-20T10:45:10Z", "2026-01-20T10:48:10Z", "operational"),
    ];
    check("kameleoon-query-blowup", &expected);
}

#[test]
fn a_quiet_day_has_no_change() {
    let last = check("quiet-day", &[("2026-03-05T00:00:05Z", "2026-03-05T00:00:20Z", "operational")]);
    assert_eq!(last["components"][0]["uptime"], 1.0);
}

#[test]
fn people_read_a_table_and_a_configuration_names_components() {
    let directory = tempfile::tempdir().unwrap();
    let (log, file) = (directory.path().join("log.ndjson"), directory.path().join("floodmark.toml"));
    write(&events("kameleoon-query-blowup"), &log);
    let component = |id: &str, service: &str| {
        format!("[[status.components]]\nid = '{id}'\nname = '{id}'\nservices = ['{service}']\nslow_from = '2s'\n")
    };
    std::fs::write(&file, component("nobody", "no-such-service")).unwrap();
    let table = replay(&log, &["--output", "table", "--config", file.to_str().unwrap()]);
    assert!(table.contains("not known") && table.contains("nobody") && !table.contains("Major"), "{table}");
    let table = replay(&log, &["--output", "table"]);
    let row = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    let outage = table.lines().map(row).find(|line| line.contains("Major outage 88")).unwrap();
    assert_eq!(outage, "2026-01-20T10:00:10Z 2026-01-20T10:00:50Z api Operational Major outage 88 76.1 % 0.0 %");
    assert!(table.contains("62.814 %"), "{table}");
}

/// Requests of one window, and one of the next but one that closes it.
fn requests() -> Vec<Event> {
    let start = Timestamp::parse_rfc3339("2026-03-01T10:00:00Z").unwrap();
    let line = |second: i64, service: &str, caller: &str, route: &str, status: u16, duration_ms: f64| {
        Event::Request(Request {
            timestamp: start.plus(second * 1_000),
            subscription: "a".into(),
            service: Some(service.into()),
            caller: (!caller.is_empty()).then(|| caller.into()),
            route: route.into(),
            status,
            duration_ms,
            ..Request::default()
        })
    };
    vec![
        line(0, "api", "", "/a", 200, 100.0),
        line(0, "api", "", "/a", 200, 3_000.0),
        line(1, "api", "", "/a", 503, 9_000.0),
        line(1, "api", "", "/b", 429, 1.0),
        line(2, "api", "web", "/a", 200, 4_000.0),
        line(2, "api", "web", "/a", 500, 10.0),
        line(3, "files", "", "/a", 200, 5_000.0),
        line(4, "files", "api", "/c", 200, 5_000.0),
        line(20, "api", "", "/a", 200, 1.0),
    ]
}

#[test]
fn requests_from_outside_are_counted_by_service_and_route() {
    let component = |services: &[&str], routes: &[&str]| ComponentConfig {
        services: services.iter().map(|text| (*text).to_owned()).collect(),
        routes: routes.iter().map(|text| (*text).to_owned()).collect(),
        slow_from: Some(Span::from_secs(2)),
        ..ComponentConfig::whole()
    };
    let components = vec![
        component(&[], &[]),
        component(&["api"], &[]),
        component(&["api", "files"], &["/a"]),
        component(&["files"], &["/c"]),
        component(&["no-such-service"], &[]),
    ];
    let config = StatusConfig { components, ..StatusConfig::default() };
    let settings =
        Settings { flow: FlowConfig::default(), rules: Rules { rules: Vec::new() }, limits: Limits::default() };
    let mut pipeline = Pipeline::new(&settings).with_components(&config);
    for event in requests() {
        pipeline.apply(StreamId(0), &event);
    }
    pipeline.finish();
    let windows = pipeline.take_status_windows();
    assert_eq!((windows.len(), pipeline.status_windows_lost()), (2, 0), "those with events");
    let counts: Vec<_> = windows[0].components.iter().map(|counts| counts.figures).collect();
    let told: Vec<_> = counts.iter().map(|counts| (counts.requests, counts.failures, counts.slow)).collect();
    assert_eq!(told, [(5, 2, 2), (4, 2, 1), (4, 1, 2), (0, 0, 0), (0, 0, 0)]);
    assert_eq!(windows[0].components[0].latencies.count(), 3, "answered without an error");
    assert_eq!(pipeline.take_status_windows(), [], "taken once");
}

#[test]
fn windows_that_nobody_takes_are_bounded_and_counted() {
    let settings =
        Settings { flow: FlowConfig::default(), rules: Rules { rules: Vec::new() }, limits: Limits::default() };
    let components = (0..100).map(|_| ComponentConfig::whole()).collect();
    let mut pipeline =
        Pipeline::new(&settings).with_components(&StatusConfig { components, ..StatusConfig::default() });
    let Event::Request(first) = requests().remove(0) else { unreachable!() };
    for window in 0..600 {
        let timestamp = first.timestamp.plus(window * WINDOW_MS);
        pipeline.apply(StreamId(0), &Event::Request(Request { timestamp, ..first.clone() }));
    }
    pipeline.finish();
    let windows = pipeline.take_status_windows();
    assert_eq!((windows.len(), pipeline.status_windows_lost()), (500, 100));
    assert_eq!(windows[0].start, first.timestamp.plus(100 * WINDOW_MS), "the oldest are lost");
}

#[test]
fn counting_components_changes_nothing_that_is_said() {
    let settings =
        Settings { flow: FlowConfig::default(), rules: Rules::shipped().unwrap(), limits: Limits::default() };
    let mut plain = Pipeline::new(&settings);
    let mut counting = Pipeline::new(&settings).with_components(&StatusConfig::default());
    let mut said = 0;
    for event in events("kameleoon-query-blowup") {
        let outputs = plain.apply(StreamId(0), &event);
        said += outputs.len();
        assert_eq!(counting.apply(StreamId(0), &event), outputs);
        counting.take_status_windows();
    }
    assert_eq!(counting.finish(), plain.finish());
    assert_eq!(counting.counts(), plain.counts());
    assert!(said > 0);
}
