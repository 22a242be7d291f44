//! What a command can fail with, and the exit code of each.

use std::process::ExitCode;

use crate::config::ConfigError;

/// Wrong usage, `sysexits.h` EX_USAGE.
const EXIT_USAGE: u8 = 64;
/// Configuration, rules or scenario unusable, `sysexits.h` EX_CONFIG.
const EXIT_CONFIG: u8 = 78;

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The arguments do not fit together.
    #[error("{0}")]
    Usage(String),
    /// Configuration, rules, limits or scenario cannot be used.
    #[error("{0}")]
    Config(String),
    /// Anything else.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error.to_string())
    }
}

impl CliError {
    /// Says what went wrong on stderr and gives the exit code.
    #[must_use]
    pub fn report(&self) -> ExitCode {
        eprintln!("floodmark: {self}");
        match self {
            Self::Usage(_) => ExitCode::from(EXIT_USAGE),
            Self::Config(_) => ExitCode::from(EXIT_CONFIG),
            Self::Failed(_) => ExitCode::FAILURE,
        }
    }
}

/// Prints clap's message; help and version are no errors.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
}
