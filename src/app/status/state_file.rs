//! What was published and measured, on disk: one file, replaced whole.
//!
//! ```text
//! DIR/status.json     floodmark status 1 <SHA-256 of what follows, hexadecimal>
//!                     <JSON>
//! DIR/status.lock     held while a service writes
//! ```
//! A file is written beside the former one, synced, and put in its place: whoever reads finds one or the other.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

const TITLE: &str = "floodmark status 1";
const FILE_NAME: &str = "status.json";
/// A longer file is none of ours: a hundred components with all their days, and all incidents, take a tenth.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// The state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// Another process writes to it.
    #[error("{0} is in use: another service has the same status.state_dir")]
    InUse(PathBuf),
    /// The file is something else; it is left as it is.
    #[error(
        "{path} is damaged, or of a later version ({why}): put back a copy, or move it away to begin anew (status.state_dir)"
    )]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Files.
    #[error("{path}: {source} (status.state_dir)")]
    Files {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The file, held for writing.
#[derive(Debug)]
pub struct StateFile {
    directory: PathBuf,
    /// Held, never read: it ends with this.
    _lock: File,
}

impl StateFile {
    /// Takes a directory, made if there is none.
    ///
    /// # Errors
    /// See [`StateFileError`].
    pub fn open(directory: &Path) -> Result<Self, StateFileError> {
        std::fs::create_dir_all(directory).map_err(files(directory))?;
        let path = directory.join("status.lock");
        let lock = private().append(true).create(true).open(&path).map_err(files(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { directory: directory.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StateFileError::InUse(directory.to_owned())),
            Err(TryLockError::Error(source)) => Err(StateFileError::Files { path, source }),
        }
    }

    /// Puts `state` in the place of what was there.
    ///
    /// # Errors
    /// The disk refuses. What was there is there still.
    pub fn save(&self, state: &impl Serialize) -> std::io::Result<()> {
        let body = serde_json::to_vec(state)?;
        let fresh = self.directory.join("status.json.new");
        let mut file = private().write(true).create(true).truncate(true).open(&fresh)?;
        file.write_all(format!("{TITLE} {}\n", digest(&body)).as_bytes())?;
        file.write_all(&body)?;
        file.sync_all()?;
        std::fs::rename(&fresh, self.directory.join(FILE_NAME))?;
        File::open(&self.directory)?.sync_all()
    }
}

/// What a directory's file holds; absent: nothing yet. Needs no lock.
///
/// # Errors
/// See [`StateFileError`].
pub fn load<T: DeserializeOwned>(directory: &Path) -> Result<Option<T>, StateFileError> {
    let path = directory.join(FILE_NAME);
    let unusable = |why: &str| StateFileError::Unusable { path: path.clone(), why: why.to_owned() };
    match std::fs::metadata(&path) {
        Ok(found) if found.len() > FILE_BYTES_MAX => return Err(unusable("too long")),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StateFileError::Files { path, source }),
    }
    let bytes = std::fs::read(&path).map_err(files(&path))?;
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| unusable("no first line"))?;
    let (head, body) = (&bytes[..end], &bytes[end + 1..]);
    let known = std::str::from_utf8(head).ok().and_then(|head| head.strip_prefix(TITLE)).map(str::trim);
    let known = known.ok_or_else(|| unusable("another first line"))?;
    if known != digest(body) {
        return Err(unusable("its digest does not fit"));
    }
    serde_json::from_slice(body).map(Some).map_err(|error| unusable(&error.to_string()))
}

fn digest(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

fn files(path: &Path) -> impl FnOnce(std::io::Error) -> StateFileError {
    let path = path.to_owned();
    move |source| StateFileError::Files { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_the_directory_has_one_writer() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(load::<Vec<u8>>(directory.path()).unwrap(), None);
        let file = StateFile::open(directory.path()).unwrap();
        assert!(matches!(StateFile::open(directory.path()), Err(StateFileError::InUse(_))));
        for state in [vec![1, 2], vec![3]] {
            file.save(&state).unwrap();
            assert_eq!(load(directory.path()).unwrap(), Some(state));
        }
        drop(file);
        StateFile::open(directory.path()).unwrap();
    }

    #[test]
    fn a_damaged_file_is_refused_and_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        StateFile::open(directory.path()).unwrap().save(&"as it was").unwrap();
        let path = directory.path().join(FILE_NAME);
        let whole = std::fs::read(&path).unwrap();
        for damaged in [&whole[..whole.len() - 1], b"", b"floodmark status 2 x\n{}", b"{}", &whole[1..]] {
            std::fs::write(&path, damaged).unwrap();
            let error = load::<String>(directory.path()).unwrap_err();
            assert!(matches!(&error, StateFileError::Unusable { .. }) && error.to_string().contains("move it away"));
            assert_eq!(std::fs::read(&path).unwrap(), damaged);
        }
    }
}
