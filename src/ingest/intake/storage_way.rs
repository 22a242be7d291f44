//! Without Kafka: submissions are a stream of their own, detected on as they come and safe once they are stored.
//!
//! Each event has an offset, counted from 0 at each start of the process; the batch's epoch tells the starts apart.
//! Ranges of consecutive batches join. A submission is one chunk, and a chunk is never split over batches.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::desk::TicketId;
use super::{HTTP_TOPIC, PROBES_TOPIC, StorageLanes};
use crate::config::{HttpConfig, StoreConfig};
use crate::model::{Batch, Chunk, Event, FlowInput, Offset, Positioned, Stored, TopicPartition};

/// A batch is closed when its first submission is this old: its sender waits.
const BATCH_AGE_MAX: Duration = Duration::from_millis(200);

/// Which stream a submission belongs to. Probes have their own: their clock must not make requests late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Http,
    Probes,
}

/// Chunks that will be one batch, and whose they are.
#[derive(Debug)]
struct Gathered {
    batch: Batch,
    tickets: Vec<TicketId>,
    records: usize,
    bytes: usize,
    since: Instant,
}

#[derive(Debug)]
struct StreamState {
    topic_partition: TopicPartition,
    next: Offset,
    open: Option<Gathered>,
    assigned: bool,
    idle: bool,
    active: Instant,
}

impl StreamState {
    fn new(topic: &str, now: Instant) -> Self {
        let topic_partition = TopicPartition { topic: Arc::from(topic), partition: 0 };
        Self { topic_partition, next: 0, open: None, assigned: false, idle: false, active: now }
    }
}

/// The way to detection and storage.
#[derive(Debug)]
pub(super) struct StorageWay {
    lanes: StorageLanes,
    epoch: Arc<str>,
    records_max: usize,
    bytes_max: usize,
    idle_timeout: Duration,
    streams: [StreamState; 2],
    sealed: VecDeque<Gathered>,
    with_storage: BTreeMap<(TopicPartition, Offset), Vec<TicketId>>,
}

impl StorageWay {
    pub(super) fn new(
        lanes: StorageLanes,
        epoch: Arc<str>,
        http: &HttpConfig,
        store: &StoreConfig,
        now: Instant,
    ) -> Self {
        Self {
            lanes,
            epoch,
            records_max: store.batch_records_max,
            bytes_max: store.batch_bytes_max.as_usize(),
            idle_timeout: http.idle_timeout.0,
            streams: [StreamState::new(HTTP_TOPIC, now), StreamState::new(PROBES_TOPIC, now)],
            sealed: VecDeque::new(),
            with_storage: BTreeMap::new(),
        }
    }

    /// What comes over HTTP holds the watermark from the start, so that the first senders are not late.
    pub(super) async fn begin(&mut self) {
        self.assign(Stream::Http).await;
    }

    async fn assign(&mut self, stream: Stream) {
        let state = &mut self.streams[stream as usize];
        if !std::mem::replace(&mut state.assigned, true) {
            let input = FlowInput::Assigned(state.topic_partition.clone());
            self.tell_detection(input).await;
        }
    }

    /// Detection first; for storage only with a ticket (else there was no room for it).
    pub(super) async fn take(&mut self, stream: Stream, events: Vec<Event>, bytes: usize, ticket: Option<TicketId>) {
        self.assign(stream).await;
        let now = Instant::now();
        let state = &mut self.streams[stream as usize];
        state.active = now;
        let was_idle = std::mem::take(&mut state.idle);
        let topic_partition = state.topic_partition.clone();
        let chunk = Arc::new(chunk(&topic_partition, state.next, events, bytes));
        if let Some(ticket) = ticket {
            state.next = chunk.end;
            self.gather(stream, Arc::clone(&chunk), ticket, now);
        }
        if was_idle {
            self.tell_detection(FlowInput::Active(topic_partition)).await;
        }
        self.tell_detection(FlowInput::Chunk(chunk)).await;
    }

    /// Waits for room: detection sets the pace. It is gone only when the service ends.
    async fn tell_detection(&self, input: FlowInput) {
        let _ = self.lanes.detect.send(input).await;
    }

    fn gather(&mut self, stream: Stream, chunk: Arc<Chunk>, ticket: TicketId, now: Instant) {
        let state = &mut self.streams[stream as usize];
        let open = state.open.get_or_insert_with(|| Gathered {
            batch: Batch {
                topic_partition: state.topic_partition.clone(),
                epoch: Arc::clone(&self.epoch),
                start: chunk.start,
                end: chunk.start,
                chunks: Vec::new(),
                dropped: 0,
                note_intent: false,
            },
            tickets: Vec::new(),
            records: 0,
            bytes: 0,
            since: now,
        });
        open.batch.end = chunk.end;
        open.records += chunk.events.len();
        open.bytes += chunk.bytes;
        open.batch.chunks.push(chunk);
        open.tickets.push(ticket);
        if open.records >= self.records_max || open.bytes >= self.bytes_max {
            self.sealed.extend(state.open.take());
        }
    }

    /// Closes what is open: all of it, or what is old.
    fn seal(&mut self, is_due: impl Fn(&Gathered) -> bool) {
        for state in &mut self.streams {
            if state.open.as_ref().is_some_and(&is_due) {
                self.sealed.extend(state.open.take());
            }
        }
    }

    /// Closes what is open, whatever its age.
    pub(super) fn seal_all(&mut self) {
        self.seal(|_| true);
    }

    /// Hands batches over, marks silent streams, and gives the tickets of the next range that is stored; `None` when
    /// storage has ended. May be dropped at any point.
    pub(super) async fn next(&mut self) -> Option<Vec<TicketId>> {
        loop {
            let now = Instant::now();
            self.mark_idle(now).await;
            // While a batch waits, what is open grows: an outage makes few large batches, not many small ones.
            if self.sealed.is_empty() {
                self.seal(|open| now.duration_since(open.since) >= BATCH_AGE_MAX);
            }
            let age = self.streams.iter().filter_map(|s| Some(s.open.as_ref()?.since + BATCH_AGE_MAX)).min();
            let due = age.filter(|_| self.sealed.is_empty());
            let store = self.lanes.store.clone();
            tokio::select! {
                stored = self.lanes.stored.recv() => {
                    let Stored { topic_partition, start, .. } = stored?;
                    return Some(self.with_storage.remove(&(topic_partition, start)).unwrap_or_default());
                }
                permit = store.reserve(), if !self.sealed.is_empty() => {
                    let (Ok(permit), Some(gathered)) = (permit, self.sealed.pop_front()) else { return None };
                    let place = (gathered.batch.topic_partition.clone(), gathered.batch.start);
                    self.with_storage.insert(place, gathered.tickets);
                    permit.send(gathered.batch);
                }
                () = tokio::time::sleep_until(due.unwrap_or(now + self.idle_timeout)) => {}
            }
        }
    }

    async fn mark_idle(&mut self, now: Instant) {
        for i in 0..self.streams.len() {
            let state = &self.streams[i];
            if state.assigned && !state.idle && now.duration_since(state.active) >= self.idle_timeout {
                let input = FlowInput::Idle(state.topic_partition.clone());
                self.tell_detection(input).await;
                self.streams[i].idle = true;
            }
        }
    }
}

fn chunk(topic_partition: &TopicPartition, start: Offset, events: Vec<Event>, bytes: usize) -> Chunk {
    let messages = events.len() as u64;
    let events: Vec<Positioned> =
        events.into_iter().zip(start..).map(|(event, offset)| Positioned { offset, index: 0, event }).collect();
    let end = events.last().map_or(start, |last| last.offset + 1);
    Chunk { topic_partition: topic_partition.clone(), start, end, messages, bytes, events, rejections: Vec::new() }
}
