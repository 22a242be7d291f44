//! `[detect]`: rules, limits and objectives.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Rules, limits and objectives.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DetectConfig {
    /// Directory of rule files (`*.yaml`). Absent: the rules built into the binary (`alerts/rules`).
    pub rules_dir: Option<PathBuf>,
    /// Directory of service level objectives (`*.yaml`, OpenSLO v1). Absent: none but those of the rules.
    pub slos_dir: Option<PathBuf>,
    /// File of rate limits. Absent: the limits built into the binary (`alerts/limits.toml`).
    pub limits_file: Option<PathBuf>,
}
