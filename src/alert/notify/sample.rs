//! A page like those that wake people: for documentation and tests, and, marked, to try a receiver with.

use crate::model::{
    Affected, AlertName, Cause, Confidence, Contributor, Customer, Dimension, Dimensions, Page, PageAlert, PageEvent,
    PageLinks, RuleWords, RuledOut, SampleRequest, Severity, Timestamp, Transition, TransitionEvent,
};

/// 2026-03-01T10:10:00Z.
pub(super) const SINCE: Timestamp = Timestamp::from_millis(1_772_359_800_000);
const KEY: &str = "20260301T101000Z-retry-amplification-3f9c";
const RUNBOOKS: &str = "https://git.example.com/floodmark/blob/main/alerts/runbooks";

/// A retry storm, opened five minutes after it began.
#[must_use]
pub fn page() -> Page {
    Page {
        dedup_key: KEY.into(),
        revision: 1,
        event: PageEvent::Opened,
        severity: Severity::Critical,
        title: "[CRITICAL] kameleo-cli 4.0.0: repeats failed requests".to_owned(),
        at: SINCE.plus(300_000),
        since: SINCE,
        resolved_at: None,
        impact: "12 % of all requests fail; 41 customers with 37 % of the traffic feel it".to_owned(),
        lead: alert(AlertName::RetryAmplification, Severity::Critical, &culprit(), 9.8, 1.05, "attempts per request"),
        rule: RuleWords::new("A client repeats failed requests without limit and floods the platform", ""),
        alerts: vec![alert(AlertName::ErrorBudgetBurn, Severity::Critical, &service(), 0.12, 0.001, "ratio")],
        alerts_more: 2,
        contributors: vec![contributor("sub-1003", 0.31), contributor("sub-1001", 0.22)],
        contributors_more: 39,
        causes: vec![cause()],
        ruled_out: vec![RuledOut {
            candidate: "memory growth of container/monitoring-agent".to_owned(),
            why: "it grew an hour before the onset, while the platform was healthy".to_owned(),
        }],
        affected: Affected { subscriptions: 41, requests_share: 0.37 },
        customers: vec![
            Customer { subscription: "sub-1003".into(), share: 0.31 },
            Customer { subscription: "sub-1001".into(), share: 0.22 },
        ],
        sample_requests: vec![SampleRequest {
            request_id: "6f2d1c9a8e074b53".into(),
            timestamp: SINCE.plus(297_412),
            subscription: "sub-1003".into(),
            route: "StartProfile".into(),
            status: 503,
            duration_ms: 2_140.5,
        }],
        sample_queries: Vec::new(),
        actions: vec![
            "Limit sub-1003 and sub-1001 at the gateway now (429 with Retry-After).".to_owned(),
            "Ask these customers to go back from kameleo-cli 4.0.0; withdraw the release.".to_owned(),
        ],
        confidence: "client_version = 4.0.0 is behind it; high: direct evidence, others refused".to_owned(),
        acknowledged_by: None,
        links: links(),
    }
}

/// As with `paging.external_url`, `dashboard_url` and `runbook_url`.
fn links() -> PageLinks {
    let floodmark = "https://floodmark.example.com";
    PageLinks {
        incident: Some(format!("{floodmark}/incidents/{KEY}")),
        dashboard: Some("https://grafana.example.com/d/floodmark?from=1772358000000&to=1772361900000".to_owned()),
        query: Some(format!("{floodmark}/api/v1/alerts/history?key={KEY}")),
        runbook: Some(format!("{RUNBOOKS}/retry-amplification.md")),
    }
}

/// The same page at its end, twenty minutes later.
#[must_use]
pub fn resolved_page() -> Page {
    let end = SINCE.plus(1_500_000);
    let mut page = Page { event: PageEvent::Resolved, revision: 3, at: end, resolved_at: Some(end), ..page() };
    page.lead.resolved_at = Some(end);
    page.alerts.iter_mut().for_each(|alert| alert.resolved_at = Some(end));
    page
}

/// A page that says of itself that nothing is wrong, for trying a receiver at `now`.
#[must_use]
pub fn trial_page(now: Timestamp) -> Page {
    let sample = page();
    let mut page = Page {
        dedup_key: format!("floodmark-test-{}", now.as_millis()).into(),
        severity: Severity::Info,
        title: "[INFO] floodmark test: nothing is wrong".to_owned(),
        at: now,
        since: now,
        impact: "none: somebody tries this receiver with `floodmark alerts test-receiver`".to_owned(),
        actions: vec!["Nothing. What follows is made up.".to_owned()],
        links: PageLinks::default(),
        ..sample
    };
    for alert in std::iter::once(&mut page.lead).chain(&mut page.alerts) {
        (alert.severity, alert.since) = (Severity::Info, now);
    }
    page
}

/// A transition that belongs to [`trial_page`].
#[must_use]
pub fn trial_transition(now: Timestamp, event: TransitionEvent) -> Transition {
    let page = trial_page(now);
    Transition {
        at: now,
        event,
        alert: page.lead.alert,
        severity: page.severity,
        incident: page.dedup_key,
        since: now,
        labels: Dimensions::new([(Dimension::Client, "floodmark-test".into())]),
        value: page.lead.value,
        baseline: page.lead.baseline,
        unit: "attempts per request",
        causes: Vec::new(),
        affected: Affected::default(),
        summary: page.title,
        runbook: page.lead.runbook,
    }
}

fn culprit() -> Dimensions {
    Dimensions::new([(Dimension::Client, "kameleo-cli".into()), (Dimension::ClientVersion, "4.0.0".into())])
}

fn service() -> Dimensions {
    Dimensions::new([(Dimension::Service, "api".into())])
}

fn alert(name: AlertName, severity: Severity, labels: &Dimensions, value: f64, baseline: f64, unit: &str) -> PageAlert {
    let (summary, runbook) = match name {
        AlertName::ErrorBudgetBurn => ("12 % of requests to service api failed in the last 5m", "error-budget-burn.md"),
        _ => ("kameleo-cli 4.0.0 repeats failed requests", "retry-amplification.md"),
    };
    PageAlert {
        alert: name,
        severity,
        labels: labels.clone(),
        since: SINCE,
        resolved_at: None,
        value,
        baseline,
        unit: unit.into(),
        summary: summary.to_owned(),
        runbook: format!("{RUNBOOKS}/{runbook}").into(),
    }
}

fn contributor(subscription: &str, share: f64) -> Contributor {
    Contributor { dimensions: Dimensions::new([(Dimension::Subscription, subscription.into())]), share }
}

fn cause() -> Cause {
    Cause {
        dimensions: Dimensions::new([(Dimension::ClientVersion, "4.0.0".into())]),
        share: 0.93,
        confidence: Confidence::High,
        evidence: "9.8 attempts per request against 1.02 of every other version".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::alert::Rules;
    use crate::alert::paging::{Decided, Pager, PagerSettings};
    use crate::model::{Output, Transition, samples};

    #[test]
    fn the_sample_has_the_links_that_pages_have() {
        let settings = PagerSettings {
            rules: Arc::new(Rules::shipped().unwrap()),
            opened_per_minute_max: 5,
            flaps_max: 3,
            external_url: Some("https://floodmark.example.com".to_owned()),
            dashboard_url: Some("https://grafana.example.com/d/floodmark".to_owned()),
            runbook_url: Some("https://git.example.com/floodmark/blob/main".to_owned()),
            ..PagerSettings::default()
        };
        let runbook = "alerts/runbooks/retry-amplification.md".into();
        let transition = Transition { runbook, ..samples::transition() };
        let at = transition.at;
        let outputs = [Output::Transition(transition)];
        let decided = Decided { outputs: &outputs, watermark: Some(at), reports: &[] };
        let told = Pager::new(settings).step(&decided, at)[0].page.clone();
        let sample = page();
        assert_eq!(told.rule, sample.rule);
        assert_eq!(told.dedup_key, sample.dedup_key);
        assert_eq!(told.lead.runbook, sample.lead.runbook);
        assert_eq!(told.links, sample.links);
    }
}
