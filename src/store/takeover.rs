//! Incidents that an earlier process left open: whoever takes over knows some of them, under the names they had, and tells
//! of them again. The others have another name now, or are over, and nobody would ever tell their end.

use std::time::Duration;

use serde::Deserialize;
use tokio::sync::oneshot;

use super::native_format::{Block, NumberColumn, StringColumn};
use super::{ClickHouse, StoreError};
use crate::model::{Text, Timestamp};

const SELECT_OPEN: &str = include_str!("../../queries/recovery/open_incidents.sql");
/// Pause before ClickHouse is asked again that has not answered.
const PAUSE: Duration = Duration::from_secs(1);

/// What a process knows that has come to where the earlier one was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Takeover {
    /// Its open incidents.
    pub known: Vec<Text>,
    /// How far events are decided: the others have ended by then.
    pub watermark: Timestamp,
    /// By the clock: what is told later is told by this process.
    pub at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct OpenRow {
    incident: String,
    started_ms: i64,
    severity: String,
    alerts: String,
    causes: String,
    ruled_out: String,
    customers: String,
    actions: String,
    timeline: String,
    affected_subscriptions: u64,
    affected_requests_share: f64,
    summary: String,
}

/// Waits for the takeover and ends what it does not know. While ClickHouse is away it waits; without a takeover it does
/// nothing. `writer` may select and insert.
pub async fn close_unknown_incidents(writer: ClickHouse, takeover: oneshot::Receiver<Takeover>) {
    // A service that ends before it has come so far leaves it to the next one.
    let Ok(takeover) = takeover.await else { return };
    loop {
        match close_some(&writer, &takeover).await {
            Ok(0) => return,
            Ok(closed) => {
                tracing::info!(closed, "incidents that an earlier process left open are stored as ended");
            }
            Err(error) => {
                tracing::warn!(%error, "incidents of an earlier process cannot be ended; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn close_some(writer: &ClickHouse, takeover: &Takeover) -> Result<usize, StoreError> {
    // Names of incidents are made of letters, digits and dashes.
    let known: Vec<&str> = takeover.known.iter().map(|incident| &**incident).collect();
    let (known, before_ms) = (known.join(","), takeover.at.as_millis().to_string());
    let parameters = [("known", known.as_str()), ("before_ms", before_ms.as_str())];
    let rows: Vec<OpenRow> = writer.fetch(SELECT_OPEN, &parameters).await?;
    if !rows.is_empty() {
        writer.insert("incidents", ended(&rows, takeover.watermark), None).await?;
    }
    Ok(rows.len())
}

fn ended(rows: &[OpenRow], watermark: Timestamp) -> Block {
    let text = |value: fn(&OpenRow) -> &str| {
        let mut column = StringColumn::default();
        rows.iter().for_each(|row| column.push(value(row)));
        column
    };
    let started = |row: &OpenRow| Timestamp::from_millis(row.started_ms);
    let rows_count = rows.len();
    let (mut started_at, mut ended_at) =
        (NumberColumn::with_capacity(rows_count), NumberColumn::with_capacity(rows_count));
    let (mut subscriptions, mut shares) =
        (NumberColumn::with_capacity(rows_count), NumberColumn::with_capacity(rows_count));
    for row in rows {
        started_at.push(started(row));
        ended_at.push(watermark.max(started(row)));
        subscriptions.push(row.affected_subscriptions);
        shares.push(row.affected_requests_share);
    }
    Block::new(rows.len())
        .column("incident", text(|row| &row.incident))
        .column("started_at", started_at)
        .column("ended_at", ended_at)
        .column("severity", text(|row| &row.severity))
        .column("alerts", text(|row| &row.alerts))
        .column("causes", text(|row| &row.causes))
        .column("ruled_out", text(|row| &row.ruled_out))
        .column("customers", text(|row| &row.customers))
        .column("actions", text(|row| &row.actions))
        .column("timeline", text(|row| &row.timeline))
        .column("affected_subscriptions", subscriptions)
        .column("affected_requests_share", shares)
        .column("summary", text(|row| &row.summary))
}
