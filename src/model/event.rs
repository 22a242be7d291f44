//! Input events: what the contract calls `request`, `signal`, `change` and `query`.

use serde::{Deserialize, Serialize};

use super::{AttemptSource, Attributes, Text, Timestamp};

/// One input event. `Watermark` is a producer's promise, not a record: it is neither stored nor counted as data.
#[derive(Debug, Clone, PartialEq)]
// Requests are far over 99 % of all events: boxing them would cost an allocation each to save nothing.
#[allow(clippy::large_enum_variant)]
pub enum Event {
    /// A request that an API answered.
    Request(Request),
    /// A gauge or counter reading.
    Signal(Signal),
    /// A release, deploy, configuration or flag change.
    Change(Change),
    /// A finished or running ClickHouse query.
    Query(Box<QueryRun>),
    /// No record of this partition before this moment will follow.
    Watermark(Timestamp),
}

/// The kinds of record, as the contract's `"type"` spells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// [`Event::Request`]
    Request,
    /// [`Event::Signal`]
    Signal,
    /// [`Event::Change`]
    Change,
    /// [`Event::Query`]
    Query,
    /// [`Event::Watermark`]
    Watermark,
}

impl Event {
    /// Event time.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        match self {
            Self::Request(request) => request.timestamp,
            Self::Signal(signal) => signal.timestamp,
            Self::Change(change) => change.timestamp,
            Self::Query(query) => query.timestamp,
            Self::Watermark(timestamp) => *timestamp,
        }
    }

    /// Which kind of record this is.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Request(_) => EventKind::Request,
            Self::Signal(_) => EventKind::Signal,
            Self::Change(_) => EventKind::Change,
            Self::Query(_) => EventKind::Query,
            Self::Watermark(_) => EventKind::Watermark,
        }
    }
}

/// A request that an API answered. Absent fields are `None`, never empty text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Request {
    /// When it ended, or as the gateway logs it.
    pub timestamp: Timestamp,
    /// Who is billed.
    pub subscription: Text,
    /// Client program, e.g. `kameleo-cli`.
    pub client: Option<Text>,
    /// Version of the client program.
    pub client_version: Option<Text>,
    /// Who answered.
    pub service: Option<Text>,
    /// Calling service; absent at the edge.
    pub caller: Option<Text>,
    /// HTTP method.
    pub method: Option<Text>,
    /// Route template or operation name.
    pub route: Text,
    /// HTTP status, 0–999 (0: the client went away).
    pub status: u16,
    /// Time to answer, in milliseconds.
    pub duration_ms: f64,
    /// Body bytes received.
    pub request_bytes: Option<u64>,
    /// Body bytes sent.
    pub response_bytes: Option<u64>,
    /// The client's try; 1 is the first.
    pub attempt: Option<u32>,
    /// Where `attempt` was read, or, without one, `request_key`.
    pub attempt_source: Option<AttemptSource>,
    /// How often the proxy tried its upstreams for this request; 0: never. Not the client's tries.
    pub upstream_attempts: Option<u32>,
    /// The same for all attempts of one logical request.
    pub request_key: Option<Text>,
    /// Unique per attempt.
    pub request_id: Option<Text>,
    /// Where it was answered.
    pub region: Option<Text>,
    /// Which machine answered.
    pub host: Option<Text>,
    /// Unknown fields.
    pub attributes: Attributes,
}

impl Request {
    /// Whether the platform failed this request: a 5xx, or 429 (it was turned away).
    #[must_use]
    pub fn failed(&self) -> bool {
        self.status >= 500 || self.status == 429
    }
}

/// A gauge or counter reading of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// When it was read.
    pub timestamp: Timestamp,
    /// What it was read from, e.g. `redis/main`, `container/api-7`, `pool/sessions`.
    pub source: Text,
    /// Metric name; the known ones are in [`metric`].
    pub metric: Text,
    /// Value in the metric's base unit.
    pub value: f64,
    /// Unknown fields, and those of `attributes`.
    pub attributes: Attributes,
}

/// Names of the known metrics (contract, DESIGN §4).
pub mod metric {
    /// Gauge, bytes.
    pub const MEMORY_USED_BYTES: &str = "memory_used_bytes";
    /// Gauge, bytes.
    pub const MEMORY_LIMIT_BYTES: &str = "memory_limit_bytes";
    /// Counter of restarts.
    pub const RESTARTS_TOTAL: &str = "restarts_total";
    /// Counter of out-of-memory kills.
    pub const OOM_KILLS_TOTAL: &str = "oom_kills_total";
    /// Counter of operations.
    pub const OPERATIONS_TOTAL: &str = "operations_total";
    /// Gauge, operations a second.
    pub const OPERATIONS_LIMIT_PER_SECOND: &str = "operations_limit_per_second";
    /// Counter, bytes.
    pub const NETWORK_BYTES_TOTAL: &str = "network_bytes_total";
    /// Counter of packets that a network interface or a full queue dropped.
    pub const DROPPED_PACKETS_TOTAL: &str = "dropped_packets_total";
    /// Gauge: members of a pool.
    pub const POOL_SIZE: &str = "pool_size";
    /// Gauge: members in use.
    pub const POOL_IN_USE: &str = "pool_in_use";
    /// Gauge: members promised to somebody and not in use yet.
    pub const POOL_RESERVED: &str = "pool_reserved";
    /// Counter of members taken.
    pub const POOL_ACQUIRED_TOTAL: &str = "pool_acquired_total";
    /// Counter of members given back.
    pub const POOL_RELEASED_TOTAL: &str = "pool_released_total";
    /// Gauge: seconds since the process started.
    pub const UPTIME_SECONDS: &str = "uptime_seconds";
}

/// What kind of change was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// A client or product release.
    Release,
    /// A deploy of a service.
    Deploy,
    /// A configuration change.
    Config,
    /// A feature flag.
    Flag,
}

impl ChangeKind {
    /// The contract's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Deploy => "deploy",
            Self::Config => "config",
            Self::Flag => "flag",
        }
    }
}

/// A release, deploy, configuration or flag change.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// When it was made.
    pub timestamp: Timestamp,
    /// What kind of change.
    pub kind: ChangeKind,
    /// The service changed, or the client's name.
    pub service: Text,
    /// New version.
    pub version: Option<Text>,
    /// One line for people.
    pub title: Option<Text>,
    /// Where to read more.
    pub url: Option<Text>,
    /// Unknown fields.
    pub attributes: Attributes,
}

/// How a ClickHouse query ended, if it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryState {
    /// Ended well.
    Finished,
    /// Ended with an exception.
    Failed,
    /// Still running.
    Running,
    /// Was killed.
    Killed,
}

impl QueryState {
    /// The contract's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Running => "running",
            Self::Killed => "killed",
        }
    }
}

/// A finished or running ClickHouse query.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryRun {
    /// End, or the moment of observation while running.
    pub timestamp: Timestamp,
    /// ClickHouse node.
    pub node: Text,
    /// SQL text (absent when only the fingerprint is known).
    pub query: Option<Text>,
    /// Normalised fingerprint (absent when only the text is known).
    pub fingerprint: Option<Text>,
    /// ClickHouse user.
    pub user: Option<Text>,
    /// Product feature or dashboard.
    pub origin: Option<Text>,
    /// Version of the origin.
    pub version: Option<Text>,
    /// Who is billed.
    pub subscription: Option<Text>,
    /// How it ended, if it has.
    pub state: Option<QueryState>,
    /// Run time in milliseconds.
    pub duration_ms: Option<f64>,
    /// Peak memory.
    pub memory_bytes: Option<u64>,
    /// Rows read.
    pub read_rows: Option<u64>,
    /// Bytes read.
    pub read_bytes: Option<u64>,
    /// ClickHouse exception code.
    pub exception_code: Option<i32>,
    /// Unknown fields.
    pub attributes: Attributes,
}
