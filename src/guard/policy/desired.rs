//! The state of a server in which a policy holds: what `compile` makes and `plan` compares with.

use std::collections::{BTreeMap, BTreeSet};

use super::check::Hole;
use super::setting::Setting;
use crate::config::Secret;

/// Names of the guard's own objects begin like this; all others are somebody else's and are never touched.
pub const PREFIX: &str = "floodmark_guard_";
/// The root of the guard's workloads.
pub const ROOT_WORKLOAD: &str = "floodmark_guard";
/// Parent of the workloads of all classes that read.
pub const READS_WORKLOAD: &str = "floodmark_guard_reads";
/// The workload of queries that name none.
pub const DEFAULT_WORKLOAD: &str = "default";
/// The resource whose units are slots of queries.
pub const SLOTS_RESOURCE: &str = "floodmark_guard_query";

/// What a policy is compiled for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerFacts {
    /// Memory limit S of the server in bytes.
    pub memory_bytes_max: u64,
    /// Cores of the server.
    pub cores: u32,
    /// Names of the settings that it knows. Absent: not asked, all are taken to be known.
    pub settings: Option<BTreeSet<String>>,
    /// A root workload that is not the guard's: the guard's hang below it, because there can be only one root.
    pub foreign_root: Option<String>,
    /// Whether there is a workload `default` that is not the guard's.
    pub foreign_default: bool,
    /// Whether there is a resource of query slots that is not the guard's: there can be only one.
    pub foreign_slots: bool,
}

/// What there should be.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Desired {
    /// Settings by profile.
    pub profiles: BTreeMap<String, BTreeMap<String, Setting>>,
    /// Grants by role, like `SELECT ON shop.*`.
    pub roles: BTreeMap<String, BTreeSet<String>>,
    /// Quotas by name.
    pub quotas: BTreeMap<String, Quota>,
    /// Workloads, each after its parent.
    pub workloads: Vec<Workload>,
    /// Whether the resource of slots is the guard's.
    pub slots: bool,
    /// Users by name.
    pub users: BTreeMap<String, User>,
    /// Allowed, and worth a thought.
    pub warnings: Vec<Hole>,
}

/// What a user may ask for in an hour, counted by user: whoever asks cannot choose whose budget is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// The role whose users it holds.
    pub role: String,
    /// The user, for engines that know quotas by user only.
    pub user: String,
    /// Queries in an hour.
    pub queries_max: Option<u64>,
    /// Bytes read in an hour.
    pub read_bytes_max: Option<u64>,
}

/// A workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// Its parent; absent: the root.
    pub parent: Option<String>,
    /// Settings, like `max_concurrent_queries`.
    pub settings: BTreeMap<&'static str, u64>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its role, with all its grants.
    pub role: String,
    /// Its settings profile.
    pub profile: String,
    /// Its quota.
    pub quota: Option<String>,
    /// Its password.
    pub password: Secret,
}
