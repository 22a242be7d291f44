//! Rows of `query_runs`.

use super::{OriginColumns, selected};
use crate::model::{Batch, Event, QueryRun, QueryState, Text, Timestamp};
use crate::store::native_format::{Block, NumberColumn, StringColumn};

/// The query runs of `batch`. Absent numbers are 0, absent texts empty.
pub(in crate::store) fn query_runs(batch: &Batch) -> Block {
    let rows: Vec<_> = selected(batch, |event| match event {
        Event::Query(query) => Some(query.as_ref()),
        _ => None,
    })
    .collect();
    let text = |value: fn(&QueryRun) -> Option<&Text>| {
        let mut column = StringColumn::default();
        rows.iter().for_each(|(_, query)| column.push_optional(value(query)));
        column
    };
    let number = |value: fn(&QueryRun) -> Option<u64>| {
        let mut column = NumberColumn::<u64>::with_capacity(rows.len());
        rows.iter().for_each(|(_, query)| column.push(value(query).unwrap_or(0)));
        column
    };
    let mut timestamps = NumberColumn::<Timestamp>::with_capacity(rows.len());
    let mut states = StringColumn::default();
    let mut durations = NumberColumn::<f64>::with_capacity(rows.len());
    let mut exception_codes = NumberColumn::<i32>::with_capacity(rows.len());
    let mut origin = OriginColumns::new(batch, rows.len());
    for (positioned, query) in &rows {
        timestamps.push(query.timestamp);
        states.push_optional(query.state.map(QueryState::as_str));
        durations.push(query.duration_ms.unwrap_or(0.0));
        exception_codes.push(query.exception_code.unwrap_or(0));
        origin.push(positioned, &query.attributes);
    }
    let block = Block::new(rows.len())
        .column("timestamp", timestamps)
        .column("node", text(|query| Some(&query.node)))
        .column("query", text(|query| query.query.as_ref()))
        .column("fingerprint", text(|query| query.fingerprint.as_ref()))
        .column("user", text(|query| query.user.as_ref()))
        .column("origin", text(|query| query.origin.as_ref()))
        .column("version", text(|query| query.version.as_ref()))
        .column("subscription", text(|query| query.subscription.as_ref()))
        .column("state", states)
        .column("duration_ms", durations)
        .column("memory_bytes", number(|query| query.memory_bytes))
        .column("read_rows", number(|query| query.read_rows))
        .column("read_bytes", number(|query| query.read_bytes))
        .column("exception_code", exception_codes);
    origin.add_to(block)
}
