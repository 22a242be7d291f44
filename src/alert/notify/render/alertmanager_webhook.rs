//! A page as Alertmanager tells its own webhooks (version 4): for the many receivers that understand nothing else.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::text::{number, parts};
use crate::model::{Page, PageAlert};

/// What Alertmanager writes for "not yet".
const NEVER: &str = "0001-01-01T00:00:00Z";

/// The body.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    version: &'static str,
    group_key: String,
    truncated_alerts: u64,
    status: &'static str,
    receiver: &'a str,
    group_labels: BTreeMap<&'static str, String>,
    common_labels: BTreeMap<&'static str, String>,
    common_annotations: BTreeMap<&'static str, String>,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    alerts: Vec<Alert<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    status: &'static str,
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: String,
}

/// A page is a group: its incident is what the alerts are grouped by.
pub(super) fn body<'a>(page: &'a Page, receiver: &'a str) -> Body<'a> {
    let link = page.links.incident.as_deref().unwrap_or_default();
    let alerts: Vec<Alert> =
        std::iter::once(&page.lead).chain(&page.alerts).map(|alert| wire(page, alert, link)).collect();
    Body {
        version: "4",
        group_key: format!("{{}}:{{incident={:?}}}", page.dedup_key.as_str()),
        truncated_alerts: page.alerts_more,
        status: status(page.resolved_at.is_some()),
        receiver,
        group_labels: BTreeMap::from([("incident", page.dedup_key.to_string())]),
        common_labels: common(alerts.iter().map(|alert| &alert.labels)),
        common_annotations: common(alerts.iter().map(|alert| &alert.annotations)),
        external_url: link,
        alerts,
    }
}

fn wire<'a>(page: &Page, alert: &PageAlert, link: &'a str) -> Alert<'a> {
    let mut labels: BTreeMap<&'static str, String> =
        alert.labels.0.iter().map(|(dimension, value)| (dimension.as_str(), value.to_string())).collect();
    labels.insert("alertname", alert.alert.to_string());
    labels.insert("severity", alert.severity.as_str().to_owned());
    labels.insert("incident", page.dedup_key.to_string());
    let resolved_at = alert.resolved_at.or(page.resolved_at);
    let annotations = BTreeMap::from([
        ("title", page.title.clone()),
        ("summary", alert.summary.clone()),
        ("description", description(page, alert)),
        ("runbook_url", alert.runbook.to_string()),
    ]);
    Alert {
        status: status(resolved_at.is_some()),
        fingerprint: fingerprint(&labels),
        labels,
        annotations,
        starts_at: alert.since.to_string(),
        ends_at: resolved_at.map_or_else(|| NEVER.to_owned(), |at| at.to_string()),
        generator_url: link,
    }
}

/// The number of this alert; with the lead, the whole page in words.
fn description(page: &Page, alert: &PageAlert) -> String {
    if !std::ptr::eq(alert, &page.lead) {
        return number(alert);
    }
    let part = |part: super::text::Part| format!("{}: {}", part.heading, part.lines.join("; "));
    parts(page).into_iter().map(part).collect::<Vec<_>>().join("\n")
}

fn status(is_resolved: bool) -> &'static str {
    if is_resolved { "resolved" } else { "firing" }
}

/// Sixteen hexadecimal digits that tell alerts apart, as Alertmanager's; the hash is another one.
fn fingerprint(labels: &BTreeMap<&'static str, String>) -> String {
    let hash = Sha256::digest(serde_json::to_vec(labels).unwrap_or_default());
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn common<'a>(mut all: impl Iterator<Item = &'a BTreeMap<&'static str, String>>) -> BTreeMap<&'static str, String> {
    let mut common = all.next().cloned().unwrap_or_default();
    for other in all {
        common.retain(|name, value| other.get(name) == Some(value));
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::notify::sample;

    #[test]
    fn a_group_that_fires() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&body(&sample::page(), "legacy")).unwrap());
    }

    #[test]
    fn a_group_that_is_resolved() {
        let page = sample::resolved_page();
        let body = body(&page, "legacy");
        assert!(body.status == "resolved" && body.alerts.iter().all(|alert| alert.status == "resolved"));
        assert_eq!(body.alerts[0].ends_at, "2026-03-01T10:35:00Z");
        assert_ne!(body.alerts[0].fingerprint, body.alerts[1].fingerprint);
    }
}
