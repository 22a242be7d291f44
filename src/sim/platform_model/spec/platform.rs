//! Services, their replicas, and routes with the calls these make.

use serde::Deserialize;

use crate::config::{ByteCount, Span};
use crate::model::Text;
use crate::sim::scenario::ServiceTimeSpec;

/// A service: replicas that share the load evenly, and one queue.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformServiceSpec {
    /// Name in `service` and `caller`.
    pub name: Text,
    /// Units of work all replicas together do in a second; a request of a route is `work` of them.
    pub capacity_per_second: f64,
    /// Work that may wait, as the time it takes at full capacity; who finds more is refused with 503.
    pub queue_max: Span,
    /// A caller waits this long, then counts the request as failed with 504. The work is done all the same.
    pub timeout: Span,
    /// Share of requests that fail with 500 for no reason a caller could name.
    #[serde(default)]
    pub background_failure_share: f64,
    /// Replicas; their signals are `container/NAME-1` …, if there is `memory`.
    #[serde(default = "replicas_usual")]
    pub replicas: u32,
    /// What a replica's memory follows; absent: no signals.
    pub memory: Option<ReplicaMemorySpec>,
}

fn replicas_usual() -> u32 {
    2
}

/// Memory of one replica; above the limit it is killed, and its share of the capacity is gone until it is back.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaMemorySpec {
    /// The limit.
    pub limit: ByteCount,
    /// After a start, without load.
    pub idle: ByteCount,
    /// For each request under way.
    pub per_request: ByteCount,
    /// Back after this long.
    pub restart_duration: Span,
}

/// An operation of a service.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InternalRouteSpec {
    /// Route template or operation name.
    pub name: Text,
    /// HTTP method.
    #[serde(default = "get")]
    pub method: Text,
    /// Service that answers.
    pub service: Text,
    /// Time to work on one, without waiting and without what it calls.
    pub service_time: ServiceTimeSpec,
    /// Units of work.
    #[serde(default = "one")]
    pub work: f64,
    /// Body bytes received.
    #[serde(default)]
    pub request_bytes: u64,
    /// Median body bytes sent on success.
    #[serde(default)]
    pub response_bytes: u64,
    /// Whether a client's `persistent_failure_share` applies here.
    #[serde(default)]
    pub persistent_failures: bool,
    /// What it calls for each request, one after the other.
    #[serde(default)]
    pub calls: Vec<CallSpec>,
    /// Pool that it takes a session of.
    pub pool: Option<Text>,
    /// Store that it writes to.
    pub store: Option<Text>,
    /// Query it waits for, by its `origin`.
    pub query: Option<Text>,
}

fn get() -> Text {
    Text::const_new("GET")
}

fn one() -> f64 {
    1.0
}

/// A call of a service by another.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallSpec {
    /// Route called; it must stand further down in the file, so that calls end.
    pub route: Text,
    /// Times for each request, on average.
    pub times: f64,
    /// Cache that is asked first.
    pub cache: Option<Text>,
    /// Attempts in all when one fails, at once, one after the other.
    #[serde(default = "one_attempt")]
    pub attempts: u32,
    /// Distinct things that are asked for; `request_key` says which. 0: calls carry no key.
    #[serde(default)]
    pub keys: u32,
}

fn one_attempt() -> u32 {
    1
}
