//! Counts that prove that nothing was lost: produced = stored + dead-lettered.

use serde::{Deserialize, Serialize};

use super::feed::Produced;
use crate::ingest::IngestStatus;
use crate::store::ClickHouse;

/// Distinct messages among the raw rows, and what the ledger says.
const COUNT_STORED: &str = "
SELECT
    (SELECT uniqExact(_topic, _partition, _offset) FROM (
        SELECT _topic, _partition, _offset FROM {database}.requests
        UNION ALL SELECT _topic, _partition, _offset FROM {database}.signals
        UNION ALL SELECT _topic, _partition, _offset FROM {database}.changes)) AS distinct_stored,
    (SELECT sum(dead_lettered) FROM {database}.ingest_ledger) AS ledger_dead_lettered,
    (SELECT sum(requests) FROM {database}.requests_by_minute) AS rollup_requests,
    (SELECT count() FROM {database}.requests) AS raw_requests";

/// The counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Records that the broker acknowledged.
    pub produced: u64,
    /// Of these, broken on purpose.
    pub broken: u64,
    /// Distinct messages in ClickHouse's raw tables.
    pub stored: u64,
    /// Records that the dead-letter topic acknowledged.
    pub dead_lettered: u64,
    /// The same by the ledger in ClickHouse.
    pub dead_lettered_by_ledger: u64,
    /// Requests in the raw table.
    pub raw_requests: u64,
    /// Requests in the minute rollup.
    pub rollup_requests: u64,
}

#[derive(Debug, Deserialize)]
struct Counted {
    distinct_stored: u64,
    ledger_dead_lettered: u64,
    rollup_requests: u64,
    raw_requests: u64,
}

impl Proof {
    /// Asks everybody.
    pub async fn collect(produced: &Produced, ingest: &IngestStatus, reader: &ClickHouse) -> anyhow::Result<Self> {
        let rows: Vec<Counted> = reader.fetch(COUNT_STORED, &[]).await?;
        let counted = rows.into_iter().next().ok_or_else(|| anyhow::anyhow!("clickhouse gave no counts"))?;
        Ok(Self {
            produced: produced.records,
            broken: produced.broken,
            stored: counted.distinct_stored,
            dead_lettered: ingest.counts.dead_letters,
            dead_lettered_by_ledger: counted.ledger_dead_lettered,
            raw_requests: counted.raw_requests,
            rollup_requests: counted.rollup_requests,
        })
    }

    /// Whether every record is accounted for, exactly once.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.produced == self.stored + self.dead_lettered
            && self.dead_lettered == self.broken
            && self.dead_lettered_by_ledger == self.dead_lettered
            && self.raw_requests == self.rollup_requests
    }
}

/// Whether everything fed has been read and stored.
pub fn is_settled(produced: &Produced, ingest: &IngestStatus) -> bool {
    let read = ingest.counts.messages >= produced.records + produced.watermarks;
    let stored = |p: &crate::ingest::PartitionStatus| p.position.is_none() || p.stored_through == p.position;
    read && ingest.partitions.iter().all(stored)
}

/// What [`is_settled`] waits for, in words.
pub fn what_is_missing(produced: &Produced, ingest: &IngestStatus) -> String {
    let waiting: Vec<String> = ingest
        .partitions
        .iter()
        .filter(|p| p.stored_through != p.position)
        .map(|p| format!("{} stored to {:?} of {:?}", p.topic_partition, p.stored_through, p.position))
        .collect();
    format!(
        "{} of {} messages read; {}",
        ingest.counts.messages,
        produced.records + produced.watermarks,
        waiting.join(", ")
    )
}
