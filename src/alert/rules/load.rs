//! All rules: those built in, those of a directory, those of texts.

use std::path::Path;

use super::Rule;
use super::check::Collector;
use super::file::RuleFile;
use super::shipped::SHIPPED;
use crate::alert::yaml::{self, FileProblem};

/// All rules, in the order of the files' names and of the files.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rules {
    /// The rules.
    pub rules: Vec<Rule>,
}

/// Rule files that cannot be used: every problem, with file and place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", yaml::lines(.0))]
pub struct RulesError(pub Vec<FileProblem>);

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

    /// The JSON Schema of a rule file.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(RuleFile).to_value()
    }

    /// Reads every `*.yaml` and `*.yml` file of a directory.
    ///
    /// # Errors
    /// Unreadable, no rule file, or problems in any of them, all together.
    pub fn load(directory: &Path) -> Result<Self, RulesError> {
        let files = yaml::read_directory(directory).map_err(RulesError)?;
        if files.texts.is_empty() && files.unreadable.is_empty() {
            let message = "holds no *.yaml file".to_owned();
            return Err(RulesError(vec![FileProblem::of_file(directory.display().to_string(), message)]));
        }
        Self::parse_all(&files.texts, files.unreadable)
    }

    /// Reads rule files given as (name, text).
    ///
    /// # Errors
    /// Problems in any of them, all together, each with the file's name.
    pub fn parse(files: &[(String, String)]) -> Result<Self, RulesError> {
        Self::parse_all(files, Vec::new())
    }

    fn parse_all(files: &[(String, String)], problems: Vec<FileProblem>) -> Result<Self, RulesError> {
        let schema = Self::schema();
        let mut collector = Collector::default();
        collector.problems = problems;
        for (name, text) in files {
            collector.file(name, text, &schema);
        }
        let Collector { rules, problems, .. } = collector;
        if problems.is_empty() { Ok(Self { rules }) } else { Err(RulesError(problems)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Detect;
    use crate::detect::{
        ErrorBudgetBurnSpec, MemoryExhaustionSpec, PoolExhaustionSpec, PoolLeakSpec, RetryAmplificationSpec,
        SaturationSpec,
    };
    use crate::model::{AlertName, Severity};

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
    fn no_rule_at_all_is_a_mistake() {
        for text in ["groups: []", "groups: [{ name: g, rules: [] }]"] {
            let message = Rules::parse(&[("a.yaml".to_owned(), text.to_owned())]).unwrap_err().to_string();
            assert!(message.contains("holds no rule"), "{message}");
        }
        let directory = tempfile::tempdir().unwrap();
        let message = Rules::load(directory.path()).unwrap_err().to_string();
        assert!(message.contains("holds no *.yaml file"), "{message}");
        // The last objective can be taken away.
        assert_eq!(crate::alert::Slos::load(directory.path()), Ok(crate::alert::Slos::default()));
    }

    #[test]
    fn parameters_without_effect_are_mistakes() {
        let select = |rest: &str| format!("error_budget_burn: {{ {rest} }}");
        for (alert, detect, timing, told) in [
            ("ErrorBudgetBurn", select("objective: 0.5"), "", "never fires"),
            ("ErrorBudgetBurn", select("failures_min: 99999999999999"), "", "at most 1000000"),
            ("ErrorBudgetBurn", select("windows: [{ long: 100d, short: 1h, burn_rate: 2 }]"), "", "at most 30d"),
            ("ErrorBudgetBurn", select("select: { objective: '  ' }"), "", "must name the objective"),
            ("ErrorBudgetBurn", select("select: { objective: a, service: '' }"), "", "nothing has that name"),
            ("ErrorBudgetBurn", select("select: { objective: a }, except_services: [b]"), "", "beside `select`"),
            ("RestartLoop", "restart_loop: { within: 0s }".to_owned(), "", "between 1m and 1h"),
            ("PoolLeak", "pool_leak: { time_to_exhaustion_max: 0s }".to_owned(), "", "between 1m and 365d"),
            ("MemoryExhaustion", "memory_leak: { time_to_limit_max: 0s }".to_owned(), "", "between 1m and 365d"),
            ("RestartLoop", "restart_loop: {}".to_owned(), "for: 1000d,", "at most 30d"),
        ] {
            let text = format!(
                "groups: [{{ name: g, rules: [{{ alert: {alert}, detect: {{ {detect} }}, {timing} labels: {{ severity: \
                 critical }}, annotations: {{ summary: s, runbook_url: 'https://example.com' }} }}] }}]"
            );
            let message = Rules::parse(&[("a.yaml".to_owned(), text)]).unwrap_err().to_string();
            assert!(message.contains(told), "{detect}: {message}");
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
        assert!(message.contains("b.yaml") && message.contains("known here: `critical`, `warning`"), "{message}");
        let wrong = wrong.replace("info", "critical");
        let message = Rules::parse(&[("b.yaml".to_owned(), wrong)]).unwrap_err().to_string();
        assert!(message.contains("b.yaml") && message.contains("raises RateLimitExceeded"), "{message}");
    }
}
