//! What all connections of the proxy share.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::access::Accesses;
use super::collapse::Collapse;
use super::credentials::Tenants;
use super::estimates::Estimates;
use super::gatekeeper::Gatekeeper;
use super::late_ends::LateEnds;
use super::leavers::Leavers;
use super::upstream::Upstream;
use super::watching::Snapshots;
use crate::guard::gate::{DEFAULT_CLASS, WRITING_CLASS};
use crate::guard::policy::GuardPolicy;
use crate::guard::sql;
use crate::metrics::Metrics;
use crate::store::ClickHouse;

/// How often the server's workloads are looked up.
const WORKLOADS_INTERVAL: Duration = Duration::from_secs(60);
/// The class's name follows it in the name of its workload, as `guard apply` makes them.
const WORKLOAD_PREFIX: &str = "floodmark_guard_";

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) upstream: Upstream,
    pub(super) tenants: Tenants,
    pub(super) gatekeeper: Arc<Gatekeeper>,
    /// Where what the gate knows is written down.
    pub(super) snapshots: Arc<Snapshots>,
    pub(super) accesses: Accesses,
    pub(super) estimates: Arc<Estimates>,
    pub(super) collapse: Arc<Collapse>,
    pub(super) leavers: Arc<Leavers>,
    pub(super) late_ends: Arc<LateEnds>,
    pub(super) metrics: Arc<Metrics>,
    /// Whether queries are refused for what they are.
    pub(super) enforces: bool,
    /// Whether identical queries share answers.
    pub(super) collapses: bool,
    /// Who may take a long text apart.
    pub(super) long_texts: Arc<Semaphore>,
    pub(super) policy: GuardPolicy,
    /// Workloads that the server has.
    pub(super) workloads: RwLock<BTreeSet<String>>,
}

#[derive(Debug, Deserialize)]
struct WorkloadRow {
    name: String,
}

impl Shared {
    /// Class of a tenant's query.
    fn class(&self, tenant: &str, writes: bool) -> &str {
        match self.policy.tenants.get(tenant) {
            Some(tenant) => &tenant.class,
            None if writes => WRITING_CLASS,
            None => DEFAULT_CLASS,
        }
    }

    /// The workload of a tenant's query, when the server has it: a name that it does not know runs unscheduled or fails.
    pub(super) fn workload(&self, tenant: &str, writes: bool) -> Option<String> {
        let name = format!("{WORKLOAD_PREFIX}{}", self.class(tenant, writes));
        self.workloads.read().unwrap_or_else(PoisonError::into_inner).contains(&name).then_some(name)
    }

    /// Keeps the names of the workloads up to date, until it is told to stop.
    pub(super) async fn watch_workloads(&self, client: ClickHouse, stop: CancellationToken) {
        let mut interval = tokio::time::interval(WORKLOADS_INTERVAL);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = interval.tick() => {}
            }
            match client.fetch::<WorkloadRow>(sql::WORKLOADS, &[]).await {
                Ok(rows) => {
                    let names = rows.into_iter().map(|row| row.name).collect();
                    *self.workloads.write().unwrap_or_else(PoisonError::into_inner) = names;
                }
                // Those known so far still count; a server without them has none.
                Err(error) => tracing::debug!(code = error.code(), %error, "cannot look up workloads"),
            }
        }
    }
}
