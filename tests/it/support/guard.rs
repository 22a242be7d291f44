//! A ClickHouse of a test's own, applications that use it, and the guard that watches it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use floodmark::guard::policy::GuardPolicy;
use floodmark::guard::watch::{self, Watch, WatchError, WatchEvent};
use floodmark::local::{Credentials, EngineState, LocalClickHouse};
use floodmark::metrics::Metrics;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::clickhouse::{client, options};

/// Database of the applications.
pub const DATABASE: &str = "t_guard";
/// A wait that takes longer than this has failed.
const DEADLINE: Duration = Duration::from_secs(60);

/// An engine, its directory, and room for the guard's files beside it.
pub struct GuardedEngine {
    pub engine: LocalClickHouse,
    pub directory: tempfile::TempDir,
}

impl GuardedEngine {
    /// An engine with this much memory and an empty table `events`.
    pub async fn start(memory_bytes_max: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut options = options(&directory.path().join("clickhouse"));
        options.memory_bytes_max = memory_bytes_max;
        let engine = LocalClickHouse::start(options).await.unwrap();
        let admin = client(engine.url(), &engine.users().admin, DATABASE);
        admin.execute("CREATE DATABASE {database}").await.unwrap();
        let table = "CREATE TABLE {database}.events (number UInt64, text String) ENGINE = MergeTree ORDER BY number";
        admin.execute(table).await.unwrap();
        Self { engine, directory }
    }

    /// Directory of the black box.
    pub fn black_box(&self) -> PathBuf {
        self.directory.path().join("guard")
    }

    /// A policy file for this engine: looks four times a second.
    pub fn policy_file(&self, enforce: bool) -> PathBuf {
        let path = self.directory.path().join("guard.toml");
        let text = policy_text(self.engine.url(), &self.engine.users().admin, &self.black_box(), enforce);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// kill -9.
    pub fn kill(&self) {
        let EngineState::Running { pid, .. } = self.engine.state().borrow().clone() else { panic!("it runs") };
        kill_9(pid);
    }

    /// Bytes that a query holds now; nothing when it does not run.
    pub async fn memory_of(&self, query_id: &str) -> Option<u64> {
        #[derive(serde::Deserialize)]
        struct Row {
            memory: u64,
        }
        let sql =
            "SELECT toUInt64(greatest(0, memory_usage)) AS memory FROM system.processes WHERE query_id = {id:String}
                   SETTINGS output_format_json_quote_64bit_integers = 0";
        let admin = client(self.engine.url(), &self.engine.users().admin, DATABASE);
        let rows = admin.fetch::<Row>(sql, &[("id", query_id)]).await.unwrap();
        rows.first().map(|row| row.memory)
    }

    /// Waits until a query holds this many bytes.
    pub async fn until_memory(&self, query_id: &str, bytes: u64) {
        until(&format!("{query_id} holds {bytes} bytes"), async || {
            (self.memory_of(query_id).await? >= bytes).then_some(())
        })
        .await
    }
}

/// Ends a process at once.
pub fn kill_9(pid: u32) {
    let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    assert!(killed.success());
}

/// The text of a policy.
pub fn policy_text(url: &str, user: &Credentials, black_box: &Path, enforce: bool) -> String {
    format!(
        "[server]\nurl = '{url}'\nuser = '{}'\npassword = '{}'\n[watchdog]\nenforce = {enforce}\ninterval = '250ms'\n\
         [black_box]\ndirectory = '{}'\nbytes_max = '4MiB'\ninterval = '250ms'\n",
        user.user,
        user.password,
        black_box.display(),
    )
}

/// Waits for something, looking often.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The guard, in this process.
pub struct RunningWatch {
    pub events: Vec<WatchEvent>,
    pub metrics: Arc<Metrics>,
    told: mpsc::Receiver<WatchEvent>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), WatchError>>,
}

impl RunningWatch {
    /// Starts it with a policy file.
    pub fn start(policy: &Path) -> Self {
        let policy = GuardPolicy::load(policy).unwrap();
        let (metrics, shutdown) = (Arc::new(Metrics::new()), CancellationToken::new());
        let (events, told) = mpsc::channel(1_000);
        let watch = Watch::alone(policy, Arc::clone(&metrics)).unwrap();
        let task = tokio::spawn(watch::run(watch, shutdown.clone(), events));
        Self { events: Vec::new(), metrics, told, shutdown, task }
    }

    /// Waits for an event, keeping all that come before.
    pub async fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(&WatchEvent) -> Option<T>) -> T {
        loop {
            let event = tokio::time::timeout(DEADLINE, self.told.recv()).await;
            let event = event.unwrap_or_else(|_| panic!("waited too long for {what}: {:?}", self.events)).unwrap();
            let found = wanted(&event);
            self.events.push(event);
            if let Some(found) = found {
                return found;
            }
        }
    }

    /// Waits for so many looks, from now on, that the server answered.
    pub async fn looks(&mut self, count: usize) {
        while let Ok(event) = self.told.try_recv() {
            self.events.push(event);
        }
        for _ in 0..count {
            self.until("a look", |event| matches!(event, WatchEvent::Memory { .. }).then_some(())).await;
        }
    }

    /// Stops it in order.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// Something that asks ClickHouse over and over, until it is dropped.
pub struct Application {
    pub succeeded: Arc<AtomicU64>,
    pub failed: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Drop for Application {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A statement as an application sends it.
#[derive(Clone)]
pub struct Statement {
    pub url: String,
    pub user: Credentials,
    pub query_id: String,
    pub comment: String,
    pub sql: String,
}

impl Statement {
    /// Sends it; the answer, and whether it is one.
    pub async fn send(&self) -> Result<String, String> {
        let mut url = reqwest::Url::parse(&self.url).unwrap();
        url.query_pairs_mut().append_pair("query_id", &self.query_id).append_pair("log_comment", &self.comment);
        let request = crate::http::client().post(url).header("x-clickhouse-user", self.user.user);
        let request = request.header("x-clickhouse-key", &self.user.password).body(self.sql.clone());
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let good = answer.status().is_success();
        let text = answer.text().await.map_err(|error| error.to_string())?;
        if good && !text.contains("DB::Exception") { Ok(text) } else { Err(text) }
    }

    /// Sends it once, in the background.
    pub fn begin(self) -> JoinHandle<Result<String, String>> {
        tokio::spawn(async move { self.send().await })
    }

    /// Sends it over and over, with a number behind the query id and a pause in between.
    pub fn repeat(self, pause: Duration) -> Application {
        let (succeeded, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let counts = (Arc::clone(&succeeded), Arc::clone(&failed));
        let task = tokio::spawn(async move {
            for number in 0_u64.. {
                let statement = Self { query_id: format!("{}-{number}", self.query_id), ..self.clone() };
                let count = if statement.send().await.is_ok() { &counts.0 } else { &counts.1 };
                count.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(pause).await;
            }
        });
        Application { succeeded, failed, task }
    }
}
