//! Events as columns: a file a table.

mod changes;
mod ledger;
mod outputs;
mod pages;
mod query_runs;
mod requests;
mod signals;

pub(super) use changes::changes;
pub(super) use ledger::{LedgerCounts, intent, ledger};
pub(super) use outputs::{incidents, transitions};
pub(super) use pages::{pages, silences};
pub(super) use query_runs::query_runs;
pub(super) use requests::requests;
pub(super) use signals::signals;

use super::native_format::{Block, NumberColumn, StringColumn, TextMapColumn};
use crate::model::{Attributes, Batch, Event, Positioned};

/// The events of a batch that `select` picks, each with its place.
fn selected<'a, E: 'a>(
    batch: &'a Batch,
    select: fn(&'a Event) -> Option<&'a E>,
) -> impl Iterator<Item = (&'a Positioned, &'a E)> {
    let events = batch.chunks.iter().flat_map(|chunk| &chunk.events);
    events.filter_map(move |positioned| select(&positioned.event).map(|event| (positioned, event)))
}

/// The columns that every raw table ends with: unknown fields, and where the record came from.
struct OriginColumns {
    topic: String,
    partition: i32,
    attributes: TextMapColumn,
    attributes_dropped: NumberColumn<u32>,
    topics: StringColumn,
    partitions: NumberColumn<i32>,
    offsets: NumberColumn<i64>,
    indexes: NumberColumn<u16>,
}

impl OriginColumns {
    fn new(batch: &Batch, rows: usize) -> Self {
        let topic = batch.topic_partition.topic.to_string();
        Self {
            topics: StringColumn::with_capacity(rows, topic.len()),
            topic,
            partition: batch.topic_partition.partition,
            attributes: TextMapColumn::default(),
            attributes_dropped: NumberColumn::with_capacity(rows),
            partitions: NumberColumn::with_capacity(rows),
            offsets: NumberColumn::with_capacity(rows),
            indexes: NumberColumn::with_capacity(rows),
        }
    }

    fn push(&mut self, positioned: &Positioned, attributes: &Attributes) {
        self.attributes.push(attributes.iter());
        self.attributes_dropped.push(attributes.dropped());
        self.topics.push(&self.topic);
        self.partitions.push(self.partition);
        self.offsets.push(positioned.offset);
        self.indexes.push(positioned.index);
    }

    fn add_to(self, block: Block) -> Block {
        block
            .column("attributes", self.attributes)
            .column("attributes_dropped", self.attributes_dropped)
            .column("_topic", self.topics)
            .column("_partition", self.partitions)
            .column("_offset", self.offsets)
            .column("_index", self.indexes)
    }
}
