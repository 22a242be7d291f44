//! Where a record came from: a Kafka topic, partition and offset.

use std::sync::Arc;

/// Partition number, as Kafka counts them.
pub type Partition = i32;
/// Offset inside a partition, as Kafka counts them.
pub type Offset = i64;

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Topic name, shared by all its records.
    pub topic: Arc<str>,
    /// Partition number.
    pub partition: Partition,
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}
