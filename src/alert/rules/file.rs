//! A rule file: groups of rules.

use serde::{Deserialize, Serialize};

use super::Rule;

/// One rule file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleFile {
    pub(super) groups: Vec<RuleGroup>,
}

/// Rules that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleGroup {
    /// Name for people.
    pub name: String,
    /// A list of rules.
    pub rules: Vec<Rule>,
}
