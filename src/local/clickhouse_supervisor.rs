//! Keeps the engine running: restarts it with back-off when it dies, on the same port, and says how it is.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::clickhouse_child::{EngineChild, Launch};
use super::clickhouse_files::EngineDirectory;
use super::{Credentials, LocalError};
use crate::config::Secret;
use crate::model::Timestamp;
use crate::store::{ClickHouse, Endpoint};

/// First pause before a restart; doubles with each failure in a row.
const RESTART_PAUSE_MIN: Duration = Duration::from_millis(200);
/// Longest pause: an engine that cannot start is tried twice a minute, not more.
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(30);
/// An engine that ran this long was well; its next failure starts again at the first pause.
const STABLE_AFTER: Duration = Duration::from_secs(60);

/// How the engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineState {
    /// Started, not yet listening.
    Starting,
    /// Listening.
    Running {
        /// HTTP interface, `http://127.0.0.1:PORT`; the same after a restart.
        url: String,
        /// Process id of the child.
        pid: u32,
    },
    /// Ended without being asked to; it is being restarted.
    Down {
        /// When that was noticed.
        since: Timestamp,
        /// The end of its standard error, or why it could not be started.
        why: String,
    },
    /// Stopped because it was asked to.
    Stopped,
}

/// What the supervisor needs to start the engine again.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) program: PathBuf,
    pub(super) shared_library: PathBuf,
    pub(super) directory: EngineDirectory,
    /// Who makes which workloads after each start: the engine forgets them.
    pub(super) workloads: Option<(Credentials, Vec<String>)>,
    pub(super) start_timeout: Duration,
    pub(super) stop_timeout: Duration,
    pub(super) state: watch::Sender<EngineState>,
}

impl Supervisor {
    pub(super) async fn start_child(&self, port: u16) -> Result<EngineChild, LocalError> {
        self.state.send_replace(EngineState::Starting);
        let launch = Launch {
            program: &self.program,
            shared_library: &self.shared_library,
            port,
            start_timeout: self.start_timeout,
        };
        if self.workloads.is_some() {
            self.directory.forget_workloads()?;
        }
        let child = EngineChild::start(launch, &self.directory).await?;
        let url = format!("http://127.0.0.1:{}", child.port);
        self.make_workloads(&url).await?;
        self.state.send_replace(EngineState::Running { url, pid: child.pid });
        Ok(child)
    }

    async fn make_workloads(&self, url: &str) -> Result<(), LocalError> {
        let Some((admin, statements)) = &self.workloads else { return Ok(()) };
        let clickhouse = ClickHouse::new(&Endpoint {
            url: url.to_owned(),
            database: "default".to_owned(),
            user: admin.user.to_owned(),
            password: Secret::new(admin.password.as_str()),
            timeout: self.start_timeout,
            tls: None,
        });
        for statement in statements {
            let refused = |error: crate::store::StoreError| LocalError::Workloads(error.to_string());
            clickhouse.execute(statement).await.map_err(refused)?;
        }
        Ok(())
    }

    /// Runs until `stop` is sent or its sender is dropped.
    pub(super) async fn run(self, first: EngineChild, mut stop: oneshot::Receiver<()>) -> Result<(), LocalError> {
        let port = first.port;
        let mut child = first;
        let mut pause = RESTART_PAUSE_MIN;
        loop {
            let started_at = tokio::time::Instant::now();
            tokio::select! {
                _ = &mut stop => return self.stop(child).await,
                _ = child.ended() => {}
            }
            self.down(self.directory.stderr_tail());
            if started_at.elapsed() >= STABLE_AFTER {
                pause = RESTART_PAUSE_MIN;
            }
            let restarted = tokio::select! {
                _ = &mut stop => None,
                child = self.restart(port, &mut pause) => Some(child),
            };
            match restarted {
                Some(restarted) => child = restarted,
                None => {
                    self.state.send_replace(EngineState::Stopped);
                    return Ok(());
                }
            }
        }
    }

    async fn stop(&self, child: EngineChild) -> Result<(), LocalError> {
        let result = child.stop(self.stop_timeout).await;
        self.state.send_replace(EngineState::Stopped);
        result
    }

    /// Tries until it runs. Always the same port: clients keep working without being told, and a port that something
    /// else has taken meanwhile is said in the state until it is free.
    async fn restart(&self, port: u16, pause: &mut Duration) -> EngineChild {
        loop {
            tokio::time::sleep(*pause).await;
            *pause = (*pause * 2).min(RESTART_PAUSE_MAX);
            match self.start_child(port).await {
                Ok(child) => {
                    tracing::info!(pid = child.pid, port, "local clickhouse restarted");
                    return child;
                }
                Err(error) => self.down(error.to_string()),
            }
        }
    }

    fn down(&self, why: String) {
        tracing::error!(why, "local clickhouse is down");
        self.state.send_replace(EngineState::Down { since: crate::clock::now(), why });
    }
}
