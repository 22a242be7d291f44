//! Rules, objectives and limits are read again on SIGHUP and on `POST /-/reload`. Bad files change nothing.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::rule_files::read_rules;
use crate::alert::{RuleChanges, Rules};
use crate::api::{Component, ComponentStatus, Health, RELOADS_BOUND, ReloadDesk, ReloadError, ReloadRequest};
use crate::clock;
use crate::config::DetectConfig;
use crate::detect::Limits;
use crate::metrics::Metrics;
use crate::shutdown::{Stage, Tasks};

/// Problems that are logged one by one; `floodmark check` names all.
const PROBLEMS_LOGGED_MAX: usize = 20;

/// Rules and limits that take the place of those in force.
#[derive(Debug)]
pub struct Replacement {
    /// The rules.
    pub rules: Rules,
    /// The limits.
    pub limits: Limits,
    /// Hears what changed, once it has.
    pub done: oneshot::Sender<RuleChanges>,
}

/// Takes SIGHUP over from its default action, which would end the process: before anything that takes long to start.
///
/// # Errors
/// The system refuses a handler.
pub fn hangups() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Starts the task that reads the files again; `replacements` goes to who owns the rules. Gives where it is asked to, and
/// the rules in force, for who follows them.
pub fn spawn(
    detect: &DetectConfig,
    rules: &Rules,
    (hangups, replacements): (Signal, mpsc::Sender<Replacement>),
    tasks: &mut Tasks,
    metrics: &Arc<Metrics>,
    health: &Arc<Health>,
) -> (ReloadDesk, watch::Receiver<Rules>) {
    let (desk, requests) = mpsc::channel(RELOADS_BOUND);
    let (metrics, health) = (Arc::clone(metrics), Arc::clone(health));
    let (in_force, rules_in_force) = watch::channel(rules.clone());
    let reloader = Reloader { detect: detect.clone(), replacements, in_force, metrics, health };
    reloader.well(rules.rules.len());
    let stop = tasks.token(Stage::Detect);
    tasks.spawn(Stage::Detect, "reload", async move {
        reloader.run(requests, hangups, stop).await;
        Ok(())
    });
    (desk, rules_in_force)
}

#[derive(Debug)]
struct Reloader {
    detect: DetectConfig,
    replacements: mpsc::Sender<Replacement>,
    in_force: watch::Sender<Rules>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
}

impl Reloader {
    async fn run(self, mut requests: mpsc::Receiver<ReloadRequest>, mut hangups: Signal, stop: CancellationToken) {
        loop {
            let request = tokio::select! {
                () = stop.cancelled() => return,
                Some(request) = requests.recv() => Some(request),
                Some(()) = hangups.recv() => None,
            };
            let reloaded = tokio::select! {
                () = stop.cancelled() => return,
                reloaded = self.reload() => reloaded,
            };
            self.tell(&reloaded);
            if let Some(request) = request {
                // Who asked may have gone; the rules are in force all the same.
                let _ = request.answer.send(reloaded);
            }
        }
    }

    async fn reload(&self) -> Result<RuleChanges, ReloadError> {
        let detect = self.detect.clone();
        let read = tokio::task::spawn_blocking(move || read_rules(&detect, None)).await;
        let read = read.map_err(|_| ReloadError::Stopping)?;
        let (rules, limits) = read.map_err(|error| ReloadError::Files(error.0))?;
        let (done, changes) = oneshot::channel();
        let replacement = Replacement { rules: rules.clone(), limits, done };
        self.replacements.send(replacement).await.map_err(|_| ReloadError::Stopping)?;
        let changes = changes.await.map_err(|_| ReloadError::Stopping)?;
        self.in_force.send_replace(rules);
        Ok(changes)
    }

    fn tell(&self, reloaded: &Result<RuleChanges, ReloadError>) {
        match reloaded {
            Ok(changes) => {
                let RuleChanges { rules, new, kept, removed } = *changes;
                tracing::info!(rules, new, kept, removed, "rules and limits read again");
                self.well(rules);
            }
            Err(ReloadError::Files(problems)) => {
                for problem in problems.iter().take(PROBLEMS_LOGGED_MAX) {
                    tracing::error!(problem, "rule files refused");
                }
                let count = problems.len();
                tracing::error!(problems = count, "the former rules and limits stay in force");
                self.metrics.set_rules_reload_failed();
                let detail = format!("{count} problems in the files: the former rules and limits are in force");
                self.health.set(Component::Rules, ComponentStatus::Degraded, &detail, clock::now());
            }
            Err(ReloadError::Stopping) => {}
        }
    }

    fn well(&self, rules: usize) {
        let now = clock::now();
        self.metrics.set_rules_reload_succeeded(now);
        self.health.set(Component::Rules, ComponentStatus::Ok, &format!("{rules} rules"), now);
    }
}
