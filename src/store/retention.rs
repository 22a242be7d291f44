//! How long rows are kept: TTLs from the configuration, applied when they differ from the table's.
//!
//! They are not part of the migrations: a retention may change without the schema drifting.

use std::time::Duration;

use serde::Deserialize;

use super::{ClickHouse, StoreError};
use crate::config::RetentionConfig;

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
    for (name, time_column, keep) in wanted(retention) {
        let ttl = format!("{time_column} + toIntervalSecond({})", keep.as_secs());
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

/// Table, the column that the retention counts from, how long.
fn wanted(retention: &RetentionConfig) -> [(&'static str, &'static str, Duration); 8] {
    [
        ("requests", "timestamp", retention.requests.0),
        ("signals", "timestamp", retention.signals.0),
        ("changes", "timestamp", retention.changes.0),
        // Queries are looked at together with the requests that caused them.
        ("query_runs", "timestamp", retention.requests.0),
        ("requests_by_minute", "minute", retention.rollups.0),
        ("alert_transitions", "at", retention.alert_transitions.0),
        ("incidents", "started_at", retention.alert_transitions.0),
        // Offsets have no event time: the ledger counts from when a range was stored.
        ("ingest_ledger", "inserted_at", retention.ingest_ledger.0),
    ]
}
