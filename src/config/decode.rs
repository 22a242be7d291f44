//! `[decode]`: how records become events.

use serde::{Deserialize, Serialize};

use super::ByteCount;

/// Format of a record.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Format {
    /// Floodmark's own JSON events, one or an array a record.
    #[default]
    Native,
    /// Apache/NGINX "combined" (or "common") access-log line.
    Combined,
}

/// How records become events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DecodeConfig {
    /// Format of the requests topic. Signals and changes are always native.
    pub requests_format: Format,
    /// A longer record is refused (dead-lettered with its first bytes): input must not choose our memory.
    pub record_bytes_max: ByteCount,
    /// What the fields of an access-log line mean.
    pub combined: CombinedConfig,
}

impl Default for DecodeConfig {
    fn default() -> Self {
        Self {
            requests_format: Format::Native,
            record_bytes_max: ByteCount::mib(1),
            combined: CombinedConfig::default(),
        }
    }
}

/// What the fields of an access-log line mean.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CombinedConfig {
    /// Which field is the subscription.
    pub subscription: CombinedSubscription,
    /// What is the route.
    pub route: CombinedRoute,
    /// Name of the service that wrote the log; absent by default.
    pub service: Option<String>,
}

/// Which field of an access-log line says who is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CombinedSubscription {
    /// The first field, the client's address.
    #[default]
    RemoteAddress,
    /// The third field, the authenticated user; a line without one is refused.
    RemoteUser,
}

/// What of an access-log line is the route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CombinedRoute {
    /// The path without its query string, numbers and long hexadecimal parts replaced by `{id}`.
    #[default]
    PathTemplate,
    /// The path without its query string, as it is.
    Path,
}
