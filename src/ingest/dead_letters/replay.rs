//! Sends dead letters' records again, each at most once.
//!
//! A record and the receipt that it was replayed are one transaction, under an id of the group: of two replays at the
//! same time the earlier is fenced off, and one that is killed half way has sent nothing that a reader of committed
//! records sees.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::super::client;
use super::original::OriginalReader;
use super::reader::{LetterReader, LettersError, Placed, Receipt, StoredLetter};
use super::replay_plan::{Plan, plan};
use crate::config::{Config, DecodeConfig, Format, KafkaConfig, TopicsConfig};
use crate::decode::Decoder;
use crate::model::{Event, RejectionCode};

/// Header of a replayed record: which letter it is from, `topic[partition]@offset#index`.
pub const REPLAYED_FROM: &str = "floodmark-replayed-from";
/// Letters of one transaction …
const BATCH_LETTERS_MAX: usize = 500;
/// … and bytes of its records (and one record more).
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// While the client's queue is full, answers are taken this long at a time.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(10);
/// What a message has besides key and value, generously.
const MESSAGE_OVERHEAD_BYTES: usize = 1_024;
/// The client's `message.max.bytes` when it is not configured.
const MESSAGE_BYTES_MAX: usize = 1_000_000;
/// How long a transaction's end may take.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);

/// Which letters, and whether anything is sent.
#[derive(Debug, Clone, Default)]
pub struct ReplayOptions {
    /// Only letters with this reason.
    pub reason: Option<String>,
    /// Send nothing.
    pub dry_run: bool,
}

/// What became of the letters, by the reason they were written for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplayCounts {
    /// Replayed, or would be.
    pub accepted: BTreeMap<String, u64>,
    /// Still refused: the reason now.
    pub refused: BTreeMap<(String, &'static str), u64>,
    /// The letter holds a part only, and the record is no longer at its offset.
    pub original_gone: BTreeMap<String, u64>,
    /// Cannot be cut out of a record of which other elements are stored.
    pub inseparable: BTreeMap<String, u64>,
    /// From a file, in a format that the service does not read.
    pub not_readable_by_the_service: BTreeMap<String, u64>,
}

/// Replays what is not replayed yet and would be accepted now.
///
/// # Errors
/// Kafka does not answer or refuses. What was replayed by then has receipts.
pub fn replay(config: &Config, kafka: &KafkaConfig, options: &ReplayOptions) -> Result<ReplayCounts, LettersError> {
    // First of all: from here on no other replay can end a transaction, and receipts that are read are the last word.
    let producer = if options.dry_run { None } else { Some(transactional(kafka)?) };
    let reader = LetterReader::new(kafka);
    let configured = kafka.properties.get("message.max.bytes").and_then(|bytes| bytes.parse().ok());
    let mut run = Run {
        topics: &kafka.topics,
        decode: &config.decode,
        originals: OriginalReader::new(kafka),
        producer,
        message_bytes_max: configured.unwrap_or(MESSAGE_BYTES_MAX).saturating_sub(MESSAGE_OVERHEAD_BYTES),
        counts: ReplayCounts::default(),
        letters: 0,
        bytes: 0,
    };
    reader.letters(reader.settled()?, &mut |placed, payload| {
        if options.reason.as_ref().is_some_and(|reason| *reason != placed.letter.reason) {
            return Ok(());
        }
        run.letter(&placed, payload)
    })?;
    run.commit()?;
    Ok(run.counts)
}

fn transactional(kafka: &KafkaConfig) -> Result<BaseProducer, LettersError> {
    let mut config: ClientConfig = client::base_config(kafka);
    client::idempotent(&mut config);
    config
        .set("transactional.id", format!("{}.dead-letters", kafka.group))
        .set("partitioner", "murmur2_random")
        .set("transaction.timeout.ms", TRANSACTION_TIMEOUT.as_millis().to_string());
    let producer: BaseProducer = config.create()?;
    producer.init_transactions(TRANSACTION_TIMEOUT)?;
    Ok(producer)
}

struct Run<'a> {
    topics: &'a TopicsConfig,
    decode: &'a DecodeConfig,
    originals: OriginalReader,
    producer: Option<BaseProducer>,
    counts: ReplayCounts,
    /// Of key and value together.
    message_bytes_max: usize,
    /// Letters and bytes of the open transaction.
    letters: usize,
    bytes: usize,
}

/// A record to be sent: topic, key, value.
type Record<'a> = (&'a str, String, Vec<u8>);

impl Run<'_> {
    fn letter(&mut self, placed: &Placed, payload: Option<&(Vec<u8>, usize)>) -> Result<(), LettersError> {
        let letter = &placed.letter;
        let reason = letter.reason.clone();
        let Some(record) = self.whole_record(letter, payload)? else {
            *self.counts.original_gone.entry(reason).or_default() += 1;
            return Ok(());
        };
        let topics = self.topics;
        let input = topics.inputs().into_iter().find(|topic| *topic == letter.topic);
        let Some(format) = self.format(letter, input) else {
            *self.counts.not_readable_by_the_service.entry(reason).or_default() += 1;
            return Ok(());
        };
        let decoder_then = format_named(&letter.decoder).map(|format| Decoder::new(format, self.decode));
        let decoder = Decoder::new(format, self.decode);
        match plan(&decoder, decoder_then.as_ref(), &record, (letter.index, &reason)) {
            Plan::Inseparable => *self.counts.inseparable.entry(reason).or_default() += 1,
            Plan::Refused(code) => self.still_refused(reason, code),
            // A file's line is taken apart here, and what is refused of it would have no letter.
            Plan::Accepted { refused: Some(code), .. } if input.is_none() => self.still_refused(reason, code),
            Plan::Accepted { bytes, events, .. } => {
                let records = match input {
                    Some(topic) => vec![(topic, events.first().map_or_else(String::new, key), bytes.to_vec())],
                    None => converted(topics, format == self.decode.requests_format, bytes, &events),
                };
                return self.accept(placed, &records);
            }
        }
        Ok(())
    }

    fn still_refused(&mut self, reason: String, now: RejectionCode) {
        *self.counts.refused.entry((reason, now.as_str())).or_default() += 1;
    }

    /// The record as it was refused. What the letter holds of it proves that what is at its offset is the same one.
    fn whole_record(
        &mut self,
        letter: &StoredLetter,
        payload: Option<&(Vec<u8>, usize)>,
    ) -> Result<Option<Vec<u8>>, LettersError> {
        match payload {
            Some((kept, length)) if kept.len() == *length => Ok(Some(kept.clone())),
            Some((kept, length)) if self.topics.inputs().contains(&letter.topic.as_str()) => {
                let original = self.originals.read(&letter.topic, letter.partition, letter.offset)?;
                Ok(original.filter(|bytes| bytes.len() == *length && bytes.starts_with(kept)))
            }
            _ => Ok(None),
        }
    }

    /// As what the record is read: as its topic is now; a file's as what it was read as, if the service can take it.
    fn format(&self, letter: &StoredLetter, input: Option<&str>) -> Option<Format> {
        let requests = self.decode.requests_format;
        match input {
            Some(topic) if topic == self.topics.requests => Some(requests),
            Some(_) => Some(Format::Native),
            None => {
                let format = format_named(&letter.decoder)?;
                (format == requests || requests == Format::Native).then_some(format)
            }
        }
    }

    fn accept(&mut self, placed: &Placed, records: &[Record<'_>]) -> Result<(), LettersError> {
        let letter = &placed.letter;
        // Before any of them is sent: a letter is replayed as a whole or not at all.
        if records.iter().any(|(_, key, body)| key.len() + body.len() > self.message_bytes_max) {
            self.still_refused(letter.reason.clone(), RejectionCode::TooLong);
            return Ok(());
        }
        if let Some(producer) = &self.producer {
            if self.letters == 0 {
                producer.begin_transaction()?;
            }
            for record in records {
                send(producer, letter, record)?;
            }
            let topic = records.first().map_or("", |(topic, ..)| *topic);
            send_receipt(producer, &self.topics.dead_letters, placed, topic)?;
            self.letters += 1;
            self.bytes += records.iter().map(|(.., body)| body.len()).sum::<usize>();
        }
        *self.counts.accepted.entry(letter.reason.clone()).or_default() += 1;
        if self.letters >= BATCH_LETTERS_MAX || self.bytes >= BATCH_BYTES_MAX {
            self.commit()?;
        }
        Ok(())
    }

    /// Ends the open transaction, if there is one.
    fn commit(&mut self) -> Result<(), LettersError> {
        let Some(producer) = self.producer.as_ref().filter(|_| self.letters > 0) else { return Ok(()) };
        producer.flush(TRANSACTION_TIMEOUT)?;
        producer.commit_transaction(TRANSACTION_TIMEOUT)?;
        (self.letters, self.bytes) = (0, 0);
        Ok(())
    }
}

/// The format whose decoder has this name in letters.
fn format_named(decoder: &str) -> Option<Format> {
    serde_json::from_value(decoder.into()).ok()
}

/// What the service can read of a record that comes from no topic of its own: lines of its format as they are, all else
/// as native events.
fn converted<'a>(topics: &'a TopicsConfig, as_it_is: bool, bytes: &[u8], events: &[Event]) -> Vec<Record<'a>> {
    if as_it_is {
        let first = events.first();
        let topic = first.map_or(topics.requests.as_str(), |event| topic_of(topics, event));
        return vec![(topic, first.map_or_else(String::new, key), bytes.to_vec())];
    }
    // An event always has a JSON form, and a vector takes every write.
    let native = |event: &Event| (topic_of(topics, event), key(event), serde_json::to_vec(event).unwrap_or_default());
    events.iter().map(native).collect()
}

fn topic_of<'a>(topics: &'a TopicsConfig, event: &Event) -> &'a str {
    match event {
        Event::Request(_) | Event::Watermark(_) => &topics.requests,
        Event::Signal(_) | Event::Query(_) => &topics.signals,
        Event::Change(_) => &topics.changes,
    }
}

/// As producers key their records; a watermark has none.
fn key(event: &Event) -> String {
    match event {
        Event::Request(request) => request.subscription.to_string(),
        Event::Signal(signal) => signal.source.to_string(),
        Event::Change(change) => change.service.to_string(),
        Event::Query(query) => query.node.to_string(),
        Event::Watermark(_) => String::new(),
    }
}

fn send(producer: &BaseProducer, letter: &StoredLetter, record: &Record<'_>) -> Result<(), LettersError> {
    let StoredLetter { topic, partition, offset, index, .. } = letter;
    let from = format!("{topic}[{partition}]@{offset}#{index}");
    let headers = OwnedHeaders::new().insert(Header { key: REPLAYED_FROM, value: Some(&from) });
    let (topic, key, body) = record;
    queue(producer, BaseRecord::to(topic).key(key.as_str()).payload(body.as_slice()).headers(headers))
}

fn send_receipt(producer: &BaseProducer, topic: &str, placed: &Placed, to: &str) -> Result<(), LettersError> {
    let StoredLetter { topic: of, partition, offset, index, .. } = &placed.letter;
    let receipt = Receipt {
        replayed_to: to.into(),
        topic: of.as_str().into(),
        partition: *partition,
        offset: *offset,
        index: *index,
    };
    let key = format!("{of}[{partition}]@{offset}");
    let body = serde_json::to_vec(&receipt).unwrap_or_default();
    queue(producer, BaseRecord::to(topic).partition(placed.partition).key(key.as_str()).payload(body.as_slice()))
}

/// Waits while the client's queue is full; bounded in time, for what the broker does not take fails the transaction.
fn queue(producer: &BaseProducer, mut record: BaseRecord<'_, str, [u8]>) -> Result<(), LettersError> {
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                producer.poll(QUEUE_FULL_WAIT);
                record = back;
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}
