//! How long what fired before a restart is waited for: as long as its own rule takes to fire and stays.

use std::collections::BTreeMap;

use super::Rules;
use crate::model::{AlertName, DurationMs, Severity};

/// `for` and `keep_firing_for` of each rule together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleWaits(BTreeMap<(AlertName, Severity), DurationMs>);

impl RuleWaits {
    /// Those of rules; where several have one name and severity, the longest.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        let mut waits = BTreeMap::new();
        for rule in &rules.rules {
            let wait_ms = rule.r#for.as_millis().saturating_add(rule.keep_firing_for.as_millis());
            let longest = waits.entry((rule.alert, rule.labels.severity)).or_insert(0);
            *longest = wait_ms.max(*longest);
        }
        Self(waits)
    }

    /// Of an alert, in milliseconds; 0 where no rule raises it any more.
    #[must_use]
    pub fn of_ms(&self, alert: AlertName, severity: Severity) -> DurationMs {
        self.0.get(&(alert, severity)).copied().unwrap_or(0)
    }

    /// The longest of all, in milliseconds.
    #[must_use]
    pub fn longest_ms(&self) -> DurationMs {
        self.0.values().copied().max().unwrap_or(0)
    }
}
