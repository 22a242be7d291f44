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

impl RefusalReason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::TooManyRows,
        Self::MemoryExpected,
        Self::QueueFull,
        Self::WaitTooLong,
        Self::BreakerOpen,
        Self::Blocked,
        Self::SafeMode,
        Self::NotInPolicy,
    ];

    /// Name in JSON, headers and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooManyRows => "too_many_rows",
            Self::MemoryExpected => "memory_expected",
            Self::QueueFull => "queue_full",
            Self::WaitTooLong => "wait_too_long",
            Self::BreakerOpen => "breaker_open",
            Self::Blocked => "blocked",
            Self::SafeMode => "safe_mode",
            Self::NotInPolicy => "not_in_policy",
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_one_name_everywhere() {
        for reason in RefusalReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
        let names: std::collections::BTreeSet<&str> = RefusalReason::ALL.map(RefusalReason::as_str).into();
        assert_eq!(names.len(), RefusalReason::ALL.len());
    }
}
