//! Configuration: one TOML file, a section a concern, every key with a default and a reason.
//!
//! Precedence: flag > environment (`FLOODMARK__SECTION__KEY`) > file > default. Unknown keys are errors. All problems
//! are reported together, each with its key path. Secrets come from files of their own or the environment.

mod clickhouse;
mod decode;
mod decode_fields;
mod detect;
mod flow;
mod guard;
mod http;
mod kafka;
mod kafka_security;
mod load;
mod local;
mod notify;
mod notify_checks;
mod paging;
mod probe_checks;
mod probes;
mod query;
mod secret;
mod status;
mod status_checks;
mod store;
mod units;

pub use clickhouse::ClickHouseConfig;
pub use decode::{CombinedConfig, CombinedRoute, CombinedSubscription, DecodeConfig, Format};
pub use decode_fields::{FieldRule, FieldsConfig, RequestField, TimeUnit};
pub use detect::DetectConfig;
pub use flow::FlowConfig;
pub use guard::GuardConfig;
pub use http::{HttpConfig, Scope, TlsConfig, TokenConfig};
pub use kafka::{KafkaConfig, TopicsConfig};
pub use kafka_security::{KafkaSaslConfig, KafkaTlsConfig, SaslMechanism};
pub(crate) use load::without_secrets;
pub use load::{ConfigError, Problem};
pub use local::LocalConfig;
pub use notify::{
    AlertmanagerConfig, BodyFormat, HeartbeatMethod, NotifyConfig, ReceiverConfig, ReceiverType, RouteConfig,
    WebhookConfig,
};
pub use notify_checks::{LabelMatcher, RECEIVERS_MAX};
pub use paging::PagingConfig;
pub use probe_checks::PROBES_MAX;
pub use probes::{
    ClickHouseProbeConfig, ProbesConfig, PrometheusMetricConfig, PrometheusProbeConfig, RedisProbeConfig,
};
pub use query::{QUERY_SECONDS_MAX, QueryConfig};
pub use secret::{Secret, SecretFileError};
pub use status::{AutoPublish, ComponentConfig, StatusConfig, SubscriberConfig, ThresholdConfig};
pub use status_checks::{COMPONENTS_MAX, SUBSCRIBERS_MAX};
pub use store::{RetentionConfig, StoreConfig};
pub use units::{ByteCount, Span};

use serde::{Deserialize, Serialize};

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The HTTP server: health, metrics, API, and records that come over HTTP.
    pub http: HttpConfig,
    /// Kafka to read from. Absent: `run` takes records over HTTP only, `demo` starts its own broker.
    pub kafka: Option<KafkaConfig>,
    /// ClickHouse to write to. Without `url` the local engine is started.
    pub clickhouse: ClickHouseConfig,
    /// Where the local engines are.
    pub local: LocalConfig,
    /// How records become events.
    pub decode: DecodeConfig,
    /// Batches, buffers and retention.
    pub store: StoreConfig,
    /// Windows and watermarks.
    pub flow: FlowConfig,
    /// Rules, limits and objectives.
    pub detect: DetectConfig,
    /// Where alerts go.
    pub notify: NotifyConfig,
    /// How alerts become pages.
    pub paging: PagingConfig,
    /// What is looked at without being sent.
    pub probes: ProbesConfig,
    /// The query guard of ClickHouse.
    pub guard: GuardConfig,
    /// Questions over HTTP.
    pub query: QueryConfig,
    /// The public status page. Absent: there is none.
    pub status: Option<StatusConfig>,
}

impl Config {
    /// Where outboxes and dead letters of notifications are.
    #[must_use]
    pub fn notify_state_dir(&self) -> std::path::PathBuf {
        self.notify.state_dir.clone().unwrap_or_else(|| self.local.data_dir.join("notify"))
    }

    /// Where pages, silences and acknowledgements are remembered.
    #[must_use]
    pub fn paging_state_dir(&self) -> std::path::PathBuf {
        self.paging.state_dir.clone().unwrap_or_else(|| self.local.data_dir.join("paging"))
    }
    /// Where what the public was told is remembered.
    #[must_use]
    pub fn status_state_dir(&self) -> std::path::PathBuf {
        let named = self.status.as_ref().and_then(|status| status.state_dir.clone());
        named.unwrap_or_else(|| self.local.data_dir.join("status"))
    }
}
