//! What is committed for a partition: the offset up to which everything is stored, and in the commit's metadata the ranges
//! that are about to be stored. Pure.
//!
//! The note comes before the insert. Whoever has the partition after a crash cuts the same ranges again, with the same
//! deduplication tokens, so that rows that were stored already are recognised. The broker refuses commits of a member
//! that has lost its partitions without knowing it, so such a one cannot begin a range of its own.

use std::sync::Arc;

use crate::model::{Offset, Plan};

/// Every note begins so; another version would be another way to cut.
const PREFIX: &str = "floodmark/1";
/// Longest metadata that is read: brokers keep 4 KiB.
const METADATA_BYTES_MAX: usize = 4096;

/// Committed where nothing was committed before, to see whether the metadata stay: no offset of a message. With a broker
/// that loses metadata it stays until the first batch of its partition.
pub const PROBE_OFFSET: Offset = 1 << 62;

/// What is, or is to be, committed for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Everything before this offset is stored.
    pub offset: Offset,
    /// Ends of the ranges that follow, ascending: `[offset, ends[0])`, `[ends[0], ends[1])` and so on.
    pub ends: Vec<Offset>,
}

impl Commit {
    /// The metadata: `floodmark/1;epoch=EPOCH;ends=+120,+80`, each end counted from the one before it.
    #[must_use]
    pub fn metadata(&self, epoch: &str) -> String {
        let mut metadata = format!("{PREFIX};epoch={epoch};ends=");
        let mut at = self.offset;
        for (place, end) in self.ends.iter().enumerate() {
            let separator = if place == 0 { "+" } else { ",+" };
            metadata.push_str(separator);
            metadata.push_str(&(end - at).to_string());
            at = *end;
        }
        metadata
    }
}

/// The plan that a committed offset and its metadata hold. Metadata of others (an operator who has set the offset by
/// hand leaves none) give a plan without ranges.
#[must_use]
pub fn plan(offset: Offset, metadata: &str) -> Plan {
    let (epoch, ends) = read(offset, metadata).unwrap_or_default();
    Plan { epoch, start: Some(offset), ends }
}

/// Whether the metadata were written by [`Commit::metadata`].
#[must_use]
pub fn is_ours(metadata: &str) -> bool {
    metadata.starts_with(PREFIX)
}

fn read(offset: Offset, metadata: &str) -> Option<(Arc<str>, Vec<Offset>)> {
    let rest = metadata.get(..METADATA_BYTES_MAX).unwrap_or(metadata).strip_prefix(PREFIX)?;
    let (epoch, ends) = rest.strip_prefix(";epoch=")?.split_once(";ends=")?;
    let mut at = offset;
    let mut read = Vec::new();
    for end in ends.split(',').filter(|end| !end.is_empty()) {
        let length: Offset = end.strip_prefix('+')?.parse().ok().filter(|length| *length > 0)?;
        at = at.checked_add(length)?;
        read.push(at);
    }
    Some((epoch.into(), read))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_note_is_short_and_plain() {
        let commit = Commit { offset: 1_000, ends: vec![51_000, 51_020] };
        assert_eq!(commit.metadata("Xy9"), "floodmark/1;epoch=Xy9;ends=+50000,+20");
        let none = Commit { offset: 0, ends: vec![] };
        assert_eq!(plan(0, &none.metadata("")), Plan { epoch: "".into(), start: Some(0), ends: vec![] });
    }

    #[test]
    fn notes_of_others_are_no_plan() {
        for metadata in ["", "hello", "floodmark/2;epoch=a;ends=+1", "floodmark/1;epoch=a;ends=+1,-1", "floodmark/1"] {
            assert_eq!(plan(7, metadata), Plan { epoch: "".into(), start: Some(7), ends: vec![] }, "{metadata}");
        }
    }

    proptest! {
        #[test]
        fn what_is_noted_is_read_back(offset in 0_i64..1 << 60, lengths in prop::collection::vec(1_i64..100_000, 0..64)) {
            let ends: Vec<Offset> = lengths.iter().scan(offset, |at, length| { *at += length; Some(*at) }).collect();
            let metadata = Commit { offset, ends: ends.clone() }.metadata("AbCd");
            prop_assert!(metadata.len() < METADATA_BYTES_MAX);
            prop_assert_eq!(plan(offset, &metadata), Plan { epoch: "AbCd".into(), start: Some(offset), ends });
        }

        #[test]
        fn no_metadata_is_too_strange(offset in any::<i64>(), metadata in ".{0,200}") {
            prop_assert_eq!(plan(offset, &metadata).start, Some(offset));
            let plan = plan(offset, &format!("floodmark/1;epoch=;ends={metadata}"));
            prop_assert!(plan.ends.is_sorted() && plan.ends.iter().all(|end| *end > offset));
        }
    }
}
