//! What became of every offset: read from the topics and from ClickHouse, independently of the service's own counts.

use std::collections::{BTreeMap, BTreeSet};

use floodmark::store::ClickHouse;
use serde::Deserialize;

use super::broker::TestBroker;
use super::service::until;

/// Topic, partition and offset of a message.
type Place = (String, i32, i64);

const STORED: &str = "
    SELECT DISTINCT _topic AS topic, _partition AS partition, _offset AS offset FROM (
        SELECT _topic, _partition, _offset FROM {database}.requests
        UNION ALL SELECT _topic, _partition, _offset FROM {database}.signals
        UNION ALL SELECT _topic, _partition, _offset FROM {database}.changes)";
const ROWS: &str = "
    SELECT (SELECT count() FROM {database}.requests) + (SELECT count() FROM {database}.signals)
         + (SELECT count() FROM {database}.changes) AS number";
const LEDGER: &str = "
    SELECT DISTINCT topic, partition, offset_start AS start, offset_end AS end FROM {database}.ingest_ledger
    ORDER BY topic, partition, start, end";

#[derive(Deserialize)]
struct Number {
    number: u64,
}

#[derive(Deserialize)]
struct Stored {
    topic: String,
    partition: i32,
    offset: i64,
}

#[derive(Deserialize)]
struct Letter {
    topic: String,
    partition: i32,
    offset: i64,
}

#[derive(Deserialize)]
struct Range {
    topic: String,
    partition: i32,
    start: i64,
    end: i64,
}

/// Counts of an [`account_for_every_offset`] that added up.
#[derive(Debug, PartialEq, Eq)]
pub struct Accounts {
    /// Records in the input topics, watermarks apart.
    pub produced: usize,
    /// Distinct records with rows.
    pub stored: usize,
    /// Distinct records with dead letters.
    pub dead_lettered: usize,
    /// Rows, repeated ones included.
    pub rows: u64,
}

/// The one number that `sql` gives as `number`; `None` while ClickHouse or the table is away.
pub async fn number(clickhouse: &ClickHouse, sql: &str) -> Option<u64> {
    let rows: Vec<Number> = clickhouse.fetch(sql, &[]).await.ok()?;
    rows.first().map(|row| row.number)
}

/// Distinct records that have rows; 0 while there is no table.
pub async fn stored_count(clickhouse: &ClickHouse) -> u64 {
    number(clickhouse, &format!("SELECT count() AS number FROM ({STORED})")).await.unwrap_or(0)
}

/// Waits until `count` distinct records have rows.
pub async fn until_stored(clickhouse: &ClickHouse, count: u64) {
    until(&format!("{count} records are stored"), async || {
        let stored = stored_count(clickhouse).await;
        // Shown when the test fails.
        eprintln!("{stored} of {count} records are stored");
        (stored >= count).then_some(())
    })
    .await;
}

/// Checks that every record of the input topics is either stored or dead-lettered, that nothing else is, and that the
/// ledger covers every partition from its first offset to its last without a gap.
pub async fn account_for_every_offset(broker: &TestBroker, clickhouse: &ClickHouse) -> Accounts {
    let topics = &broker.kafka.topics;
    let (mut records, mut ends) = (BTreeSet::new(), BTreeSet::new());
    for topic in topics.inputs() {
        for (partition, messages) in broker.contents(topic).into_iter().enumerate() {
            let partition = i32::try_from(partition).unwrap();
            let is_record = |body: &[u8]| !body.starts_with(br#"{"type":"watermark""#);
            let offsets = messages.iter().filter(|message| is_record(&message.body)).map(|message| message.offset);
            records.extend(offsets.map(|offset| (topic.to_owned(), partition, offset)));
            ends.extend(messages.last().map(|last| (topic.to_owned(), partition, last.offset + 1)));
        }
    }
    let stored: Vec<Stored> = clickhouse.fetch(STORED, &[]).await.unwrap();
    let stored: BTreeSet<Place> = stored.into_iter().map(|row| (row.topic, row.partition, row.offset)).collect();
    let letters = broker.contents(&topics.dead_letters).into_iter().flatten();
    let letters: BTreeSet<Place> = letters
        .map(|message| serde_json::from_slice::<Letter>(&message.body).unwrap())
        .map(|letter| (letter.topic, letter.partition, letter.offset))
        .collect();

    assert_eq!(stored.intersection(&letters).next(), None, "both stored and dead-lettered");
    let accounted: BTreeSet<Place> = stored.union(&letters).cloned().collect();
    let lost: Vec<&Place> = records.difference(&accounted).take(5).collect();
    assert!(lost.is_empty(), "neither stored nor dead-lettered: {lost:?}");
    let invented: Vec<&Place> = accounted.difference(&records).take(5).collect();
    assert!(invented.is_empty(), "never produced: {invented:?}");
    until("the ledger covers every partition to its end", async || {
        let ranges: Vec<Range> = clickhouse.fetch(LEDGER, &[]).await.unwrap();
        (covered(&ranges) == ends).then_some(())
    })
    .await;

    let rows = number(clickhouse, ROWS).await.unwrap();
    assert_eq!(rows, stored.len() as u64, "every record is stored once, whatever happened");
    Accounts { produced: records.len(), stored: stored.len(), dead_lettered: letters.len(), rows }
}

/// How far each partition is covered from offset 0 on, without a gap and without an overlap.
fn covered(ranges: &[Range]) -> BTreeSet<Place> {
    let mut covered: BTreeMap<(String, i32), i64> = BTreeMap::new();
    for range in ranges {
        let end = covered.entry((range.topic.clone(), range.partition)).or_insert(0);
        if range.start == *end {
            *end = range.end;
        }
    }
    covered.into_iter().map(|((topic, partition), end)| (topic, partition, end)).collect()
}
