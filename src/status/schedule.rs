//! What people say of components in advance or against what is measured: announced work, and a word of theirs that ends.
//!
//! A person's word beats announced work, and that beats measurement. Both have an end: nothing that people say outlives it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::incidents::{Command, CommandError, Done, Ids, Settings};
use super::words::WordCheck;
use super::{Authority, ComponentState, Maintenance};
use crate::model::{DurationMs, Timestamp};

mod obey;
#[cfg(test)]
mod tests;

/// Maintenances that are kept; the oldest that is over makes room.
pub const MAINTENANCES_MAX: usize = 200;
/// Words of people that are kept; the oldest that has ended makes room.
pub const WORDS_MAX: usize = 1_000;
/// Longest that a person's word holds.
pub const WORD_MS_MAX: DurationMs = 7 * 86_400_000;
/// Longest work.
pub const MAINTENANCE_MS_MAX: DurationMs = 7 * 86_400_000;
/// Longest note of a word, in characters.
pub const NOTE_CHARS_MAX: usize = 500;

/// A person's word on a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Which component.
    pub component: String,
    /// How it is said to be.
    pub state: ComponentState,
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Why; public.
    pub note: Option<String>,
    /// Who says so; not public.
    pub who: String,
}

impl Word {
    /// Whether it holds then.
    #[must_use]
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

/// Announced work and words of people.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Schedule {
    /// In the order in which they were announced.
    maintenances: Vec<Maintenance>,
    /// In the order in which they were given; of two that hold the later counts.
    pub(in crate::status) words: VecDeque<Word>,
    ids: Ids,
}

impl Schedule {
    /// How people say a component is at a moment; absent where what is measured counts.
    #[must_use]
    pub fn state_at(&self, component: &str, at: Timestamp) -> Option<(ComponentState, Authority)> {
        let is_said = |word: &&Word| word.component == component && word.holds(at);
        if let Some(word) = self.words.iter().rev().find(is_said) {
            return Some((word.state, Authority::Person { until: word.until, note: word.note.clone() }));
        }
        let is_worked_on = |maintenance: &Maintenance| {
            maintenance.components.iter().any(|id| id == component) && is_under_way(maintenance, at)
        };
        let is_maintenance = self.maintenances.iter().any(is_worked_on);
        is_maintenance.then_some((ComponentState::UnderMaintenance, Authority::Maintenance))
    }

    /// Announced work, the earliest first.
    #[must_use]
    pub fn maintenances(&self) -> Vec<Maintenance> {
        let mut maintenances = self.maintenances.clone();
        maintenances.sort_by(|a, b| (a.from, &a.id).cmp(&(b.from, &b.id)));
        maintenances
    }

    /// Words that hold at a moment.
    #[must_use]
    pub fn words(&self, at: Timestamp) -> Vec<Word> {
        self.words.iter().filter(|word| word.holds(at)).cloned().collect()
    }

    /// The next moment after `at` at which something begins or ends: a clock that looks then misses nothing.
    #[must_use]
    pub fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        let words = self.words.iter().flat_map(|word| [word.from, word.until]);
        let maintenances = self.maintenances.iter().flat_map(|maintenance| [maintenance.from, end(maintenance)]);
        words.chain(maintenances).filter(|moment| *moment > at).min()
    }
}

/// When work ends: where it was called off, then.
fn end(maintenance: &Maintenance) -> Timestamp {
    if maintenance.is_cancelled { maintenance.until.min(maintenance.updated_at) } else { maintenance.until }
}

fn is_under_way(maintenance: &Maintenance, at: Timestamp) -> bool {
    maintenance.from <= at && at < end(maintenance)
}
