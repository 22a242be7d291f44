//! The way of one partition to storage. Pure: chunks and answers in, batches out.
//!
//! Detection never waits for storage. A partition is *level* while storage keeps up: what is read once feeds both.
//! When storage does not keep up, what is not handed over is forgotten and the partition is *behind*: a second reader
//! reads it again from the first forgotten offset, at the pace of storage, until it meets the first one.
//!
//! Invariants: committed ≤ stored without a gap ≤ handed over ≤ gathered ≤ read; ranges of consecutive batches join; at
//! most one sealed and one open batch are held.

use std::sync::Arc;

use super::offsets::OffsetTracker;
use crate::config::StoreConfig;
use crate::model::{Batch, Chunk, Offset, TopicPartition};

/// When a batch is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Records, events and rejections.
    pub records_max: usize,
    /// Bytes of input.
    pub bytes_max: usize,
    /// Age of its first chunk.
    pub age_ms_max: i64,
}

impl From<&StoreConfig> for BatchLimits {
    fn from(config: &StoreConfig) -> Self {
        Self {
            records_max: config.batch_records_max,
            bytes_max: config.batch_bytes_max.as_usize(),
            age_ms_max: config.batch_age_max.as_millis(),
        }
    }
}

/// Whether one read feeds detection and storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One read feeds both.
    Level,
    /// Storage needs a second read from `next` on.
    Behind {
        /// First offset that is not gathered for storage.
        next: Offset,
    },
}

/// Chunks gathered and not handed over.
#[derive(Debug)]
struct Gathered {
    chunks: Vec<Arc<Chunk>>,
    start: Offset,
    end: Offset,
    records: usize,
    bytes: usize,
    since_ms: i64,
    dead_letters_through: u64,
}

/// The way of one partition to storage.
#[derive(Debug)]
pub struct StoreLane {
    limits: BatchLimits,
    mode: Mode,
    read_end: Option<Offset>,
    sealed: Option<Gathered>,
    open: Option<Gathered>,
    offsets: OffsetTracker,
}

impl StoreLane {
    /// A partition just assigned: level, nothing read.
    #[must_use]
    pub fn new(limits: BatchLimits) -> Self {
        Self { limits, mode: Mode::Level, read_end: None, sealed: None, open: None, offsets: OffsetTracker::default() }
    }

    /// The first reader has read `chunk`. `dead_letters_through` counts the dead letters that must be acknowledged
    /// before it may be handed over; `None` says that they could not even be sent, so it cannot be gathered now.
    pub fn read(&mut self, chunk: &Arc<Chunk>, dead_letters_through: Option<u64>, now_ms: i64) {
        self.read_end = Some(chunk.end);
        if self.mode != Mode::Level {
            return;
        }
        match dead_letters_through {
            Some(through) => self.gather(chunk, through, now_ms),
            None => self.mode = Mode::Behind { next: chunk.start },
        }
        if self.open_is_full() && self.sealed.is_some() {
            // A second full batch: storage does not keep up. The sealed one stays, it is paid for.
            self.mode = self.open.take().map_or(self.mode, |open| Mode::Behind { next: open.start });
        }
    }

    /// The second reader has read `chunk`, which starts at the `next` of [`Mode::Behind`]. True when it has met the
    /// first reader: the partition is level again.
    pub fn read_again(&mut self, chunk: &Arc<Chunk>, dead_letters_through: u64, now_ms: i64) -> bool {
        let Mode::Behind { next } = self.mode else { return true };
        debug_assert_eq!(chunk.start, next, "ranges join");
        self.gather(chunk, dead_letters_through, now_ms);
        self.skip_to(chunk.end)
    }

    /// The offsets before `next` are no more (holes, or removed by retention). True when the partition is level again.
    pub fn skip_to(&mut self, next: Offset) -> bool {
        let met = self.read_end.is_none_or(|read_end| next >= read_end);
        self.mode = if met { Mode::Level } else { Mode::Behind { next } };
        met
    }

    /// Forgets what is gathered, when memory over all partitions runs out. The second reader will read it again.
    pub fn forget(&mut self) {
        let first = self.sealed.take().into_iter().chain(self.open.take()).next();
        if let Some(gathered) = first {
            self.mode = Mode::Behind { next: gathered.start };
        }
    }

    fn gather(&mut self, chunk: &Arc<Chunk>, dead_letters_through: u64, now_ms: i64) {
        let open = self.open.get_or_insert_with(|| Gathered {
            chunks: Vec::new(),
            start: chunk.start,
            end: chunk.start,
            records: 0,
            bytes: 0,
            since_ms: now_ms,
            dead_letters_through: 0,
        });
        debug_assert_eq!(open.end, chunk.start, "ranges join");
        open.end = chunk.end;
        open.records += chunk.events.len() + chunk.rejections.len();
        open.bytes += chunk.bytes;
        open.dead_letters_through = open.dead_letters_through.max(dead_letters_through);
        open.chunks.push(Arc::clone(chunk));
        if self.open_is_full() {
            self.seal();
        }
    }

    fn open_is_full(&self) -> bool {
        self.open
            .as_ref()
            .is_some_and(|open| open.records >= self.limits.records_max || open.bytes >= self.limits.bytes_max)
    }

    /// Seals the open batch whatever its size, unless another one still waits.
    pub fn seal(&mut self) {
        if self.sealed.is_none() {
            self.sealed = self.open.take();
        }
    }

    /// Seals the open batch when it is full or old.
    pub fn seal_when_due(&mut self, now_ms: i64) {
        let old = self.open.as_ref().is_some_and(|open| now_ms - open.since_ms >= self.limits.age_ms_max);
        if old || self.open_is_full() {
            self.seal();
        }
    }

    /// Whether a batch waits that may be handed over, now that dead letters before `dead_letters_acknowledged` are safe.
    #[must_use]
    pub fn has_batch(&self, dead_letters_acknowledged: u64) -> bool {
        self.sealed.as_ref().is_some_and(|sealed| sealed.dead_letters_through <= dead_letters_acknowledged)
    }

    /// Hands the waiting batch over: the caller must deliver it.
    pub fn hand_over(&mut self, topic_partition: &TopicPartition) -> Option<Batch> {
        let Gathered { chunks, start, end, .. } = self.sealed.take()?;
        self.offsets.sent(start, end);
        Some(Batch { topic_partition: topic_partition.clone(), epoch: "".into(), start, end, chunks })
    }

    /// Storage has `[start, end)`.
    pub fn stored(&mut self, start: Offset, end: Offset) {
        self.offsets.stored(start, end);
    }

    /// Level or behind.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// End of what the first reader has read.
    #[must_use]
    pub fn read_end(&self) -> Option<Offset> {
        self.read_end
    }

    /// Whether a sealed batch waits for storage or for dead letters.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.sealed.is_some()
    }

    /// Whether anything is gathered and not handed over.
    #[must_use]
    pub fn is_gathering(&self) -> bool {
        self.sealed.is_some() || self.open.is_some()
    }

    /// Bytes of input gathered and not handed over.
    #[must_use]
    pub fn gathered_bytes(&self) -> usize {
        self.sealed.iter().chain(&self.open).map(|gathered| gathered.bytes).sum()
    }

    /// Offsets with storage, stored, committed.
    #[must_use]
    pub fn offsets(&self) -> &OffsetTracker {
        &self.offsets
    }

    /// For commits.
    pub fn offsets_mut(&mut self) -> &mut OffsetTracker {
        &mut self.offsets
    }
}
