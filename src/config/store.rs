//! `[store]`: batches, buffers and retention.

use serde::{Deserialize, Serialize};

use super::{ByteCount, Span};

/// Batches, buffers and retention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// A batch is written when it holds this many records …
    pub batch_records_max: usize,
    /// … or this many bytes of input …
    pub batch_bytes_max: ByteCount,
    /// … or is this old.
    pub batch_age_max: Span,
    /// Batches waiting for ClickHouse, over all partitions. At the bound, storage falls behind and later reads the
    /// records again from Kafka; detection goes on.
    pub batches_waiting_max: usize,
    /// How long rows are kept.
    pub retention: RetentionConfig,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            batch_records_max: 100_000,
            batch_bytes_max: ByteCount::mib(64),
            batch_age_max: Span::from_secs(1),
            batches_waiting_max: 4,
            retention: RetentionConfig::default(),
        }
    }
}

/// How long rows are kept, by table. Counted from when they were stored, so that an old log brought in today is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Raw requests: enough to look into an incident found a week late.
    pub requests: Span,
    /// Raw signals.
    pub signals: Span,
    /// Changes: few, and a cause may be old.
    pub changes: Span,
    /// Minute rollups: a year and its comparison.
    pub rollups: Span,
    /// Alert transitions.
    pub alert_transitions: Span,
    /// The ledger of ingested offset ranges.
    pub ingest_ledger: Span,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            requests: Span::from_days(14),
            signals: Span::from_days(30),
            changes: Span::from_days(800),
            rollups: Span::from_days(400),
            alert_transitions: Span::from_days(800),
            ingest_ledger: Span::from_days(90),
        }
    }
}

impl RetentionConfig {
    /// Every key with its value.
    #[must_use]
    pub fn by_table(&self) -> [(&'static str, Span); 6] {
        [
            ("requests", self.requests),
            ("signals", self.signals),
            ("changes", self.changes),
            ("rollups", self.rollups),
            ("alert_transitions", self.alert_transitions),
            ("ingest_ledger", self.ingest_ledger),
        ]
    }
}
