//! A page as it is told.

use super::page_state::{Facts, PageKind, PageState};
use super::settings::PagerSettings;
use super::words;
use crate::model::{
    Contributor, Dimension, Dimensions, DurationMs, PAGE_ROWS_MAX, Page, PageAlert, PageEvent, PageLinks, Text,
};

/// A dashboard shows this much before and after.
const MARGIN_MS: DurationMs = 1_800_000;

impl PageState {
    /// The page as of now; `None` when nothing of it is remembered any more.
    pub(super) fn render(&self, event: PageEvent, settings: &PagerSettings) -> Option<Page> {
        let lead = &self.lead()?.alert;
        let (mut alerts, alerts_more) = self.further_alerts(lead);
        let links = self.links(lead, settings);
        let mut lead = lead.clone();
        std::iter::once(&mut lead).chain(&mut alerts).for_each(|alert| alert.runbook = runbook(alert, settings));
        let (contributors, contributors_more) = self.contributors_told();
        let Facts { causes, ruled_out, affected, customers, sample_requests, sample_queries, actions } = &self.facts;
        Some(Page {
            dedup_key: self.key.clone(),
            revision: self.said.revision,
            event,
            severity: self.severity,
            title: words::title(self, &lead),
            at: self.at,
            since: self.since,
            resolved_at: self.resolved_at,
            impact: words::impact(self),
            rule: settings.rules.words_of(lead.alert, lead.severity, &lead.labels, lead.value),
            lead,
            alerts,
            alerts_more,
            contributors,
            contributors_more,
            causes: causes.iter().take(PAGE_ROWS_MAX).cloned().collect(),
            ruled_out: ruled_out.clone(),
            affected: *affected,
            customers: customers.clone(),
            sample_requests: sample_requests.clone(),
            sample_queries: sample_queries.clone(),
            actions: actions.clone(),
            confidence: words::confidence(causes),
            acknowledged_by: self.acknowledgement.as_ref().map(|taken| taken.author.clone()),
            links,
        })
    }

    fn further_alerts(&self, lead: &PageAlert) -> (Vec<PageAlert>, u64) {
        let mut others: Vec<&PageAlert> = self.alerts.iter().map(|known| &known.alert).collect();
        // The lead is one of them, once.
        if let Some(place) = others.iter().position(|alert| *alert == lead) {
            others.remove(place);
        }
        others.sort_by_key(|alert| (std::cmp::Reverse(alert.severity), alert.resolved_at.is_some(), alert.since));
        let alerts: Vec<PageAlert> = others.into_iter().take(PAGE_ROWS_MAX).cloned().collect();
        let more = self.members.saturating_sub(alerts.len() as u64 + 1);
        (alerts, more)
    }

    fn contributors_told(&self) -> (Vec<Contributor>, u64) {
        if self.is_storm() {
            let told = self.shares(PAGE_ROWS_MAX);
            let more = self.contributors_total.saturating_sub(told.len() as u64);
            return (told, more);
        }
        let of_customer = |customer: &crate::model::Customer| Contributor {
            dimensions: Dimensions::new([(Dimension::Subscription, customer.subscription.clone())]),
            share: customer.share,
        };
        let mut all: Vec<Contributor> = self.facts.customers.iter().map(of_customer).collect();
        if all.is_empty() {
            let named = self.facts.causes.iter().filter(|cause| !cause.dimensions.is_empty());
            all.extend(named.map(|cause| Contributor { dimensions: cause.dimensions.clone(), share: cause.share }));
        }
        let more =
            (all.len() as u64).max(if self.facts.customers.is_empty() { 0 } else { self.facts.affected.subscriptions });
        all.truncate(PAGE_ROWS_MAX);
        let more = more.saturating_sub(all.len() as u64);
        (all, more)
    }

    fn links(&self, lead: &PageAlert, settings: &PagerSettings) -> PageLinks {
        let external = settings.external_url.as_deref();
        let dashboard = settings.dashboard_url.as_deref().map(|url| {
            let joint = if url.contains('?') { '&' } else { '?' };
            let until = self.resolved_at.unwrap_or(self.at).plus(MARGIN_MS).as_millis();
            format!("{url}{joint}from={}&to={until}", self.since.plus(-MARGIN_MS).as_millis())
        });
        PageLinks {
            // A storm is of many incidents, and has no page of its own in the console.
            incident: external.map(|url| match self.kind {
                PageKind::Incident => format!("{url}/incidents/{}", self.key),
                PageKind::Storm => format!("{url}/alerts"),
            }),
            dashboard,
            query: external.map(|url| format!("{url}/api/v1/alerts/history?key={}", self.key)),
            // A path leads nowhere from a chat; it is told as text.
            runbook: Some(runbook(lead, settings).to_string()).filter(|url| is_http_url(url)),
        }
    }
}

/// The runbook of an alert: a path goes below the base, when there is one.
fn runbook(alert: &PageAlert, settings: &PagerSettings) -> Text {
    match settings.runbook_url.as_deref() {
        Some(base) if !alert.runbook.is_empty() && !is_http_url(&alert.runbook) => {
            format!("{base}/{}", alert.runbook.trim_start_matches('/')).into()
        }
        _ => alert.runbook.clone(),
    }
}

fn is_http_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::paging::{Decided, Pager};
    use crate::model::{Output, Timestamp, Transition, samples};

    fn opened(settings: PagerSettings, runbook: &str) -> Page {
        let transition = Transition { runbook: runbook.into(), ..samples::transition() };
        let at: Timestamp = transition.at;
        let outputs = [Output::Transition(transition)];
        let settings = PagerSettings { opened_per_minute_max: 5, flaps_max: 3, ..settings };
        let changes = Pager::new(settings).step(&Decided { outputs: &outputs, watermark: Some(at), reports: &[] }, at);
        changes[0].page.clone()
    }

    fn with_urls() -> PagerSettings {
        PagerSettings {
            external_url: Some("https://floodmark.example.com".to_owned()),
            dashboard_url: Some("https://grafana.example.com/d/floodmark".to_owned()),
            runbook_url: Some("https://git.example.com/floodmark/blob/main".to_owned()),
            ..PagerSettings::default()
        }
    }

    #[test]
    fn a_path_is_a_link_only_below_a_base() {
        let path = "alerts/runbooks/retry-amplification.md";
        let page = opened(PagerSettings::default(), path);
        assert_eq!(page.links, PageLinks::default());
        assert_eq!(page.lead.runbook, path);
        let page = opened(with_urls(), path);
        let url = format!("https://git.example.com/floodmark/blob/main/{path}");
        assert_eq!((page.links.runbook.as_deref(), page.lead.runbook.as_str()), (Some(url.as_str()), url.as_str()));
        for settings in [PagerSettings::default(), with_urls()] {
            let page = opened(settings, "https://wiki.example.com/x");
            assert_eq!(page.links.runbook.as_deref(), Some("https://wiki.example.com/x"), "a URL stays what it is");
        }
        assert_eq!(opened(with_urls(), "").links.runbook, None);
    }

    #[test]
    fn an_incident_is_a_page_of_the_console_and_a_storm_is_its_alerts() {
        let link = |cap: usize| {
            let transition = samples::transition();
            let (incident, at) = (transition.incident.clone(), transition.at);
            let settings = PagerSettings { opened_per_minute_max: cap, flaps_max: 3, ..with_urls() };
            let decided = Decided { outputs: &[Output::Transition(transition)], watermark: Some(at), reports: &[] };
            (incident, Pager::new(settings).step(&decided, at)[0].page.links.incident.clone().unwrap())
        };
        let (incident, own) = link(5);
        assert_eq!(own, format!("https://floodmark.example.com/incidents/{incident}"));
        assert_eq!(link(0).1, "https://floodmark.example.com/alerts");
    }
}
