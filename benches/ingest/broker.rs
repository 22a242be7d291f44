//! The broker: Apache Kafka where `make engine-kafka` has fetched it, else the demo broker.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use floodmark::config::TopicsConfig;
use floodmark::local::broker::DemoBroker;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;

use crate::PARTITIONS;
use crate::contender::now;
use crate::process::{Running, child_with};

/// How long a broker may take to start.
const START_MAX: Duration = Duration::from_secs(90);

/// A broker with the topics; it ends with this value.
pub enum Broker {
    Demo(DemoBroker),
    Kafka { process: Running, address: String },
}

impl Broker {
    /// Starts it. `FLOODMARK_BENCH_BROKER=demo` takes the demo broker even where Kafka is.
    pub async fn start(root: &Path, directory: &Path) -> anyhow::Result<Self> {
        let jars = root.join(".local/engines/kafka/lib");
        let wants_demo = std::env::var("FLOODMARK_BENCH_BROKER").is_ok_and(|wanted| wanted == "demo");
        let broker = if jars.is_dir() && !wants_demo {
            kafka(&jars, directory).await?
        } else {
            Self::Demo(DemoBroker::start(&root.join(".local/engines/tansu"), &directory.join("broker.log"))?)
        };
        let topics = TopicsConfig::default();
        let new = [
            (topics.requests.as_str(), PARTITIONS),
            (&topics.signals, 1),
            (&topics.changes, 1),
            (&topics.dead_letters, 1),
        ]
        .map(|(name, partitions)| NewTopic::new(name, partitions, TopicReplication::Fixed(1)));
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", broker.address()).create()?;
        for created in admin.create_topics(&new, &AdminOptions::new().operation_timeout(Some(START_MAX))).await? {
            created.map_err(|(topic, code)| anyhow::anyhow!("topic {topic}: {code}"))?;
        }
        Ok(broker)
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        match self {
            Self::Demo(broker) => broker.address(),
            Self::Kafka { address, .. } => address,
        }
    }

    pub fn pid(&self) -> anyhow::Result<u32> {
        match self {
            Self::Demo(_) => child_with("tansu").context("the broker's process is not found"),
            Self::Kafka { process, .. } => Ok(process.pid()),
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Demo(_) => "the demo broker (in memory)",
            Self::Kafka { .. } => "Apache Kafka",
        }
    }
}

async fn kafka(jars: &Path, directory: &Path) -> anyhow::Result<Broker> {
    // Both are held until both are known, so that they differ.
    let listeners = [TcpListener::bind(("127.0.0.1", 0))?, TcpListener::bind(("127.0.0.1", 0))?];
    let [port, controller] = [listeners[0].local_addr()?.port(), listeners[1].local_addr()?.port()];
    drop(listeners);
    let properties = directory.join("server.properties");
    let text = include_str!("kafka.properties")
        .replace("{port}", &port.to_string())
        .replace("{controller}", &controller.to_string())
        .replace("{directory}", &directory.display().to_string());
    std::fs::write(&properties, text)?;
    let java = || {
        let mut command = Command::new("java");
        command.args(["-Xms512m", "-Xmx512m", "-cp"]).arg(jars.join("*"));
        command
    };
    let formatted = java()
        .args(["kafka.tools.StorageTool", "format", "-t", "AAAAAAAAQACAAAAAAAAAAA", "-c"])
        .arg(&properties)
        .output()
        .context("java cannot be started")?;
    anyhow::ensure!(formatted.status.success(), "kafka: {}", String::from_utf8_lossy(&formatted.stderr));
    let process = Running::start(java().arg("kafka.Kafka").arg(&properties), &directory.join("broker.log"))?;
    let address = format!("127.0.0.1:{port}");
    let started = now();
    while std::net::TcpStream::connect(&address).is_err() {
        anyhow::ensure!(now().duration_since(started) < START_MAX, "kafka does not listen");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(Broker::Kafka { process, address })
}
