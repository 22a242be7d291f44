//! Events and raw lines into Kafka: for `floodmark ingest` and `floodmark simulate`.
//!
//! In flight is bounded; when the bound is reached, sending waits. Order inside a partition is kept even over retries
//! (idempotent producer), so a watermark never overtakes a record sent before it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use super::client;
use super::dead_letters::DeadLetter;
use crate::config::{KafkaConfig, TopicsConfig};
use crate::model::{DurationMs, Event, Timestamp};

/// How long the broker may take to tell a topic's partitions.
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);
/// While the queue is full, answers are taken this long at a time.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(10);
/// A record that the broker does not take within this time has failed.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(60);
/// Every so many records the broker's answers are taken.
const POLL_EVERY: u64 = 256;

/// When watermarks are sent by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatermarkPolicy {
    /// Every this much of event time.
    pub every_ms: DurationMs,
    /// How far out of order the source may be: a watermark promises nothing younger than newest − this.
    pub out_of_order_ms: DurationMs,
}

impl WatermarkPolicy {
    /// Every 5 s of event time, for a source that is out of order by at most `out_of_order_ms`.
    #[must_use]
    pub const fn every_five_seconds(out_of_order_ms: DurationMs) -> Self {
        Self { every_ms: 5_000, out_of_order_ms }
    }
}

/// What became of what was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProducerCounts {
    /// Records taken in, watermarks and dead letters included.
    pub sent: u64,
    /// Records acknowledged by the broker.
    pub acknowledged: u64,
    /// Records that failed for good.
    pub failed: u64,
    /// Of those sent: watermark records (one a partition each time).
    pub watermarks: u64,
}

/// Sending is not possible.
#[derive(Debug, thiserror::Error)]
pub enum ProducerError {
    /// The client says no.
    #[error("kafka: {0}")]
    Client(String),
    /// A record is longer than Kafka messages may be (`message.max.bytes`).
    #[error("kafka: a record of {0} bytes is longer than a message may be (message.max.bytes)")]
    TooLong(usize),
    /// A topic does not exist.
    #[error("kafka: topic {0} does not exist; create it first (see `kafka.topics` for the names)")]
    TopicMissing(String),
    /// Brokers did not answer.
    #[error("kafka: no answer from {brokers}: {reason}")]
    NoAnswer {
        /// As configured.
        brokers: String,
        /// What the client says.
        reason: String,
    },
    /// Records were not taken.
    #[error("kafka: {failed} records were not taken by the broker; the last one because: {reason}")]
    Failed {
        /// How many.
        failed: u64,
        /// Why the last one was not.
        reason: String,
    },
}

/// As text: the client's errors repeat themselves when they are printed with their causes.
impl From<KafkaError> for ProducerError {
    fn from(error: KafkaError) -> Self {
        Self::Client(error.to_string())
    }
}

/// Sends events to the input topics.
pub struct EventProducer {
    producer: BaseProducer<Deliveries>,
    topics: TopicsConfig,
    partitions: [i32; 3],
    policy: Option<WatermarkPolicy>,
    newest: Option<Timestamp>,
    next_watermark: Option<Timestamp>,
    sent: u64,
    watermarks: u64,
}

impl EventProducer {
    /// Connects and learns the topics' partitions. With a `policy`, watermarks are sent by themselves.
    ///
    /// # Errors
    /// Settings refused, no broker, or a topic is missing.
    pub fn new(kafka: &KafkaConfig, policy: Option<WatermarkPolicy>) -> Result<Self, ProducerError> {
        let mut config = client::base_config(kafka);
        for (name, value) in [
            ("linger.ms", "5"),
            ("queue.buffering.max.messages", "100000"),
            ("queue.buffering.max.kbytes", "65536"),
            // The same key always goes to the same partition, for every client that hashes as Java's does.
            ("partitioner", "murmur2_random"),
        ] {
            client::default_to(&mut config, name, value);
        }
        client::idempotent(&mut config);
        config.set("message.timeout.ms", DELIVERY_TIMEOUT.as_millis().to_string());
        let producer: BaseProducer<Deliveries> = config.create_with_context(Deliveries::default())?;
        // All topics at once: asking for one by name would create it on some brokers, with who knows how many partitions.
        let metadata = producer
            .client()
            .fetch_metadata(None, METADATA_TIMEOUT)
            .map_err(|error| ProducerError::NoAnswer { brokers: kafka.brokers.clone(), reason: error.to_string() })?;
        let mut partitions = [0; 3];
        for (count, topic) in partitions.iter_mut().zip(kafka.topics.inputs()) {
            *count = partition_count(&metadata, topic)?;
        }
        partition_count(&metadata, &kafka.topics.dead_letters)?;
        let topics = kafka.topics.clone();
        Ok(Self { producer, topics, partitions, policy, newest: None, next_watermark: None, sent: 0, watermarks: 0 })
    }

    /// Sends an event as native JSON to the topic of its kind, keyed by subscription, source, service or node. A watermark
    /// goes to every partition.
    ///
    /// # Errors
    /// The client says no.
    pub fn send_event(&mut self, event: &Event) -> Result<(), ProducerError> {
        if let Event::Watermark(timestamp) = event {
            return self.send_watermark_everywhere(*timestamp);
        }
        // An event always has a JSON form, and a vector takes every write.
        let body = serde_json::to_vec(event).unwrap_or_default();
        self.send_raw_event(event, &body)
    }

    /// Sends `body`, which decodes to `event` (and perhaps to further ones), to the topic of the event's kind.
    ///
    /// # Errors
    /// The client says no.
    pub fn send_raw_event(&mut self, event: &Event, body: &[u8]) -> Result<(), ProducerError> {
        let (topic, key) = match event {
            Event::Request(request) => (self.topics.requests.clone(), request.subscription.as_str()),
            Event::Signal(signal) => (self.topics.signals.clone(), signal.source.as_str()),
            Event::Change(change) => (self.topics.changes.clone(), change.service.as_str()),
            Event::Query(query) => (self.topics.signals.clone(), query.node.as_str()),
            Event::Watermark(timestamp) => return self.send_watermark_everywhere(*timestamp),
        };
        self.send_raw(&topic, Some(key), body)?;
        self.observe(event.timestamp())
    }

    /// Sends bytes as they are. Records with the same key go to the same partition.
    ///
    /// # Errors
    /// The client says no.
    pub fn send_raw(&mut self, topic: &str, key: Option<&str>, body: &[u8]) -> Result<(), ProducerError> {
        let mut record = BaseRecord::<str, [u8]>::to(topic).payload(body);
        if let Some(key) = key {
            record = record.key(key);
        }
        self.send(record)
    }

    /// Sends a dead letter.
    ///
    /// # Errors
    /// The client says no.
    pub fn send_dead_letter(&mut self, letter: &DeadLetter<'_>) -> Result<(), ProducerError> {
        let (key, body) = letter.encode();
        let topic = self.topics.dead_letters.clone();
        self.send_raw(&topic, Some(&key), &body)
    }

    /// Promises, in every partition of every input topic, that no record before `timestamp` will follow.
    ///
    /// # Errors
    /// The client says no.
    pub fn send_watermark_everywhere(&mut self, timestamp: Timestamp) -> Result<(), ProducerError> {
        let body = serde_json::to_vec(&Event::Watermark(timestamp)).unwrap_or_default();
        let topics = self.topics.clone();
        for (topic, partitions) in topics.inputs().into_iter().zip(self.partitions) {
            for partition in 0..partitions {
                self.send(BaseRecord::<str, [u8]>::to(topic).partition(partition).payload(&body))?;
                self.watermarks += 1;
            }
        }
        Ok(())
    }

    /// The newest event time sent.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// Records sent and answered so far.
    #[must_use]
    pub fn counts(&self) -> ProducerCounts {
        let deliveries = self.producer.context();
        ProducerCounts {
            sent: self.sent,
            acknowledged: deliveries.acknowledged.load(Ordering::Relaxed),
            failed: deliveries.failed.load(Ordering::Relaxed),
            watermarks: self.watermarks,
        }
    }

    /// Waits until everything is acknowledged.
    ///
    /// # Errors
    /// A record failed; nothing is waited for longer than the delivery timeout.
    pub fn flush(&mut self) -> Result<ProducerCounts, ProducerError> {
        self.producer.flush(DELIVERY_TIMEOUT + Duration::from_secs(5))?;
        let counts = self.counts();
        if counts.failed > 0 {
            let reason = self.producer.context().last_error();
            return Err(ProducerError::Failed { failed: counts.failed, reason });
        }
        Ok(counts)
    }

    fn observe(&mut self, timestamp: Timestamp) -> Result<(), ProducerError> {
        let newest = self.newest.map_or(timestamp, |newest| newest.max(timestamp));
        self.newest = Some(newest);
        let Some(policy) = self.policy else { return Ok(()) };
        let next = *self.next_watermark.get_or_insert_with(|| newest.plus(policy.every_ms));
        if newest < next {
            return Ok(());
        }
        self.next_watermark = Some(newest.plus(policy.every_ms));
        self.send_watermark_everywhere(newest.plus(-policy.out_of_order_ms))
    }

    fn send(&mut self, mut record: BaseRecord<'_, str, [u8]>) -> Result<(), ProducerError> {
        self.sent += 1;
        if self.sent.is_multiple_of(POLL_EVERY) {
            self.producer.poll(Duration::ZERO);
        }
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                // Bounded in time: what the broker does not take leaves the queue at the delivery timeout.
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    self.producer.poll(QUEUE_FULL_WAIT);
                    record = back;
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), back)) => {
                    return Err(ProducerError::TooLong(back.payload.map_or(0, <[u8]>::len)));
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }
}

fn partition_count(metadata: &Metadata, topic: &str) -> Result<i32, ProducerError> {
    let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
    match found.map(|found| found.partitions().len()) {
        None | Some(0) => Err(ProducerError::TopicMissing(topic.to_owned())),
        Some(count) => Ok(i32::try_from(count).unwrap_or(i32::MAX)),
    }
}

#[derive(Default)]
struct Deliveries {
    acknowledged: AtomicU64,
    failed: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl Deliveries {
    fn last_error(&self) -> String {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => self.acknowledged.fetch_add(1, Ordering::Relaxed),
            Err((error, _)) => {
                *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
                self.failed.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::Message;
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::mocking::MockCluster;
    use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;

    #[test]
    fn a_first_request_that_is_refused_while_the_next_is_taken_is_not_lost() {
        const RECORDS: usize = 20;
        let broker = MockCluster::new(1).unwrap();
        let mut kafka = KafkaConfig { brokers: broker.bootstrap_servers(), ..KafkaConfig::default() };
        for topic in kafka.topics.inputs().into_iter().chain([kafka.topics.dead_letters.as_str()]) {
            broker.create_topic(topic, 1, 1).unwrap();
        }
        // A request a record, and time for several of them under way.
        for (name, value) in [("batch.num.messages", "1"), ("linger.ms", "0"), ("max.in.flight", "5")] {
            kafka.properties.insert(name.to_owned(), value.to_owned());
        }
        let mut producer = EventProducer::new(&kafka, None).unwrap();
        broker.broker_round_trip_time(1, Duration::from_millis(50)).unwrap();
        broker.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION]);
        let sent: Vec<String> = (0..RECORDS).map(|number| number.to_string()).collect();
        for body in &sent {
            producer.send_raw(&kafka.topics.requests, None, body.as_bytes()).unwrap();
        }
        assert_eq!(producer.flush().unwrap().acknowledged, RECORDS as u64);

        let consumer: BaseConsumer =
            client::base_config(&kafka).set("group.id", "test").set("enable.partition.eof", "true").create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&kafka.topics.requests, 0, Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let mut found = Vec::new();
        loop {
            match consumer.poll(Duration::from_secs(20)).expect("the end of the partition is told") {
                Ok(message) => found.push(String::from_utf8(message.payload().unwrap().to_vec()).unwrap()),
                Err(KafkaError::PartitionEOF(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(found, sent);
    }
}
