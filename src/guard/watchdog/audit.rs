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
    /// The last line may be torn: the next begins on a line of its own.
    is_torn: bool,
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
        // A line that was torn must not swallow the next.
        let is_torn = bytes > 0 && !ends_with_newline(&path)?;
        Ok(Self { path, file, bytes, bytes_max, is_torn })
    }

    /// Writes a line and syncs it.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn append(&mut self, line: &AuditLine) -> std::io::Result<()> {
        let mut text = if self.is_torn { vec![b'\n'] } else { Vec::new() };
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
        if self.bytes > 0 && self.bytes + text.len() as u64 > self.bytes_max {
            match std::fs::rename(&self.path, self.path.with_extension("ndjson.1")) {
                // Renamed before, when the new one could not be opened; or taken away.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                renamed => renamed?,
            }
            self.file = open(&self.path)?;
            self.bytes = 0;
        }
        self.is_torn = true;
        self.file.write_all(&text)?;
        self.is_torn = false;
        self.bytes += text.len() as u64;
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
        let line = line();
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

    fn line() -> AuditLine {
        let kill = Kill {
            query: QueryInFlight::default(),
            reason: KillReason::MemoryShort,
            tripped: false,
            new: false,
            expendable: true,
        };
        AuditLine::new("would_kill", &kill, &Look::default())
    }

    #[test]
    fn a_log_that_is_gone_when_it_is_full_is_begun_anew() {
        let directory = tempfile::tempdir().unwrap();
        let mut audit = Audit::open_bounded(directory.path(), 600).unwrap();
        audit.append(&line()).unwrap();
        std::fs::remove_file(directory.path().join("audit.ndjson")).unwrap();
        for _ in 0..3 {
            audit.append(&line()).unwrap();
        }
        assert!(directory.path().join("audit.ndjson").exists());
    }

    #[test]
    fn a_line_that_a_full_disk_tore_does_not_swallow_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.ndjson");
        let mut audit = Audit::open(directory.path()).unwrap();
        audit.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert!(audit.append(&line()).is_err());
        std::fs::write(&path, "{\"at\":").unwrap();
        audit.file = open(&path).unwrap();
        audit.append(&line()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let whole = |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok();
        assert_eq!(text.lines().map(whole).collect::<Vec<_>>(), [false, true]);
    }
}
