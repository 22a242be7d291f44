//! Backtests: what is stored replays as the file that it came from, and what differs between two rule sets is told.

use std::path::Path;

use floodmark::alert::Rules;
use floodmark::backtest::{Change, Page, Pages, Twins, diff};
use floodmark::config::FlowConfig;
use floodmark::detect::Limits;
use floodmark::flow::StreamId;
use floodmark::model::{Event, Output, Timestamp};
use floodmark::pipeline::{Pipeline, Settings};
use floodmark::sim::ScenarioFile;
use floodmark::store::history::{History, extent};
use floodmark::store::{ClickHouse, Writer, migrate};

use crate::cli_contract::floodmark;
use crate::support::clickhouse::fresh_database;
use crate::support::events;

fn settings(rules: Rules) -> Settings {
    Settings { flow: FlowConfig::default(), rules, limits: Limits::shipped().unwrap() }
}

/// The first so many minutes of a built-in scenario.
fn simulated(name: &str, minutes: i64) -> Vec<Event> {
    let scenario = ScenarioFile::load(name, None).unwrap();
    let until = scenario.start().plus(minutes * 60_000);
    let events = scenario.events(scenario.seed()).unwrap();
    events.take_while(|event| event.timestamp() < until).collect()
}

/// What the core says, as it is printed.
fn said(events: &[Event]) -> Vec<String> {
    let mut pipeline = Pipeline::new(&settings(Rules::shipped().unwrap()));
    let mut outputs: Vec<Output> = Vec::new();
    for event in events {
        outputs.extend(pipeline.apply(StreamId(0), event));
    }
    outputs.extend(pipeline.finish());
    for output in &mut outputs {
        // Ids of requests are stored and not read back: they decide nothing.
        if let Output::Incident(incident) = output {
            incident.sample_requests.clear();
        }
    }
    outputs.iter().map(|output| serde_json::to_string(output).unwrap()).collect()
}

async fn stored(clickhouse: &ClickHouse, span: (Timestamp, Timestamp)) -> Vec<Event> {
    let mut history = History::open(clickhouse, span).await.unwrap();
    let mut events = Vec::new();
    while let Some(event) = history.next().await.unwrap() {
        events.push(event);
    }
    events
}

#[tokio::test]
async fn what_is_stored_says_the_same_as_the_log_it_came_from() {
    // Retries of clients; and a whole platform: calls, caches, pools, changes and queries.
    for (name, minutes) in [("kameleo-retry-storm", 67), ("kameleoon-query-blowup", 63)] {
        let database = fresh_database().await;
        migrate(&database.admin).await.unwrap();
        let log = simulated(name, minutes);
        let writer = Writer::new(database.writer.clone());
        let mut offset = 0;
        for part in log.chunks(20_000) {
            writer.write(&events::batch(offset, part.to_vec())).await.unwrap();
            offset += i64::try_from(part.len()).unwrap();
        }
        let times = || log.iter().map(Event::timestamp);
        let span = (times().min().unwrap(), times().max().unwrap().plus(1));
        let back = stored(&database.reader, span).await;
        let records = log.iter().filter(|event| !matches!(event, Event::Watermark(_))).count();
        assert_eq!(back.len(), records, "{name}");
        assert!(back.is_sorted_by_key(Event::timestamp), "{name}");
        let counted: u64 = extent(&database.reader, span).await.unwrap().iter().map(|hour| hour.rows).sum();
        assert_eq!(counted, records as u64, "{name}");
        // In pieces it is the same.
        let middle = Timestamp::from_millis(i64::midpoint(span.0.as_millis(), span.1.as_millis()));
        let mut halves = stored(&database.reader, (span.0, middle)).await;
        halves.extend(stored(&database.reader, (middle, span.1)).await);
        assert_eq!(halves, back, "{name}");
        let expected = said(&log);
        assert!(expected.iter().any(|line| line.contains("\"firing\"")), "{name} says nothing");
        assert_eq!(said(&back), expected, "{name}");
        // Ids of queries come back, and are told.
        let names_queries = expected.iter().any(|line| line.contains(r#""query_id":"q-"#));
        assert_eq!(names_queries, name == "kameleoon-query-blowup");
    }
}

#[tokio::test]
async fn every_field_that_detection_reads_comes_back() {
    let database = fresh_database().await;
    migrate(&database.admin).await.unwrap();
    let batch = events::one_of_each_kind();
    Writer::new(database.writer.clone()).write(&batch).await.unwrap();
    let start = batch.chunks[0].events[0].event.timestamp();
    let back = stored(&database.reader, (start.plus(-60_000), start.plus(60_000))).await;
    // Those that no detector reads are left where they are.
    let mut sent: Vec<Event> = batch.chunks[0].events.iter().map(|positioned| positioned.event.clone()).collect();
    sent.retain(|event| !matches!(event, Event::Watermark(_)));
    for event in &mut sent {
        match event {
            Event::Request(request) => {
                (request.method, request.request_bytes, request.attempt_source) = (None, None, None);
                (request.upstream_attempts, request.request_id) = (None, None);
                (request.region, request.host) = (None, None);
                request.attributes = Default::default();
            }
            Event::Signal(signal) => signal.attributes = Default::default(),
            Event::Change(change) => change.attributes = Default::default(),
            Event::Query(query) => query.attributes = Default::default(),
            Event::Watermark(_) => {}
        }
    }
    let sorted = |mut events: Vec<Event>| {
        events.sort_by_key(|event| (event.timestamp(), format!("{event:?}")));
        events
    };
    assert_eq!(sorted(back), sorted(sent));
}

#[test]
fn twins_say_what_each_would_have_said_alone() {
    let log = simulated("kameleo-retry-storm", 70);
    let mut later = Rules::shipped().unwrap();
    for rule in &mut later.rules {
        rule.r#for = floodmark::config::Span::from_secs(90);
    }
    let alone = |rules: &Rules| -> Vec<Page> {
        let mut pipeline = Pipeline::new(&settings(rules.clone()));
        let mut pages = Pages::default();
        for event in &log {
            pipeline.apply(StreamId(0), event).iter().for_each(|output| pages.take(output));
        }
        pipeline.finish().iter().for_each(|output| pages.take(output));
        pages.into_pages()
    };
    let shipped = Rules::shipped().unwrap();
    let mut twins = Twins::start(&settings(shipped.clone()), &settings(later.clone()));
    log.iter().for_each(|event| twins.apply(event.clone()).unwrap());
    let (old, new) = twins.finish().unwrap();
    assert_eq!((&old.pages, &new.pages), (&alone(&shipped), &alone(&later)));
    assert!(!old.pages.is_empty());
    assert!(diff(old.pages, new.pages).iter().any(|diff| diff.change == Change::Later && diff.shift_ms >= 60_000));
}

/// The shipped rules, with every occurrence of one text replaced.
fn rules_with(from: &str, to: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts/rules");
    for entry in std::fs::read_dir(shipped).unwrap().map(Result::unwrap) {
        if entry.path().extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(entry.path()).unwrap().replace(from, to);
            std::fs::write(directory.path().join(entry.file_name()), text).unwrap();
        }
    }
    directory
}

#[test]
fn files_are_backtested_without_an_engine() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let events = simulated("kameleo-retry-storm", 70);
    let lines: String = events.iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect();
    std::fs::write(log.path(), lines).unwrap();
    let backtest = |rules: &Path, output: &str| {
        let mut command = floodmark();
        command
            .args(["alerts", "backtest", "--rules"])
            .arg(rules)
            .args(["--output", output, "--files"])
            .arg(log.path());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let same = rules_with("nothing", "nothing");
    let told = backtest(same.path(), "table");
    assert!(told.contains("0 new, 0 gone, 0 earlier, 0 later, 0 of another severity"), "{told}");
    let slower = rules_with(" for: 0s", " for: 2m");
    let report: serde_json::Value = serde_json::from_str(&backtest(slower.path(), "json")).unwrap();
    let changes: Vec<&str> =
        report["pages"].as_array().unwrap().iter().map(|page| page["change"].as_str().unwrap()).collect();
    assert!(changes.contains(&"later"), "{report:#}");
}

/// Each rule set would get a part of what comes through.
#[test]
fn what_cannot_be_read_twice_is_refused() {
    let arguments = ["alerts", "backtest", "--rules", "alerts/rules", "--files", "/dev/null"];
    let output = floodmark().args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("/dev/null is no regular file"), "{told}");
}

#[test]
fn wrong_spans_are_refused() {
    let refused = |arguments: &[&str], said: &str| {
        let output =
            floodmark().args(["alerts", "backtest", "--rules", "alerts/rules"]).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(said), "{told}");
    };
    refused(&["--since", "yesterday"], "neither a time");
    refused(&["--since", "1h", "--until", "2h"], "must be after --since");
    refused(&[], "--since");
}
