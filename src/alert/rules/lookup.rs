//! What a rule says of an alert that it has raised: its words, and how long the alert is waited for after a restart.

use super::annotation::filled;
use super::{Rule, Rules};
use crate::model::{AlertName, Dimension, Dimensions, DurationMs, RuleWords, Severity};

impl Rules {
    /// The rule that raises an alert; `None` once it is gone.
    #[must_use]
    pub fn rule_of(&self, alert: AlertName, severity: Severity, labels: &Dimensions) -> Option<&Rule> {
        let objective = labels.get(Dimension::Objective);
        let raises = |rule: &&Rule| (rule.alert, rule.labels.severity) == (alert, severity);
        self.rules.iter().filter(raises).find(|rule| rule.detect.objective() == objective)
    }

    /// What people are told of a rule, with the labels and the value of its alert in their places; empty once it is gone.
    #[must_use]
    pub fn words_of(&self, alert: AlertName, severity: Severity, labels: &Dimensions, value: f64) -> RuleWords {
        let rule = self.rule_of(alert, severity, labels);
        rule.map(|rule| &rule.annotations).map_or_else(RuleWords::default, |words| {
            let filled = |text: &str| filled(text, labels, value);
            RuleWords::new(&filled(&words.summary), &filled(words.description.as_deref().unwrap_or_default()))
        })
    }

    /// How long a rule takes to fire and stays, `for` and `keep_firing_for` together, in milliseconds: of those of an
    /// alert's name and severity the longest, of all without a name. 0 without any.
    #[must_use]
    pub fn wait_ms(&self, alert: Option<AlertName>, severity: Severity) -> DurationMs {
        let is_meant = |rule: &&Rule| alert.is_none_or(|alert| (rule.alert, rule.labels.severity) == (alert, severity));
        let wait_ms = |rule: &Rule| rule.r#for.as_millis().saturating_add(rule.keep_firing_for.as_millis());
        self.rules.iter().filter(is_meant).map(wait_ms).max().unwrap_or(0)
    }
}
