//! The store lane under random interleavings of readers, storage, dead letters, revocation and assignment.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use proptest::prelude::*;

use super::store_lane::{BatchLimits, Mode, StoreLane};
use crate::model::{Batch, Chunk, Event, Offset, Positioned, Timestamp, TopicPartition};

/// One partition, its two readers and a storage that may be full, slow and out of order.
struct World {
    /// Offsets of the log; there are holes.
    log: Vec<Offset>,
    lane: StoreLane,
    topic_partition: TopicPartition,
    next_read: usize,
    position: Option<Offset>,
    with_storage: VecDeque<Batch>,
    stored: BTreeMap<Offset, u32>,
    committed: Offset,
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
    fn new(gaps: &[u8]) -> Self {
        let offset_after = |last: &mut Offset, gap: &u8| {
            *last += 1 + i64::from(*gap % 3);
            Some(*last)
        };
        Self {
            log: gaps.iter().scan(2, offset_after).collect(),
            lane: StoreLane::new(LIMITS),
            topic_partition: TopicPartition { topic: "t".into(), partition: 0 },
            next_read: 0,
            position: None,
            with_storage: VecDeque::new(),
            stored: BTreeMap::new(),
            committed: 0,
            last_end: None,
            letters_sent: 0,
            letters_acknowledged: 0,
            now_ms: 0,
            detected: Vec::new(),
        }
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
        let end = (self.next_read + messages).min(self.log.len());
        let offsets = self.log[self.next_read..end].to_vec();
        let Some(last) = offsets.last() else { return };
        let chunk = self.chunk(self.position, &offsets, last + 1);
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
        let offsets: Vec<Offset> =
            self.log.iter().copied().filter(|o| (next..read_end).contains(o)).take(messages).collect();
        // As the shell does: at the meeting point the chunk ends where the first reader's does.
        let beyond = offsets.len() < messages;
        let end = if beyond { read_end } else { offsets.last().unwrap() + 1 };
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
        let batch = self.with_storage.remove(which % self.with_storage.len()).unwrap();
        for event in batch.chunks.iter().flat_map(|chunk| &chunk.events) {
            assert!((batch.start..batch.end).contains(&event.offset));
            *self.stored.entry(event.offset).or_default() += 1;
        }
        self.lane.stored(batch.start, batch.end);
    }

    fn commit(&mut self) {
        if let Some(offset) = self.lane.offsets().to_commit() {
            assert!(offset >= self.committed, "commits go forward");
            self.lane.offsets_mut().committing(offset);
            self.committed = offset;
        }
    }

    fn revoke_and_assign(&mut self) {
        self.commit();
        // Storage still writes what it has; its answers then concern nobody.
        while !self.with_storage.is_empty() {
            let batch = self.with_storage.pop_front().unwrap();
            for event in batch.chunks.iter().flat_map(|chunk| &chunk.events) {
                *self.stored.entry(event.offset).or_default() += 1;
            }
        }
        self.lane = StoreLane::new(LIMITS);
        self.next_read = self.log.partition_point(|offset| *offset < self.committed);
        self.position = None;
        self.last_end = None;
    }

    fn check(&self) {
        for offset in self.log.iter().take_while(|offset| **offset < self.committed) {
            assert!(self.stored.contains_key(offset), "{offset} is committed and not stored");
        }
        assert!(self.lane.gathered_bytes() <= 2 * (LIMITS.bytes_max + 5 * 4), "memory is bounded");
    }

    fn finish(&mut self) {
        for _ in 0..10 * self.log.len() + 100 {
            self.letters_acknowledged = self.letters_sent;
            self.now_ms += 10;
            self.read(3, 0, true);
            self.read_again(3);
            self.hand_over();
            self.store(0);
            self.commit();
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
    Forget,
    RevokeAndAssign,
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
        2 => Just(Step::Commit),
        1 => Just(Step::Forget),
        1 => Just(Step::RevokeAndAssign),
    ]
}

fn run(gaps: &[u8], steps: &[Step]) -> World {
    let mut world = World::new(gaps);
    for step in steps {
        match *step {
            Step::Read { messages, letters, letters_have_room } => world.read(messages, letters, letters_have_room),
            Step::ReadAgain(messages) => world.read_again(messages),
            Step::HandOver => world.hand_over(),
            Step::Store(which) => world.store(which),
            Step::Acknowledge => world.letters_acknowledged = world.letters_sent,
            Step::Time(ms) => world.now_ms += ms,
            Step::Commit => world.commit(),
            // The shell forgets only while one read feeds both.
            Step::Forget if world.lane.mode() == Mode::Level => world.lane.forget(),
            Step::Forget => {}
            Step::RevokeAndAssign => world.revoke_and_assign(),
        }
        world.check();
    }
    world.finish();
    world
}

proptest! {
    #[test]
    fn every_offset_is_stored_and_nothing_is_committed_before(
        gaps in prop::collection::vec(any::<u8>(), 1..80),
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let world = run(&gaps, &steps);
        prop_assert_eq!(world.stored.keys().copied().collect::<Vec<_>>(), world.log.clone());
        prop_assert_eq!(world.committed, world.log.last().unwrap() + 1);
        prop_assert_eq!(world.lane.mode(), Mode::Level);
        if !steps.iter().any(|step| matches!(step, Step::RevokeAndAssign)) {
            prop_assert!(world.stored.values().all(|times| *times == 1), "stored exactly once: {:?}", world.stored);
            prop_assert_eq!(world.detected, world.log, "detection sees every offset once, in order");
        }
    }
}

#[test]
fn a_full_storage_puts_the_partition_behind_and_detection_goes_on() {
    let mut world = World::new(&[0; 60]);
    for _ in 0..20 {
        world.read(3, 0, true);
        world.hand_over();
    }
    assert_eq!(world.detected.len(), 60);
    // Two batches of six are with storage, one is sealed; from the fourth on nothing is kept.
    assert_eq!(world.lane.mode(), Mode::Behind { next: 3 + 3 * 6 });
    world.finish();
    assert_eq!(world.stored.len(), 60);
}

#[test]
fn a_batch_waits_for_its_dead_letters() {
    let mut world = World::new(&[0; 10]);
    world.read(8, 1, true);
    assert!(!world.lane.has_batch(0));
    assert!(world.lane.has_batch(1));
}
