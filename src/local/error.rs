//! Why a local engine is not there.

use std::path::PathBuf;
use std::time::Duration;

/// A local engine could not be started or did not stop as it should.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The file that `make engines` fetches is not there.
    #[error("the local engine is not at {0}: fetch it with `make engines`, or set clickhouse.url to a server of yours")]
    EngineMissing(PathBuf),
    /// Another process of Floodmark has an engine on this directory.
    #[error("another local engine is using {0}: stop it, or set local.data_dir to a directory of its own")]
    DirectoryInUse(PathBuf),
    /// A file of the engine's directory cannot be read or written.
    #[error("cannot use {path}: {source}")]
    Files {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The child process could not be started.
    #[error("cannot start {program}: {source}")]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The engine ended before it listened.
    #[error("the engine ended before it listened; its last words: {0}")]
    EndedEarly(String),
    /// The engine neither ended nor listened in time.
    #[error("the engine did not listen within {waited:?}; its last words: {stderr}")]
    NotListening {
        /// How long it was waited for.
        waited: Duration,
        /// The end of its standard error.
        stderr: String,
    },
    /// The engine refused the workloads of the guard's policy.
    #[error("the engine refused the guard's workloads: {0}")]
    Workloads(String),
    /// The engine was killed because it did not end in time.
    #[error("the engine did not stop within {0:?} and was killed")]
    StopTimedOut(Duration),
}

impl LocalError {
    /// The class of the error, from a bounded set.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::EngineMissing(_) => "engine_missing",
            Self::DirectoryInUse(_) => "directory_in_use",
            Self::Files { .. } => "files",
            Self::Spawn { .. } => "spawn",
            Self::EndedEarly(_) => "ended_early",
            Self::NotListening { .. } => "not_listening",
            Self::Workloads(_) => "workloads",
            Self::StopTimedOut(_) => "stop_timed_out",
        }
    }

    /// For `map_err`: a file operation on `path` failed.
    pub(super) fn files(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Files { path, source }
    }
}
