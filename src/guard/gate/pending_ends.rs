//! Runs that have ended and of which more is to be told: of a long answer nobody knows what it took when it is over, nor,
//! when it broke off encoded, why. They are judged when that is told, or else by what was known.

use std::collections::VecDeque;

use super::running::Running;
use super::{Ended, QueryNumber};
use crate::model::Timestamp;

/// Runs that wait to be told of; the oldest is judged by what was known.
const PENDING_MAX: usize = 1_000;
/// For how long they wait, in milliseconds: ClickHouse writes its query log every 7.5 s.
const PENDING_MS: i64 = 60_000;

/// A run, and what is known of its end.
#[derive(Debug, Clone)]
pub(super) struct PendingEnd {
    pub(super) number: QueryNumber,
    pub(super) run: Running,
    pub(super) ended: Ended,
    at: Timestamp,
}

/// Those that wait, the oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct PendingEnds(VecDeque<PendingEnd>);

impl PendingEnds {
    /// One more waits; the one that has to make room for it.
    pub(super) fn add(&mut self, number: QueryNumber, run: Running, ended: Ended, at: Timestamp) -> Option<PendingEnd> {
        self.0.push_back(PendingEnd { number, run, ended, at });
        (self.0.len() > PENDING_MAX).then(|| self.0.pop_front()).flatten()
    }

    /// Takes out the one that is told of.
    pub(super) fn take(&mut self, number: QueryNumber) -> Option<PendingEnd> {
        let place = self.0.iter().position(|end| end.number == number)?;
        self.0.remove(place)
    }

    /// Takes out those of which nothing was told in time.
    pub(super) fn overdue(&mut self, at: Timestamp) -> Vec<PendingEnd> {
        let fresh = self.0.iter().position(|end| at.since(end.at) < PENDING_MS).unwrap_or(self.0.len());
        self.0.drain(..fresh).collect()
    }

    /// The watchdog has killed it, and charged it.
    pub(super) fn kill(&mut self, number: QueryNumber) {
        self.0.iter_mut().filter(|end| end.number == number).for_each(|end| end.run.is_killed = true);
    }

    pub(super) fn get(&self, number: QueryNumber) -> Option<&Running> {
        self.0.iter().find(|end| end.number == number).map(|end| &end.run)
    }
}
