//! Writes batches and outputs. Everything here may be repeated: the same rows are stored once.

use super::native_format::Block;
use super::rollup::rollup;
use super::rows::{self, LedgerCounts};
use super::{ClickHouse, StoreError};
use crate::model::{Batch, IncidentReport, PageRecord, SilenceRecord, Transition};

/// What a batch became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Raw rows.
    pub rows: u64,
    /// Rollup rows.
    pub rollup_rows: u64,
}

/// Writes to one database.
#[derive(Debug, Clone)]
pub struct Writer {
    clickhouse: ClickHouse,
}

impl Writer {
    /// A writer with a user that may insert.
    #[must_use]
    pub fn new(clickhouse: ClickHouse) -> Self {
        Self { clickhouse }
    }

    /// The same writer with `times` as much patience for a statement.
    #[must_use]
    pub fn with_patience(&self, times: u32) -> Self {
        Self { clickhouse: self.clickhouse.with_patience(times) }
    }

    /// Writes a batch: where the broker cannot note it, its intent; raw rows, then its rollup, then its row in the ledger. When this has failed half way, writing
    /// the same batch again writes only what is missing: each insert carries the range as its deduplication token.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn write(&self, batch: &Batch) -> Result<Written, StoreError> {
        let counts = LedgerCounts::of(batch);
        let rollup = rollup(batch);
        let rollup_rows = rollup.rows() as u64;
        let blocks = [
            ("requests", rows::requests(batch)),
            ("signals", rows::signals(batch)),
            ("changes", rows::changes(batch)),
            ("query_runs", rows::query_runs(batch)),
            ("requests_by_minute", rollup),
            // Last: a range in the ledger is a promise that its rows are there.
            ("ingest_ledger", rows::ledger(batch, counts)),
        ];
        if batch.note_intent {
            let Batch { topic_partition, epoch, start, end, .. } = batch;
            self.insert("ingest_intents", rows::intent(topic_partition, epoch, *start, *end), None).await?;
        }
        for (table, block) in blocks {
            let token = token(batch, table, &block);
            self.insert(table, block, Some(&token)).await?;
        }
        Ok(Written { rows: counts.rows, rollup_rows })
    }

    /// Writes alert transitions. One that is there already collapses with it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn write_transitions(&self, transitions: &[Transition]) -> Result<(), StoreError> {
        self.insert("alert_transitions", rows::transitions(transitions), None).await
    }

    /// Writes incident reports. A later report of the same incident replaces the earlier one.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn write_incidents(&self, incidents: &[IncidentReport]) -> Result<(), StoreError> {
        self.insert("incidents", rows::incidents(incidents), None).await
    }

    /// Writes what was said of pages. A revision that is there already collapses with it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn write_pages(&self, records: &[PageRecord]) -> Result<(), StoreError> {
        self.insert("pages", rows::pages(records), None).await
    }

    /// Writes beginnings and ends of silences.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn write_silences(&self, records: &[SilenceRecord]) -> Result<(), StoreError> {
        self.insert("silences", rows::silences(records), None).await
    }

    async fn insert(&self, table: &str, block: Block, token: Option<&str>) -> Result<(), StoreError> {
        if block.rows() == 0 {
            return Ok(());
        }
        self.clickhouse.insert(table, block, token).await
    }
}

/// The range, and what is in it: a topic that was made anew has other records at the same offsets, and they must not be
/// taken for a repeat. Where the broker tells which topic it is, that keeps them apart, and rows that a later version
/// decodes differently are still taken for the repeat that they are.
fn token(batch: &Batch, table: &str, block: &Block) -> String {
    let Batch { topic_partition, epoch, start, end, .. } = batch;
    let told_apart_by = if epoch.is_empty() { &block.content_hash() } else { &**epoch };
    format!("{}:{told_apart_by}:{}:{start}:{end}:{table}", topic_partition.topic, topic_partition.partition)
}
