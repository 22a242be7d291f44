//! The whole service against a log: what it says live is what a replay says, and what it stores is what was sent.

use std::collections::BTreeMap;
use std::path::Path;

use floodmark::config::{Format, Span};
use serde::Deserialize;
use serde_json::Value;

use crate::support::accounts::{account_for_every_offset, number, until_stored};
use crate::support::broker::TestBroker;
use crate::support::clickhouse::{TestDatabase, fresh_database};
use crate::support::service::{Service, Setup, until};
use crate::support::webhook::Webhook;

/// Partitions of the requests topic; signals have two and changes one.
const REQUESTS_PARTITIONS: i32 = 4;
const PARTITIONS: usize = 7;
const STORM: [&str; 4] = ["simulate", "kameleo-retry-storm", "--seed", "7"];

/// The columns, under the names of the contract where they are the same.
const TRANSITIONS: &str = "
    SELECT toUnixTimestamp64Milli(at) AS at, event, alert, severity, incident, toUnixTimestamp64Milli(since) AS since,
        labels, value, baseline, unit, causes, affected_subscriptions, affected_requests_share, summary, runbook
    FROM {database}.alert_transitions FINAL";

/// The lines of a replay by what they are.
#[derive(Default)]
struct Replayed<'a> {
    transitions: Vec<&'a str>,
    incidents: Vec<Value>,
    watermark: String,
}

impl<'a> Replayed<'a> {
    fn parse(lines: &'a str) -> Self {
        let mut replayed = Self::default();
        for line in lines.lines() {
            let object: Value = serde_json::from_str(line).unwrap();
            match object["event"].as_str().unwrap() {
                "incident" => replayed.incidents.push(object),
                "summary" => replayed.watermark = object["watermark"].as_str().unwrap().to_owned(),
                _ => replayed.transitions.push(line),
            }
        }
        replayed
    }
}

/// Waits until the service has decided everything up to `watermark` and told everybody, then compares.
async fn assert_live_said(replayed: &str, service: &Service, webhook: &Webhook, database: &TestDatabase) {
    let Replayed { transitions: expected, mut incidents, watermark } = Replayed::parse(replayed);
    assert!(!expected.is_empty(), "nothing to compare");
    until("everything is decided", async || {
        (service.json("/api/v1/alerts").await["watermark"] == watermark.as_str()).then_some(())
    })
    .await;
    let told = webhook.until("every transition is told", |bodies| bodies.len() >= expected.len()).await;
    assert_eq!(told, expected, "the webhook gets the replay's transitions, byte for byte and in order");

    let live = service.json("/api/v1/incidents").await;
    let mut live = live["incidents"].as_array().unwrap().clone();
    live.sort_by_key(Value::to_string);
    incidents.sort_by_key(Value::to_string);
    assert_eq!(live, incidents, "the reports say the same");

    let count = "SELECT count() AS number FROM {database}.alert_transitions";
    until("every transition is stored", async || {
        let stored = number(&database.reader, count).await?;
        assert!(stored <= expected.len() as u64, "{stored} of {}", expected.len());
        (stored == expected.len() as u64).then_some(())
    })
    .await;
    let rows: Vec<Value> = database.reader.fetch(TRANSITIONS, &[]).await.unwrap();
    let by_text = |rows: Vec<Value>| {
        let mut rows: Vec<String> = rows.iter().map(Value::to_string).collect();
        rows.sort();
        rows
    };
    let expected = by_text(expected.iter().map(|line| as_row(&serde_json::from_str(line).unwrap())).collect());
    assert_eq!(
        by_text(rows.into_iter().map(|row| with_json(with_floats(row))).collect()),
        expected,
        "clickhouse has the same"
    );
}

/// A transition as `TRANSITIONS` gives it.
fn as_row(transition: &Value) -> Value {
    let mut row = transition.as_object().unwrap().clone();
    for name in ["at", "since"] {
        let at = floodmark::model::Timestamp::parse_rfc3339(row[name].as_str().unwrap()).unwrap();
        row.insert(name.to_owned(), at.as_millis().into());
    }
    let affected = row.remove("affected").unwrap();
    row.insert("affected_subscriptions".to_owned(), affected["subscriptions"].clone());
    row.insert("affected_requests_share".to_owned(), affected["requests_share"].clone());
    with_floats(Value::Object(row))
}

/// ClickHouse writes the float 1.0 as 1.
fn with_floats(mut row: Value) -> Value {
    for name in ["value", "baseline", "affected_requests_share"] {
        row[name] = row[name].as_f64().unwrap().into();
    }
    row
}

/// Columns that hold JSON as text.
fn with_json(mut row: Value) -> Value {
    for name in ["labels", "causes"] {
        row[name] = serde_json::from_str(row[name].as_str().unwrap()).unwrap();
    }
    row
}

/// A replay of the storm's first `duration`, made twice to be sure, and the number of its events.
async fn replay_storm(setup: &Setup, duration: &str) -> (String, usize) {
    let file = setup.directory.path().join("storm.ndjson");
    let file = file.to_str().unwrap();
    setup.stdout(&[&STORM[..], &["--duration", duration, "--out", file]].concat()).await;
    let replayed = setup.stdout(&["replay", file]).await;
    assert_eq!(setup.stdout(&["replay", file]).await, replayed, "twice the same");
    let of_the_release = |line: &&str| line.contains(r#""client_version":"4.0.0""#);
    assert!(Replayed::parse(&replayed).transitions.iter().any(of_the_release), "{replayed}");
    (replayed, std::fs::read_to_string(file).unwrap().lines().count())
}

async fn feed_storm(setup: &Setup, duration: &str) {
    setup.stdout(&[&STORM[..], &["--duration", duration, "--to", "kafka"]].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_is_told_live_as_a_replay_tells_it_byte_for_byte() {
    let (broker, webhook) = (TestBroker::start(REQUESTS_PARTITIONS).await, Webhook::start().await);
    let database = fresh_database().await;
    let mut setup = Setup::new(Some(&broker.kafka)).with_database(&database);
    setup.config.notify.webhooks.push(webhook.config.clone());
    let (replayed, events) = replay_storm(&setup, "80m").await;
    let service = Service::start(&setup).await;
    service.until_assigned(PARTITIONS).await;
    feed_storm(&setup, "80m").await;
    assert_live_said(&replayed, &service, &webhook, &database).await;

    until_stored(&database.reader, events as u64).await;
    let accounts = account_for_every_offset(&broker, &database.reader).await;
    assert_eq!((accounts.produced, accounts.dead_lettered), (events, 0));
    assert_eq!(accounts.rows, events as u64, "without a restart every row is stored once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_found_in_the_backlog_is_told_as_a_replay_tells_it() {
    let (broker, webhook) = (TestBroker::start(REQUESTS_PARTITIONS).await, Webhook::start().await);
    let database = fresh_database().await;
    let mut setup = Setup::new(Some(&broker.kafka)).with_database(&database);
    setup.config.notify.webhooks.push(webhook.config.clone());
    let (replayed, _) = replay_storm(&setup, "70m").await;
    // All partitions are full before anything is read: they are read at paces of their own.
    feed_storm(&setup, "70m").await;
    let service = Service::start(&setup).await;
    assert_live_said(&replayed, &service, &webhook, &database).await;
}

/// Lines that no log has, and their neighbours.
const BROKEN_LINES: [&[u8]; 5] = [
    b"this is no line of an access log",
    b"192.0.2.9 - - [31/Feb/2015:10:05:03 +0000] \"GET /a HTTP/1.1\" 200 1 \"-\" \"-\"",
    b"192.0.2.9 - - [17/May/2015:10:05:03 +0000] \"GET /a HTTP/1.1\" two hundred \"-\" \"-\"",
    b"\xff\xfe\xfd 192.0.2.9 - - [17/May/2015:10:05:03 +0000] \"GET /a HTTP/1.1\" 200 1 \"-\" \"-\"",
    b"192.0.2.9 - - [17/May/2015:10:0",
];

/// Requests and bytes by minute, address and class of status.
type Counts = BTreeMap<(String, String, u64), (u64, u64)>;

/// Counted from the text by its spaces, brackets and quotes, as `awk` would.
fn count_by_hand(log: &str) -> Counts {
    let mut counts = Counts::new();
    for line in log.lines() {
        let address = line.split(' ').next().unwrap().to_owned();
        let time = line.split(['[', ']']).nth(1).unwrap();
        let (day, rest) = time.split_once("/May/2015:").unwrap();
        let minute = format!("2015-05-{day} {}:00", &rest[..5]);
        let mut after_request = line.split('"').nth(2).unwrap().split_whitespace();
        let status: u64 = after_request.next().unwrap().parse().unwrap();
        let bytes: u64 = after_request.next().unwrap().parse().unwrap_or(0);
        let count = counts.entry((minute, address, status / 100)).or_default();
        *count = (count.0 + 1, count.1 + bytes);
    }
    counts
}

#[derive(Deserialize)]
struct Rolled {
    minute: String,
    subscription: String,
    status_class: u64,
    requests: u64,
    response_bytes: u64,
}

async fn count_by_rollup(database: &TestDatabase) -> Counts {
    let sql = "
        SELECT toString(minute) AS minute, subscription, status_class,
            sum(requests) AS requests, sum(response_bytes) AS response_bytes
        FROM {database}.requests_by_minute GROUP BY ALL";
    let rows: Vec<Rolled> = database.reader.fetch(sql, &[]).await.unwrap();
    let count = |row: Rolled| ((row.minute, row.subscription, row.status_class), (row.requests, row.response_bytes));
    rows.into_iter().map(count).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_access_log_is_stored_rolled_up_and_judged_as_its_replay() {
    let (broker, webhook) = (TestBroker::start(REQUESTS_PARTITIONS).await, Webhook::start().await);
    let database = fresh_database().await;
    let mut setup = Setup::new(Some(&broker.kafka)).with_database(&database);
    let (file, limits) = (setup.directory.path().join("access.log"), setup.directory.path().join("limits.toml"));
    std::fs::write(&limits, "[[limits]]\nname = \"crawl\"\nrequests = 5\nper = \"1m\"\n").unwrap();
    setup.config.detect.limits_file = Some(limits);
    setup.config.decode.requests_format = Format::Combined;
    // The lines of this log are in no order inside an hour.
    setup.config.flow.allowed_lateness = Span::from_secs(3_600);
    setup.config.notify.webhooks.push(webhook.config.clone());

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/access-log/apache_access_excerpt.log");
    let log = std::fs::read_to_string(path).unwrap();
    let lines = log.lines().count();
    let broken = BROKEN_LINES.iter().flat_map(|line| [line, &b"\n"[..]].concat());
    std::fs::write(&file, log.bytes().chain(broken).collect::<Vec<u8>>()).unwrap();
    let file = file.to_str().unwrap();

    let service = Service::start(&setup).await;
    service.until_assigned(PARTITIONS).await;
    let counts = setup.stdout(&["ingest", file, "--format", "combined", "--to", "kafka", "--output", "json"]).await;
    let counts: Value = serde_json::from_str(&counts).unwrap();
    assert_eq!((&counts["lines"], &counts["sent"]), (&(lines + 5).into(), &(lines + 5).into()), "{counts}");

    let replayed = setup.stdout(&["replay", "--format", "combined", file]).await;
    assert_live_said(&replayed, &service, &webhook, &database).await;
    until_stored(&database.reader, lines as u64).await;
    let accounts = account_for_every_offset(&broker, &database.reader).await;
    assert_eq!((accounts.produced, accounts.stored, accounts.dead_lettered), (lines + 5, lines, 5));
    assert_eq!(count_by_rollup(&database).await, count_by_hand(&log));
}
