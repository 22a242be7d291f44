//! Records that do not come from Kafka: where they go, and what metrics and readiness show of them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::observe::Queues;
use super::storage::DRAIN_TIMEOUT;
use crate::api::{Component, ComponentStatus, Health};
use crate::clock;
use crate::config::{Config, KafkaConfig};
use crate::ingest::{
    Destination, Intake, IntakeStatus, IntakeTask, REQUESTS_NOT_NATIVE, StorageLanes, requests_are_native,
};
use crate::metrics::{IntakeRecord, Metrics};
use crate::shutdown::{Stage, Tasks};

/// How often what changes all the time is looked at.
const LOOK_PAUSE: Duration = Duration::from_millis(500);
/// What is pending for longer than this is said: storing takes a second or less.
const SLOW_AFTER: Duration = Duration::from_secs(5);

/// Records go to the input topics.
pub(super) fn into_kafka(
    config: &Config,
    kafka: &KafkaConfig,
    tasks: &mut Tasks,
    metrics: &Arc<Metrics>,
    health: &Arc<Health>,
) -> anyhow::Result<Intake> {
    let (intake, task) = start(config, Destination::Kafka(kafka))?;
    let note = if requests_are_native(&config.decode) { "" } else { REQUESTS_NOT_NATIVE };
    let show = Show { intake: intake.clone(), queues: None, is_on: config.http.ingest, note };
    spawn(task, show, tasks, metrics, health);
    Ok(intake)
}

/// Records go to detection and storage; there is no Kafka.
pub(super) fn into_storage(
    config: &Config,
    lanes: StorageLanes,
    queues: Queues,
    tasks: &mut Tasks,
    metrics: &Arc<Metrics>,
    health: &Arc<Health>,
) -> anyhow::Result<Intake> {
    // Which start of the process it is: offsets count from 0 at each.
    let epoch = format!("{:x}-{:x}", clock::now().as_millis(), std::process::id());
    let (intake, task) = start(config, Destination::Storage { lanes, epoch: epoch.into() })?;
    let show = Show { intake: intake.clone(), queues: Some(queues), is_on: config.http.ingest, note: "" };
    spawn(task, show, tasks, metrics, health);
    Ok(intake)
}

fn start(config: &Config, destination: Destination<'_>) -> anyhow::Result<(Intake, IntakeTask)> {
    Intake::new(&config.http, &config.decode, &config.store, destination).context("cannot take records over HTTP")
}

/// What is shown of it.
struct Show {
    intake: Intake,
    /// Where there is no reader of Kafka, which would show them.
    queues: Option<Queues>,
    is_on: bool,
    note: &'static str,
}

fn spawn(task: IntakeTask, show: Show, tasks: &mut Tasks, metrics: &Arc<Metrics>, health: &Arc<Health>) {
    let stop = tasks.token(Stage::Ingest);
    tasks.spawn(Stage::Ingest, "intake", async move {
        task.run(stop, DRAIN_TIMEOUT).await;
        Ok(())
    });
    let stop = tasks.token(Stage::Ingest);
    let (metrics, health) = (Arc::clone(metrics), Arc::clone(health));
    tasks.spawn(Stage::Ingest, "intake watch", async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = show.watch(&metrics, &health) => {}
        }
        Ok(())
    });
}

impl Show {
    async fn watch(&self, metrics: &Metrics, health: &Health) {
        let status = self.intake.status();
        let mut dropped = 0;
        loop {
            let now = status.borrow().clone();
            metrics.set_intake_pending(self.intake.pending_bytes());
            metrics.add_intake_records(IntakeRecord::Dropped, now.probe_events_dropped - dropped);
            dropped = now.probe_events_dropped;
            if let Some(queues) = &self.queues {
                queues.show(metrics);
            }
            let (component, detail) = readiness(&now, self.is_on, self.note);
            health.set(Component::Intake, component, &detail, clock::now());
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }
}

/// How taking records is, in one word and one line.
fn readiness(status: &IntakeStatus, is_on: bool, note: &str) -> (ComponentStatus, String) {
    if !is_on {
        return (ComponentStatus::Off, "http.ingest = false".to_owned());
    }
    if status.oldest >= SLOW_AFTER {
        let (pending, seconds) = (status.pending, status.oldest.as_secs());
        let detail = format!("{pending} submissions are not safe yet, the oldest for {seconds} s");
        return (ComponentStatus::Degraded, detail);
    }
    (ComponentStatus::Ok, note.to_owned())
}
