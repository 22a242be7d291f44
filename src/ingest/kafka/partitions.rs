//! The partitions this process reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::super::status::PartitionStatus;
use super::super::store_lane::{BatchLimits, Mode, StoreLane};
use super::chunks::ChunkBuilder;
use super::prepare::add_commit;
use super::steps_back::Repeating;
use crate::model::{Offset, TopicPartition};

/// Place of the topic among the inputs, and partition: no text to compare for every message.
pub(super) type Key = (usize, i32);

/// One partition.
pub(super) struct Partition {
    pub(super) topic_partition: TopicPartition,
    pub(super) building: ChunkBuilder,
    /// End of the last chunk built by the first reader.
    pub(super) position: Option<Offset>,
    pub(super) lane: StoreLane,
    /// Counts assignments, so that an answer to an earlier one is not taken for this one's.
    pub(super) assignment: u64,
    /// Before this offset everything is stored, and read once more for detection alone. See `beginning`.
    pub(super) warm_through: Option<Offset>,
    /// What the client says again: everything up to here, of which the last offset was said. See `steps_back`.
    pub(super) repeating: Option<Repeating>,
    /// Offsets have gone back: what was committed is of another log.
    pub(super) is_anew: bool,
    /// How often the log seemed to end before what was committed: after a change of leader it may, for a moment.
    pub(super) doubts: u32,
    /// Storage was asked where it goes on and has not answered.
    pub(super) plan_asked: bool,
    /// Letters about all offsets before this one were pushed.
    pub(super) letters_end: Option<Offset>,
    pub(super) active_ms: i64,
    pub(super) idle: bool,
    /// The broker said, after the last message, that there is no more.
    pub(super) at_end: bool,
    high_watermark: Option<Offset>,
}

impl Partition {
    fn status(&self) -> PartitionStatus {
        let offsets = self.lane.offsets();
        PartitionStatus {
            topic_partition: self.topic_partition.clone(),
            position: self.position,
            lag: self.high_watermark.zip(self.position).map(|(high, position)| (high - position).max(0)),
            stored_through: offsets.stored_through(),
            committed: offsets.committed().map(|commit| commit.offset),
            behind_from: match self.lane.mode() {
                Mode::Level => None,
                Mode::Unplanned => self.position,
                Mode::Behind { next } => Some(next),
            },
            waiting: self.lane.is_waiting(),
            in_flight: offsets.in_flight(),
            idle: self.idle,
        }
    }
}

/// All of them.
pub(super) struct Partitions {
    topics: Vec<Arc<str>>,
    limits: BatchLimits,
    assignments: u64,
    pub(super) by_key: BTreeMap<Key, Partition>,
}

impl Partitions {
    pub(super) fn new(topics: Vec<Arc<str>>, limits: BatchLimits) -> Self {
        Self { topics, limits, assignments: 0, by_key: BTreeMap::new() }
    }

    pub(super) fn key(&self, topic: &str, partition: i32) -> Option<Key> {
        Some((self.topics.iter().position(|known| **known == *topic)?, partition))
    }

    pub(super) fn keys(&self, list: &TopicPartitionList) -> Vec<Key> {
        list.elements().iter().filter_map(|element| self.key(element.topic(), element.partition())).collect()
    }

    pub(super) fn topic_names(&self) -> &[Arc<str>] {
        &self.topics
    }

    /// A partition just assigned.
    pub(super) fn insert(&mut self, key: Key, now_ms: i64) -> TopicPartition {
        let topic_partition = TopicPartition { topic: Arc::clone(&self.topics[key.0]), partition: key.1 };
        self.assignments += 1;
        let partition = Partition {
            topic_partition: topic_partition.clone(),
            assignment: self.assignments,
            warm_through: None,
            repeating: None,
            is_anew: false,
            doubts: 0,
            plan_asked: false,
            building: ChunkBuilder::default(),
            position: None,
            lane: StoreLane::new(self.limits),
            letters_end: None,
            active_ms: now_ms,
            idle: false,
            at_end: false,
            high_watermark: None,
        };
        self.by_key.insert(key, partition);
        topic_partition
    }

    pub(super) fn stored(&mut self, stored: &crate::model::Stored) {
        let of = &stored.topic_partition;
        if let Some(partition) = self.key(&of.topic, of.partition).and_then(|key| self.by_key.get_mut(&key)) {
            partition.lane.stored(stored.start, stored.end);
        }
    }

    /// What the given partitions have to commit; marked as asked for.
    pub(super) fn take_commits(&mut self, keys: impl Iterator<Item = Key>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for key in keys {
            let Some(partition) = self.by_key.get_mut(&key) else { continue };
            let Some(commit) = partition.lane.commit_wanted() else { continue };
            let metadata = commit.metadata(partition.lane.epoch());
            add_commit(&mut list, &partition.topic_partition, commit.offset, &metadata);
            partition.lane.offsets_mut().asked(commit);
        }
        list
    }

    /// The broker has answered to a commit of these partitions.
    pub(super) fn answered(&mut self, keys: &[Key], taken: bool) {
        for key in keys {
            if let Some(partition) = self.by_key.get_mut(key) {
                partition.lane.offsets_mut().answered(taken);
            }
        }
    }

    /// Takes ends and high watermarks over. Ends of partitions are said to us without a topic, so they come from here.
    pub(super) fn observe(&mut self, statistics: &Statistics) {
        for (topic, of_topic) in &statistics.topics {
            for (number, seen) in &of_topic.partitions {
                let Some(key) = self.key(topic, *number) else { continue };
                let Some(partition) = self.by_key.get_mut(&key) else { continue };
                if seen.hi_offset >= 0 {
                    partition.high_watermark = Some(seen.hi_offset);
                }
                partition.at_end = seen.next_offset >= 0 && seen.eof_offset >= seen.next_offset && seen.fetchq_cnt == 0;
            }
        }
    }

    pub(super) fn gathered_bytes(&self) -> usize {
        self.by_key.values().map(|partition| partition.lane.gathered_bytes()).sum()
    }

    pub(super) fn status(&self) -> Vec<PartitionStatus> {
        self.by_key.values().map(Partition::status).collect()
    }
}
