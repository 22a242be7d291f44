//! Which parameters of detectors make sense.

use super::Detect;
use crate::config::Span;
use crate::detect::{ErrorBudgetBurnSpec, ObjectiveSelector, QueryBlowupSpec, RetryAmplificationSpec};

/// Longest span that is foretold or waited for.
const SPAN_SECONDS_MAX: i64 = 365 * 86_400;
/// More failures are no condition any more, but a rule that never fires.
const FAILURES_MIN_MAX: u64 = 1_000_000;

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

    /// A time that is foretold.
    fn long_span(self, span: Span, key: &str) -> Self {
        self.span(span, (60, SPAN_SECONDS_MAX), key, "must lie between 1m and 365d")
    }

    /// A text that is not there, or says something.
    fn named(self, text: &Option<String>, key: &str) -> Self {
        let says = text.as_ref().is_none_or(|text| !text.trim().is_empty());
        self.that(says, key, "is empty: nothing has that name")
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
                (1..=FAILURES_MIN_MAX).contains(&spec.failures_min),
                "failures_min",
                "must lie between 1 and 1000000",
            ),
            Self::MemoryExhaustion(spec) => demand.share(spec.used_share_min, "used_share_min").span(
                spec.trend,
                (180, 1_200),
                "trend",
                "must lie between 3m and 20m",
            ),
            Self::RestartLoop(spec) => demand
                .that((2..=50).contains(&spec.restarts_min), "restarts_min", "must lie between 2 and 50")
                .span(spec.within, (60, 3_600), "within", "must lie between 1m and 1h"),
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
            // Theirs have hints of their own.
            Self::Threshold(_) | Self::Query(_) => demand,
            Self::MemoryLeak(spec) => demand
                .long_span(spec.time_to_limit_max, "time_to_limit_max")
                .long_span(spec.time_to_limit_by_day_max, "time_to_limit_by_day_max"),
            Self::PoolLeak(spec) => demand.long_span(spec.time_to_exhaustion_max, "time_to_exhaustion_max"),
            Self::PoolExhaustion(spec) => {
                demand.span(spec.harmless_max, (0, SPAN_SECONDS_MAX), "harmless_max", "must be at most 365d")
            }
            Self::RateLimit(_) => demand,
        };
        let apart = self.select().is_none() || self.except_services().is_empty();
        let demands = demands.that(apart, "except_services", "has no effect beside `select`: leave out one of them");
        let demands = self.select().into_iter().fold(demands, select);
        demands.0
    }
}

fn select(demands: Demands, select: &ObjectiveSelector) -> Demands {
    let key = |name: &str| format!("select.{name}");
    let of_all = select.subscription.is_none();
    demands
        .named(&select.service, &key("service"))
        .named(&select.route, &key("route"))
        .named(&select.subscription, &key("subscription"))
        .that(
            !select.objective.trim().is_empty(),
            &key("objective"),
            "must name the objective: its alerts are told by it",
        )
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
    let few = spec.failures_min <= FAILURES_MIN_MAX;
    let demands = Demands::default().that(few, "failures_min", "must be at most 1000000");
    let mut demands = demands.share(spec.objective, "objective").that(
        !spec.windows.is_empty(),
        "windows",
        "must hold at least one pair of windows",
    );
    for (i, windows) in spec.windows.iter().enumerate() {
        let key = |name: &str| format!("windows[{i}].{name}");
        demands = demands
            .that(windows.short.as_millis() >= 60_000, &key("short"), "must be at least 1m")
            .that(windows.short < windows.long, &key("long"), "must be longer than short")
            .that(windows.long <= Span::from_days(30), &key("long"), "must be at most 30d")
            .that(windows.burn_rate >= 1.0, &key("burn_rate"), "must be at least 1")
            .that(
                windows.burn_rate * (1.0 - spec.objective) < 1.0,
                &key("burn_rate"),
                "never fires: times (1 - objective) it must be below 1, the share that fails when all requests do",
            );
    }
    demands
}
