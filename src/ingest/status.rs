//! What ingest is doing: a snapshot for metrics, `/readyz` and the demo's live view.

use std::collections::BTreeMap;

use super::store_lane::IntentKeeper;
use crate::model::{Event, EventKind, Offset, RejectionCode, TopicPartition};

/// A snapshot; published a few times a second.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IngestStatus {
    /// The partitions this process reads.
    pub partitions: Vec<PartitionStatus>,
    /// Partitions of the inputs that another member of the consumer group reads.
    pub partitions_elsewhere: usize,
    /// Input topics that do not exist. They are picked up when they are created.
    pub topics_missing: Vec<String>,
    /// Who keeps the note of ranges about to be stored; `None` before it was found out.
    pub intent_keeper: Option<IntentKeeper>,
    /// Whether a broker was reachable when last heard; `None` before the first answer.
    pub broker_reachable: Option<bool>,
    /// The last thing that went wrong with Kafka, until it works again.
    pub last_error: Option<String>,
    /// Dead letters that the broker has not acknowledged yet.
    pub dead_letters_waiting: u64,
    /// Counters since the start of the process.
    pub counts: IngestCounts,
    /// Reading has ended.
    pub stopped: bool,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionStatus {
    /// Topic and partition.
    pub topic_partition: TopicPartition,
    /// Next offset to be read, once something was read.
    pub position: Option<Offset>,
    /// Messages between the position and the end of the partition, as last heard.
    pub lag: Option<i64>,
    /// Everything before this offset is stored.
    pub stored_through: Option<Offset>,
    /// Committed to the consumer group by this process.
    pub committed: Option<Offset>,
    /// Storage did not keep up: from this offset on it needs a second read. `None`: level.
    pub behind_from: Option<Offset>,
    /// A batch waits for room in storage, or for its dead letters.
    pub waiting: bool,
    /// Batches with storage.
    pub in_flight: usize,
    /// Read to its end and silent.
    pub idle: bool,
}

/// Counters; they only grow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IngestCounts {
    /// Kafka messages read.
    pub messages: u64,
    /// Bytes of input read.
    pub bytes: u64,
    /// Events, by kind.
    pub events: BTreeMap<EventKind, u64>,
    /// Refused records, by class.
    pub rejections: BTreeMap<RejectionCode, u64>,
    /// Dead letters that the broker acknowledged.
    pub dead_letters: u64,
    /// Batches handed to storage.
    pub batches: u64,
    /// Messages read once more after a start, for detection only. Not among `messages`.
    pub messages_warm: u64,
    /// Messages read a second time, for storage only.
    pub messages_read_again: u64,
    /// How often a partition fell behind.
    pub fallen_behind: u64,
    /// Commits that failed; each is repeated.
    pub commits_failed: u64,
    /// Offsets that retention removed before they were stored. Never silent: a lost record is an incident of ours.
    pub offsets_lost: u64,
    /// How often a topic was found made anew, or cut off behind what was committed.
    pub topics_made_anew: u64,
}

impl IngestCounts {
    /// Counts what the first reader has decoded.
    pub(super) fn add(&mut self, chunk: &crate::model::Chunk) {
        self.messages += chunk.messages;
        self.bytes += chunk.bytes as u64;
        let mut requests = 0;
        for positioned in &chunk.events {
            // Nearly all events are requests: counted without a look into the map.
            match &positioned.event {
                Event::Request(_) => requests += 1,
                other => *self.events.entry(other.kind()).or_default() += 1,
            }
        }
        if requests > 0 {
            *self.events.entry(EventKind::Request).or_default() += requests;
        }
        for rejection in &chunk.rejections {
            *self.rejections.entry(rejection.reason.code).or_default() += 1;
        }
    }
}
