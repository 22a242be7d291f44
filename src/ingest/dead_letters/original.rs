//! Reads single records from where they were refused, and the settings of every consumer that only looks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset as Position, TopicPartitionList};
use rdkafka::{ClientContext, Message};

use super::super::client;
use super::reader::LettersError;
use crate::config::KafkaConfig;
use crate::model::{Offset, TopicPartition};

/// A broker that says nothing for this long is away.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Messages are waited for this long at a time.
pub(super) const POLL: Duration = Duration::from_millis(100);
/// A record that does not come within this is not there: the demo broker does not say that an offset is beyond the end.
const ORIGINAL_PATIENCE: Duration = Duration::from_secs(5);

/// Reads single records from where they were refused.
pub(super) struct OriginalReader {
    kafka: KafkaConfig,
    /// A consumer of the partition that was asked for last.
    open: Option<(TopicPartition, BaseConsumer<Quiet>)>,
}

impl OriginalReader {
    pub(super) fn new(kafka: &KafkaConfig) -> Self {
        Self { kafka: kafka.clone(), open: None }
    }

    /// The record at an offset, if it is still there.
    pub(super) fn read(
        &mut self,
        topic: &str,
        partition: i32,
        offset: Offset,
    ) -> Result<Option<Vec<u8>>, LettersError> {
        let place = TopicPartition { topic: Arc::from(topic), partition };
        let consumer = match self.open.take() {
            Some((open, consumer)) if open == place => {
                consumer.seek(topic, partition, Position::Offset(offset), SILENCE_MAX)?;
                consumer
            }
            _ => {
                let consumer = reading_consumer(&self.kafka)?;
                assign(&consumer, topic, partition, Position::Offset(offset))?;
                consumer
            }
        };
        let found = read_at(&consumer, offset)?;
        // After a mistake the consumer's position is uncertain: the next one begins anew.
        self.open = found.is_some().then_some((place, consumer));
        Ok(found)
    }
}

fn read_at(consumer: &BaseConsumer<Quiet>, offset: Offset) -> Result<Option<Vec<u8>>, LettersError> {
    let asked = now();
    loop {
        match consumer.poll(POLL) {
            Some(Ok(message)) if message.offset() == offset => {
                return Ok(Some(message.payload().unwrap_or_default().to_vec()));
            }
            // A later one: retention has removed it. None: the topic is not the one it was.
            Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => return Ok(None),
            Some(Err(error)) if is_absence(&error) => return Ok(None),
            Some(Err(_)) | None if now().duration_since(asked) < ORIGINAL_PATIENCE => {}
            Some(Err(error)) => return Err(error.into()),
            None => return Ok(None),
        }
    }
}

/// Nothing is at that place.
fn is_absence(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        AutoOffsetReset, OffsetOutOfRange, UnknownPartition, UnknownTopic, UnknownTopicOrPartition,
    };
    let code = error.rdkafka_error_code();
    matches!(code, Some(AutoOffsetReset | OffsetOutOfRange | UnknownPartition | UnknownTopic | UnknownTopicOrPartition))
}

/// The library's log goes where ours goes, and its errors to whoever asked.
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, "kafka client: {reason}");
    }
}

impl ConsumerContext for Quiet {}

/// A consumer that joins no group and commits nothing.
pub(super) fn reading_consumer(kafka: &KafkaConfig) -> Result<BaseConsumer<Quiet>, LettersError> {
    let mut config = client::base_config(kafka);
    for (name, value) in [("queued.max.messages.kbytes", "16384"), ("fetch.wait.max.ms", "100")] {
        client::default_to(&mut config, name, value);
    }
    config
        // The library wants a name; no group is joined and nothing is committed.
        .set("group.id", format!("{}.dead-letters", kafka.group))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        .set("allow.auto.create.topics", "false")
        // A replay that was not finished is none.
        .set("isolation.level", "read_committed");
    Ok(config.create_with_context(Quiet)?)
}

/// Reads one partition from there.
pub(super) fn assign(
    consumer: &BaseConsumer<Quiet>,
    topic: &str,
    partition: i32,
    from: Position,
) -> Result<(), LettersError> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, from)?;
    Ok(consumer.assign(&list)?)
}

#[allow(clippy::disallowed_methods)] // A deadline takes a clock.
pub(super) fn now() -> Instant {
    Instant::now()
}
