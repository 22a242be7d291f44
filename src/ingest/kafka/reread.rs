//! The second reader: reads again, for storage only, what was read while storage did not keep up.
//!
//! It belongs to no group and commits nothing. It is paused by not being polled: its queue inside the client is bounded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset as ListOffset, TopicPartitionList};

use super::super::dead_letters::DeadLetterQueue;
use super::super::store_lane::Mode;
use super::chunks::{Built, ChunkBuilder};
use super::context::Quiet;
use super::partitions::{Key, Partition, Partitions};
use crate::decode::Decoder;
use crate::model::{Offset, TopicPartition};

/// Most messages of one round: the first reader comes first.
const MESSAGES_PER_ROUND: usize = 2_000;
/// How long a round waits for the first message.
const FIRST_MESSAGE_WITHIN: Duration = Duration::from_millis(2);
/// How long the broker may take to tell where a partition begins now.
const WATERMARK_TIMEOUT: Duration = Duration::from_millis(500);
/// Pause after records were found to be gone.
const PAUSE_AFTER_LOSS_MS: i64 = 1_000;

/// The second reader.
pub(super) struct Reread {
    config: ClientConfig,
    consumer: Option<Arc<BaseConsumer<Quiet>>>,
    building: BTreeMap<Key, ChunkBuilder>,
    /// A chunk whose letters found no room.
    held: Option<(Key, Built)>,
    pub(super) messages: u64,
    pub(super) offsets_lost: u64,
    /// Partitions whose log ends before what was to be read again.
    pub(super) made_anew: Vec<Key>,
    not_before_ms: i64,
}

impl Reread {
    pub(super) fn new(mut config: ClientConfig) -> Self {
        // Records that are gone must be an error here, not a silent jump.
        config.set("auto.offset.reset", "error").set("statistics.interval.ms", "0");
        config.set("enable.partition.eof", "false").set("queued.max.messages.kbytes", "16384");
        Self {
            config,
            consumer: None,
            building: BTreeMap::new(),
            held: None,
            messages: 0,
            offsets_lost: 0,
            made_anew: Vec::new(),
            not_before_ms: 0,
        }
    }

    /// Whether any partition is being read again.
    pub(super) fn is_active(&self) -> bool {
        !self.building.is_empty()
    }

    /// No longer reads a partition.
    pub(super) fn remove(&mut self, key: Key, topic_partition: &TopicPartition) {
        if self.held.as_ref().is_some_and(|(held, _)| *held == key) {
            self.held = None;
        }
        if self.building.remove(&key).is_none() {
            return;
        }
        if let Some(consumer) = &self.consumer
            && let Err(error) = consumer.incremental_unassign(&list_of(topic_partition, ListOffset::Invalid))
        {
            tracing::warn!(%error, %topic_partition, "the second reader cannot let go of a partition");
        }
    }

    /// One round: begins with partitions newly behind, then reads while there is room.
    pub(super) fn round(
        &mut self,
        partitions: &mut Partitions,
        decoders: &[Decoder],
        letters: &mut DeadLetterQueue,
        now_ms: i64,
    ) -> Result<(), KafkaError> {
        if now_ms < self.not_before_ms {
            return Ok(());
        }
        self.begin_where_behind(partitions)?;
        if let Some((key, built)) = self.held.take() {
            self.gather(partitions, key, built, letters, now_ms);
        }
        let mut read = 0;
        while read < MESSAGES_PER_ROUND && self.may_read(partitions) {
            let Some(consumer) = self.consumer.clone() else { break };
            let wait = if read == 0 { FIRST_MESSAGE_WITHIN } else { Duration::ZERO };
            match consumer.poll(wait) {
                None => break,
                Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
                    self.account_for_lost(partitions, now_ms);
                }
                Some(Err(error)) => return Err(error),
                Some(Ok(message)) => {
                    read += 1;
                    let Some(key) = partitions.key(message.topic(), message.partition()) else { continue };
                    let offset = message.offset();
                    // A chunk must not reach over the end of a noted range.
                    if let Some(boundary) = self.boundary_before(partitions, key, offset) {
                        self.finish(partitions, key, Some(boundary), letters, now_ms);
                    }
                    // Another range ends in the same hole: one at a time, the message is read again after it.
                    if self.boundary_before(partitions, key, offset).is_some()
                        && let Some(partition) = partitions.by_key.get(&key)
                    {
                        let of = partition.topic_partition.clone();
                        self.remove(key, &of);
                        continue;
                    }
                    let Some(partition) = partitions.by_key.get(&key) else { continue };
                    let Some(ends) = self.take_in(key, partition, &message, &decoders[key.0]) else { continue };
                    self.finish(partitions, key, ends, letters, now_ms);
                }
            }
        }
        // What is read is handed on: a batch is sealed by its age, not by the luck of a full chunk.
        for key in self.building.keys().copied().collect::<Vec<_>>() {
            self.finish(partitions, key, None, letters, now_ms);
        }
        Ok(())
    }

    /// There is room as long as nothing waits: what waits, waits for storage or for the dead-letter topic.
    fn may_read(&self, partitions: &Partitions) -> bool {
        let waits = |key| partitions.by_key.get(key).is_some_and(|partition| partition.lane.is_waiting());
        self.held.is_none() && !self.building.is_empty() && !self.building.keys().any(waits)
    }

    fn begin_where_behind(&mut self, partitions: &Partitions) -> Result<(), KafkaError> {
        for (key, partition) in &partitions.by_key {
            let Mode::Behind { next } = partition.lane.mode() else { continue };
            if self.building.contains_key(key) {
                continue;
            }
            if self.consumer.is_none() {
                self.consumer = Some(Arc::new(self.config.create_with_context(Quiet)?));
            }
            let Some(consumer) = &self.consumer else { continue };
            let of = &partition.topic_partition;
            consumer.incremental_assign(&list_of(of, ListOffset::Offset(next)))?;
            self.building.insert(*key, ChunkBuilder::default());
            tracing::info!(topic_partition = %of, from = next, "storage is behind: reading again");
        }
        Ok(())
    }

    /// The end of a noted range between what is gathered and a message at `offset`.
    fn boundary_before(&self, partitions: &Partitions, key: Key, offset: Offset) -> Option<Offset> {
        let lane = &partitions.by_key.get(&key)?.lane;
        let Mode::Behind { next } = lane.mode() else { return None };
        let reached = offset.min(lane.read_end()?);
        lane.boundary(next).filter(|boundary| *boundary <= reached && self.building.contains_key(&key))
    }

    /// Decodes a message. `Some(end)` when the chunk is complete: full (`None`), or it has met the first reader.
    fn take_in(
        &mut self,
        key: Key,
        partition: &Partition,
        message: &impl Message,
        decoder: &Decoder,
    ) -> Option<Option<Offset>> {
        let Mode::Behind { next } = partition.lane.mode() else { return None };
        let building = self.building.get_mut(&key)?;
        // Never overtake: what the first reader has not read yet, it will hand over itself.
        let read_end = partition.lane.read_end()?;
        let offset = message.offset();
        if offset >= read_end {
            return Some(Some(read_end));
        }
        if offset < next {
            return None;
        }
        building.add(&partition.topic_partition, offset, message.payload().unwrap_or_default(), decoder);
        self.messages += 1;
        if offset + 1 == read_end {
            return Some(Some(read_end));
        }
        building.is_full().then_some(None)
    }

    fn finish(
        &mut self,
        partitions: &mut Partitions,
        key: Key,
        end: Option<Offset>,
        letters: &mut DeadLetterQueue,
        now_ms: i64,
    ) {
        let Some(partition) = partitions.by_key.get_mut(&key) else { return };
        let Mode::Behind { next } = partition.lane.mode() else { return };
        let Some(building) = self.building.get_mut(&key) else { return };
        match building.build(&partition.topic_partition, Some(next), end) {
            Some(built) if self.held.is_none() => self.gather(partitions, key, built, letters, now_ms),
            // One chunk is held already; this one is given up and read again.
            Some(_) => {
                let topic_partition = partition.topic_partition.clone();
                self.remove(key, &topic_partition);
            }
            None => {}
        }
    }

    fn gather(
        &mut self,
        partitions: &mut Partitions,
        key: Key,
        Built { chunk, letters: mut about }: Built,
        letters: &mut DeadLetterQueue,
        now_ms: i64,
    ) {
        let Some(partition) = partitions.by_key.get_mut(&key) else { return };
        let has_rejections = !chunk.rejections.is_empty();
        // The first reader has sent the others already.
        let sent_before = partition.letters_end.unwrap_or(chunk.start);
        about.retain(|letter| letter.offset >= sent_before);
        if let Err(about) = letters.try_push(about) {
            self.held = Some((key, Built { chunk, letters: about }));
            return;
        }
        partition.letters_end = Some(sent_before.max(chunk.end));
        let through = if has_rejections { letters.pushed() } else { 0 };
        if partition.lane.read_again(&Arc::new(chunk), through, now_ms) {
            self.level(partitions, key);
        }
    }

    fn level(&mut self, partitions: &Partitions, key: Key) {
        let Some(partition) = partitions.by_key.get(&key) else { return };
        tracing::info!(topic_partition = %partition.topic_partition, "storage has caught up");
        self.remove(key, &partition.topic_partition);
    }

    /// Retention removed records before they were stored: said, counted, and gone on from where the partition begins.
    fn account_for_lost(&mut self, partitions: &mut Partitions, now_ms: i64) {
        // Not again at once: the answer may be another one in a moment.
        self.not_before_ms = now_ms + PAUSE_AFTER_LOSS_MS;
        for key in self.building.keys().copied().collect::<Vec<_>>() {
            let Some(partition) = partitions.by_key.get_mut(&key) else { continue };
            let Mode::Behind { next } = partition.lane.mode() else { continue };
            let of = partition.topic_partition.clone();
            let watermarks = self
                .consumer
                .as_ref()
                .and_then(|consumer| consumer.fetch_watermarks(&of.topic, of.partition, WATERMARK_TIMEOUT).ok());
            if watermarks.is_some_and(|(_, high)| high < next) {
                self.made_anew.push(key);
            }
            let begins = watermarks.map(|(low, _)| low.min(partition.lane.read_end().unwrap_or(low)));
            if let Some(begins) = begins.filter(|begins| *begins > next) {
                self.offsets_lost += begins.abs_diff(next);
                tracing::error!(topic_partition = %of, from = next, to = begins, "records expired before they were stored");
                partition.lane.drop_through(begins, now_ms);
            }
            // Assigned again in the next round, if it is still behind.
            self.remove(key, &of);
        }
    }
}

fn list_of(topic_partition: &TopicPartition, offset: ListOffset) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    // Only an invalid offset is refused, and then the list is empty, which the client refuses in turn.
    let _ = list.add_partition_offset(&topic_partition.topic, topic_partition.partition, offset);
    list
}
