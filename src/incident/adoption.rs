//! How traffic moved between client versions, and how demand grew: logical requests (first attempts), not attempts, so
//! that a storm does not look like adoption.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::flow::{ClosedWindow, Name, ratio};
use crate::model::{DurationMs, Timestamp};

/// Resolution.
const BUCKET_MS: DurationMs = 300_000;
/// Three hours back.
const BUCKETS_MAX: usize = 36;
/// Versions told apart in one bucket; further ones are left out.
const VERSIONS_MAX: usize = 1_000;

#[derive(Debug, Default)]
struct Bucket {
    start: Timestamp,
    firsts: u64,
    by_version: FxHashMap<(Name, Name), u64>,
}

/// First attempts over the last hours, by client version.
#[derive(Debug, Default)]
pub struct Adoption {
    buckets: VecDeque<Bucket>,
}

impl Adoption {
    /// Takes in a closed window.
    pub fn push(&mut self, window: &ClosedWindow) {
        if window.edge_total.requests == 0 {
            return;
        }
        let start = window.start.window_start(BUCKET_MS);
        if self.buckets.back().is_none_or(|bucket| bucket.start != start) {
            self.buckets.push_back(Bucket { start, ..Bucket::default() });
        }
        while self.buckets.len() > BUCKETS_MAX {
            self.buckets.pop_front();
        }
        let Some(bucket) = self.buckets.back_mut() else { return };
        for (key, cell) in window.cells.iter().filter(|(key, _)| key.caller.is_absent()) {
            let firsts = cell.requests.saturating_sub(cell.resends);
            bucket.firsts += firsts;
            let version = (key.client, key.client_version);
            if bucket.by_version.len() < VERSIONS_MAX || bucket.by_version.contains_key(&version) {
                *bucket.by_version.entry(version).or_default() += firsts;
            }
        }
    }

    /// Share of first attempts on `version` in the bucket that holds `at`; nothing when the log does not reach there.
    #[must_use]
    pub fn share_at(&self, version: (Name, Name), at: Timestamp) -> Option<f64> {
        let bucket = self.bucket_at(at)?;
        Some(ratio(bucket.by_version.get(&version).copied().unwrap_or(0), bucket.firsts))
    }

    /// First attempts a second in the bucket that holds `at`. The newest bucket may be incomplete and is not given.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn firsts_per_second(&self, at: Timestamp) -> Option<f64> {
        let bucket = self.bucket_at(at).filter(|b| Some(b.start) != self.buckets.back().map(|last| last.start))?;
        Some(bucket.firsts as f64 / (BUCKET_MS as f64 / 1_000.0))
    }

    fn bucket_at(&self, at: Timestamp) -> Option<&Bucket> {
        let start = at.window_start(BUCKET_MS);
        self.buckets.iter().find(|bucket| bucket.start == start)
    }
}
