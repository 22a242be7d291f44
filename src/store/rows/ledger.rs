//! The row of `ingest_ledger` that a batch gets once its other rows are stored.

use crate::model::{Batch, Event, Offset, TopicPartition};
use crate::store::native_format::{Block, NumberColumn, StringColumn};

/// What became of the records of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::store) struct LedgerCounts {
    /// Kafka messages (or lines) read.
    pub messages: u64,
    /// Events stored.
    pub rows: u64,
    /// Records refused.
    pub dead_lettered: u64,
    /// Watermarks: neither stored nor refused.
    pub control: u64,
}

impl LedgerCounts {
    pub(in crate::store) fn of(batch: &Batch) -> Self {
        let mut counts = Self::default();
        for chunk in &batch.chunks {
            let control = chunk.events.iter().filter(|p| matches!(p.event, Event::Watermark(_))).count();
            counts.messages += chunk.messages;
            counts.rows += (chunk.events.len() - control) as u64;
            counts.dead_lettered += chunk.rejections.len() as u64;
            counts.control += control as u64;
        }
        counts
    }
}

/// The ledger row of `batch`.
pub(in crate::store) fn ledger(batch: &Batch, counts: LedgerCounts) -> Block {
    Block::new(1)
        .column("topic", text(&batch.topic_partition.topic))
        .column("epoch", text(&batch.epoch))
        .column("partition", one(batch.topic_partition.partition))
        .column("offset_start", one(batch.start))
        .column("offset_end", one(batch.end))
        .column("messages", one(counts.messages))
        .column("rows", one(counts.rows))
        .column("dead_lettered", one(counts.dead_lettered))
        .column("control", one(counts.control))
        .column("dropped", one(batch.dropped))
        .column("dropped_reason", text(if batch.dropped > 0 { "expired" } else { "" }))
}

/// The row of `ingest_intents` that a range gets before its rows are stored.
pub(in crate::store) fn intent(topic_partition: &TopicPartition, epoch: &str, start: Offset, end: Offset) -> Block {
    Block::new(1)
        .column("topic", text(&topic_partition.topic))
        .column("epoch", text(epoch))
        .column("partition", one(topic_partition.partition))
        .column("offset_start", one(start))
        .column("offset_end", one(end))
}

fn text(value: &str) -> StringColumn {
    let mut column = StringColumn::default();
    column.push(value);
    column
}

fn one<N: crate::store::native_format::Number>(value: N) -> NumberColumn<N> {
    let mut column = NumberColumn::with_capacity(1);
    column.push(value);
    column
}
