//! The ring: a file of fixed size that survives torn writes, kill -9 of this process and of the server.
//!
//! ```text
//! DIR/black_box.ring   0     one line of text: what it is, and the size of the area; zeros up to 4,096
//!                      4096  the area: frames (see `frame`), the oldest overwritten
//! DIR/black_box.lock   held while a process writes
//! ```
//! Every record is synced before the next begins. The size is written in full when the file is made, so that a full disk
//! cannot stop the recording later. Reading needs no lock: a frame that is being written has a wrong checksum.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::frame;

/// Smallest ring: one look with all its queries takes up to 128 KiB.
pub const BYTES_MIN: u64 = 1024 * 1024;
/// Largest ring: it is read whole into memory.
pub const BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Before the area.
const PREFACE_BYTES: u64 = 4_096;
const TITLE: &str = "floodmark black box 1";

/// The ring cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// Another process writes to it.
    #[error("{0} is in use: another guard writes to it")]
    InUse(PathBuf),
    /// The file is something else; it is left as it is.
    #[error(
        "{0} is no black box, or cut off, or of a later version: move it away, or name another black_box.directory"
    )]
    NotARing(PathBuf),
    /// The policy's size is out of bounds.
    #[error("black_box.bytes_max: {0} bytes is not between {BYTES_MIN} and {BYTES_MAX}")]
    Size(u64),
    /// One record is larger than a quarter of the ring.
    #[error("a record of {0} bytes is too large for the ring")]
    RecordTooLarge(usize),
    /// Files.
    #[error("{path}: {source}")]
    Files {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// A ring that this process writes.
#[derive(Debug)]
pub struct Ring {
    path: PathBuf,
    file: File,
    area_bytes: usize,
    at: usize,
    sequence: u64,
    /// Held, never read: it ends with the ring.
    _lock: File,
}

impl Ring {
    /// Takes the ring in `directory`, made if there is none; records are kept when the size changes, as many as fit.
    ///
    /// # Errors
    /// See [`RingError`].
    pub fn open(directory: &Path, bytes: u64) -> Result<Self, RingError> {
        if !(BYTES_MIN..=BYTES_MAX).contains(&bytes) {
            return Err(RingError::Size(bytes));
        }
        std::fs::create_dir_all(directory).map_err(files(directory))?;
        let lock = take_lock(directory)?;
        let path = path_in(directory);
        // Whole frames only: what is left of the last 64 bytes is not used.
        let area_bytes = (bytes - PREFACE_BYTES) as usize / frame::ALIGNMENT * frame::ALIGNMENT;
        let kept = if path.exists() { read_area(&path, Whole::Needed)? } else { Vec::new() };
        if kept.len() != area_bytes {
            make(directory, &path, area_bytes)?;
        }
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(files(&path))?;
        let mut ring = Self { path, file, area_bytes, at: 0, sequence: 0, _lock: lock };
        let newest = frame::scan(&kept).into_iter().max_by_key(|frame| frame.sequence);
        match newest {
            Some(newest) if kept.len() == area_bytes => (ring.at, ring.sequence) = (newest.end, newest.sequence),
            _ => ring.take_over(&kept)?,
        }
        Ok(ring)
    }

    /// Writes a record over the oldest and syncs it.
    ///
    /// # Errors
    /// It is too large, or the disk refuses.
    pub fn append(&mut self, payload: &[u8]) -> Result<(), RingError> {
        self.write(payload)?;
        self.file.sync_data().map_err(files(&self.path))
    }

    fn write(&mut self, payload: &[u8]) -> Result<(), RingError> {
        let bytes = frame::padded(payload.len());
        if bytes > self.area_bytes / 4 {
            return Err(RingError::RecordTooLarge(payload.len()));
        }
        let at = if self.at + bytes > self.area_bytes { 0 } else { self.at };
        let encoded = frame::encode(self.sequence + 1, payload);
        self.file.write_all_at(&encoded, PREFACE_BYTES + at as u64).map_err(files(&self.path))?;
        (self.at, self.sequence) = (at + bytes, self.sequence + 1);
        Ok(())
    }

    /// The newest records of a ring of another size.
    fn take_over(&mut self, kept: &[u8]) -> Result<(), RingError> {
        let mut frames = frame::scan(kept);
        frames.sort_by_key(|frame| std::cmp::Reverse(frame.sequence));
        let mut room = self.area_bytes;
        let fitting = frames.iter().take_while(|frame| {
            let fits = frame::padded(frame.payload.len()) <= room.min(self.area_bytes / 4);
            room = room.saturating_sub(frame::padded(frame.payload.len()));
            fits
        });
        let fitting: Vec<&[u8]> = fitting.map(|frame| frame.payload).collect();
        for payload in fitting.into_iter().rev() {
            self.write(payload)?;
        }
        self.file.sync_data().map_err(files(&self.path))
    }
}

/// The records of the ring in `directory`, oldest first; whether or not a process writes to it. Of a copy that was cut off,
/// those that are left.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn read(directory: &Path) -> Result<Vec<Vec<u8>>, RingError> {
    let area = read_area(&path_in(directory), Whole::NotNeeded)?;
    let mut frames = frame::scan(&area);
    frames.sort_by_key(|frame| frame.sequence);
    Ok(frames.into_iter().map(|frame| frame.payload.to_vec()).collect())
}

/// Whether a process writes to the ring in `directory`.
#[must_use]
pub fn is_written(directory: &Path) -> bool {
    let lock = File::open(lock_path_in(directory));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn path_in(directory: &Path) -> PathBuf {
    directory.join("black_box.ring")
}

fn lock_path_in(directory: &Path) -> PathBuf {
    directory.join("black_box.lock")
}

fn take_lock(directory: &Path) -> Result<File, RingError> {
    let path = lock_path_in(directory);
    let lock = private().write(true).create(true).truncate(false).open(&path).map_err(files(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(RingError::InUse(path_in(directory))),
        Err(TryLockError::Error(source)) => Err(RingError::Files { path, source }),
    }
}

/// Makes an empty ring, whole or not at all, in place of what was there.
fn make(directory: &Path, path: &Path, area_bytes: usize) -> Result<(), RingError> {
    let fresh = path.with_extension("new");
    let mut file = private().write(true).create(true).truncate(true).open(&fresh).map_err(files(&fresh))?;
    let mut preface = format!("{TITLE} bytes={area_bytes}\n").into_bytes();
    preface.resize(PREFACE_BYTES as usize, 0);
    file.write_all(&preface).map_err(files(&fresh))?;
    let zeros = vec![0; 1 << 20];
    let mut left = area_bytes;
    while left > 0 {
        let part = left.min(zeros.len());
        file.write_all(&zeros[..part]).map_err(files(&fresh))?;
        left -= part;
    }
    file.sync_all().map_err(files(&fresh))?;
    std::fs::rename(&fresh, path).map_err(files(path))?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(files(directory))
}

/// Texts of queries are in it: nobody else reads them.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Whether a ring that is shorter than it says can be used: its frames can be read, and it cannot be written on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Needed,
    NotNeeded,
}

fn read_area(path: &Path, whole: Whole) -> Result<Vec<u8>, RingError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(files(path))?;
    file.take(PREFACE_BYTES + BYTES_MAX).read_to_end(&mut bytes).map_err(files(path))?;
    let preface = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let area_bytes = std::str::from_utf8(preface)
        .ok()
        .and_then(|text| text.strip_prefix(TITLE)?.strip_prefix(" bytes="))
        .and_then(|digits| digits.parse::<usize>().ok());
    match area_bytes {
        Some(area_bytes)
            if bytes.len() as u64 == PREFACE_BYTES.saturating_add(area_bytes as u64) || whole == Whole::NotNeeded =>
        {
            bytes.drain(..bytes.len().min(PREFACE_BYTES as usize));
            Ok(bytes)
        }
        _ => Err(RingError::NotARing(path.to_owned())),
    }
}

fn files(path: &Path) -> impl FnOnce(std::io::Error) -> RingError + use<> {
    let path = path.to_owned();
    move |source| RingError::Files { path, source }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
