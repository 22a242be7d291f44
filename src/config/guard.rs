//! `[guard]`: the query guard of ClickHouse beside the service.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The query guard: proxy, black box and watchdog. Off by default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GuardConfig {
    /// The guard's policy file: `run` then guards the server that it names, as `guard proxy` does. Absent: no guard.
    pub policy: Option<PathBuf>,
}
