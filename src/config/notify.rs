//! `[notify]`: where alerts go, besides the log and ClickHouse.
//!
//! `webhooks` and `alertmanager` get every transition. Named `receivers` are chosen by `routes`; most of them get pages.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Span;
use crate::model::{AlertName, Severity};

/// Receivers and routes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NotifyConfig {
    /// Where outboxes and dead letters are. Absent: the folder `notify` in `local.data_dir`.
    pub state_dir: Option<PathBuf>,
    /// What could not be delivered for this long is given up, and becomes a dead letter: an older page helps nobody.
    pub give_up_after: Span,
    /// Who gets what no route takes. Absent: every receiver. A PagerDuty receiver gets only what is critical this way.
    pub default_receivers: Option<Vec<String>>,
    /// Webhooks: each transition is POSTed as JSON.
    pub webhooks: Vec<WebhookConfig>,
    /// Prometheus Alertmanager, API v2.
    pub alertmanager: Option<AlertmanagerConfig>,
    /// Named receivers.
    pub receivers: Vec<ReceiverConfig>,
    /// Who gets what, in order: the first that matches decides, unless it says `continue`.
    pub routes: Vec<RouteConfig>,
}

impl Default for NotifyConfig {
    fn default() -> Self {
        Self {
            state_dir: None,
            give_up_after: Span::from_secs(3_600),
            default_receivers: None,
            webhooks: Vec::new(),
            alertmanager: None,
            receivers: Vec::new(),
            routes: Vec::new(),
        }
    }
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

/// A receiver with a name. Which keys it needs follows from its kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiverConfig {
    /// Name in routes, logs and commands: letters, digits, `-` and `_`.
    pub name: String,
    /// What it is.
    pub kind: ReceiverType,
    /// Where to send: `webhook`, `heartbeat`; of `pagerduty` another region's address.
    #[serde(default)]
    pub url: Option<String>,
    /// File that holds the URL, where that is a secret: `webhook`, `slack`, `heartbeat`.
    #[serde(default)]
    pub url_file: Option<PathBuf>,
    /// Base URL of every replica: `alertmanager`.
    #[serde(default)]
    pub urls: Vec<String>,
    /// File with the secrets (`whsec_…`) that a webhook is signed with, one a line, the newest first. All of them sign.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// File with the integration's routing key: `pagerduty`.
    #[serde(default)]
    pub routing_key_file: Option<PathBuf>,
    /// Topic at the brokers of `[kafka]`: `kafka`.
    #[serde(default)]
    pub topic: Option<String>,
    /// What is sent: `webhook` and `kafka`.
    #[serde(default)]
    pub body: Option<BodyFormat>,
    /// How a heartbeat is sent.
    #[serde(default)]
    pub method: Option<HeartbeatMethod>,
    /// How often a heartbeat is sent, or an `alertmanager` told again what fires.
    #[serde(default)]
    pub interval: Option<Span>,
    /// A delivery without an answer for this long has failed and is repeated with back-off.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
}

/// Kinds of receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReceiverType {
    /// Standard Webhooks.
    Webhook,
    /// A Slack incoming webhook.
    Slack,
    /// PagerDuty's Events API v2.
    Pagerduty,
    /// A Kafka topic.
    Kafka,
    /// Prometheus Alertmanager, API v2.
    Alertmanager,
    /// A dead man's switch of others, which hears from us while detection works.
    Heartbeat,
}

impl ReceiverType {
    /// Spelling in configuration and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Pagerduty => "pagerduty",
            Self::Kafka => "kafka",
            Self::Alertmanager => "alertmanager",
            Self::Heartbeat => "heartbeat",
        }
    }
}

/// What a webhook or a topic gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BodyFormat {
    /// The page.
    #[default]
    Page,
    /// The page in a CloudEvents 1.0 envelope.
    Cloudevents,
    /// The page as Alertmanager's webhooks tell it (version 4).
    Alertmanager,
    /// Not pages but every transition of an alert.
    Transition,
}

/// How a heartbeat is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HeartbeatMethod {
    /// `GET`.
    Get,
    /// `POST` without a body.
    #[default]
    Post,
}

/// Who gets what. All that is said must hold; what is empty says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouteConfig {
    /// Names of receivers.
    pub receivers: Vec<String>,
    /// Severities, any of them.
    pub severity: Vec<Severity>,
    /// Alerts, any of them. A page has all alerts of its incident.
    pub alert: Vec<AlertName>,
    /// Labels of such an alert, all of them: `service=api`, `client!=kameleo-cli`.
    pub labels: Vec<String>,
    /// Whether further routes are looked at when this one matches.
    #[serde(rename = "continue")]
    pub and_on: bool,
}

pub(super) fn default_timeout() -> Span {
    Span::from_secs(10)
}

/// How often Alertmanager is told again.
pub(super) fn default_resend() -> Span {
    Span::from_secs(60)
}
