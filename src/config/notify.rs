//! `[notify]`: where alert transitions go, besides the log and ClickHouse.

use serde::{Deserialize, Serialize};

use super::Span;

/// Receivers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NotifyConfig {
    /// Webhooks: each transition is POSTed as JSON.
    pub webhooks: Vec<WebhookConfig>,
    /// Prometheus Alertmanager, API v2.
    pub alertmanager: Option<AlertmanagerConfig>,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where to POST; `http://` or `https://`.
    pub url: String,
    /// A delivery without an answer for this long has failed and is repeated with back-off.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
}

/// Prometheus Alertmanager.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerConfig {
    /// Base URL of every replica: each gets every alert, as Alertmanager's cluster expects.
    pub urls: Vec<String>,
    /// Firing alerts are sent again this often; `endsAt` is four times as far ahead.
    #[serde(default = "default_resend")]
    pub resend_interval: Span,
    /// A delivery without an answer for this long has failed and is repeated with back-off.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
}

fn default_timeout() -> Span {
    Span::from_secs(10)
}

fn default_resend() -> Span {
    Span::from_secs(60)
}
