//! What became of the lines.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::decode::Decoded;
use crate::model::{EventKind, Timestamp};

/// Counts of one run.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Counts {
    /// Lines read.
    pub(super) lines: u64,
    /// Lines that gave nothing but events.
    pub(super) lines_good: u64,
    /// Events decoded, by kind.
    pub(super) events: BTreeMap<EventKind, u64>,
    /// Records refused, by code.
    pub(super) rejected: BTreeMap<&'static str, u64>,
    /// Kafka messages sent as records, lines as they are or events.
    pub(super) sent: u64,
    /// Bad records sent to the dead-letter topic from here.
    pub(super) dead_lettered: u64,
    /// Watermark messages sent.
    pub(super) watermarks: u64,
    /// Oldest event.
    pub(super) first_event: Option<Timestamp>,
    /// Newest event.
    pub(super) last_event: Option<Timestamp>,
}

impl Counts {
    pub(super) fn add(&mut self, decoded: &[Decoded]) {
        self.lines += 1;
        self.lines_good += u64::from(decoded.iter().all(Result::is_ok));
        for one in decoded {
            match one {
                Ok(event) => {
                    *self.events.entry(event.kind()).or_default() += 1;
                    let at = event.timestamp();
                    self.first_event = Some(self.first_event.map_or(at, |first| first.min(at)));
                    self.last_event = Some(self.last_event.map_or(at, |last| last.max(at)));
                }
                Err(reason) => *self.rejected.entry(reason.code.as_str()).or_default() += 1,
            }
        }
    }

    pub(super) fn rejected(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// One line of JSON.
    pub(super) fn json(&self) -> String {
        // Numbers and text always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// For people: only what is not 0.
    pub(super) fn table(&self) -> String {
        let mut rows = vec![("lines read".to_owned(), self.lines)];
        let kind = |kind: &EventKind| format!("  {kind:?} events").to_lowercase();
        rows.extend(self.events.iter().map(|(of, count)| (kind(of), *count)));
        rows.extend(self.rejected.iter().map(|(code, count)| (format!("  rejected: {code}"), *count)));
        let sent = [
            ("messages sent", self.sent),
            ("dead letters sent", self.dead_lettered),
            ("watermarks sent", self.watermarks),
        ];
        rows.extend(sent.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name.to_owned(), count)));
        let widest = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let mut table: Vec<String> = rows.iter().map(|(name, count)| format!("{name:<widest$}  {count:>10}")).collect();
        table.extend(
            self.first_event.zip(self.last_event).map(|(first, last)| format!("events from {first} to {last}")),
        );
        table.join("\n")
    }
}
