//! `[kafka]`: where records are read from.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{KafkaSaslConfig, KafkaTlsConfig, Span};

/// A property with one of these in its name holds a secret.
const SECRET_PROPERTIES: [&str; 5] = ["password", "secret", "sasl.jaas.config", "key.pem", "sasl.oauthbearer.config"];

/// Kafka to read from.
#[derive(Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// Bootstrap servers, `host:port,host:port`.
    pub brokers: String,
    /// Consumer group. Offsets are committed only after ClickHouse has the rows.
    pub group: String,
    /// Topic names.
    pub topics: TopicsConfig,
    /// A partition that is read to its end and silent for this long no longer holds the watermark back.
    pub idle_timeout: Span,
    /// How much of the log detection reads again after a start, so that it knows what was normal and what was firing.
    pub warm_up: Span,
    /// Further librdkafka properties, passed on as they are (for instance `client.rack`). Properties that the delivery
    /// guarantee rests on are refused, and those that `tls` and `sasl` set.
    pub properties: BTreeMap<String, String>,
    /// TLS. Absent: none, unless `properties` say otherwise.
    pub tls: Option<KafkaTlsConfig>,
    /// SASL. Absent: none, unless `properties` say otherwise.
    pub sasl: Option<KafkaSaslConfig>,
}

impl KafkaConfig {
    /// Whether the value of a librdkafka property is a secret.
    #[must_use]
    pub fn is_secret_property(name: &str) -> bool {
        SECRET_PROPERTIES.iter().any(|part| name.contains(part))
    }
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value)| {
            let value: &String = value;
            let name: &String = name;
            (name.as_str(), if Self::is_secret_property(name) { "***" } else { value.as_str() })
        };
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("group", &self.group)
            .field("topics", &self.topics)
            .field("idle_timeout", &self.idle_timeout)
            .field("warm_up", &self.warm_up)
            .field("properties", &self.properties.iter().map(shown).collect::<BTreeMap<_, _>>())
            .field("tls", &self.tls)
            .field("sasl", &self.sasl)
            .finish()
    }
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            group: "floodmark".to_owned(),
            topics: TopicsConfig::default(),
            idle_timeout: Span::from_secs(10),
            warm_up: Span::from_secs(1_800),
            properties: BTreeMap::new(),
            tls: None,
            sasl: None,
        }
    }
}

/// Topic names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TopicsConfig {
    /// Request logs, in `decode.requests_format`.
    pub requests: String,
    /// Signals, native format.
    pub signals: String,
    /// Changes, native format.
    pub changes: String,
    /// Records that no decoder could read, with reason and position.
    pub dead_letters: String,
}

impl Default for TopicsConfig {
    fn default() -> Self {
        Self {
            requests: "requests".to_owned(),
            signals: "signals".to_owned(),
            changes: "changes".to_owned(),
            dead_letters: "floodmark.dead-letters".to_owned(),
        }
    }
}

impl TopicsConfig {
    /// The topics that are read, in a fixed order.
    #[must_use]
    pub fn inputs(&self) -> [&str; 3] {
        [&self.requests, &self.signals, &self.changes]
    }
}
