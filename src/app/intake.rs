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
    spawn(config, &intake, task, None, note, tasks, (metrics, health));
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
    spawn(config, &intake, task, Some(queues), "", tasks, (metrics, health));
    Ok(intake)
}

fn start(config: &Config, destination: Destination<'_>) -> anyhow::Result<(Intake, IntakeTask)> {
    Intake::new(&config.http, &config.decode, &config.store, destination).context("cannot take records over HTTP")
}

fn spawn(
    config: &Config,
    intake: &Intake,
    task: IntakeTask,
    queues: Option<Queues>,
    note: &'static str,
    tasks: &mut Tasks,
    (metrics, health): (&Arc<Metrics>, &Arc<Health>),
) {
    let stop = tasks.token(Stage::Ingest);
    tasks.spawn(Stage::Ingest, "intake", async move {
        task.run(stop, DRAIN_TIMEOUT).await;
        Ok(())
    });
    let (stop, intake) = (tasks.token(Stage::Ingest), intake.clone());
    let (metrics, health) = (Arc::clone(metrics), Arc::clone(health));
    let is_on = config.http.ingest;
    tasks.spawn(Stage::Ingest, "intake watch", async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = watch(&intake, queues.as_ref(), is_on, note, &metrics, &health) => {}
        }
        Ok(())
    });
}

async fn watch(intake: &Intake, queues: Option<&Queues>, is_on: bool, note: &str, metrics: &Metrics, health: &Health) {
    let status = intake.status();
    let mut dropped = 0;
    loop {
        let now = status.borrow().clone();
        metrics.set_intake_pending(intake.pending_bytes());
        metrics.add_intake_records(IntakeRecord::Dropped, now.probe_events_dropped - dropped);
        dropped = now.probe_events_dropped;
        if let Some(queues) = queues {
            queues.show(metrics);
        }
        let (component, detail) = readiness(&now, is_on, note);
        health.set(Component::Intake, component, &detail, clock::now());
        tokio::time::sleep(LOOK_PAUSE).await;
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
