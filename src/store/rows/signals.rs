//! Rows of `signals`.

use super::{OriginColumns, selected};
use crate::model::{Batch, Event, Timestamp};
use crate::store::native_format::{Block, NumberColumn, StringColumn};

/// The signals of `batch`.
pub(in crate::store) fn signals(batch: &Batch) -> Block {
    let rows: Vec<_> = selected(batch, |event| match event {
        Event::Signal(signal) => Some(signal),
        _ => None,
    })
    .collect();
    let mut timestamps = NumberColumn::<Timestamp>::with_capacity(rows.len());
    let mut sources = StringColumn::default();
    let mut metrics = StringColumn::default();
    let mut values = NumberColumn::<f64>::with_capacity(rows.len());
    let mut origin = OriginColumns::new(batch, rows.len());
    for (positioned, signal) in &rows {
        timestamps.push(signal.timestamp);
        sources.push(&signal.source);
        metrics.push(&signal.metric);
        values.push(signal.value);
        origin.push(positioned, &signal.attributes);
    }
    let block = Block::new(rows.len())
        .column("timestamp", timestamps)
        .column("source", sources)
        .column("metric", metrics)
        .column("value", values);
    origin.add_to(block)
}
