//! Where reading of partitions begins that were just assigned.
//!
//! As a rule that is what was committed. After a start of the process detection knows nothing: it reads `kafka.warm_up` of
//! the log again, which storage has already, and is then where it would be without the restart.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::topic_partition_list::{Offset as ListOffset, TopicPartitionList};

use super::super::intent::PROBE_OFFSET;
use super::partitions::Key;
use super::worker::Worker;
use crate::clock;
use crate::model::Offset;

/// How long the broker may take to answer a question.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where reading begins.
pub(super) struct Beginnings {
    /// The partitions, with an offset where it is not the committed one.
    pub(super) list: TopicPartitionList,
    /// Partitions that are read from before the committed offset, and that offset.
    pub(super) warm_through: BTreeMap<Key, Offset>,
}

impl Worker {
    /// Where the partitions of `list` are read from. Without an answer of the broker the client finds out by itself.
    pub(super) fn beginnings(&self, list: &TopicPartitionList) -> Beginnings {
        let mut beginnings = Beginnings { list: list.clone(), warm_through: BTreeMap::new() };
        let Ok(committed) = self.consumer.committed_offsets(list.clone(), PATIENCE) else { return beginnings };
        let mut stored = Vec::new();
        for element in committed.elements() {
            match element.offset() {
                // Nothing but our own probe was ever committed.
                ListOffset::Offset(PROBE_OFFSET) => {
                    let begin = ListOffset::Beginning;
                    let _ = beginnings.list.set_partition_offset(element.topic(), element.partition(), begin);
                }
                ListOffset::Offset(offset) => stored.push((element.topic().to_owned(), element.partition(), offset)),
                _ => {}
            }
        }
        // Later the windows of that time are closed: what was read again would only be late.
        if self.has_begun || self.warm_up_ms == 0 || stored.is_empty() {
            return beginnings;
        }
        let since_ms = clock::now().as_millis() - self.warm_up_ms;
        let mut asked = TopicPartitionList::new();
        for (topic, partition, _) in &stored {
            // Only an invalid offset is refused, and times after 1970 are valid.
            let _ = asked.add_partition_offset(topic, *partition, ListOffset::Offset(since_ms));
        }
        let found = match self.consumer.offsets_for_times(asked, PATIENCE) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "the broker does not tell where to begin; detection starts cold");
                return beginnings;
            }
        };
        for (topic, partition, committed) in stored {
            let element = found.find_partition(&topic, partition);
            let Some(ListOffset::Offset(offset)) = element.map(|element| element.offset()) else { continue };
            if let Some(key) = self.partitions.key(&topic, partition).filter(|_| offset < committed)
                && beginnings.list.set_partition_offset(&topic, partition, ListOffset::Offset(offset)).is_ok()
            {
                beginnings.warm_through.insert(key, committed);
            }
        }
        beginnings
    }
}
