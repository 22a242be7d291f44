//! An ordered end: each stage is told to stop, and waited for, before the next one is.
//!
//! The order is the way of the data: stop polling, decide on what was read, flush and commit, deliver what is to be
//! told, and only then stop answering. A stage that does not end by its deadline is aborted and named, so that one stuck
//! task cannot keep the process; what it had not committed is read again after the restart.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Exit code of a process that a second signal ended: 128 + SIGTERM, as a shell would show it.
const EXIT_SECOND_SIGNAL: i32 = 143;

/// The stages, in the order they stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Reads records.
    Ingest,
    /// Windows, detection, alert states.
    Detect,
    /// Writes to ClickHouse and commits offsets.
    Store,
    /// Tells receivers.
    Notify,
    /// Answers over HTTP.
    Api,
    /// Engines that run as children of this process.
    Engines,
}

impl Stage {
    /// Every stage, in the order they stop.
    pub const ALL: [Self; 6] = [Self::Ingest, Self::Detect, Self::Store, Self::Notify, Self::Api, Self::Engines];

    /// Name in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Detect => "detect",
            Self::Store => "store",
            Self::Notify => "notify",
            Self::Api => "api",
            Self::Engines => "engines",
        }
    }

    /// How long the stage may take to stop. Together they stay below the 90 s that systemd waits before it kills.
    #[must_use]
    pub fn deadline(self) -> Duration {
        Duration::from_secs(match self {
            Self::Ingest | Self::Detect | Self::Notify | Self::Api => 5,
            // An insert may be under way, and its answer decides what is committed.
            Self::Store => 30,
            // ClickHouse finishes its merges' writes.
            Self::Engines => 20,
        })
    }
}

/// Why a task ended, when it did not end well.
pub type TaskError = Box<dyn std::error::Error + Send + Sync>;

/// A task that ended: its name, and how.
#[derive(Debug)]
pub struct Ended {
    /// Stage it belonged to.
    pub stage: Stage,
    /// Its name; empty when it panicked.
    pub task: &'static str,
    /// How it ended; a panic is an error too.
    pub result: Result<(), TaskError>,
}

/// The tasks of the service by stage. Owned by whoever starts them.
#[derive(Debug)]
pub struct Tasks {
    stages: Vec<StageTasks>,
}

#[derive(Debug)]
struct StageTasks {
    stage: Stage,
    token: CancellationToken,
    tasks: JoinSet<(&'static str, Result<(), TaskError>)>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    /// No task yet.
    #[must_use]
    pub fn new() -> Self {
        let stage = |stage| StageTasks { stage, token: CancellationToken::new(), tasks: JoinSet::new() };
        Self { stages: Stage::ALL.into_iter().map(stage).collect() }
    }

    /// Cancelled when the stage is to stop.
    #[must_use]
    pub fn token(&self, stage: Stage) -> CancellationToken {
        self.stages[stage as usize].token.clone()
    }

    /// Starts a task of a stage. It ends by itself once the stage's token is cancelled.
    pub fn spawn<F>(&mut self, stage: Stage, task: &'static str, future: F)
    where
        F: Future<Output = Result<(), TaskError>> + Send + 'static,
    {
        self.stages[stage as usize].tasks.spawn(async move { (task, future.await) });
    }

    /// Waits for the next task that ends, of any stage; pending for ever when there is none. Every task is meant to
    /// last until it is stopped, so before [`Tasks::stop`] this is a failure.
    pub async fn next_ended(&mut self) -> Ended {
        std::future::poll_fn(|context| {
            for StageTasks { stage, tasks, .. } in &mut self.stages {
                if let std::task::Poll::Ready(Some(joined)) = tasks.poll_join_next(context) {
                    return std::task::Poll::Ready(ended(*stage, joined));
                }
            }
            std::task::Poll::Pending
        })
        .await
    }

    /// Stops one stage after the other, each by its deadline, and returns everything that did not end well, in order.
    pub async fn stop(&mut self) -> Vec<Ended> {
        self.stop_within(Stage::deadline).await
    }

    /// As [`Tasks::stop`], with other deadlines.
    pub async fn stop_within(&mut self, deadline: impl Fn(Stage) -> Duration) -> Vec<Ended> {
        let mut failures = Vec::new();
        for stage in &mut self.stages {
            stage.stop(deadline(stage.stage), &mut failures).await;
        }
        failures
    }
}

impl StageTasks {
    async fn stop(&mut self, deadline: Duration, failures: &mut Vec<Ended>) {
        let (stage, tasks) = (self.stage, &mut self.tasks);
        self.token.cancel();
        let mut keep = |joined| {
            let ended = ended(stage, joined);
            if ended.result.is_err() {
                failures.push(ended);
            }
        };
        let in_time = tokio::time::timeout(deadline, async {
            while let Some(joined) = tasks.join_next().await {
                keep(joined);
            }
        });
        if in_time.await.is_err() {
            tracing::warn!(stage = stage.as_str(), late = tasks.len(), ?deadline, "stage aborted at its deadline");
            tasks.abort_all();
            while let Some(joined) = tasks.join_next().await {
                keep(joined);
            }
        }
        tracing::debug!(stage = stage.as_str(), "stage stopped");
    }
}

fn ended(stage: Stage, joined: Result<(&'static str, Result<(), TaskError>), tokio::task::JoinError>) -> Ended {
    match joined {
        Ok((task, result)) => Ended { stage, task, result },
        Err(error) => Ended { stage, task: "", result: Err(error.into()) },
    }
}

/// SIGTERM and SIGINT.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes both signals over from their default action. Call it before anything that must be flushed is started.
    ///
    /// # Errors
    /// The system refuses a handler.
    pub fn install() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one of them.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// From now on a signal ends the process at once: whoever asks twice does not want to wait.
    pub fn exit_on_next(mut self) {
        tokio::spawn(async move {
            self.received().await;
            tracing::warn!("second signal, leaving at once");
            std::process::exit(EXIT_SECOND_SIGNAL);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn stopper(order: &Arc<Mutex<Vec<Stage>>>, tasks: &mut Tasks, stage: Stage) {
        let (order, token) = (Arc::clone(order), tasks.token(stage));
        tasks.spawn(stage, stage.as_str(), async move {
            token.cancelled().await;
            tokio::task::yield_now().await;
            order.lock().unwrap().push(stage);
            Ok(())
        });
    }

    #[tokio::test]
    async fn stages_stop_in_the_order_of_the_data() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Tasks::new();
        for stage in Stage::ALL.into_iter().rev() {
            stopper(&order, &mut tasks, stage);
        }
        assert!(tasks.stop().await.is_empty());
        assert_eq!(*order.lock().unwrap(), Stage::ALL);
    }

    #[tokio::test]
    async fn a_stuck_stage_is_aborted_and_the_next_ones_still_stop_well() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Tasks::new();
        tasks.spawn(Stage::Store, "stuck", std::future::pending());
        stopper(&order, &mut tasks, Stage::Api);
        let failures = tasks.stop_within(|_| Duration::from_millis(20)).await;
        assert_eq!(failures.iter().map(|f| f.stage).collect::<Vec<_>>(), [Stage::Store]);
        assert_eq!(*order.lock().unwrap(), [Stage::Api]);
    }

    #[tokio::test]
    async fn a_task_that_ends_early_is_named_and_a_panic_is_an_error() {
        let mut tasks = Tasks::new();
        tasks.spawn(Stage::Ingest, "endless", std::future::pending());
        tasks.spawn(Stage::Store, "writer", async { Err("disk full".into()) });
        let ended = tasks.next_ended().await;
        assert_eq!((ended.stage, ended.task), (Stage::Store, "writer"));
        assert_eq!(ended.result.unwrap_err().to_string(), "disk full");
        tasks.spawn(Stage::Detect, "detect", async { panic!("a test's panic") });
        assert!(tasks.next_ended().await.result.is_err());
    }
}
