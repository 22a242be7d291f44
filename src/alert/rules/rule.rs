//! One rule: a detector with its parameters, timing and words.

use serde::{Deserialize, Serialize};

use super::Detect;
use crate::config::Span;
use crate::model::{AlertName, Severity, Text};

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
    /// How much it matters: `severity: critical` or `severity: warning`.
    pub labels: RuleLabels,
    /// Words for people: `summary` and `runbook_url`.
    pub annotations: Annotations,
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

impl Rule {
    /// What tells rules apart: there is one for each alert, severity and objective.
    #[must_use]
    pub fn key(&self) -> RuleKey {
        let objective = self.detect.objective().map(Text::from);
        RuleKey { alert: self.alert, severity: self.labels.severity, objective }
    }

    /// Where to read what to do.
    #[must_use]
    pub fn runbook(&self) -> Text {
        Text::from(&self.annotations.runbook_url)
    }
}
