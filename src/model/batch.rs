//! What ingest hands to storage, and what storage answers: the two ends of "commit only what is stored".

use std::sync::Arc;

use super::{Chunk, Offset, TopicPartition};

/// Chunks of one partition over one contiguous range of offsets: the unit of storage.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The partition; every chunk is of it.
    pub topic_partition: TopicPartition,
    /// First offset.
    pub start: Offset,
    /// Next offset: one past the last.
    pub end: Offset,
    /// The chunks, in offset order, without a gap between them.
    pub chunks: Vec<Arc<Chunk>>,
}

/// A range of offsets whose rows are in ClickHouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The partition.
    pub topic_partition: TopicPartition,
    /// First offset.
    pub start: Offset,
    /// Next offset: what may be committed.
    pub end: Offset,
    /// Rows written (events, not messages).
    pub rows: u64,
}
