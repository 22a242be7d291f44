//! A Kafka of its own for each of the ingest tests, which run here as they are.

use std::path::PathBuf;

use floodmark::config::{KafkaConfig, Span};

use super::kafka::{ApacheKafka, client_properties};
use super::topics;
pub use super::topics::PATIENCE;

/// A broker with the input topics and the dead-letter topic; it ends with the test.
pub struct TestBroker {
    pub broker: ApacheKafka,
    pub kafka: KafkaConfig,
}

/// The demo broker's binary: no delivery test starts it.
pub fn binary() -> PathBuf {
    PathBuf::new()
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
        let broker = ApacheKafka::start();
        let kafka = KafkaConfig {
            brokers: broker.address(),
            idle_timeout: Span::from_millis(500),
            properties: client_properties(),
            ..KafkaConfig::default()
        };
        Self { broker, kafka }
    }

    /// Reads `count` messages of one partition from its start: key and value.
    pub fn read(&self, topic: &str, partition: i32, count: usize) -> Vec<(String, Vec<u8>)> {
        topics::read(&self.kafka, topic, partition, count)
    }
}
