//! Which offsets of one partition are with storage, which are stored, and what is committed of it. Pure.

use std::collections::VecDeque;

use super::intent::Commit;
use crate::model::Offset;

/// A range `[start, end)` handed to storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct InFlight {
    start: Offset,
    end: Offset,
    stored: bool,
}

/// Follows the ranges of one partition. An offset may be committed when every earlier one is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OffsetTracker {
    in_flight: VecDeque<InFlight>,
    stored_through: Option<Offset>,
    /// What the broker has acknowledged.
    committed: Option<Commit>,
    /// What it was last asked to take and has not answered.
    asked: Option<Commit>,
}

impl OffsetTracker {
    /// Storage begins here: everything before is stored, or is nobody's.
    pub fn begin(&mut self, start: Offset) {
        self.stored_through.get_or_insert(start);
    }

    /// `[start, end)` was handed to storage; it starts where the one before it ended.
    pub fn sent(&mut self, start: Offset, end: Offset) {
        debug_assert!(self.in_flight.back().is_none_or(|last| last.end == start), "ranges join");
        self.in_flight.push_back(InFlight { start, end, stored: false });
    }

    /// Storage has `[start, end)`. A range that is not in flight (an answer to an earlier assignment) is ignored.
    pub fn stored(&mut self, start: Offset, end: Offset) {
        if let Some(range) = self.in_flight.iter_mut().find(|range| range.start == start && range.end == end) {
            range.stored = true;
        }
        while self.in_flight.front().is_some_and(|range| range.stored) {
            self.stored_through = self.in_flight.pop_front().map(|range| range.end);
        }
    }

    /// What should be committed now, with the ends of ranges that are not yet handed over.
    #[must_use]
    pub fn commit(&self, further_ends: impl Iterator<Item = Offset>) -> Option<Commit> {
        let ends = self.in_flight.iter().map(|range| range.end).chain(further_ends).collect();
        Some(Commit { offset: self.stored_through?, ends })
    }

    /// The broker was asked to take `commit`.
    pub fn asked(&mut self, commit: Commit) {
        self.asked = Some(commit);
    }

    /// The broker has answered to the last commit.
    pub fn answered(&mut self, taken: bool) {
        if let Some(commit) = self.asked.take()
            && taken
        {
            self.committed = Some(commit);
        }
    }

    /// Whether the broker has yet to answer.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// What the broker has acknowledged.
    #[must_use]
    pub fn committed(&self) -> Option<&Commit> {
        self.committed.as_ref()
    }

    /// One past the last offset up to which everything is stored.
    #[must_use]
    pub fn stored_through(&self) -> Option<Offset> {
        self.stored_through
    }

    /// Ranges with storage and not yet stored.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(offset: Offset, ends: &[Offset]) -> Option<Commit> {
        Some(Commit { offset, ends: ends.to_vec() })
    }

    #[test]
    fn only_a_contiguous_run_is_committed() {
        let mut offsets = OffsetTracker::default();
        assert_eq!(offsets.commit([].into_iter()), None, "nobody knows where it begins");
        offsets.begin(5);
        for (start, end) in [(5, 10), (10, 17), (17, 20)] {
            offsets.sent(start, end);
        }
        offsets.stored(10, 17);
        assert_eq!(offsets.commit([25].into_iter()), commit(5, &[10, 17, 20, 25]), "5..10 is missing");
        offsets.stored(5, 10);
        assert_eq!(offsets.commit([].into_iter()), commit(17, &[20]));
    }

    #[test]
    fn only_what_the_broker_took_is_committed() {
        let mut offsets = OffsetTracker::default();
        offsets.begin(5);
        let first = offsets.commit([7].into_iter()).unwrap();
        offsets.asked(first.clone());
        assert_eq!((offsets.committed(), offsets.is_asking()), (None, true));
        offsets.answered(false);
        assert_eq!((offsets.committed(), offsets.is_asking()), (None, false));
        offsets.asked(first.clone());
        offsets.answered(true);
        assert_eq!(offsets.committed(), Some(&first));
    }

    #[test]
    fn answers_to_another_assignment_are_ignored() {
        let mut offsets = OffsetTracker::default();
        offsets.begin(5);
        offsets.sent(5, 10);
        offsets.stored(0, 5);
        offsets.stored(5, 9);
        assert_eq!((offsets.stored_through(), offsets.in_flight()), (Some(5), 1));
    }
}
