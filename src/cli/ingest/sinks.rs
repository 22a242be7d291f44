//! Where lines go: Kafka, or text on standard output.

use std::io::{BufWriter, Write};

use anyhow::Context;
use serde_json::json;

use super::counts::Counts;
use crate::config::{FlowConfig, KafkaConfig};
use crate::decode::{Decoded, Decoder};
use crate::ingest::{DeadLetter, EventProducer, Line, ProducerError, WatermarkPolicy};
use crate::model::{Event, RejectionCode, RejectionReason, TopicPartition};

/// Takes lines and what they became.
pub(super) trait Sink {
    /// Takes one line.
    fn line(&mut self, line: &Line<'_>, decoded: &[Decoded], counts: &mut Counts) -> anyhow::Result<()>;

    /// All lines are taken.
    fn finish(&mut self, counts: &mut Counts) -> anyhow::Result<()>;
}

/// Native events, one a line, with or without what was refused.
pub(super) struct TextSink<W: Write> {
    out: BufWriter<W>,
    with_rejections: bool,
}

impl<W: Write> TextSink<W> {
    pub(super) fn events_only(out: W) -> Self {
        Self { out: BufWriter::new(out), with_rejections: false }
    }

    pub(super) fn with_rejections(out: W) -> Self {
        Self { out: BufWriter::new(out), with_rejections: true }
    }

    fn write(&mut self, value: &impl serde::Serialize) -> std::io::Result<()> {
        // The JSON writer wraps the writer's errors; the original one tells a closed pipe from a full disk.
        serde_json::to_writer(&mut self.out, value).map_err(std::io::Error::from)?;
        self.out.write_all(b"\n")
    }
}

impl<W: Write> Sink for TextSink<W> {
    fn line(&mut self, line: &Line<'_>, decoded: &[Decoded], _: &mut Counts) -> anyhow::Result<()> {
        for one in decoded {
            match one {
                Ok(event) => self.write(event)?,
                Err(RejectionReason { code, field, message }) if self.with_rejections => {
                    let code = code.as_str();
                    // People count lines from 1, and so do their editors.
                    let line = line.number + 1;
                    self.write(&json!({"rejected": {"line": line, "code": code, "field": field, "message": message}}))?;
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut Counts) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }
}

/// The input topics.
pub(super) struct KafkaSink<'a> {
    producer: EventProducer,
    requests: String,
    /// The file, as a position has it: partition 0, offsets are line numbers from 0.
    file: TopicPartition,
    decoder: &'a Decoder,
    as_they_are: bool,
    final_watermark_after_ms: Option<i64>,
}

impl<'a> KafkaSink<'a> {
    /// Connects. `flow` is given when watermarks are to be sent.
    pub(super) fn connect(
        kafka: &KafkaConfig,
        flow: Option<&FlowConfig>,
        file_name: &str,
        decoder: &'a Decoder,
        as_they_are: bool,
    ) -> Result<Self, ProducerError> {
        // Servers log a request when it ends: lines are out of order by about as much as detection waits for anyway.
        let policy = flow.map(|flow| WatermarkPolicy::every_five_seconds(flow.allowed_lateness.as_millis()));
        let after_ms = flow.map(|flow| flow.allowed_lateness.as_millis() + flow.window.as_millis());
        Ok(Self {
            producer: EventProducer::new(kafka, policy)?,
            requests: kafka.topics.requests.clone(),
            file: TopicPartition { topic: file_name.into(), partition: 0 },
            decoder,
            as_they_are,
            final_watermark_after_ms: after_ms,
        })
    }

    fn send_dead_letter(
        &mut self,
        line: &Line<'_>,
        index: usize,
        reason: &RejectionReason,
        counts: &mut Counts,
    ) -> Result<(), ProducerError> {
        let payload = (index == 0).then_some((line.bytes, line.length));
        let position = (line.number, u16::try_from(index).unwrap_or(u16::MAX));
        let letter = DeadLetter::new(&self.file, position, self.decoder.name(), reason, payload);
        self.producer.send_dead_letter(&letter)?;
        counts.dead_lettered += 1;
        Ok(())
    }

    /// One message a line; the first event in it says where it belongs.
    fn send_as_it_is(
        &mut self,
        line: &Line<'_>,
        decoded: &[Decoded],
        counts: &mut Counts,
    ) -> Result<(), ProducerError> {
        match decoded.iter().find_map(|one| one.as_ref().ok()) {
            // A promise of the file holds for all partitions; it is counted with the watermarks.
            Some(Event::Watermark(timestamp)) => return self.producer.send_watermark_everywhere(*timestamp),
            Some(event) => self.producer.send_raw_event(event, line.bytes)?,
            None => self.producer.send_raw(&self.requests, None, line.bytes)?,
        }
        counts.sent += 1;
        Ok(())
    }

    fn send_converted(
        &mut self,
        line: &Line<'_>,
        decoded: &[Decoded],
        counts: &mut Counts,
    ) -> Result<(), ProducerError> {
        for (index, one) in decoded.iter().enumerate() {
            match one {
                Ok(event) => {
                    self.producer.send_event(event)?;
                    counts.sent += u64::from(!matches!(event, Event::Watermark(_)));
                }
                Err(reason) => self.send_dead_letter(line, index, reason, counts)?,
            }
        }
        Ok(())
    }
}

impl Sink for KafkaSink<'_> {
    fn line(&mut self, line: &Line<'_>, decoded: &[Decoded], counts: &mut Counts) -> anyhow::Result<()> {
        // A line that was skipped cannot be sent as it is: it was never held.
        let sent = if self.as_they_are && !line.is_skipped() {
            self.send_as_it_is(line, decoded, counts)
        } else {
            self.send_converted(line, decoded, counts)
        };
        match sent {
            // Shorter than `decode.record_bytes_max`, and still too long for Kafka.
            Err(error @ ProducerError::TooLong(_)) => {
                let (code, message) = (RejectionCode::TooLong, error.to_string());
                self.send_dead_letter(line, 0, &RejectionReason { code, field: None, message }, counts)?;
                *counts.rejected.entry(RejectionCode::TooLong.as_str()).or_default() += 1;
                Ok(())
            }
            sent => Ok(sent?),
        }
    }

    fn finish(&mut self, counts: &mut Counts) -> anyhow::Result<()> {
        if let Some((after_ms, newest)) = self.final_watermark_after_ms.zip(self.producer.newest()) {
            self.producer.send_watermark_everywhere(newest.plus(after_ms))?;
        }
        let sent = self.producer.flush().context("not every line is in Kafka")?;
        counts.watermarks = sent.watermarks;
        Ok(())
    }
}
