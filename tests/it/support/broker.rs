//! A broker of its own for each test, and a look into its topics.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use floodmark::config::{KafkaConfig, Span};
use floodmark::local::broker::DemoBroker;
use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A broker with the input topics and the dead-letter topic; it ends with the test.
pub struct TestBroker {
    pub broker: DemoBroker,
    pub kafka: KafkaConfig,
    _log: tempfile::TempDir,
}

/// A message of a topic.
pub struct Stored {
    pub offset: i64,
    pub body: Vec<u8>,
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
        let consumer = self.looker();
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
        let partitions: Vec<i32> = metadata.topics()[0].partitions().iter().map(|partition| partition.id()).collect();
        assert!(partitions.is_sorted(), "{partitions:?}");
        partitions.iter().map(|partition| partition_contents(&consumer, topic, *partition)).collect()
    }

    fn looker(&self) -> BaseConsumer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.kafka.brokers).set("group.id", "a-test-that-looks");
        config.set("enable.auto.commit", "false").set("enable.partition.eof", "true").create().unwrap()
    }

    /// Reads `count` messages of one partition from its start: key and value.
    #[allow(clippy::disallowed_methods)] // A deadline takes a clock.
    pub fn read(&self, topic: &str, partition: i32, count: usize) -> Vec<(String, Vec<u8>)> {
        let consumer = self.looker();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let mut messages = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while messages.len() < count {
            assert!(Instant::now() < deadline, "{} of {count} messages in {topic}[{partition}]", messages.len());
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                let key = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
                messages.push((key, message.payload().unwrap_or_default().to_vec()));
            }
        }
        messages
    }
}

#[allow(clippy::disallowed_methods)] // A deadline takes a clock.
fn partition_contents(consumer: &BaseConsumer, topic: &str, partition: i32) -> Vec<Stored> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let mut messages: Vec<Stored> = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "no end after {} messages in {topic}[{partition}]", messages.len());
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                assert_eq!(message.partition(), partition);
                let body = message.payload().unwrap_or_default().to_vec();
                messages.push(Stored { offset: message.offset(), body });
            }
            Some(Err(KafkaError::PartitionEOF(ended))) if ended == partition => return messages,
            Some(Err(_)) | None => {}
        }
    }
}
