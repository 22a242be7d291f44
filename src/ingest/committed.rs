//! How far a consumer group has committed: for `floodmark ledger verify --committed`. No group is joined.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset as Position, TopicPartitionList};

use super::client;
use super::intent::PROBE_OFFSET;
use crate::config::KafkaConfig;
use crate::model::{Offset, TopicPartition};

/// Committed offsets cannot be told.
#[derive(Debug, thiserror::Error)]
#[error("kafka: cannot read the offsets that group {group} has committed on {brokers}: {reason}")]
pub struct CommittedError {
    group: String,
    brokers: String,
    reason: String,
}

/// The next offset that the group has committed of each partition of the input topics. Partitions without a commit, or with
/// one at their beginning, are left out. Blocks for up to `timeout` for each question.
///
/// # Errors
/// Settings refused, or no answer in time.
pub fn committed(kafka: &KafkaConfig, timeout: Duration) -> Result<Vec<(TopicPartition, Offset)>, CommittedError> {
    ask(kafka, timeout).map_err(|error| CommittedError {
        group: kafka.group.clone(),
        brokers: kafka.brokers.clone(),
        reason: error.to_string(),
    })
}

fn ask(kafka: &KafkaConfig, timeout: Duration) -> Result<Vec<(TopicPartition, Offset)>, KafkaError> {
    let mut config = client::base_config(kafka);
    config.set("group.id", &kafka.group).set("enable.auto.commit", "false").set("allow.auto.create.topics", "false");
    let consumer: BaseConsumer = config.create()?;
    // All topics at once: asking for one by name would create it on some brokers.
    let metadata = consumer.fetch_metadata(None, timeout)?;
    let inputs = kafka.topics.inputs();
    let mut partitions = TopicPartitionList::new();
    for topic in metadata.topics().iter().filter(|topic| inputs.contains(&topic.name())) {
        for partition in topic.partitions() {
            partitions.add_partition(topic.name(), partition.id());
        }
    }
    let committed = consumer.committed_offsets(partitions, timeout)?;
    let known = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        let Position::Offset(offset) = element.offset() else { return None };
        if offset == PROBE_OFFSET {
            return None;
        }
        let topic_partition = TopicPartition { topic: Arc::from(element.topic()), partition: element.partition() };
        Some((topic_partition, offset))
    };
    let mut all = Vec::new();
    for (topic_partition, offset) in committed.elements().iter().filter_map(known) {
        // Before anything is stored, the beginning of the partition is committed.
        let (begins, _) = consumer.fetch_watermarks(&topic_partition.topic, topic_partition.partition, timeout)?;
        if offset > begins {
            all.push((topic_partition, offset));
        }
    }
    Ok(all)
}
