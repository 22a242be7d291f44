//! The store lane under random interleavings of readers, storage, dead letters, commits, crashes and revocations: with a
//! storage that recognises a range it has, every offset is stored exactly once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use proptest::prelude::*;

use super::intent::{self, Commit};
use super::store_lane::{BatchLimits, IntentKeeper, Mode, StoreLane};
use crate::model::{Batch, Chunk, Event, Offset, Plan, Positioned, Timestamp, TopicPartition};

/// One partition, its two readers and a storage that may be full, slow and out of order.
struct World {
    /// Offsets of the log; there are holes.
    log: Vec<Offset>,
    lane: StoreLane,
    topic_partition: TopicPartition,
    next_read: usize,
    position: Option<Offset>,
    with_storage: VecDeque<Batch>,
    keeper: IntentKeeper,
    /// What the broker keeps: offset and metadata.
    committed: Option<(Offset, String)>,
    /// A commit on its way to the broker.
    committing: Option<Commit>,
    /// Ranges that storage noted.
    noted: Vec<(Offset, Offset)>,
    /// Ranges that storage has, by their deduplication token, and what was in the first that came.
    ranges: BTreeMap<(Offset, Offset), Vec<Offset>>,
    last_end: Option<Offset>,
    letters_sent: u64,
    letters_acknowledged: u64,
    now_ms: i64,
    detected: Vec<Offset>,
}

const LIMITS: BatchLimits = BatchLimits { records_max: 6, bytes_max: 40, age_ms_max: 3 };
/// Batches that storage accepts while it answers none.
const ROOM: usize = 2;

impl World {
    fn new(gaps: &[u8], keeper: IntentKeeper) -> Self {
        let offset_after = |last: &mut Offset, gap: &u8| {
            *last += 1 + i64::from(*gap % 3);
            Some(*last)
        };
        let mut world = Self {
            log: gaps.iter().scan(2, offset_after).collect(),
            lane: StoreLane::new(LIMITS),
            topic_partition: TopicPartition { topic: "t".into(), partition: 0 },
            next_read: 0,
            position: None,
            with_storage: VecDeque::new(),
            keeper,
            committed: None,
            committing: None,
            noted: Vec::new(),
            ranges: BTreeMap::new(),
            last_end: None,
            letters_sent: 0,
            letters_acknowledged: 0,
            now_ms: 0,
            detected: Vec::new(),
        };
        world.plan();
        world
    }

    fn is_planned(&self) -> bool {
        self.lane.mode() != Mode::Unplanned
    }

    /// How many times each offset is stored.
    fn stored(&self) -> BTreeMap<Offset, u32> {
        let mut stored = BTreeMap::new();
        self.ranges.values().flatten().for_each(|offset| *stored.entry(*offset).or_default() += 1);
        stored
    }

    fn committed(&self) -> Offset {
        self.committed.as_ref().map_or(0, |(offset, _)| *offset)
    }

    /// What a new owner of the partition finds.
    fn plan(&mut self) {
        if self.is_planned() {
            return;
        }
        let plan = match (&self.committed, self.keeper) {
            (None, _) => Plan::default(),
            (Some((offset, metadata)), IntentKeeper::Broker) => intent::plan(*offset, metadata),
            (Some((offset, _)), IntentKeeper::Ledger) => {
                let stored: Vec<_> = self.ranges.keys().copied().collect();
                Plan::from_ledger("".into(), *offset, &stored, &self.noted)
            }
        };
        self.lane.plan(plan, self.keeper, self.now_ms);
    }

    fn chunk(&self, start: Option<Offset>, offsets: &[Offset], end: Offset) -> Arc<Chunk> {
        let event = |offset: &Offset| Positioned {
            offset: *offset,
            index: 0,
            event: Event::Watermark(Timestamp::from_millis(*offset)),
        };
        Arc::new(Chunk {
            topic_partition: self.topic_partition.clone(),
            start: start.unwrap_or(offsets[0]),
            end,
            messages: offsets.len() as u64,
            bytes: offsets.len() * 5,
            events: offsets.iter().map(event).collect(),
            rejections: Vec::new(),
        })
    }

    fn read(&mut self, messages: usize, letters: u64, letters_have_room: bool) {
        let mut end = (self.next_read + messages).min(self.log.len());
        let first = self.log.get(self.next_read).copied().unwrap_or_default();
        // As the shell does: a chunk does not reach over a boundary.
        let boundary = self.lane.boundary(self.position.unwrap_or(first));
        if let Some(boundary) = boundary.filter(|_| self.lane.mode() == Mode::Level) {
            end = end.min(self.log.partition_point(|offset| *offset < boundary).max(self.next_read));
        }
        let offsets = self.log[self.next_read..end].to_vec();
        let chunk_end = match (offsets.last(), boundary) {
            (Some(last), _) => last + 1,
            // Nothing but a hole up to the boundary, and something behind it.
            (None, Some(boundary)) if self.position.is_some() && end < self.log.len() => boundary,
            (None, _) => return,
        };
        let chunk = self.chunk(self.position, &offsets, chunk_end);
        self.position = Some(chunk.end);
        self.next_read = end;
        self.letters_sent += letters;
        self.lane.read(&chunk, letters_have_room.then_some(self.letters_sent), self.now_ms);
        self.detected.extend(offsets);
    }

    fn read_again(&mut self, messages: usize) {
        let Mode::Behind { next } = self.lane.mode() else { return };
        if self.lane.is_waiting() {
            return;
        }
        let read_end = self.lane.read_end().unwrap();
        let until = self.lane.boundary(next).map_or(read_end, |boundary| boundary.min(read_end));
        let offsets: Vec<Offset> =
            self.log.iter().copied().filter(|o| (next..until).contains(o)).take(messages).collect();
        // As the shell does: at the meeting point the chunk ends where the first reader's does.
        let beyond = offsets.len() < messages;
        let end = if beyond { until } else { offsets.last().unwrap() + 1 };
        let chunk = self.chunk(Some(next), &offsets, end);
        let level = self.lane.read_again(&chunk, self.letters_sent, self.now_ms);
        assert_eq!(level, end == read_end);
    }

    fn hand_over(&mut self) {
        self.lane.seal_when_due(self.now_ms);
        while self.with_storage.len() < ROOM && self.lane.has_batch(self.letters_acknowledged) {
            let batch = self.lane.hand_over(&self.topic_partition).unwrap();
            assert!(self.last_end.is_none_or(|end| end == batch.start), "ranges join");
            self.last_end = Some(batch.end);
            self.with_storage.push_back(batch);
        }
    }

    fn store(&mut self, which: usize) {
        if self.with_storage.is_empty() {
            return;
        }
        // Storage writes in order; it may be slow, and its answers may come when nobody waits for them any more.
        let _ = which;
        let batch = self.with_storage.pop_front().unwrap();
        self.write(&batch, true);
        self.lane.stored(batch.start, batch.end);
    }

    /// Storage notes the range where it has to, and has its rows once however often they come.
    fn write(&mut self, batch: &Batch, rows: bool) {
        let offsets = batch.chunks.iter().flat_map(|chunk| &chunk.events).map(|event| event.offset);
        let offsets: Vec<Offset> = offsets.collect();
        assert!(offsets.iter().all(|offset| (batch.start..batch.end).contains(offset)));
        if batch.note_intent {
            self.noted.push((batch.start, batch.end));
        }
        if rows {
            let first = self.ranges.entry((batch.start, batch.end)).or_insert_with(|| offsets.clone());
            assert_eq!(*first, offsets, "the same range has the same rows");
        }
    }

    /// Asks the broker; its answer comes later.
    fn commit(&mut self) {
        let Some(commit) = self.lane.commit_wanted() else { return };
        assert!(commit.offset >= self.committed(), "commits go forward");
        self.lane.offsets_mut().asked(commit.clone());
        self.committing = Some(commit);
    }

    fn answer(&mut self, taken: bool) {
        let Some(commit) = self.committing.take() else { return };
        if taken {
            let metadata = commit.metadata("");
            let metadata = if self.keeper == IntentKeeper::Ledger { String::new() } else { metadata };
            self.committed = Some((commit.offset, metadata));
        }
        self.lane.offsets_mut().answered(taken);
    }

    /// The process dies. A commit on its way arrives or not; storage has written some of what it had, or a part of it.
    fn crash(&mut self, commit_arrives: bool, written: usize) {
        if commit_arrives {
            self.answer(true);
        }
        self.committing = None;
        for (place, batch) in std::mem::take(&mut self.with_storage).iter().enumerate() {
            if place <= written {
                self.write(batch, place < written);
            }
        }
        self.lane = StoreLane::new(LIMITS);
        self.next_read = self.log.partition_point(|offset| *offset < self.committed());
        self.position = None;
        self.last_end = None;
    }

    fn check(&self) {
        let stored = self.stored();
        for offset in self.log.iter().take_while(|offset| **offset < self.committed()) {
            assert!(stored.contains_key(offset), "{offset} is committed and not stored");
        }
        assert!(self.lane.gathered_bytes() <= 2 * (LIMITS.bytes_max + 5 * 4) + LIMITS.bytes_max, "memory is bounded");
    }

    fn finish(&mut self) {
        self.plan();
        for _ in 0..10 * self.log.len() + 100 {
            self.letters_acknowledged = self.letters_sent;
            self.now_ms += 10;
            self.read(3, 0, true);
            self.read_again(3);
            self.hand_over();
            self.commit();
            self.answer(true);
            self.store(0);
            self.check();
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Read { messages: usize, letters: u64, letters_have_room: bool },
    ReadAgain(usize),
    HandOver,
    Store(usize),
    Acknowledge,
    Time(i64),
    Commit,
    Answer(bool),
    Plan,
    Forget,
    Crash { commit_arrives: bool, written: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_usize..4, 0_u64..2, prop::bool::weighted(0.9))
            .prop_map(|(messages, letters, letters_have_room)| Step::Read { messages, letters, letters_have_room }),
        4 => (1_usize..4).prop_map(Step::ReadAgain),
        4 => Just(Step::HandOver),
        3 => (0_usize..3).prop_map(Step::Store),
        3 => Just(Step::Acknowledge),
        2 => (0_i64..4).prop_map(Step::Time),
        4 => Just(Step::Commit),
        4 => prop::bool::weighted(0.8).prop_map(Step::Answer),
        2 => Just(Step::Plan),
        1 => Just(Step::Forget),
        1 => (any::<bool>(), 0_usize..3).prop_map(|(commit_arrives, written)| Step::Crash { commit_arrives, written }),
    ]
}

fn run(gaps: &[u8], keeper: IntentKeeper, steps: &[Step]) -> World {
    let mut world = World::new(gaps, keeper);
    for step in steps {
        match *step {
            Step::Read { messages, letters, letters_have_room } => world.read(messages, letters, letters_have_room),
            Step::ReadAgain(messages) => world.read_again(messages),
            Step::HandOver => world.hand_over(),
            Step::Store(which) => world.store(which),
            Step::Acknowledge => world.letters_acknowledged = world.letters_sent,
            Step::Time(ms) => world.now_ms += ms,
            Step::Commit => world.commit(),
            Step::Plan => world.plan(),
            // The shell forgets only what the first reader has read.
            Step::Forget if !matches!(world.lane.mode(), Mode::Behind { .. }) => world.lane.forget(),
            Step::Forget => {}
            Step::Answer(taken) => world.answer(taken),
            Step::Crash { commit_arrives, written } => world.crash(commit_arrives, written),
        }
        world.check();
    }
    world.finish();
    world
}

proptest! {
    #[test]
    fn every_offset_is_stored_once_and_nothing_is_committed_before(
        gaps in prop::collection::vec(any::<u8>(), 1..80),
        ledger in any::<bool>(),
        steps in prop::collection::vec(step(), 0..300),
    ) {
        let keeper = if ledger { IntentKeeper::Ledger } else { IntentKeeper::Broker };
        let world = run(&gaps, keeper, &steps);
        prop_assert_eq!(world.stored().keys().copied().collect::<Vec<_>>(), world.log.clone());
        prop_assert_eq!(world.committed(), world.log.last().unwrap() + 1);
        prop_assert_eq!(world.lane.mode(), Mode::Level);
        prop_assert!(world.stored().values().all(|times| *times == 1), "stored exactly once: {:?}", world.ranges);
        if !steps.iter().any(|step| matches!(step, Step::Crash { .. })) {
            prop_assert_eq!(world.detected, world.log, "detection sees every offset once, in order");
        }
    }
}

#[test]
fn a_full_storage_puts_the_partition_behind_and_detection_goes_on() {
    let mut world = World::new(&[0; 60], IntentKeeper::Broker);
    for _ in 0..20 {
        world.read(3, 0, true);
        world.commit();
        world.answer(true);
        world.hand_over();
    }
    assert_eq!(world.detected.len(), 60);
    // Two batches of six are with storage, one is sealed; from the fourth on nothing is kept.
    assert_eq!(world.lane.mode(), Mode::Behind { next: 3 + 3 * 6 });
    world.finish();
    assert_eq!(world.stored().len(), 60);
}

#[test]
fn a_batch_waits_for_its_dead_letters() {
    let mut world = World::new(&[0; 10], IntentKeeper::Broker);
    world.read(8, 1, true);
    world.commit();
    world.answer(true);
    assert!(!world.lane.has_batch(0));
    assert!(world.lane.has_batch(1));
}

#[test]
fn a_batch_waits_until_its_range_is_noted() {
    let mut world = World::new(&[0; 10], IntentKeeper::Broker);
    world.read(8, 0, true);
    assert!(world.lane.waits_for_note());
    world.commit();
    assert!(!world.lane.has_batch(0));
    world.answer(false);
    assert!(!world.lane.has_batch(0), "the broker has refused");
    world.commit();
    world.answer(true);
    assert!(world.lane.has_batch(0));
}

#[test]
fn what_retention_removed_is_accounted_for_as_dropped() {
    let mut lane = StoreLane::new(LIMITS);
    lane.plan(Plan { epoch: "".into(), start: Some(5), ends: vec![8, 20] }, IntentKeeper::Ledger, 0);
    assert!(lane.drop_through(12, 0));
    lane.seal();
    assert!(!lane.is_waiting(), "what is left of a noted range belongs to it");
    assert_eq!(lane.boundary(12), Some(20));
}

#[test]
fn a_chunk_from_before_the_plan_is_read_again_in_parts() {
    let mut world = World::new(&[0; 20], IntentKeeper::Broker);
    world.lane = StoreLane::new(LIMITS);
    world.lane.plan(Plan { epoch: "".into(), start: Some(3), ends: vec![8, 11] }, IntentKeeper::Broker, 0);
    let chunk = world.chunk(Some(3), &[3, 4, 5, 6, 7, 8, 9], 10);
    world.lane.read(&chunk, Some(0), 0);
    assert_eq!(world.lane.mode(), Mode::Behind { next: 3 }, "the end at 8 is inside the chunk");
}
