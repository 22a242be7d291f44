//! Admission: which query runs now, which waits, which is refused and why. A pure state machine: time is a parameter,
//! `apply(input, at) -> outputs`; the proxy is its shell.

mod refusal;

pub use refusal::{Refusal, RefusalReason};

use crate::guard::policy::GuardPolicy;
use crate::model::Timestamp;

/// Number of a query within one proxy process.
pub type QueryNumber = u64;

/// What a query was found to be before it runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ask {
    /// Number of the query.
    pub number: QueryNumber,
    /// Tenant that asks, as authenticated.
    pub tenant: String,
    /// Fingerprint of the normalised text (`model::sql_fingerprint`).
    pub fingerprint: String,
    /// Release of whoever asks, from its `log_comment`.
    pub version: Option<String>,
    /// Whether it writes; as said by its text.
    pub writes: bool,
    /// Rows that `EXPLAIN ESTIMATE` expects it to read. Absent: unknown (no estimate, or one that is known to be wrong).
    pub estimated_rows: Option<u64>,
}

/// How a query ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ended {
    /// ClickHouse's exception code; absent: it succeeded.
    pub exception_code: Option<u32>,
    /// ClickHouse's message, by which a query's own memory limit is told from a victim's.
    pub exception: Option<String>,
    /// Peak memory in bytes, when it is known.
    pub memory_bytes: Option<u64>,
    /// Rows read, when known.
    pub read_rows: Option<u64>,
    /// Bytes read, when known.
    pub read_bytes: Option<u64>,
    /// Time it ran, in milliseconds.
    pub duration_ms: u64,
}

/// What happens to the gate.
#[derive(Debug, Clone, PartialEq)]
pub enum GateInput {
    /// A query wants to run.
    Ask(Ask),
    /// A query that was admitted has ended.
    Ended(QueryNumber, Ended),
    /// Whoever asked has gone, whether the query waits or runs.
    Left(QueryNumber),
    /// The watchdog killed a query of this fingerprint.
    Killed {
        /// Its fingerprint.
        fingerprint: String,
    },
    /// Memory of the server, now.
    Memory {
        /// Bytes in use.
        used_bytes: u64,
        /// Its limit S.
        limit_bytes: u64,
    },
    /// The server has come back.
    Restarted {
        /// Whether it had not been stopped in order.
        unclean: bool,
        /// Fingerprints in flight with much memory, from the black box.
        suspects: Vec<String>,
    },
    /// An operator refuses a fingerprint, for good or until a time.
    Block {
        /// Its fingerprint.
        fingerprint: String,
        /// Until when; absent: until it is unblocked.
        until: Option<Timestamp>,
        /// Who, and why.
        reason: String,
    },
    /// An operator takes a block back, or closes a breaker.
    Unblock {
        /// Its fingerprint.
        fingerprint: String,
    },
    /// An operator switches safe mode on (until a time) or off.
    SafeMode {
        /// Until when; absent: off.
        until: Option<Timestamp>,
    },
    /// Time passes: waits run out, breakers half-open, safe mode ends.
    Tick,
}

/// What the gate decides.
#[derive(Debug, Clone, PartialEq)]
pub enum GateOutput {
    /// The query runs now, with these settings set by the proxy.
    Admit {
        /// Number of the query.
        number: QueryNumber,
        /// Names and values of ClickHouse settings.
        settings: Vec<(&'static str, String)>,
        /// What would have been refused, were the policy enforced.
        shadow: Option<Refusal>,
    },
    /// The query is refused.
    Refuse(QueryNumber, Refusal),
}

/// The gate.
#[derive(Debug)]
pub struct Gate {
    policy: GuardPolicy,
}

impl Gate {
    /// A gate of a policy; `limit_bytes` is the server's memory limit S.
    #[must_use]
    pub fn new(policy: GuardPolicy, _limit_bytes: u64) -> Self {
        Self { policy }
    }

    /// Takes in what happened and says what follows. A query that gets no answer yet waits.
    pub fn apply(&mut self, input: GateInput, _at: Timestamp) -> Vec<GateOutput> {
        let _ = &self.policy;
        match input {
            GateInput::Ask(ask) => vec![GateOutput::Admit { number: ask.number, settings: Vec::new(), shadow: None }],
            _ => Vec::new(),
        }
    }
}
