//! OTLP logs over HTTP: protobuf and JSON, answered in kind.

use serde_json::{Value, json};

use crate::support::clickhouse::fresh_database;
use crate::support::intake::{gzip, packed, rows};
use crate::support::service::{Service, Setup};

const LOGS: &str = "/v1/logs";
const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";
const TIME_NS: u64 = 1_772_360_105_000_000_000;

/// A length-delimited field.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap());
    out.extend_from_slice(bytes);
    out
}

/// `KeyValue` at field `number` with a text.
fn attribute(number: u8, key: &str, value: &str) -> Vec<u8> {
    field(number, &[field(1, key.as_bytes()), field(2, &field(1, value.as_bytes()))].concat())
}

const ATTRIBUTES: [(&str, &str); 4] = [
    ("http.request.method", "GET"),
    ("http.response.status_code", "200"),
    ("duration_ms", "12.5"),
    ("subscription", "acme"),
];

/// `ExportLogsServiceRequest` with a record for each route; an empty route is left out.
fn protobuf(routes: &[&str]) -> Vec<u8> {
    let record = |(i, route): (usize, &&str)| {
        let mut record = vec![1 << 3 | 1];
        record.extend_from_slice(&TIME_NS.to_le_bytes());
        for (key, value) in ATTRIBUTES {
            record.extend(attribute(6, key, value));
        }
        record.extend(attribute(6, "http.request.id", &format!("p-{i}")));
        if !route.is_empty() {
            record.extend(attribute(6, "http.route", route));
        }
        field(2, &record)
    };
    let records: Vec<u8> = routes.iter().enumerate().flat_map(record).collect();
    let resource = field(1, &attribute(1, "service.name", "shop"));
    field(1, &[resource, field(2, &records)].concat())
}

/// The same as JSON.
fn as_json(routes: &[&str]) -> String {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let record = |(i, route): (usize, &&str)| {
        let mut attributes: Vec<Value> = ATTRIBUTES.iter().map(|(key, value)| text(key, value)).collect();
        attributes.push(text("http.request.id", &format!("j-{i}")));
        if !route.is_empty() {
            attributes.push(text("http.route", route));
        }
        json!({"timeUnixNano": TIME_NS.to_string(), "attributes": attributes})
    };
    let records: Vec<Value> = routes.iter().enumerate().map(record).collect();
    let resource = json!({"attributes": [text("service.name", "shop")]});
    json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}).to_string()
}

async fn send(request: reqwest::RequestBuilder, content_type: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
    let response = request.header("content-type", content_type).body(body).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], content_type, "answered in kind");
    (response.status().as_u16(), response.bytes().await.unwrap().to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_of_opentelemetry_are_stored_before_they_are_acknowledged() {
    let database = fresh_database().await;
    let setup = Setup::new(None).with_database(&database);
    let service = Service::start(&setup).await;
    let post = || service.post(LOGS);
    assert_eq!(send(post(), PROTOBUF, protobuf(&["/a", "/b"])).await, (200, Vec::new()));
    assert_eq!(rows(&database).await, (2, 2));
    let body = gzip(as_json(&["/a", "/b", "/c"]).as_bytes());
    assert_eq!(send(packed(post()), JSON, body).await, (200, b"{}".to_vec()));
    assert_eq!(rows(&database).await, (5, 5));
    let as_stored = "SELECT count() AS number FROM {database}.requests WHERE service = 'shop' AND status = 200
        AND subscription = 'acme' AND method = 'GET' AND duration_ms = 12.5 AND route IN ('/a', '/b', '/c')";
    assert_eq!(crate::support::accounts::number(&database.reader, as_stored).await, Some(5));
    assert_eq!(send(post(), PROTOBUF, Vec::new()).await, (200, Vec::new()), "an export without records is well");
    assert_eq!(send(post(), JSON, b"{\"resourceLogs\":[]}".to_vec()).await, (200, b"{}".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_are_refused_are_a_partial_success_and_what_is_unreadable_is_a_status() {
    let database = fresh_database().await;
    let setup = Setup::new(None).with_database(&database);
    let service = Service::start(&setup).await;
    let post = || service.post(LOGS);
    let (status, body) = send(post(), JSON, as_json(&["/a", "", ""]).into_bytes()).await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &body["partialSuccess"]["rejectedLogRecords"]), (200, &"2".into()), "{body}");
    assert!(body["partialSuccess"]["errorMessage"].as_str().unwrap().contains("record 1: missing_field"), "{body}");
    let (status, body) = send(post(), PROTOBUF, protobuf(&["", "/b"])).await;
    // partial_success (1) with rejected_log_records (1) = 1 and error_message (2).
    let has_count = body.windows(3).any(|bytes| bytes == [0x08, 1, 0x12]);
    assert!(status == 200 && body.starts_with(&[0x0a]) && has_count, "{body:?}");
    assert_eq!(rows(&database).await, (2, 2));

    let (status, body) = send(post(), JSON, b"{\"resourceLogs\":".to_vec()).await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &body["code"]), (400, &3.into()), "{body}");
    let (status, body) = send(post(), PROTOBUF, b"\xff\xff\xff".to_vec()).await;
    assert!(status == 400 && body.starts_with(&[0x08, 3, 0x12]), "{body:?}");
    let (status, body) = send(packed(post()), PROTOBUF, b"no gzip".to_vec()).await;
    assert!(status == 400 && String::from_utf8_lossy(&body).contains("not gzip"), "{body:?}");
    let response = post().header("content-type", "text/plain").body("x").send().await.unwrap();
    assert_eq!(response.status(), 415);
}
