//! What operators see of the gate.

use std::collections::BTreeMap;

use serde::Serialize;

use super::admission::Admission;
use super::blocks::Block;
use super::breaker::BreakerCause;
use super::safe_mode::SafeModeLevel;
use super::{Offence, RefusalReason};
use crate::model::Timestamp;

/// What has happened since the start.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Queries that asked.
    pub asks: u64,
    /// Queries that were let in, on paper in shadow mode.
    pub admitted: u64,
    /// Of these, after a wait.
    pub waited: u64,
    /// Of these, with fewer threads or bytes than their class has.
    pub reduced: u64,
    /// Refusals by reason; in shadow mode those that would have been.
    pub refused: BTreeMap<RefusalReason, u64>,
    /// Offences that were charged, by kind.
    pub offences: BTreeMap<Offence, u64>,
    /// Failures that were nobody's fault, or others'.
    pub failures_not_charged: u64,
    /// In shadow mode: queries that succeeded and would have failed at their caps.
    pub would_be_capped: u64,
}

impl Counts {
    pub(super) fn refused(&mut self, reason: RefusalReason) {
        *self.refused.entry(reason).or_default() += 1;
    }

    pub(super) fn offence(&mut self, what: Offence) {
        *self.offences.entry(what).or_default() += 1;
    }

    /// Share of the asks that were refused, or would have been: on ordinary traffic, the false refusals.
    #[must_use]
    pub fn refused_share(&self) -> f64 {
        let refused: u64 = self.refused.values().sum();
        if self.asks == 0 { 0.0 } else { refused as f64 / self.asks as f64 }
    }
}

/// A class.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ClassStatus {
    /// Queries that may run at once, now.
    pub slots: u32,
    /// Queries that run.
    pub running: u32,
    /// Queries that wait.
    pub waiting: usize,
    /// The same by tenant.
    pub tenants: BTreeMap<String, TenantStatus>,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TenantStatus {
    /// Queries that run.
    pub running: u32,
    /// Queries that wait.
    pub waiting: usize,
}

/// A breaker that is not closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BreakerStatus {
    /// Fingerprint that it refuses.
    pub fingerprint: String,
    /// In which class; absent: in all.
    pub class: Option<String>,
    /// Why.
    pub cause: BreakerCause,
    /// Since when.
    pub since: Timestamp,
    /// Until when; then one query at a time is tried.
    pub until: Timestamp,
    /// Times that it opened in a row.
    pub times: u32,
    /// Scans of fewer rows pass. 0: none.
    pub rows_min: u64,
}

/// A fingerprint that an operator has blocked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlockStatus {
    /// The fingerprint.
    pub fingerprint: String,
    /// When, until when, who and why.
    #[serde(flatten)]
    pub block: Block,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MemoryStatus {
    /// The server's limit S.
    pub limit_bytes: u64,
    /// In use when last heard.
    pub used_bytes: u64,
    /// In use, or expected to be by what runs.
    pub committed_bytes: u64,
    /// Left for further reads.
    pub free_bytes: u64,
}

/// The gate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GateStatus {
    /// Whether it refuses; not: it says what it would refuse, and classes are on paper.
    pub enforce: bool,
    /// How much is let in.
    pub safe_mode: SafeModeLevel,
    /// Memory of the server.
    pub memory: MemoryStatus,
    /// Classes by name.
    pub classes: BTreeMap<String, ClassStatus>,
    /// Writes that run.
    pub writes_running: u32,
    /// Writes that wait.
    pub writes_waiting: usize,
    /// Breakers that are not closed.
    pub breakers: Vec<BreakerStatus>,
    /// What operators have blocked.
    pub blocks: Vec<BlockStatus>,
    /// Fingerprints of which it is known what they take.
    pub fingerprints_learned: usize,
    /// Entries of bounded maps that were forgotten to make room: what was learned, breakers, offenders.
    pub forgotten: u64,
    /// What has happened since the start.
    pub counts: Counts,
    /// Share of the asks that were refused, or would have been.
    pub refused_share: f64,
}

impl Admission {
    /// As operators see it.
    pub(super) fn status(&self, enforce: bool, at: Timestamp) -> GateStatus {
        let room = self.room();
        let (fingerprints_learned, forgotten) = self.learned.sizes();
        GateStatus {
            enforce,
            safe_mode: self.safe_mode.level(at),
            memory: MemoryStatus {
                limit_bytes: self.memory.limit_bytes,
                used_bytes: self.memory.used_bytes,
                committed_bytes: room.committed_bytes,
                free_bytes: room.free_bytes(),
            },
            classes: self.queues.keys().map(|name| (name.clone(), self.class_status(name, at))).collect(),
            writes_running: self.running.total() - self.running.reads(),
            writes_waiting: self.writes.len(),
            breakers: self.breaker_statuses(),
            blocks: self
                .blocks
                .iter(at)
                .map(|(fingerprint, block)| BlockStatus { fingerprint: fingerprint.clone(), block: block.clone() })
                .collect(),
            fingerprints_learned,
            forgotten: forgotten + self.breakers.forgotten(),
            counts: self.counts.clone(),
            refused_share: self.counts.refused_share(),
        }
    }

    fn class_status(&self, name: &str, at: Timestamp) -> ClassStatus {
        let slots = self.class(name).map_or(0, |class| self.class_slots(class, at));
        let Some(queue) = self.queues.get(name) else { return ClassStatus { slots, ..ClassStatus::default() } };
        let tenants = queue.lanes().filter(|(_, running, waiting)| *running > 0 || *waiting > 0);
        ClassStatus {
            slots,
            running: queue.running_count(),
            waiting: queue.waiting_count(),
            tenants: tenants
                .map(|(name, running, waiting)| (name.clone(), TenantStatus { running, waiting }))
                .collect(),
        }
    }

    fn breaker_statuses(&self) -> Vec<BreakerStatus> {
        let status = |(key, breaker): (&super::breaker::BreakerKey, &super::breaker::Breaker)| BreakerStatus {
            fingerprint: key.fingerprint.clone(),
            class: key.class.clone(),
            cause: breaker.cause,
            since: breaker.opened_at,
            until: breaker.until,
            times: breaker.times,
            // Size n holds from 2^(n-1) rows on.
            rows_min: match breaker.scan_min {
                0 => 0,
                size => 1_u64.checked_shl(u32::from(size) - 1).unwrap_or(u64::MAX),
            },
        };
        let mut statuses: Vec<BreakerStatus> = self.breakers.iter().map(status).collect();
        statuses.sort_by(|a, b| (&a.fingerprint, &a.class).cmp(&(&b.fingerprint, &b.class)));
        statuses
    }
}
