//! A look at the guard: what runs and waits, what the gate says, what the black box holds.

use std::sync::Arc;

use super::admin::StatusQuery;
use super::gatekeeper::Present;
use super::shared::Shared;
use crate::guard::black_box::{Postmortem, is_written, postmortem, read_entries};
use crate::guard::gate::GateStatus;

/// Most queries that a look names.
const QUERIES_MAX: usize = 100;

/// What there is to see.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardLook {
    /// Queries that run.
    pub running: usize,
    /// Queries that wait.
    pub waiting: usize,
    /// The oldest of them.
    pub queries: Vec<StatusQuery>,
    /// The gate.
    pub gate: GateStatus,
}

/// Looks at a guard of this process. Cheap to clone; changes nothing.
#[derive(Debug, Clone)]
pub struct GuardView(Arc<Shared>);

impl GuardView {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// How it is now.
    #[must_use]
    pub fn look(&self) -> GuardLook {
        let now = self.0.gatekeeper.now();
        let present = self.0.gatekeeper.present();
        let running = present.iter().filter(|(_, one)| one.runs).count();
        let query = |(number, one): &(u64, Present)| StatusQuery {
            number: *number,
            tenant: one.tenant.clone(),
            fingerprint: one.fingerprint.clone(),
            runs: one.runs,
            since_ms: now.as_millis() - one.since.as_millis(),
        };
        let queries = present.iter().take(QUERIES_MAX).map(query).collect();
        GuardLook { running, waiting: present.len() - running, queries, gate: self.0.gatekeeper.status() }
    }

    /// What the black box says of the latest crash; absent: it knows of none.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn last_crash(&self) -> Result<Option<Postmortem>, String> {
        let directory = self.0.policy.black_box.directory.clone();
        let share_min = self.0.policy.safe_mode.suspect_memory_share_min;
        // Files of some megabytes.
        let read = tokio::task::spawn_blocking(move || {
            let (entries, _) = read_entries(&directory).map_err(|error| error.to_string())?;
            Ok(postmortem(&entries, None, share_min, is_written(&directory)))
        });
        read.await.map_err(|error| error.to_string())?
    }
}
