//! What ingest hands to storage, and what storage answers.

use std::sync::Arc;

use super::{Chunk, Offset, TopicPartition};

/// Consecutive chunks of one partition that are written together.
///
/// Ranges of consecutive batches of a partition join: the `end` of one is the `start` of the next, holes included.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Where the records came from.
    pub topic_partition: TopicPartition,
    /// Which topic of this name it is, for topics are deleted and made anew: Kafka's topic id. Empty when the broker does
    /// not tell it.
    pub epoch: Arc<str>,
    /// First offset covered.
    pub start: Offset,
    /// One past the last offset covered.
    pub end: Offset,
    /// The chunks, in offset order. They may hold no event at all: the range still has to be accounted for.
    pub chunks: Vec<Arc<Chunk>>,
    /// Offsets of the range that are lost: retention removed them before they were read for storage.
    pub dropped: u64,
    /// Storage has to note the range before it stores the rows, because the broker cannot keep the note.
    pub note_intent: bool,
}

/// Every row of the range `[start, end)` is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where the records came from.
    pub topic_partition: TopicPartition,
    /// First offset covered, as in the [`Batch`].
    pub start: Offset,
    /// One past the last offset covered, as in the [`Batch`].
    pub end: Offset,
    /// Rows written.
    pub rows: u64,
}
