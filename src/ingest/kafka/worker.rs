//! The ingest thread: reads, decodes, feeds both lanes, commits. It owns every piece of state here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::client;
use super::super::dead_letters::DeadLetterQueue;
use super::super::status::IngestStatus;
use super::super::store_lane::{BatchLimits, Mode};
use super::context::{Notice, Notices, agree_to_assignment, agree_to_revocation};
use super::partitions::{Key, Partitions};
use super::reread::Reread;
use super::{IngestError, Lanes, ShutdownReport};
use crate::config::{DecodeConfig, Format, KafkaConfig, StoreConfig};
use crate::decode::Decoder;
use crate::model::FlowInput;

/// A round gathers messages for this long at most; then they are handed on.
const ROUND: Duration = Duration::from_millis(50);
/// While storage has to catch up, a round waits only this long for the first reader's next message.
const ROUND_WHILE_BEHIND: Duration = Duration::from_millis(2);
/// Commits are cheap but not free: one every so often is enough, as a crash repeats no more than this.
const COMMIT_INTERVAL_MS: i64 = 200;
/// How often the status is published.
const STATUS_INTERVAL_MS: i64 = 250;
/// How often missing topics are looked for, and how long the broker may take to answer.
const TOPICS_INTERVAL_MS: i64 = 5_000;
const TOPICS_TIMEOUT: Duration = Duration::from_millis(500);
/// While detection is full, storage is served this often.
const DETECT_PATIENCE: Duration = Duration::from_millis(50);

/// What the thread needs of the process around it.
pub(super) struct Shell {
    pub(super) runtime: Handle,
    pub(super) stop: CancellationToken,
    pub(super) publish: watch::Sender<IngestStatus>,
    pub(super) drain_timeout: Duration,
}

/// The state of the thread.
pub(super) struct Worker {
    pub(super) shell: Shell,
    pub(super) consumer: Arc<BaseConsumer<Notices>>,
    pub(super) partitions: Partitions,
    pub(super) lanes: Lanes,
    pub(super) letters: DeadLetterQueue,
    decoders: Vec<Decoder>,
    reread: Reread,
    status: IngestStatus,
    idle_timeout_ms: i64,
    gathered_bytes_max: usize,
    started: Instant,
    committed_ms: i64,
    published_ms: i64,
    topics_ms: Option<i64>,
    stopping_since: Option<Instant>,
    turn: usize,
}

#[allow(clippy::disallowed_methods)] // The one clock of this thread; everything else is told the time.
fn clock() -> Instant {
    Instant::now()
}

fn consumer_config(kafka: &KafkaConfig) -> ClientConfig {
    let mut config = client::base_config(kafka);
    for (name, value) in [
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("queued.max.messages.kbytes", "65536"),
        // Topics that are created later are found within seconds.
        ("topic.metadata.refresh.interval.ms", "5000"),
        ("fetch.wait.max.ms", "100"),
        ("statistics.interval.ms", "1000"),
    ] {
        client::default_to(&mut config, name, value);
    }
    config
        .set("group.id", &kafka.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true")
        .set("allow.auto.create.topics", "false");
    config
}

impl Worker {
    pub(super) fn new(
        kafka: &KafkaConfig,
        decode: &DecodeConfig,
        store: &StoreConfig,
        lanes: Lanes,
        shell: Shell,
    ) -> Result<Self, IngestError> {
        let config = consumer_config(kafka);
        let consumer: BaseConsumer<Notices> = config.create_with_context(Notices::default())?;
        consumer.subscribe(&kafka.topics.inputs())?;
        let formats = [decode.requests_format, Format::Native, Format::Native];
        let limits = BatchLimits::from(store);
        Ok(Self {
            shell,
            consumer: Arc::new(consumer),
            partitions: Partitions::new(kafka.topics.inputs().map(Arc::from).to_vec(), limits),
            lanes,
            letters: DeadLetterQueue::new(kafka)?,
            decoders: formats.map(|format| Decoder::new(format, decode)).to_vec(),
            reread: Reread::new(config),
            status: IngestStatus::default(),
            idle_timeout_ms: kafka.idle_timeout.as_millis(),
            // Twice a batch over all partitions: enough to fill one while another waits.
            gathered_bytes_max: limits.bytes_max.saturating_mul(2),
            started: clock(),
            committed_ms: 0,
            published_ms: 0,
            topics_ms: None,
            stopping_since: None,
            turn: 0,
        })
    }

    /// Reads until it is told to stop, then ends in order.
    pub(super) fn run(mut self) -> ShutdownReport {
        while !self.shell.stop.is_cancelled() {
            self.read_round();
            self.letters.serve(self.now_ms());
            self.read_again_round();
            self.serve_storage();
            self.mark_idle();
            self.look_for_topics();
            self.publish(false);
        }
        let report = self.shut_down();
        self.publish(true);
        report
    }

    pub(super) fn now_ms(&self) -> i64 {
        i64::try_from(clock().duration_since(self.started).as_millis()).unwrap_or(i64::MAX)
    }

    /// Reads for at most [`ROUND`] and hands everything on.
    fn read_round(&mut self) {
        let consumer = Arc::clone(&self.consumer);
        let waiting = self.reread.is_active() || self.partitions.by_key.values().any(|p| p.lane.is_waiting());
        let round = if waiting { ROUND_WHILE_BEHIND } else { ROUND };
        let end = clock() + round;
        let hard_end = clock() + ROUND;
        loop {
            let now = clock();
            let polled = consumer.poll(end.saturating_duration_since(now));
            let nothing_left = polled.is_none();
            match polled {
                Some(Ok(message)) => {
                    let offset = message.offset();
                    let payload = message.payload().unwrap_or_default();
                    if let Some(key) = self.partitions.key(message.topic(), message.partition()) {
                        self.take_in(key, offset, payload);
                    }
                }
                // Which topic's partition is at its end is told by the statistics.
                Some(Err(KafkaError::PartitionEOF(_))) | None => {}
                Some(Err(error)) => self.note_trouble(&error, ""),
            }
            if consumer.context().any() {
                self.hand_all_on();
                self.take_notices();
            }
            if nothing_left || now >= hard_end || self.shell.stop.is_cancelled() {
                break;
            }
        }
        self.hand_all_on();
    }

    fn take_in(&mut self, key: Key, offset: i64, payload: &[u8]) {
        let Some(partition) = self.partitions.by_key.get_mut(&key) else { return };
        partition.building.add(&partition.topic_partition, offset, payload, &self.decoders[key.0]);
        partition.at_end = false;
        if partition.building.is_full() {
            self.hand_on(key);
        }
    }

    pub(super) fn hand_all_on(&mut self) {
        let building =
            |(key, partition): (&Key, &super::partitions::Partition)| (!partition.building.is_empty()).then_some(*key);
        for key in self.partitions.by_key.iter().filter_map(building).collect::<Vec<_>>() {
            self.hand_on(key);
        }
    }

    /// Ends the chunk of a partition and gives it to both lanes. Its dead letters come first: without them the range
    /// could never be committed.
    fn hand_on(&mut self, key: Key) {
        let now_ms = self.now_ms();
        let Some(partition) = self.partitions.by_key.get_mut(&key) else { return };
        let Some(built) = partition.building.build(&partition.topic_partition, partition.position, None) else {
            return;
        };
        let chunk = Arc::new(built.chunk);
        partition.position = Some(chunk.end);
        partition.active_ms = now_ms;
        let was_idle = std::mem::take(&mut partition.idle);
        let level = partition.lane.mode() == Mode::Level;
        // Letters are pushed in the order of offsets, by whichever reader stands where they end.
        let in_order = partition.letters_end.is_none_or(|end| end == chunk.start);
        let pushed = in_order && self.letters.try_push(built.letters).is_ok();
        if pushed {
            partition.letters_end = Some(chunk.end);
        } else if partition.letters_end.is_none() {
            partition.letters_end = Some(chunk.start);
        }
        let through = if chunk.rejections.is_empty() { 0 } else { self.letters.pushed() };
        partition.lane.read(&chunk, pushed.then_some(through), now_ms);
        self.status.counts.fallen_behind += u64::from(level && partition.lane.mode() != Mode::Level);
        self.status.counts.add(&chunk);
        let topic_partition = partition.topic_partition.clone();
        if was_idle {
            self.tell_detection(FlowInput::Active(topic_partition));
        }
        self.tell_detection(FlowInput::Chunk(chunk));
        // A full batch goes at once: the lane holds only two, and a long round fills more.
        self.hand_over();
    }

    /// Waits for room in the lane of detection: it may slow reading down. Storage is served meanwhile.
    fn tell_detection(&mut self, input: FlowInput) {
        let mut input = match self.lanes.detect.try_send(input) {
            Ok(()) | Err(TrySendError::Closed(_)) => return,
            Err(TrySendError::Full(input)) => Some(input),
        };
        while let Some(waiting) = input.take() {
            let detect = self.lanes.detect.clone();
            let reserved =
                self.shell.runtime.block_on(async { tokio::time::timeout(DETECT_PATIENCE, detect.reserve()).await });
            match reserved {
                Ok(Ok(permit)) => permit.send(waiting),
                Ok(Err(_)) => return,
                Err(_) => {
                    input = Some(waiting);
                    self.letters.serve(self.now_ms());
                    self.serve_storage();
                    self.publish(false);
                }
            }
            if self.shell.stop.is_cancelled() {
                let since = *self.stopping_since.get_or_insert_with(clock);
                if clock().duration_since(since) > self.shell.drain_timeout {
                    return;
                }
            }
        }
    }

    fn take_notices(&mut self) {
        for notice in self.consumer.context().take() {
            match notice {
                Notice::Assign(list) => self.assign(&list),
                Notice::Revoke(list) => self.revoke(&list),
                Notice::CommitFailed(error) => {
                    self.commit_failed(&error);
                }
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

    fn assign(&mut self, list: &TopicPartitionList) {
        agree_to_assignment(&self.consumer, list);
        let now_ms = self.now_ms();
        for key in self.partitions.keys(list) {
            let topic_partition = self.partitions.insert(key, now_ms);
            tracing::info!(%topic_partition, "partition assigned");
            self.tell_detection(FlowInput::Assigned(topic_partition));
        }
    }

    /// Commits what is stored, forgets the rest (its new owner reads it again) and only then lets go.
    fn revoke(&mut self, list: &TopicPartitionList) {
        self.take_answers();
        let keys = self.partitions.keys(list);
        let commits = self.partitions.take_commits(keys.iter().copied());
        if commits.count() > 0
            && let Err(error) = self.consumer.commit(&commits, CommitMode::Sync)
        {
            tracing::warn!(%error, "offsets cannot be committed before a partition is given away; some rows will be repeated");
        }
        for key in keys {
            let Some(partition) = self.partitions.by_key.remove(&key) else { continue };
            self.reread.remove(key, &partition.topic_partition);
            tracing::info!(topic_partition = %partition.topic_partition, "partition revoked");
            self.tell_detection(FlowInput::Revoked(partition.topic_partition));
        }
        agree_to_revocation(&self.consumer, list);
    }

    fn read_again_round(&mut self) {
        let now_ms = self.now_ms();
        let result = self.reread.round(&mut self.partitions, &self.decoders, &mut self.letters, now_ms);
        if let Err(error) = result {
            self.note_trouble(&error, "");
        }
        self.status.counts.messages_read_again = self.reread.messages;
        self.status.counts.offsets_lost = self.reread.offsets_lost;
    }

    /// Takes storage's answers, hands batches over, commits.
    fn serve_storage(&mut self) {
        self.take_answers();
        self.keep_within_memory();
        let now_ms = self.now_ms();
        self.partitions.by_key.values_mut().for_each(|partition| partition.lane.seal_when_due(now_ms));
        self.hand_over();
        if now_ms - self.committed_ms >= COMMIT_INTERVAL_MS {
            self.committed_ms = now_ms;
            self.commit(CommitMode::Async);
        }
    }

    pub(super) fn take_answers(&mut self) {
        while let Ok(stored) = self.lanes.stored.try_recv() {
            self.partitions.stored(&stored);
        }
    }

    /// Gives waiting batches to storage while it has room; each partition is first in turn.
    fn hand_over(&mut self) {
        let acknowledged = self.letters.acknowledged();
        let ready = |(key, partition): (&Key, &super::partitions::Partition)| {
            partition.lane.has_batch(acknowledged).then_some(*key)
        };
        let mut keys: Vec<Key> = self.partitions.by_key.iter().filter_map(ready).collect();
        if keys.is_empty() {
            return;
        }
        self.turn = self.turn.wrapping_add(1);
        let first = self.turn % keys.len();
        keys.rotate_left(first);
        for key in keys {
            let Ok(permit) = self.lanes.store.try_reserve() else { return };
            let Some(partition) = self.partitions.by_key.get_mut(&key) else { continue };
            if let Some(batch) = partition.lane.hand_over(&partition.topic_partition) {
                permit.send(batch);
                self.status.counts.batches += 1;
            }
        }
    }

    /// Seals early when memory fills up, and lets the fullest partitions fall behind when it is full.
    fn keep_within_memory(&mut self) {
        let mut gathered = self.partitions.gathered_bytes();
        if gathered <= self.gathered_bytes_max / 2 {
            return;
        }
        self.partitions.by_key.values_mut().for_each(|partition| partition.lane.seal());
        self.hand_over();
        gathered = self.partitions.gathered_bytes();
        while gathered > self.gathered_bytes_max {
            let level = self.partitions.by_key.values_mut().filter(|partition| partition.lane.mode() == Mode::Level);
            let Some(fullest) = level.max_by_key(|p| p.lane.gathered_bytes()).filter(|p| p.lane.is_gathering()) else {
                return;
            };
            fullest.lane.forget();
            self.status.counts.fallen_behind += 1;
            gathered = self.partitions.gathered_bytes();
        }
    }

    /// Commits what is stored; true when nothing was refused.
    pub(super) fn commit(&mut self, mode: CommitMode) -> bool {
        let keys: Vec<Key> = self.partitions.by_key.keys().copied().collect();
        let commits = self.partitions.take_commits(keys.into_iter());
        if commits.count() == 0 {
            return true;
        }
        match self.consumer.commit(&commits, mode) {
            Ok(()) => true,
            Err(error) => {
                self.commit_failed(&error.to_string());
                false
            }
        }
    }

    fn commit_failed(&mut self, error: &str) {
        tracing::debug!(error, "commit failed, will be repeated");
        self.status.counts.commits_failed += 1;
        self.partitions.commit_failed();
    }

    fn mark_idle(&mut self) {
        let now_ms = self.now_ms();
        let mut idle = Vec::new();
        for partition in self.partitions.by_key.values_mut() {
            // Away from the broker nothing is known of the end.
            let known = partition.at_end && self.status.broker_reachable != Some(false);
            if known && !partition.idle && now_ms - partition.active_ms >= self.idle_timeout_ms {
                partition.idle = true;
                idle.push(partition.topic_partition.clone());
            }
        }
        for topic_partition in idle {
            self.tell_detection(FlowInput::Idle(topic_partition));
        }
    }

    fn note_trouble(&mut self, error: &KafkaError, reason: &str) {
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
    fn look_for_topics(&mut self) {
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

    fn publish(&mut self, stopped: bool) {
        let now_ms = self.now_ms();
        if !stopped && now_ms - self.published_ms < STATUS_INTERVAL_MS {
            return;
        }
        self.published_ms = now_ms;
        let status = &mut self.status;
        status.stopped = stopped;
        status.partitions = self.partitions.status();
        status.counts.dead_letters = self.letters.acknowledged();
        status.dead_letters_waiting = self.letters.pushed() - self.letters.acknowledged();
        if let Some(error) = self.letters.last_error() {
            status.last_error = Some(format!("dead letters: {error}"));
        } else if status.broker_reachable == Some(true) && status.topics_missing.is_empty() {
            status.last_error = None;
        }
        self.shell.publish.send_replace(status.clone());
    }
}
