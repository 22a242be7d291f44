//! Where events of a simulation or a feed go.

use std::io::{self, BufWriter, Write};

use crate::model::Event;

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

/// Whether the reader of a pipe has gone away: `simulate … | head` is no failure.
#[must_use]
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
