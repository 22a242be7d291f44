//! The platform's side of a scenario: services, routes, the store, agents, a rate limit.

use serde::Deserialize;

use crate::config::{ByteCount, Span};
use crate::model::Text;

/// A service behind the gateway: containers with workers and a bounded queue each.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSpec {
    /// Name in `service`; containers are `NAME-1`, `NAME-2` ….
    pub name: Text,
    /// How many containers share the load in turn.
    pub containers: u32,
    /// Requests one container works on at a time.
    pub workers: u32,
    /// Requests that may wait in one container; the next one is refused.
    pub queue_max: u32,
    /// How long the gateway tries to hand a refused request over before it answers 503.
    pub connect_timeout: Span,
    /// The gateway waits this long, then answers `timeout_status`. The container is not told and still does the work.
    pub timeout: Span,
    /// 503 or 504.
    pub timeout_status: u16,
    /// Share of attempts that fail with 500 for no reason the customer could name.
    pub background_failure_share: f64,
    /// A killed container is back after this long.
    pub restart_duration: Span,
    /// What its memory follows.
    pub memory: ContainerMemorySpec,
}

/// Memory of one container; above the limit the kernel kills it.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerMemorySpec {
    /// The limit.
    pub limit: ByteCount,
    /// After a start, without load.
    pub idle: ByteCount,
    /// For each request that waits or is worked on, abandoned ones too.
    pub per_request: ByteCount,
    /// For each connection; every attempt that reaches the container opens one, refused or not.
    pub per_connection: ByteCount,
    /// A connection's life.
    pub connection_life: Span,
}

/// Log-normal time to work on a request, without waiting.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceTimeSpec {
    /// Half are faster.
    pub median: Span,
    /// Standard deviation of the logarithm.
    pub sigma: f64,
}

/// An operation customers call.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSpec {
    /// Route template or operation name.
    pub name: Text,
    /// HTTP method.
    pub method: Text,
    /// Service that answers.
    pub service: Text,
    /// Time to work on one.
    pub service_time: ServiceTimeSpec,
    /// Body bytes received.
    pub request_bytes: u64,
    /// Median body bytes sent on success.
    pub response_bytes: u64,
    /// Keys that one attempt leaves in the store, in bytes; live for the store's `ttl`.
    #[serde(default)]
    pub store_bytes: u64,
    /// Operations of one attempt on the store.
    #[serde(default)]
    pub store_operations: u64,
    /// Whether a client's `persistent_failure_share` applies here.
    #[serde(default)]
    pub persistent_failures: bool,
}

/// A key-value store with expiring keys. When it is full it refuses writes, and the attempt fails with 500.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSpec {
    /// Source of its signals, e.g. `redis/main`.
    pub source: Text,
    /// The limit.
    pub memory_limit: ByteCount,
    /// Without any keys of ours.
    pub memory_idle: ByteCount,
    /// Life of a key.
    pub ttl: Span,
}

/// A process that leaks at its own pace, whatever the load.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentSpec {
    /// Source of its signals, e.g. `container/monitoring-agent`.
    pub source: Text,
    /// The limit.
    pub memory_limit: ByteCount,
    /// At the scenario's start.
    pub memory_at_start: ByteCount,
    /// Grows by this much an hour.
    pub leak_per_hour: ByteCount,
    /// Standard deviation of a reading around the trend.
    pub noise: ByteCount,
}

/// A limit at the gateway, by subscription and minute; what is above is answered 429.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimitSpec {
    /// In force from this long after the start.
    pub from: Span,
    /// Requests a subscription may make in a minute over these routes together.
    pub requests_per_minute: u32,
    /// Routes it counts.
    pub routes: Vec<Text>,
}
