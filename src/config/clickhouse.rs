//! `[clickhouse]`: where rows are written to.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Span;

/// ClickHouse to write to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClickHouseConfig {
    /// HTTP interface, `http://host:8123`. Absent: the local engine is started as a child process.
    pub url: Option<String>,
    /// Database; created when missing.
    pub database: String,
    /// User that may create tables and insert.
    pub user: String,
    /// File that holds the user's password (a trailing newline is ignored). Absent: no password.
    pub password_file: Option<PathBuf>,
    /// A statement without an answer for this long has failed; the insert is then repeated.
    pub timeout: Span,
}

impl Default for ClickHouseConfig {
    fn default() -> Self {
        Self {
            url: None,
            database: "floodmark".to_owned(),
            user: "default".to_owned(),
            password_file: None,
            timeout: Span::from_secs(30),
        }
    }
}
