//! A broker of its own for each test.

use std::path::{Path, PathBuf};

use floodmark::config::{KafkaConfig, Span};
use floodmark::local::broker::DemoBroker;

pub use super::topics::PATIENCE;
use super::topics::{self, Stored};

/// A broker with the input topics and the dead-letter topic; it ends with the test.
pub struct TestBroker {
    pub broker: DemoBroker,
    pub kafka: KafkaConfig,
    _log: tempfile::TempDir,
}

/// The demo broker's binary. It is required: a test without it fails, it is not skipped.
pub fn binary() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".local/engines/tansu")
}

impl TestBroker {
    /// A broker with `partitions` partitions of requests, two of signals and one of changes.
    pub async fn start(partitions: i32) -> Self {
        let this = Self::without_topics();
        let topics = &this.kafka.topics;
        this.broker
            .create_topics(&[
                (&topics.requests, partitions),
                (&topics.signals, 2),
                (&topics.changes, 1),
                (&topics.dead_letters, 1),
            ])
            .await
            .unwrap();
        this
    }

    /// A broker without topics.
    pub fn without_topics() -> Self {
        let log = tempfile::tempdir().unwrap();
        let broker = DemoBroker::start(&binary(), &log.path().join("broker.log")).unwrap();
        let kafka = KafkaConfig {
            brokers: broker.address().to_owned(),
            idle_timeout: Span::from_millis(500),
            properties: DemoBroker::client_properties(),
            ..KafkaConfig::default()
        };
        Self { broker, kafka, _log: log }
    }

    /// Everything in a topic, by partition.
    pub fn contents(&self, topic: &str) -> Vec<Vec<Stored>> {
        topics::contents(&self.kafka, topic)
    }

    /// Reads `count` messages of one partition from its start: key and value.
    pub fn read(&self, topic: &str, partition: i32, count: usize) -> Vec<(String, Vec<u8>)> {
        topics::read(&self.kafka, topic, partition, count)
    }
}
