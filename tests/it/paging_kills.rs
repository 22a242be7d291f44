//! A flood that fires while the service is killed again and again: people hear of it what they would have heard anyway.
//!
//! The log is Kafka's, and whole from the beginning: what varies is when the process dies, and whether ClickHouse is there.

use std::collections::BTreeMap;
use std::time::Duration;

use floodmark::config::{Config, ReceiverConfig};
use floodmark::ingest::{EventProducer, WatermarkPolicy};
use floodmark::sim::{Scenario, Simulation};
use serde_json::Value;

use crate::support::broker::TestBroker;
use crate::support::clickhouse::{fresh_database, shared_engine};
use crate::support::proxy::Proxy;
use crate::support::service::{Service, Setup, until};
use crate::support::webhook::Webhook;

/// Histories, unless `FLOODMARK_PAGING_SEEDS` says otherwise: one with ClickHouse there, one with it away.
const SEEDS: u64 = 2;
/// Events of the flood's beginning: with them its page has opened, and what follows from it is told inside.
const EVENTS: usize = 45_000;
const PARTITIONS: usize = 6;
/// Kills of a history.
const KILLS: u32 = 3;

/// What was told, in the order of first hearing: the events of each page by revision. A repeat under the same key and
/// revision is told apart by receivers, as it was here.
type Told = BTreeMap<String, BTreeMap<u64, String>>;

/// A member of a group of its own over the same log, with a receiver of its own.
struct History {
    setup: Setup,
    webhook: Webhook,
    proxy: Proxy,
    _database: crate::support::clickhouse::TestDatabase,
}

impl History {
    async fn new(broker: &TestBroker, name: &str) -> Self {
        let database = fresh_database().await;
        let proxy = Proxy::start(&shared_engine().url).await;
        let webhook = Webhook::start().await;
        let mut setup = Setup::new(Some(&broker.kafka)).with_database(&database);
        setup.config.clickhouse.url = Some(proxy.url.clone());
        if let Some(kafka) = &mut setup.config.kafka {
            kafka.group = name.to_owned();
        }
        setup.config.notify.receivers.push(receiver(&webhook));
        Self { setup, webhook, proxy, _database: database }
    }

    async fn told(&self) -> Told {
        let mut told = Told::new();
        for body in self.webhook.until("what was told", |_| true).await {
            let page: Value = serde_json::from_str(&body).unwrap();
            let page = page.get("data").unwrap_or(&page);
            let key = page["dedup_key"].as_str().unwrap().to_owned();
            let (revision, event) = (page["revision"].as_u64().unwrap(), page["event"].as_str().unwrap().to_owned());
            let before = told.entry(key).or_default().insert(revision, event.clone());
            assert!(before.is_none_or(|before| before == event), "one revision says one thing");
        }
        told
    }
}

fn receiver(webhook: &Webhook) -> ReceiverConfig {
    let text = format!(
        "[[notify.receivers]]\nname = 'ears'\nkind = 'webhook'\nbody = 'page'\nurl = '{}'\n",
        webhook.config.url
    );
    let config: Config = toml::from_str(&text).unwrap();
    config.notify.receivers[0].clone()
}

/// Waits until detection has decided as much of the log as can be decided.
async fn until_decided(service: &Service, until_event_time: f64) {
    until("the log is decided", async || {
        (service.metric("floodmark_watermark_timestamp_seconds").await >= until_event_time).then_some(())
    })
    .await;
}

/// Keys of pages that opened, and how often each did.
fn opened(told: &Told) -> BTreeMap<String, usize> {
    let count = |events: &BTreeMap<u64, String>| events.values().filter(|event| *event == "opened").count();
    told.iter().map(|(key, events)| (key.clone(), count(events))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_a_flood_it_tells_the_pages_it_would_have_told_each_once() {
    let seeds = std::env::var("FLOODMARK_PAGING_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    let broker = TestBroker::start(3).await;
    let scenario = Scenario::load("kameleo-retry-storm").unwrap();
    let mut producer = EventProducer::new(&broker.kafka, Some(WatermarkPolicy::every_five_seconds(0))).unwrap();
    let mut last = None;
    for event in Simulation::new(&scenario, 7).unwrap().take(EVENTS) {
        last = last.max(Some(event.timestamp()));
        producer.send_event(&event).unwrap();
    }
    producer.flush().unwrap();
    #[allow(clippy::cast_precision_loss)]
    let decided = last.unwrap().as_millis() as f64 / 1_000.0 - 30.0;

    let quiet = History::new(&broker, "undisturbed").await;
    let service = Service::start(&quiet.setup).await;
    until_decided(&service, decided).await;
    quiet.webhook.until("the flood is told", |bodies| !bodies.is_empty()).await;
    drop(service);
    let expected = opened(&quiet.told().await);
    assert!(!expected.is_empty() && expected.values().all(|times| *times == 1), "{expected:?}");

    for seed in 0..seeds {
        let history = History::new(&broker, &format!("killed-{seed}")).await;
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x2545_f491_4f6c_dd1d);
        let mut service = Service::start(&history.setup).await;
        if seed % 2 == 1 {
            history.proxy.switch(false);
        }
        for _ in 0..KILLS {
            service.until_assigned(PARTITIONS).await;
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // At any moment of reading, deciding, writing down and telling.
            tokio::time::sleep(Duration::from_millis(random >> 33 & 0x7ff)).await;
            service.kill_9();
            service = Service::start(&history.setup).await;
        }
        until_decided(&service, decided).await;
        let all_told = |bodies: &[String]| expected.keys().all(|key| bodies.iter().any(|body| body.contains(key)));
        history.webhook.until(&format!("seed {seed}: every page is told"), all_told).await;
        assert_eq!(opened(&history.told().await), expected, "seed {seed}");
        drop(service);
    }
}
