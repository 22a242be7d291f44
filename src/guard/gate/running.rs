//! The queries that run: who they are, and what they were let in with.

use std::collections::BTreeMap;

use super::breaker::BreakerKey;
use super::caps::{Caps, Rung};
use super::learned::{ScanSize, Taken, scan_size};
use super::offence::Offence;
use super::{Ask, Ended, QueryNumber};
use crate::model::Timestamp;

/// A query whose asker has gone holds its slot until ClickHouse says that it ended, but not longer than this: ClickHouse
/// does not hear at once, and a storm of repeats must not run beside what it left behind.
const LEAVING_MS_MAX: i64 = 10_000;

/// A query that runs.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) tenant: String,
    pub(super) class: String,
    pub(super) fingerprint: String,
    /// ClickHouse's id of the run; empty: not known.
    pub(super) query_id: String,
    pub(super) writes: bool,
    pub(super) scan: ScanSize,
    pub(super) started: Timestamp,
    pub(super) expected_bytes: u64,
    pub(super) rung: Rung,
    pub(super) caps: Caps,
    /// Whether `caps` are less than its class's: then dying of them is not its fault.
    pub(super) is_reduced: bool,
    pub(super) is_probe: bool,
    /// The watchdog has killed it, and charged it.
    pub(super) is_killed: bool,
    /// Its asker has gone.
    pub(super) left: Option<Timestamp>,
}

impl Running {
    /// Keys of its breakers: in its class, and in all.
    pub(super) fn keys(&self) -> [BreakerKey; 2] {
        breaker_keys(&self.class, &self.fingerprint)
    }

    /// What its run says about queries like it. One that died of a cap took at least that.
    pub(super) fn taken(&self, ended: &Ended, offence: Option<Offence>, threads: Option<u32>) -> Taken {
        let at_least = |value: Option<u64>, cap: Option<u64>, what: Offence| match cap {
            Some(cap) if offence == Some(what) => Some(value.unwrap_or(0).max(cap)),
            _ => value,
        };
        let memory_bytes = at_least(ended.memory_bytes, self.caps.memory_bytes, Offence::Memory);
        Taken {
            memory_bytes: memory_bytes.map(|bytes| self.rung.memory_bytes_full(bytes, threads)),
            read_rows: ended.read_rows,
            read_bytes: at_least(ended.read_bytes, self.caps.read_bytes, Offence::Bytes),
            duration_ms: ended.duration_ms,
        }
    }
}

/// Keys of the breakers of a fingerprint: in its class, and in all.
pub(super) fn breaker_keys(class: &str, fingerprint: &str) -> [BreakerKey; 2] {
    [Some(class.to_owned()), None].map(|class| BreakerKey { fingerprint: fingerprint.to_owned(), class })
}

/// The size of an ask's scan. What `EXPLAIN ESTIMATE` says of a LIMIT is not what will be read.
pub(super) fn scan_of(ask: &Ask) -> ScanSize {
    scan_size(ask.estimated_rows.filter(|_| !ask.limit_trap))
}

/// All that run. Bounded by the slots.
#[derive(Debug, Clone, Default)]
pub(super) struct RunningQueries(BTreeMap<QueryNumber, Running>);

impl RunningQueries {
    pub(super) fn insert(&mut self, number: QueryNumber, running: Running) {
        self.0.insert(number, running);
    }

    pub(super) fn remove(&mut self, number: QueryNumber) -> Option<Running> {
        self.0.remove(&number)
    }

    pub(super) fn contains(&self, number: QueryNumber) -> bool {
        self.0.contains_key(&number)
    }

    pub(super) fn get(&self, number: QueryNumber) -> Option<&Running> {
        self.0.get(&number)
    }

    pub(super) fn reads(&self) -> u32 {
        self.0.values().filter(|running| !running.writes).count() as u32
    }

    pub(super) fn total(&self) -> u32 {
        self.0.len() as u32
    }

    /// What they are expected to take in the end, together.
    pub(super) fn expected_bytes(&self) -> u64 {
        self.0.values().fold(0, |sum, running| sum.saturating_add(running.expected_bytes))
    }

    /// The asker has gone.
    pub(super) fn leave(&mut self, number: QueryNumber, at: Timestamp) {
        if let Some(running) = self.0.get_mut(&number) {
            running.left.get_or_insert(at);
        }
    }

    /// The run of this id and fingerprint that is not known to be killed, marked as killed; where ids are not known, the
    /// heaviest of the fingerprint.
    pub(super) fn kill(&mut self, fingerprint: &str, query_id: &str) -> Option<(QueryNumber, &Running)> {
        let is_it = |r: &Running| {
            let is_named = r.query_id == query_id || r.query_id.is_empty() || query_id.is_empty();
            r.fingerprint == fingerprint && is_named && !r.is_killed && !r.writes
        };
        let of = self.0.iter_mut().filter(|(_, r)| is_it(r));
        let (number, running) = of.max_by_key(|(number, running)| (running.expected_bytes, **number))?;
        running.is_killed = true;
        Some((*number, running))
    }

    /// Those whose askers went too long ago.
    pub(super) fn left_behind(&self, at: Timestamp) -> Vec<QueryNumber> {
        let is_behind = |left: Timestamp| at.since(left) >= LEAVING_MS_MAX;
        self.0.iter().filter(|(_, running)| running.left.is_some_and(is_behind)).map(|(number, _)| *number).collect()
    }

    /// When the next one will have been left behind.
    pub(super) fn next_left_behind(&self) -> Option<Timestamp> {
        self.0.values().filter_map(|running| running.left).min().map(|left| left.plus(LEAVING_MS_MAX))
    }
}
