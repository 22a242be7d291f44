//! The consumer group: partitions come and go, brokers and topics are missed and found.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset as ListOffset, TopicPartitionList};

use super::super::store_lane::{IntentKeeper, Mode};
use super::context::{Notice, agree_to_assignment, agree_to_revocation};
use super::partitions::Key;
use super::steps_back::{Repeating, StepBack, judge};
use super::topic_id::topic_ids;
use super::worker::Worker;
use crate::model::{FlowInput, Offset};

/// How often missing topics are looked for, and how long the broker may take to answer.
const TOPICS_INTERVAL_MS: i64 = 5_000;
const TOPICS_TIMEOUT: Duration = Duration::from_millis(500);

/// Shorter jumps of offsets are holes: markers of transactions, compaction. Retention removes whole segments.
const JUMP_MIN: Offset = 100;
/// How long the broker may take to say where a partition begins.
const WATERMARKS_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a partition is kept for what storage has of it, and how long one look for its answer lasts.
const REVOKE_PATIENCE_MS: i64 = 2_000;
const STORED_PATIENCE: Duration = Duration::from_millis(20);

impl Worker {
    pub(super) fn take_notices(&mut self) {
        for notice in self.consumer.context().take() {
            match notice {
                Notice::Assign(list) => self.assign(&list),
                Notice::Revoke(list) => self.revoke(&list),
                Notice::Statistics(statistics) => {
                    if statistics.brokers.values().any(|broker| broker.state == "UP") {
                        self.status.broker_reachable = Some(true);
                    }
                    self.partitions.observe(&statistics);
                }
                Notice::Trouble(error, reason) => self.note_trouble(&error, &reason),
            }
        }
    }

    pub(super) fn assign(&mut self, list: &TopicPartitionList) {
        let beginnings = self.beginnings(list);
        agree_to_assignment(&self.consumer, &beginnings.list);
        let now_ms = self.now_ms();
        for key in self.partitions.keys(list) {
            let topic_partition = self.partitions.insert(key, now_ms);
            let warm_through = beginnings.warm_through.get(&key).copied();
            if let Some(partition) = self.partitions.by_key.get_mut(&key) {
                partition.warm_through = warm_through;
            }
            tracing::info!(%topic_partition, warm_through, "partition assigned");
            self.tell_detection(FlowInput::Assigned(topic_partition));
        }
        self.prepare_at_ms = 0;
        self.prepare();
    }

    /// A message comes from before what was read. True when it is to be taken: the partition has begun anew. Said again by
    /// the client, it is passed over; where the broker does not tell, it is read again.
    pub(super) fn steps_back(&mut self, key: Key, offset: Offset, reached: Offset) -> bool {
        let Some(partition) = self.partitions.by_key.get_mut(&key) else { return false };
        if let Some(repeating) = partition.repeating.as_mut().filter(|known| known.goes_on_with(offset, reached)) {
            repeating.last = offset;
            return false;
        }
        let of = partition.topic_partition.clone();
        let epoch = Arc::<str>::from(partition.lane.epoch());
        let ids = topic_ids(self.consumer.client(), &[Arc::clone(&of.topic)], WATERMARKS_TIMEOUT);
        let id = ids.get(&of.topic).map_or("", String::as_str);
        match self.consumer.fetch_watermarks(&of.topic, of.partition, WATERMARKS_TIMEOUT) {
            Ok((_, high)) if judge(reached, high, &epoch, id) == StepBack::Anew => {
                self.begin_anew(key);
                true
            }
            Ok(_) => {
                tracing::info!(topic_partition = %of, from = offset, to = reached, "messages come again; passed over");
                if let Some(partition) = self.partitions.by_key.get_mut(&key) {
                    partition.repeating = Some(Repeating { last: offset, reached });
                }
                false
            }
            Err(error) => {
                tracing::warn!(%error, topic_partition = %of, from = offset, to = reached,
                    "offsets went back, and the broker does not say why; asking again");
                let back = ListOffset::Offset(offset);
                if let Err(error) = self.consumer.seek(&of.topic, of.partition, back, WATERMARKS_TIMEOUT) {
                    tracing::warn!(%error, topic_partition = %of, "cannot go back to where offsets went back to");
                }
                false
            }
        }
    }

    /// Offsets have gone back under our feet: the topic is another one now, or was cut off. What storage has of the old
    /// one it keeps; the partition begins anew.
    pub(super) fn begin_anew(&mut self, key: Key) {
        let now_ms = self.now_ms();
        self.settle_commit();
        let Some(partition) = self.partitions.by_key.remove(&key) else { return };
        self.reread.remove(key, &partition.topic_partition);
        tracing::error!(topic_partition = %partition.topic_partition, position = partition.position,
            "offsets went back: the topic was made anew or cut off");
        self.partitions.insert(key, now_ms);
        if let Some(partition) = self.partitions.by_key.get_mut(&key) {
            partition.is_anew = true;
        }
        self.prepare_at_ms = 0;
    }

    /// Where storage keeps the notes, a new owner cannot see what still waits for it: it is waited for, a while.
    fn wait_for_storage_of(&mut self, keys: &[Key]) {
        if self.status.intent_keeper != Some(IntentKeeper::Ledger) {
            return;
        }
        let deadline_ms = self.now_ms() + REVOKE_PATIENCE_MS;
        let waits = |worker: &Self, key: &Key| {
            worker.partitions.by_key.get(key).is_some_and(|partition| partition.lane.offsets().in_flight() > 0)
        };
        while self.now_ms() < deadline_ms && keys.iter().any(|key| waits(self, key)) {
            let stored = &mut self.lanes.stored;
            match self.shell.runtime.block_on(async { tokio::time::timeout(STORED_PATIENCE, stored.recv()).await }) {
                Ok(Some(stored)) => self.note_stored(&stored),
                Ok(None) => return,
                Err(_) => {}
            }
        }
    }

    /// A jump of the first reader is a hole of the log, or retention has overtaken it: then what was removed is said.
    pub(super) fn account_for_jump(&mut self, key: Key, offset: Offset) {
        let Some(partition) = self.partitions.by_key.get(&key) else { return };
        let Some(reached) = partition.building.next_offset().or(partition.position) else { return };
        // What is read again for detection is stored already: no loss.
        if offset - reached < JUMP_MIN || partition.warm_through.is_some_and(|through| reached < through) {
            return;
        }
        let of = partition.topic_partition.clone();
        let begins = match self.consumer.fetch_watermarks(&of.topic, of.partition, WATERMARKS_TIMEOUT) {
            Ok((low, _)) => low.min(offset),
            Err(error) => {
                tracing::warn!(%error, topic_partition = %of, from = reached, to = offset,
                    "offsets were skipped, and the broker does not say whether they expired");
                return;
            }
        };
        if begins <= reached {
            return;
        }
        self.hand_on(key, None);
        let now_ms = self.now_ms();
        let Some(partition) = self.partitions.by_key.get_mut(&key) else { return };
        // Where storage is behind, the second reader meets the same and says so.
        if partition.lane.mode() == Mode::Level {
            tracing::error!(topic_partition = %of, from = reached, to = begins, "records expired before they were read");
            self.status.counts.offsets_lost += begins.abs_diff(reached);
            partition.lane.drop_through(begins, now_ms);
            partition.position = Some(begins);
        }
    }

    /// Commits what is stored, forgets the rest (its new owner reads it again) and only then lets go.
    pub(super) fn revoke(&mut self, list: &TopicPartitionList) {
        self.take_answers();
        let keys = self.partitions.keys(list);
        self.wait_for_storage_of(&keys);
        if !self.commit_now(&keys) {
            tracing::warn!(
                "offsets cannot be committed before partitions are given away; ranges are stored again, once"
            );
        }
        for key in keys {
            let Some(partition) = self.partitions.by_key.remove(&key) else { continue };
            self.reread.remove(key, &partition.topic_partition);
            tracing::info!(topic_partition = %partition.topic_partition, "partition revoked");
            self.tell_detection(FlowInput::Revoked(partition.topic_partition));
        }
        agree_to_revocation(&self.consumer, list);
    }

    pub(super) fn note_trouble(&mut self, error: &KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                self.topics_ms.get_or_insert(i64::MIN / 2);
            }
            Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure) => {
                if self.status.broker_reachable != Some(false) {
                    tracing::warn!(reason, "no Kafka broker is reachable; trying on");
                }
                self.status.broker_reachable = Some(false);
            }
            _ => tracing::warn!(%error, reason, "kafka client in trouble; it goes on by itself"),
        }
        self.status.last_error = Some(if reason.is_empty() { error.to_string() } else { reason.to_owned() });
    }

    /// Once the client has complained of a missing topic, says which ones are, until none is.
    pub(super) fn look_for_topics(&mut self) {
        let now_ms = self.now_ms();
        if self.topics_ms.is_none_or(|looked_ms| now_ms - looked_ms < TOPICS_INTERVAL_MS) {
            return;
        }
        self.topics_ms = Some(now_ms);
        let mut missing = Vec::new();
        for topic in self.partitions.topic_names() {
            let Ok(metadata) = self.consumer.fetch_metadata(Some(topic), TOPICS_TIMEOUT) else { return };
            if metadata.topics().iter().any(|found| found.error().is_some() || found.partitions().is_empty()) {
                missing.push(topic.to_string());
            }
        }
        if missing != self.status.topics_missing {
            tracing::warn!(topics = ?missing, "topics do not exist; waiting for them to be created");
        }
        if missing.is_empty() {
            self.topics_ms = None;
            self.status.last_error = None;
        }
        self.status.topics_missing = missing;
    }
}
