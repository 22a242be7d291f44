//! What a run of records from one partition became: the unit that ingest hands to detection and to storage.

use std::sync::Arc;

use super::{Event, Offset, TopicPartition};

/// Records of one partition in offset order, decoded. Shared (`Arc`) by detection and storage.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// Where the records came from.
    pub topic_partition: TopicPartition,
    /// First offset read.
    pub start: Offset,
    /// Next offset to read: one past the last, never a count (offsets may have holes).
    pub end: Offset,
    /// Kafka messages (or lines) read.
    pub messages: u64,
    /// Bytes of input.
    pub bytes: usize,
    /// Events, in order.
    pub events: Vec<Positioned>,
    /// Records that were refused; each went to the dead-letter topic.
    pub rejections: Vec<Rejection>,
}

/// What ingest tells detection, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum FlowInput {
    /// This process now reads the partition; its records hold the watermark back from here on.
    Assigned(TopicPartition),
    /// Another process reads the partition now.
    Revoked(TopicPartition),
    /// Records of a partition. An idle partition becomes active again with its next chunk ([`FlowInput::Active`] comes first).
    Chunk(Arc<Chunk>),
    /// Records of a partition that storage had before this process started, read once more. Otherwise as a chunk.
    Warm(Arc<Chunk>),
    /// The partition is read to its end and silent: it must not hold the watermark back.
    Idle(TopicPartition),
    /// An idle partition has records again.
    Active(TopicPartition),
}

/// An event and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Positioned {
    /// Offset of the message that carried it.
    pub offset: Offset,
    /// Its place in the message, from 0: a message may carry an array.
    pub index: u16,
    /// The event.
    pub event: Event,
}

/// A record that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Offset of the message that carried it.
    pub offset: Offset,
    /// Its place in the message, from 0.
    pub index: u16,
    /// Why.
    pub reason: RejectionReason,
}

/// Why a record was refused, with the field where there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", .code.as_str())]
pub struct RejectionReason {
    /// The class of mistake, from a bounded set.
    pub code: RejectionCode,
    /// The field at fault, as the contract names it.
    pub field: Option<&'static str>,
    /// What is wrong, in one line, with at most a short excerpt of the value.
    pub message: String,
}

/// The classes of mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectionCode {
    /// No bytes, or white space only.
    Empty,
    /// Longer than `decode.record_bytes_max`.
    TooLong,
    /// Not valid UTF-8.
    NotUtf8,
    /// Not the syntax of the format (JSON, access-log line).
    Syntax,
    /// `type` is none of the known ones.
    UnknownType,
    /// A required field is absent.
    MissingField,
    /// A field has a value of the wrong type.
    WrongType,
    /// A field's value is outside what it can mean.
    OutOfRange,
    /// More events in one record than are accepted.
    TooManyEvents,
}

impl RejectionCode {
    /// Every code, for tables and metrics.
    pub const ALL: [Self; 9] = [
        Self::Empty,
        Self::TooLong,
        Self::NotUtf8,
        Self::Syntax,
        Self::UnknownType,
        Self::MissingField,
        Self::WrongType,
        Self::OutOfRange,
        Self::TooManyEvents,
    ];

    /// Name in dead letters, metrics and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::NotUtf8 => "not_utf8",
            Self::Syntax => "syntax",
            Self::UnknownType => "unknown_type",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::OutOfRange => "out_of_range",
            Self::TooManyEvents => "too_many_events",
        }
    }
}
