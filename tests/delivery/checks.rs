//! The reckoning: what is in Kafka against what is in ClickHouse, counted without any code of the service.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use floodmark::config::KafkaConfig;
use floodmark::model::Request;
use floodmark::store::ClickHouse;
use serde::Deserialize;

use crate::feed::{Record, number_of, record};
use crate::support::topics::contents;

/// Differences that are shown of each kind.
const SHOWN: usize = 5;
/// Buckets of the rollup's histogram in each doubling, and the bucket of zero (see the schema).
const BUCKETS_PER_DOUBLING: f64 = 8.0;
const ZERO_BUCKET: i16 = i16::MIN;

const ROWS: &str = "SELECT _partition AS partition, _offset AS offset, request_id, count() AS copies
    FROM {database}.requests GROUP BY partition, offset, request_id";
const COUNTS: &str = "SELECT count() AS rows, uniqExact(_partition, _offset) AS places FROM {database}.requests";
const ROLLUP: &str =
    "SELECT toUnixTimestamp(minute) AS minute, subscription, client, client_version, route, status_class,
        sum(requests) AS requests, sum(failures) AS failures, sum(resends) AS resends,
        sum(request_bytes) AS request_bytes, sum(response_bytes) AS response_bytes, sumMap(duration_ms) AS duration_ms
    FROM {database}.requests_by_minute
    GROUP BY minute, subscription, client, client_version, route, status_class";
const LEDGER: &str = "SELECT DISTINCT partition, offset_start AS start, offset_end AS end
    FROM {database}.ingest_ledger WHERE topic = {topic:String} ORDER BY partition, start, end";

/// Partition and offset.
type Place = (i32, i64);

/// What a rollup row is about: minute, subscription, client, client version, route, status class.
type Key = (u64, String, String, String, String, u16);

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    /// Requests, failures, resends, bytes received and sent.
    sums: [u64; 5],
    durations: BTreeMap<i16, u64>,
}

#[derive(Deserialize)]
struct Row {
    partition: i32,
    offset: i64,
    request_id: String,
    copies: u64,
}

#[derive(Deserialize)]
struct Counts {
    rows: u64,
    places: u64,
}

#[derive(Deserialize)]
struct RollupRow {
    minute: u64,
    subscription: String,
    client: String,
    client_version: String,
    route: String,
    status_class: u16,
    requests: u64,
    failures: u64,
    resends: u64,
    request_bytes: u64,
    response_bytes: u64,
    duration_ms: BTreeMap<i16, u64>,
}

#[derive(Deserialize)]
struct Letter {
    topic: String,
    partition: i32,
    offset: i64,
}

#[derive(Deserialize)]
struct Range {
    partition: i32,
    start: i64,
    end: i64,
}

/// What was produced, as the topic has it.
#[derive(Default)]
struct Produced {
    good: BTreeMap<Place, Request>,
    broken: BTreeSet<Place>,
    ends: BTreeMap<i32, i64>,
}

/// Everything that is wrong after the records `0..sent` of `seed`.
pub async fn all(kafka: &KafkaConfig, clickhouse: &ClickHouse, seed: u64, sent: u64) -> Vec<String> {
    let mut problems = Vec::new();
    let produced = produced(kafka, seed, sent, &mut problems);
    raw_rows(clickhouse, &produced, &mut problems).await;
    rollup(clickhouse, &produced, &mut problems).await;
    dead_letters(kafka, &produced, &mut problems);
    ledger(kafka, clickhouse, &produced, &mut problems).await;
    problems
}

fn produced(kafka: &KafkaConfig, seed: u64, sent: u64, problems: &mut Vec<String>) -> Produced {
    let mut produced = Produced::default();
    let mut numbers = BTreeSet::new();
    for (partition, messages) in (0..).zip(contents(kafka, &kafka.topics.requests)) {
        for message in messages {
            let place = (partition, message.offset);
            let number = number_of(&message.body).expect("every record tells its number");
            if !numbers.insert(number) {
                problems.push(format!("the broker has record {number} twice"));
            }
            match record(seed, number) {
                Record::Good(request) => drop(produced.good.insert(place, request)),
                Record::Broken(_) => drop(produced.broken.insert(place)),
            }
            produced.ends.insert(partition, message.offset + 1);
        }
    }
    compare("records in the topic", (0..sent).collect(), numbers, problems);
    produced
}

async fn raw_rows(clickhouse: &ClickHouse, produced: &Produced, problems: &mut Vec<String>) {
    let rows: Vec<Row> = clickhouse.fetch(ROWS, &[]).await.unwrap();
    let twice: Vec<Place> = rows.iter().filter(|row| row.copies > 1).map(|row| (row.partition, row.offset)).collect();
    if !twice.is_empty() {
        problems.push(format!("{} raw rows are stored more than once, first {}", twice.len(), first(&twice)));
    }
    let stored = rows.into_iter().map(|row| ((row.partition, row.offset), row.request_id)).collect();
    let expected =
        produced.good.iter().map(|(place, request)| (*place, request.request_id.clone().unwrap().to_string()));
    compare("raw rows", expected.collect(), stored, problems);
    let counts: Vec<Counts> = clickhouse.fetch(COUNTS, &[]).await.unwrap();
    let (rows, places, wanted) = (counts[0].rows, counts[0].places, produced.good.len() as u64);
    if (rows, places) != (wanted, wanted) {
        problems.push(format!(
            "count() = {rows}, uniqExact(_partition, _offset) = {places}, produced - dead-lettered = {wanted}"
        ));
    }
}

async fn rollup(clickhouse: &ClickHouse, produced: &Produced, problems: &mut Vec<String>) {
    let mut expected: BTreeMap<Key, Cell> = BTreeMap::new();
    for request in produced.good.values() {
        let cell = expected.entry(key(request)).or_default();
        let failed = request.status >= 500 || request.status == 429;
        let resent = request.attempt.is_some_and(|attempt| attempt > 1);
        let bytes = [request.request_bytes, request.response_bytes].map(|bytes| bytes.unwrap_or(0));
        let values = [1, u64::from(failed), u64::from(resent), bytes[0], bytes[1]];
        cell.sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        *cell.durations.entry(bucket(request.duration_ms)).or_default() += 1;
    }
    let rows: Vec<RollupRow> = clickhouse.fetch(ROLLUP, &[]).await.unwrap();
    let stored = rows.into_iter().map(|row| {
        let key = (row.minute, row.subscription, row.client, row.client_version, row.route, row.status_class);
        let sums = [row.requests, row.failures, row.resends, row.request_bytes, row.response_bytes];
        (key, Cell { sums, durations: row.duration_ms })
    });
    let stored: BTreeMap<Key, Cell> = stored.collect();
    let total = |cells: &BTreeMap<Key, Cell>| cells.values().map(|cell| cell.sums[0]).sum::<u64>();
    if total(&expected) != total(&stored) {
        problems.push(format!("the rollup counts {} requests of {}", total(&stored), total(&expected)));
    }
    compare("rollup cells", expected.into_iter().collect(), stored.into_iter().collect(), problems);
}

fn key(request: &Request) -> Key {
    let text = |text: &Option<floodmark::model::Text>| text.as_ref().map(ToString::to_string).unwrap_or_default();
    let seconds = u64::try_from(request.timestamp.as_millis()).unwrap() / 1_000;
    let (client, version) = (text(&request.client), text(&request.client_version));
    let (subscription, route) = (request.subscription.to_string(), request.route.to_string());
    (seconds / 60 * 60, subscription, client, version, route, request.status / 100)
}

/// Bucket i counts (2^(i/8), 2^((i+1)/8)] milliseconds.
fn bucket(duration_ms: f64) -> i16 {
    if duration_ms > 0.0 { ((duration_ms.log2() * BUCKETS_PER_DOUBLING).ceil() - 1.0) as i16 } else { ZERO_BUCKET }
}

fn dead_letters(kafka: &KafkaConfig, produced: &Produced, problems: &mut Vec<String>) {
    let letters = contents(kafka, &kafka.topics.dead_letters).into_iter().flatten();
    let letters = letters.map(|message| serde_json::from_slice::<Letter>(&message.body).unwrap());
    let letters = letters.inspect(|letter| assert_eq!(letter.topic, kafka.topics.requests));
    let letters = letters.map(|letter| (letter.partition, letter.offset)).collect();
    compare("dead letters", produced.broken.clone(), letters, problems);
}

/// The ranges of each partition join from offset 0 to its end: no gap and no overlap.
async fn ledger(kafka: &KafkaConfig, clickhouse: &ClickHouse, produced: &Produced, problems: &mut Vec<String>) {
    let ranges: Vec<Range> = clickhouse.fetch(LEDGER, &[("topic", &kafka.topics.requests)]).await.unwrap();
    let mut covered: BTreeMap<i32, i64> = BTreeMap::new();
    let mut faulty = Vec::new();
    for range in &ranges {
        let end = covered.entry(range.partition).or_insert(0);
        if range.start != *end {
            faulty.push((range.partition, *end, range.start));
        }
        *end = range.end.max(*end);
    }
    if !faulty.is_empty() {
        problems.push(format!(
            "the ledger has {} gaps or overlaps, first (partition, end, next start) {}",
            faulty.len(),
            first(&faulty)
        ));
    }
    compare("ends of the ledger", produced.ends.clone().into_iter().collect(), covered.into_iter().collect(), problems);
}

/// Says what is missing and what is too much; a value that differs is both.
fn compare<T: Ord + Debug>(what: &str, expected: BTreeSet<T>, found: BTreeSet<T>, problems: &mut Vec<String>) {
    for (kind, some, other) in [("missing", &expected, &found), ("not expected", &found, &expected)] {
        let items: Vec<&T> = some.difference(other).collect();
        if !items.is_empty() {
            problems.push(format!("{} {what} {kind}, first {}", items.len(), first(&items)));
        }
    }
}

fn first(items: &[impl Debug]) -> String {
    format!("{:?}", &items[..items.len().min(SHOWN)])
}
