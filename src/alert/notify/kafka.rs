//! Pages to a Kafka topic: the key is that of the page, so that all that is said of it stays in order.

use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;

use super::NotifyError;
use super::delivery::{Message, Outcome};
use crate::config::KafkaConfig;
use crate::kafka_client as client;

/// A topic, with a producer of its own.
#[derive(Clone)]
pub(super) struct Topic {
    producer: Producer,
    topic: String,
    /// `topic NAME`.
    pub name: String,
}

impl std::fmt::Debug for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// The client's log lines are ours.
#[derive(Clone)]
struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }
}

type Producer = FutureProducer<Context>;

impl Topic {
    /// # Errors
    /// The client refuses its settings.
    pub fn new(kafka: &KafkaConfig, topic: &str, timeout: Duration) -> Result<Self, NotifyError> {
        let mut config = client::base_config(kafka);
        client::idempotent(&mut config);
        config.set("message.timeout.ms", timeout.as_millis().max(1).to_string());
        // A page does not wait for others.
        config.set("linger.ms", "0");
        let name = format!("topic {topic}");
        let producer = config
            .create_with_context(Context)
            .map_err(|error| NotifyError::Receiver { name: name.clone(), why: error.to_string() })?;
        Ok(Self { producer, topic: topic.to_owned(), name })
    }

    /// Sends a message once, and waits until all in-sync replicas have it.
    pub async fn send(self, message: Message) -> Outcome {
        let id = message.id.unwrap_or_default();
        let header = |key, value: &str| (key, value.to_owned());
        let headers = [header("webhook-id", &id), header("content-type", message.content_type)];
        let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value.as_bytes()) })
        });
        let record = FutureRecord::to(&self.topic).key(&message.key).payload(message.body.as_ref()).headers(headers);
        match self.producer.send(record, Duration::ZERO).await {
            Ok(delivery) => Outcome::Delivered(format!("partition {}, offset {}", delivery.partition, delivery.offset)),
            Err((error, _)) => {
                let why = error.to_string();
                // About the record itself: a repeat would change nothing.
                let refused = [RDKafkaErrorCode::MessageSizeTooLarge, RDKafkaErrorCode::InvalidRecord];
                let is_refused = error.rdkafka_error_code().is_some_and(|code| refused.contains(&code));
                if is_refused { Outcome::Refused(why) } else { Outcome::Retry { why, after: None } }
            }
        }
    }
}
