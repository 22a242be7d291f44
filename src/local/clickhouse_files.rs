//! The files of a local engine's directory: written before each start, and but for `reader` and `port` read by nobody
//! else.
//!
//! ```text
//! DIR/lock        held while a Floodmark process owns the directory
//! DIR/config.xml  DIR/users.xml   written at start, mode 0600
//! DIR/users.d/guard.xml           users of a guard's policy, if there is one; mode 0600
//! DIR/reader      the password of the user `reader`, for commands beside the service; mode 0600
//! DIR/port        written by the engine once it listens
//! DIR/stderr      what the engine said in its latest run
//! DIR/data/       tables
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{LocalError, LocalGuard, Users};

/// How much of the end of the engine's standard error an error message carries.
const STDERR_TAIL_BYTES_MAX: u64 = 2_000;
/// Share of the engine's memory that its caches of marks may take: they would otherwise crowd out queries.
const MARK_CACHE_SHARE: u64 = 8;

/// Without this, `system` is a database in memory, and its logs are gone after a restart.
const SYSTEM_DATABASE: &str = "ATTACH DATABASE _ UUID '11111111-2222-4333-8444-555555555555'\nENGINE = Atomic\n";

/// A directory that this process owns until it is dropped.
#[derive(Debug)]
pub(super) struct EngineDirectory {
    path: PathBuf,
    /// Held, never read: the lock ends with it.
    _lock: File,
}

impl EngineDirectory {
    /// Makes the directory if needed and takes it.
    pub(super) fn take(path: &Path) -> Result<Self, LocalError> {
        // The engine resolves paths itself; an absolute one cannot be misread.
        let path = std::path::absolute(path).map_err(LocalError::files(path))?;
        let metadata = path.join("data/metadata");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&metadata).map_err(LocalError::files(&metadata))?;
        let lock_path = path.join("lock");
        let lock = File::create(&lock_path).map_err(LocalError::files(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(LocalError::DirectoryInUse(path)),
            Err(TryLockError::Error(source)) => Err(LocalError::Files { path: lock_path, source }),
        }
    }

    /// Writes the engine's configuration.
    pub(super) fn write_configuration(
        &self,
        users: &Users,
        databases: &str,
        memory_bytes_max: u64,
    ) -> Result<(), LocalError> {
        let system = self.path.join("data/metadata/system.sql");
        if !system.exists() {
            write_private(&system, SYSTEM_DATABASE)?;
        }
        write_private(&self.path.join("users.xml"), &users.to_xml(databases))?;
        write_private(&self.path.join("reader"), &users.reader.password)?;
        write_private(&self.path.join("desk"), &users.desk.password)?;
        write_private(&self.config_path(), &config_xml(memory_bytes_max))
    }

    /// Writes the users of a guard's policy beside the engine's own, or takes away those of an earlier start.
    pub(super) fn write_guard(&self, guard: Option<&LocalGuard>) -> Result<(), LocalError> {
        let directory = self.path.join("users.d");
        let path = directory.join("guard.xml");
        match guard {
            Some(guard) => {
                let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
                made.map_err(LocalError::files(&directory))?;
                write_private(&path, &guard.users_xml)
            }
            None => remove_if_there(fs::remove_file(&path), &path),
        }
    }

    /// Removes the workloads that an earlier run left: the engine does not read them again, and refuses to make them anew.
    pub(super) fn forget_workloads(&self) -> Result<(), LocalError> {
        let path = self.path.join("data/workload");
        remove_if_there(fs::remove_dir_all(&path), &path)
    }

    pub(super) fn config_path(&self) -> PathBuf {
        self.path.join("config.xml")
    }

    pub(super) fn data_path(&self) -> PathBuf {
        self.path.join("data")
    }

    pub(super) fn port_path(&self) -> PathBuf {
        self.path.join("port")
    }

    /// Removes the port that an earlier run left.
    pub(super) fn forget_port(&self) -> Result<(), LocalError> {
        remove_if_there(fs::remove_file(self.port_path()), &self.port_path())
    }

    /// The port, once the engine has written the whole line.
    pub(super) fn read_port(&self) -> Option<u16> {
        read_port(&self.port_path())
    }

    /// A fresh file for the engine's standard error.
    pub(super) fn create_stderr(&self) -> Result<File, LocalError> {
        let path = self.stderr_path();
        File::create(&path).map_err(LocalError::files(&path))
    }

    fn stderr_path(&self) -> PathBuf {
        self.path.join("stderr")
    }

    /// The end of what the engine said; never fails, because it is part of other errors.
    pub(super) fn stderr_tail(&self) -> String {
        let tail = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(self.stderr_path())?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(STDERR_TAIL_BYTES_MAX)))?;
            let mut bytes = Vec::new();
            file.take(STDERR_TAIL_BYTES_MAX).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match tail() {
            Ok(bytes) if bytes.is_empty() => "(none)".to_owned(),
            Ok(bytes) => String::from_utf8_lossy(&bytes).trim().to_owned(),
            Err(error) => format!("(cannot read {}: {error})", self.stderr_path().display()),
        }
    }
}

/// The password of the user that questions are asked as, for other processes of the same user.
pub(super) fn desk_password(directory: &Path) -> Option<String> {
    fs::read_to_string(directory.join("desk")).ok()
}

/// Address and password of the engine that a process keeps in `directory`, as far as its files say. They may be left over
/// from one that has ended: whoever asks finds out. `None` when none was ever started there, or it does not listen yet.
pub(super) fn reader_access(directory: &Path) -> Option<(u16, String)> {
    let port = read_port(&directory.join("port"))?;
    Some((port, fs::read_to_string(directory.join("reader")).ok()?))
}

fn read_port(path: &Path) -> Option<u16> {
    fs::read_to_string(path).ok()?.strip_suffix('\n')?.parse().ok()
}

/// What was not there needs no removing.
fn remove_if_there(removed: std::io::Result<()>, path: &Path) -> Result<(), LocalError> {
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LocalError::files(path)(error)),
        _ => Ok(()),
    }
}

fn write_private(path: &Path, text: &str) -> Result<(), LocalError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(LocalError::files(path))?;
    file.write_all(text.as_bytes()).map_err(LocalError::files(path))
}

/// The level is set at the top: a `<logger>` section would make it `trace`.
fn config_xml(memory_bytes_max: u64) -> String {
    let mark_cache_bytes = memory_bytes_max / MARK_CACHE_SHARE;
    format!(
        "<clickhouse>
<log-level>warning</log-level>
<users_config>users.xml</users_config>
<max_server_memory_usage>{memory_bytes_max}</max_server_memory_usage>
<mark_cache_size>{mark_cache_bytes}</mark_cache_size>
<query_log>
<database>system</database>
<table>query_log</table>
<flush_interval_milliseconds>1000</flush_interval_milliseconds>
<ttl>event_date + INTERVAL 14 DAY DELETE</ttl>
</query_log>
</clickhouse>
"
    )
}
