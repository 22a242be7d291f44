//! A real Alertmanager: alerts fire, are grouped, are resolved, and survive its restart, without a duplicate or a flap.

use std::collections::BTreeMap;
use std::time::Duration;

use floodmark::model::{AlertName, Dimension, Dimensions, Transition, TransitionEvent};
use serde_json::Value;

use crate::samples;
use crate::support::alertmanager::Alertmanager;
use crate::support::endpoint::{Endpoint, Received};
use crate::support::notifier::{Around, Running, config};
use crate::support::service::until;

/// `endsAt` is four times as far ahead: a machine that is busy must not make alerts end.
const RESEND: Duration = Duration::from_secs(4);

/// Two retry storms, which are one group, and a restart loop, which is another.
fn transitions(event: TransitionEvent) -> [Transition; 3] {
    let restarts = Transition {
        alert: AlertName::RestartLoop,
        labels: Dimensions::new([(Dimension::Source, "container/api-1".into())]),
        ..samples::transition("0", event)
    };
    [samples::transition("4", event), samples::transition("5", event), restarts]
}

/// Status of each alert, by notification, of one group.
fn told(received: &[Received], group: &str) -> Vec<BTreeMap<String, String>> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of_group = received.iter().map(Received::json).filter(|body| body["groupLabels"]["alertname"] == group);
    let statuses = |body: Value| {
        let alerts = body["alerts"].as_array().unwrap().iter();
        alerts.map(|alert| (text(&alert["fingerprint"]), text(&alert["status"]))).collect()
    };
    of_group.map(statuses).collect()
}

fn all_are(told: &[BTreeMap<String, String>], status: &str, count: usize) -> bool {
    told.last().is_some_and(|last| last.len() == count && last.values().all(|other| other == status))
}

#[tokio::test]
async fn alerts_fire_are_grouped_survive_its_restart_and_are_resolved_once() {
    let endpoint = Endpoint::start().await;
    let mut alertmanager = Alertmanager::start(&endpoint.url).await;
    let text = format!("[notify.alertmanager]\nurls = ['{}']\nresend_interval = '4s'\n", alertmanager.url());
    let running = Running::start(&config(&text), Around::default());
    for transition in transitions(TransitionEvent::Firing) {
        running.transition(&transition).await;
    }
    let fired = |received: &[Received]| {
        all_are(&told(received, "RetryAmplification"), "firing", 2)
            && all_are(&told(received, "RestartLoop"), "firing", 1)
    };
    let received = endpoint.until("two groups fire", fired).await;
    let body =
        received.iter().map(Received::json).find(|body| body["groupLabels"]["alertname"] == "RestartLoop").unwrap();
    let alert = &body["alerts"][0];
    assert_eq!(
        (&alert["labels"]["source"], &alert["labels"]["severity"]),
        (&"container/api-1".into(), &"critical".into())
    );
    assert_eq!(alert["startsAt"], "2026-03-01T11:59:00Z");
    assert!(alert["annotations"]["description"].as_str().unwrap().contains("normal is 1.05"));

    // It writes down what it has told after it was taken: both groups were looked at again since.
    const LOOKS: &str = "alertmanager_nflog_queries_total";
    let looks = alertmanager.metric(LOOKS).await;
    until("it looked at its groups again", async || (alertmanager.metric(LOOKS).await >= looks + 4.0).then_some(()))
        .await;
    alertmanager.stop().await;
    alertmanager.start_again().await;
    let back_since = tokio::time::Instant::now();
    until("its alerts are back", async || (alertmanager.alerts().await.len() == 3).then_some(())).await;
    let back_after = back_since.elapsed();
    assert!(back_after < RESEND, "{back_after:?}");
    // Resends, and with each several looks of its own at every group.
    const TAKEN: &str = "alertmanager_dispatcher_alert_processing_duration_seconds_count";
    until("it was told again and again", async || (alertmanager.metric(TAKEN).await >= 9.0).then_some(())).await;
    let groups = ["RetryAmplification", "RestartLoop"];
    let since = endpoint.received();
    assert_eq!(since.len(), received.len(), "told twice: {:?}", groups.map(|group| told(&since, group)));

    for transition in transitions(TransitionEvent::Resolved) {
        running.transition(&transition).await;
    }
    let resolved = |received: &[Received]| {
        all_are(&told(received, "RetryAmplification"), "resolved", 2)
            && all_are(&told(received, "RestartLoop"), "resolved", 1)
    };
    endpoint.until("two groups are resolved", resolved).await;
    until("nothing is active", async || alertmanager.alerts().await.is_empty().then_some(())).await;
    let taken = alertmanager.metric(TAKEN).await;
    until("it was told of the end again", async || (alertmanager.metric(TAKEN).await >= taken + 3.0).then_some(()))
        .await;
    for group in groups {
        let told = told(&endpoint.received(), group);
        assert!(told.windows(2).all(|pair| pair[0] != pair[1]), "a duplicate: {told:?}");
        for fingerprint in told[0].keys() {
            let mut statuses: Vec<&String> = told.iter().filter_map(|alerts| alerts.get(fingerprint)).collect();
            statuses.dedup();
            assert_eq!(statuses, ["firing", "resolved"], "a flap: {told:?}");
        }
    }
    running.stop().await;
}
