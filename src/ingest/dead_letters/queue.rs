//! Dead letters: refused records with their reason and position, in a topic of their own.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use serde::Serialize;

use super::super::client;
use crate::config::KafkaConfig;
use crate::model::{Offset, RejectionReason, TopicPartition};

/// Bytes of the refused record that are kept; its position tells where the rest is.
const PAYLOAD_BYTES_MAX: usize = 16 * 1024;
/// Letters that wait for the broker. At the bound, storage of the partition falls behind; detection goes on.
const LETTERS_WAITING_MAX: usize = 20_000;
/// Bytes of letters that wait for the broker.
const BYTES_WAITING_MAX: usize = 16 * 1024 * 1024;
/// A letter the broker refused (its topic may be missing) is sent again after this long, until it is taken.
const RETRY_AFTER_MS: i64 = 1_000;

/// A refused record, as the dead-letter topic has it (JSON, keyed by its position).
///
/// Delivery is at least once: two letters with the same topic, partition, offset and index are the same one.
#[derive(Debug, Clone, Serialize)]
pub struct DeadLetter<'a> {
    /// Code of the class of mistake.
    pub reason: &'static str,
    /// The field at fault, if it is one.
    pub field: Option<&'static str>,
    /// What is wrong, in one line.
    pub message: &'a str,
    /// Topic, or name of the file.
    pub topic: &'a str,
    /// Partition; 0 for files.
    pub partition: i32,
    /// Offset; number of the line, from 0, for files.
    pub offset: Offset,
    /// Place in the record, from 0.
    pub index: u16,
    /// The decoder that refused it.
    pub decoder: &'static str,
    /// Length of the whole record.
    pub payload_bytes: usize,
    /// Its first bytes, exactly, when they are UTF-8. Absent but in the first letter of a record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<&'a str>,
    /// Its first bytes, exactly, when they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_base64: Option<String>,
}

impl<'a> DeadLetter<'a> {
    /// The letter for `reason`; `payload` is the record, or as much of it as is at hand, and its length.
    #[must_use]
    pub fn new(
        topic_partition: &'a TopicPartition,
        (offset, index): (Offset, u16),
        decoder: &'static str,
        reason: &'a RejectionReason,
        payload: Option<(&'a [u8], usize)>,
    ) -> Self {
        let (kept, payload_bytes) = payload.map_or((None, 0), |(bytes, length)| (Some(first_bytes(bytes)), length));
        let text = kept.map(std::str::from_utf8);
        Self {
            reason: reason.code.as_str(),
            field: reason.field,
            message: &reason.message,
            topic: &topic_partition.topic,
            partition: topic_partition.partition,
            offset,
            index,
            decoder,
            payload_bytes,
            payload: text.and_then(Result::ok),
            payload_base64: kept.filter(|_| matches!(text, Some(Err(_)))).map(|bytes| BASE64.encode(bytes)),
        }
    }

    /// Key and value of the Kafka message.
    pub(in crate::ingest) fn encode(&self) -> (String, Vec<u8>) {
        let key = format!("{}[{}]@{}", self.topic, self.partition, self.offset);
        // Numbers and text always have a JSON form, and a vector takes every write.
        (key, serde_json::to_vec(self).unwrap_or_default())
    }
}

/// At most [`PAYLOAD_BYTES_MAX`], not cutting a character in half.
fn first_bytes(bytes: &[u8]) -> &[u8] {
    if bytes.len() <= PAYLOAD_BYTES_MAX {
        return bytes;
    }
    let boundary = |end: &usize| bytes[*end] & 0b1100_0000 != 0b1000_0000;
    let end = (PAYLOAD_BYTES_MAX - 3..=PAYLOAD_BYTES_MAX).rev().find(boundary).unwrap_or(PAYLOAD_BYTES_MAX);
    &bytes[..end]
}

/// A letter ready to be sent, and the offset it is about.
pub(in crate::ingest) struct Letter {
    pub(in crate::ingest) offset: Offset,
    pub(in crate::ingest) key: String,
    pub(in crate::ingest) body: Vec<u8>,
}

/// Sends letters without ever waiting, and counts which are safe: letters are numbered from 0 in the order pushed.
pub(in crate::ingest) struct DeadLetterQueue {
    producer: BaseProducer<Deliveries>,
    topic: String,
    /// Letters `acknowledged..pushed`.
    letters: VecDeque<Waiting>,
    acknowledged: u64,
    bytes: usize,
    unsent: VecDeque<u64>,
    failed: Vec<u64>,
    retry_at_ms: i64,
    last_error: Option<String>,
}

struct Waiting {
    letter: Letter,
    safe: bool,
}

impl DeadLetterQueue {
    pub(in crate::ingest) fn new(kafka: &KafkaConfig) -> Result<Self, KafkaError> {
        let mut config = client::base_config(kafka);
        // Letters are few and storage waits for them: send at once.
        config.set("acks", "all").set("linger.ms", "0").set("message.timeout.ms", "30000");
        Ok(Self {
            producer: config.create_with_context(Deliveries::default())?,
            topic: kafka.topics.dead_letters.clone(),
            letters: VecDeque::new(),
            acknowledged: 0,
            bytes: 0,
            unsent: VecDeque::new(),
            failed: Vec::new(),
            retry_at_ms: 0,
            last_error: None,
        })
    }

    /// Takes all of `letters`, or none when there is no room. An empty queue takes any number: one chunk always fits.
    pub(in crate::ingest) fn try_push(&mut self, letters: Vec<Letter>) -> Result<(), Vec<Letter>> {
        let bytes: usize = letters.iter().map(|letter| letter.body.len()).sum();
        let full = self.letters.len() + letters.len() > LETTERS_WAITING_MAX || self.bytes + bytes > BYTES_WAITING_MAX;
        if full && !self.letters.is_empty() && !letters.is_empty() {
            return Err(letters);
        }
        for letter in letters {
            self.unsent.push_back(self.pushed());
            self.bytes += letter.body.len();
            self.letters.push_back(Waiting { letter, safe: false });
        }
        Ok(())
    }

    /// Letters pushed so far.
    pub(in crate::ingest) fn pushed(&self) -> u64 {
        self.acknowledged + self.letters.len() as u64
    }

    /// Letters before this number are all acknowledged by the broker.
    pub(in crate::ingest) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Why the broker last refused a letter, while letters wait.
    pub(in crate::ingest) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Sends what can be sent and takes the broker's answers, without waiting.
    pub(in crate::ingest) fn serve(&mut self, now_ms: i64) {
        if self.letters.is_empty() {
            return;
        }
        if now_ms >= self.retry_at_ms {
            self.unsent.extend(self.failed.drain(..));
        }
        self.send_unsent(now_ms);
        self.producer.poll(Duration::ZERO);
        for (number, error) in self.producer.context().take() {
            match error {
                None => self.mark_safe(number),
                Some(error) => self.refused(number, error, now_ms),
            }
        }
        while self.letters.front().is_some_and(|waiting| waiting.safe) {
            self.bytes -= self.letters.pop_front().map_or(0, |waiting| waiting.letter.body.len());
            self.acknowledged += 1;
        }
        if self.letters.is_empty() {
            self.last_error = None;
        }
    }

    /// A letter that was not taken is sent again after a while; until then its records are not stored.
    fn refused(&mut self, number: u64, error: String, now_ms: i64) {
        if self.last_error.as_ref() != Some(&error) {
            tracing::warn!(
                topic = self.topic,
                error,
                "dead letters are not taken; their records wait and are not stored"
            );
        }
        self.last_error = Some(error);
        self.failed.push(number);
        self.retry_at_ms = now_ms + RETRY_AFTER_MS;
    }

    fn waiting(&mut self, number: u64) -> Option<&mut Waiting> {
        let place = usize::try_from(number.checked_sub(self.acknowledged)?).ok()?;
        self.letters.get_mut(place)
    }

    fn mark_safe(&mut self, number: u64) {
        if let Some(waiting) = self.waiting(number) {
            waiting.safe = true;
        }
    }

    fn send_unsent(&mut self, now_ms: i64) {
        while let Some(&number) = self.unsent.front() {
            let place = usize::try_from(number - self.acknowledged).unwrap_or(usize::MAX);
            if let Some(Waiting { letter, .. }) = self.letters.get(place) {
                let record = BaseRecord::with_opaque_to(&self.topic, Box::new(number))
                    .key(letter.key.as_str())
                    .payload(letter.body.as_slice());
                match self.producer.send(record) {
                    Ok(()) => {}
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => return,
                    Err((error, _)) => {
                        self.refused(number, error.to_string(), now_ms);
                    }
                }
            }
            self.unsent.pop_front();
        }
    }
}

/// The broker's answers, taken by [`DeadLetterQueue::serve`]; there are never more than letters waiting.
#[derive(Default)]
struct Deliveries(Mutex<Vec<(u64, Option<String>)>>);

impl Deliveries {
    fn take(&self) -> Vec<(u64, Option<String>)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Box<u64>) {
        let error = result.as_ref().err().map(|(error, _)| error.to_string());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((*number, error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RejectionCode;

    fn letter(payload: &[u8]) -> serde_json::Value {
        let topic_partition = TopicPartition { topic: "requests".into(), partition: 3 };
        let reason = RejectionReason { code: RejectionCode::Syntax, field: Some("status"), message: "no".to_owned() };
        let letter = DeadLetter::new(&topic_partition, (17, 2), "native", &reason, Some((payload, payload.len())));
        let (key, body) = letter.encode();
        assert_eq!(key, "requests[3]@17");
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn says_what_where_and_why() {
        let json = letter(b"\xffabc");
        assert_eq!(json["reason"], "syntax");
        assert_eq!((&json["partition"], &json["offset"], &json["index"]), (&3.into(), &17.into(), &2.into()));
    }

    #[test]
    fn the_original_bytes_are_kept_exactly() {
        let text = letter("\u{fffd}\0\r\n\"é".as_bytes());
        assert_eq!((&text["payload"], text.get("payload_base64")), (&"\u{fffd}\0\r\n\"é".into(), None));
        let bytes = letter(b"\xffabc");
        assert_eq!((bytes.get("payload"), &bytes["payload_base64"]), (None, &"/2FiYw==".into()));
        assert_eq!(bytes["payload_bytes"], 4);
    }

    #[test]
    fn long_records_are_cut_between_characters() {
        let json = letter("é".repeat(PAYLOAD_BYTES_MAX).as_bytes());
        assert_eq!(json["payload"].as_str().unwrap().len(), PAYLOAD_BYTES_MAX);
        let json = letter(format!("x{}", "é".repeat(PAYLOAD_BYTES_MAX)).as_bytes());
        assert_eq!(json["payload"].as_str().unwrap().len(), PAYLOAD_BYTES_MAX - 1);
        assert_eq!(json["payload_bytes"], 2 * PAYLOAD_BYTES_MAX + 1);
    }
}
