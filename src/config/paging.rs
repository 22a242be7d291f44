//! `[paging]`: how alerts become pages, and where that is remembered.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Problem, Span};

/// Pages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PagingConfig {
    /// Where pages, silences and acknowledgements are remembered. One service at a time uses it. Absent: the folder
    /// `paging` in `local.data_dir`.
    pub state_dir: Option<PathBuf>,
    /// Pages that may open within a minute. What is more is told as one storm page.
    pub opened_per_minute_max: usize,
    /// Least time between two updates of a page, unless it becomes worse.
    pub update_interval: Span,
    /// A page that opens more often than this within an hour flaps: it stays open …
    pub flaps_max: usize,
    /// … until it was quiet for this long.
    pub flap_quiet: Span,
    /// After a restart an open page waits at least this long, in event time, for its alerts to fire again.
    pub restore_grace: Span,
    /// Where people reach this service; for the links of pages.
    pub external_url: Option<String>,
    /// A dashboard that takes `from` and `to` in epoch milliseconds.
    pub dashboard_url: Option<String>,
    /// What a rule's `runbook_url` is below when it is a path; for the links of pages.
    pub runbook_url: Option<String>,
}

impl Default for PagingConfig {
    fn default() -> Self {
        Self {
            state_dir: None,
            opened_per_minute_max: 5,
            update_interval: Span::from_secs(300),
            flaps_max: 3,
            flap_quiet: Span::from_secs(900),
            restore_grace: Span::from_secs(600),
            external_url: None,
            dashboard_url: None,
            runbook_url: None,
        }
    }
}

impl PagingConfig {
    /// Everything that is wrong with the section.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut require = |holds: bool, key: &str, message: &str| {
            if !holds {
                problems.push(Problem { key: format!("paging.{key}"), message: message.to_owned() });
            }
        };
        let is_named = self.state_dir.as_ref().is_none_or(|directory| !directory.as_os_str().is_empty());
        require(is_named, "state_dir", "must name a directory");
        require((1..=100).contains(&self.opened_per_minute_max), "opened_per_minute_max", "must be from 1 to 100");
        require((1..=50).contains(&self.flaps_max), "flaps_max", "must be from 1 to 50");
        for (key, span) in [("update_interval", self.update_interval), ("flap_quiet", self.flap_quiet)] {
            require((10_000..=86_400_000).contains(&span.as_millis()), key, "must lie between 10s and 1d");
        }
        let grace_ms = self.restore_grace.as_millis();
        require((10_000..=86_400_000).contains(&grace_ms), "restore_grace", "must lie between 10s and 1d");
        let urls = [
            ("external_url", &self.external_url),
            ("dashboard_url", &self.dashboard_url),
            ("runbook_url", &self.runbook_url),
        ];
        for (key, url) in urls {
            let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
            require(url.as_ref().is_none_or(is_url), key, "must begin with http:// or https://");
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_key_is_named() {
        let config = PagingConfig {
            opened_per_minute_max: 0,
            flap_quiet: Span::from_secs(1),
            external_url: Some("floodmark.example.com".to_owned()),
            runbook_url: Some("alerts/runbooks".to_owned()),
            ..PagingConfig::default()
        };
        let keys: Vec<String> = config.problems().into_iter().map(|problem| problem.key).collect();
        let expected =
            ["paging.opened_per_minute_max", "paging.flap_quiet", "paging.external_url", "paging.runbook_url"];
        assert_eq!(keys, expected);
        assert!(PagingConfig::default().problems().is_empty());
    }
}
