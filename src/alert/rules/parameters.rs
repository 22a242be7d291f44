//! Which parameters of detectors make sense.

use super::Detect;
use crate::config::Span;
use crate::detect::{ErrorBudgetBurnSpec, ObjectiveSelector, QueryBlowupSpec, RetryAmplificationSpec};

/// A parameter that does not make sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ParameterProblem {
    /// Its key below the detector's, e.g. `windows[1].short`.
    pub key: String,
    /// What must hold.
    pub message: &'static str,
}

/// What must hold, and does not.
#[derive(Debug, Default)]
struct Demands(Vec<ParameterProblem>);

impl Demands {
    fn that(mut self, holds: bool, key: &str, message: &'static str) -> Self {
        if !holds {
            self.0.push(ParameterProblem { key: key.to_owned(), message });
        }
        self
    }

    /// A part of a whole, neither nothing nor all of it.
    fn share(self, value: f64, key: &str) -> Self {
        self.that(value > 0.0 && value < 1.0, key, "must lie between 0 and 1, both excluded")
    }

    /// A part of a whole that may be nothing.
    fn share_or_none(self, value: f64, key: &str) -> Self {
        self.that((0.0..1.0).contains(&value), key, "must lie between 0 and 1, 1 excluded")
    }

    fn factor(self, value: f64, key: &str) -> Self {
        self.that(value > 1.0, key, "must be greater than 1")
    }

    fn span(self, span: Span, seconds: (i64, i64), key: &str, message: &'static str) -> Self {
        self.that((seconds.0 * 1_000..=seconds.1 * 1_000).contains(&span.as_millis()), key, message)
    }
}

impl Detect {
    /// Every parameter that does not make sense.
    pub(super) fn problems(&self) -> Vec<ParameterProblem> {
        let demand = Demands::default();
        let demands = match self {
            Self::RetryAmplification(spec) => retry_amplification(spec),
            Self::FeedbackLoop(spec) => demand.share(spec.repeats_share_min, "repeats_share_min").span(
                spec.lasts,
                (60, 3_600),
                "lasts",
                "must lie between 1m and 1h",
            ),
            Self::ErrorBudgetBurn(spec) => error_budget_burn(spec),
            Self::SlowBurn(spec) => demand.share(spec.objective, "objective").that(
                spec.failures_min >= 1,
                "failures_min",
                "must be at least 1",
            ),
            Self::MemoryExhaustion(spec) => demand.share(spec.used_share_min, "used_share_min").span(
                spec.trend,
                (180, 1_200),
                "trend",
                "must lie between 3m and 20m",
            ),
            Self::RestartLoop(spec) => demand
                .that((2..=50).contains(&spec.restarts_min), "restarts_min", "must lie between 2 and 50")
                .span(spec.within, (0, 3_600), "within", "must be at most 1h"),
            Self::TrafficSurge(spec) => demand
                .factor(spec.rate_ratio, "rate_ratio")
                .that(spec.peak_ratio_min >= 1.0, "peak_ratio_min", "must be at least 1")
                .share_or_none(spec.load_share_min, "load_share_min"),
            Self::Saturation(spec) => demand.share(spec.near_limit_share, "near_limit_share"),
            Self::QueryBlowup(spec) => query_blowup(spec),
            Self::QueryRegression(spec) => {
                demand.factor(spec.ratio_min, "ratio_min").that(spec.runs_min >= 5, "runs_min", "must be at least 5")
            }
            Self::RequestAmplification(spec) => {
                demand.factor(spec.factor_min, "factor_min").share_or_none(spec.load_share_min, "load_share_min")
            }
            Self::CacheCollapse(spec) => demand.factor(spec.misses_factor_min, "misses_factor_min").that(
                spec.lookups_min >= 1,
                "lookups_min",
                "must be at least 1",
            ),
            Self::LatencyRegression(spec) => demand.factor(spec.factor_min, "factor_min"),
            Self::DataDelayed(spec) => demand.share(spec.late_share_max, "late_share_max").span(
                spec.silence_max,
                (30, 600),
                "silence_max",
                "must lie between 30s and 10m",
            ),
            Self::RateLimit(_) | Self::MemoryLeak(_) | Self::PoolLeak(_) | Self::PoolExhaustion(_) => demand,
        };
        let demands = self.select().into_iter().fold(demands, select);
        demands.0
    }
}

fn select(demands: Demands, select: &ObjectiveSelector) -> Demands {
    let key = |name: &str| format!("select.{name}");
    let of_all = select.subscription.is_none();
    demands
        .that(!select.objective.is_empty(), &key("objective"), "must name the objective: its alerts are told by it")
        .that(select.duration_ms_max.is_none_or(|max| max > 0.0), &key("duration_ms_max"), "must be greater than 0")
        .that(
            of_all || select.duration_ms_max.is_none(),
            &key("subscription"),
            "durations are counted by service and route, not by subscription",
        )
}

fn retry_amplification(spec: &RetryAmplificationSpec) -> Demands {
    Demands::default()
        .share(spec.beyond_budget_allowed, "beyond_budget_allowed")
        .share(spec.beyond_budget_alarm, "beyond_budget_alarm")
        .that(
            spec.beyond_budget_allowed < spec.beyond_budget_alarm,
            "beyond_budget_alarm",
            "must be greater than beyond_budget_allowed",
        )
        .that(spec.attempts_per_request_min >= 1.0, "attempts_per_request_min", "must be at least 1")
        .share_or_none(spec.load_share_min, "load_share_min")
}

fn query_blowup(spec: &QueryBlowupSpec) -> Demands {
    Demands::default()
        .factor(spec.memory_ratio_min, "memory_ratio_min")
        .share(spec.node_share_max, "node_share_max")
        .share_or_none(spec.node_excess_share_min, "node_excess_share_min")
}

fn error_budget_burn(spec: &ErrorBudgetBurnSpec) -> Demands {
    let mut demands = Demands::default().share(spec.objective, "objective").that(
        !spec.windows.is_empty(),
        "windows",
        "must hold at least one pair of windows",
    );
    for (i, windows) in spec.windows.iter().enumerate() {
        let key = |name: &str| format!("windows[{i}].{name}");
        demands = demands
            .that(windows.short.as_millis() >= 60_000, &key("short"), "must be at least 1m")
            .that(windows.short < windows.long, &key("long"), "must be longer than short")
            .that(windows.burn_rate >= 1.0, &key("burn_rate"), "must be at least 1")
            .that(
                windows.burn_rate * (1.0 - spec.objective) < 1.0,
                &key("burn_rate"),
                "never fires: times (1 - objective) it must be below 1, the share that fails when all requests do",
            );
    }
    demands
}
