//! The demo broker: a small Kafka-protocol broker in a child process, with its records in memory.
//!
//! For the demo and the tests. It knows no other storage here, so stopping it loses everything in it.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaErrorCode;

/// It is ready within milliseconds; a loaded machine gets more.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// How often it is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// How long one request for metadata may take while waiting.
const METADATA_TIMEOUT: Duration = Duration::from_millis(500);
/// How long creating topics may take.
const CREATE_TOPICS_TIMEOUT: Duration = Duration::from_secs(10);

/// The broker cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The binary cannot be started.
    #[error("cannot start the demo broker {path}: {source} (`make engines` fetches it)")]
    Start {
        /// The binary.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It ended, or does not answer.
    #[error("the demo broker {what}; its output is in {log}")]
    NotReady {
        /// What happened.
        what: String,
        /// Where its output is.
        log: PathBuf,
    },
    /// The Kafka client cannot be made or was answered with an error.
    #[error("demo broker: {0}")]
    Client(#[from] rdkafka::error::KafkaError),
    /// A topic cannot be created.
    #[error("demo broker: cannot create topic {topic}: {code}")]
    Topic {
        /// The topic.
        topic: String,
        /// The broker's answer.
        code: RDKafkaErrorCode,
    },
}

/// A running broker; dropping it ends the process.
#[derive(Debug)]
pub struct DemoBroker {
    address: String,
    // Dropping the sender tells the keeper to end the process.
    stop: Option<SyncSender<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl DemoBroker {
    /// Starts `binary` on a free port and waits until it answers. Its output goes to `log_file`.
    ///
    /// # Errors
    /// See [`BrokerError`].
    pub fn start(binary: &Path, log_file: &Path) -> Result<Self, BrokerError> {
        let failed = |source| BrokerError::Start { path: binary.to_owned(), source };
        // The port is free when it is looked for. Should another process take it in between, the broker ends at once
        // and the caller is told.
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|l| l.local_addr()).map_err(failed)?.port();
        let address = format!("127.0.0.1:{port}");
        let command = command(binary, &address, log_file).map_err(failed)?;
        let (stop, stopped) = sync_channel(1);
        let (started, outcome) = sync_channel(1);
        let keeper = std::thread::Builder::new()
            .name("demo-broker".to_owned())
            .spawn(move || keep(command, &started, &stopped))
            .map_err(failed)?;
        let broker = Self { address, stop: Some(stop), keeper: Some(keeper) };
        let ended = || BrokerError::NotReady { what: "ended".to_owned(), log: log_file.to_owned() };
        outcome.recv().map_err(|_| ended())?.map_err(failed)?;
        broker.wait_until_ready(log_file)?;
        Ok(broker)
    }

    /// `host:port`, for `kafka.brokers`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Consumer settings that suit it (`kafka.properties`): it lets the first member of a group wait for half the
    /// session timeout, 23 s with the default of 45 s.
    #[must_use]
    pub fn client_properties() -> BTreeMap<String, String> {
        [("session.timeout.ms", "6000"), ("heartbeat.interval.ms", "1500")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    /// Creates topics, each with its number of partitions; those that exist are left as they are.
    ///
    /// # Errors
    /// The broker does not answer or refuses.
    pub async fn create_topics(&self, topics: &[(&str, i32)]) -> Result<(), BrokerError> {
        let admin: AdminClient<DefaultClientContext> = self.client_config().create()?;
        let new: Vec<NewTopic<'_>> = topics
            .iter()
            .map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(1)))
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(CREATE_TOPICS_TIMEOUT));
        for result in admin.create_topics(&new, &options).await? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => return Err(BrokerError::Topic { topic, code }),
            }
        }
        Ok(())
    }

    fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address);
        config
    }

    #[allow(clippy::disallowed_methods)] // Waiting for a process is the shell's business.
    fn wait_until_ready(&self, log_file: &Path) -> Result<(), BrokerError> {
        let not_ready = |what: String| BrokerError::NotReady { what, log: log_file.to_owned() };
        let deadline = Instant::now() + READY_WITHIN;
        // Until the process listens, every attempt to connect fails at once.
        while std::net::TcpStream::connect(&self.address).is_err() {
            if self.keeper.as_ref().is_none_or(JoinHandle::is_finished) {
                return Err(not_ready("ended at once".to_owned()));
            }
            if Instant::now() > deadline {
                return Err(not_ready(format!("does not listen after {READY_WITHIN:?}")));
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        let client: BaseConsumer = self.client_config().create()?;
        loop {
            match client.fetch_metadata(None, METADATA_TIMEOUT) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(not_ready(format!("does not answer: {error}"))),
                Err(_) => {}
            }
        }
    }
}

impl Drop for DemoBroker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

fn command(binary: &Path, address: &str, log_file: &Path) -> std::io::Result<Command> {
    let url = format!("tcp://{address}");
    let output = File::create(log_file)?;
    let mut command = Command::new(binary);
    command
        .args(["broker", "--listener-url", &url, "--advertised-listener-url", &url])
        .args(["--storage-engine", "memory://tansu/"])
        .env("RUST_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    die_with_parent(&mut command);
    Ok(command)
}

/// Starts the process and keeps it until told to stop. It needs a thread of its own: the kernel ends the process with
/// the THREAD that started it, and a caller's thread may well end before the broker is to.
fn keep(mut command: Command, started: &SyncSender<std::io::Result<()>>, stopped: &Receiver<()>) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let _ = started.send(Ok(()));
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(POLL_INTERVAL * 20) {
        if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            return;
        }
    }
    // Its records are in memory only: there is nothing to end gently.
    let _ = child.kill();
    let _ = child.wait();
}

/// A killed parent must not leave a broker behind. On Linux the kernel sees to it; elsewhere only `Drop` does.
#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: prctl is async-signal-safe and touches nothing of the parent's memory.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: &mut Command) {}
