//! How the service starts, refuses to start, and stops.

use std::time::Duration;

use floodmark::config::{KafkaConfig, Span, StoreConfig};
use floodmark::ingest::EventProducer;
use floodmark::model::{Event, Request, Timestamp};
use floodmark::store::{MIGRATIONS, migrate};

use crate::support::accounts::{account_for_every_offset, until_stored};
use crate::support::broker::TestBroker;
use crate::support::clickhouse::fresh_database;
use crate::support::service::{Service, Setup, until};

/// The stages' deadlines together, ClickHouse's own apart; an ordered stop takes a fraction of it.
const STOP_MAX: Duration = Duration::from_secs(30);

fn produce(broker: &TestBroker, count: u32) {
    let mut producer = EventProducer::new(&broker.kafka, None).unwrap();
    for number in 0..count {
        let request = Request {
            timestamp: Timestamp::from_millis(1_772_360_105_000 + i64::from(number)),
            subscription: format!("subscription-{}", number % 17).into(),
            route: "/v1/profiles".into(),
            status: 200,
            duration_ms: 1.0,
            ..Request::default()
        };
        producer.send_event(&Event::Request(request)).unwrap();
    }
    producer.flush().unwrap();
}

async fn until_read(service: &Service, messages: u32) {
    until(&format!("{messages} messages are read"), async || {
        (service.metric("floodmark_messages_total").await >= f64::from(messages)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_stores_and_commits_what_was_read_and_the_next_start_reads_nothing_again() {
    let broker = TestBroker::start(2).await;
    let database = fresh_database().await;
    let mut setup = Setup::new(Some(&broker.kafka)).with_database(&database);
    // So old that only the end of the service can seal a batch.
    setup.config.store = StoreConfig { batch_age_max: Span::from_secs(600), ..StoreConfig::default() };
    produce(&broker, 5_000);
    let mut first = Service::start(&setup).await;
    until_read(&first, 5_000).await;
    let asked = tokio::time::Instant::now();
    let status = first.terminate().await;
    assert!(status.success(), "{status}");
    assert!(asked.elapsed() < STOP_MAX, "{:?}", asked.elapsed());
    let ended = first.logged("reading has ended");
    assert_eq!((&ended[0]["batches_unconfirmed"], &ended[0]["commits_failed"]), (&0.into(), &0.into()), "{ended:?}");
    until_stored(&database.reader, 5_000).await;

    produce(&broker, 100);
    let mut second = Service::start(&setup).await;
    until_read(&second, 100).await;
    assert!(second.terminate().await.success());
    let accounts = account_for_every_offset(&broker, &database.reader).await;
    assert_eq!((accounts.produced, accounts.stored, accounts.rows), (5_100, 5_100, 5_100), "nothing is read twice");
}

/// Kafka that nobody serves: a start that is refused does not get that far.
fn no_kafka() -> KafkaConfig {
    KafkaConfig { brokers: "127.0.0.1:1".to_owned(), ..KafkaConfig::default() }
}

/// Exit code and standard error of a `run` that ends by itself.
async fn refused(setup: &Setup) -> (Option<i32>, String) {
    let output = setup.output(&["run"]).await;
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn without_any_way_in_a_start_is_refused_and_says_what_to_set() {
    let mut setup = Setup::new(None);
    setup.config.http.ingest = false;
    let (code, stderr) = refused(&setup).await;
    assert_eq!(code, Some(78), "{stderr}");
    assert!(stderr.contains("kafka.brokers") && stderr.contains("http.ingest"), "{stderr}");
}

#[tokio::test]
async fn a_taken_port_is_named_with_its_key() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut setup = Setup::new(Some(&no_kafka()));
    setup.config.http.listen = taken.local_addr().unwrap();
    let (code, stderr) = refused(&setup).await;
    assert_eq!(code, Some(1), "{stderr}");
    let address = taken.local_addr().unwrap().to_string();
    assert!(stderr.contains("http.listen") && stderr.contains(&address), "{stderr}");
}

#[tokio::test]
async fn a_missing_engine_says_how_to_fetch_it() {
    let mut setup = Setup::new(Some(&no_kafka()));
    setup.config.local.clickhouse_library = setup.directory.path().join("libchdb.so");
    let (code, stderr) = refused(&setup).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("make engines") && stderr.contains("libchdb.so"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_of_a_newer_binary_ends_the_start_with_what_differs() {
    let database = fresh_database().await;
    migrate(&database.admin).await.unwrap();
    let newer = MIGRATIONS.len() + 1;
    let record = format!(
        "INSERT INTO {{database}}.schema_migrations (number, name, sha256) VALUES ({newer}, 'of_tomorrow', 'feed')"
    );
    database.admin.execute(&record).await.unwrap();
    let setup = Setup::new(Some(&no_kafka())).with_database(&database);
    let (code, stderr) = refused(&setup).await;
    assert_eq!(code, Some(1), "{stderr}");
    let difference = format!("migration {newer:04}_of_tomorrow is recorded there");
    assert!(stderr.contains("newer than this binary") && stderr.contains(&difference), "{stderr}");
    assert!(stderr.contains(&database.name), "{stderr}");
}
