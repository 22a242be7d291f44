//! `[status]`: what the public is told, about what, and where. Absent: there is no status page.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Span, TlsConfig};

/// The status page and its feeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StatusConfig {
    /// Where the public reads: a listener of its own, that answers nothing else.
    pub listen: SocketAddr,
    /// TLS of that listener. Absent: plain HTTP, for a proxy or a CDN in front.
    pub tls: Option<TlsConfig>,
    /// Whose page it is.
    pub name: String,
    /// One sentence under the name.
    pub description: Option<String>,
    /// Where the public reaches the page; for links and identities of feeds.
    pub url: String,
    /// Time zone of days and of times on the page: an IANA name.
    pub time_zone: String,
    /// What was published and measured, remembered across restarts. Absent: the folder `status` in `local.data_dir`.
    pub state_dir: Option<PathBuf>,
    /// Where the whole is also written as static files, whenever it changes. Absent: nowhere.
    pub export_dir: Option<PathBuf>,
    /// Data that is older is said to be old …
    pub stale_after: Span,
    /// … and after this nothing is known: components are `unknown`.
    pub unknown_after: Span,
    /// Words that may not be in what people publish, besides names that Floodmark knows: code names, hosts.
    pub forbidden_words: Vec<String>,
    /// An incident that the machine published gets no machine's words for this long after a person wrote.
    pub person_holds: Span,
    /// Parts of the platform that the public knows. None: one, of all requests from outside.
    pub components: Vec<ComponentConfig>,
    /// Who is told of every change.
    pub subscribers: Vec<SubscriberConfig>,
}

impl Default for StatusConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8091)),
            tls: None,
            name: "API".to_owned(),
            description: None,
            url: "http://127.0.0.1:8091".to_owned(),
            time_zone: "UTC".to_owned(),
            state_dir: None,
            export_dir: None,
            stale_after: Span::from_secs(120),
            unknown_after: Span::from_secs(600),
            forbidden_words: Vec::new(),
            person_holds: Span::from_secs(1_800),
            components: Vec::new(),
            subscribers: Vec::new(),
        }
    }
}

impl StatusConfig {
    /// The components: those configured, or one of all requests from outside.
    #[must_use]
    pub fn components_in_force(&self) -> Vec<ComponentConfig> {
        if self.components.is_empty() { vec![ComponentConfig::whole()] } else { self.components.clone() }
    }
}

/// Part of the platform. Requests from outside (without `caller`) are counted in it when their service is one of
/// `services`, where there are any, and their route one of `routes`, where there are any.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComponentConfig {
    /// Identity in feeds: lower-case letters, digits and `-`. It stays when the name changes.
    pub id: String,
    /// Public name.
    pub name: String,
    /// What it is, for the public.
    #[serde(default)]
    pub description: Option<String>,
    /// Components with the same group stand together.
    #[serde(default)]
    pub group: Option<String>,
    /// Services that answer for it.
    #[serde(default)]
    pub services: Vec<String>,
    /// Its routes.
    #[serde(default)]
    pub routes: Vec<String>,
    /// Requests are slow from this duration on. Absent: none is.
    #[serde(default)]
    pub slow_from: Option<Span>,
    /// What share of requests over 90 days is to succeed, 0 to 1; shown beside what was measured.
    #[serde(default)]
    pub availability: Option<f64>,
    /// From what on it is degraded.
    #[serde(default = "ThresholdConfig::degraded")]
    pub degraded: ThresholdConfig,
    /// From what on it is out in part.
    #[serde(default = "ThresholdConfig::partial")]
    pub partial: ThresholdConfig,
    /// From what on it is out.
    #[serde(default = "ThresholdConfig::major")]
    pub major: ThresholdConfig,
    /// Requests that a judgement needs; with fewer nothing changes.
    #[serde(default = "default_requests_min")]
    pub requests_min: u64,
    /// It must be worse for this long before it is said to be.
    #[serde(default = "default_worse_after")]
    pub worse_after: Span,
    /// And better for this long.
    #[serde(default = "default_better_after")]
    pub better_after: Span,
    /// Without any request for this long, or with fewer than a judgement needs, it is `unknown`.
    #[serde(default = "default_silent_after")]
    pub silent_after: Span,
    /// From which state on the machine publishes an incident of its own; otherwise people do.
    #[serde(default)]
    pub auto_publish: AutoPublish,
    /// It must be in that state for this long.
    #[serde(default = "default_auto_publish_after")]
    pub auto_publish_after: Span,
}

impl ComponentConfig {
    /// A component of all requests from outside, everything else as by default.
    #[must_use]
    pub fn whole() -> Self {
        Self {
            id: "api".to_owned(),
            name: "API".to_owned(),
            description: None,
            group: None,
            services: Vec::new(),
            routes: Vec::new(),
            slow_from: None,
            availability: None,
            degraded: ThresholdConfig::degraded(),
            partial: ThresholdConfig::partial(),
            major: ThresholdConfig::major(),
            requests_min: default_requests_min(),
            worse_after: default_worse_after(),
            better_after: default_better_after(),
            silent_after: default_silent_after(),
            auto_publish: AutoPublish::Never,
            auto_publish_after: default_auto_publish_after(),
        }
    }
}

/// A state begins where either share is reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThresholdConfig {
    /// Share of requests that fail (5xx or 429), 0 to 1.
    pub failing: f64,
    /// Share of requests that are slow (`slow_from`), 0 to 1. Absent: slowness alone never is this state.
    #[serde(default)]
    pub slow: Option<f64>,
}

impl ThresholdConfig {
    fn degraded() -> Self {
        Self { failing: 0.02, slow: Some(0.25) }
    }

    fn partial() -> Self {
        Self { failing: 0.10, slow: Some(0.90) }
    }

    fn major() -> Self {
        Self { failing: 0.50, slow: None }
    }
}

/// When the machine publishes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AutoPublish {
    /// People publish.
    #[default]
    Never,
    /// From degraded on.
    DegradedPerformance,
    /// From partly out on.
    PartialOutage,
    /// When it is out.
    MajorOutage,
}

/// Who is told of every change: a POST, signed as Standard Webhooks says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriberConfig {
    /// Name in logs and metrics.
    pub name: String,
    /// Where to; `http://` or `https://`.
    pub url: String,
    /// A file with the secret that signs, `whsec_…`.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// A delivery without an answer for this long has failed and is repeated with back-off.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
}

fn default_requests_min() -> u64 {
    20
}

fn default_worse_after() -> Span {
    Span::from_secs(30)
}

fn default_better_after() -> Span {
    Span::from_secs(180)
}

fn default_silent_after() -> Span {
    Span::from_secs(1_800)
}

fn default_auto_publish_after() -> Span {
    Span::from_secs(120)
}

fn default_timeout() -> Span {
    Span::from_secs(10)
}
