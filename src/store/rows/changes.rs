//! Rows of `changes`.

use super::{OriginColumns, selected};
use crate::model::{Batch, Event, Timestamp};
use crate::store::native_format::{Block, NumberColumn, StringColumn};

/// The changes of `batch`. Absent texts are empty.
pub(in crate::store) fn changes(batch: &Batch) -> Block {
    let rows: Vec<_> = selected(batch, |event| match event {
        Event::Change(change) => Some(change),
        _ => None,
    })
    .collect();
    let mut timestamps = NumberColumn::<Timestamp>::with_capacity(rows.len());
    let mut kinds = StringColumn::default();
    let mut services = StringColumn::default();
    let mut versions = StringColumn::default();
    let mut titles = StringColumn::default();
    let mut urls = StringColumn::default();
    let mut origin = OriginColumns::new(batch, rows.len());
    for (positioned, change) in &rows {
        timestamps.push(change.timestamp);
        kinds.push(change.kind.as_str());
        services.push(&change.service);
        versions.push_optional(change.version.as_ref());
        titles.push_optional(change.title.as_ref());
        urls.push_optional(change.url.as_ref());
        origin.push(positioned, &change.attributes);
    }
    let block = Block::new(rows.len())
        .column("timestamp", timestamps)
        .column("kind", kinds)
        .column("service", services)
        .column("version", versions)
        .column("title", titles)
        .column("url", urls);
    origin.add_to(block)
}
