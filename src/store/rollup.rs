//! The rollup of one batch: its own part of `requests_by_minute`. Pure; merges in ClickHouse add the parts up.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::native_format::{Block, HistogramColumn, NumberColumn, StringColumn};
use crate::flow::latency_bucket;
use crate::model::{Batch, Event, Request};

const MINUTE_MS: i64 = 60_000;

/// What a rollup row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key<'a> {
    /// Seconds since the epoch.
    minute: u32,
    subscription: &'a str,
    client: &'a str,
    client_version: &'a str,
    service: &'a str,
    caller: &'a str,
    route: &'a str,
    status_class: u16,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Cell {
    requests: u64,
    failures: u64,
    resends: u64,
    attempts_known: u64,
    upstream_attempts: u64,
    request_bytes: u64,
    response_bytes: u64,
    duration_ms: BTreeMap<i16, u64>,
}

/// The rollup rows of `batch`. The same batch always gives the same block, byte for byte.
#[must_use]
pub fn rollup(batch: &Batch) -> Block {
    let mut cells: FxHashMap<Key<'_>, Cell> = FxHashMap::default();
    for positioned in batch.chunks.iter().flat_map(|chunk| &chunk.events) {
        if let Event::Request(request) = &positioned.event {
            add(cells.entry(key(request)).or_default(), request);
        }
    }
    let mut rows: Vec<(Key<'_>, Cell)> = cells.into_iter().collect();
    rows.sort_unstable_by_key(|(key, _)| {
        (
            key.subscription,
            key.client,
            key.client_version,
            key.service,
            key.caller,
            key.route,
            key.status_class,
            key.minute,
        )
    });
    to_block(&rows)
}

fn key(request: &Request) -> Key<'_> {
    Key {
        minute: minute_seconds(request),
        subscription: &request.subscription,
        client: request.client.as_deref().unwrap_or_default(),
        client_version: request.client_version.as_deref().unwrap_or_default(),
        service: request.service.as_deref().unwrap_or_default(),
        caller: request.caller.as_deref().unwrap_or_default(),
        route: &request.route,
        status_class: request.status / 100,
    }
}

/// `DateTime` ends in 2106; later clocks are wrong, and their rows are counted in its last minute.
fn minute_seconds(request: &Request) -> u32 {
    let seconds = request.timestamp.window_start(MINUTE_MS).as_millis() / 1_000;
    u32::try_from(seconds.max(0)).unwrap_or(u32::MAX / 60 * 60)
}

fn add(cell: &mut Cell, request: &Request) {
    cell.requests += 1;
    cell.failures += u64::from(request.failed());
    cell.resends += u64::from(request.attempt.is_some_and(|attempt| attempt > 1));
    cell.attempts_known += u64::from(request.attempt.is_some());
    cell.upstream_attempts += u64::from(request.upstream_attempts.unwrap_or(0));
    cell.request_bytes = cell.request_bytes.saturating_add(request.request_bytes.unwrap_or(0));
    cell.response_bytes = cell.response_bytes.saturating_add(request.response_bytes.unwrap_or(0));
    // As single precision, like the raw row: a count over raw rows then gives the same buckets.
    *cell.duration_ms.entry(latency_bucket(request.duration_ms as f32)).or_default() += 1;
}

fn to_block(rows: &[(Key<'_>, Cell)]) -> Block {
    let count = rows.len();
    let text = |value: for<'a> fn(&Key<'a>) -> &'a str| {
        let mut column = StringColumn::with_capacity(count, 16);
        rows.iter().for_each(|(key, _)| column.push(value(key)));
        column
    };
    let number = |value: fn(&Cell) -> u64| {
        let mut column = NumberColumn::with_capacity(count);
        rows.iter().for_each(|(_, cell)| column.push(value(cell)));
        column
    };
    let mut minutes = NumberColumn::<u32>::with_capacity(count);
    let mut status_classes = NumberColumn::<u16>::with_capacity(count);
    let mut durations = HistogramColumn::default();
    for (key, cell) in rows {
        minutes.push(key.minute);
        status_classes.push(key.status_class);
        durations.push(cell.duration_ms.iter().map(|(bucket, count)| (*bucket, *count)));
    }
    Block::new(count)
        .column("minute", minutes)
        .column("subscription", text(|key| key.subscription))
        .column("client", text(|key| key.client))
        .column("client_version", text(|key| key.client_version))
        .column("service", text(|key| key.service))
        .column("caller", text(|key| key.caller))
        .column("route", text(|key| key.route))
        .column("status_class", status_classes)
        .column("requests", number(|cell| cell.requests))
        .column("failures", number(|cell| cell.failures))
        .column("resends", number(|cell| cell.resends))
        .column("attempts_known", number(|cell| cell.attempts_known))
        .column("upstream_attempts", number(|cell| cell.upstream_attempts))
        .column("request_bytes", number(|cell| cell.request_bytes))
        .column("response_bytes", number(|cell| cell.response_bytes))
        .column("duration_ms", durations)
}
