//! One rule: a detector with its parameters, timing and words.

use serde::{Deserialize, Serialize};

use super::Detect;
use crate::config::Span;
use crate::detect::{QueryRuleSpec, ThresholdSpec};
use crate::model::{AlertName, Severity, Text};

/// One rule: a detector with its parameters, timing and words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "RuleText", into = "RuleText")]
pub struct Rule {
    /// Alert name: the one the detector raises, or, with `threshold` or `query`, one of its own.
    pub alert: AlertName,
    /// What it looks for.
    pub detect: Detect,
    /// How long the condition must hold before it fires.
    pub r#for: Span,
    /// How long the condition must be gone before it resolves.
    pub keep_firing_for: Span,
    /// How much it matters.
    pub labels: RuleLabels,
    /// Words for people.
    pub annotations: Annotations,
}

/// A rule as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct RuleText {
    /// Alert name: the one the detector raises, or, with `threshold` or `query`, one of its own.
    alert: AlertName,
    /// Detector and parameters. A rule has this, or `threshold`, or `query`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detect: Option<Detect>,
    /// A threshold on a series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    threshold: Option<ThresholdSpec>,
    /// A threshold on what a named query answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<QueryRuleSpec>,
    /// How long the condition must hold before it fires.
    #[serde(default = "no_time")]
    r#for: Span,
    /// How long the condition must be gone before it resolves.
    #[serde(default = "no_time")]
    keep_firing_for: Span,
    /// How much it matters: `severity: critical` or `severity: warning`.
    labels: RuleLabels,
    /// Words for people: `summary`, `description` and `runbook_url`.
    annotations: Annotations,
}

/// A rule must say in exactly one way what it looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have exactly one of `detect`, `threshold` and `query`")]
struct NotOneCondition;

impl TryFrom<RuleText> for Rule {
    type Error = NotOneCondition;

    fn try_from(text: RuleText) -> Result<Self, Self::Error> {
        let RuleText { alert, detect, threshold, query, r#for, keep_firing_for, labels, annotations } = text;
        let detect = match (detect, threshold, query) {
            (Some(detect), None, None) => detect,
            (None, Some(threshold), None) => Detect::Threshold(Box::new(threshold)),
            (None, None, Some(query)) => Detect::Query(Box::new(query)),
            _ => return Err(NotOneCondition),
        };
        Ok(Self { alert, detect, r#for, keep_firing_for, labels, annotations })
    }
}

impl From<Rule> for RuleText {
    fn from(rule: Rule) -> Self {
        let Rule { alert, detect, r#for, keep_firing_for, labels, annotations } = rule;
        let (detect, threshold, query) = match detect {
            Detect::Threshold(threshold) => (None, Some(*threshold), None),
            Detect::Query(query) => (None, None, Some(*query)),
            detect => (Some(detect), None, None),
        };
        Self { alert, detect, threshold, query, r#for, keep_firing_for, labels, annotations }
    }
}

fn no_time() -> Span {
    Span::from_secs(0)
}

/// What tells rules apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleKey {
    /// What it raises.
    pub alert: AlertName,
    /// How much that matters.
    pub severity: Severity,
    /// The service level objective it watches over, where it has a name.
    pub objective: Option<Text>,
}

/// Labels that a rule adds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleLabels {
    /// `critical` wakes a person, `warning` is a ticket.
    #[schemars(schema_with = "severities_of_rules")]
    pub severity: Severity,
}

/// `info` is for the record: a rule that raises it would tell nobody.
fn severities_of_rules(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "string", "enum": [Severity::Critical.as_str(), Severity::Warning.as_str()]})
}

/// Words of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Annotations {
    /// One static sentence, told on every page that the rule leads.
    pub summary: String,
    /// More of it: what it means here, whom to ask. Told below the summary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What to do: a path in this project or a URL.
    pub runbook_url: String,
}

impl Rule {
    /// What tells rules apart: there is one for each alert, severity and objective.
    #[must_use]
    pub fn key(&self) -> RuleKey {
        let objective = self.detect.objective().map(Text::from);
        RuleKey { alert: self.alert, severity: self.labels.severity, objective }
    }

    /// What it asks ClickHouse, if anything.
    #[must_use]
    pub fn query(&self) -> Option<&QueryRuleSpec> {
        match &self.detect {
            Detect::Query(query) => Some(query),
            _ => None,
        }
    }

    /// Where to read what to do.
    #[must_use]
    pub fn runbook(&self) -> Text {
        Text::from(&self.annotations.runbook_url)
    }
}
