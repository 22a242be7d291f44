//! `[flow]`: windows, watermarks and the bounds of what is kept in memory.

use serde::{Deserialize, Serialize};

use super::Span;

/// Windows, watermarks and bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FlowConfig {
    /// Length of a window. Everything is decided when a window closes.
    pub window: Span,
    /// How far behind the newest event others may come and still be counted. Later ones are stored, not detected on.
    pub allowed_lateness: Span,
    /// Distinct combinations of subscription, client, version, service, caller and route counted apart in one window.
    /// Further ones are counted together under `(other)`.
    pub cells_max: usize,
    /// Distinct strings remembered (subscriptions, routes, versions …). Further ones are `(other)`.
    pub names_max: usize,
    /// Request keys remembered to recognise a repeat without an attempt number.
    pub request_keys_max: usize,
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self {
            window: Span::from_secs(5),
            allowed_lateness: Span::from_secs(4),
            cells_max: 200_000,
            names_max: 1_000_000,
            request_keys_max: 1_000_000,
        }
    }
}
