//! Everything the pager remembers, and how it is written down: each step's changes as one entry, all of it as another.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::journaled::{Changes, Journaled};
use super::page_state::{AlertId, KnownAlert, PageState};
use super::silence::Silence;
use crate::model::{DurationMs, Page, Severity, Text, Timestamp};

/// Event time that alone has moved is written down this often: a restart reads this much less far back at most.
const TOLD_UNTIL_WRITTEN_MS: DurationMs = 60_000;

/// An alert that fires and is told on a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Firing {
    /// Number of the page.
    pub page: u32,
    pub severity: Severity,
    pub incident: Text,
    pub subject: u64,
    /// Of another incident: told inside a page that is not its own.
    pub is_inhibited: bool,
    /// It fired before the restart, and not yet again.
    pub is_restored: bool,
    /// All it says, when its page has no room for it and may be over before it is.
    pub known: Option<Box<KnownAlert>>,
    /// Until when, in event time, it is waited for; known once the watermark has come to the restart.
    pub awaited_until: Option<Timestamp>,
}

/// An alert that outlived the page it was told on, and gets one of its own if it goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Leftover {
    pub known: KnownAlert,
    pub incident: Text,
    /// When a page opens for it, in event time.
    pub due_at: Timestamp,
    /// It fired before the restart, and not yet again.
    pub is_restored: bool,
}

/// A moment at which a page opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Opening {
    pub at: Timestamp,
    pub now: Timestamp,
}

/// What was said to receivers and may not have reached their own memory yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Handing {
    pub number: u64,
    /// Wall clock.
    pub said_at: Timestamp,
    pub page: Page,
}

/// Single values.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Numbers {
    pub page_next: u32,
    pub silence_next: u32,
    pub said_total: u64,
    /// Event time up to which everything was taken in.
    pub told_until: Option<Timestamp>,
    pub openings: VecDeque<Opening>,
}

impl Numbers {
    /// Whether event time alone has moved so far that a restart should know.
    fn has_come_far(&self, written: &Self) -> bool {
        let (now, before) = (self.told_until, written.told_until);
        now != before && now.zip(before).is_none_or(|(now, before)| now.since(before).abs() >= TOLD_UNTIL_WRITTEN_MS)
    }
}

/// The whole.
#[derive(Debug, Clone, Default)]
pub struct PagerState {
    pub(super) pages: Journaled<u32, PageState>,
    pub(super) firing: Journaled<AlertId, Firing>,
    pub(super) leftovers: Journaled<AlertId, Leftover>,
    /// When pages opened for an alert, within the last hour.
    pub(super) flaps: Journaled<AlertId, VecDeque<Timestamp>>,
    pub(super) silences: Journaled<Text, Silence>,
    pub(super) handings: Journaled<u64, Handing>,
    pub(super) numbers: Numbers,
    numbers_written: Numbers,
}

/// A line of the journal: what one step changed. Taking the same entries in, in order, gives the same state.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JournalEntry {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pages: Changes<u32, PageState>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    firing: Changes<AlertId, Firing>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    leftovers: Changes<AlertId, Leftover>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flaps: Changes<AlertId, VecDeque<Timestamp>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    silences: Changes<Text, Silence>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    handings: Changes<u64, Handing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    numbers: Option<Numbers>,
}

impl JournalEntry {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether losing it would lose more than the knowledge that receivers have what they were told.
    #[must_use]
    pub fn matters(&self) -> bool {
        !self.pages.is_empty()
            || !self.firing.is_empty()
            || !self.leftovers.is_empty()
            || !self.flaps.is_empty()
            || !self.silences.is_empty()
            || self.handings.iter().any(|(_, handing)| handing.is_some())
    }
}

#[cfg(test)]
impl JournalEntry {
    /// Without how far event time has come, which alone is no change.
    pub(super) fn without_time(mut self) -> Self {
        self.numbers.iter_mut().for_each(|numbers| numbers.told_until = None);
        self
    }
}

impl PagerState {
    /// What has changed since the last call. Event time that moves on alone is a change only once it has moved by a minute.
    pub fn take_entry(&mut self) -> JournalEntry {
        let mut entry = JournalEntry {
            pages: self.pages.take_changes(),
            firing: self.firing.take_changes(),
            leftovers: self.leftovers.take_changes(),
            flaps: self.flaps.take_changes(),
            silences: self.silences.take_changes(),
            handings: self.handings.take_changes(),
            numbers: None,
        };
        let has_come_far = self.numbers.has_come_far(&self.numbers_written);
        if (has_come_far || !entry.is_empty()) && self.numbers != self.numbers_written {
            self.numbers_written = self.numbers.clone();
            entry.numbers = Some(self.numbers.clone());
        }
        entry
    }

    /// Everything, as one entry.
    #[must_use]
    pub fn snapshot(&self) -> JournalEntry {
        JournalEntry {
            pages: self.pages.everything(),
            firing: self.firing.everything(),
            leftovers: self.leftovers.everything(),
            flaps: self.flaps.everything(),
            silences: self.silences.everything(),
            handings: self.handings.everything(),
            numbers: Some(self.numbers.clone()),
        }
    }

    /// Takes in an entry that was written down.
    pub fn apply(&mut self, entry: JournalEntry) {
        self.pages.apply(entry.pages);
        self.firing.apply(entry.firing);
        self.leftovers.apply(entry.leftovers);
        self.flaps.apply(entry.flaps);
        self.silences.apply(entry.silences);
        self.handings.apply(entry.handings);
        if let Some(numbers) = entry.numbers {
            self.numbers_written = numbers.clone();
            self.numbers = numbers;
        }
    }

    /// Takes in of an entry only what rests on no other: which silences there are. For entries behind one that is lost.
    pub fn apply_silences(&mut self, entry: JournalEntry) {
        self.silences.apply(entry.silences);
    }

    /// Openings within a minute before, by event time or by the wall clock: whichever is more.
    pub(super) fn opened_lately(&mut self, at: Timestamp, now: Timestamp, within_ms: DurationMs) -> usize {
        let is_recent =
            |o: &Opening| (0..within_ms).contains(&at.since(o.at)) || (0..within_ms).contains(&now.since(o.now));
        self.numbers.openings.retain(is_recent);
        self.numbers.openings.len()
    }
}
