//! What a rule looks for: the detectors, by the names they have in rule files, and what people look for themselves.

use serde::{Deserialize, Serialize};

use crate::detect::{
    CacheCollapse, CacheCollapseSpec, DataDelayed, DataDelayedSpec, Detector, ErrorBudgetBurn, ErrorBudgetBurnSpec,
    FeedbackLoop, FeedbackLoopSpec, LatencyRegression, LatencyRegressionSpec, Limits, MemoryExhaustion,
    MemoryExhaustionSpec, MemoryLeak, MemoryLeakSpec, ObjectiveSelector, PoolExhaustion, PoolExhaustionSpec, PoolLeak,
    PoolLeakSpec, QueryBlowup, QueryBlowupSpec, QueryRegression, QueryRegressionSpec, QueryRuleSpec, QueryThreshold,
    RateLimit, RateLimitSpec, RequestAmplification, RequestAmplificationSpec, RestartLoop, RestartLoopSpec,
    RetryAmplification, RetryAmplificationSpec, Saturation, SaturationSpec, SlowBurn, SlowBurnSpec, Threshold,
    ThresholdSpec, TrafficSurge, TrafficSurgeSpec,
};
use crate::model::AlertName;

/// Detector and parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Detect {
    /// Who repeats failed requests without limit.
    RetryAmplification(RetryAmplificationSpec),
    /// Load kept up by its own failures.
    FeedbackLoop(FeedbackLoopSpec),
    /// Subscriptions above their limit, as the limits file has it.
    RateLimit(RateLimitSpec),
    /// An error budget burnt within hours or days.
    ErrorBudgetBurn(ErrorBudgetBurnSpec),
    /// An error budget burnt slowly, over up to 30 days.
    SlowBurn(SlowBurnSpec),
    /// A memory limit minutes away.
    MemoryExhaustion(MemoryExhaustionSpec),
    /// Memory that grows although the load does not.
    MemoryLeak(MemoryLeakSpec),
    /// What restarts again and again.
    RestartLoop(RestartLoopSpec),
    /// Traffic far above its usual.
    TrafficSurge(TrafficSurgeSpec),
    /// A pool that loses members.
    PoolLeak(PoolLeakSpec),
    /// A pool without members left.
    PoolExhaustion(PoolExhaustionSpec),
    /// Something at its ceiling of throughput.
    Saturation(SaturationSpec),
    /// ClickHouse queries that take far more memory than they used to.
    QueryBlowup(QueryBlowupSpec),
    /// Records that come late, or not at all.
    DataDelayed(DataDelayedSpec),
    /// ClickHouse queries heavier after a change.
    QueryRegression(QueryRegressionSpec),
    /// Services that make many times the calls their load explains.
    RequestAmplification(RequestAmplificationSpec),
    /// A cache that stopped answering what it used to answer.
    CacheCollapse(CacheCollapseSpec),
    /// Answers slower than is normal under such a load.
    LatencyRegression(LatencyRegressionSpec),
    /// `threshold:` of a rule, which stands beside `detect:` in the file.
    #[serde(skip)]
    Threshold(Box<ThresholdSpec>),
    /// `query:` of a rule, likewise.
    #[serde(skip)]
    Query(Box<QueryRuleSpec>),
}

impl Detect {
    /// The alert this detector raises; none where the rule has a name of its own.
    #[must_use]
    pub fn alert(&self) -> Option<AlertName> {
        Some(match self {
            Self::RetryAmplification(_) => AlertName::RetryAmplification,
            Self::FeedbackLoop(_) => AlertName::FeedbackLoop,
            Self::RateLimit(_) => AlertName::RateLimitExceeded,
            Self::ErrorBudgetBurn(_) | Self::SlowBurn(_) => AlertName::ErrorBudgetBurn,
            Self::MemoryExhaustion(_) | Self::MemoryLeak(_) => AlertName::MemoryExhaustion,
            Self::RestartLoop(_) => AlertName::RestartLoop,
            Self::TrafficSurge(_) => AlertName::TrafficSurge,
            Self::PoolLeak(_) => AlertName::PoolLeak,
            Self::PoolExhaustion(_) => AlertName::PoolExhaustion,
            Self::Saturation(_) => AlertName::Saturation,
            Self::QueryBlowup(_) => AlertName::QueryBlowup,
            Self::DataDelayed(_) => AlertName::DataDelayed,
            Self::QueryRegression(_) => AlertName::QueryRegression,
            Self::RequestAmplification(_) => AlertName::RequestAmplification,
            Self::CacheCollapse(_) => AlertName::CacheCollapse,
            Self::LatencyRegression(_) => AlertName::LatencyRegression,
            Self::Threshold(_) | Self::Query(_) => return None,
        })
    }

    /// Its name in rule files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::RetryAmplification(_) => "retry_amplification",
            Self::FeedbackLoop(_) => "feedback_loop",
            Self::RateLimit(_) => "rate_limit",
            Self::ErrorBudgetBurn(_) => "error_budget_burn",
            Self::SlowBurn(_) => "slow_burn",
            Self::MemoryExhaustion(_) => "memory_exhaustion",
            Self::MemoryLeak(_) => "memory_leak",
            Self::RestartLoop(_) => "restart_loop",
            Self::TrafficSurge(_) => "traffic_surge",
            Self::PoolLeak(_) => "pool_leak",
            Self::PoolExhaustion(_) => "pool_exhaustion",
            Self::Saturation(_) => "saturation",
            Self::QueryBlowup(_) => "query_blowup",
            Self::DataDelayed(_) => "data_delayed",
            Self::QueryRegression(_) => "query_regression",
            Self::RequestAmplification(_) => "request_amplification",
            Self::CacheCollapse(_) => "cache_collapse",
            Self::LatencyRegression(_) => "latency_regression",
            Self::Threshold(_) => "threshold",
            Self::Query(_) => "query",
        }
    }

    /// Name of the service level objective it watches over.
    #[must_use]
    pub fn objective(&self) -> Option<&str> {
        let name = self.select().map(|select| select.objective.as_str());
        name.filter(|name| !name.is_empty())
    }

    /// What it is narrowed down to.
    pub(super) fn select(&self) -> Option<&ObjectiveSelector> {
        match self {
            Self::ErrorBudgetBurn(spec) => spec.select.as_ref(),
            Self::SlowBurn(spec) => spec.select.as_ref(),
            _ => None,
        }
    }

    /// Whether the limits file says what it looks for.
    #[must_use]
    pub fn uses_limits(&self) -> bool {
        matches!(self, Self::RateLimit(_))
    }

    /// Leaves a service to an objective of its own, unless this is one.
    pub(in crate::alert) fn leave(&mut self, service: &str) {
        match self {
            Self::ErrorBudgetBurn(spec) if spec.select.is_none() => spec.except_services.push(service.to_owned()),
            Self::SlowBurn(spec) if spec.select.is_none() => spec.except_services.push(service.to_owned()),
            _ => {}
        }
    }

    /// Services that it leaves to objectives of their own.
    pub(in crate::alert) fn except_services(&self) -> &[String] {
        match self {
            Self::ErrorBudgetBurn(spec) => &spec.except_services,
            Self::SlowBurn(spec) => &spec.except_services,
            _ => &[],
        }
    }

    /// Whether both look for the same, whatever services they leave to others.
    pub(in crate::alert) fn is_like(&self, other: &Self) -> bool {
        let everywhere = |detect: &Self| {
            let mut detect = detect.clone();
            match &mut detect {
                Self::ErrorBudgetBurn(spec) => spec.except_services.clear(),
                Self::SlowBurn(spec) => spec.except_services.clear(),
                _ => {}
            }
            detect
        };
        everywhere(self) == everywhere(other)
    }

    /// A detector with nothing seen yet, for a rule that raises `alert`.
    #[must_use]
    pub fn detector(&self, alert: AlertName, limits: &Limits) -> Box<dyn Detector> {
        match self.clone() {
            Self::RetryAmplification(spec) => Box::new(RetryAmplification::new(spec)),
            Self::FeedbackLoop(spec) => Box::new(FeedbackLoop::new(spec)),
            Self::RateLimit(spec) => Box::new(RateLimit::new(&spec, limits)),
            Self::ErrorBudgetBurn(spec) => Box::new(ErrorBudgetBurn::new(spec)),
            Self::MemoryExhaustion(spec) => Box::new(MemoryExhaustion::new(spec)),
            Self::MemoryLeak(spec) => Box::new(MemoryLeak::new(spec)),
            Self::RestartLoop(spec) => Box::new(RestartLoop::new(spec)),
            Self::TrafficSurge(spec) => Box::new(TrafficSurge::new(spec)),
            Self::PoolLeak(spec) => Box::new(PoolLeak::new(spec)),
            Self::PoolExhaustion(spec) => Box::new(PoolExhaustion::new(spec)),
            Self::Saturation(spec) => Box::new(Saturation::new(spec)),
            Self::QueryBlowup(spec) => Box::new(QueryBlowup::new(spec)),
            Self::SlowBurn(spec) => Box::new(SlowBurn::new(spec)),
            Self::DataDelayed(spec) => Box::new(DataDelayed::new(spec)),
            Self::QueryRegression(spec) => Box::new(QueryRegression::new(spec)),
            Self::RequestAmplification(spec) => Box::new(RequestAmplification::new(spec)),
            Self::CacheCollapse(spec) => Box::new(CacheCollapse::new(spec)),
            Self::LatencyRegression(spec) => Box::new(LatencyRegression::new(spec)),
            Self::Threshold(spec) => Box::new(Threshold::new(alert, &spec)),
            Self::Query(spec) => Box::new(QueryThreshold::new(alert, &spec)),
        }
    }
}
