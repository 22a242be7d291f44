//! Reads the dead-letter topic back: letters, and which of them were replayed. No group is joined.
//!
//! A replay leaves a receipt beside the letter, in the same partition: the letter's position and where its record went.
//! Receipts stand after their letters, so a partition is read twice: for receipts, then for letters.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rdkafka::Message;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset as Position;
use serde::{Deserialize, Serialize};

use super::original::{POLL, SILENCE_MAX, assign, now, reading_consumer};
use crate::config::KafkaConfig;
use crate::model::{Offset, Timestamp, TopicPartition};

/// Most letters and receipts that are told apart: each takes about 40 bytes. Beyond it there is an error, for a letter
/// might be replayed twice.
const LETTERS_MAX: usize = 4_000_000;

/// The dead letters cannot be read or replayed.
#[derive(Debug, thiserror::Error)]
pub enum LettersError {
    /// As text: the client's errors repeat themselves when they are printed with their causes.
    #[error("kafka: {0}")]
    Client(String),
    /// A topic is not there.
    #[error("kafka: topic {0} does not exist")]
    TopicMissing(String),
    /// Nothing came for a long time.
    #[error("kafka: {brokers} said nothing of {topic} for {SILENCE_MAX:?}")]
    Silent {
        /// As configured.
        brokers: String,
        /// The topic.
        topic: String,
    },
    /// More than can be told apart.
    #[error(
        "more than {LETTERS_MAX} dead letters: shorten the retention of their topic, or read it with a consumer of yours"
    )]
    TooMany,
}

impl From<KafkaError> for LettersError {
    fn from(error: KafkaError) -> Self {
        Self::Client(error.to_string())
    }
}

/// A letter as the topic has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredLetter {
    /// Code of the class of mistake.
    pub reason: String,
    /// The field at fault.
    #[serde(default)]
    pub field: Option<String>,
    /// What was wrong.
    #[serde(default)]
    pub message: String,
    /// Topic, or name of the file.
    pub topic: String,
    /// Partition; 0 for files.
    pub partition: i32,
    /// Offset; number of the line for files.
    pub offset: Offset,
    /// Place in the record.
    pub index: u16,
    /// The decoder that refused it.
    #[serde(default)]
    pub decoder: String,
    /// Length of the whole record.
    #[serde(default)]
    pub payload_bytes: usize,
    /// The record's first bytes, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// The same, when they are no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_base64: Option<String>,
}

impl StoredLetter {
    /// The record's first bytes; `None` in all but the first letter of a record.
    pub(super) fn kept(&self) -> Option<Vec<u8>> {
        match (&self.payload, &self.payload_base64) {
            (Some(text), _) => Some(text.clone().into_bytes()),
            (None, Some(encoded)) => BASE64.decode(encoded).ok(),
            (None, None) => None,
        }
    }
}

/// What a replay leaves beside a letter.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Receipt<'a> {
    /// The topic that the record was sent to.
    #[serde(borrow)]
    pub(super) replayed_to: Cow<'a, str>,
    /// Of the letter, as all that follows. A file's name may need escapes.
    #[serde(borrow)]
    pub(super) topic: Cow<'a, str>,
    pub(super) partition: i32,
    pub(super) offset: Offset,
    pub(super) index: u16,
}

/// A letter and where it lies.
#[derive(Debug)]
pub struct Placed {
    /// Partition of the dead-letter topic.
    pub partition: i32,
    /// When it was written.
    pub written: Timestamp,
    /// The letter.
    pub letter: StoredLetter,
}

/// Takes a letter, and of its record the first bytes and the length.
pub type LetterSink<'a> = dyn FnMut(Placed, Option<&(Vec<u8>, usize)>) -> Result<(), LettersError> + 'a;
/// Takes a message: when it was written, and its value.
type MessageSink<'a> = dyn FnMut(Timestamp, &[u8]) -> Result<(), LettersError> + 'a;

/// What a letter is about.
type About = (Arc<str>, i32, Offset, u16);

/// Letters that need no more attention, and how far the topic was read for them.
#[derive(Debug, Default)]
pub struct Settled {
    names: HashSet<Arc<str>>,
    settled: HashSet<About>,
    /// Letters with a receipt.
    pub replayed: u64,
    ends: BTreeMap<i32, Offset>,
}

impl Settled {
    /// Whether it is new: neither replayed nor seen before.
    fn settle(&mut self, topic: &str, (partition, offset, index): (i32, Offset, u16)) -> Result<bool, LettersError> {
        let name = match self.names.get(topic) {
            Some(name) => Arc::clone(name),
            None => {
                let name: Arc<str> = Arc::from(topic);
                self.names.insert(Arc::clone(&name));
                name
            }
        };
        if self.settled.len() >= LETTERS_MAX {
            return Err(LettersError::TooMany);
        }
        Ok(self.settled.insert((name, partition, offset, index)))
    }
}

/// Reads the dead-letter topic.
#[derive(Debug)]
pub struct LetterReader {
    kafka: KafkaConfig,
    topic: String,
}

impl LetterReader {
    /// Connects with the first question.
    #[must_use]
    pub fn new(kafka: &KafkaConfig) -> Self {
        Self { kafka: kafka.clone(), topic: kafka.topics.dead_letters.clone() }
    }

    /// First pass: which letters were replayed.
    ///
    /// # Errors
    /// The topic cannot be read, or there are too many.
    pub fn settled(&self) -> Result<Settled, LettersError> {
        let mut settled = Settled::default();
        for partition in self.partitions()? {
            let end = self.read(partition, None, &mut |_, body| {
                if let Ok(Receipt { topic, partition, offset, index, .. }) = serde_json::from_slice(body) {
                    settled.replayed += u64::from(settled.settle(&topic, (partition, offset, index))?);
                }
                Ok(())
            })?;
            settled.ends.insert(partition, end);
        }
        Ok(settled)
    }

    /// Second pass: gives each letter to `sink` that is not settled, once, however often it is there; in the order
    /// written inside a partition. A letter without a payload is given that of its record's first letter, which comes
    /// right before it: `payload` is what is kept of the record, and its length.
    ///
    /// # Errors
    /// The topic cannot be read, there are too many, or `sink` says so.
    pub fn letters(&self, mut settled: Settled, sink: &mut LetterSink<'_>) -> Result<(), LettersError> {
        for (partition, end) in std::mem::take(&mut settled.ends) {
            let mut record: Option<(TopicPartition, Offset)> = None;
            let mut payload: Option<(Vec<u8>, usize)> = None;
            self.read(partition, Some(end), &mut |written, body| {
                let Ok(letter) = serde_json::from_slice::<StoredLetter>(body) else { return Ok(()) };
                let topic_partition =
                    TopicPartition { topic: Arc::from(letter.topic.as_str()), partition: letter.partition };
                let of = Some((topic_partition, letter.offset));
                let kept = letter.kept();
                if kept.is_some() || record != of {
                    payload = kept.map(|bytes| (bytes, letter.payload_bytes));
                    record = of;
                }
                if settled.settle(&letter.topic, (letter.partition, letter.offset, letter.index))? {
                    sink(Placed { partition, written, letter }, payload.as_ref())?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn partitions(&self) -> Result<Vec<i32>, LettersError> {
        // All topics at once: asking for one by name would create it on some brokers.
        let metadata = reading_consumer(&self.kafka)?.fetch_metadata(None, SILENCE_MAX)?;
        let found = metadata.topics().iter().find(|topic| topic.name() == self.topic && topic.error().is_none());
        let partitions: Vec<i32> = found.into_iter().flat_map(|t| t.partitions()).map(|p| p.id()).collect();
        if partitions.is_empty() { Err(LettersError::TopicMissing(self.topic.clone())) } else { Ok(partitions) }
    }

    /// Reads a partition from its start up to `end`, else up to where it ends now. Gives the next offset.
    fn read(&self, partition: i32, end: Option<Offset>, sink: &mut MessageSink<'_>) -> Result<Offset, LettersError> {
        // A consumer of its own: the library does not bear a partition that is assigned again at once.
        let consumer = reading_consumer(&self.kafka)?;
        assign(&consumer, &self.topic, partition, Position::Beginning)?;
        let mut next = 0;
        let mut heard = now();
        while end.is_none_or(|end| next < end) {
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    heard = now();
                    next = message.offset() + 1;
                    if end.is_some_and(|end| next > end) {
                        break;
                    }
                    let written = Timestamp::from_millis(message.timestamp().to_millis().unwrap_or_default());
                    sink(written, message.payload().unwrap_or_default())?;
                }
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(error)) if is_final(&error) => return Err(error.into()),
                Some(Err(_)) | None => self.check_silence(heard)?,
            }
        }
        Ok(next)
    }

    fn check_silence(&self, heard: Instant) -> Result<(), LettersError> {
        if now().duration_since(heard) < SILENCE_MAX {
            return Ok(());
        }
        Err(LettersError::Silent { brokers: self.kafka.brokers.clone(), topic: self.topic.clone() })
    }
}

/// Errors that waiting does not mend.
fn is_final(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{Authentication, GroupAuthorizationFailed, TopicAuthorizationFailed};
    let code = error.rdkafka_error_code();
    matches!(code, Some(Authentication | GroupAuthorizationFailed | TopicAuthorizationFailed))
}
