//! Members of one consumer group, each a service process with a configuration of its own.

use floodmark::config::{ClickHouseConfig, KafkaConfig, Span, StoreConfig};
use serde_json::Value;

use crate::support::service::{Service, Setup, signal};
use crate::world::World;

/// Memory a member may ever have had, in KiB: some times what the queues and batches of its small input take.
const RSS_KIB_MAX: u64 = 512 * 1024;

/// Lines of a member's log that a failing trial shows.
const MESSAGES_TOLD: [&str; 5] = [
    "partition assigned",
    "partition revoked",
    "storage goes on",
    "offsets cannot be committed before partitions are given away; ranges are stored again, once",
    "stage aborted at its deadline",
];

/// One member, running or not.
pub struct Member {
    setup: Setup,
    service: Option<Service>,
    frozen: bool,
    rss_kib_max: u64,
    told: Vec<String>,
}

impl Member {
    /// A member that does not run yet, on the engines of `world`.
    pub fn new(world: &World, kafka: &KafkaConfig, database: &str, clickhouse_timeout: Span) -> Self {
        let mut setup = Setup::new(Some(kafka));
        let password_file = setup.directory.path().join("clickhouse.password");
        std::fs::write(&password_file, &world.users.admin.password).unwrap();
        setup.config.clickhouse = ClickHouseConfig {
            url: Some(world.proxy.url.clone()),
            database: database.to_owned(),
            user: world.users.admin.user.to_owned(),
            password_file: Some(password_file),
            timeout: clickhouse_timeout,
            ..ClickHouseConfig::default()
        };
        // Many small batches: more moments at which a fault can hit.
        setup.config.store =
            StoreConfig { batch_records_max: 400, batch_age_max: Span::from_millis(200), ..StoreConfig::default() };
        Self { setup, service: None, frozen: false, rss_kib_max: 0, told: Vec::new() }
    }

    /// Reaches Kafka like this from its next start on.
    pub fn connect_by(&mut self, kafka: &KafkaConfig) {
        self.setup.config.kafka = Some(kafka.clone());
    }

    /// Starts it and waits until it serves.
    pub async fn start(&mut self) {
        if self.service.is_none() {
            self.service = Some(Service::start(&self.setup).await);
        }
    }

    /// Kills it as a crash would.
    pub fn kill_9(&mut self) {
        self.thaw();
        self.note_end();
        if let Some(service) = self.service.take() {
            service.kill_9();
        }
    }

    /// Asks it to stop, and waits until it has; what was wrong with that.
    pub async fn stop(&mut self) -> Option<String> {
        self.thaw();
        self.note_end();
        let mut service = self.service.take()?;
        let begun = tokio::time::Instant::now();
        let status = service.terminate().await;
        let ended_late = service.logged("stage aborted at its deadline");
        (!status.success())
            .then(|| format!("the ordered end failed after {:?}: {status}, {ended_late:?}", begun.elapsed()))
    }

    /// Stops it from running until it is thawed: a zombie, once the group has given its partitions away.
    pub fn freeze(&mut self) {
        if let Some(service) = &self.service {
            signal(service.pid(), libc::SIGSTOP);
            self.frozen = true;
        }
    }

    /// Lets it run on.
    pub fn thaw(&mut self) {
        if let Some(service) = self.service.as_ref().filter(|_| self.frozen) {
            signal(service.pid(), libc::SIGCONT);
        }
        self.frozen = false;
    }

    /// Runs another command with its configuration: whether it succeeded, and everything it said.
    pub async fn command(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.setup.output(arguments).await;
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said.into_owned())
    }

    /// What is wrong with how much memory it took.
    pub fn memory_problem(&self) -> Option<String> {
        let mib = self.rss_kib_max / 1024;
        eprintln!("  a member took at most {mib} MiB");
        (self.rss_kib_max > RSS_KIB_MAX).then(|| format!("a member took {mib} MiB of memory"))
    }

    /// Which ranges it took over and what it gave away, in each of its lives: what a failing trial shows.
    pub fn told(&self) -> &[String] {
        &self.told
    }

    /// Before its end: how much memory it took, and what it logged about its partitions.
    fn note_end(&mut self) {
        let Some(service) = &self.service else { return };
        let status = std::fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        self.rss_kib_max = self.rss_kib_max.max(kib.unwrap_or(0));
        let lines = MESSAGES_TOLD.iter().flat_map(|message| service.logged(message));
        let of_requests = |line: &Value| line["topic_partition"].as_str().is_none_or(|of| of.contains(".requests"));
        let mut lines: Vec<String> = lines.filter(of_requests).map(|line| told(&line)).collect();
        lines.sort();
        self.told.append(&mut lines);
    }
}

/// Time first, so that lines sort by it.
fn told(line: &Value) -> String {
    let fields = line.as_object().unwrap().iter();
    let fields = fields.filter(|(name, _)| !["timestamp", "level", "target", "message"].contains(&name.as_str()));
    let fields: Vec<String> = fields.map(|(name, value)| format!("{name}={value}")).collect();
    let text = |name: &str| line[name].as_str().unwrap_or_default();
    format!("{} {} {}", text("timestamp"), text("message"), fields.join(" "))
}
