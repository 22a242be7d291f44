//! Why a query is refused, as its user reads it: the reason, the numbers, and what to change.

use serde::{Deserialize, Serialize};

/// Kinds of refusal, bounded: also the label of the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// Its estimate is above what its class may read.
    TooManyRows,
    /// Queries like it have taken more memory than there is room for.
    MemoryExpected,
    /// Its class's queue is full.
    QueueFull,
    /// It waited longer than its class waits.
    WaitTooLong,
    /// Queries like it have done harm, and are refused for a while.
    BreakerOpen,
    /// An operator has blocked queries like it.
    Blocked,
    /// Safe mode: its class is off.
    SafeMode,
    /// The policy knows no such tenant, or no such class.
    NotInPolicy,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Which kind.
    pub reason: RefusalReason,
    /// One sentence with the numbers.
    pub explanation: String,
    /// What to change.
    pub suggestion: String,
    /// When to ask again, in seconds. Absent: not before something is changed.
    pub retry_after_seconds: Option<u64>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.explanation, self.suggestion)
    }
}
