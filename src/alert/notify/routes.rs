//! Who gets what. Pure.

use std::collections::BTreeSet;

use crate::config::{LabelMatcher, NotifyConfig, ReceiverType};
use crate::model::{AlertName, Dimensions, Page, Severity, Transition};

/// What is to be routed.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    severity: Severity,
    alerts: Vec<(AlertName, &'a Dimensions)>,
}

impl<'a> From<&'a Page> for Subject<'a> {
    fn from(page: &'a Page) -> Self {
        let alerts = std::iter::once(&page.lead).chain(&page.alerts).map(|alert| (alert.alert, &alert.labels));
        Self { severity: page.severity, alerts: alerts.collect() }
    }
}

impl<'a> From<&'a Transition> for Subject<'a> {
    fn from(transition: &'a Transition) -> Self {
        Self { severity: transition.severity, alerts: vec![(transition.alert, &transition.labels)] }
    }
}

#[derive(Debug)]
struct Route {
    severity: Vec<Severity>,
    alert: Vec<AlertName>,
    labels: Vec<LabelMatcher>,
    receivers: Vec<String>,
    and_on: bool,
}

/// All routes, and the default.
#[derive(Debug, Default)]
pub(super) struct Routes {
    routes: Vec<Route>,
    /// Names, and whether they get only what is critical.
    default: Vec<(String, bool)>,
}

impl Routes {
    pub fn new(config: &NotifyConfig) -> Self {
        let route = |route: &crate::config::RouteConfig| Route {
            severity: route.severity.clone(),
            alert: route.alert.clone(),
            labels: route.matchers(),
            receivers: route.receivers.clone(),
            and_on: route.and_on,
        };
        let is_default = |name: &String| config.default_receivers.as_ref().is_none_or(|names| names.contains(name));
        let default = config.receivers.iter().filter(|receiver| is_default(&receiver.name));
        Self {
            routes: config.routes.iter().map(route).collect(),
            default: default.map(|r| (r.name.clone(), r.kind == ReceiverType::Pagerduty)).collect(),
        }
    }

    /// Names of those who get it: of the first route that matches, and of further ones while they say so; of none, the
    /// default.
    pub fn select<'a>(&'a self, subject: &Subject<'_>) -> BTreeSet<&'a str> {
        let mut selected = BTreeSet::new();
        let mut has_matched = false;
        for route in self.routes.iter().filter(|route| route.matches(subject)) {
            has_matched = true;
            selected.extend(route.receivers.iter().map(String::as_str));
            if !route.and_on {
                break;
            }
        }
        if !has_matched {
            let is_critical = subject.severity == Severity::Critical;
            let default = self.default.iter().filter(|(_, critical_only)| is_critical || !critical_only);
            selected.extend(default.map(|(name, _)| name.as_str()));
        }
        selected
    }
}

impl Route {
    fn matches(&self, subject: &Subject<'_>) -> bool {
        let is_alert = |(alert, labels): &(AlertName, &Dimensions)| {
            (self.alert.is_empty() || self.alert.contains(alert))
                && self.labels.iter().all(|m| (labels.get(m.dimension) == Some(m.value.as_str())) == m.is_equal)
        };
        (self.severity.is_empty() || self.severity.contains(&subject.severity)) && subject.alerts.iter().any(is_alert)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::notify::sample;
    use crate::model::Dimension;

    const RECEIVERS: &str = "[[receivers]]\nname = 'on-call'\nkind = 'pagerduty'\nrouting_key_file = 'k'\n\
                             [[receivers]]\nname = 'chat'\nkind = 'slack'\nurl_file = 'u'\n\
                             [[receivers]]\nname = 'audit'\nkind = 'webhook'\nurl = 'http://a'\n";

    fn select(routes: &str, page: &Page) -> String {
        let routes = Routes::new(&toml::from_str(&format!("{routes}\n{RECEIVERS}")).unwrap());
        routes.select(&page.into()).into_iter().collect::<Vec<_>>().join(" ")
    }

    fn page(severity: Severity) -> Page {
        Page { severity, ..sample::page() }
    }

    #[test]
    fn without_routes_all_get_all_but_pagerduty_only_what_is_critical() {
        assert_eq!(select("", &page(Severity::Critical)), "audit chat on-call");
        assert_eq!(select("", &page(Severity::Warning)), "audit chat");
        assert_eq!(select("default_receivers = ['on-call']", &page(Severity::Warning)), "");
        assert_eq!(select("default_receivers = ['on-call']", &page(Severity::Critical)), "on-call");
        let named = "[[routes]]\nreceivers = ['on-call']\nseverity = ['warning']\n";
        assert_eq!(select(named, &page(Severity::Warning)), "on-call", "a route that names it may send it more");
    }

    #[test]
    fn the_first_route_that_matches_decides_unless_it_says_continue() {
        let routes = |and_on| {
            format!(
                "[[routes]]\nreceivers = ['audit']\nalert = ['ErrorBudgetBurn']\ncontinue = {and_on}\n\
                 [[routes]]\nreceivers = ['chat']\nseverity = ['critical']\n[[routes]]\nreceivers = ['on-call']\n"
            )
        };
        assert_eq!(select(&routes(false), &page(Severity::Critical)), "audit");
        assert_eq!(select(&routes(true), &page(Severity::Critical)), "audit chat");
        assert_eq!(select(&routes(true), &page(Severity::Info)), "audit on-call");
    }

    #[test]
    fn alert_and_labels_are_those_of_one_alert() {
        let route = |rest: &str| format!("default_receivers = []\n[[routes]]\nreceivers = ['chat']\n{rest}\n");
        let page = page(Severity::Critical);
        for (rest, expected) in [
            ("labels = ['service=api']", "chat"),
            ("labels = ['service=api']\nalert = ['ErrorBudgetBurn']", "chat"),
            ("labels = ['service=api']\nalert = ['RetryAmplification']", ""),
            ("labels = ['client=kameleo-cli', 'client_version!=4.0.0']", ""),
            ("labels = ['client=kameleo-cli', 'client_version!=3.9.0']", "chat"),
            ("severity = ['warning', 'info']", ""),
        ] {
            assert_eq!(select(&route(rest), &page), expected, "{rest}");
        }
        assert_eq!(page.lead.labels.get(Dimension::Service), None);
    }
}
