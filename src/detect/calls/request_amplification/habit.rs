//! What a caller that serves nothing is known to do when it works: its busiest minutes of the last day.

use crate::model::{DurationMs, Timestamp};

/// Two halves are remembered: a habit is known for 13 to 26 hours, so that yesterday's run at this hour counts.
const HALF_MS: DurationMs = 46_800_000;

/// The busiest minutes, in calls a millisecond.
#[derive(Debug, Clone, Default)]
pub struct Habit {
    young: f64,
    old: f64,
    young_since: Option<Timestamp>,
    /// Of the episode that is going on, or was and is not yet learnt.
    episode: f64,
    harmful: bool,
}

impl Habit {
    /// What it is known for.
    pub fn calls_per_ms(&self) -> f64 {
        self.young.max(self.old)
    }

    /// A minute that has turned out to be normal.
    pub fn learn(&mut self, at: Timestamp, calls_per_ms: f64) {
        let since = *self.young_since.get_or_insert(at);
        if at.since(since) >= HALF_MS {
            self.old = std::mem::take(&mut self.young);
            self.young_since = Some(at);
        }
        self.young = self.young.max(calls_per_ms);
    }

    /// A minute that may be abnormal.
    pub fn doubted(&mut self, calls_per_ms: f64) {
        self.episode = self.episode.max(calls_per_ms);
    }

    /// What goes on does harm.
    pub fn harms(&mut self) {
        self.harmful = true;
    }

    /// It ended by itself. If nothing suffered from it, it was planned work, and may come again.
    pub fn over(&mut self, at: Timestamp) {
        let (episode, harmful) = (std::mem::take(&mut self.episode), std::mem::take(&mut self.harmful));
        if !harmful {
            self.learn(at, episode);
        }
    }
}
