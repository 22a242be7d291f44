//! The audit log: a line of JSON for every kill and every kill that would have been, synced, bounded by rotation.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Kill, KillReason};
use crate::guard::black_box::{Look, QueryInFlight};
use crate::model::{DurationMs, Timestamp};

/// A log of this length becomes `audit.ndjson.1`, and the one before it is gone.
const AUDIT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditLine {
    /// When.
    pub at: Timestamp,
    /// What: `kill` (about to be sent), `would_kill` (shadow mode), `killed` (the server was told), `gone` (it had ended
    /// before), `failed` (the server was not told), `ended`, `deaf`.
    pub what: &'static str,
    /// Milliseconds since it was killed, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<DurationMs>,
    /// Why a KILL failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why it was chosen.
    pub reason: KillReason,
    /// Whether its fingerprint's breaker was open.
    pub tripped: bool,
    /// Whether its fingerprint or version was new.
    pub new: bool,
    /// Whether its class goes first.
    pub expendable: bool,
    /// Memory of the server in use then, in bytes.
    pub memory_used_bytes: u64,
    /// Its limit S, in bytes.
    pub memory_limit_bytes: u64,
    /// The query.
    pub query: QueryInFlight,
}

impl AuditLine {
    /// About a kill at a look.
    #[must_use]
    pub fn new(what: &'static str, kill: &Kill, look: &Look) -> Self {
        Self {
            at: look.at,
            what,
            after_ms: None,
            error: None,
            reason: kill.reason,
            tripped: kill.tripped,
            new: kill.new,
            expendable: kill.expendable,
            memory_used_bytes: look.memory_used_bytes,
            memory_limit_bytes: look.memory_limit_bytes,
            query: kill.query.clone(),
        }
    }
}

/// The log, open for appending.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
}

impl Audit {
    /// Opens `audit.ndjson` in `directory`, which exists.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn open(directory: &Path) -> std::io::Result<Self> {
        Self::open_bounded(directory, AUDIT_BYTES_MAX)
    }

    fn open_bounded(directory: &Path, bytes_max: u64) -> std::io::Result<Self> {
        let path = directory.join("audit.ndjson");
        let file = open(&path)?;
        let bytes = file.metadata()?.len();
        let mut audit = Self { path, file, bytes, bytes_max };
        if bytes > 0 && !ends_with_newline(&audit.path)? {
            // A line that was torn must not swallow the next.
            audit.write(b"\n")?;
        }
        Ok(audit)
    }

    /// Writes a line and syncs it.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn append(&mut self, line: &AuditLine) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        if self.bytes > 0 && self.bytes + text.len() as u64 > self.bytes_max {
            std::fs::rename(&self.path, self.path.with_extension("ndjson.1"))?;
            self.file = open(&self.path)?;
            self.bytes = 0;
        }
        self.write(&text)
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        self.file.sync_data()
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    // Texts of queries are in it: nobody else reads them.
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn ends_with_newline(path: &Path) -> std::io::Result<bool> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_after_a_torn_one_and_the_log_stays_bounded() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("audit.ndjson"), "{\"at\":").unwrap();
        let kill = Kill {
            query: QueryInFlight::default(),
            reason: KillReason::MemoryShort,
            tripped: false,
            new: false,
            expendable: true,
        };
        let line = AuditLine::new("would_kill", &kill, &Look::default());
        let mut audit = Audit::open_bounded(directory.path(), 2_000).unwrap();
        for _ in 0..50 {
            audit.append(&line).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
        let (newest, older) = (read("audit.ndjson"), read("audit.ndjson.1"));
        assert!(newest.len() <= 2_000 && older.len() <= 2_000);
        for text in newest.lines().chain(older.lines()) {
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(value["what"], "would_kill");
        }
    }
}
