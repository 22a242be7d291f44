//! A moment, by both clocks and by the disk.

use tokio::time::Instant;

use crate::model::Timestamp;

/// Both clocks at one moment, and how far the disk is. Pauses are of the steady clock, what is written down is of the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub now: Instant,
    pub wall_clock: Timestamp,
    /// Number of the batch that changes of this moment go to.
    pub batch: u64,
    /// Batches up to this one are on disk.
    pub safe: u64,
}

impl Moment {
    /// Where nothing is kept, everything is as safe as it can be.
    pub fn without_disk(now: Instant, wall_clock: Timestamp) -> Self {
        Self { now, wall_clock, batch: 0, safe: 0 }
    }
}
