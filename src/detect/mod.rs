//! Detectors: a file a detector, each a pure state machine over closed windows.

mod error_budget_burn;
mod feedback_loop;
mod feedback_words;
mod finding;
mod limits;
mod memory_exhaustion;
mod memory_leak;
mod rate_limit;
mod restart_loop;
mod retry_amplification;
mod retry_groups;
mod retry_scores;
mod retry_words;
pub mod statistics;
mod words;

pub use error_budget_burn::{BurnWindows, ErrorBudgetBurn, ErrorBudgetBurnSpec};
pub use feedback_loop::{FeedbackLoop, FeedbackLoopSpec};
pub use finding::{Finding, Role};
pub use limits::{Limit, Limits, LimitsError};
pub use memory_exhaustion::{MemoryExhaustion, MemoryExhaustionSpec};
pub use memory_leak::{LeakTrend, MemoryLeak, MemoryLeakSpec, leak_trend};
pub use rate_limit::{RateLimit, RateLimitSpec};
pub use restart_loop::{RestartLoop, RestartLoopSpec};
pub use retry_amplification::{RetryAmplification, RetryAmplificationSpec};
pub use words::{bytes, count, duration, percent, rate, rounded};

use crate::flow::{ClosedWindow, Names, Recent, SignalHistory};

/// What a detector sees at the end of a window.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The window that has just closed.
    pub window: &'a ClosedWindow,
    /// The last minute, this window included.
    pub recent: &'a Recent,
    /// Signals over time, this window included.
    pub signals: &'a SignalHistory,
    /// Strings behind the names.
    pub names: &'a Names,
}

/// A detector: state over closed windows, conditions out.
pub trait Detector: std::fmt::Debug + Send {
    /// Takes in a window and says which conditions hold at its end.
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding>;

    /// How much could not be told apart because a bound was reached.
    fn overflowed(&self) -> u64 {
        0
    }
}
