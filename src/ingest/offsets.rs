//! Which offsets of one partition are with storage, which are stored, and which may be committed. Pure.

use std::collections::VecDeque;

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
    committed: Option<Offset>,
}

impl OffsetTracker {
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

    /// The offset to commit, if it is another one than was committed last.
    #[must_use]
    pub fn to_commit(&self) -> Option<Offset> {
        self.stored_through.filter(|_| self.stored_through != self.committed)
    }

    /// The commit of `offset` was asked for.
    pub fn committing(&mut self, offset: Offset) {
        self.committed = Some(offset);
    }

    /// The commit failed: it is to be asked for again.
    pub fn commit_failed(&mut self) {
        self.committed = None;
    }

    /// The offset last committed, if there was one.
    #[must_use]
    pub fn committed(&self) -> Option<Offset> {
        self.committed
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

    #[test]
    fn only_a_contiguous_run_is_committed() {
        let mut offsets = OffsetTracker::default();
        for (start, end) in [(5, 10), (10, 17), (17, 20)] {
            offsets.sent(start, end);
        }
        offsets.stored(10, 17);
        assert_eq!(offsets.to_commit(), None, "5..10 is missing");
        offsets.stored(5, 10);
        assert_eq!(offsets.to_commit(), Some(17));
        offsets.committing(17);
        assert_eq!(offsets.to_commit(), None);
        offsets.commit_failed();
        assert_eq!(offsets.to_commit(), Some(17));
    }

    #[test]
    fn answers_to_another_assignment_are_ignored() {
        let mut offsets = OffsetTracker::default();
        offsets.sent(5, 10);
        offsets.stored(0, 5);
        offsets.stored(5, 9);
        assert_eq!((offsets.to_commit(), offsets.in_flight()), (None, 1));
    }
}
