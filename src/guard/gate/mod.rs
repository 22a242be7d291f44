//! Admission: which query runs now, which waits, which is refused and why. A pure state machine: time is a parameter,
//! `apply(input, at) -> outputs`; the proxy is its shell. Read `admission.rs` first.

mod admission;
mod before_estimate;
mod blocks;
mod breaker;
mod caps;
mod ended_runs;
mod ends;
mod fair_queue;
mod learned;
mod memory;
mod offence;
#[cfg(test)]
mod ordinary_mix_tests;
mod pending_ends;
#[cfg(test)]
mod property_tests;
mod quantiles;
mod recent;
mod refusal;
mod running;
mod safe_mode;
mod shadow;
mod snapshot;
mod standing;
mod starts;
mod status;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trial;
mod words;

pub use admission::{DEFAULT_CLASS, WRITING_CLASS};
pub use before_estimate::BeforeEstimate;
pub use blocks::Block;
pub use breaker::BreakerCause;
pub use caps::SETTINGS;
pub use offence::Offence;
pub use refusal::{Refusal, RefusalReason};
pub use safe_mode::SafeModeLevel;
pub use snapshot::GateSnapshot;
pub use status::{BlockStatus, BreakerStatus, ClassStatus, Counts, GateStatus, MemoryStatus, TenantStatus};

use admission::Admission;
use shadow::Shadow;

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
    /// ClickHouse's id of the run, by which the watchdog names it. Empty: not known.
    pub query_id: String,
    /// Whether it writes; as said by its text.
    pub writes: bool,
    /// Rows that `EXPLAIN ESTIMATE` expects it to read. Absent: unknown (no estimate, or one that is known to be wrong).
    pub estimated_rows: Option<u64>,
    /// Whether the text ends a scan by a LIMIT, so that its estimate may be far too high (`model::SqlFacts::limit_trap`).
    pub limit_trap: bool,
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
    /// What its client had set stricter caps for than the gate: dying of one of these is no offence.
    pub own_caps: Vec<Offence>,
    /// Whether what it took, or how it ended, is told later if at all ([`GateInput::EndTold`]). Until then it is not judged.
    pub is_partial: bool,
}

/// What happens to the gate.
#[derive(Debug, Clone, PartialEq)]
pub enum GateInput {
    /// A query wants to run.
    Ask(Ask),
    /// A query that was admitted has ended.
    Ended(QueryNumber, Ended),
    /// What the server says later of a query whose end was told in part; its duration and its own caps stay as they were.
    EndTold(QueryNumber, Ended),
    /// Whoever asked has gone, whether the query waits or runs.
    Left(QueryNumber),
    /// The watchdog killed a query of this fingerprint.
    Killed {
        /// Its fingerprint.
        fingerprint: String,
        /// ClickHouse's id of the run.
        query_id: String,
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
        /// Whether it had not been stopped in order; absent: not known.
        unclean: Option<bool>,
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
        /// Names (of [`SETTINGS`]) and values of ClickHouse settings. None for writes, and in shadow mode.
        settings: Vec<(&'static str, String)>,
        /// What would have been refused, were the policy enforced.
        shadow: Option<Refusal>,
    },
    /// The query is refused.
    Refuse(QueryNumber, Refusal),
    /// Shadow mode: the query, which was let in, would have been refused after a wait.
    WouldRefuse(QueryNumber, Refusal),
}

impl GateOutput {
    /// The query that it is about.
    #[must_use]
    pub const fn number(&self) -> QueryNumber {
        match self {
            Self::Admit { number, .. } | Self::Refuse(number, _) | Self::WouldRefuse(number, _) => *number,
        }
    }
}

/// The gate.
#[derive(Debug, Clone)]
pub struct Gate {
    admission: Admission,
    /// Absent: it enforces.
    shadow: Option<Shadow>,
}

impl Gate {
    /// A gate of a policy; `limit_bytes` is the server's memory limit S.
    #[must_use]
    pub fn new(policy: GuardPolicy, limit_bytes: u64) -> Self {
        Self::restore(policy, limit_bytes, GateSnapshot::default())
    }

    /// A gate that goes on where another one took a snapshot, under the same or another policy.
    #[must_use]
    pub fn restore(policy: GuardPolicy, limit_bytes: u64, snapshot: GateSnapshot) -> Self {
        let shadow = (!policy.proxy.enforce).then(Shadow::default);
        Self { admission: Admission::restore(policy, limit_bytes, snapshot), shadow }
    }

    /// Cores of the server, of which a class without `threads_max` uses half. Unless told, such a class has as many threads
    /// as ClickHouse gives it, until the server is busy.
    #[must_use]
    pub fn with_cores(mut self, cores: u32) -> Self {
        self.admission.cores = Some(cores.max(1));
        self
    }

    /// Takes in what happened and says what follows. A query that gets no answer yet waits. Time never goes back: an
    /// earlier `at` counts as the latest one.
    pub fn apply(&mut self, input: GateInput, at: Timestamp) -> Vec<GateOutput> {
        match &mut self.shadow {
            None => self.admission.apply(input, at),
            Some(shadow) => shadow.apply(&mut self.admission, input, at),
        }
    }

    /// What can be said of a query before it is estimated. Nothing changes; whoever is refused has still to ask.
    #[must_use]
    pub fn before_estimate(&self, ask: &Ask, at: Timestamp) -> BeforeEstimate {
        self.admission.before_estimate(ask, at)
    }

    /// When a `Tick` is due at the latest. None: nothing happens by itself.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        let on_paper = self.shadow.as_ref().and_then(Shadow::next_wake);
        self.admission.next_wake().into_iter().chain(on_paper).min()
    }

    /// What operators see of it.
    #[must_use]
    pub fn status(&self, at: Timestamp) -> GateStatus {
        self.admission.status(self.shadow.is_none(), at)
    }

    /// What a restart must not forget.
    #[must_use]
    pub fn snapshot(&self) -> GateSnapshot {
        self.admission.snapshot()
    }
}
