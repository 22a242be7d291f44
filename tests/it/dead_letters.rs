//! `floodmark dead-letters`: what was refused is listed, and after a fix it is replayed, once.

use floodmark::config::{Format, KafkaConfig};
use floodmark::ingest::{DeadLetter, EventProducer, REPLAYED_FROM};
use floodmark::model::{RejectionCode, RejectionReason, TopicPartition};
use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Headers;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::support::accounts::until_stored;
use crate::support::broker::{PATIENCE, TestBroker};
use crate::support::clickhouse::fresh_database;
use crate::support::service::{Service, Setup, until};

const LINE: &str = r#"192.0.2.1 - - [14/Sep/2026:10:00:00 +0000] "GET /v1/profiles HTTP/1.1" 200 5"#;

fn event(subscription: &str) -> String {
    format!(
        r#"{{"timestamp":"2026-09-14T10:00:00Z","subscription":"{subscription}","route":"r","status":200,"duration_ms":1}}"#
    )
}

/// An event of about that many bytes.
fn long_event(bytes: usize) -> String {
    event("long").replace("\"r\"", &format!("\"r\",\"note\":\"{}\"", "é".repeat(bytes / 2)))
}

async fn json(setup: &Setup, arguments: &[&str]) -> Value {
    let arguments = [&["dead-letters"], arguments, &["--output", "json"]].concat();
    serde_json::from_str(&setup.stdout(&arguments).await).unwrap()
}

/// `reason: outcome: letters`.
fn outcomes(report: &Value) -> Vec<String> {
    let line =
        |o: &Value| format!("{}: {}: {}", o["reason"].as_str().unwrap(), o["outcome"].as_str().unwrap(), o["letters"]);
    report["outcomes"].as_array().unwrap().iter().map(line).collect()
}

/// Letter that a replayed record of a one-partition topic names, and its value.
fn replayed(kafka: &KafkaConfig, topic: &str) -> Vec<(String, Vec<u8>)> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &kafka.brokers).set("group.id", "a-test-that-looks");
    let consumer: BaseConsumer =
        config.set("enable.auto.commit", "false").set("enable.partition.eof", "true").create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let mut found = Vec::new();
    loop {
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => {
                let headers = message.headers().into_iter().flat_map(Headers::iter);
                let from = headers.filter(|header| header.key == REPLAYED_FROM).filter_map(|header| header.value);
                let value = message.payload().unwrap().to_vec();
                found.extend(from.map(|from| (String::from_utf8(from.to_vec()).unwrap(), value.clone())));
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return found,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_fix_what_was_refused_is_stored_and_only_once() {
    let (broker, database) = (TestBroker::start(1).await, fresh_database().await);
    let mut setup = Setup::new(Some(&broker.kafka)).with_database(&database);
    // The mistake: the topic is read as access-log lines, and holds events.
    setup.config.decode.requests_format = Format::Combined;
    let mut producer = EventProducer::new(&broker.kafka, None).unwrap();
    let array = format!("[{},7,{}]", event("b"), event("c"));
    let records = [LINE.as_bytes(), event("a").as_bytes(), array.as_bytes(), b"\xff\0", long_event(40_000).as_bytes()]
        .map(<[u8]>::to_vec);
    for record in &records {
        producer.send_raw("requests", None, record).unwrap();
    }
    producer.flush().unwrap();
    let mut service = Service::start(&setup).await;
    until("all is listed", async || {
        let listed = json(&setup, &["list"]).await;
        (listed["letters"] == 4).then_some(())
    })
    .await;
    assert!(service.terminate().await.success());

    let listed = json(&setup, &["list", "--since", "1h", "--reason", "syntax", "--limit", "1"]).await;
    assert_eq!((&listed["letters"], &listed["replayed"]), (&3.into(), &0.into()));
    let letter = &listed["examples"][0]["letter"];
    let (kept, length) = (letter["payload"].as_str().unwrap(), letter["payload_bytes"].as_u64().unwrap());
    assert_eq!((&letter["offset"], length), (&4.into(), records[4].len() as u64));
    assert!(kept.len() > 16_000 && records[4].starts_with(kept.as_bytes()), "{kept}");
    let table = setup.stdout(&["dead-letters", "list"]).await;
    assert!(table.contains("base64 /wA=") && table.contains("4 letters wait; 0 were replayed."), "{table}");

    setup.config.decode.requests_format = Format::Native;
    let dry = json(&setup, &["replay", "--dry-run"]).await;
    let still = "not_utf8: still refused: not_utf8: 1".to_owned();
    assert_eq!(outcomes(&dry), [still.clone(), "syntax: would be replayed: 3".to_owned()]);
    assert_eq!(replayed(&broker.kafka, "requests"), []);

    let done = json(&setup, &["replay"]).await;
    assert_eq!(outcomes(&done), [still.clone(), "syntax: replayed: 3".to_owned()]);
    let sent = replayed(&broker.kafka, "requests");
    let expected = [1, 2, 4].map(|offset: usize| (format!("requests[0]@{offset}#0"), records[offset].clone()));
    assert_eq!(sent, expected);
    // What was replayed is remembered, and what still fails stays.
    assert_eq!(outcomes(&json(&setup, &["replay"]).await), [still]);
    let listed = json(&setup, &["list"]).await;
    assert_eq!((&listed["letters"], &listed["replayed"]), (&1.into(), &3.into()));

    // The line that was good; of the replayed records all but the 7 in the array, which has a letter of its own now.
    let _service = Service::start(&setup).await;
    until_stored(&database.reader, 4).await;
    until("the array's bad element is listed", async || {
        let listed = json(&setup, &["list", "--reason", "syntax"]).await;
        (listed["examples"][0]["letter"]["index"] == 1).then_some(())
    })
    .await;
    until("every offset is accounted for", async || {
        setup.output(&["ledger", "verify", "--committed"]).await.status.success().then_some(())
    })
    .await;
    assert_eq!(replayed(&broker.kafka, "requests").len(), 3);
}

/// Writes a letter as the service or `floodmark ingest` would.
fn write_letter(
    producer: &mut EventProducer,
    (topic, offset, index): (&str, i64, u16),
    (decoder, code): (&'static str, RejectionCode),
    payload: Option<(&[u8], usize)>,
) {
    let reason = RejectionReason { code, field: None, message: "no".to_owned() };
    let place = TopicPartition { topic: topic.into(), partition: 0 };
    producer.send_dead_letter(&DeadLetter::new(&place, (offset, index), decoder, &reason, payload)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_record_only_what_was_refused_is_sent_again() {
    let broker = TestBroker::start(1).await;
    let setup = Setup::new(Some(&broker.kafka));
    let mut producer = EventProducer::new(&broker.kafka, None).unwrap();
    let array = format!("[{}, {},{} ]", event("a"), event("b"), event("c"));
    let kept = Some((array.as_bytes(), array.len()));
    let missing = ("native", RejectionCode::MissingField);
    // Refused were the second and the third element; the first of these letters came twice.
    write_letter(&mut producer, ("requests", 7, 1), missing, kept);
    write_letter(&mut producer, ("requests", 7, 2), missing, None);
    write_letter(&mut producer, ("requests", 7, 1), missing, kept);
    let done = json(&setup, &["replay", "--reason", "missing_field"]).await;
    // Letters that were already there are done with; one more of the same record is not.
    producer.flush().unwrap();
    let more = json(&setup, &["replay"]).await;
    assert_eq!(done["accepted"].as_u64().unwrap() + more["accepted"].as_u64().unwrap(), 2, "{done:#} {more:#}");
    let sent = replayed(&broker.kafka, "requests");
    let expected = [("requests[0]@7#1", event("b")), ("requests[0]@7#2", event("c"))];
    assert_eq!(sent, expected.map(|(from, value)| (from.to_owned(), value.into_bytes())));
    write_letter(&mut producer, ("requests", 7, 1), missing, kept);
    producer.flush().unwrap();
    assert_eq!(json(&setup, &["replay"]).await["accepted"], 0, "a letter that comes once more is the same one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_record_is_read_from_where_it_was_refused_if_it_is_the_same() {
    let broker = TestBroker::start(1).await;
    let setup = Setup::new(Some(&broker.kafka));
    let mut producer = EventProducer::new(&broker.kafka, None).unwrap();
    let long = long_event(100_000);
    producer.send_raw("requests", None, long.as_bytes()).unwrap();
    producer.flush().unwrap();
    let too_long = ("native", RejectionCode::TooLong);
    let bytes = long.as_bytes();
    write_letter(&mut producer, ("requests", 0, 0), too_long, Some((bytes, bytes.len())));
    // Another record, of a topic that had this name; one that is beyond the topic's end; a line of a file.
    write_letter(&mut producer, ("signals", 0, 0), too_long, Some((bytes, bytes.len())));
    write_letter(&mut producer, ("requests", 99, 0), too_long, Some((bytes, bytes.len())));
    write_letter(&mut producer, ("old.log", 0, 0), too_long, Some((bytes, bytes.len())));
    producer.flush().unwrap();
    let done = json(&setup, &["replay"]).await;
    let gone = "too_long: its record is no longer where it was: 3".to_owned();
    assert_eq!(outcomes(&done), ["too_long: replayed: 1".to_owned(), gone]);
    assert_eq!(replayed(&broker.kafka, "requests"), [("requests[0]@0#0".to_owned(), long.into_bytes())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_of_a_file_is_converted_again() {
    let broker = TestBroker::start(1).await;
    let mut setup = Setup::new(Some(&broker.kafka));
    let mut producer = EventProducer::new(&broker.kafka, None).unwrap();
    let letter = ("a \"b\".log", 3, 0);
    write_letter(&mut producer, letter, ("combined", RejectionCode::WrongType), Some((LINE.as_bytes(), LINE.len())));
    write_letter(&mut producer, ("x.log", 1, 0), ("unheard-of", RejectionCode::Syntax), Some((b"x", 1)));
    producer.flush().unwrap();
    let done = json(&setup, &["replay"]).await;
    let foreign = "syntax: from a file, in a format that the service does not read: 1".to_owned();
    assert_eq!(outcomes(&done), [foreign, "wrong_type: replayed: 1".to_owned()]);
    let sent = replayed(&broker.kafka, "requests");
    assert_eq!((sent.len(), sent[0].0.as_str()), (1, "a \"b\".log[0]@3#0"));
    let event: Value = serde_json::from_slice(&sent[0].1).unwrap();
    assert_eq!((&event["type"], &event["route"]), (&"request".into(), &"/v1/profiles".into()));
    assert_eq!(json(&setup, &["replay"]).await["accepted"], 0);

    setup.config.kafka = None;
    let output = setup.output(&["dead-letters", "list"]).await;
    assert_eq!(output.status.code(), Some(78));
}
