//! Finds out where storage of newly assigned partitions goes on: the committed offset, the note in its metadata, which
//! topic it is, and what retention has removed meanwhile. Detection does not wait for it.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset as ListOffset, TopicPartitionList};

use super::super::intent::{self, Commit, PROBE_OFFSET};
use super::super::store_lane::{IntentKeeper, Mode};
use super::partitions::Key;
use super::topic_id::topic_ids;
use super::worker::Worker;
use crate::clock;
use crate::model::{Offset, Plan, PlanAnswer, PlanRequest, TopicPartition};

/// How long the broker may take to answer a question.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it may take to say where one partition begins and ends: one without a leader must not hold up the others.
const WATERMARKS_TIMEOUT: Duration = Duration::from_millis(500);
/// Pause before the questions are asked again: detection reads meanwhile.
const RETRY_AFTER_MS: i64 = 5_000;
/// A log that seems to end before what was committed is looked at so often before that is believed.
const DOUBTS_MAX: u32 = 3;
/// How long a commit on its way may take until another one goes ahead.
const COMMIT_PATIENCE: Duration = Duration::from_secs(5);

/// What the broker knows of a partition.
struct Found {
    key: Key,
    topic_partition: TopicPartition,
    committed: Option<(Offset, String)>,
}

impl Worker {
    /// Plans storage of partitions that are not planned yet. What cannot be found out now is asked again later; until
    /// then the partition is read for detection only.
    pub(super) fn prepare(&mut self) {
        let now_ms = self.now_ms();
        let unplanned = |(key, partition): (&Key, &super::partitions::Partition)| {
            (partition.lane.mode() == Mode::Unplanned && !partition.plan_asked).then_some(*key)
        };
        let keys: Vec<Key> = self.partitions.by_key.iter().filter_map(unplanned).collect();
        if keys.is_empty() || now_ms < self.prepare_at_ms {
            return;
        }
        if let Err(error) = self.plan(&keys) {
            tracing::warn!(%error, "cannot find out where storage goes on; detection goes on, trying again");
            self.prepare_at_ms = self.now_ms() + RETRY_AFTER_MS;
        }
    }

    fn plan(&mut self, keys: &[Key]) -> Result<(), KafkaError> {
        let ids = topic_ids(self.consumer.client(), self.partitions.topic_names(), PATIENCE);
        let found = self.committed(keys)?;
        let keeper = match self.status.intent_keeper {
            Some(keeper) => keeper,
            None => self.find_intent_keeper(&found)?,
        };
        let mut failed = Ok(());
        for Found { key, topic_partition, committed } in found {
            let is_anew = self.partitions.by_key.get(&key).is_some_and(|partition| partition.is_anew);
            let committed = committed.filter(|_| !is_anew);
            let id: Arc<str> = ids.get(&topic_partition.topic).map_or("", String::as_str).into();
            match (committed, keeper) {
                (None, IntentKeeper::Broker) => {
                    // The same topic, cut off and written again: its offsets are used for other records.
                    let epoch = if is_anew { format!("{id}/{}", clock::now().as_millis()).into() } else { id };
                    self.set_plan(key, Plan { epoch, ..Plan::default() }, keeper, None);
                }
                (committed, IntentKeeper::Ledger) => {
                    self.ask_ledger(key, topic_partition, id, committed.map(|(offset, _)| offset));
                }
                (Some((offset, metadata)), IntentKeeper::Broker) => {
                    let (topic, partition) = (&topic_partition.topic, topic_partition.partition);
                    match self.consumer.fetch_watermarks(topic, partition, WATERMARKS_TIMEOUT) {
                        Ok(low_and_high) => {
                            let plan = self.plan_of(key, &topic_partition, (offset, &metadata), &id, low_and_high);
                            if let Some((plan, expired)) = plan {
                                self.set_plan(key, plan, keeper, expired);
                            } else {
                                self.prepare_at_ms = self.now_ms() + RETRY_AFTER_MS;
                            }
                        }
                        Err(error) => failed = Err(error),
                    }
                }
            }
        }
        failed
    }

    fn committed(&self, keys: &[Key]) -> Result<Vec<Found>, KafkaError> {
        let mut list = TopicPartitionList::new();
        for key in keys {
            if let Some(partition) = self.partitions.by_key.get(key) {
                list.add_partition(&partition.topic_partition.topic, partition.topic_partition.partition);
            }
        }
        let answer = self.consumer.committed_offsets(list, PATIENCE)?;
        let mut found = Vec::new();
        for element in answer.elements() {
            // Asked again with the next round.
            if element.error().is_err() {
                continue;
            }
            let Some(key) = self.partitions.key(element.topic(), element.partition()) else { continue };
            let Some(partition) = self.partitions.by_key.get(&key) else { continue };
            let committed = match element.offset() {
                ListOffset::Offset(offset) if offset != PROBE_OFFSET => Some((offset, element.metadata().to_owned())),
                _ => None,
            };
            found.push(Found { key, topic_partition: partition.topic_partition.clone(), committed });
        }
        Ok(found)
    }

    /// Whether this broker keeps the metadata of commits: found out once, by committing where reading begins anyway.
    fn find_intent_keeper(&mut self, found: &[Found]) -> Result<IntentKeeper, KafkaError> {
        let ours = |found: &&Found| found.committed.as_ref().is_some_and(|(_, metadata)| intent::is_ours(metadata));
        let keeper = match (found.iter().find(ours), found.first()) {
            (Some(_), _) => IntentKeeper::Broker,
            (None, Some(first)) if self.keeps_metadata(first)? => IntentKeeper::Broker,
            (None, Some(_)) => IntentKeeper::Ledger,
            (None, None) => return Ok(IntentKeeper::Broker),
        };
        match keeper {
            IntentKeeper::Broker => tracing::info!("ranges about to be stored are noted with the broker"),
            IntentKeeper::Ledger => tracing::warn!(
                "this broker loses the metadata of commits: ranges about to be stored are noted in clickhouse, and a \
                 member that has lost its partitions without knowing it is not refused"
            ),
        }
        self.status.intent_keeper = Some(keeper);
        Ok(keeper)
    }

    fn keeps_metadata(&self, found: &Found) -> Result<bool, KafkaError> {
        let of = &found.topic_partition;
        let offset = found.committed.as_ref().map_or(PROBE_OFFSET, |(offset, _)| *offset);
        let metadata = Commit { offset, ends: Vec::new() }.metadata("");
        let commit = |offset| {
            let mut list = TopicPartitionList::new();
            add_commit(&mut list, of, offset, &metadata);
            self.consumer.commit(&list, CommitMode::Sync)
        };
        commit(offset)?;
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&of.topic, of.partition);
        let answer = self.consumer.committed_offsets(asked, PATIENCE)?;
        let is_kept = answer.elements().iter().any(|element| element.metadata() == metadata);
        if is_kept && offset == PROBE_OFFSET {
            commit(self.consumer.fetch_watermarks(&of.topic, of.partition, PATIENCE)?.0)?;
        }
        Ok(is_kept)
    }

    /// The plan of a note, unless the topic is another one, or shorter, than the one it was made for. With it, the offset
    /// before which retention has removed what was needed. `None`: it is too early to tell.
    fn plan_of(
        &mut self,
        key: Key,
        of: &TopicPartition,
        (offset, metadata): (Offset, &str),
        id: &Arc<str>,
        (low, high): (Offset, Offset),
    ) -> Option<(Plan, Option<Offset>)> {
        let mut plan = intent::plan(offset, metadata);
        let is_another = !plan.epoch.is_empty() && !id.is_empty() && !plan.epoch.starts_with(&**id);
        let noted_through = plan.ends.last().copied().unwrap_or(offset);
        if !is_another && noted_through > high {
            let partition = self.partitions.by_key.get_mut(&key)?;
            partition.doubts += 1;
            if partition.doubts < DOUBTS_MAX {
                return None;
            }
        }
        if is_another || noted_through > high {
            tracing::error!(topic_partition = %of, committed = offset, begins = low, ends = high,
                "the topic was made anew or cut off behind the committed offset; reading begins where it begins");
            self.status.counts.topics_made_anew += 1;
            // The same topic, cut off: its offsets are used again for other records.
            let epoch = if is_another || id.is_empty() { Arc::clone(id) } else { format!("{id}/{offset}").into() };
            if is_another
                && let Err(error) = self.consumer.seek(&of.topic, of.partition, ListOffset::Beginning, PATIENCE)
            {
                tracing::warn!(%error, topic_partition = %of, "cannot go back to the beginning of the new topic");
            }
            return Some((Plan { epoch, start: None, ends: Vec::new() }, None));
        }
        if plan.epoch.is_empty() && plan.ends.is_empty() {
            plan.epoch = Arc::clone(id);
        }
        Some((plan, (low > offset).then_some(low)))
    }

    fn set_plan(&mut self, key: Key, plan: Plan, keeper: IntentKeeper, expired_through: Option<Offset>) {
        let now_ms = self.now_ms();
        let Some(partition) = self.partitions.by_key.get_mut(&key) else { return };
        let (start, ranges) = (plan.start, plan.ends.len());
        partition.lane.plan(plan, keeper, now_ms);
        tracing::info!(topic_partition = %partition.topic_partition, start, ranges_noted = ranges, "storage goes on");
        if let Some((start, through)) = start.zip(expired_through) {
            tracing::error!(topic_partition = %partition.topic_partition, from = start, to = through,
                "records expired before they were stored");
            self.status.counts.offsets_lost += through.abs_diff(start);
            partition.lane.drop_through(through, now_ms);
        }
    }

    fn ask_ledger(&mut self, key: Key, topic_partition: TopicPartition, epoch: Arc<str>, committed: Option<Offset>) {
        let Some(partition) = self.partitions.by_key.get_mut(&key) else { return };
        let request = PlanRequest { topic_partition, assignment: partition.assignment, epoch, committed };
        // A full queue is tried again in the next round.
        partition.plan_asked = self.lanes.plan_requests.try_send(request).is_ok();
    }

    /// Storage has answered from its ledger.
    pub(super) fn take_plans(&mut self) {
        while let Ok(PlanAnswer { topic_partition, assignment, plan }) = self.lanes.plans.try_recv() {
            let Some(key) = self.partitions.key(&topic_partition.topic, topic_partition.partition) else { continue };
            let current = self.partitions.by_key.get(&key).is_some_and(|partition| {
                partition.assignment == assignment && partition.lane.mode() == Mode::Unplanned
            });
            if current {
                self.set_plan(key, plan, IntentKeeper::Ledger, None);
            }
        }
    }

    /// Waits for a commit on its way, because what follows must not be overtaken by it.
    /// False when it is still on its way.
    pub(super) fn settle_commit(&mut self) -> bool {
        if let Some(answer) = self.committer.answer(COMMIT_PATIENCE) {
            let keys = std::mem::take(&mut self.committing);
            self.committed_or_not(&keys, answer);
        }
        !self.committer.is_asking()
    }
}

/// Adds what is to be committed for a partition.
pub(super) fn add_commit(list: &mut TopicPartitionList, of: &TopicPartition, offset: Offset, metadata: &str) {
    let mut element = list.add_partition(&of.topic, of.partition);
    // Only an invalid offset is refused, and offsets of messages are valid.
    if element.set_offset(ListOffset::Offset(offset)).is_ok() {
        element.set_metadata(metadata);
    }
}
