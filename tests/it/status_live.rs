//! The status page of a running service: true while it works, honest when it cannot know, the same after a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use floodmark::clock;
use floodmark::config::{AutoPublish, ComponentConfig, FlowConfig, Span, StatusConfig, SubscriberConfig};
use floodmark::ingest::EventProducer;
use floodmark::model::{Event, Request};
use serde_json::{Value, json};

use crate::support::broker::TestBroker;
use crate::support::clickhouse::{fresh_database, shared_engine};
use crate::support::endpoint::Endpoint;
use crate::support::proxy::Proxy;
use crate::support::service::{Service, Setup, until};

/// An answer takes less than what asks an engine that is away would take, also on a busy machine.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// Requests of the present, thirty a tenth of a second.
struct Traffic {
    /// What every second one of them is answered with.
    status: Arc<AtomicU16>,
    stop: Arc<AtomicBool>,
}

impl Traffic {
    fn start(broker: &TestBroker) -> Self {
        let (status, stop) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicBool::new(false)));
        let mut producer = EventProducer::new(&broker.kafka, None).unwrap();
        let (answered, stopped) = (Arc::clone(&status), Arc::clone(&stop));
        std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for number in 0..30_u16 {
                    let status = if number % 2 == 0 { answered.load(Ordering::Relaxed) } else { 200 };
                    let request = Request {
                        timestamp: clock::now(),
                        subscription: format!("customer-{}", number % 7).into(),
                        service: Some("inner-gateway".into()),
                        route: "/v1/profiles".into(),
                        status,
                        duration_ms: 12.0,
                        ..Request::default()
                    };
                    // The broker may have gone.
                    let _ = producer.send_event(&Event::Request(request));
                }
                let _ = producer.flush();
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Self { status, stop }
    }

    fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// One component whose state follows within seconds, published by the machine.
fn page() -> StatusConfig {
    let api = ComponentConfig {
        name: "Public API".to_owned(),
        routes: vec!["/v1/profiles".to_owned()],
        worse_after: Span::from_secs(2),
        better_after: Span::from_secs(3),
        auto_publish: AutoPublish::PartialOutage,
        auto_publish_after: Span::from_secs(1),
        ..ComponentConfig::whole()
    };
    StatusConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        name: "Acme".to_owned(),
        url: "https://status.example.com".to_owned(),
        stale_after: Span::from_secs(6),
        unknown_after: Span::from_secs(12),
        components: vec![api],
        ..StatusConfig::default()
    }
}

fn setup(broker: &TestBroker) -> Setup {
    let mut setup = Setup::new(Some(&broker.kafka));
    setup.config.flow =
        FlowConfig { window: Span::from_secs(1), allowed_lateness: Span::from_millis(500), ..FlowConfig::default() };
    setup.config.kafka.as_mut().unwrap().idle_timeout = Span::from_millis(500);
    setup.config.status = Some(page());
    setup
}

/// What the public reads.
struct Public<'a> {
    service: &'a Service,
    url: String,
}

impl<'a> Public<'a> {
    async fn of(service: &'a Service) -> Self {
        let address = until("the status page is served", async || {
            let line = service.logged("serving the status page").pop()?;
            Some(line["fields"]["address"].as_str().or(line["address"].as_str()).unwrap().to_owned())
        });
        Self { service, url: format!("http://{}", address.await) }
    }

    async fn text(&self, path: &str) -> String {
        let asked = self.service.client().get(format!("{}{path}", self.url)).timeout(ANSWERED_WITHIN);
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    }

    async fn summary(&self) -> Value {
        serde_json::from_str(&self.text("/api/v2/summary.json").await).unwrap()
    }

    async fn until_state(&self, state: &str) -> Value {
        until(&format!("the component is {state}"), async || {
            let summary = self.summary().await;
            (summary["components"][0]["state"] == state).then_some(summary)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_kafka_and_clickhouse_the_page_answers_says_its_age_and_then_that_nothing_is_known() {
    let broker = TestBroker::start(1).await;
    let proxy = Proxy::start(&shared_engine().url).await;
    let mut setup = setup(&broker).with_database(&fresh_database().await);
    setup.config.clickhouse.url = Some(proxy.url.clone());
    let service = Service::start(&setup).await;
    service.until_ready("ok", "ok").await;
    let traffic = Traffic::start(&broker);
    let public = Public::of(&service).await;
    until("all is well, and measured just now", async || {
        let summary = public.summary().await;
        let is_well = summary["components"][0]["state"] == "operational" && summary["status"]["indicator"] == "none";
        (is_well && summary["page"]["freshness"] == "current").then_some(())
    })
    .await;

    proxy.switch(false);
    drop((traffic, broker));
    let stale = until("the data is old", async || {
        let summary = public.summary().await;
        (summary["page"]["freshness"] == "stale").then_some(summary)
    })
    .await;
    let as_of = stale["page"]["data_as_of"].as_str().unwrap().to_owned();
    assert_eq!(stale["components"][0]["state"], "operational", "the last that was measured");
    assert!(stale["status"]["description"].as_str().unwrap().contains(&as_of), "{stale}");

    let unknown = public.until_state("unknown").await;
    assert_eq!((&unknown["page"]["data_as_of"], &unknown["status"]["indicator"]), (&json!(as_of), &json!("minor")));
    assert_ne!(unknown["components"][0]["status"], "operational");
    let page = public.text("/").await;
    assert!(page.contains("Status unknown: no data since"), "{page}");
    let (_, ready) = service.get("/readyz").await;
    assert!(ready.contains("\"name\":\"status\",\"status\":\"ok\""), "the page itself works: {ready}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_published_told_and_remembered_and_no_name_of_the_inside_is_public() {
    let (broker, subscriber) = (TestBroker::start(1).await, Endpoint::start().await);
    let mut setup = setup(&broker).with_database(&fresh_database().await);
    let exported = setup.directory.path().join("exported");
    let status = setup.config.status.as_mut().unwrap();
    status.forbidden_words = vec!["inner-gateway".to_owned()];
    status.export_dir = Some(exported.clone());
    status.subscribers = vec![SubscriberConfig {
        name: "partner".to_owned(),
        url: subscriber.url.clone(),
        secret_file: None,
        timeout: Span::from_secs(5),
    }];
    let service = Service::start(&setup).await;
    let traffic = Traffic::start(&broker);
    let public = Public::of(&service).await;
    public.until_state("operational").await;
    traffic.answer(503);
    let published = until("the machine publishes", async || {
        let summary = public.summary().await;
        summary["incidents"].get(0).is_some().then_some(summary)
    })
    .await;
    // What the public has read is remembered, also by a service that dies in the next moment.
    service.kill_9();
    let service = Service::start(&setup).await;
    let public = Public::of(&service).await;
    assert_eq!(public.summary().await["incidents"][0]["id"], published["incidents"][0]["id"]);
    let incident = &published["incidents"][0];
    let is_harm = incident["impact"] == "major" || incident["impact"] == "critical";
    assert!(incident["status"] == "investigating" && is_harm, "{incident}");
    let id = incident["id"].as_str().unwrap().to_owned();
    let url = service.url("");
    let say = |body: &str| {
        let words =
            ["status", "update", &id, "--status", "identified", "--author", "me", "--url", &url, "--body", body];
        words.map(str::to_owned)
    };
    setup.stdout(&say("We know why.").each_ref().map(String::as_str)).await;
    let refused = setup.output(&say("It is the Inner-Gateway.").each_ref().map(String::as_str)).await;
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.to_lowercase().contains("inner-gateway"), "{why}");

    service.kill_9();
    let service = Service::start(&setup).await;
    let public = Public::of(&service).await;
    let after = public.summary().await;
    let updates = after["incidents"][0]["incident_updates"].as_array().unwrap();
    assert_eq!((&after["incidents"][0]["id"], &updates[0]["body"]), (&json!(id), &json!("We know why.")));
    // In between the machine may have said that it got worse.
    let first = |updates: &Value| updates.as_array().unwrap().last().unwrap()["body"].clone();
    assert_eq!(first(&after["incidents"][0]["incident_updates"]), first(&incident["incident_updates"]));

    traffic.answer(200);
    public.until_state("operational").await;
    let spoken = subscriber
        .until("the end is told", |received| {
            received.iter().any(|request| request.json()["component_update"]["new_state"] == "operational")
        })
        .await;
    assert!(spoken.iter().any(|request| request.json()["incident"]["id"] == id.as_str()));
    let feed = public.text("/history.atom").await;
    let files = std::fs::read_to_string(exported.join("history.atom")).unwrap();
    assert!(feed.contains("We know why.") && files.contains("We know why."));
    let news = spoken.iter().map(|request| String::from_utf8_lossy(&request.body).into_owned());
    let pages = ["/", "/api/v2/summary.json", "/api/v2/incidents.json", "/history.rss", "/api/v2/uptime.json"];
    let mut public_texts: Vec<String> = news.chain([feed, files]).collect();
    for path in pages {
        public_texts.push(public.text(path).await);
    }
    for text in public_texts {
        for name in ["customer-", "inner-gateway", "/v1/profiles", "503"] {
            assert!(!text.contains(name), "{name}: {text}");
        }
    }
}
