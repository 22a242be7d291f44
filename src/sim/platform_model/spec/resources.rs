//! What services use: caches, pools, stores, ClickHouse; and the memory of bystanders.

use serde::Deserialize;

use crate::config::{ByteCount, Span};
use crate::model::Text;
use crate::sim::scenario::ServiceTimeSpec;

/// A cache.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheSpec {
    /// Source of its signals, e.g. `cache/profiles`.
    pub source: Text,
    /// Share of lookups that hit, when it is warm.
    pub hit_ratio: f64,
    /// Lookups that warm it again after a loss: the ratio comes back as 1 − e^(−lookups / this).
    pub warming_lookups: f64,
}

/// A pool of sessions: reserved, in use, released.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolSpec {
    /// Source of its signals, e.g. `pool/sessions`.
    pub source: Text,
    /// Sessions; with all of them taken a request is answered 503.
    pub size: u32,
    /// Time from reservation to use.
    pub reserved_for: Span,
    /// Time in use.
    pub used_for: ServiceTimeSpec,
}

/// A key-value store (Redis): memory follows live keys, network and operations follow requests.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformStoreSpec {
    /// Source of its signals, e.g. `redis/main`.
    pub source: Text,
    /// The limit; writes above it are refused, and the request fails with 500.
    pub memory_limit: ByteCount,
    /// Without any keys of ours.
    pub memory_idle: ByteCount,
    /// Life of a key.
    pub ttl: Span,
    /// Keys that one request leaves, in bytes.
    #[serde(default)]
    pub bytes_per_request: u64,
    /// Operations of one request.
    #[serde(default)]
    pub operations_per_request: u64,
    /// Its network; absent: without end and without signals.
    pub network: Option<NetworkSpec>,
}

/// A network that drops what is above its ceiling; the requests concerned wait for a resend, or fail with 504.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// Bytes a second.
    pub bytes_per_second_max: f64,
    /// Bytes of one request, both ways.
    pub bytes_per_request: f64,
    /// Bytes a second that other programs send through it, by day and week as the load.
    #[serde(default)]
    pub background_bytes_per_second: f64,
}

/// Memory of something that is not otherwise in the model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaugeSpec {
    /// Source of its signals.
    pub source: Text,
    /// The limit.
    pub memory_limit: ByteCount,
    /// At the start, without load.
    pub memory_at_start: ByteCount,
    /// More at the load's average, and in proportion to it.
    #[serde(default)]
    pub with_load: Option<ByteCount>,
    /// Grows by this much a day.
    #[serde(default)]
    pub growth_per_day: Option<ByteCount>,
    /// Standard deviation of a reading.
    pub noise: ByteCount,
    /// At the limit it is killed and begins again without what has grown.
    #[serde(default)]
    pub restarts: bool,
}

/// A ClickHouse node.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClickHouseNodeSpec {
    /// Name in `node`; its signals are of `clickhouse/NAME`.
    pub name: Text,
    /// Above it ClickHouse refuses memory: whoever begins fails with code 241.
    pub memory_limit: ByteCount,
    /// Above it the kernel kills the node, and all that runs on it.
    pub machine_memory: ByteCount,
    /// Without queries.
    pub memory_idle: ByteCount,
    /// Back after this long.
    pub restart_duration: Span,
}

/// A query that some feature asks again and again.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuerySpec {
    /// Product feature or dashboard.
    pub origin: Text,
    /// SQL text; absent: only the fingerprint is logged.
    pub query: Option<Text>,
    /// Fingerprint; absent: only the text is logged.
    pub fingerprint: Option<Text>,
    /// ClickHouse user.
    pub user: Text,
    /// Version of what asks.
    pub version: Option<Text>,
    /// How often it is asked beside requests that wait for it.
    #[serde(default)]
    pub per_minute: f64,
    /// Median peak memory (log-normal, sigma 0.25).
    pub memory: ByteCount,
    /// Run time.
    pub run_time: ServiceTimeSpec,
    /// Rows read.
    pub read_rows: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Attempts in all when it fails, 5 s apart.
    #[serde(default = "one_attempt")]
    pub attempts: u32,
}

fn one_attempt() -> u32 {
    1
}
