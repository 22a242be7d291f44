//! How much memory is left for one more query: the server's limit, less a reserve for writes, less what is in use or will
//! be by the queries that run.

use super::caps::portion;

/// Share of the server's limit that reads leave alone: under a memory hog, INSERTs died with 241 as well.
const WRITES_RESERVE_SHARE: f64 = 0.1;
/// An eighth of what was unexplained is forgotten at a reading: half of it in about five.
const FALL: u64 = 8;

/// Memory of the server as last heard, and what it takes when no query runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) limit_bytes: u64,
    pub(super) used_bytes: u64,
    /// In use at the last reading with none of our queries running: caches, merges, others.
    idle_bytes: u64,
    /// In use beyond what the running queries are expected to take in the end: rises at once, falls over readings.
    unexplained_bytes: u64,
    pub(super) heard: bool,
}

/// Room for reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// Bytes that reads may take altogether, server overhead included.
    pub(super) total_bytes: u64,
    /// Of these in use, or expected to be by what runs.
    pub(super) committed_bytes: u64,
}

impl Memory {
    pub(super) const fn new(limit_bytes: u64) -> Self {
        Self { limit_bytes, used_bytes: 0, idle_bytes: 0, unexplained_bytes: 0, heard: false }
    }

    /// A reading; `running_expected_bytes` is what the queries that run are expected to take in the end.
    pub(super) fn hear(&mut self, used_bytes: u64, limit_bytes: u64, running_expected_bytes: u64) {
        self.used_bytes = used_bytes;
        self.heard = true;
        if limit_bytes > 0 {
            self.limit_bytes = limit_bytes;
        }
        let unexplained = used_bytes.saturating_sub(running_expected_bytes);
        if running_expected_bytes == 0 {
            (self.idle_bytes, self.unexplained_bytes) = (used_bytes, used_bytes);
        }
        self.idle_bytes = self.idle_bytes.min(used_bytes);
        // One query that takes more than expected must not count for ever as something that is always there.
        let fallen = self.unexplained_bytes - self.unexplained_bytes / FALL;
        self.unexplained_bytes = fallen.max(unexplained);
    }

    pub(super) fn room(&self, running_expected_bytes: u64) -> Room {
        let reserve = portion(self.limit_bytes, WRITES_RESERVE_SHARE);
        let expected = self.idle_bytes.max(self.unexplained_bytes).saturating_add(running_expected_bytes);
        Room {
            total_bytes: self.limit_bytes.saturating_sub(reserve),
            // Queries may take more than is expected of them; what is in use is in use.
            committed_bytes: self.used_bytes.max(expected),
        }
    }
}

impl Room {
    pub(super) fn free_bytes(&self) -> u64 {
        self.total_bytes.saturating_sub(self.committed_bytes)
    }

    /// Whether `bytes` more keep within `share` of the room.
    pub(super) fn fits(&self, bytes: u64, share: f64) -> bool {
        self.committed_bytes.saturating_add(bytes) <= portion(self.total_bytes, share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_and_what_is_expected_both_count_once() {
        let mut memory = Memory::new(1_000);
        assert_eq!(memory.room(0).free_bytes(), 900, "a tenth is for writes");
        memory.hear(100, 1_000, 0);
        assert_eq!(memory.room(300).free_bytes(), 500, "100 idle and 300 expected");
        memory.hear(250, 1_000, 300);
        assert_eq!(memory.room(300).free_bytes(), 500, "of the 300 expected, 150 are in use already");
        memory.hear(700, 1_000, 300);
        assert_eq!(memory.room(300).free_bytes(), 200, "more than expected");
        (0..40).for_each(|_| memory.hear(250, 1_000, 300));
        assert_eq!(memory.room(300).free_bytes(), 500, "a spike is forgotten, what is there when idle is not");
        memory.hear(50, 0, 0);
        assert_eq!(memory.room(0).free_bytes(), 850);
        assert!(memory.room(0).fits(400, 0.5) && !memory.room(0).fits(401, 0.5));
    }
}
