//! What a step gives: pages to be told and recorded, and why.

use serde::{Deserialize, Serialize};

use crate::model::{Page, PageEvent, Text};

/// Why something is said of a page, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeReason {
    /// An alert fired that no page tells of.
    Fired,
    /// It was over, and began again.
    Again,
    /// More would open at once than a person can read.
    Storm,
    /// A worse severity.
    Worse,
    /// Another cause, another lead, or twice as many.
    News,
    /// It is over.
    Over,
    /// It fired before a restart, and has not since.
    NotSeenSinceRestart,
    /// A silence ended.
    SilenceEnded,
    /// A person, or the end of an acknowledgement.
    Person,
}

impl ChangeReason {
    /// Spelling in the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Again => "again",
            Self::Storm => "storm",
            Self::Worse => "worse",
            Self::News => "news",
            Self::Over => "over",
            Self::NotSeenSinceRestart => "not_seen_since_restart",
            Self::SilenceEnded => "silence_ended",
            Self::Person => "person",
        }
    }
}

/// Something is said of a page.
#[derive(Debug, Clone, PartialEq)]
pub struct PageChange {
    /// As receivers get it.
    pub page: Page,
    /// Why.
    pub reason: ChangeReason,
    /// The silence that keeps it from receivers; the record has it all the same.
    pub silenced_by: Option<Text>,
    /// What a person, or the pager, remarks.
    pub note: String,
}

/// What has happened since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PagerCounts {
    /// Said, by event: opened, updated, acknowledged, resolved.
    pub said: [u64; 4],
    /// Not said, because of a silence.
    pub silenced: u64,
    /// Alerts that were told inside another page.
    pub inhibited: u64,
    /// Incidents that were told on a storm page.
    pub in_storms: u64,
    /// Beginnings and ends that were not said because the page flaps.
    pub damped: u64,
    /// Alerts that found no room among those that are followed.
    pub not_followed: u64,
}

impl PageChange {
    /// What has happened, as the record and the log spell it.
    #[must_use]
    pub fn event_name(&self) -> &'static str {
        event_name(self.page.event)
    }
}

/// Spelling of an event.
#[must_use]
pub fn event_name(event: PageEvent) -> &'static str {
    match event {
        PageEvent::Opened => "opened",
        PageEvent::Updated => "updated",
        PageEvent::Acknowledged => "acknowledged",
        PageEvent::Resolved => "resolved",
    }
}

impl PagerCounts {
    pub(super) fn note(&mut self, event: PageEvent, is_silenced: bool) {
        if is_silenced {
            self.silenced += 1;
        } else {
            self.said[event as usize] += 1;
        }
    }
}
