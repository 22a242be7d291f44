//! What the pager remembers, on disk: a line for each step, synced before anything of the step is told.
//!
//! ```text
//! DIR/pages.journal   floodmark paging 1
//!                      <first half of SHA-256 over the text, hexadecimal> <a step's changes as JSON>
//! DIR/pages.lock      held while a process writes
//! ```
//! A line that is damaged, and what follows it, is cut off: a crash tears the last one at most. When whole lines follow it
//! was no crash, and of the file as it was a copy is kept (`pages.journal.damaged`): steps rest on those before them, so what
//! fires is rather told again than taken for told; only silences of the lines behind hold. A journal that has grown is
//! replaced, whole or not at all, by one line with everything.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::alert::paging::{JournalEntry, PagerState};

const TITLE: &str = "floodmark paging 1\n";
/// A journal below this is not worth replacing.
const REWRITE_BYTES_MIN: u64 = 1024 * 1024;
/// It is replaced once it has grown to this many times what everything took.
const REWRITE_TIMES: u64 = 4;
/// Hexadecimal digits of a checksum.
const CHECKSUM_DIGITS: usize = 32;

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process writes to it.
    #[error("{0} is in use: another service has the same paging.state_dir")]
    InUse(PathBuf),
    /// The file is something else; it is left as it is.
    #[error("{0} is no journal of pages, or of a later version: move it away, or name another paging.state_dir")]
    NotAJournal(PathBuf),
    /// Files.
    #[error("{path}: {source} (paging.state_dir)")]
    Files {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What was read at the start.
#[derive(Debug, Default)]
pub struct Restored {
    /// As it was.
    pub state: PagerState,
    /// Steps that were read.
    pub entries: u64,
    /// Bytes at the end that were damaged, and cut off.
    pub cut_bytes: u64,
    /// Whole steps among them, of which only the silences hold: the disk has damaged what was safe. A copy of the file is
    /// kept then.
    pub lost_entries: u64,
}

/// What is to be written.
#[derive(Debug)]
pub enum Work {
    /// One more step.
    Append(JournalEntry),
    /// Everything, in place of what was there.
    Rewrite(JournalEntry),
}

/// The journal, open for writing.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    path: PathBuf,
    file: File,
    /// Bytes of whole lines; behind them may be a torn one.
    bytes: u64,
    bytes_of_everything: u64,
    /// Held, never read: it ends with the journal.
    _lock: File,
}

impl Journal {
    /// Takes the journal of a directory, made if there is none, and reads it.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn open(directory: &Path) -> Result<(Self, Restored), JournalError> {
        std::fs::create_dir_all(directory).map_err(files(directory))?;
        let lock = take_lock(directory)?;
        let path = directory.join("pages.journal");
        let (restored, bytes) = read(&path)?;
        if restored.lost_entries > 0 {
            std::fs::copy(&path, path.with_extension("journal.damaged")).map_err(files(&path))?;
        }
        let file = private().append(true).create(true).open(&path).map_err(files(&path))?;
        let directory = directory.to_owned();
        let mut journal = Self { directory, path, file, bytes, bytes_of_everything: bytes, _lock: lock };
        journal.write(Work::Rewrite(restored.state.snapshot())).map_err(files(&journal.path))?;
        Ok((journal, restored))
    }

    /// Writes and syncs.
    ///
    /// # Errors
    /// The disk refuses. What was whole before is whole still.
    pub fn write(&mut self, work: Work) -> std::io::Result<()> {
        match work {
            Work::Append(entry) => self.append(&entry),
            Work::Rewrite(everything) => self.rewrite(&everything),
        }
    }

    /// Whether everything in one line would be much shorter.
    #[must_use]
    pub fn has_grown(&self) -> bool {
        self.bytes > REWRITE_BYTES_MIN.max(REWRITE_TIMES * self.bytes_of_everything)
    }

    fn append(&mut self, entry: &JournalEntry) -> std::io::Result<()> {
        let line = line_of(entry)?;
        // A line that a full disk tore is behind the whole ones.
        self.file.set_len(self.bytes)?;
        self.file.write_all(&line)?;
        if entry.matters() {
            self.file.sync_data()?;
        }
        self.bytes += line.len() as u64;
        Ok(())
    }

    fn rewrite(&mut self, everything: &JournalEntry) -> std::io::Result<()> {
        let fresh = self.path.with_extension("new");
        let line = line_of(everything)?;
        let mut file = private().write(true).create(true).truncate(true).open(&fresh)?;
        file.write_all(TITLE.as_bytes())?;
        file.write_all(&line)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.path)?;
        File::open(&self.directory)?.sync_all()?;
        self.file = private().append(true).open(&self.path)?;
        self.bytes = (TITLE.len() + line.len()) as u64;
        self.bytes_of_everything = self.bytes;
        Ok(())
    }
}

fn line_of(entry: &JournalEntry) -> std::io::Result<Vec<u8>> {
    let json = serde_json::to_vec(entry)?;
    let mut line = checksum(&json).into_bytes();
    line.push(b' ');
    line.extend(json);
    line.push(b'\n');
    Ok(line)
}

fn checksum(json: &[u8]) -> String {
    Sha256::digest(json).iter().take(CHECKSUM_DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// What the file holds, and how many of its bytes are whole.
fn read(path: &Path) -> Result<(Restored, u64), JournalError> {
    let mut restored = Restored::default();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((restored, 0)),
        Err(source) => return Err(JournalError::Files { path: path.to_owned(), source }),
    };
    let bytes_all = file.metadata().map_err(files(path))?.len();
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line).map_err(files(path))?;
    if line != TITLE.as_bytes() {
        // An empty file is one that a crash left before its first line.
        let is_new = bytes_all == 0;
        return if is_new { Ok((restored, 0)) } else { Err(JournalError::NotAJournal(path.to_owned())) };
    }
    let mut bytes = line.len() as u64;
    loop {
        line.clear();
        lines.read_until(b'\n', &mut line).map_err(files(path))?;
        let Some(json) = whole(&line) else { break };
        // Whole and not understood: another version wrote it, and may want it back.
        let entry = serde_json::from_slice(json).map_err(|_| JournalError::NotAJournal(path.to_owned()))?;
        restored.state.apply(entry);
        restored.entries += 1;
        bytes += line.len() as u64;
    }
    while !line.is_empty() {
        if let Some(entry) = whole(&line).and_then(|json| serde_json::from_slice(json).ok()) {
            restored.lost_entries += 1;
            restored.state.apply_silences(entry);
        }
        line.clear();
        lines.read_until(b'\n', &mut line).map_err(files(path))?;
    }
    restored.cut_bytes = bytes_all - bytes;
    Ok((restored, bytes))
}

/// The text of a line that is whole.
fn whole(line: &[u8]) -> Option<&[u8]> {
    let (sum, json) = line.strip_suffix(b"\n")?.split_at_checked(CHECKSUM_DIGITS)?;
    let json = json.strip_prefix(b" ")?;
    (checksum(json).as_bytes() == sum).then_some(json)
}

fn take_lock(directory: &Path) -> Result<File, JournalError> {
    let path = directory.join("pages.lock");
    let lock = private().write(true).create(true).truncate(false).open(&path).map_err(files(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse(path)),
        Err(TryLockError::Error(source)) => Err(JournalError::Files { path, source }),
    }
}

/// Names of customers are in it: nobody else reads them.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

fn files(path: &Path) -> impl FnOnce(std::io::Error) -> JournalError + use<> {
    let path = path.to_owned();
    move |source| JournalError::Files { path, source }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
