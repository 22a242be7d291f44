//! What operators have blocked: fingerprints, until a time or until they are unblocked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// Blocks at once; the one that ends first makes room, else the longest kept.
pub(super) const BLOCKS_MAX: usize = 1_000;

/// A block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// When it was made.
    pub since: Timestamp,
    /// Until when; absent: until it is unblocked.
    pub until: Option<Timestamp>,
    /// Who, and why.
    pub reason: String,
}

/// Blocks by fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Blocks(BTreeMap<String, Block>);

impl Blocks {
    pub(super) fn block(&mut self, fingerprint: String, block: Block) {
        self.forget_ended(block.since);
        if self.0.len() >= BLOCKS_MAX && !self.0.contains_key(&fingerprint) {
            let end = |block: &Block| (block.until.unwrap_or(Timestamp::MAX), block.since);
            let first = self.0.iter().min_by_key(|(_, block)| end(block)).map(|(name, _)| name.clone());
            first.and_then(|first| self.0.remove(&first));
        }
        self.0.insert(fingerprint, block);
    }

    pub(super) fn unblock(&mut self, fingerprint: &str) {
        self.0.remove(fingerprint);
    }

    pub(super) fn get(&self, fingerprint: &str, at: Timestamp) -> Option<&Block> {
        self.0.get(fingerprint).filter(|block| block.until.is_none_or(|until| at < until))
    }

    pub(super) fn iter(&self, at: Timestamp) -> impl Iterator<Item = (&String, &Block)> {
        self.0.iter().filter(move |(_, block)| block.until.is_none_or(|until| at < until))
    }

    pub(super) fn forget_ended(&mut self, at: Timestamp) {
        self.0.retain(|_, block| block.until.is_none_or(|until| at < until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(since: i64, until: Option<i64>) -> Block {
        let at = |seconds| Timestamp::from_millis(1_800_000_000_000 + seconds * 1_000);
        Block { since: at(since), until: until.map(at), reason: "on-call: too much".to_owned() }
    }

    #[test]
    fn blocks_end_and_are_bounded() {
        let mut blocks = Blocks::default();
        blocks.block("a".to_owned(), block(0, Some(10)));
        blocks.block("b".to_owned(), block(0, None));
        assert!(blocks.get("a", block(9, None).since).is_some() && blocks.get("a", block(10, None).since).is_none());
        for number in 0..BLOCKS_MAX {
            blocks.block(number.to_string(), block(5, Some(1_000)));
        }
        assert!(blocks.get("b", block(6, None).since).is_some(), "one for good stays");
        assert_eq!(blocks.iter(block(6, None).since).count(), BLOCKS_MAX);
        blocks.unblock("b");
        blocks.forget_ended(block(2_000, None).since);
        assert_eq!(blocks, Blocks::default());
    }
}
