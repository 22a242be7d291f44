//! A local ClickHouse: a real server on a loopback port, for as long as this value lives.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::clickhouse_child::EngineChild;
use super::clickhouse_files::{EngineDirectory, desk_password, reader_access};
use super::clickhouse_supervisor::{EngineState, Supervisor};
use super::{Credentials, LocalError, Users};

/// ClickHouse's error code for "another server has this directory".
const DIRECTORY_LOCKED: &str = "Code: 76.";
/// How long a start waits for the engine of a service that was killed to let go of the directory: it ends by itself,
/// within a second on a busy machine.
const PREDECESSOR_TIMEOUT: Duration = Duration::from_secs(15);
/// Pause between two tries while it does.
const PREDECESSOR_PAUSE: Duration = Duration::from_millis(250);

/// What to start, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalClickHouseOptions {
    /// The `floodmark` binary (its hidden subcommand is the child process): in the service,
    /// `std::env::current_exe()`.
    pub program: PathBuf,
    /// The engine as a shared library (`local.clickhouse_library`).
    pub shared_library: PathBuf,
    /// Directory of this engine alone.
    pub directory: PathBuf,
    /// Memory of the engine in bytes (`local.clickhouse_memory_max`).
    pub memory_bytes_max: u64,
    /// What `writer` and `reader` have rights on: a database name, or the common start of several followed by `*`.
    pub databases: String,
    /// A guard's policy that holds users of this engine.
    pub guard: Option<LocalGuard>,
    /// An engine that does not listen by then has failed.
    pub start_timeout: Duration,
    /// An engine that has not ended by then is killed.
    pub stop_timeout: Duration,
}

/// A compiled policy of the query guard, as this engine takes it: it cannot make users with SQL, and forgets workloads
/// when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalGuard {
    /// Profiles, quotas, roles and users, beside those of [`Users`].
    pub users_xml: String,
    /// Sent by the user `admin` after each start.
    pub workload_statements: Vec<String>,
}

impl LocalClickHouseOptions {
    /// As the configuration says.
    #[must_use]
    pub fn new(program: PathBuf, local: &crate::config::LocalConfig, database: &str) -> Self {
        Self {
            program,
            shared_library: local.clickhouse_library.clone(),
            directory: local.data_dir.join("clickhouse"),
            memory_bytes_max: local.clickhouse_memory_max.0.as_u64(),
            databases: database.to_owned(),
            guard: None,
            start_timeout: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(20),
        }
    }
}

/// A local ClickHouse under supervision. Dropping it stops the engine in the background; [`Self::shutdown`] waits.
#[derive(Debug)]
pub struct LocalClickHouse {
    users: Users,
    url: String,
    state: watch::Receiver<EngineState>,
    stop: oneshot::Sender<()>,
    supervisor: JoinHandle<Result<(), LocalError>>,
}

impl LocalClickHouse {
    /// Starts the engine and returns once it listens.
    ///
    /// # Errors
    /// The library is missing, the directory is in use or cannot be written, or the engine ended or did not listen in
    /// time: then with the end of its standard error.
    pub async fn start(options: LocalClickHouseOptions) -> Result<Self, LocalError> {
        if !options.shared_library.is_file() {
            return Err(LocalError::EngineMissing(options.shared_library));
        }
        // The dynamic loader looks for a name without a slash elsewhere.
        let shared_library =
            std::path::absolute(&options.shared_library).map_err(LocalError::files(&options.shared_library))?;
        let directory = EngineDirectory::take(&options.directory)?;
        let users = Users::generate().map_err(LocalError::files("/dev/urandom".as_ref()))?;
        directory.write_configuration(&users, &options.databases, options.memory_bytes_max)?;
        directory.write_guard(options.guard.as_ref())?;
        let (state, state_receiver) = watch::channel(EngineState::Starting);
        let supervisor = Supervisor {
            program: options.program,
            shared_library,
            directory,
            workloads: options.guard.map(|guard| (users.admin.clone(), guard.workload_statements)),
            start_timeout: options.start_timeout,
            stop_timeout: options.stop_timeout,
            state,
        };
        let child = start_after_predecessor(&supervisor).await?;
        let url = format!("http://127.0.0.1:{}", child.port);
        let (stop, stop_receiver) = oneshot::channel();
        let supervisor = tokio::spawn(supervisor.run(child, stop_receiver));
        Ok(Self { users, url, state: state_receiver, stop, supervisor })
    }

    /// Where the engine is that another process keeps in `directory`, and as whom to read there. It may have ended since:
    /// ask it. `None` when none was ever started there.
    #[must_use]
    pub fn of_another_process(directory: &std::path::Path) -> Option<(String, Credentials)> {
        let (port, password) = reader_access(directory)?;
        Some((format!("http://127.0.0.1:{port}"), Credentials::reader(password)))
    }

    /// As whom to ask questions of others there. `None` when none was ever started there by a version that knows that user.
    #[must_use]
    pub fn desk_of_another_process(directory: &std::path::Path) -> Option<Credentials> {
        desk_password(directory).map(Credentials::desk)
    }

    /// HTTP interface; stays the same when the engine is restarted.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The users and their passwords; stay the same when the engine is restarted.
    #[must_use]
    pub fn users(&self) -> &Users {
        &self.users
    }

    /// How the engine is, now and from now on.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<EngineState> {
        self.state.clone()
    }

    /// Stops the engine cleanly and waits until it has ended.
    ///
    /// # Errors
    /// [`LocalError::StopTimedOut`]: it had to be killed (what was acknowledged is on disk all the same).
    pub async fn shutdown(self) -> Result<(), LocalError> {
        // A supervisor that has already ended has nothing to stop.
        let _ = self.stop.send(());
        self.supervisor.await.unwrap_or(Ok(()))
    }
}

/// A service that was killed leaves an engine that is still about to end: its directory is locked a moment longer.
async fn start_after_predecessor(supervisor: &Supervisor) -> Result<EngineChild, LocalError> {
    let deadline = tokio::time::Instant::now() + PREDECESSOR_TIMEOUT;
    loop {
        match supervisor.start_child(0).await {
            Err(LocalError::EndedEarly(stderr)) if stderr.contains(DIRECTORY_LOCKED) => {
                if tokio::time::Instant::now() >= deadline {
                    return Err(LocalError::EndedEarly(stderr));
                }
                tokio::time::sleep(PREDECESSOR_PAUSE).await;
            }
            result => return result,
        }
    }
}
