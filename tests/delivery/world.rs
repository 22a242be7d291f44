//! What all trials share, one trial at a time: Kafka, ClickHouse, and a proxy between it and the service.

use std::path::Path;
use std::sync::OnceLock;

use floodmark::local::{EngineState, LocalClickHouse, Users};
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, OnceCell};

use crate::proxy::{FaultProxy, Inserts};
use crate::support::clickhouse::options;
use crate::support::kafka::ApacheKafka;
use crate::support::service::{signal, until};

/// The engines.
pub struct World {
    pub kafka: ApacheKafka,
    pub proxy: FaultProxy,
    pub users: Users,
    clickhouse: LocalClickHouse,
    frozen: Option<u32>,
}

/// Runs a trial with the engines well and nobody else using them.
pub fn with_world<T>(trial: impl AsyncFnOnce(&mut World) -> T) -> T {
    static WORLD: OnceCell<Mutex<World>> = OnceCell::const_new();
    runtime().block_on(async {
        let world = WORLD.get_or_init(|| async { Mutex::new(World::start().await) }).await;
        let mut world = world.lock().await;
        world.heal().await;
        trial(&mut world).await
    })
}

/// One runtime for all: the engines' tasks outlive each test.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
}

impl World {
    async fn start() -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("delivery");
        remove_directories_of_ended_processes(&root);
        let directory = root.join(std::process::id().to_string());
        let clickhouse = LocalClickHouse::start(options(&directory)).await.expect("`make engines` fetches ClickHouse");
        let proxy = FaultProxy::start(clickhouse.url()).await;
        let kafka = tokio::task::spawn_blocking(ApacheKafka::start_secure).await.unwrap();
        let users = clickhouse.users().clone();
        Self { kafka, proxy, users, clickhouse, frozen: None }
    }

    /// ClickHouse itself, past the proxy.
    pub fn clickhouse_url(&self) -> &str {
        self.clickhouse.url()
    }

    /// Kills ClickHouse as a crash would; its supervisor starts it again on the same port.
    pub async fn kill_clickhouse(&mut self) {
        self.thaw_clickhouse();
        signal(self.clickhouse_pid().await, libc::SIGKILL);
    }

    /// Stops ClickHouse from running, connections and all, until it is thawed.
    pub async fn freeze_clickhouse(&mut self) {
        let pid = self.clickhouse_pid().await;
        signal(pid, libc::SIGSTOP);
        self.frozen = Some(pid);
    }

    /// Lets it run on.
    pub fn thaw_clickhouse(&mut self) {
        if let Some(pid) = self.frozen.take() {
            signal(pid, libc::SIGCONT);
        }
    }

    /// Starts Kafka again after a kill.
    pub fn start_kafka_again(&mut self) {
        // Blocks this thread for seconds; the other one serves the proxy meanwhile.
        tokio::task::block_in_place(|| self.kafka.start_again());
    }

    /// Ends every fault.
    pub async fn heal(&mut self) {
        self.thaw_clickhouse();
        self.proxy.set(Inserts::Pass);
        if !self.kafka.runs() {
            self.start_kafka_again();
        }
        self.clickhouse_pid().await;
    }

    /// The process id, once it runs.
    async fn clickhouse_pid(&self) -> u32 {
        let state = self.clickhouse.state();
        until("clickhouse runs", async || match &*state.borrow() {
            EngineState::Running { pid, .. } => Some(*pid),
            _ => None,
        })
        .await
    }
}

/// Nothing runs when a test binary ends, so the next run tidies up after it.
fn remove_directories_of_ended_processes(root: &Path) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        if !Path::new("/proc").join(entry.file_name()).exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
