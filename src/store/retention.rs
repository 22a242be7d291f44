//! How long rows are kept: TTLs from the configuration, applied when they differ from the table's.
//!
//! They are not part of the migrations: a retention may change without the schema drifting.

use std::time::Duration;

use serde::Deserialize;

use super::{ClickHouse, StoreError};
use crate::config::RetentionConfig;

/// Retention counts from when a row was stored, not from event time: an old log that is brought in today is kept.
const COUNTED_FROM: &str = "inserted_at";
const SELECT_TABLES: &str = "SELECT name, create_table_query FROM system.tables WHERE database = {name:String}";

#[derive(Debug, Deserialize)]
struct Table {
    name: String,
    create_table_query: String,
}

/// Applies `retention` to all tables. Gives the names of those that were changed.
///
/// # Errors
/// See [`StoreError`].
pub async fn apply_retention(
    clickhouse: &ClickHouse,
    retention: &RetentionConfig,
) -> Result<Vec<&'static str>, StoreError> {
    let tables: Vec<Table> = clickhouse.fetch(SELECT_TABLES, &[("name", clickhouse.database())]).await?;
    let mut changed = Vec::new();
    for (name, keep) in wanted(retention) {
        let ttl = format!("{COUNTED_FROM} + toIntervalSecond({})", keep.as_secs());
        let is_applied =
            tables.iter().any(|table| table.name == name && table.create_table_query.contains(&format!("TTL {ttl} ")));
        if !is_applied {
            clickhouse.execute(&format!("ALTER TABLE {{database}}.{name} MODIFY TTL {ttl}")).await?;
            tracing::info!(table = name, keep_seconds = keep.as_secs(), "retention applied");
            changed.push(name);
        }
    }
    Ok(changed)
}

/// Table, and how long its rows are kept.
fn wanted(retention: &RetentionConfig) -> [(&'static str, Duration); 11] {
    [
        ("requests", retention.requests.0),
        ("signals", retention.signals.0),
        ("changes", retention.changes.0),
        // Queries are looked at together with the requests that caused them.
        ("query_runs", retention.requests.0),
        ("requests_by_minute", retention.rollups.0),
        ("alert_transitions", retention.alert_transitions.0),
        ("incidents", retention.alert_transitions.0),
        ("pages", retention.alert_transitions.0),
        ("silences", retention.alert_transitions.0),
        ("ingest_ledger", retention.ingest_ledger.0),
        ("ingest_intents", retention.ingest_ledger.0),
    ]
}
