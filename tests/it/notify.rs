//! Notifications: the real sending loop against a real HTTP server that stands for other people's endpoints.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use floodmark::alert::notify::{CHANNEL_BOUND, Inlets, Notifier, Pace, Surroundings, webhook_id};
use floodmark::api::{Component, ComponentStatus, Health, Readiness};
use floodmark::clock;
use floodmark::config::{AlertmanagerConfig, NotifyConfig, Span, WebhookConfig};
use floodmark::metrics::Metrics;
use floodmark::model::{Timestamp, Transition, TransitionEvent};

use crate::samples;

/// Longest wait for something that should happen in milliseconds.
const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone)]
struct Received {
    path: String,
    id: Option<String>,
    content_type: String,
    body: Value,
}

/// Somebody's endpoint: answers as told (200 after that) and keeps what it got.
#[derive(Debug, Clone)]
struct Endpoint {
    url: String,
    answers: Arc<Mutex<VecDeque<u16>>>,
    received: watch::Sender<Vec<Received>>,
}

impl Endpoint {
    async fn start(answers: &[u16]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            answers: Arc::new(Mutex::new(answers.iter().copied().collect())),
            received: watch::Sender::new(Vec::new()),
        };
        let router = Router::new().fallback(receive).with_state(endpoint.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        endpoint
    }

    /// Waits until what was received satisfies `enough`.
    async fn wait(&self, enough: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let mut receiver = self.received.subscribe();
        let waited = tokio::time::timeout(DEADLINE, receiver.wait_for(|received| enough(received))).await;
        waited.unwrap_or_else(|_| panic!("not enough by the deadline: {:?}", self.received.borrow())).unwrap().clone()
    }

    async fn wait_count(&self, count: usize) -> Vec<Received> {
        self.wait(|received| received.len() >= count).await
    }
}

async fn receive(State(endpoint): State<Endpoint>, uri: Uri, headers: HeaderMap, body: String) -> StatusCode {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let received = Received {
        path: uri.path().to_owned(),
        id: text("webhook-id"),
        content_type: text("content-type").unwrap_or_default(),
        body: serde_json::from_str(&body).unwrap(),
    };
    // 0 stands for an endpoint that never answers.
    let answer = endpoint.answers.lock().unwrap().pop_front().unwrap_or(200);
    endpoint.received.send_modify(|all| all.push(received));
    if answer == 0 {
        std::future::pending::<()>().await;
    }
    StatusCode::from_u16(answer).unwrap()
}

/// The notifier under test, at a pace of milliseconds.
struct Running {
    sender: mpsc::Sender<Arc<Transition>>,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
    metrics: Arc<Metrics>,
    health: watch::Receiver<Readiness>,
}

fn pace() -> Pace {
    Pace { backoff_first: Duration::from_millis(5), backoff_max: Duration::from_millis(20), ..Pace::default() }
}

impl Running {
    fn start(config: &NotifyConfig, pace: Pace) -> Self {
        let metrics = Arc::new(Metrics::new());
        let health = Arc::new(Health::new(clock::now()));
        let surroundings = Surroundings {
            pace,
            metrics: &metrics,
            health: &health,
            rules: watch::channel(Arc::default()).1,
            kafka: None,
            state_dir: None,
            view: None,
            stream: None,
            subscribers: &[],
        };
        let notifier = Notifier::new(config, surroundings).unwrap();
        let (sender, receiver) = mpsc::channel(CHANNEL_BOUND);
        let inlets = Inlets { transitions: receiver, pages: mpsc::channel(1).1, news: mpsc::channel(1).1 };
        let stop = CancellationToken::new();
        let ended = tokio::spawn(notifier.run(inlets, stop.clone()));
        Self { sender, stop, ended, metrics, health: health.subscribe() }
    }

    async fn send(&self, transition: &Transition) {
        self.sender.send(Arc::new(transition.clone())).await.unwrap();
    }

    /// Stops and waits for the end.
    async fn stop(self) -> Arc<Metrics> {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.ended).await.expect("ends").unwrap();
        self.metrics
    }
}

fn counted(metrics: &Metrics, receiver: &str, outcome: &str) -> u64 {
    let series = format!("floodmark_notifications_total{{receiver=\"{receiver}\",outcome=\"{outcome}\"}} ");
    let text = metrics.encode(Timestamp::default());
    text.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).expect("the series is there")
}

fn webhooks(endpoints: &[&Endpoint]) -> NotifyConfig {
    let webhook = |endpoint: &&Endpoint| WebhookConfig {
        url: format!("{}/hook/secret", endpoint.url),
        timeout: Span::from_secs(10),
    };
    NotifyConfig { webhooks: endpoints.iter().map(webhook).collect(), ..NotifyConfig::default() }
}

fn alertmanagers(endpoints: &[&Endpoint]) -> NotifyConfig {
    let alertmanager = AlertmanagerConfig {
        // One with a trailing slash: both spellings are usual.
        urls: endpoints.iter().enumerate().map(|(i, e)| format!("{}{}", e.url, "/".repeat(i % 2))).collect(),
        resend_interval: Span::from_millis(20),
        timeout: Span::from_secs(10),
    };
    NotifyConfig { alertmanager: Some(alertmanager), ..NotifyConfig::default() }
}

#[tokio::test]
async fn a_webhook_gets_every_transition_in_order_although_it_fails_at_first() {
    let endpoint = Endpoint::start(&[503, 429]).await;
    let running = Running::start(&webhooks(&[&endpoint]), pace());
    let transitions = [TransitionEvent::Pending, TransitionEvent::Firing, TransitionEvent::Resolved]
        .map(|e| samples::transition("4", e));
    for transition in &transitions {
        running.send(transition).await;
    }
    let received = endpoint.wait_count(5).await;
    let events: Vec<&str> = received.iter().map(|r| r.body["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["pending", "pending", "pending", "firing", "resolved"]);
    let ids: Vec<_> = received.iter().map(|r| r.id.clone().unwrap()).collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2], "a repeat keeps its id");
    assert_eq!(ids[3], webhook_id(&transitions[1]));
    assert_eq!(received[4].body, serde_json::to_value(&transitions[2]).unwrap());
    assert_eq!((received[0].path.as_str(), received[0].content_type.as_str()), ("/hook/secret", "application/json"));
    let metrics = running.stop().await;
    assert_eq!((counted(&metrics, "webhook", "delivered"), counted(&metrics, "webhook", "retried")), (3, 2));
}

#[tokio::test]
async fn a_refusal_is_final_and_the_next_transition_is_sent() {
    let endpoint = Endpoint::start(&[400]).await;
    let mut running = Running::start(&webhooks(&[&endpoint]), pace());
    running.send(&samples::transition("4", TransitionEvent::Firing)).await;
    let degraded = |readiness: &Readiness| {
        let notify = readiness.components().iter().find(|c| c.name == Component::Notify).unwrap();
        notify.status == ComponentStatus::Degraded && notify.detail.contains("400") && !notify.detail.contains("secret")
    };
    tokio::time::timeout(DEADLINE, running.health.wait_for(degraded)).await.expect("degraded").unwrap();
    running.send(&samples::transition("4", TransitionEvent::Resolved)).await;
    let received = endpoint.wait_count(2).await;
    assert_eq!(received[1].body["event"], "resolved");
    let metrics = running.stop().await;
    assert_eq!(endpoint.received.borrow().len(), 2);
    assert_eq!((counted(&metrics, "webhook", "refused"), counted(&metrics, "webhook", "delivered")), (1, 1));
}

#[tokio::test]
async fn a_receiver_that_never_answers_does_not_hold_up_another() {
    let (stuck, quick) = (Endpoint::start(&[0]).await, Endpoint::start(&[]).await);
    let mut config = webhooks(&[&stuck, &quick]);
    config.webhooks[0].timeout = Span::from_millis(200);
    let running = Running::start(&config, pace());
    for i in 0..20 {
        running.send(&samples::transition(&i.to_string(), TransitionEvent::Firing)).await;
    }
    quick.wait_count(20).await;
    let stuck_has = stuck.wait_count(21).await;
    assert_eq!(stuck_has[0].id, stuck_has[1].id, "timed out, then sent again");
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_delivered_in_time_is_given_up_and_counted() {
    let endpoint = Endpoint::start(&[503; 1_000]).await;
    let running = Running::start(&webhooks(&[&endpoint]), Pace { retry_for: Duration::from_millis(50), ..pace() });
    running.send(&samples::transition("4", TransitionEvent::Firing)).await;
    endpoint.wait_count(2).await;
    tokio::time::timeout(DEADLINE, async {
        while counted(&running.metrics, "webhook", "expired") == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("given up");
    running.stop().await;
}

#[tokio::test]
async fn a_stop_delivers_what_waits_but_does_not_wait_for_a_failing_receiver() {
    let (good, bad) = (Endpoint::start(&[]).await, Endpoint::start(&[503; 1_000]).await);
    let running = Running::start(&webhooks(&[&good, &bad]), Pace { backoff_first: DEADLINE * 100, ..pace() });
    for i in 0..5 {
        running.send(&samples::transition(&i.to_string(), TransitionEvent::Firing)).await;
    }
    let metrics = running.stop().await;
    assert_eq!(good.received.borrow().len(), 5);
    assert_eq!((counted(&metrics, "webhook", "delivered"), counted(&metrics, "webhook", "expired")), (5, 5));
}

fn ends_at(received: &Received) -> Timestamp {
    Timestamp::parse_rfc3339(received.body[0]["endsAt"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn every_alertmanager_replica_gets_firing_alerts_again_and_then_their_end() {
    let (one, other) = (Endpoint::start(&[]).await, Endpoint::start(&[503]).await);
    let running = Running::start(&alertmanagers(&[&one, &other]), pace());
    running.send(&samples::transition("4", TransitionEvent::Pending)).await;
    running.send(&samples::transition("4", TransitionEvent::Firing)).await;
    for replica in [&one, &other] {
        let received = replica.wait_count(4).await;
        assert_eq!(received[0].path, "/api/v2/alerts");
        let labels = serde_json::json!(
            {"alertname": "RetryAmplification", "client_version": "4", "severity": "critical"}
        );
        assert!(received.iter().all(|r| r.body.as_array().unwrap().len() == 1 && r.body[0]["labels"] == labels));
        assert_eq!(received[0].body[0]["startsAt"], "2026-03-01T11:59:00Z");
        assert!(received.windows(2).all(|pair| ends_at(&pair[0]) <= ends_at(&pair[1])), "each resend moves the end on");
        assert!(received.iter().all(|r| ends_at(r) > samples::noon().plus(1_000)), "firing ends after the wall clock");
    }
    running.send(&samples::transition("4", TransitionEvent::Resolved)).await;
    for replica in [&one, &other] {
        let resolved = |received: &[Received]| received.iter().filter(|r| ends_at(r) == samples::noon()).count();
        replica.wait(|received| resolved(received) >= 2).await;
        assert!(ends_at(replica.received.borrow().last().unwrap()) == samples::noon(), "resolved stays resolved");
    }
    let metrics = running.stop().await;
    assert_eq!(counted(&metrics, "alertmanager", "delivered"), 4, "fired and resolved, at two replicas");
    assert_eq!(counted(&metrics, "alertmanager", "retried"), 1);
}

#[tokio::test]
async fn alertmanager_is_told_of_a_resolved_alert_for_a_while_only() {
    let endpoint = Endpoint::start(&[]).await;
    let running =
        Running::start(&alertmanagers(&[&endpoint]), Pace { resolved_for: Duration::from_millis(100), ..pace() });
    running.send(&samples::transition("4", TransitionEvent::Resolved)).await;
    running.send(&samples::transition("5", TransitionEvent::Firing)).await;
    // The resolved alert disappears from the requests, the firing one stays.
    let firing_only = |received: &[Received]| {
        received
            .last()
            .is_some_and(|r| r.body.as_array().unwrap().len() == 1 && r.body[0]["labels"]["client_version"] == "5")
    };
    endpoint.wait(|received| received.len() >= 2 && firing_only(received)).await;
    running.stop().await;
}
