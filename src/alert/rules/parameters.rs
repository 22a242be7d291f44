//! Which parameters of detectors make sense.

use super::Detect;

impl Detect {
    /// What is wrong with the parameters, in one sentence.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let share = |value: f64| value > 0.0 && value < 1.0;
        match self {
            Self::RetryAmplification(spec) => {
                let fits = share(spec.beyond_budget_allowed)
                    && share(spec.beyond_budget_alarm)
                    && spec.beyond_budget_allowed < spec.beyond_budget_alarm
                    && spec.attempts_per_request_min >= 1.0
                    && (0.0..1.0).contains(&spec.load_share_min);
                (!fits).then_some(
                    "0 < beyond_budget_allowed < beyond_budget_alarm < 1, attempts_per_request_min ≥ 1 and \
                     0 ≤ load_share_min < 1 must hold",
                )
            }
            Self::FeedbackLoop(spec) => {
                let fits = share(spec.repeats_share_min) && (60_000..=3_600_000).contains(&spec.lasts.as_millis());
                (!fits).then_some("0 < repeats_share_min < 1 and 1m ≤ lasts ≤ 1h must hold")
            }
            Self::ErrorBudgetBurn(spec) => {
                let windows_fit = spec
                    .windows
                    .iter()
                    .all(|w| w.short.as_millis() >= 60_000 && w.short < w.long && w.burn_rate >= 1.0);
                let fits = share(spec.objective) && !spec.windows.is_empty() && windows_fit;
                (!fits).then_some("0 < objective < 1 and windows with 1m ≤ short < long and burn_rate ≥ 1 must hold")
            }
            Self::MemoryExhaustion(spec) => {
                let fits = share(spec.used_share_min) && (180_000..=1_200_000).contains(&spec.trend.as_millis());
                (!fits).then_some("0 < used_share_min < 1 and 3m ≤ trend ≤ 20m must hold")
            }
            Self::RestartLoop(spec) => {
                let fits = (2..=50).contains(&spec.restarts_min) && spec.within.as_millis() <= 3_600_000;
                (!fits).then_some("2 ≤ restarts_min ≤ 50 and within ≤ 1h must hold")
            }
            Self::TrafficSurge(spec) => {
                let fits =
                    spec.rate_ratio > 1.0 && spec.peak_ratio_min >= 1.0 && (0.0..1.0).contains(&spec.load_share_min);
                (!fits).then_some("rate_ratio > 1, peak_ratio_min ≥ 1 and 0 ≤ load_share_min < 1 must hold")
            }
            Self::Saturation(spec) => (!share(spec.near_limit_share)).then_some("0 < near_limit_share < 1 must hold"),
            Self::QueryBlowup(spec) => {
                let fits = spec.memory_ratio_min > 1.0
                    && share(spec.node_share_max)
                    && (0.0..1.0).contains(&spec.node_excess_share_min);
                (!fits).then_some(
                    "memory_ratio_min > 1, 0 < node_share_max < 1 and 0 ≤ node_excess_share_min < 1 must hold",
                )
            }
            Self::QueryRegression(spec) => {
                (spec.ratio_min <= 1.0 || spec.runs_min < 5).then_some("ratio_min > 1 and runs_min ≥ 5 must hold")
            }
            Self::RequestAmplification(spec) => {
                let fits = spec.factor_min > 1.0 && (0.0..1.0).contains(&spec.load_share_min);
                (!fits).then_some("factor_min > 1 and 0 ≤ load_share_min < 1 must hold")
            }
            Self::CacheCollapse(spec) => {
                let fits = spec.misses_factor_min > 1.0 && spec.lookups_min >= 1;
                (!fits).then_some("misses_factor_min > 1 and lookups_min ≥ 1 must hold")
            }
            Self::LatencyRegression(spec) => (spec.factor_min <= 1.0).then_some("factor_min > 1 must hold"),
            Self::DataDelayed(spec) => {
                let fits = share(spec.late_share_max) && (30_000..=600_000).contains(&spec.silence_max.as_millis());
                (!fits).then_some("0 < late_share_max < 1 and 30s ≤ silence_max ≤ 10m must hold")
            }
            Self::SlowBurn(spec) => (!share(spec.objective) || spec.failures_min == 0)
                .then_some("0 < objective < 1 and failures_min ≥ 1 must hold"),
            _ => None,
        }
    }
}
