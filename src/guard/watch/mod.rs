//! Black box and watchdog at work: one loop that looks, decides, kills and tells. Used by `guard watch` and `guard proxy`.
//!
//! The loop waits for the server under a deadline and for nobody else: what the disk or the listener cannot take is left
//! out and counted. Before a kill it waits a moment for the audit line to be safe, then kills all the same.

mod event;
mod recorder;
mod restarts;
mod task;
mod words;

pub use event::{WatchEvent, outcome_names};

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::black_box::RingError;
use super::policy::{GuardPolicy, ServerAccessError};
use crate::metrics::Metrics;
use crate::store::ClickHouse;

/// Shortest and longest time that a look may take: it must neither give up on a server that is busy nor wait for one that
/// is gone.
const LOOK_TIMEOUT_MIN: Duration = Duration::from_secs(1);
const LOOK_TIMEOUT_MAX: Duration = Duration::from_secs(3);

/// The guard cannot begin to look.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// A file that says how to reach the server.
    #[error(transparent)]
    Server(#[from] ServerAccessError),
    /// The black box.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The audit log.
    #[error("the audit log in {directory}: {source}")]
    Audit {
        /// Where it should be.
        directory: String,
        /// Why it is not.
        source: std::io::Error,
    },
}

/// What is watched, and how.
#[derive(Debug)]
pub struct Watch {
    /// The policy.
    pub policy: GuardPolicy,
    /// A client of the guard's own: see [`watch_client`].
    pub client: ClickHouse,
    /// Our metrics.
    pub metrics: Arc<Metrics>,
    /// Fingerprints whose breaker is open, as the gate says; without a gate, those of a sender that is gone: none.
    pub tripped: watch::Receiver<BTreeSet<String>>,
}

impl Watch {
    /// As the policy says, with no gate.
    ///
    /// # Errors
    /// The file of the password, or of the authorities, cannot be used.
    pub fn alone(policy: GuardPolicy, metrics: Arc<Metrics>) -> Result<Self, WatchError> {
        let client = watch_client(&policy)?;
        Ok(Self { policy, client, metrics, tripped: watch::channel(BTreeSet::new()).1 })
    }
}

/// A client that shares its connections with nobody, and does not wait long.
///
/// # Errors
/// The file of the password, or of the authorities, cannot be used.
pub fn watch_client(policy: &GuardPolicy) -> Result<ClickHouse, WatchError> {
    let timeout = (interval(policy) * 2).clamp(LOOK_TIMEOUT_MIN, LOOK_TIMEOUT_MAX);
    Ok(ClickHouse::new(&policy.endpoint(timeout)?))
}

/// How often it looks: as often as the more curious of black box and watchdog.
fn interval(policy: &GuardPolicy) -> Duration {
    policy.black_box.interval.0.min(policy.watchdog.interval.0).max(Duration::from_millis(50))
}

/// Looks, keeps, decides, kills and tells until `shutdown`. `events` is never waited for.
///
/// # Errors
/// See [`WatchError`]: only at the beginning. Later a server that is away, or a disk that refuses, is told and lived with.
pub async fn run(
    watch: Watch,
    shutdown: CancellationToken,
    events: mpsc::Sender<WatchEvent>,
) -> Result<(), WatchError> {
    let interval = interval(&watch.policy);
    let (mut task, recorder) = task::WatchTask::begin(watch, events).await?;
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = ticks.tick() => task.look().await,
        }
    }
    task.end();
    drop(task);
    recorder.joined().await;
    Ok(())
}
