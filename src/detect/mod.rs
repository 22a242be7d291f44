//! Detectors: a file a detector, each a pure state machine over closed windows.

mod cache_collapse;
mod data_delayed;
#[cfg(test)]
mod data_delayed_tests;
mod dispersion;
mod edge_harm;
mod error_budget_burn;
mod feedback_loop;
mod feedback_words;
mod finding;
mod growth;
mod latency_regression;
mod limits;
mod memory_climb;
mod memory_exhaustion;
mod memory_leak;
mod outcome_sums;
mod pool_evidence;
mod pool_exhaustion;
mod pool_leak;
mod query_blowup;
#[cfg(test)]
mod query_blowup_tests;
mod query_blowup_words;
mod query_changes;
mod query_history;
mod query_nodes;
mod query_regression;
#[cfg(test)]
mod query_regression_tests;
mod query_series;
#[cfg(test)]
mod query_tests;
mod rate_baseline;
mod rate_limit;
mod request_amplification;
mod restart_loop;
mod retry_amplification;
mod retry_groups;
mod retry_scores;
mod retry_words;
mod saturation;
mod series;
#[cfg(test)]
mod signal_tests;
mod slow_burn;
mod slow_burn_pools;
#[cfg(test)]
mod slow_burn_tests;
pub mod statistics;
#[cfg(test)]
mod test_traffic;
mod throughput_view;
mod time_left;
mod traffic_surge;
mod words;

pub use cache_collapse::{CacheCollapse, CacheCollapseSpec};
pub use data_delayed::{DataDelayed, DataDelayedSpec};
pub use error_budget_burn::{BurnWindows, ErrorBudgetBurn, ErrorBudgetBurnSpec};
pub use feedback_loop::{FeedbackLoop, FeedbackLoopSpec};
pub use finding::{Finding, Role};
pub use latency_regression::{LatencyRegression, LatencyRegressionSpec};
pub use limits::{Limit, Limits, LimitsError};
pub use memory_exhaustion::{MemoryExhaustion, MemoryExhaustionSpec};
pub use memory_leak::{MemoryLeak, MemoryLeakSpec};
pub use pool_exhaustion::{PoolExhaustion, PoolExhaustionSpec};
pub use pool_leak::{PoolLeak, PoolLeakSpec};
pub use query_blowup::{QueryBlowup, QueryBlowupSpec};
pub use query_regression::{QueryRegression, QueryRegressionSpec};
pub use rate_limit::{RateLimit, RateLimitSpec};
pub use request_amplification::{RequestAmplification, RequestAmplificationSpec};
pub use restart_loop::{RestartLoop, RestartLoopSpec};
pub use retry_amplification::{RetryAmplification, RetryAmplificationSpec};
pub use saturation::{Saturation, SaturationSpec};
pub use series::{SeriesDetector, SeriesOptions, Verdict};
pub use slow_burn::{SlowBurn, SlowBurnSpec};
pub use traffic_surge::{TrafficSurge, TrafficSurgeSpec};
pub use words::{bytes, count, duration, percent, rate, rounded};

use crate::flow::{
    ChangeLog, ClosedWindow, Names, QueryCell, QueryKey, QueryTexts, Recent, RunningQueries, ScanSize, SignalHistory,
};

/// What a detector sees at the end of a window.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The window that has just closed.
    pub window: &'a ClosedWindow,
    /// The last minute, this window included.
    pub recent: &'a Recent,
    /// Signals over time, this window included.
    pub signals: &'a SignalHistory,
    /// Queries that run at the window's end.
    pub running: &'a RunningQueries,
    /// What fingerprints of queries stand for.
    pub query_texts: &'a QueryTexts,
    /// Changes seen so far.
    pub changes: &'a ChangeLog,
    /// Strings behind the names.
    pub names: &'a Names,
}

impl<'a> Scene<'a> {
    /// The window's queries that ended, in an order that does not depend on how they came.
    #[must_use]
    pub fn sorted_queries(&self) -> Vec<&'a ((QueryKey, ScanSize), QueryCell)> {
        let mut queries: Vec<_> = self.window.queries.cells.iter().collect();
        let text = |name| self.names.text(name);
        queries.sort_by(|((a, a_scan), _), ((b, b_scan), _)| {
            let order = |key: &QueryKey| [key.fingerprint, key.origin, key.version, key.user, key.node].map(text);
            order(a).cmp(&order(b)).then(a_scan.cmp(b_scan))
        });
        queries
    }
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
