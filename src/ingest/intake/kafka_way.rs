//! With Kafka: events are sent to the input topics as native JSON, and are safe once the broker has all of a submission.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use tokio::sync::mpsc;

use super::desk::TicketId;
use crate::config::{HttpConfig, KafkaConfig};
use crate::ingest::client;
use crate::model::{Event, RejectionCode, RejectionReason};

/// A record that the broker does not take within this time has failed.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);
/// While the client's queue is full, it is tried again this often …
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(10);
/// … and so many times. The queue is larger than all that may be pending, so this is for events that grew on their way.
const QUEUE_FULL_TRIES: u32 = 200;
/// Submissions whose fate the client has told and the task has not yet heard: as many as may be pending.
const OUTCOMES_BOUND: usize = 10_000;
/// Every so many records others get their turn on the runtime.
const YIELD_EVERY: usize = 500;
/// Records in the client's queue.
const QUEUE_RECORDS_MAX: u32 = 1_000_000;
/// Events as JSON may take this many times the bytes that were pending for them.
const QUEUE_BYTES_FACTOR: usize = 4;

/// What became of a submission: whether the broker has all of it.
pub(super) type Outcome = (TicketId, bool);

/// Counts the records of a submission.
struct Delivery {
    ticket: TicketId,
    /// Records without an answer, and one more while records are still being sent.
    left: AtomicUsize,
    failed: AtomicBool,
    outcomes: mpsc::Sender<Outcome>,
}

impl Delivery {
    fn one_less(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let taken = !self.failed.load(Ordering::Acquire);
            // There are no more submissions than there is room; the task is gone only at the end.
            let _ = self.outcomes.try_send((self.ticket, taken));
        }
    }
}

struct Deliveries;

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Delivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivery: Arc<Delivery>) {
        if let Err((error, _)) = result {
            tracing::debug!(%error, "a record over HTTP was not taken by kafka");
            delivery.failed.store(true, Ordering::Release);
        }
        delivery.one_less();
    }
}

/// The way into Kafka.
pub(super) struct KafkaWay {
    kafka: KafkaConfig,
    queue_bytes: usize,
    producer: ThreadedProducer<Deliveries>,
    outcomes: (mpsc::Sender<Outcome>, mpsc::Receiver<Outcome>),
}

impl std::fmt::Debug for KafkaWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaWay").field("brokers", &self.kafka.brokers).finish_non_exhaustive()
    }
}

fn producer(kafka: &KafkaConfig, queue_bytes: usize) -> Result<ThreadedProducer<Deliveries>, KafkaError> {
    let mut config = client::base_config(kafka);
    for (name, value) in [
        ("linger.ms", "5"),
        // The same key always goes to the same partition, for every client that hashes as Java's does.
        ("partitioner", "murmur2_random"),
    ] {
        client::default_to(&mut config, name, value);
    }
    client::idempotent(&mut config);
    config
        .set("allow.auto.create.topics", "false")
        .set("queue.buffering.max.messages", QUEUE_RECORDS_MAX.to_string())
        .set("queue.buffering.max.kbytes", (queue_bytes / 1_024).clamp(1_024, i32::MAX as usize).to_string())
        .set("message.timeout.ms", DELIVERY_TIMEOUT.as_millis().to_string());
    config.create_with_context(Deliveries)
}

impl KafkaWay {
    pub(super) fn new(kafka: &KafkaConfig, http: &HttpConfig) -> Result<Self, KafkaError> {
        let queue_bytes = http.pending_bytes_max.as_usize().saturating_mul(QUEUE_BYTES_FACTOR);
        let producer = producer(kafka, queue_bytes)?;
        Ok(Self { kafka: kafka.clone(), queue_bytes, producer, outcomes: mpsc::channel(OUTCOMES_BOUND) })
    }

    /// Sends the events of a submission and gives those that cannot be sent, by place. [`KafkaWay::next`] tells when the
    /// broker has the others.
    pub(super) async fn take(&mut self, ticket: TicketId, events: &[Event]) -> Vec<(usize, RejectionReason)> {
        self.renew_after_fatal_error();
        let mut refused = Vec::new();
        let delivery = Arc::new(Delivery {
            ticket,
            left: AtomicUsize::new(1),
            failed: AtomicBool::new(false),
            outcomes: self.outcomes.0.clone(),
        });
        for (place, event) in events.iter().enumerate() {
            if place % YIELD_EVERY == YIELD_EVERY - 1 {
                tokio::task::yield_now().await;
            }
            let Some((topic, key)) = self.target(event) else {
                refused.push((place, watermark_refused()));
                continue;
            };
            // An event always has a JSON form, and a vector takes every write.
            let body = serde_json::to_vec(event).unwrap_or_default();
            match self.send(topic, key, &body, &delivery).await {
                Ok(()) => {}
                Err(KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge)) => {
                    refused.push((place, too_long(body.len())));
                }
                Err(error) => {
                    tracing::debug!(%error, "a record over HTTP cannot be sent to kafka");
                    delivery.failed.store(true, Ordering::Release);
                    break;
                }
            }
        }
        delivery.one_less();
        refused
    }

    /// Topic and key of an event, as every producer of ours has them. A watermark has none: what one sender promises
    /// says nothing of the others in its partition.
    fn target<'e>(&self, event: &'e Event) -> Option<(&str, &'e str)> {
        let topics = &self.kafka.topics;
        match event {
            Event::Request(request) => Some((&topics.requests, &request.subscription)),
            Event::Signal(signal) => Some((&topics.signals, &signal.source)),
            Event::Change(change) => Some((&topics.changes, &change.service)),
            Event::Query(query) => Some((&topics.signals, &query.node)),
            Event::Watermark(_) => None,
        }
    }

    async fn send(&self, topic: &str, key: &str, body: &[u8], delivery: &Arc<Delivery>) -> Result<(), KafkaError> {
        let mut tries = 0;
        loop {
            delivery.left.fetch_add(1, Ordering::AcqRel);
            let record = BaseRecord::with_opaque_to(topic, Arc::clone(delivery)).key(key).payload(body);
            let Err((error, _)) = self.producer.send(record) else { return Ok(()) };
            // It was not taken over, so no answer will come for it.
            delivery.left.fetch_sub(1, Ordering::AcqRel);
            let is_full = matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
            tries += 1;
            if !is_full || tries > QUEUE_FULL_TRIES {
                return Err(error);
            }
            tokio::time::sleep(QUEUE_FULL_WAIT).await;
        }
    }

    /// An idempotent producer that lost its place cannot go on; a new one can. What the old one had is answered as failed.
    fn renew_after_fatal_error(&mut self) {
        let Some((code, reason)) = self.producer.client().fatal_error() else { return };
        match producer(&self.kafka, self.queue_bytes) {
            Ok(producer) => {
                tracing::warn!(%code, reason, "the kafka producer for records over HTTP was made anew");
                self.producer = producer;
            }
            Err(error) => tracing::error!(%error, "the kafka producer for records over HTTP cannot be made anew"),
        }
    }

    /// The next submission whose fate is known. May be dropped at any point.
    pub(super) async fn next(&mut self) -> Option<Outcome> {
        self.outcomes.1.recv().await
    }
}

fn watermark_refused() -> RejectionReason {
    let message = "a watermark cannot be sent over HTTP while Kafka is configured".to_owned();
    RejectionReason { code: RejectionCode::UnknownType, field: Some("type"), message }
}

fn too_long(bytes: usize) -> RejectionReason {
    let message = format!("{bytes} bytes as native JSON, more than a Kafka message may have (message.max.bytes)");
    RejectionReason { code: RejectionCode::TooLong, field: None, message }
}
