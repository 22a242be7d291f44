//! A log read from files runs through the same core as the live service, on a virtual clock.
//!
//! Files are merged by time: each is read in its own order, and of all files the earliest next event comes first.
//! Memory is bounded: one event a file is held.

use std::collections::{BTreeMap, VecDeque};
use std::io::BufRead;

use crate::decode::Decoder;
use crate::flow::StreamId;
use crate::ingest::LineReader;
use crate::model::{DurationMs, Event, Output, RejectionCode, RejectionReason, Summary, Timestamp};
use crate::pipeline::{Pipeline, Settings};

/// What is wrong with records: the class of mistake and the field at fault.
pub type Mistake = (RejectionCode, Option<&'static str>);

/// Rejections shown one by one, for each file and mistake; all are counted.
pub const REJECTIONS_SHOWN_MAX: u64 = 3;

/// One input of a replay.
pub struct Source<R> {
    name: String,
    reader: LineReader<R>,
    decoder: Decoder,
    /// Events decoded from the current line, not yet taken.
    next: VecDeque<Event>,
    rejected: BTreeMap<Mistake, u64>,
}

/// A record that was refused, for people.
#[derive(Debug)]
pub struct RejectedRecord<'a> {
    /// The file.
    pub source: &'a str,
    /// Line number, from 1.
    pub line: i64,
    /// Why.
    pub reason: &'a RejectionReason,
}

/// A file could not be read to its end.
#[derive(Debug, thiserror::Error)]
#[error("{source_name}: {error}")]
pub struct ReplayError {
    source_name: String,
    error: std::io::Error,
}

impl<R: BufRead> Source<R> {
    /// An input called `name` in messages.
    pub fn new(name: String, input: R, decoder: Decoder) -> Self {
        let reader = LineReader::new(input, decoder.record_bytes_max());
        Self { name, reader, decoder, next: VecDeque::new(), rejected: BTreeMap::new() }
    }

    /// Reads on until there is a next event or the input has ended. Blank lines are no records.
    fn fill(&mut self, on_rejection: &mut dyn FnMut(&RejectedRecord<'_>)) -> Result<(), ReplayError> {
        while self.next.is_empty() {
            let line =
                self.reader.next_line().map_err(|error| ReplayError { source_name: self.name.clone(), error })?;
            let Some(line) = line else { return Ok(()) };
            if line.bytes.trim_ascii().is_empty() && !line.is_skipped() {
                continue;
            }
            let number = line.number + 1;
            let (next, rejected, name) = (&mut self.next, &mut self.rejected, &self.name);
            line.decode(&self.decoder, &mut |_, decoded| match decoded {
                Ok(event) => next.push_back(event),
                Err(reason) => {
                    let count = rejected.entry((reason.code, reason.field)).or_insert(0);
                    *count += 1;
                    if *count <= REJECTIONS_SHOWN_MAX {
                        on_rejection(&RejectedRecord { source: name, line: number, reason: &reason });
                    }
                }
            });
        }
        Ok(())
    }

    fn head(&self) -> Option<Timestamp> {
        self.next.front().map(Event::timestamp)
    }
}

/// What a replay found, besides its outputs.
#[derive(Debug)]
pub struct Replayed {
    /// The last line.
    pub summary: Summary,
    /// Rejections by mistake, over all files.
    pub rejected: BTreeMap<Mistake, u64>,
    /// How far the log is out of order: the furthest that an event came after a newer one, in milliseconds. A clock
    /// that is ahead makes it large.
    pub out_of_order_ms_max: DurationMs,
}

/// Runs `sources` through a fresh core. Outputs go to `on_output` in order, refused records (the first of each mistake) to
/// `on_rejection`; `on_progress` hears of bytes read, now and then.
///
/// # Errors
/// An input that cannot be read, or whatever `on_output` says.
pub fn replay<R: BufRead, E: From<ReplayError>>(
    settings: &Settings,
    sources: Vec<Source<R>>,
    on_output: &mut dyn FnMut(&Output) -> Result<(), E>,
    on_rejection: &mut dyn FnMut(&RejectedRecord<'_>),
    on_progress: &mut dyn FnMut(u64),
) -> Result<Replayed, E> {
    let mut pipeline = Pipeline::new(settings);
    let (mut newest, mut out_of_order_ms_max) = (None, 0);
    let mut on_event = |event: &Event| {
        for output in pipeline.apply(StreamId(0), event) {
            on_output(&output)?;
        }
        newest = newest.max(Some(event.timestamp()));
        let behind_ms = newest.map_or(0, |newest: Timestamp| newest.since(event.timestamp()));
        out_of_order_ms_max = behind_ms.max(out_of_order_ms_max);
        Ok::<(), E>(())
    };
    let rejected = merge(sources, &mut on_event, on_rejection, on_progress)?;
    for output in pipeline.finish() {
        on_output(&output)?;
    }
    Ok(Replayed { summary: pipeline.summary(rejected.values().sum()), rejected, out_of_order_ms_max })
}

/// Gives the events of `sources` to `on_event`, merged by time. Returns rejections by mistake, over all files.
///
/// # Errors
/// An input that cannot be read, or whatever `on_event` says.
pub fn merge<R: BufRead, E: From<ReplayError>>(
    mut sources: Vec<Source<R>>,
    on_event: &mut dyn FnMut(&Event) -> Result<(), E>,
    on_rejection: &mut dyn FnMut(&RejectedRecord<'_>),
    on_progress: &mut dyn FnMut(u64),
) -> Result<BTreeMap<Mistake, u64>, E> {
    const EVENTS_A_PROGRESS: u64 = 8_192;
    let mut events = 0_u64;
    for source in &mut sources {
        source.fill(on_rejection)?;
    }
    loop {
        let earliest = sources.iter_mut().filter(|s| s.head().is_some()).min_by_key(|s| s.head());
        let Some(source) = earliest else { break };
        let Some(event) = source.next.pop_front() else { break };
        source.fill(on_rejection)?;
        on_event(&event)?;
        events += 1;
        if events.is_multiple_of(EVENTS_A_PROGRESS) {
            on_progress(sources.iter().map(|s| s.reader.bytes_read()).sum());
        }
    }
    let mut rejected = BTreeMap::new();
    for (mistake, count) in sources.iter().flat_map(|source| &source.rejected) {
        *rejected.entry(*mistake).or_insert(0) += count;
    }
    Ok(rejected)
}
