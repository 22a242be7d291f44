//! `[kafka]`: where records are read from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Span;

/// Kafka to read from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
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
    /// Further librdkafka properties, passed on as they are (for instance `security.protocol`). Properties that the
    /// delivery guarantee rests on are refused.
    pub properties: BTreeMap<String, String>,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            group: "floodmark".to_owned(),
            topics: TopicsConfig::default(),
            idle_timeout: Span::from_secs(10),
            properties: BTreeMap::new(),
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
