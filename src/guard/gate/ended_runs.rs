//! Runs that ended a moment ago: the watchdog says that it killed one after ClickHouse has told the proxy so.

use std::collections::VecDeque;

use super::QueryNumber;
use super::breaker::BreakerKey;
use super::learned::ScanSize;
use crate::model::Timestamp;

/// Ended runs that are remembered; the oldest is forgotten.
const ENDED_RUNS_MAX: usize = 1_000;
/// For how long, in milliseconds: a look, its kills and their audit lines are through by then.
const ENDED_RUN_MS: i64 = 10_000;

/// A run that has ended.
#[derive(Debug, Clone)]
pub(super) struct EndedRun {
    pub(super) number: QueryNumber,
    pub(super) query_id: String,
    pub(super) keys: [BreakerKey; 2],
    pub(super) scan: ScanSize,
    pub(super) is_probe: bool,
    /// It is charged already.
    pub(super) is_charged: bool,
    pub(super) at: Timestamp,
}

/// The latest of them.
#[derive(Debug, Clone, Default)]
pub(super) struct EndedRuns(VecDeque<EndedRun>);

impl EndedRuns {
    pub(super) fn add(&mut self, run: EndedRun) {
        while self.0.len() >= ENDED_RUNS_MAX || self.0.front().is_some_and(|old| run.at.since(old.at) > ENDED_RUN_MS) {
            self.0.pop_front();
        }
        self.0.push_back(run);
    }

    /// Takes out the latest run of this id and fingerprint.
    pub(super) fn take(&mut self, fingerprint: &str, query_id: &str, at: Timestamp) -> Option<EndedRun> {
        let is_it = |run: &EndedRun| {
            run.query_id == query_id && run.keys[0].fingerprint == fingerprint && at.since(run.at) <= ENDED_RUN_MS
        };
        let place = self.0.iter().rposition(is_it)?;
        self.0.remove(place)
    }
}
