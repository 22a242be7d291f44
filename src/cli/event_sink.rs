//! Where events of a simulation or a feed go.

use std::io::{self, BufWriter, Write};

use crate::config::{FlowConfig, KafkaConfig};
use crate::ingest::{EventProducer, ProducerCounts, WatermarkPolicy};
use crate::model::{DurationMs, Event};

/// Takes events one by one.
pub trait EventSink {
    /// Takes one event; it may be held back until [`EventSink::flush`].
    ///
    /// # Errors
    /// What the destination says.
    fn send(&mut self, event: &Event) -> anyhow::Result<()>;

    /// Passes on what is held back. A paced feed calls it before it waits.
    ///
    /// # Errors
    /// What the destination says.
    fn flush(&mut self) -> anyhow::Result<()>;

    /// Passes on everything; afterwards all events are where they should be.
    ///
    /// # Errors
    /// What the destination says.
    fn finish(&mut self) -> anyhow::Result<()> {
        self.flush()
    }
}

/// One native JSON event a line.
pub struct NdjsonSink<W: Write> {
    writer: BufWriter<W>,
}

impl<W: Write> NdjsonSink<W> {
    /// Writes to `writer`, buffered.
    pub fn new(writer: W) -> Self {
        Self { writer: BufWriter::with_capacity(1 << 16, writer) }
    }
}

impl<W: Write> EventSink for NdjsonSink<W> {
    fn send(&mut self, event: &Event) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.writer, event).map_err(io::Error::from)?;
        Ok(self.writer.write_all(b"\n")?)
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.writer.flush()?)
    }
}

/// Events into the topics of their kind, with watermarks; for sources in time order.
pub struct KafkaSink {
    producer: EventProducer,
    /// The last watermark is this far past the newest event, so that everything up to it is decided.
    settle_ms: DurationMs,
}

impl KafkaSink {
    /// Connects.
    ///
    /// # Errors
    /// No broker, or a topic is missing.
    pub fn new(kafka: &KafkaConfig, flow: &FlowConfig) -> anyhow::Result<Self> {
        let producer = EventProducer::new(kafka, Some(WatermarkPolicy::every_five_seconds(0)))?;
        Ok(Self { producer, settle_ms: flow.allowed_lateness.as_millis() + flow.window.as_millis() })
    }

    /// Sends bytes to a topic as they are: what a broken producer would send.
    ///
    /// # Errors
    /// What the client says.
    pub fn send_raw(&mut self, topic: &str, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.producer.send_raw(topic, None, bytes)?)
    }

    /// What became of what was sent.
    #[must_use]
    pub fn counts(&self) -> ProducerCounts {
        self.producer.counts()
    }
}

impl EventSink for KafkaSink {
    fn send(&mut self, event: &Event) -> anyhow::Result<()> {
        Ok(self.producer.send_event(event)?)
    }

    /// The client sends by itself within milliseconds.
    fn flush(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        if let Some(newest) = self.producer.newest() {
            self.producer.send_watermark_everywhere(newest.plus(self.settle_ms))?;
        }
        self.producer.flush()?;
        Ok(())
    }
}

/// Whether the reader of a pipe has gone away: `simulate … | head` is no failure.
#[must_use]
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
