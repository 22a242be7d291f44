//! What a restart of the proxy must not forget: blocks, breakers, offences, safe mode, what was learned. Queries that run
//! or wait are not in it: their connections end with the proxy.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::admission::Admission;
use super::blocks::Blocks;
use super::breaker::{Breaker, BreakerKey, Breakers};
use super::learned::{Learned, LearnedSnapshot, ScanSize};
use super::safe_mode::SafeMode;
use crate::guard::policy::GuardPolicy;
use crate::model::Timestamp;

/// The gate's memory, as one document. Its fields are the gate's own; unknown ones are ignored, absent ones are empty.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GateSnapshot {
    blocks: Blocks,
    breakers: Vec<(BreakerKey, Breaker)>,
    offenders: Vec<(BreakerKey, VecDeque<(Timestamp, ScanSize)>)>,
    safe_mode: SafeMode,
    learned: LearnedSnapshot,
}

impl Admission {
    pub(super) fn snapshot(&self) -> GateSnapshot {
        GateSnapshot {
            blocks: self.blocks.clone(),
            breakers: self.breakers.snapshot(),
            offenders: self.breakers.snapshot_offenders(),
            safe_mode: self.safe_mode,
            learned: self.learned.snapshot(),
        }
    }

    pub(super) fn restore(policy: GuardPolicy, limit_bytes: u64, snapshot: GateSnapshot) -> Self {
        let breakers = Breakers::restore(policy.breaker.clone(), snapshot.breakers, snapshot.offenders);
        Self {
            breakers,
            blocks: snapshot.blocks,
            safe_mode: snapshot.safe_mode,
            learned: Learned::restore(snapshot.learned),
            ..Self::new(policy, limit_bytes)
        }
    }
}
