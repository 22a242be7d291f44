//! The HTTP API: the real router on a loopback port, asked by a real client.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ALLOW, CONTENT_TYPE};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use floodmark::api::{self, ApiState, Component, ComponentStatus, ConsoleSettings, Health, Tokens, View};
use floodmark::metrics::{CONTENT_TYPE as OPENMETRICS, Metrics};
use floodmark::model::{AlertName, Customer, IncidentReport, Severity, Timestamp, Transition, TransitionEvent};

use crate::samples;

struct Service {
    base: String,
    client: Client,
    view: watch::Sender<Arc<View>>,
    health: Health,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

/// A client that does no TLS and asks no proxy.
pub fn client() -> Client {
    // Fails only when another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}

impl Service {
    async fn start() -> Self {
        let health = Health::new(samples::noon());
        let (view, view_receiver) = watch::channel(Arc::new(View::default()));
        let metrics = Arc::new(Metrics::new());
        let (readiness, tokens) = (health.subscribe(), Tokens::default());
        let state = ApiState {
            view: view_receiver,
            readiness,
            metrics: Arc::clone(&metrics),
            tokens,
            ingest: None,
            reload: None,
            paging: None,
            events: None,
            console: ConsoleSettings::default(),
            queries: None,
            limits: None,
            status: None,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let served = tokio::spawn(api::serve(listener, api::router(state), None, stop.clone()));
        Self { base, client: client(), view, health, metrics, stop, served }
    }

    fn publish(&self, alerts: Vec<Transition>, open: Vec<IncidentReport>, ended: &[IncidentReport]) {
        let mut view = View::default();
        view.set_active(alerts, open);
        ended.iter().for_each(|report| view.end_incident(report));
        view.watermark = Some(samples::noon());
        self.view.send_replace(Arc::new(view));
    }

    async fn request(&self, method: Method, path: &str) -> Response {
        self.client.request(method, format!("{}{path}", self.base)).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).await
    }

    async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }
}

/// The problem in `response`, checked for what every problem has.
async fn problem(response: Response, status: u16, code: &str) -> Value {
    assert_eq!(response.status().as_u16(), status);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body: Value = response.json().await.unwrap();
    assert_eq!((body["code"].as_str(), body["status"].as_u64()), (Some(code), Some(u64::from(status))));
    assert_eq!(body["request_id"].as_str(), Some(id.as_str()));
    body
}

#[tokio::test]
async fn health_says_what_is_wrong_and_503_only_when_nothing_can_be_detected() {
    let service = Service::start().await;
    assert_eq!(service.json("/livez").await["status"], "ok");
    let at = |seconds: i64| samples::noon().plus(seconds * 1_000);

    let response = service.get("/readyz").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.json::<Value>().await.unwrap()["status"], "unavailable");

    for component in Component::ALL {
        service.health.set(component, ComponentStatus::Ok, "", at(1));
    }
    assert_eq!(service.json("/readyz").await["status"], "ok");

    service.health.set(Component::Clickhouse, ComponentStatus::Down, "connection refused", at(2));
    let response = service.get("/readyz").await;
    assert_eq!(response.status(), StatusCode::OK);
    insta::assert_snapshot!(response.text().await.unwrap());

    service.health.set(Component::Kafka, ComponentStatus::Down, "", at(3));
    assert_eq!(service.get("/readyz").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(service.get("/livez").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn metrics_are_openmetrics() {
    let service = Service::start().await;
    service.metrics.set_watermark(samples::noon());
    let response = service.get("/metrics").await;
    assert_eq!(response.headers()[CONTENT_TYPE], OPENMETRICS);
    let text = response.text().await.unwrap();
    assert!(text.ends_with("# EOF\n") && text.contains("floodmark_watermark_age_seconds{} "), "{text}");
}

#[tokio::test]
async fn alerts_are_the_current_ones_worst_first_and_can_be_filtered() {
    let service = Service::start().await;
    assert_eq!(service.json("/api/v1/alerts").await["alerts"], Value::Array(Vec::new()));

    let firing = samples::transition("4.0.0", TransitionEvent::Firing);
    let restarts = Transition {
        alert: AlertName::RestartLoop,
        severity: Severity::Warning,
        since: samples::noon().plus(-3_600_000),
        ..firing.clone()
    };
    let pending = samples::transition("4.1.0", TransitionEvent::Pending);
    service.publish(vec![pending, restarts, firing.clone()], Vec::new(), &[]);

    let body = service.json("/api/v1/alerts").await;
    assert_eq!(body["watermark"], "2026-03-01T12:00:00Z");
    assert_eq!(body["alerts"][0], serde_json::to_value(&firing).unwrap(), "the contract's object");
    let names = |body: &Value| -> Vec<String> {
        let alerts = body["alerts"].as_array().unwrap().iter();
        alerts.map(|a| format!("{} {}", a["alert"].as_str().unwrap(), a["event"].as_str().unwrap())).collect()
    };
    assert_eq!(names(&body), ["RetryAmplification firing", "RetryAmplification pending", "RestartLoop firing"]);
    for (query, expected) in [
        ("severity=warning", vec!["RestartLoop firing"]),
        ("state=pending", vec!["RetryAmplification pending"]),
        ("alert=RetryAmplification&state=firing", vec!["RetryAmplification firing"]),
        ("alert=MemoryExhaustion", vec![]),
    ] {
        assert_eq!(names(&service.json(&format!("/api/v1/alerts?{query}")).await), expected, "{query}");
    }
}

#[tokio::test]
async fn incidents_are_open_first_and_can_be_asked_for_one_by_one() {
    let service = Service::start().await;
    let noon: Timestamp = samples::noon();
    let ended = samples::incident("ended", noon, Some(noon.plus(1_000)));
    let customers = vec![Customer { subscription: "acme".into(), share: 0.4 }];
    let newer = IncidentReport {
        customers,
        actions: vec!["Limit acme at the gateway.".to_owned()],
        ..samples::incident("newer", noon, None)
    };
    let lingering = samples::incident("lingering", noon.plus(-1_000), Some(noon));
    service.publish(Vec::new(), vec![lingering, newer.clone()], &[ended]);
    let body = service.json("/api/v1/incidents").await;
    assert_eq!(body["incidents"][0], serde_json::to_value(&newer).unwrap(), "the contract's object");
    assert_eq!(body["incidents"][1]["ended_at"], "2026-03-01T12:00:00Z", "open, with all alerts resolved");
    let ids: Vec<&str> =
        body["incidents"].as_array().unwrap().iter().map(|i| i["incident"].as_str().unwrap()).collect();
    assert_eq!(ids, ["newer", "lingering", "ended"]);
    let one = service.json("/api/v1/incidents/ended").await;
    assert_eq!((&one["event"], &one["ended_at"]), (&"incident".into(), &"2026-03-01T12:00:01Z".into()));
    problem(service.get("/api/v1/incidents/never").await, 404, "not_found").await;
    problem(service.get("/api/v1/incidents/%FF").await, 404, "not_found").await;
}

#[tokio::test]
async fn errors_are_problems() {
    let service = Service::start().await;
    let body = problem(service.get("/nowhere").await, 404, "not_found").await;
    assert!(body["detail"].as_str().unwrap().contains("/nowhere"));

    let response = service.request(Method::POST, "/api/v1/alerts").await;
    assert_eq!(response.headers()[ALLOW], "GET,HEAD");
    problem(response, 405, "method_not_allowed").await;

    let body = problem(service.get("/api/v1/alerts?severity=loud&x=1").await, 400, "bad_parameter").await;
    let named: Vec<&str> =
        body["errors"].as_array().unwrap().iter().map(|e| e["parameter"].as_str().unwrap()).collect();
    assert_eq!(named, ["severity", "x"]);
    problem(service.get("/api/v1/incidents?x=1").await, 400, "bad_parameter").await;
}

#[tokio::test]
async fn the_clients_request_id_is_kept_when_it_is_plain() {
    let service = Service::start().await;
    let ask =
        |id: &'static str| service.client.get(format!("{}/nowhere", service.base)).header("x-request-id", id).send();
    let body = problem(ask("trace-7").await.unwrap(), 404, "not_found").await;
    assert_eq!(body["request_id"], "trace-7");
    let body = problem(ask("a \"quoted\" one").await.unwrap(), 404, "not_found").await;
    assert_ne!(body["request_id"], "a \"quoted\" one");
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let service = Service::start().await;
    for path in ["/livez", "/metrics", "/api/v1/alerts", "/api/v1/incidents"] {
        let response = service.request(Method::HEAD, path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(response.headers()[CONTENT_TYPE], service.get(path).await.headers()[CONTENT_TYPE]);
        assert!(response.bytes().await.unwrap().is_empty());
    }
    assert_eq!(service.request(Method::HEAD, "/readyz").await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn the_server_ends_when_told_although_a_client_holds_its_connection() {
    let service = Service::start().await;
    // The client's pool keeps this connection open.
    service.json("/livez").await;
    service.stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), service.served).await.expect("ends").unwrap().unwrap();
}
