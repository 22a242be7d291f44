//! What the black box holds: looks at a server and what happened between them. Plain data.

use serde::{Deserialize, Serialize};

use crate::model::{DurationMs, Text, Timestamp};

/// Largest queries that one look keeps; of the others, the newest and their number.
pub const QUERIES_LARGEST_MAX: usize = 64;
/// Newest queries that one look keeps.
pub const QUERIES_NEWEST_MAX: usize = 32;
/// Characters of a query's normalised text that are kept.
pub const TEXT_CHARS_MAX: usize = 240;
/// Characters that are kept of anything else a client chooses: user, query id, origin, version.
pub const NAME_CHARS_MAX: usize = 120;

/// One record of the black box.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// The server answered.
    Look(Look),
    /// It did not.
    LookFailed {
        /// When it was asked.
        at: Timestamp,
        /// Class of the error.
        code: Text,
        /// The error.
        why: String,
    },
    /// The server has come back with another start time.
    Restarted {
        /// When it was seen.
        at: Timestamp,
        /// Whether queries that were in flight had not ended: it had not been stopped in order. Absent: not known.
        unclean: Option<bool>,
    },
    /// A query of the look that follows was told to stop.
    Killed {
        /// When.
        at: Timestamp,
        /// Its id.
        query_id: Text,
    },
    /// The guard began to look.
    Began {
        /// When.
        at: Timestamp,
    },
    /// The guard was stopped in order: what follows was not seen.
    Ended {
        /// When.
        at: Timestamp,
    },
}

impl Entry {
    /// When it was written.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Look(look) => look.at,
            Self::LookFailed { at, .. }
            | Self::Restarted { at, .. }
            | Self::Killed { at, .. }
            | Self::Began { at }
            | Self::Ended { at } => *at,
        }
    }

    /// The look, when it is one.
    #[must_use]
    pub fn look(&self) -> Option<&Look> {
        match self {
            Self::Look(look) => Some(look),
            _ => None,
        }
    }
}

/// How a server was at one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Look {
    /// When it was asked, by our clock.
    pub at: Timestamp,
    /// The server's clock then, epoch milliseconds: its query log is in that time.
    pub server_ms: i64,
    /// Seconds since the server's start.
    pub uptime_seconds: u64,
    /// Memory in use, in bytes.
    pub memory_used_bytes: u64,
    /// Of these, by merges and mutations.
    pub merges_memory_bytes: u64,
    /// Memory limit S in bytes; 0: it has none.
    pub memory_limit_bytes: u64,
    /// Queries in flight, those included that are not listed.
    pub in_flight: u64,
    /// The largest and the newest of them, by memory.
    pub queries: Vec<QueryInFlight>,
}

impl Look {
    /// Bytes that are free below the limit; nothing known without a limit.
    #[must_use]
    pub fn headroom_bytes(&self) -> Option<u64> {
        (self.memory_limit_bytes > 0).then(|| self.memory_limit_bytes.saturating_sub(self.memory_used_bytes))
    }

    /// The share of S in use, from 0; 0 without a limit.
    #[must_use]
    pub fn memory_share(&self) -> f64 {
        share(self.memory_used_bytes, self.memory_limit_bytes)
    }
}

/// `part` of `whole`; 0 when there is no whole.
#[must_use]
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A query in flight.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct QueryInFlight {
    /// ClickHouse's id of the run.
    pub query_id: Text,
    /// Fingerprint of the normalised text.
    pub fingerprint: Text,
    /// Beginning of the normalised text.
    pub text: Text,
    /// ClickHouse user.
    pub user: Text,
    /// What it does.
    pub kind: QueryKind,
    /// Whether a client asked for it here; not: it is another server's part of a query.
    pub initial: bool,
    /// Whether it was told to stop.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelled: bool,
    /// Product feature or dashboard, from its `log_comment`; else the client's name for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Text>,
    /// Release of whoever asks, from its `log_comment`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Text>,
    /// Whom it is for, from its `log_comment`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<Text>,
    /// Memory now, in bytes.
    pub memory_bytes: u64,
    /// Most memory so far, in bytes.
    pub memory_peak_bytes: u64,
    /// Memory that it may take, in bytes; 0: no limit of its own, or not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub memory_limit_bytes: u64,
    /// Rows read so far.
    pub read_rows: u64,
    /// Rows it expects to read.
    pub total_rows: u64,
    /// How long it has run.
    pub elapsed_ms: DurationMs,
}

fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

/// When a run was seen, and how long it had run: enough to tell it from another one of the same id, which a client may
/// choose again as soon as the first has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunSeen {
    /// When it was seen.
    pub at: Timestamp,
    /// How long it had run then.
    pub elapsed_ms: DurationMs,
}

impl RunSeen {
    /// A query of a look at `at`.
    #[must_use]
    pub fn of(query: &QueryInFlight, at: Timestamp) -> Self {
        Self { at, elapsed_ms: query.elapsed_ms }
    }

    /// Whether `later` is another run: it has run for a shorter time, or began more than `tolerance_ms` after this one.
    #[must_use]
    pub fn is_other_run(&self, later: Self, tolerance_ms: DurationMs) -> bool {
        let began_later_ms = later.at.since(self.at) - (later.elapsed_ms - self.elapsed_ms);
        later.elapsed_ms < self.elapsed_ms || began_later_ms > tolerance_ms
    }
}

/// What a query does, as far as it matters who may be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryKind {
    /// Reads.
    Select,
    /// Says how it would read; it may run parts of it.
    Explain,
    /// Writes, be it `INSERT … SELECT`.
    Insert,
    /// Anything else: definitions, mutations, `SYSTEM`, `OPTIMIZE`, `BACKUP`, and what a later server may add.
    #[default]
    Other,
}

impl QueryKind {
    /// From ClickHouse's `query_kind`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "Select" => Self::Select,
            "Explain" => Self::Explain,
            "Insert" | "AsyncInsertFlush" => Self::Insert,
            _ => Self::Other,
        }
    }

    /// Whether it can be stopped without losing a write. What is not known to only read is not.
    #[must_use]
    pub fn only_reads(self) -> bool {
        matches!(self, Self::Select | Self::Explain)
    }
}
