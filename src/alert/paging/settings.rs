//! What the pager is told at the start.

use crate::alert::{RuleWaits, Rules};
use crate::config::PagingConfig;
use crate::model::{AlertName, DurationMs, Severity};

/// How often pages open, how long things are waited for, and where links lead.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PagerSettings {
    /// Pages that may open within a minute; beyond it they are one storm page.
    pub opened_per_minute_max: usize,
    /// Least time between two updates of a page that tell of nothing worse.
    pub update_interval_ms: DurationMs,
    /// A page that opens more often than this within an hour flaps.
    pub flaps_max: usize,
    /// A flapping page resolves after this long without an alert.
    pub flap_quiet_ms: DurationMs,
    /// How long a restored page waits for its alerts to fire again, at least.
    pub restore_grace_ms: DurationMs,
    /// A restored alert is waited for at least as long.
    pub rule_waits: RuleWaits,
    /// Where Floodmark is reached by people, without a slash at the end.
    pub external_url: Option<String>,
    /// A dashboard that takes `from` and `to` in epoch milliseconds.
    pub dashboard_url: Option<String>,
    /// What paths of runbooks are below, without a slash at the end.
    pub runbook_url: Option<String>,
}

impl PagerSettings {
    /// As configured, with the times of the rules in force.
    #[must_use]
    pub fn new(config: &PagingConfig, rules: &Rules) -> Self {
        Self {
            opened_per_minute_max: config.opened_per_minute_max,
            update_interval_ms: config.update_interval.as_millis(),
            flaps_max: config.flaps_max,
            flap_quiet_ms: config.flap_quiet.as_millis(),
            restore_grace_ms: config.restore_grace.as_millis(),
            rule_waits: RuleWaits::new(rules),
            external_url: config.external_url.as_ref().map(|url| url.trim_end_matches('/').to_owned()),
            dashboard_url: config.dashboard_url.clone(),
            runbook_url: config.runbook_url.as_ref().map(|url| url.trim_end_matches('/').to_owned()),
        }
    }

    /// Other rules are in force.
    pub(super) fn set_rules(&mut self, rules: &Rules) {
        self.rule_waits = RuleWaits::new(rules);
    }

    /// How long a restored alert is waited for once the watermark has come to the restart.
    pub(super) fn grace_ms(&self, alert: Option<AlertName>, severity: Severity) -> DurationMs {
        // An alert of which only the identity is kept: as long as any.
        let of_rule =
            alert.map_or_else(|| self.rule_waits.longest_ms(), |alert| self.rule_waits.of_ms(alert, severity));
        of_rule.max(self.restore_grace_ms)
    }
}
