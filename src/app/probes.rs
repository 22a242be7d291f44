//! The own probes: what they find goes the way of all records, how they are doing goes to metrics and readiness.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::api::{Component, ComponentStatus, Health};
use crate::clock;
use crate::config::ProbesConfig;
use crate::ingest::Intake;
use crate::ingest::probes::{ProbeState, ProbeStatus, Probes};
use crate::metrics::{Metrics, ProbeProgress};
use crate::shutdown::{Stage, Tasks};

/// Readings on their way into the intake. At the bound the next reading is dropped and counted by its probe.
const READINGS_BOUND: usize = 64;

/// Starts the probes, if there are any.
pub(super) fn spawn(
    config: &ProbesConfig,
    intake: Intake,
    tasks: &mut Tasks,
    metrics: &Arc<Metrics>,
    health: &Arc<Health>,
) -> anyhow::Result<()> {
    if config.is_empty() {
        health.set(Component::Probes, ComponentStatus::Off, "", clock::now());
        return Ok(());
    }
    let probes = Probes::new(config)?;
    let mut status = probes.status();
    let (found, readings) = mpsc::channel(READINGS_BOUND);
    let stop = tasks.token(Stage::Ingest);
    let (metrics, health) = (Arc::clone(metrics), Arc::clone(health));
    tasks.spawn(Stage::Ingest, "probes", async move {
        let shown = async {
            loop {
                let now = status.borrow_and_update().clone();
                show(&now, &metrics, &health);
                if status.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            ((), (), ()) = async {
                tokio::join!(probes.run(found, stop.clone()), intake.forward_probes(readings, stop.clone()), shown)
            } => {}
        }
        Ok(())
    });
    Ok(())
}

fn show(statuses: &[ProbeStatus], metrics: &Metrics, health: &Health) {
    for status in statuses {
        let progress = ProbeProgress {
            up: status.state == ProbeState::Up,
            failures: status.failures,
            events: status.events,
            events_dropped: status.events_dropped,
        };
        metrics.set_probe(status.kind.as_str(), &status.name, progress);
    }
    let is = |state: ProbeState| move |status: &&ProbeStatus| status.state == state;
    let (component, detail) = match statuses.iter().find(is(ProbeState::Down)) {
        Some(down) => (ComponentStatus::Degraded, format!("{} is away: {}", down.id(), down.error)),
        None if statuses.iter().any(|status| status.state == ProbeState::Starting) => {
            (ComponentStatus::Starting, String::new())
        }
        None => (ComponentStatus::Ok, String::new()),
    };
    health.set(Component::Probes, component, &detail, clock::now());
}
