//! What ingest does, as metrics and readiness show it; and its ordered end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::api::{Component, ComponentStatus, Health};
use crate::clock;
use crate::config::{KafkaConfig, TopicsConfig};
use crate::ingest::{IngestCounts, IngestStatus, IntentKeeper, KafkaIngest};
use crate::metrics::{Input, Metrics, PartitionProgress, Queue};
use crate::model::{Batch, FlowInput, Output, TopicPartition};
use crate::shutdown::{Stage, Tasks};

/// How often what changes all the time is looked at.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// Queues whose depth is shown. Weak: looking at a queue must not keep it open.
#[derive(Debug)]
pub struct Queues {
    /// Inputs waiting for detection.
    pub inputs: mpsc::WeakSender<FlowInput>,
    /// Batches waiting for ClickHouse.
    pub batches: mpsc::WeakSender<Batch>,
    /// Outputs waiting for ClickHouse.
    pub outputs: mpsc::WeakSender<Output>,
}

impl Queues {
    /// Shows how full each is.
    pub fn show(&self, metrics: &Metrics) {
        show_queue(metrics, Queue::Detect, self.inputs.upgrade().as_ref());
        show_queue(metrics, Queue::Store, self.batches.upgrade().as_ref());
        show_queue(metrics, Queue::Transitions, self.outputs.upgrade().as_ref());
    }
}

/// Watches ingest until it is to stop, then ends it in order: stop reading, hand over, wait for storage, commit.
pub fn spawn_ingest(
    tasks: &mut Tasks,
    reader: KafkaIngest,
    kafka: &KafkaConfig,
    queues: Queues,
    metrics: &Arc<Metrics>,
    health: &Arc<Health>,
) {
    let stop = tasks.token(Stage::Ingest);
    let (metrics, health, topics) = (Arc::clone(metrics), Arc::clone(health), kafka.topics.clone());
    tasks.spawn(Stage::Ingest, "kafka", async move {
        let mut status = reader.status();
        tokio::select! {
            () = stop.cancelled() => {}
            () = watch(&mut status, &topics, &queues, &metrics, &health) => {}
        }
        let report = tokio::task::spawn_blocking(|| reader.join()).await??;
        if report.batches_unconfirmed > 0 || report.commits_failed > 0 {
            tracing::warn!(
                report.batches_unconfirmed,
                report.commits_failed,
                "not all was confirmed in time; it is read again at the next start"
            );
        }
        Ok(())
    });
}

/// Shows what ingest does until its thread has ended.
async fn watch(
    status: &mut watch::Receiver<IngestStatus>,
    topics: &TopicsConfig,
    queues: &Queues,
    metrics: &Metrics,
    health: &Health,
) {
    let mut counted = IngestCounts::default();
    let mut shown: BTreeSet<TopicPartition> = BTreeSet::new();
    loop {
        let now = status.borrow_and_update().clone();
        show_partitions(&now, &mut shown, topics, metrics);
        metrics.set_partitions_elsewhere(now.partitions_elsewhere);
        let (kafka, detail) = readiness(&now);
        health.set(Component::Kafka, kafka, &detail, clock::now());
        count(&counted, &now.counts, metrics);
        counted = now.counts.clone();
        queues.show(metrics);
        if now.stopped {
            return;
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

fn count(before: &IngestCounts, now: &IngestCounts, metrics: &Metrics) {
    metrics.add_dead_letters(now.dead_letters - before.dead_letters);
    metrics
        .add_second_reads(now.messages_read_again - before.messages_read_again, now.offsets_lost - before.offsets_lost);
}

fn show_queue<T>(metrics: &Metrics, queue: Queue, sender: Option<&mpsc::Sender<T>>) {
    if let Some(sender) = sender {
        metrics.set_queue(queue, sender.max_capacity() - sender.capacity(), sender.max_capacity());
    }
}

/// Shows the partitions that are read here, and no longer those that another process reads now.
fn show_partitions(
    status: &IngestStatus,
    shown: &mut BTreeSet<TopicPartition>,
    topics: &TopicsConfig,
    metrics: &Metrics,
) {
    let now: BTreeSet<TopicPartition> = status.partitions.iter().map(|p| p.topic_partition.clone()).collect();
    for gone in shown.difference(&now) {
        if let Some(input) = Input::of(topics, &gone.topic) {
            metrics.remove_partition(input, gone.partition);
        }
    }
    *shown = now;
    for partition in &status.partitions {
        let Some(input) = Input::of(topics, &partition.topic_partition.topic) else { continue };
        let Some(position) = partition.position else { continue };
        let end = position.saturating_add(partition.lag.unwrap_or(0));
        let level = partition.behind_from.is_none();
        let progress = PartitionProgress { position, end, level };
        metrics.set_partition(input, partition.topic_partition.partition, progress);
    }
}

/// How reading is, in one word and one line.
fn readiness(status: &IngestStatus) -> (ComponentStatus, String) {
    let error = status.last_error.clone().unwrap_or_default();
    if status.stopped {
        return (ComponentStatus::Down, "reading has ended".to_owned());
    }
    if !status.topics_missing.is_empty() {
        let missing = format!("topics that do not exist: {}", status.topics_missing.join(", "));
        let degraded = if status.partitions.is_empty() { ComponentStatus::Starting } else { ComponentStatus::Degraded };
        return (degraded, missing);
    }
    match (status.broker_reachable, status.partitions.is_empty()) {
        (Some(false), true) => (ComponentStatus::Down, error),
        (Some(false), false) => (ComponentStatus::Degraded, error),
        (_, true) if status.partitions_elsewhere > 0 => (
            ComponentStatus::Starting,
            "no partition is read here: another member of the consumer group has all".to_owned(),
        ),
        (_, true) => (ComponentStatus::Starting, "no partition assigned yet".to_owned()),
        (_, false) if status.partitions_elsewhere > 0 => (ComponentStatus::Degraded, elsewhere(status)),
        (_, false) if status.dead_letters_waiting > 0 && status.last_error.is_some() => {
            (ComponentStatus::Degraded, format!("{} dead letters are not taken: {error}", status.dead_letters_waiting))
        }
        (_, false) if status.counts.offsets_lost > 0 => {
            let lost = status.counts.offsets_lost;
            (ComponentStatus::Degraded, format!("{lost} offsets expired before they were stored (see the log)"))
        }
        (_, false) => (ComponentStatus::Ok, remarks(status).join("; ")),
    }
}

/// Detection needs the whole log.
fn elsewhere(status: &IngestStatus) -> String {
    let (here, elsewhere) = (status.partitions.len(), status.partitions_elsewhere);
    format!(
        "{elsewhere} of {} partitions are read by another member of the consumer group: detection sees only a part, and \
         both may page for the same; run one instance in a group",
        here + elsewhere
    )
}

/// What is worth knowing although all is well.
fn remarks(status: &IngestStatus) -> Vec<String> {
    let mut remarks = Vec::new();
    let behind = status.partitions.iter().filter(|p| p.behind_from.is_some()).count();
    if behind > 0 {
        remarks.push(format!("storage is behind on {behind} partitions and catches up"));
    }
    if status.intent_keeper == Some(IntentKeeper::Ledger) {
        remarks.push("the broker loses the metadata of commits: ranges are noted in clickhouse".to_owned());
    }
    remarks
}
