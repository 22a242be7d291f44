//! `[local]`: the engines that `make` fetched, started by `run` (ClickHouse) and `demo` (both).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ByteCount;

/// Where the local engines are. Relative paths are relative to the working directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LocalConfig {
    /// The ClickHouse engine as a shared library, loaded in a child process.
    pub clickhouse_library: PathBuf,
    /// The demo broker's binary.
    pub broker_binary: PathBuf,
    /// Where the local ClickHouse keeps its data.
    pub data_dir: PathBuf,
    /// Memory the local ClickHouse may use in all.
    pub clickhouse_memory_max: ByteCount,
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self {
            clickhouse_library: ".local/engines/libchdb.so".into(),
            broker_binary: ".local/engines/tansu".into(),
            data_dir: ".local/data".into(),
            clickhouse_memory_max: ByteCount::mib(4_096),
        }
    }
}
