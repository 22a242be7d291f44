//! Detectors: a folder a subject, a file a detector, each a pure state machine over closed windows.

mod calls;
mod change_behind;
mod data_delayed;
#[cfg(test)]
mod data_delayed_tests;
mod edge_harm;
mod errors;
mod finding;
mod growth;
mod latency_regression;
mod memory;
#[cfg(test)]
mod order_tests;
mod pools;
mod queries;
mod rates;
mod retries;
mod series;
#[cfg(test)]
mod signal_tests;
pub mod statistics;
#[cfg(test)]
mod test_logs;
#[cfg(test)]
mod test_traffic;
mod threshold;
mod throughput;
mod time_left;
pub(crate) mod words;

pub use calls::{CacheCollapse, CacheCollapseSpec, RequestAmplification, RequestAmplificationSpec};
pub use data_delayed::{DataDelayed, DataDelayedSpec};
pub use errors::{BurnWindows, ErrorBudgetBurn, ErrorBudgetBurnSpec, ObjectiveSelector, SlowBurn, SlowBurnSpec};
pub use finding::{Finding, Role};
pub use latency_regression::{LatencyRegression, LatencyRegressionSpec};
pub use memory::{MemoryExhaustion, MemoryExhaustionSpec, MemoryLeak, MemoryLeakSpec, RestartLoop, RestartLoopSpec};
pub use pools::{PoolExhaustion, PoolExhaustionSpec, PoolLeak, PoolLeakSpec};
pub use queries::{QueryBlowup, QueryBlowupSpec, QueryRegression, QueryRegressionSpec};
pub use rates::{Limit, Limits, LimitsError, RateLimit, RateLimitSpec, TrafficSurge, TrafficSurgeSpec};
pub use retries::{FeedbackLoop, FeedbackLoopSpec, RetryAmplification, RetryAmplificationSpec};
pub use series::{SeriesDetector, SeriesOptions, VALUES_LEARNT, Verdict};
pub use threshold::{
    ByDimension, Level, Op, ParameterText, QueryRuleSpec, QueryThreshold, RULE_ROWS_MAX, Series, SpecProblem, Texts,
    Threshold, ThresholdSpec,
};
pub use throughput::{Saturation, SaturationSpec};
pub use words::{bytes, count, duration, percent, rate, rounded};

use crate::flow::{
    ChangeLog, ClosedWindow, Name, Names, QueryCell, QueryKey, QueryTexts, Recent, RunningQueries, ScanSize,
    SignalHistory, SourceHistory,
};
use crate::model::Dimensions;

/// What a detector sees at the end of a window.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The window that has just closed.
    pub window: &'a ClosedWindow,
    /// The last minute, this window included.
    pub recent: &'a Recent,
    /// Signals over time, this window included.
    pub signals: &'a SignalHistory,
    /// The same, in the order of their names.
    pub sources: &'a [(Name, &'a SourceHistory)],
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

    /// Whether the condition of an alert with these labels can be judged on this window, where the detector knows it
    /// better than labels alone tell. Asked after [`Detector::observe`].
    fn judged(&self, _labels: &Dimensions, _scene: &Scene<'_>) -> Option<bool> {
        None
    }

    /// Leaves these services to objectives of their own, from now on; what is known of others is kept.
    fn leave_services(&mut self, _services: &[String]) {}

    /// How much could not be told apart because a bound was reached.
    fn overflowed(&self) -> u64 {
        0
    }
}
