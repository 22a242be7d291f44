//! Records over HTTP with Kafka: acknowledged means that the topics have them.

use std::collections::BTreeMap;

use floodmark::config::{Format, Span};
use serde_json::Value;

use crate::support::accounts::{account_for_every_offset, until_stored};
use crate::support::broker::TestBroker;
use crate::support::clickhouse::fresh_database;
use crate::support::intake::{answer, lines, rows, with_lines};
use crate::support::service::{Service, Setup, until};

const EVENTS: &str = "/api/v1/events";
const SIGNAL: &str = r#"{"type":"signal","timestamp":1772360105000,"source":"redis/main","metric":"x","value":1}"#;
const CHANGE: &str = r#"{"type":"change","timestamp":1772360105000,"kind":"deploy","service":"api"}"#;
const WATERMARK: &str = r#"{"type":"watermark","timestamp":1772360105000}"#;

async fn send(service: &Service, body: String) -> (u16, Option<u64>, Value) {
    answer(with_lines(service.post(EVENTS), body).send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_in_the_topics_although_the_service_is_killed_at_once() {
    let broker = TestBroker::start(3).await;
    let database = fresh_database().await;
    let setup = Setup::new(Some(&broker.kafka)).with_database(&database);
    let service = Service::start(&setup).await;
    let body = format!("{}{SIGNAL}\n{CHANGE}\n{WATERMARK}\nnot json\n", lines(0, 300));
    let (status, _, body) = send(&service, body).await;
    service.kill_9();
    assert_eq!((status, &body["accepted"], &body["rejected"]), (200, &302.into(), &2.into()), "{body}");
    let told = body["rejections"].as_array().unwrap();
    let lines_told: Vec<_> = told.iter().map(|told| told["line"].as_u64().unwrap()).collect();
    assert_eq!(lines_told, [304, 303], "what cannot be read comes first, then what Kafka cannot take");

    let mut partitions_of: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut requests = 0;
    for (partition, messages) in broker.contents("requests").iter().enumerate() {
        for message in messages {
            let event: Value = serde_json::from_slice(&message.body).unwrap();
            partitions_of.entry(event["subscription"].as_str().unwrap().to_owned()).or_default().push(partition);
            requests += 1;
        }
    }
    assert_eq!(requests, 300);
    let is_one = |partitions: &Vec<usize>| partitions.iter().all(|partition| *partition == partitions[0]);
    assert!(partitions_of.len() == 17 && partitions_of.values().all(is_one), "{partitions_of:?}");
    let count = |topic: &str| broker.contents(topic).iter().map(Vec::len).sum::<usize>();
    assert_eq!((count("signals"), count("changes")), (1, 1));

    let service = Service::start(&setup).await;
    until_stored(&database.reader, 302).await;
    assert_eq!(rows(&database).await, (300, 300));
    account_for_every_offset(&broker, &database.reader).await;
    drop(service);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_senders_are_told_to_come_back() {
    let broker = TestBroker::start(1).await;
    let database = fresh_database().await;
    let mut setup = Setup::new(Some(&broker.kafka)).with_database(&database);
    setup.config.http.answer_timeout = Span::from_secs(1);
    let service = Service::start(&setup).await;
    until("the first is safe", async || (send(&service, lines(0, 5)).await.0 == 200).then_some(())).await;
    drop(broker);
    let (status, retry_after, body) = send(&service, lines(5, 5)).await;
    assert_eq!((status, body["code"].as_str()), (503, Some("under_pressure")), "{body}");
    assert!(retry_after.is_some_and(|seconds| seconds > 0));
    until("/readyz says what waits", async || {
        let (_, ready) = service.get("/readyz").await;
        ready.contains("1 submissions are not safe yet").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_refused_where_the_topic_holds_another_format_and_signals_are_taken() {
    let broker = TestBroker::start(1).await;
    let database = fresh_database().await;
    let mut setup = Setup::new(Some(&broker.kafka)).with_database(&database);
    setup.config.decode.requests_format = Format::Combined;
    let checked = setup.stdout(&["check", "--output", "json"]).await;
    assert!(checked.contains("requests cannot be taken over HTTP"), "{checked}");
    let service = Service::start(&setup).await;
    let (status, _, body) = send(&service, lines(0, 5)).await;
    assert_eq!((status, body["code"].as_str()), (409, Some("not_possible")), "{body}");
    assert!(body["detail"].as_str().unwrap().contains("decode.requests_format"));
    assert_eq!(send(&service, SIGNAL.to_owned()).await.0, 200);
    until_stored(&database.reader, 1).await;
    assert_eq!(rows(&database).await, (0, 0));
}
