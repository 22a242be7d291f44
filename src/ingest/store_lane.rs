//! The way of one partition to storage. Pure: chunks and answers in, batches out.
//!
//! Detection never waits for storage. A partition is *level* while storage keeps up: what is read once feeds both.
//! When storage does not keep up, what is not handed over is forgotten and the partition is *behind*: a second reader
//! reads it again from the first forgotten offset, at the pace of storage, until it meets the first one.
//!
//! A batch is handed over only after its range was noted ([`super::intent`]), and a noted range is never cut another way:
//! not after a restart (the [`Plan`] says how it was cut), not when it had to be forgotten.
//!
//! Invariants: committed ≤ stored without a gap ≤ handed over ≤ noted ≤ gathered ≤ read; ranges of consecutive batches
//! join; at most one sealed and one open batch are held.

use std::collections::VecDeque;
use std::sync::Arc;

use super::intent::Commit;
use super::offsets::OffsetTracker;
use crate::config::StoreConfig;
use crate::model::{Batch, Chunk, Offset, Plan, TopicPartition};

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

/// Who keeps the note of ranges that are about to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IntentKeeper {
    /// The broker, in the metadata of commits: a member that has lost its partitions is refused.
    #[default]
    Broker,
    /// Storage, in a table, because this broker loses the metadata of commits. Nobody is refused.
    Ledger,
}

/// Whether one read feeds detection and storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Where storage goes on is not known yet; detection is fed.
    Unplanned,
    /// One read feeds both.
    Level,
    /// Storage needs a second read from `next` on.
    Behind {
        /// First offset that is not gathered for storage.
        next: Offset,
    },
}

/// A range gathered and not handed over.
#[derive(Debug)]
struct Gathered {
    chunks: Vec<Arc<Chunk>>,
    start: Offset,
    end: Offset,
    records: usize,
    bytes: usize,
    since_ms: i64,
    dead_letters_through: u64,
    dropped: u64,
}

/// What is read before it is known where storage goes on; at most a batch.
#[derive(Debug, Default)]
struct Early {
    /// Chunks, and how many dead letters must be acknowledged for each.
    chunks: Vec<(Arc<Chunk>, u64)>,
    records: usize,
    bytes: usize,
    /// Some were not kept: the second reader has to read them.
    is_incomplete: bool,
}

impl Early {
    fn keep(&mut self, chunk: &Arc<Chunk>, dead_letters_through: Option<u64>, limits: &BatchLimits) {
        self.records += chunk.events.len() + chunk.rejections.len();
        self.bytes += chunk.bytes;
        let fits = self.records <= limits.records_max && self.bytes <= limits.bytes_max;
        match dead_letters_through {
            Some(through) if fits && !self.is_incomplete => self.chunks.push((Arc::clone(chunk), through)),
            _ => self.forget(),
        }
    }

    fn forget(&mut self) {
        *self = Self { is_incomplete: true, ..Self::default() };
    }
}

/// The way of one partition to storage.
#[derive(Debug)]
pub struct StoreLane {
    limits: BatchLimits,
    keeper: IntentKeeper,
    epoch: Arc<str>,
    is_planned: bool,
    is_behind: bool,
    early: Early,
    /// The next offset to gather, once it is known.
    next: Option<Offset>,
    read_start: Option<Offset>,
    read_end: Option<Offset>,
    /// Ends of ranges that are noted and not yet sealed.
    cuts: VecDeque<Offset>,
    sealed: Option<Gathered>,
    open: Option<Gathered>,
    offsets: OffsetTracker,
}

impl StoreLane {
    /// A partition just assigned: nothing read, and not known yet where storage goes on.
    #[must_use]
    pub fn new(limits: BatchLimits) -> Self {
        Self {
            limits,
            keeper: IntentKeeper::Broker,
            epoch: "".into(),
            is_planned: false,
            is_behind: false,
            early: Early::default(),
            next: None,
            read_start: None,
            read_end: None,
            cuts: VecDeque::new(),
            sealed: None,
            open: None,
            offsets: OffsetTracker::default(),
        }
    }

    /// Where storage goes on, and who keeps notes.
    pub fn plan(&mut self, plan: Plan, keeper: IntentKeeper, now_ms: i64) {
        debug_assert!(!self.is_planned, "a partition is planned once");
        self.keeper = keeper;
        self.epoch = plan.epoch;
        self.cuts = plan.ends.into();
        self.is_planned = true;
        self.next = plan.start.or(self.read_start);
        if let Some(next) = self.next {
            self.offsets.begin(next);
        }
        let early = std::mem::take(&mut self.early);
        let starts_late = self.next.zip(self.read_start).is_some_and(|(next, read)| next < read);
        let is_cut = |chunk: &Chunk| self.boundary(chunk.start).is_some_and(|boundary| boundary < chunk.end);
        if early.is_incomplete || starts_late || early.chunks.iter().any(|(chunk, _)| is_cut(chunk)) {
            self.meets_first_reader();
            return;
        }
        for (chunk, dead_letters_through) in early.chunks {
            self.take(&chunk, Some(dead_letters_through), now_ms);
        }
    }

    /// The first reader has read `chunk`. `dead_letters_through` counts the dead letters that must be acknowledged
    /// before it may be handed over; `None` says that they could not even be sent, so it cannot be gathered now.
    /// A chunk must not reach over a [`StoreLane::boundary`].
    pub fn read(&mut self, chunk: &Arc<Chunk>, dead_letters_through: Option<u64>, now_ms: i64) {
        self.read_start.get_or_insert(chunk.start);
        self.read_end = Some(chunk.end);
        if !self.is_planned {
            return self.early.keep(chunk, dead_letters_through, &self.limits);
        }
        self.take(chunk, dead_letters_through, now_ms);
    }

    /// Takes a chunk of the first reader while one read feeds both.
    fn take(&mut self, chunk: &Arc<Chunk>, dead_letters_through: Option<u64>, now_ms: i64) {
        if self.mode() != Mode::Level || self.next.is_some_and(|next| chunk.end <= next) {
            return;
        }
        let is_cut = self.boundary(chunk.start).is_some_and(|boundary| boundary < chunk.end);
        match dead_letters_through {
            // A chunk from before it was known where ranges end is read again, in parts.
            Some(through) if self.open_has_room() && !is_cut => self.gather(chunk, through, now_ms),
            _ => {
                self.next.get_or_insert(chunk.start);
                self.is_behind = true;
                self.begin_at_next();
            }
        }
        if self.open_is_full() && self.sealed.is_some() {
            // A second full batch: storage does not keep up. The sealed one stays, it is paid for.
            self.forget_open();
        }
    }

    /// The second reader has read `chunk`, which starts at the `next` of [`Mode::Behind`]. True when it has met the
    /// first reader: the partition is level again.
    pub fn read_again(&mut self, chunk: &Arc<Chunk>, dead_letters_through: u64, now_ms: i64) -> bool {
        let Mode::Behind { next } = self.mode() else { return true };
        debug_assert_eq!(chunk.start, next, "ranges join");
        self.gather(chunk, dead_letters_through, now_ms);
        self.meets_first_reader()
    }

    /// The offsets before `end` were removed by retention before they were stored: accounted for as dropped. True when
    /// the partition is level again.
    pub fn drop_through(&mut self, end: Offset, now_ms: i64) -> bool {
        let Some(start) = self.next.filter(|next| *next < end) else { return !self.is_behind };
        // Ranges noted for what is no more can never be read again; only the last may have something left.
        while self.cuts.front().is_some_and(|cut| *cut <= end) {
            self.cuts.pop_front();
        }
        let open = self.open_at(start, now_ms);
        open.end = end;
        open.dropped += end.abs_diff(start);
        self.next = Some(end);
        self.meets_first_reader()
    }

    fn meets_first_reader(&mut self) -> bool {
        self.is_behind = self.next.zip(self.read_end).is_some_and(|(next, read_end)| next < read_end);
        !self.is_behind
    }

    fn begin_at_next(&mut self) {
        if let Some(next) = self.next {
            self.offsets.begin(next);
        }
    }

    /// Forgets what is gathered, when memory over all partitions runs out. The second reader will read it again.
    pub fn forget(&mut self) {
        if !self.is_planned {
            return self.early.forget();
        }
        self.forget_open();
        if let Some(sealed) = self.sealed.take() {
            // It may have been noted: then it must be cut here again.
            self.cuts.push_front(sealed.end);
            self.next = Some(sealed.start);
            self.is_behind = true;
        }
    }

    fn forget_open(&mut self) {
        if let Some(open) = self.open.take() {
            self.next = Some(open.start);
            self.is_behind = true;
        }
    }

    /// Where a chunk that is read from `position` on has to end at the latest: where a noted range ends, or where storage
    /// begins.
    #[must_use]
    pub fn boundary(&self, position: Offset) -> Option<Offset> {
        self.next.into_iter().chain(self.cuts.iter().copied()).find(|boundary| *boundary > position)
    }

    fn open_at(&mut self, start: Offset, now_ms: i64) -> &mut Gathered {
        self.begin_at_next();
        self.open.get_or_insert_with(|| Gathered {
            chunks: Vec::new(),
            start,
            end: start,
            records: 0,
            bytes: 0,
            since_ms: now_ms,
            dead_letters_through: 0,
            dropped: 0,
        })
    }

    fn gather(&mut self, chunk: &Arc<Chunk>, dead_letters_through: u64, now_ms: i64) {
        // Before the first record there may be a hole: it is part of the range.
        let start = *self.next.get_or_insert(chunk.start);
        debug_assert!(chunk.end >= start, "ranges join");
        let open = self.open_at(start, now_ms);
        open.end = chunk.end;
        open.records += chunk.events.len() + chunk.rejections.len();
        open.bytes += chunk.bytes;
        open.dead_letters_through = open.dead_letters_through.max(dead_letters_through);
        open.chunks.push(Arc::clone(chunk));
        self.next = Some(chunk.end);
        self.seal_if_full();
    }

    /// Whether more may be gathered into the open batch.
    fn open_has_room(&self) -> bool {
        self.sealed.is_none() || !self.open_is_full()
    }

    /// A noted range is full at its end, whatever its size; others are full by size.
    fn open_is_full(&self) -> bool {
        let by_size = |open: &Gathered| open.records >= self.limits.records_max || open.bytes >= self.limits.bytes_max;
        self.open.as_ref().is_some_and(|open| match self.cuts.front() {
            Some(cut) => open.end >= *cut,
            None => by_size(open),
        })
    }

    fn seal_if_full(&mut self) {
        if self.open_is_full() {
            self.seal();
        }
    }

    /// Seals the open batch whatever its size, unless another one still waits, or it is a part of a noted range.
    pub fn seal(&mut self) {
        let is_part = self.open.as_ref().zip(self.cuts.front()).is_some_and(|(open, cut)| open.end < *cut);
        if self.sealed.is_none() && !is_part {
            self.sealed = self.open.take();
            if let Some(sealed) = &self.sealed {
                while self.cuts.front().is_some_and(|cut| *cut <= sealed.end) {
                    self.cuts.pop_front();
                }
            }
        }
    }

    /// Seals the open batch when it is full or old.
    pub fn seal_when_due(&mut self, now_ms: i64) {
        let old = self.open.as_ref().is_some_and(|open| now_ms - open.since_ms >= self.limits.age_ms_max);
        if old || self.open_is_full() {
            self.seal();
        }
    }

    /// What the broker should be asked to take now: `None` while nothing has changed, or while it has yet to answer.
    #[must_use]
    pub fn commit_wanted(&self) -> Option<Commit> {
        if self.offsets.is_asking() || !self.is_planned {
            return None;
        }
        let further = self.sealed.iter().map(|sealed| sealed.end).chain(self.cuts.iter().copied());
        let mut commit = self.offsets.commit(further)?;
        if self.keeper == IntentKeeper::Ledger {
            commit.ends.clear();
        }
        (self.offsets.committed() != Some(&commit)).then_some(commit)
    }

    /// Whether a batch waits only for its range to be noted.
    #[must_use]
    pub fn waits_for_note(&self) -> bool {
        self.sealed.is_some() && !self.sealed_is_noted()
    }

    fn sealed_is_noted(&self) -> bool {
        let Some(sealed) = &self.sealed else { return false };
        let Some(committed) = self.offsets.committed() else { return false };
        // Where storage keeps the notes, the offset alone has to be known: without it there is nowhere to begin.
        self.keeper == IntentKeeper::Ledger || committed.ends.contains(&sealed.end)
    }

    /// Whether a batch waits that may be handed over, now that dead letters before `dead_letters_acknowledged` are safe.
    #[must_use]
    pub fn has_batch(&self, dead_letters_acknowledged: u64) -> bool {
        self.sealed_is_noted()
            && self.sealed.as_ref().is_some_and(|sealed| sealed.dead_letters_through <= dead_letters_acknowledged)
    }

    /// Hands the waiting batch over: the caller must deliver it.
    pub fn hand_over(&mut self, topic_partition: &TopicPartition) -> Option<Batch> {
        let Gathered { chunks, start, end, dropped, .. } = self.sealed.take()?;
        self.offsets.sent(start, end);
        // What is full must not grow any more.
        self.seal_if_full();
        Some(Batch {
            topic_partition: topic_partition.clone(),
            epoch: Arc::clone(&self.epoch),
            start,
            end,
            chunks,
            dropped,
            note_intent: self.keeper == IntentKeeper::Ledger,
        })
    }

    /// Storage has `[start, end)`.
    pub fn stored(&mut self, start: Offset, end: Offset) {
        self.offsets.stored(start, end);
    }

    /// Level, behind, or not known yet.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self.next {
            _ if !self.is_planned => Mode::Unplanned,
            Some(next) if self.is_behind => Mode::Behind { next },
            _ => Mode::Level,
        }
    }

    /// The next offset to gather, once it is known.
    #[must_use]
    pub fn next(&self) -> Option<Offset> {
        self.next
    }

    /// Which topic of this name it is.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// End of what the first reader has read.
    #[must_use]
    pub fn read_end(&self) -> Option<Offset> {
        self.read_end
    }

    /// Whether a sealed batch waits for storage, for dead letters or for its note.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.sealed.is_some()
    }

    /// Whether a second batch is full while one waits: what is read next puts the partition behind.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.sealed.is_some() && self.open.as_ref().is_some_and(|open| open.records * 4 >= self.limits.records_max * 3)
    }

    /// Whether anything is gathered and not handed over.
    #[must_use]
    pub fn is_gathering(&self) -> bool {
        self.is_waiting() || self.open.is_some() || !self.early.chunks.is_empty()
    }

    /// Bytes of input gathered and not handed over.
    #[must_use]
    pub fn gathered_bytes(&self) -> usize {
        self.early.bytes + self.sealed.iter().chain(&self.open).map(|gathered| gathered.bytes).sum::<usize>()
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
