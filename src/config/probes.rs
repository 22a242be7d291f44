//! `[probes]`: what Floodmark looks at by itself: Redis, Prometheus text, ClickHouse's system tables.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Secret, SecretFileError, Span};

/// How often a target is looked at, when not said: detectors of memory judge steps of 30 s.
const INTERVAL: Span = Span::from_secs(10);
/// A look without an answer for this long has failed.
const TIMEOUT: Span = Span::from_secs(5);

/// The targets that are looked at. None by default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProbesConfig {
    /// Redis servers, by `INFO`.
    pub redis: Vec<RedisProbeConfig>,
    /// Prometheus text endpoints.
    pub prometheus: Vec<PrometheusProbeConfig>,
    /// ClickHouse servers, by their system tables.
    pub clickhouse: Vec<ClickHouseProbeConfig>,
}

impl ProbesConfig {
    /// Whether nothing is looked at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.redis.is_empty() && self.prometheus.is_empty() && self.clickhouse.is_empty()
    }
}

/// A Redis server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedisProbeConfig {
    /// Its signals have the source `redis/NAME`.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// How often it is looked at.
    #[serde(default = "interval")]
    pub interval: Span,
    /// A look without an answer for this long has failed.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// User of Redis's access control; absent: the default user.
    pub user: Option<String>,
    /// Password, better from the environment; it comes before `password_file`.
    pub password: Option<Secret>,
    /// File that holds the password. Absent, and no `password`: none is sent.
    pub password_file: Option<PathBuf>,
    /// Whether the connection is TLS.
    #[serde(default)]
    pub tls: bool,
    /// Certificate authorities to trust instead of the system's (PEM).
    pub ca_file: Option<PathBuf>,
}

impl RedisProbeConfig {
    /// The password, wherever it comes from.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn secret(&self) -> Result<Option<Secret>, SecretFileError> {
        Secret::resolve(self.password.as_ref(), self.password_file.as_deref())
    }
}

/// A Prometheus text endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrometheusProbeConfig {
    /// Its name in messages, metrics, and in `source` as `{probe}`.
    pub name: String,
    /// Where to read; `http://` or `https://`.
    pub url: String,
    /// How often it is looked at.
    #[serde(default = "interval")]
    pub interval: Span,
    /// A look without an answer for this long has failed.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// Bearer token, better from the environment; it comes before `bearer_token_file`.
    pub bearer_token: Option<Secret>,
    /// File that holds the bearer token. Absent, and no `bearer_token`: none is sent.
    pub bearer_token_file: Option<PathBuf>,
    /// Certificate authorities to trust instead of the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// Which series become which signals.
    pub metrics: Vec<PrometheusMetricConfig>,
}

impl PrometheusProbeConfig {
    /// The bearer token, wherever it comes from.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn secret(&self) -> Result<Option<Secret>, SecretFileError> {
        Secret::resolve(self.bearer_token.as_ref(), self.bearer_token_file.as_deref())
    }
}

/// Series of one name that become a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrometheusMetricConfig {
    /// Name of the series, as the endpoint writes it.
    pub name: String,
    /// Labels that must have exactly these values; `""` is a label that is absent.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Metric of the signal.
    pub metric: String,
    /// Source of the signal; `{label}` stands for the value of a label, `{probe}` for the probe's name. Series that give
    /// the same source and metric are added up.
    pub source: String,
    /// What the value is multiplied with, to get the metric's base unit.
    #[serde(default = "one")]
    pub factor: f64,
}

/// A ClickHouse server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClickHouseProbeConfig {
    /// Its signals have the source `clickhouse/NAME`.
    pub name: String,
    /// Node of its query events. Absent: the name.
    pub node: Option<String>,
    /// HTTP interface; `http://` or `https://`.
    pub url: String,
    /// User that may read the system tables.
    #[serde(default = "default_user")]
    pub user: String,
    /// Password, better from the environment; it comes before `password_file`.
    pub password: Option<Secret>,
    /// File that holds the password. Absent, and no `password`: none is sent.
    pub password_file: Option<PathBuf>,
    /// Certificate authorities to trust instead of the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// How often it is looked at.
    #[serde(default = "interval")]
    pub interval: Span,
    /// A statement without an answer for this long has failed.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// Whether running and finished queries become events.
    #[serde(default = "yes")]
    pub queries: bool,
}

impl ClickHouseProbeConfig {
    /// The password, wherever it comes from.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn secret(&self) -> Result<Option<Secret>, SecretFileError> {
        Secret::resolve(self.password.as_ref(), self.password_file.as_deref())
    }
}

fn interval() -> Span {
    INTERVAL
}

fn timeout() -> Span {
    TIMEOUT
}

fn one() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

fn default_user() -> String {
    "default".to_owned()
}
