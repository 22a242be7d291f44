//! Records over HTTP without Kafka: acknowledged means stored, and what is not taken is said.

use floodmark::config::{ByteCount, Span};
use serde_json::Value;

use crate::support::accounts::number;
use crate::support::clickhouse::{TestDatabase, fresh_database, shared_engine};
use crate::support::intake::{answer, gzip, lines, packed, request, rows, with_lines};
use crate::support::proxy::Proxy;
use crate::support::service::{Service, Setup, until};
use crate::support::webhook::Webhook;

const EVENTS: &str = "/api/v1/events";

/// A service without Kafka that stores in a database of its own.
async fn without_kafka() -> (Setup, TestDatabase) {
    let database = fresh_database().await;
    (Setup::new(None).with_database(&database), database)
}

async fn send(service: &Service, body: impl Into<reqwest::Body>) -> (u16, Option<u64>, Value) {
    answer(with_lines(service.post(EVENTS), body).send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_stored_although_the_service_is_killed_at_once() {
    let (setup, database) = without_kafka().await;
    let service = Service::start(&setup).await;
    let (status, _, body) = send(&service, lines(0, 500)).await;
    service.kill_9();
    assert_eq!((status, &body["accepted"], &body["rejected"]), (200, &500.into(), &0.into()), "{body}");
    assert_eq!(rows(&database).await, (500, 500));

    let mut service = Service::start(&setup).await;
    // A JSON array, packed: the other ways to say the same.
    let array = format!("[{},\n {}]", request(500), request(501));
    let array = packed(service.post(EVENTS).header("content-type", "application/json").body(gzip(array.as_bytes())));
    let (status, _, body) = answer(array.send().await.unwrap()).await;
    assert_eq!((status, &body["accepted"]), (200, &2.into()), "{body}");
    assert!(service.terminate().await.success());
    assert_eq!(rows(&database).await, (502, 502), "a second start counts its offsets from 0 again, and is no repeat");
    let ledger = "SELECT sum(rows) AS number FROM {database}.ingest_ledger FINAL WHERE topic = 'http' AND epoch != ''";
    assert_eq!(number(&database.reader, ledger).await, Some(502));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_records_are_told_with_their_lines_and_counted_and_the_others_are_stored() {
    let (setup, database) = without_kafka().await;
    let service = Service::start(&setup).await;
    let body = format!("{}\n\n{{\"timestamp\":\n[{},{{\"type\":\"x\"}}]\r\n", request(0), request(1));
    let (status, _, body) = send(&service, body).await;
    assert_eq!((status, &body["accepted"], &body["rejected"]), (200, &2.into(), &2.into()), "{body}");
    let told: Vec<String> = body["rejections"].as_array().unwrap().iter().map(told).collect();
    assert_eq!(told, ["line 3 index 0 syntax", "line 4 index 1 unknown_type"]);
    assert_eq!(rows(&database).await, (2, 2));

    let (status, _, body) = send(&service, "not json\n{}\n".to_owned()).await;
    assert_eq!((status, body["code"].as_str()), (422, Some("nothing_accepted")), "{body}");
    assert_eq!(body["errors"][0]["line"], 1);
    let (_, metrics) = service.get("/metrics").await;
    for sample in [
        r#"floodmark_intake_requests_total{outcome="partial"} 1"#,
        r#"floodmark_intake_requests_total{outcome="refused"} 1"#,
        r#"floodmark_intake_records_total{outcome="accepted"} 2"#,
        r#"floodmark_intake_records_total{outcome="rejected"} 4"#,
        r#"floodmark_rejections_total{input="http",code="unknown_type"} 1"#,
        r#"floodmark_events_total{input="http"} 2"#,
    ] {
        assert!(metrics.contains(sample), "{sample} in {metrics}");
    }
}

fn told(rejection: &Value) -> String {
    format!("line {} index {} {}", rejection["line"], rejection["index"], rejection["code"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_clickhouse_is_away_senders_come_back_and_are_counted_once() {
    let (mut setup, database) = without_kafka().await;
    let proxy = Proxy::start(&shared_engine().url).await;
    setup.config.clickhouse.url = Some(proxy.url.clone());
    setup.config.http.answer_timeout = Span::from_secs(1);
    let service = Service::start(&setup).await;
    // The schema is made first, which takes longer than the answer may.
    until("the first is safe", async || (send(&service, lines(0, 10)).await.0 == 200).then_some(())).await;
    proxy.switch(false);
    for _ in 0..2 {
        let (status, retry_after, body) = send(&service, lines(10, 10)).await;
        assert_eq!((status, body["code"].as_str()), (503, Some("under_pressure")), "{body}");
        assert!(retry_after.is_some_and(|seconds| seconds > 0));
    }
    until("/readyz says what waits", async || {
        let (_, ready) = service.get("/readyz").await;
        ready.contains("1 submissions are not safe yet").then_some(())
    })
    .await;
    proxy.switch(true);
    until("the repeat is safe", async || (send(&service, lines(10, 10)).await.0 == 200).then_some(())).await;
    assert_eq!(rows(&database).await, (20, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_may_be_pending_is_turned_away() {
    let (mut setup, _database) = without_kafka().await;
    let proxy = Proxy::start(&shared_engine().url).await;
    setup.config.clickhouse.url = Some(proxy.url.clone());
    let http = &mut setup.config.http;
    http.answer_timeout = Span::from_secs(1);
    http.body_bytes_max = ByteCount("64KiB".parse().unwrap());
    http.unpacked_bytes_max = http.body_bytes_max;
    http.pending_bytes_max = ByteCount("128KiB".parse().unwrap());
    let service = Service::start(&setup).await;
    proxy.switch(false);
    let mut full = 0;
    for i in 0..8 {
        let (status, retry_after, body) = send(&service, lines(i * 200, 200)).await;
        assert_eq!((status, retry_after.is_some()), (503, true), "{body}");
        full += usize::from(body["detail"].as_str().unwrap().contains("too much is pending"));
    }
    assert!((1..8).contains(&full), "{full} of 8: first they are taken and wait, then there is no room");
    assert!(service.metric("floodmark_intake_pending_bytes").await <= 131_072.0);
    let (status, _, body) = send(&service, lines(0, 2_000)).await;
    assert_eq!((status, body["code"].as_str()), (413, Some("too_large")), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_refused_with_the_reason() {
    let (setup, database) = without_kafka().await;
    let service = Service::start(&setup).await;
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 100_000);
    let refused = async |request: reqwest::RequestBuilder| {
        let (status, _, body) = answer(request.send().await.unwrap()).await;
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    };
    let post = || service.post(EVENTS);
    for (request, expected) in [
        (packed(with_lines(post(), bomb)), (413, "too_large")),
        (packed(with_lines(post(), "plain")), (400, "bad_body")),
        (with_lines(post(), lines(0, 1)).header("content-encoding", "br"), (415, "unsupported_media_type")),
        (post().header("content-type", "text/csv").body("a,b"), (415, "unsupported_media_type")),
        (with_lines(service.post("/api/v1/events?x=1"), lines(0, 1)), (400, "bad_parameter")),
        (post().header("content-type", "application/json").body("[1"), (422, "nothing_accepted")),
        (with_lines(post(), format!("[{}{{}}]", "{},".repeat(10_000))), (413, "too_large")),
    ] {
        let (status, code) = expected;
        assert_eq!(refused(request).await, (status, code.to_owned()));
    }
    let (status, _, body) = send(&service, "\n").await;
    assert_eq!((status, &body["accepted"]), (200, &0.into()), "nothing is nothing wrong");
    assert_eq!(service.client().put(service.url(EVENTS)).send().await.unwrap().status(), 405);
    assert_eq!(rows(&database).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_acknowledged_before_an_ordered_end_is_stored() {
    let (setup, database) = without_kafka().await;
    let mut service = Service::start(&setup).await;
    // Making the schema takes longer than the end may.
    assert_eq!(send(&service, lines(1_000, 10)).await.0, 200);
    let senders: Vec<_> = (0..20)
        .map(|i| {
            let request = with_lines(service.post(EVENTS), lines(i * 50, 50));
            tokio::spawn(async move { request.send().await.is_ok_and(|response| response.status() == 200) })
        })
        .collect();
    until("all are taken", async || (service.metric("floodmark_events_total").await >= 1_010.0).then_some(())).await;
    assert!(service.terminate().await.success());
    let mut acknowledged = 0;
    for sender in senders {
        acknowledged += 50 * u64::from(sender.await.unwrap());
    }
    assert_eq!(acknowledged, 1_000, "what was taken before the end is stored in it");
    assert_eq!(rows(&database).await, (1_010, 1_010));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_over_http_alerts_as_a_replay_does() {
    let (mut setup, database) = without_kafka().await;
    let webhook = Webhook::start().await;
    setup.config.notify.webhooks.push(webhook.config.clone());
    // The last windows are closed by the silence after the last body.
    setup.config.http.idle_timeout = Span::from_secs(60);
    let log = setup.stdout(&["simulate", "kameleo-retry-storm", "--seed", "7"]).await;
    let log: Vec<&str> = log.lines().take(45_000).collect();
    let file = setup.directory.path().join("log.ndjson");
    std::fs::write(&file, log.join("\n")).unwrap();
    let replayed = setup.stdout(&["replay", file.to_str().unwrap()]).await;
    let fires = |line: &&str| line.contains(r#""event":"firing","alert":"RetryAmplification","severity":"critical""#);
    let expected: Vec<&str> = replayed.lines().filter(fires).collect();
    assert!(!expected.is_empty());

    let service = Service::start(&setup).await;
    for chunk in log.chunks(5_000) {
        let (status, _, body) = send(&service, chunk.join("\n")).await;
        assert_eq!((status, &body["rejected"]), (200, &0.into()), "{body}");
    }
    let told = webhook.until("the storm is told", |bodies| bodies.iter().any(|body| fires(&body.as_str()))).await;
    let first = told.iter().find(|body| fires(&body.as_str())).unwrap();
    assert_eq!(first, expected[0]);
    let stored = "SELECT sum(rows + control) AS number FROM {database}.ingest_ledger FINAL";
    assert_eq!(number(&database.reader, stored).await, Some(45_000));
}
