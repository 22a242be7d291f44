//! The ingest thread: reads, decodes, feeds both lanes, commits. It owns every piece of state here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::client;
use super::super::dead_letters::DeadLetterQueue;
use super::super::patience::Patience;
use super::super::status::IngestStatus;
use super::super::store_lane::{BatchLimits, Mode};
use super::committer::Committer;
use super::context::Notices;
use super::coverage::Coverage;
use super::partitions::{Key, Partition, Partitions};
use super::reread::Reread;
use super::{IngestError, Lanes, ShutdownReport};
use crate::config::{DecodeConfig, Format, KafkaConfig, StoreConfig};
use crate::decode::Decoder;
use crate::model::{FlowInput, Offset, Stored};

/// A round gathers messages for this long at most; then they are handed on.
const ROUND: Duration = Duration::from_millis(50);
/// While storage has to catch up, a round waits only this long for the first reader's next message.
const ROUND_WHILE_BEHIND: Duration = Duration::from_millis(2);
/// How often the status is published.
const STATUS_INTERVAL_MS: i64 = 250;
/// How long one wait for storage lasts until everything else is looked after.
const STORAGE_PATIENCE: Duration = Duration::from_millis(5);
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
    pub(super) decoders: Vec<Decoder>,
    pub(super) reread: Reread,
    pub(super) committer: Committer,
    /// Whose offsets the broker was asked to take.
    pub(super) committing: Vec<Key>,
    pub(super) patience: Patience,
    pub(super) status: IngestStatus,
    pub(super) idle_timeout_ms: i64,
    /// How much of the log is read again after a start.
    pub(super) warm_up_ms: i64,
    /// Something was read: what is assigned later is not read from further back.
    pub(super) has_begun: bool,
    pub(super) gathered_bytes_max: usize,
    pub(super) started: Instant,
    pub(super) committed_ms: i64,
    /// Not before this is a commit tried again that has failed.
    pub(super) commit_again_ms: i64,
    /// Not before this is the broker asked again where storage goes on.
    pub(super) prepare_at_ms: i64,
    published_ms: i64,
    pub(super) topics_ms: Option<i64>,
    pub(super) coverage: Coverage,
    pub(super) stopping_since: Option<Instant>,
    pub(super) turn: usize,
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

/// The end of a noted range, of what is read for detection alone, or the beginning of storage, between what is read of a
/// level partition and `offset`.
fn boundary_before(partition: &Partition, offset: Offset) -> Option<Offset> {
    let position = partition.position.or_else(|| partition.building.first_offset())?;
    let warm_through = partition.warm_through.filter(|through| *through > position);
    warm_through.or_else(|| partition.lane.boundary(position)).filter(|boundary| *boundary <= offset)
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
        let consumer = Arc::new(consumer);
        let committer = Committer::start(Arc::clone(&consumer))?;
        let formats = [decode.requests_format, Format::Native, Format::Native];
        let limits = BatchLimits::from(store);
        Ok(Self {
            shell,
            consumer,
            partitions: Partitions::new(kafka.topics.inputs().map(Arc::from).to_vec(), limits),
            lanes,
            letters: DeadLetterQueue::new(kafka)?,
            decoders: formats.map(|format| Decoder::new(format, decode)).to_vec(),
            reread: Reread::new(config),
            committer,
            committing: Vec::new(),
            patience: Patience::default(),
            status: IngestStatus::default(),
            idle_timeout_ms: kafka.idle_timeout.as_millis(),
            warm_up_ms: kafka.warm_up.as_millis(),
            has_begun: false,
            // Twice a batch over all partitions: enough to fill one while another waits.
            gathered_bytes_max: limits.bytes_max.saturating_mul(2),
            started: clock(),
            committed_ms: 0,
            commit_again_ms: 0,
            prepare_at_ms: 0,
            published_ms: 0,
            topics_ms: None,
            coverage: Coverage::default(),
            stopping_since: None,
            turn: 0,
        })
    }

    /// Reads until it is told to stop, then ends in order.
    pub(super) fn run(mut self) -> ShutdownReport {
        while !self.shell.stop.is_cancelled() {
            if !self.wait_for_storage_while_old() {
                self.read_round();
            }
            self.letters.serve(self.now_ms());
            self.read_again_round();
            self.serve_storage();
            self.prepare();
            self.mark_idle();
            self.look_for_topics();
            self.look_for_others();
            self.publish(false);
        }
        let report = self.shut_down();
        self.publish(true);
        report
    }

    pub(super) fn now_ms(&self) -> i64 {
        i64::try_from(clock().duration_since(self.started).as_millis()).unwrap_or(i64::MAX)
    }

    /// While old records are worked off, a storage that keeps storing is waited for: true when it was.
    fn wait_for_storage_while_old(&mut self) -> bool {
        let crowded = self.partitions.by_key.values().any(|partition| partition.lane.is_crowded());
        if !crowded || !self.patience.may_wait(self.now_ms()) {
            return false;
        }
        let stored = &mut self.lanes.stored;
        let answer = self.shell.runtime.block_on(async { tokio::time::timeout(STORAGE_PATIENCE, stored.recv()).await });
        if let Ok(Some(stored)) = answer {
            self.note_stored(&stored);
        }
        true
    }

    pub(super) fn note_stored(&mut self, stored: &Stored) {
        self.partitions.stored(stored);
        self.patience.stored(self.now_ms());
    }

    /// Reads for at most [`ROUND`] and hands everything on.
    fn read_round(&mut self) {
        let consumer = Arc::clone(&self.consumer);
        let waiting = self.reread.is_active()
            || self.committer.is_asking()
            || self.partitions.by_key.values().any(|p| p.lane.is_waiting());
        let round = if waiting { ROUND_WHILE_BEHIND } else { ROUND };
        let end = clock() + round;
        let hard_end = clock() + ROUND;
        let mut written_ms = None;
        loop {
            let now = clock();
            let polled = consumer.poll(end.saturating_duration_since(now));
            let nothing_left = polled.is_none();
            match polled {
                Some(Ok(message)) => {
                    let offset = message.offset();
                    let payload = message.payload().unwrap_or_default();
                    written_ms = message.timestamp().to_millis().or(written_ms);
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
        if let Some(written_ms) = written_ms {
            let age_ms = crate::clock::now().as_millis() - written_ms;
            self.patience.read(age_ms, self.now_ms());
        }
    }

    fn take_in(&mut self, key: Key, offset: i64, payload: &[u8]) {
        let Some(partition) = self.partitions.by_key.get(&key) else { return };
        let reached = partition.building.next_offset().or(partition.position);
        if let Some(reached) = reached.filter(|reached| offset < *reached)
            && !self.steps_back(key, offset, reached)
        {
            return;
        }
        self.account_for_jump(key, offset);
        let Some(partition) = self.partitions.by_key.get_mut(&key) else { return };
        if partition.position.is_none() && partition.building.is_empty() {
            // Where storage goes on there may be a hole, and a noted range may end in it.
            partition.position = partition.lane.next().filter(|next| *next <= offset);
        }
        while let Some(partition) = self.partitions.by_key.get(&key)
            && let Some(boundary) = boundary_before(partition, offset)
        {
            self.hand_on(key, Some(boundary));
        }
        let Some(partition) = self.partitions.by_key.get_mut(&key) else { return };
        partition.building.add(&partition.topic_partition, offset, payload, &self.decoders[key.0]);
        partition.at_end = false;
        if partition.building.is_full() {
            self.hand_on(key, None);
        }
    }

    pub(super) fn hand_all_on(&mut self) {
        let building = |(key, partition): (&Key, &Partition)| (!partition.building.is_empty()).then_some(*key);
        for key in self.partitions.by_key.iter().filter_map(building).collect::<Vec<_>>() {
            self.hand_on(key, None);
        }
    }

    /// Ends the chunk of a partition and gives it to both lanes. Its dead letters come first: without them the range
    /// could never be committed.
    pub(super) fn hand_on(&mut self, key: Key, end: Option<Offset>) {
        let now_ms = self.now_ms();
        let Some(partition) = self.partitions.by_key.get_mut(&key) else { return };
        let Some(built) = partition.building.build(&partition.topic_partition, partition.position, end) else {
            return;
        };
        self.has_begun = true;
        let chunk = Arc::new(built.chunk);
        partition.position = Some(chunk.end);
        partition.active_ms = now_ms;
        let was_idle = std::mem::take(&mut partition.idle);
        if let Some(through) = partition.warm_through.filter(|through| chunk.end <= *through) {
            let topic_partition = partition.topic_partition.clone();
            self.status.counts.messages_warm += chunk.messages;
            if chunk.end == through {
                let messages = self.status.counts.messages_warm;
                tracing::info!(%topic_partition, messages, "detection is where it was before the start");
            }
            if was_idle {
                self.tell_detection(FlowInput::Active(topic_partition));
            }
            return self.tell_detection(FlowInput::Warm(chunk));
        }
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

    /// Waits for room in the lane of detection: it may slow reading down. Storage is served meanwhile; the group is not
    /// (a message could come of it), so a detection that stands still for `max.poll.interval.ms` (5 min) costs us the
    /// partitions. Another member then has them, which is what the group is for.
    pub(super) fn tell_detection(&mut self, input: FlowInput) {
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

    fn read_again_round(&mut self) {
        if self.partitions.gathered_bytes() > self.gathered_bytes_max {
            return;
        }
        let now_ms = self.now_ms();
        let result = self.reread.round(&mut self.partitions, &self.decoders, &mut self.letters, now_ms);
        if let Err(error) = result {
            self.note_trouble(&error, "");
        }
        for key in std::mem::take(&mut self.reread.made_anew) {
            self.begin_anew(key);
        }
        self.status.counts.messages_read_again = self.reread.messages;
        self.status.counts.offsets_lost += std::mem::take(&mut self.reread.offsets_lost);
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
