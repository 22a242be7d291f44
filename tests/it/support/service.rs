//! The service as people run it: the real binary as a child process, what it logs and what it serves.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use floodmark::config::{ClickHouseConfig, Config, HttpConfig, KafkaConfig, LocalConfig, Span};
use serde_json::Value;

use super::clickhouse::{SharedEngine, TestDatabase, shared_engine};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// How often a condition is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Lines of the service's log that a failing test shows.
const LOG_LINES_SHOWN: usize = 40;

/// Looks until `probe` gives something; `what` names it when it does not in time.
pub async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// A configuration in a directory of its own.
pub struct Setup {
    pub directory: tempfile::TempDir,
    pub config: Config,
}

impl Setup {
    /// HTTP on a free port, the local engine's files in the directory, `kafka` as given.
    pub fn new(kafka: Option<&KafkaConfig>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // An idle partition would stop holding the watermark back on a machine that stalls; the tests send watermarks.
        let kafka = kafka.map(|kafka| KafkaConfig { idle_timeout: Span::from_secs(60), ..kafka.clone() });
        let local = LocalConfig {
            clickhouse_library: Path::new(env!("CARGO_MANIFEST_DIR")).join(".local/engines/libchdb.so"),
            broker_binary: super::broker::binary(),
            data_dir: directory.path().join("data"),
            ..LocalConfig::default()
        };
        let http = HttpConfig { listen: ([127, 0, 0, 1], 0).into(), ..HttpConfig::default() };
        let config = Config { http, kafka, local, ..Config::default() };
        Self { directory, config }
    }

    /// Rows go to `database` of the engine that all tests share.
    pub fn with_database(mut self, database: &TestDatabase) -> Self {
        let SharedEngine { url, users } = shared_engine();
        let password_file = self.directory.path().join("clickhouse.password");
        std::fs::write(&password_file, format!("{}\n", users.admin.password)).unwrap();
        self.config.clickhouse = ClickHouseConfig {
            url: Some(url.clone()),
            database: database.name.clone(),
            user: users.admin.user.to_owned(),
            password_file: Some(password_file),
            ..ClickHouseConfig::default()
        };
        self
    }

    /// Writes the configuration as it is now.
    pub fn write(&self) -> PathBuf {
        let path = self.directory.path().join("floodmark.toml");
        std::fs::write(&path, toml::to_string(&self.config).unwrap()).unwrap();
        path
    }

    /// The binary with this configuration and nothing of the environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_floodmark"));
        command.env_clear().args(arguments).arg("--config").arg(self.write()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub async fn output(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// Runs a command that must succeed, and gives its standard output.
    pub async fn stdout(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {}: {stderr}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A running service. Dropping it kills it.
pub struct Service {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    reader: Option<std::thread::JoinHandle<()>>,
    base: String,
    client: reqwest::Client,
}

impl Service {
    /// Starts `run` and waits until it serves.
    pub async fn start(setup: &Setup) -> Self {
        let mut child = setup.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, stderr) = (Arc::clone(&log), BufReader::new(child.stderr.take().unwrap()));
        let reader = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                lines.lock().unwrap().push(line);
            }
        });
        let client = crate::http::client();
        let mut service = Self { child, log, reader: Some(reader), base: String::new(), client };
        let address = until("the service serves", async || {
            if let Some(status) = service.child.try_wait().unwrap() {
                panic!("the service ended: {status}");
            }
            service.logged("serving").first().map(|line| line["address"].as_str().unwrap().to_owned())
        });
        // All addresses are listened on: loopback is one of them.
        service.base = format!("http://{}", address.await.replace("0.0.0.0", "127.0.0.1"));
        service
    }

    /// Lines of the log with this message.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        self.log.lock().unwrap().iter().filter(|line| line["message"] == message).cloned().collect()
    }

    /// Its client, which does no TLS.
    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Where a path is.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A POST, still without a body.
    pub fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(self.url(path))
    }

    /// Status and body of a path.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let response = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// A path's JSON.
    pub async fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The sum of a metric over its labels; 0 when it has no series yet.
    pub async fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get("/metrics").await;
        let samples = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        samples.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Waits until `/readyz` answers 200 with these states of the whole and of ClickHouse.
    pub async fn until_ready(&self, whole: &str, clickhouse: &str) {
        until(&format!("/readyz says {whole}, clickhouse {clickhouse}"), async || {
            let (status, body) = self.get("/readyz").await;
            let body: Value = serde_json::from_str(&body).unwrap();
            let is_clickhouse = |line: &Value| line["name"] == "clickhouse" && line["status"] == clickhouse;
            let said = body["status"] == whole && body["components"].as_array().unwrap().iter().any(is_clickhouse);
            (said && status == 200).then_some(())
        })
        .await;
    }

    /// Waits until every topic's partitions are assigned.
    pub async fn until_assigned(&self, partitions: usize) {
        until("partitions are assigned", async || {
            (self.logged("partition assigned").len() >= partitions).then_some(())
        })
        .await;
    }

    /// Process id of the local ClickHouse: the child whose command line says so.
    pub fn engine_pid(&self) -> Option<u32> {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let mut engines = pids.filter(|pid| parent_of(*pid) == Some(self.pid()) && is_engine(*pid));
        engines.next()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as a crash would, and waits until it is gone.
    pub fn kill_9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub async fn terminate(&mut self) -> ExitStatus {
        signal(self.pid(), libc::SIGTERM);
        self.ended().await
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let status = until("the service ends", async || child.try_wait().unwrap()).await;
        if let Some(reader) = self.reader.take() {
            tokio::task::spawn_blocking(move || reader.join()).await.unwrap().unwrap();
        }
        status
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log.lock().unwrap();
            for line in &log[log.len().saturating_sub(LOG_LINES_SHOWN)..] {
                eprintln!("service: {line}");
            }
        }
    }
}

/// The fourth field of `stat`; the second, the name in brackets, may itself hold spaces and brackets.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn is_engine(pid: u32) -> bool {
    let command_line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    command_line.split(|byte| *byte == 0).any(|argument| argument == b"engine-clickhouse")
}

/// Sends a signal to a process that this test started.
pub fn signal(pid: u32, signal: i32) {
    // SAFETY: sends a signal; no memory is involved.
    assert_eq!(unsafe { libc::kill(i32::try_from(pid).unwrap(), signal) }, 0);
}
