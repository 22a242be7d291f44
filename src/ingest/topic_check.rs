//! Whether Kafka answers and has the topics: for `floodmark check --online`.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use super::client;
use crate::config::{KafkaConfig, SecretFileError};

/// Most complaints of the client that are looked at.
const COMPLAINTS_MAX: usize = 100;

/// What the brokers say of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicCheck {
    /// The topic.
    pub topic: String,
    /// How many partitions it has, or why that cannot be told.
    pub partitions: Result<usize, TopicProblem>,
}

/// Why a topic cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicProblem {
    /// No such topic.
    #[error("does not exist; create it first")]
    Missing,
    /// The brokers refuse to say, for instance for want of rights.
    #[error("{0}")]
    Refused(String),
}

/// Kafka cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum TopicCheckError {
    /// A file that holds a secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretFileError),
    /// The client refuses its settings.
    #[error("the kafka client refuses its settings: {0}")]
    Settings(KafkaError),
    /// No broker answered in time.
    #[error("no answer from {brokers} within {}: {reason}", humantime::format_duration(*.timeout))]
    NoAnswer {
        /// As configured.
        brokers: String,
        /// How long was waited.
        timeout: Duration,
        /// What the client says.
        reason: String,
    },
}

/// Asks the brokers for every configured topic: inputs, then dead letters. Blocks for up to `timeout` in all. Nothing is
/// created, no group is joined.
///
/// # Errors
/// A secret cannot be read, settings refused, or no answer in time.
pub fn check_topics(kafka: &KafkaConfig, timeout: Duration) -> Result<Vec<TopicCheck>, TopicCheckError> {
    let deadline = now() + timeout;
    // The clients only log it: here it is the answer.
    kafka.security_properties()?;
    let mut config = client::base_config(kafka);
    // To look must not make: brokers may be set to create whatever topic is asked for.
    config.set("allow.auto.create.topics", "false");
    let consumer: BaseConsumer<LastWords> =
        config.create_with_context(LastWords::default()).map_err(TopicCheckError::Settings)?;
    let inputs = kafka.topics.inputs();
    let mut checks = Vec::with_capacity(inputs.len() + 1);
    for topic in inputs.into_iter().chain([kafka.topics.dead_letters.as_str()]) {
        let left = deadline.saturating_duration_since(now());
        let metadata = consumer.fetch_metadata(Some(topic), left).map_err(|error| TopicCheckError::NoAnswer {
            brokers: kafka.brokers.clone(),
            timeout,
            reason: last_words(&consumer).unwrap_or_else(|| error.to_string()),
        })?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let partitions = match found.map(|found| (found.error(), found.partitions().len())) {
            None | Some((None, 0)) => Err(TopicProblem::Missing),
            Some((None, count)) => Ok(count),
            Some((Some(error), _)) => Err(problem(error.into())),
        };
        checks.push(TopicCheck { topic: topic.to_owned(), partitions });
    }
    Ok(checks)
}

fn problem(code: RDKafkaErrorCode) -> TopicProblem {
    match code {
        RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => TopicProblem::Missing,
        other => TopicProblem::Refused(other.to_string()),
    }
}

// The deadline covers several questions: what is left of it takes a clock.
#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}

/// What the client complained of last: the failed question itself says no more than that it failed.
fn last_words(consumer: &BaseConsumer<LastWords>) -> Option<String> {
    // Complaints wait in the client's queue until somebody asks for messages.
    for _ in 0..COMPLAINTS_MAX {
        let _ = consumer.poll(Duration::ZERO);
    }
    consumer.context().0.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[derive(Default)]
struct LastWords(Mutex<Option<String>>);

impl ClientContext for LastWords {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // "1/1 brokers are down" follows each reason and hides it.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for LastWords {}
