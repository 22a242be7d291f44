//! Rows of `pages` and `silences`.

use super::outputs::{json, numbers, strings};
use crate::model::{PageRecord, SilenceRecord, Timestamp};
use crate::store::native_format::Block;

/// The rows of `pages`.
pub(in crate::store) fn pages(records: &[PageRecord]) -> Block {
    Block::new(records.len())
        .column("dedup_key", strings(records, |r| r.page.dedup_key.to_string()))
        .column("revision", numbers(records, |r| r.page.revision))
        .column("event", strings(records, |r| word(&r.page.event)))
        .column("severity", strings(records, |r| r.page.severity.as_str().to_owned()))
        .column("reason", strings(records, |r| r.reason.to_string()))
        .column("title", strings(records, |r| r.page.title.clone()))
        .column("at", numbers(records, |r| r.page.at))
        .column("since", numbers(records, |r| r.page.since))
        // The epoch stands for "not yet".
        .column("resolved_at", numbers(records, |r| r.page.resolved_at.unwrap_or(Timestamp::from_millis(0))))
        .column("said_at", numbers(records, |r| r.said_at))
        .column("silenced_by", strings(records, |r| r.silenced_by.to_string()))
        .column("acknowledged_by", strings(records, |r| r.page.acknowledged_by.as_deref().unwrap_or("").to_owned()))
        .column("note", strings(records, |r| r.note.clone()))
        .column("page", strings(records, |r| json(&r.page)))
}

/// The rows of `silences`.
pub(in crate::store) fn silences(records: &[SilenceRecord]) -> Block {
    Block::new(records.len())
        .column("id", strings(records, |r| r.id.to_string()))
        .column("event", strings(records, |r| r.event.to_string()))
        .column("at", numbers(records, |r| r.at))
        .column("matchers", strings(records, |r| json(&r.matchers)))
        .column("starts_at", numbers(records, |r| r.starts_at))
        .column("ends_at", numbers(records, |r| r.ends_at))
        .column("author", strings(records, |r| r.author.to_string()))
        .column("reason", strings(records, |r| r.reason.clone()))
}

/// An enum's spelling, without the quotes of JSON.
fn word(value: &impl serde::Serialize) -> String {
    json(value).trim_matches('"').to_owned()
}
