//! `[clickhouse]`: where rows are written to.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Secret, SecretFileError, Span};

/// ClickHouse to write to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClickHouseConfig {
    /// HTTP interface, `http://host:8123` or `https://host:8443`. Absent: the local engine is started as a child process.
    pub url: Option<String>,
    /// Database; created when missing.
    pub database: String,
    /// User that may create tables and insert.
    pub user: String,
    /// The user's password, better from the environment; it comes before `password_file`.
    pub password: Option<Secret>,
    /// File that holds the user's password (a trailing newline is ignored). Absent, and no `password`: none.
    pub password_file: Option<PathBuf>,
    /// Certificate authorities to trust instead of the system's (PEM), for `https://`.
    pub ca_file: Option<PathBuf>,
    /// A statement without an answer for this long has failed; the insert is then repeated.
    pub timeout: Span,
}

impl Default for ClickHouseConfig {
    fn default() -> Self {
        Self {
            url: None,
            database: "floodmark".to_owned(),
            user: "default".to_owned(),
            password: None,
            password_file: None,
            ca_file: None,
            timeout: Span::from_secs(30),
        }
    }
}

impl ClickHouseConfig {
    /// The password, wherever it comes from.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn secret(&self) -> Result<Option<Secret>, SecretFileError> {
        Secret::resolve(self.password.as_ref(), self.password_file.as_deref())
    }
}
