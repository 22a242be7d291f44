//! What is in a topic, read with a consumer that belongs to nobody's group.

use std::time::{Duration, Instant};

use floodmark::config::KafkaConfig;
use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A message of a topic.
pub struct Stored {
    pub offset: i64,
    pub body: Vec<u8>,
}

/// Everything in a topic, by partition.
pub fn contents(kafka: &KafkaConfig, topic: &str) -> Vec<Vec<Stored>> {
    let consumer = looker(kafka);
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let partitions: Vec<i32> = metadata.topics()[0].partitions().iter().map(|partition| partition.id()).collect();
    assert!(partitions.is_sorted(), "{partitions:?}");
    partitions.iter().map(|partition| partition_contents(&consumer, topic, *partition)).collect()
}

/// Reads `count` messages of one partition from its start: key and value.
#[allow(clippy::disallowed_methods)] // A deadline takes a clock.
pub fn read(kafka: &KafkaConfig, topic: &str, partition: i32, count: usize) -> Vec<(String, Vec<u8>)> {
    let consumer = looker(kafka);
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

fn looker(kafka: &KafkaConfig) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &kafka.brokers).set("group.id", "a-test-that-looks");
    config.set("enable.auto.commit", "false").set("enable.partition.eof", "true").create().unwrap()
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
