//! The service through crashes and outages, its own and ClickHouse's: alerts go on and nothing is lost.

use std::time::Duration;

use floodmark::config::StoreConfig;
use floodmark::ingest::{EventProducer, WatermarkPolicy};
use floodmark::local::LocalClickHouse;
use floodmark::model::{Event, Request, Timestamp};
use floodmark::sim::{Scenario, Simulation};
use serde_json::Value;

use crate::support::accounts::{Accounts, account_for_every_offset, number, stored_count, until_stored};
use crate::support::broker::TestBroker;
use crate::support::clickhouse::{client, fresh_database, options, shared_engine};
use crate::support::proxy::Proxy;
use crate::support::service::{Service, Setup, signal, until};
use crate::support::webhook::Webhook;

const REQUESTS_PARTITIONS: i32 = 3;
const PARTITIONS: usize = 6;
/// A database of an engine of a service's own.
const LOCAL_DATABASE: &str = "t_local";
const START: Timestamp = Timestamp::from_millis(1_772_360_105_000);

/// An end that waits for an outage to pass would take longer.
const STOP_MAX: Duration = Duration::from_secs(20);

/// Batches so small that storage always has some in flight, waiting and not yet read again.
fn small_batches() -> StoreConfig {
    StoreConfig { batch_records_max: 500, batches_waiting_max: 2, ..StoreConfig::default() }
}

/// Requests of many subscriptions, ten a millisecond, and among them records that nobody can read.
struct Feed {
    producer: EventProducer,
    sent: u64,
    broken: u64,
}

impl Feed {
    const EVENTS_A_BROKEN_RECORD: u64 = 1_000;

    fn new(broker: &TestBroker) -> Self {
        Self { producer: EventProducer::new(&broker.kafka, None).unwrap(), sent: 0, broken: 0 }
    }

    /// Sends `count` further requests and waits for the broker.
    fn send(&mut self, count: u64) {
        for number in self.sent..self.sent + count {
            let request = Request {
                timestamp: START.plus(i64::try_from(number / 10).unwrap()),
                subscription: format!("subscription-{}", number % 97).into(),
                route: "/v1/profiles".into(),
                status: 200,
                duration_ms: 12.0,
                ..Request::default()
            };
            self.producer.send_event(&Event::Request(request)).unwrap();
            if number % Self::EVENTS_A_BROKEN_RECORD == 0 {
                self.producer.send_raw("requests", None, b"{\"timestamp\":\"2026-03-01T").unwrap();
                self.broken += 1;
            }
        }
        self.sent += count;
        self.producer.flush().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_and_started_again_it_loses_nothing_and_repeats_nothing() {
    let broker = TestBroker::start(REQUESTS_PARTITIONS).await;
    let database = fresh_database().await;
    let mut setup = Setup::new(Some(&broker.kafka)).with_database(&database);
    setup.config.store = small_batches();
    let mut feed = Feed::new(&broker);

    let service = Service::start(&setup).await;
    feed.send(30_000);
    until("the first rows are stored", async || (stored_count(&database.reader).await > 0).then_some(())).await;
    service.kill_9();
    let stored = stored_count(&database.reader).await;
    assert!(stored < 30_000, "the kill came too late to prove anything");

    let service = Service::start(&setup).await;
    feed.send(5_000);
    until_stored(&database.reader, 35_000).await;
    let accounts = account_for_every_offset(&broker, &database.reader).await;
    let records = (accounts.produced as u64, accounts.stored as u64, accounts.dead_lettered as u64);
    assert_eq!(records, (feed.sent + feed.broken, feed.sent, feed.broken));
    drop(service);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_clickhouse_away_alerts_fire_and_everything_is_stored_once_it_is_back() {
    let (broker, webhook) = (TestBroker::start(REQUESTS_PARTITIONS).await, Webhook::start().await);
    let database = fresh_database().await;
    let proxy = Proxy::start(&shared_engine().url).await;
    let mut setup = Setup::new(Some(&broker.kafka)).with_database(&database);
    setup.config.clickhouse.url = Some(proxy.url.clone());
    setup.config.store = small_batches();
    setup.config.notify.webhooks.push(webhook.config.clone());
    let scenario = Scenario::load("kameleo-retry-storm").unwrap();
    let events: Vec<Event> = Simulation::new(&scenario, 7).unwrap().take(45_000).collect();
    let (calm, storm) = events.split_at(20_000);
    let mut producer = EventProducer::new(&broker.kafka, Some(WatermarkPolicy::every_five_seconds(0))).unwrap();
    let mut send = |events: &[Event]| {
        events.iter().for_each(|event| producer.send_event(event).unwrap());
        producer.flush().unwrap();
        (producer.counts().sent, producer.counts().watermarks)
    };

    let service = Service::start(&setup).await;
    service.until_assigned(PARTITIONS).await;
    send(calm);
    until("some rows are stored", async || (stored_count(&database.reader).await > 0).then_some(())).await;
    service.until_ready("ok", "ok").await;
    proxy.switch(false);
    let (sent, _) = send(storm);
    let fires = |body: &String| {
        let body: Value = serde_json::from_str(body).unwrap();
        body["alert"] == "RetryAmplification" && body["event"] == "firing" && body["severity"] == "critical"
    };
    webhook.until("the alert fires without clickhouse", |bodies| bodies.iter().any(fires)).await;
    service.until_ready("degraded", "down").await;
    #[allow(clippy::cast_precision_loss)]
    let all = sent as f64;
    until("everything is read", async || (service.metric("floodmark_messages_total").await >= all).then_some(())).await;
    assert!(stored_count(&database.reader).await < events.len() as u64, "clickhouse was away");

    proxy.switch(true);
    until_stored(&database.reader, events.len() as u64).await;
    service.until_ready("ok", "ok").await;
    let accounts = account_for_every_offset(&broker, &database.reader).await;
    assert_eq!((accounts.produced, accounts.dead_lettered), (events.len(), 0));
    assert_eq!(accounts.rows, events.len() as u64, "an insert whose answer was lost is repeated, and stored once");
    let told = webhook.until("alerts", |_| true).await.len() as u64;
    let count = "SELECT count() AS number FROM {database}.alert_transitions";
    until("every transition is stored, those of the outage too", async || {
        (number(&database.reader, count).await? == told).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_starts_and_stops_without_clickhouse_and_stores_everything_once_there_is_one() {
    let broker = TestBroker::start(REQUESTS_PARTITIONS).await;
    let database = fresh_database().await;
    let proxy = Proxy::start(&shared_engine().url).await;
    let mut setup = Setup::new(Some(&broker.kafka)).with_database(&database);
    setup.config.clickhouse.url = Some(proxy.url.clone());
    setup.config.store = small_batches();
    proxy.switch(false);
    let mut feed = Feed::new(&broker);
    feed.send(5_000);
    let mut service = Service::start(&setup).await;
    service.until_ready("degraded", "down").await;
    until_read(&service, &feed).await;
    let status = service.terminate().await;
    assert!(status.success(), "what is not stored is read again, so stopping has gone well: {status}");

    let mut service = Service::start(&setup).await;
    service.until_ready("degraded", "down").await;
    until_read(&service, &feed).await;
    proxy.switch(true);
    until_stored(&database.reader, 5_000).await;
    service.until_ready("ok", "ok").await;
    proxy.switch(false);
    feed.send(5_000);
    service.until_ready("degraded", "down").await;
    // The ordered end in the middle of an outage: batches are with storage, and nobody takes them.
    let asked = tokio::time::Instant::now();
    let status = service.terminate().await;
    assert!(status.success(), "{status}");
    assert!(asked.elapsed() < STOP_MAX, "{:?}", asked.elapsed());

    proxy.switch(true);
    let service = Service::start(&setup).await;
    until_stored(&database.reader, 10_000).await;
    let accounts = account_for_every_offset(&broker, &database.reader).await;
    assert_eq!((accounts.produced as u64, accounts.dead_lettered as u64), (feed.sent + feed.broken, feed.broken));
    drop(service);
}

/// Waits until the service has read everything.
async fn until_read(service: &Service, feed: &Feed) {
    #[allow(clippy::cast_precision_loss)]
    let messages = (feed.sent + feed.broken) as f64;
    until("everything is read", async || (service.metric("floodmark_messages_total").await >= messages).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_clickhouse_is_restarted_when_it_is_killed_and_has_every_row() {
    let broker = TestBroker::start(REQUESTS_PARTITIONS).await;
    let mut setup = Setup::new(Some(&broker.kafka));
    setup.config.store = small_batches();
    setup.config.clickhouse.database = LOCAL_DATABASE.to_owned();
    let mut feed = Feed::new(&broker);
    let mut service = Service::start(&setup).await;
    feed.send(10_000);
    until("rows are stored", async || (service.metric("floodmark_store_rows_total").await > 0.0).then_some(())).await;
    let killed = service.engine_pid().unwrap();
    signal(killed, libc::SIGKILL);
    feed.send(10_000);
    until("another engine runs", async || service.engine_pid().filter(|pid| *pid != killed)).await;
    until("every row is stored", async || {
        (service.metric("floodmark_store_rows_total").await >= 20_000.0).then_some(())
    })
    .await;
    #[allow(clippy::float_cmp)] // A counter.
    let restarts_are_one = service.metric("floodmark_clickhouse_restarts_total").await == 1.0;
    assert!(restarts_are_one);
    service.until_ready("ok", "ok").await;
    assert!(service.terminate().await.success());

    let accounts = account_in_local_engine(&setup, &broker).await;
    let records = (accounts.produced as u64, accounts.stored as u64, accounts.dead_lettered as u64);
    assert_eq!(records, (feed.sent + feed.broken, feed.sent, feed.broken));
    assert_eq!(accounts.rows, feed.sent, "stored once, although the kill took answers with it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_service_takes_its_local_clickhouse_back_and_loses_nothing() {
    let broker = TestBroker::start(REQUESTS_PARTITIONS).await;
    let mut setup = Setup::new(Some(&broker.kafka));
    setup.config.store = small_batches();
    setup.config.clickhouse.database = LOCAL_DATABASE.to_owned();
    let mut feed = Feed::new(&broker);
    feed.send(10_000);
    let service = Service::start(&setup).await;
    until("rows are stored", async || (service.metric("floodmark_store_rows_total").await > 0.0).then_some(())).await;
    service.kill_9();
    // The engine of the killed service is still about to end. Batches hold everything now, so that storage keeps up and
    // the ordered end stores all that was read.
    setup.config.store = StoreConfig::default();
    let mut service = Service::start(&setup).await;
    feed.send(1_000);
    // Every partition has new records, so the positions of all of them are shown; together they are all that was sent.
    #[allow(clippy::cast_precision_loss)]
    let sent = (feed.sent + feed.broken) as f64;
    until("every partition is read to its end", async || {
        (service.metric("floodmark_consumer_position_offset").await >= sent).then_some(())
    })
    .await;
    assert!(service.terminate().await.success());
    let accounts = account_in_local_engine(&setup, &broker).await;
    let records = (accounts.produced as u64, accounts.stored as u64, accounts.dead_lettered as u64);
    assert_eq!(records, (feed.sent + feed.broken, feed.sent, feed.broken));
}

/// Reads what a service that has ended left in its local engine. Its passwords went away with it.
async fn account_in_local_engine(setup: &Setup, broker: &TestBroker) -> Accounts {
    let engine = LocalClickHouse::start(options(&setup.config.local.data_dir.join("clickhouse"))).await.unwrap();
    let reader = client(engine.url(), &engine.users().reader, LOCAL_DATABASE);
    let accounts = account_for_every_offset(broker, &reader).await;
    engine.shutdown().await.unwrap();
    accounts
}
