//! The black box: looks at what runs, kept on disk outside ClickHouse, so that after a crash somebody knows who did it.
//!
//! `looker` asks the server, `ring` keeps what it said, [`postmortem()`] reads it. ClickHouse's own query log is written
//! seconds late: what ran at a kill is not in it.

mod frame;
mod history;
mod look;
mod looker;
mod postmortem;
mod restart;
mod ring;

pub(in crate::guard) use history::SAME_RUN_MS;
pub use history::{History, Newness, PATTERNS_MAX};
pub use look::{Entry, Look, QueryInFlight, QueryKind, RunSeen, share};
pub use looker::Looker;
pub use postmortem::{
    Confidence, Crash, CrashKind, EarlierRuns, LooksRefused, Postmortem, RankedQuery, Suspect, Verdict, looks_refused,
    postmortem,
};
pub use restart::{Left, ends_between, is_away, is_restart, left_behind};
pub use ring::{BYTES_MAX, BYTES_MIN, Ring, RingError, is_written};

use std::path::Path;

/// What the ring in `directory` holds, oldest first, and how many records could not be understood.
///
/// # Errors
/// There is no ring, or it cannot be read.
pub fn read_entries(directory: &Path) -> Result<(Vec<Entry>, u64), RingError> {
    let mut not_understood = 0;
    let mut entries = Vec::new();
    for payload in ring::read(directory)? {
        match serde_json::from_slice(&payload) {
            Ok(entry) => entries.push(entry),
            Err(_) => not_understood += 1,
        }
    }
    Ok((entries, not_understood))
}
