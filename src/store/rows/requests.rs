//! Rows of `requests`.

use super::{OriginColumns, selected};
use crate::model::{AttemptSource, Batch, Event, Request, Text, Timestamp};
use crate::store::native_format::{Block, NumberColumn, StringColumn};

/// Usual length of a short name in bytes: only a first guess of the space to take.
const NAME_BYTES: usize = 12;

/// The requests of `batch`. Absent numbers are 0, absent texts empty.
pub(in crate::store) fn requests(batch: &Batch) -> Block {
    let rows: Vec<_> = selected(batch, |event| match event {
        Event::Request(request) => Some(request),
        _ => None,
    })
    .collect();
    let text = |value: fn(&Request) -> Option<&Text>| {
        let mut column = StringColumn::with_capacity(rows.len(), NAME_BYTES);
        rows.iter().for_each(|(_, request)| column.push_optional(value(request)));
        column
    };
    let bytes = |value: fn(&Request) -> Option<u64>| {
        let mut column = NumberColumn::<u64>::with_capacity(rows.len());
        rows.iter().for_each(|(_, request)| column.push(value(request).unwrap_or(0)));
        column
    };
    let mut timestamps = NumberColumn::<Timestamp>::with_capacity(rows.len());
    let mut statuses = NumberColumn::<u16>::with_capacity(rows.len());
    let mut durations = NumberColumn::<f32>::with_capacity(rows.len());
    let mut attempts = NumberColumn::<u32>::with_capacity(rows.len());
    let mut attempt_sources = StringColumn::with_capacity(rows.len(), NAME_BYTES);
    let mut upstream_attempts = NumberColumn::<u32>::with_capacity(rows.len());
    let mut origin = OriginColumns::new(batch, rows.len());
    for (positioned, request) in &rows {
        timestamps.push(request.timestamp);
        statuses.push(request.status);
        // Single precision holds seven digits: more than any clock of a request log means.
        durations.push(request.duration_ms as f32);
        attempts.push(request.attempt.unwrap_or(0));
        attempt_sources.push_optional(request.attempt_source.map(AttemptSource::as_str));
        upstream_attempts.push(request.upstream_attempts.unwrap_or(0));
        origin.push(positioned, &request.attributes);
    }
    let block = Block::new(rows.len())
        .column("timestamp", timestamps)
        .column("subscription", text(|request| Some(&request.subscription)))
        .column("client", text(|request| request.client.as_ref()))
        .column("client_version", text(|request| request.client_version.as_ref()))
        .column("service", text(|request| request.service.as_ref()))
        .column("caller", text(|request| request.caller.as_ref()))
        .column("method", text(|request| request.method.as_ref()))
        .column("route", text(|request| Some(&request.route)))
        .column("status", statuses)
        .column("duration_ms", durations)
        .column("request_bytes", bytes(|request| request.request_bytes))
        .column("response_bytes", bytes(|request| request.response_bytes))
        .column("attempt", attempts)
        .column("attempt_source", attempt_sources)
        .column("upstream_attempts", upstream_attempts)
        .column("request_key", text(|request| request.request_key.as_ref()))
        .column("request_id", text(|request| request.request_id.as_ref()))
        .column("region", text(|request| request.region.as_ref()))
        .column("host", text(|request| request.host.as_ref()));
    origin.add_to(block)
}
