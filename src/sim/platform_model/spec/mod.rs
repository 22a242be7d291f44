//! Scenario files of the platform model: what a platform, its customers and its troubles are like.

mod customers;
mod effects;
mod platform;
mod resources;

pub use customers::{GroupSpec, LoadSpec};
pub use effects::{EffectKind, EffectSpec};
pub use platform::{CallSpec, InternalRouteSpec, PlatformServiceSpec, ReplicaMemorySpec};
pub use resources::{CacheSpec, ClickHouseNodeSpec, GaugeSpec, NetworkSpec, PlatformStoreSpec, PoolSpec, QuerySpec};

use serde::Deserialize;

use crate::config::Span;
use crate::model::{Text, Timestamp};
use crate::sim::scenario::{AmplitudeSpec, ChangeSpec, TruthSpec, VersionSpec};

/// A scenario file with `model = "platform"`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformScenario {
    /// Always `platform`.
    pub model: PlatformModelName,
    /// Name on the command line; the file's stem for those built in.
    pub name: String,
    /// One line for `simulate --list`.
    pub title: String,
    /// Event time at which output begins.
    pub start: Timestamp,
    /// How much event time is written.
    pub duration: Span,
    /// Seed when the command line names none.
    pub seed: u64,
    /// How often gauges and counters are read.
    pub signals_interval: Span,
    /// Region of every request; absent by default.
    pub region: Option<Text>,
    /// What is true about it, for `floodmark evaluate`.
    pub truth: Option<TruthSpec>,
    /// Values that `--amplitude` changes.
    pub amplitude: Option<AmplitudeSpec>,
    /// Which optional fields the gateway logs.
    #[serde(default)]
    pub log: RecordSpec,
    /// Releases and deploys; they may lie before the start.
    #[serde(default)]
    pub changes: Vec<ChangeSpec>,
    /// How the load changes over day and week.
    #[serde(default)]
    pub load: LoadSpec,
    /// Client programs and their versions.
    #[serde(default)]
    pub versions: Vec<VersionSpec>,
    /// Customers that behave alike.
    #[serde(default)]
    pub groups: Vec<GroupSpec>,
    /// Services, callers before the services they call.
    #[serde(default)]
    pub services: Vec<PlatformServiceSpec>,
    /// Operations, of customers and of services; callers before what they call.
    #[serde(default)]
    pub routes: Vec<InternalRouteSpec>,
    /// Caches between a caller and a route.
    #[serde(default)]
    pub caches: Vec<CacheSpec>,
    /// Pools of sessions.
    #[serde(default)]
    pub pools: Vec<PoolSpec>,
    /// Key-value stores (Redis).
    #[serde(default)]
    pub stores: Vec<PlatformStoreSpec>,
    /// Memory of processes beside the platform.
    #[serde(default)]
    pub gauges: Vec<GaugeSpec>,
    /// ClickHouse nodes.
    #[serde(default)]
    pub nodes: Vec<ClickHouseNodeSpec>,
    /// Queries that run on them.
    #[serde(default)]
    pub queries: Vec<QuerySpec>,
    /// What happens, and when.
    #[serde(default)]
    pub effects: Vec<EffectSpec>,
    /// Records that come late, or not at all.
    #[serde(default)]
    pub disturbances: Vec<DisturbanceSpec>,
}

/// The discriminator of scenario files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlatformModelName {
    /// This model.
    Platform,
}

/// Which optional fields are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordSpec {
    /// `client` and `client_version`.
    pub client: bool,
    /// `attempt`, from 1.
    pub attempt: bool,
    /// `request_key`, the same for all attempts of one logical request.
    pub request_key: bool,
    /// `request_id`.
    pub request_id: bool,
    /// Request and response bytes.
    pub bytes: bool,
}

impl Default for RecordSpec {
    fn default() -> Self {
        Self { client: true, attempt: true, request_key: true, request_id: false, bytes: true }
    }
}

/// Which records a disturbance touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disturbed {
    /// Requests.
    Requests,
    /// Signals.
    Signals,
    /// Queries.
    Queries,
    /// All of them.
    All,
}

/// Records that come late, or not at all.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisturbanceSpec {
    /// Which records.
    pub what: Disturbed,
    /// First moment, after the start.
    pub at: Span,
    /// How long.
    pub lasts: Span,
    /// Share of them.
    pub share: f64,
    /// They come this much later; absent: never.
    pub delay: Option<Span>,
}
