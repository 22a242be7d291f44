//! Rule files: Prometheus' shape with a typed `detect` block.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::Span;
use crate::detect::{
    CacheCollapse, CacheCollapseSpec, DataDelayed, DataDelayedSpec, Detector, ErrorBudgetBurn, ErrorBudgetBurnSpec,
    FeedbackLoop, FeedbackLoopSpec, LatencyRegression, LatencyRegressionSpec, Limits, MemoryExhaustion,
    MemoryExhaustionSpec, MemoryLeak, MemoryLeakSpec, PoolExhaustion, PoolExhaustionSpec, PoolLeak, PoolLeakSpec,
    QueryBlowup, QueryBlowupSpec, QueryRegression, QueryRegressionSpec, RateLimit, RateLimitSpec, RequestAmplification,
    RequestAmplificationSpec, RestartLoop, RestartLoopSpec, RetryAmplification, RetryAmplificationSpec, Saturation,
    SaturationSpec, SlowBurn, SlowBurnSpec, TrafficSurge, TrafficSurgeSpec,
};
use crate::model::{AlertName, Severity, Text};

/// Rules built into the binary, a file a subject.
const SHIPPED: &[(&str, &str)] = &[
    ("alerts/rules/caches.yaml", include_str!("../../alerts/rules/caches.yaml")),
    ("alerts/rules/calls.yaml", include_str!("../../alerts/rules/calls.yaml")),
    ("alerts/rules/data.yaml", include_str!("../../alerts/rules/data.yaml")),
    ("alerts/rules/latency.yaml", include_str!("../../alerts/rules/latency.yaml")),
    ("alerts/rules/limits.yaml", include_str!("../../alerts/rules/limits.yaml")),
    ("alerts/rules/memory.yaml", include_str!("../../alerts/rules/memory.yaml")),
    ("alerts/rules/objectives.yaml", include_str!("../../alerts/rules/objectives.yaml")),
    ("alerts/rules/pools.yaml", include_str!("../../alerts/rules/pools.yaml")),
    ("alerts/rules/queries.yaml", include_str!("../../alerts/rules/queries.yaml")),
    ("alerts/rules/retries.yaml", include_str!("../../alerts/rules/retries.yaml")),
    ("alerts/rules/saturation.yaml", include_str!("../../alerts/rules/saturation.yaml")),
    ("alerts/rules/traffic.yaml", include_str!("../../alerts/rules/traffic.yaml")),
];
/// Each rule runs a detector of its own over every window.
const RULES_MAX: usize = 100;

/// All rules, in the order of the files' names and of the files.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// The rules.
    pub rules: Vec<Rule>,
}

/// One rule file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    groups: Vec<RuleGroup>,
}

/// Rules that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleGroup {
    /// Name for people.
    pub name: String,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// One rule: a detector with its parameters, timing and words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Alert name; must be the one the detector raises.
    pub alert: AlertName,
    /// Detector and parameters.
    pub detect: Detect,
    /// How long the condition must hold before it fires.
    #[serde(default = "no_time")]
    pub r#for: Span,
    /// How long the condition must be gone before it resolves.
    #[serde(default = "no_time")]
    pub keep_firing_for: Span,
    /// Severity.
    pub labels: RuleLabels,
    /// Words for people.
    pub annotations: Annotations,
}

fn no_time() -> Span {
    Span::from_secs(0)
}

/// Labels that a rule adds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleLabels {
    /// `critical` wakes a person, `warning` is a ticket.
    pub severity: Severity,
}

/// Words of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Annotations {
    /// One static sentence.
    pub summary: String,
    /// What to do: a path in this project or a URL.
    pub runbook_url: String,
}

/// Detector and parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Detect {
    /// See [`RetryAmplification`].
    RetryAmplification(RetryAmplificationSpec),
    /// See [`FeedbackLoop`].
    FeedbackLoop(FeedbackLoopSpec),
    /// See [`RateLimit`].
    RateLimit(RateLimitSpec),
    /// See [`ErrorBudgetBurn`].
    ErrorBudgetBurn(ErrorBudgetBurnSpec),
    /// See [`SlowBurn`].
    SlowBurn(SlowBurnSpec),
    /// See [`MemoryExhaustion`].
    MemoryExhaustion(MemoryExhaustionSpec),
    /// See [`MemoryLeak`].
    MemoryLeak(MemoryLeakSpec),
    /// See [`RestartLoop`].
    RestartLoop(RestartLoopSpec),
    /// See [`TrafficSurge`].
    TrafficSurge(TrafficSurgeSpec),
    /// See [`PoolLeak`].
    PoolLeak(PoolLeakSpec),
    /// See [`PoolExhaustion`].
    PoolExhaustion(PoolExhaustionSpec),
    /// See [`Saturation`].
    Saturation(SaturationSpec),
    /// See [`QueryBlowup`].
    QueryBlowup(QueryBlowupSpec),
    /// See [`DataDelayed`].
    DataDelayed(DataDelayedSpec),
    /// See [`QueryRegression`].
    QueryRegression(QueryRegressionSpec),
    /// See [`RequestAmplification`].
    RequestAmplification(RequestAmplificationSpec),
    /// See [`CacheCollapse`].
    CacheCollapse(CacheCollapseSpec),
    /// See [`LatencyRegression`].
    LatencyRegression(LatencyRegressionSpec),
}

impl Detect {
    /// The alert this detector raises.
    #[must_use]
    pub fn alert(&self) -> AlertName {
        match self {
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
        }
    }

    /// A detector with nothing seen yet.
    #[must_use]
    pub fn detector(&self, limits: &Limits) -> Box<dyn Detector> {
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
        }
    }

    fn problem(&self) -> Option<&'static str> {
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

/// Rule files that cannot be used: every problem, with file and place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct RulesError(pub Vec<String>);

impl Rules {
    /// The rules built into the binary.
    ///
    /// # Errors
    /// Never, unless the binary was built from a broken file; a test reads it.
    pub fn shipped() -> Result<Self, RulesError> {
        let files: Vec<(String, String)> =
            SHIPPED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Self::parse(&files)
    }

    /// Reads every `*.yaml` and `*.yml` file of a directory.
    ///
    /// # Errors
    /// Unreadable, no rule file, or problems in any of them, all together.
    pub fn load(directory: &Path) -> Result<Self, RulesError> {
        let unreadable = |path: &Path, error: std::io::Error| RulesError(vec![format!("{}: {error}", path.display())]);
        let entries = std::fs::read_dir(directory).map_err(|e| unreadable(directory, e))?;
        let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml"));
        paths.sort();
        if paths.is_empty() {
            return Err(RulesError(vec![format!("{}: holds no *.yaml file", directory.display())]));
        }
        let mut files = Vec::new();
        for path in paths {
            let text = std::fs::read_to_string(&path).map_err(|e| unreadable(&path, e))?;
            files.push((path.display().to_string(), text));
        }
        Self::parse(&files)
    }

    /// Reads rule files given as (name, text).
    ///
    /// # Errors
    /// Problems in any of them, all together, each with the file's name.
    pub fn parse(files: &[(String, String)]) -> Result<Self, RulesError> {
        let mut rules = Vec::new();
        let mut problems = Vec::new();
        for (name, text) in files {
            match serde_saphyr::from_str::<RuleFile>(text) {
                Ok(file) => collect(name, file, &mut rules, &mut problems),
                Err(error) => problems.push(format!("{name}: {error}")),
            }
        }
        if rules.len() > RULES_MAX {
            problems.push(format!("{} rules; at most {RULES_MAX} are accepted", rules.len()));
        }
        if problems.is_empty() { Ok(Self { rules }) } else { Err(RulesError(problems)) }
    }
}

fn collect(name: &str, file: RuleFile, rules: &mut Vec<Rule>, problems: &mut Vec<String>) {
    for group in file.groups {
        for rule in group.rules {
            let at = format!("{name}: group {}, alert {}", group.name, rule.alert);
            if rule.alert != rule.detect.alert() {
                problems.push(format!("{at}: this detector raises {}", rule.detect.alert()));
            }
            if let Some(problem) = rule.detect.problem() {
                problems.push(format!("{at}: {problem}"));
            }
            if rule.labels.severity == Severity::Info {
                problems.push(format!("{at}: severity must be critical or warning"));
            }
            let twice = rules.iter().any(|r: &Rule| r.alert == rule.alert && r.labels == rule.labels);
            if twice {
                problems.push(format!("{at}: a second {} rule for this alert", rule.labels.severity.as_str()));
            }
            rules.push(rule);
        }
    }
}

impl Rule {
    /// Where to read what to do.
    #[must_use]
    pub fn runbook(&self) -> Text {
        Text::from(&self.annotations.runbook_url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_rules_say_what_the_detectors_default_to() {
        let rules = Rules::shipped().unwrap().rules;
        let critical = |alert| rules.iter().find(|r| r.alert == alert && r.labels.severity == Severity::Critical);
        let retry = critical(AlertName::RetryAmplification).unwrap();
        assert_eq!(retry.detect, Detect::RetryAmplification(RetryAmplificationSpec::default()));
        let burn = critical(AlertName::ErrorBudgetBurn).unwrap();
        assert_eq!(burn.detect, Detect::ErrorBudgetBurn(ErrorBudgetBurnSpec::default()));
        let memory = critical(AlertName::MemoryExhaustion).unwrap();
        assert_eq!(memory.detect, Detect::MemoryExhaustion(MemoryExhaustionSpec::default()));
        let detect = |alert| critical(alert).unwrap().detect.clone();
        assert_eq!(detect(AlertName::PoolLeak), Detect::PoolLeak(PoolLeakSpec::default()));
        assert_eq!(detect(AlertName::PoolExhaustion), Detect::PoolExhaustion(PoolExhaustionSpec::default()));
        assert_eq!(detect(AlertName::Saturation), Detect::Saturation(SaturationSpec::default()));
    }

    #[test]
    fn every_rule_file_is_built_in() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts/rules");
        assert_eq!(Rules::load(&directory).unwrap(), Rules::shipped().unwrap());
    }

    #[test]
    fn every_shipped_rule_has_a_runbook() {
        for rule in Rules::shipped().unwrap().rules {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&rule.annotations.runbook_url);
            assert!(path.is_file(), "{} has no runbook at {}", rule.alert, path.display());
        }
    }

    #[test]
    fn mistakes_name_file_and_place() {
        let typo =
            "groups:\n  - name: g\n    rules:\n      - alert: RestartLoop\n        detect: { restart_lop: {} }\n";
        let wrong = "groups:\n  - name: g\n    rules:\n      - alert: RestartLoop\n        detect: { rate_limit: {} }\n        \
                     labels: { severity: info }\n        annotations: { summary: s, runbook_url: r }\n";
        let files = [("a.yaml".to_owned(), typo.to_owned()), ("b.yaml".to_owned(), wrong.to_owned())];
        let message = Rules::parse(&files).unwrap_err().to_string();
        assert!(message.contains("a.yaml") && message.contains("restart_lop"), "{message}");
        assert!(message.contains("b.yaml") && message.contains("raises RateLimitExceeded"), "{message}");
        assert!(message.contains("severity must be"), "{message}");
    }
}
