//! Where storage of a partition goes on after a restart: asked by ingest where the broker cannot tell, answered by storage.

use std::sync::Arc;

use super::{Offset, TopicPartition};

/// What storage does next with a partition: start at an offset, and cut the first batches exactly there where they were
/// cut before, so that what is stored already is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Which topic of this name, see [`super::Batch::epoch`].
    pub epoch: Arc<str>,
    /// The first offset that is not known to be stored. `None`: the partition was never read by this group.
    pub start: Option<Offset>,
    /// Ends of ranges that may be stored already, ascending, all after `start`.
    pub ends: Vec<Offset>,
}

/// Asks which ranges after the committed offset are stored, or were about to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRequest {
    /// The partition.
    pub topic_partition: TopicPartition,
    /// Which assignment asks; the answer carries it back.
    pub assignment: u64,
    /// Which topic of this name.
    pub epoch: Arc<str>,
    /// The committed offset; `None` when this group has never committed one.
    pub committed: Option<Offset>,
}

/// The answer to a [`PlanRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanAnswer {
    /// The partition.
    pub topic_partition: TopicPartition,
    /// Which assignment had asked.
    pub assignment: u64,
    /// Where to go on.
    pub plan: Plan,
}

impl Plan {
    /// From the ledger: ranges that are stored, and ranges that were about to be, `(start, end)` in any order.
    ///
    /// Stored ranges that join at the committed offset are skipped. From there on, ranges that were about to be stored
    /// and that join are cut again as they were.
    #[must_use]
    pub fn from_ledger(
        epoch: Arc<str>,
        committed: Offset,
        stored: &[(Offset, Offset)],
        intents: &[(Offset, Offset)],
    ) -> Self {
        let next = |ranges: &[(Offset, Offset)], from: Offset| {
            ranges.iter().filter(|(start, end)| *start == from && *end > from).map(|(_, end)| *end).max()
        };
        let mut start = committed;
        while let Some(end) = next(stored, start) {
            start = end;
        }
        let mut ends = Vec::new();
        let mut at = start;
        while let Some(end) = next(intents, at) {
            ends.push(end);
            at = end;
        }
        Self { epoch, start: Some(start), ends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(stored: &[(Offset, Offset)], intents: &[(Offset, Offset)]) -> (Offset, Vec<Offset>) {
        let plan = Plan::from_ledger("".into(), 10, stored, intents);
        (plan.start.unwrap(), plan.ends)
    }

    #[test]
    fn what_is_stored_is_skipped_and_what_was_begun_is_cut_as_before() {
        assert_eq!(plan(&[], &[]), (10, vec![]));
        assert_eq!(plan(&[(20, 30), (10, 20)], &[(10, 20), (20, 30), (30, 35), (35, 41)]), (30, vec![35, 41]));
    }

    #[test]
    fn ranges_that_do_not_join_are_left_alone() {
        assert_eq!(plan(&[(0, 9), (12, 20)], &[(11, 30)]), (10, vec![]));
    }
}
