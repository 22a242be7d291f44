//! What the watch tells: to the gate, to people, to logs.

use serde::Serialize;

use crate::guard::gate::GateInput;
use crate::guard::watchdog::{Kill, KillReason, Warning};
use crate::model::{DurationMs, Timestamp};

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum WatchEvent {
    /// How full the server is. The only event that is left out when nobody takes events: the next one says it better.
    Memory {
        /// When.
        at: Timestamp,
        /// Bytes in use.
        used_bytes: u64,
        /// Limit S in bytes; 0: none.
        limit_bytes: u64,
    },
    /// Memory is short, or cannot be judged.
    Warned {
        /// When.
        at: Timestamp,
        /// What about.
        warning: Warning,
        /// Bytes in use.
        used_bytes: u64,
        /// Limit S in bytes; 0: none.
        limit_bytes: u64,
    },
    /// A query was told to stop.
    Killed {
        /// When.
        at: Timestamp,
        /// Which, and why.
        kill: Box<Kill>,
    },
    /// Shadow mode: it would have been.
    WouldKill {
        /// When.
        at: Timestamp,
        /// Which, and why.
        kill: Box<Kill>,
    },
    /// A query was to be told to stop, and was not: the server refused, or did not answer.
    KillFailed {
        /// When.
        at: Timestamp,
        /// Which, and why it was to.
        kill: Box<Kill>,
        /// Why it was not.
        error: String,
    },
    /// A killed query has ended.
    Ended {
        /// When.
        at: Timestamp,
        /// Which.
        kill: Box<Kill>,
        /// How long after.
        after_ms: DurationMs,
    },
    /// A killed query still runs.
    Deaf {
        /// When.
        at: Timestamp,
        /// Which.
        kill: Box<Kill>,
        /// How long after.
        after_ms: DurationMs,
    },
    /// The server does not answer any more.
    Unreachable {
        /// Since when.
        at: Timestamp,
        /// Why.
        error: String,
    },
    /// The server answers, and does not let the guard look: a changed password, a missing grant, no room for its query.
    LookRefused {
        /// Since when.
        at: Timestamp,
        /// What it said.
        error: String,
    },
    /// It answers again, and was not started anew meanwhile.
    Reachable {
        /// When.
        at: Timestamp,
        /// How long it did not.
        after_ms: DurationMs,
    },
    /// The server was started anew.
    Restarted {
        /// When that was seen.
        at: Timestamp,
        /// The last look before.
        last_look_at: Timestamp,
        /// Whether queries were in flight that never ended; absent: not known.
        unclean: Option<bool>,
        /// Fingerprints of those that held much memory, the largest first.
        suspects: Vec<String>,
    },
}

/// Names of outcomes, as in metrics.
#[must_use]
pub fn outcome_names() -> &'static [&'static str] {
    &["killed", "would_kill", "failed", "ended", "deaf"]
}

impl WatchEvent {
    /// What the gate has to know of it, if anything. A query that was killed to make room is a victim and no offender: its
    /// fingerprint is charged only when it would not have fitted itself.
    #[must_use]
    pub fn gate_input(&self) -> Option<GateInput> {
        match self {
            Self::Memory { used_bytes, limit_bytes, .. } => {
                Some(GateInput::Memory { used_bytes: *used_bytes, limit_bytes: *limit_bytes })
            }
            Self::Killed { kill, .. } if kill.reason == KillReason::WouldNotFitTwice => Some(GateInput::Killed {
                fingerprint: kill.query.fingerprint.to_string(),
                query_id: kill.query.query_id.to_string(),
            }),
            Self::Restarted { unclean, suspects, .. } => {
                Some(GateInput::Restarted { unclean: *unclean, suspects: suspects.clone() })
            }
            _ => None,
        }
    }

    /// Name of the outcome of a kill, where it is one.
    #[must_use]
    pub(super) fn outcome(&self) -> Option<&'static str> {
        match self {
            Self::Killed { .. } => Some("killed"),
            Self::WouldKill { .. } => Some("would_kill"),
            Self::KillFailed { .. } => Some("failed"),
            Self::Ended { .. } => Some("ended"),
            Self::Deaf { .. } => Some("deaf"),
            _ => None,
        }
    }
}
