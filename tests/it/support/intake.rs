//! Senders of records over HTTP.

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use super::clickhouse::TestDatabase;

/// 2026-03-01T10:15:05Z.
const START_MS: u64 = 1_772_360_105_000;

/// A native request, `number` milliseconds after the first one.
pub fn request(number: u64) -> String {
    let timestamp = START_MS + number;
    let subscription = number % 17;
    format!(
        r#"{{"timestamp":{timestamp},"subscription":"subscription-{subscription}","route":"/v1/profiles","status":200,"duration_ms":1,"request_id":"r-{number}"}}"#
    )
}

/// `count` requests from `first` on, one a line.
pub fn lines(first: u64, count: u64) -> String {
    (first..first + count).map(|number| request(number) + "\n").collect()
}

/// Packs a body.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The same request with a body of native events, one a line.
pub fn with_lines(request: RequestBuilder, body: impl Into<reqwest::Body>) -> RequestBuilder {
    request.header(CONTENT_TYPE, "application/x-ndjson").body(body)
}

/// The same request with a packed body.
pub fn packed(request: RequestBuilder) -> RequestBuilder {
    request.header(CONTENT_ENCODING, "gzip")
}

/// Status, `Retry-After` where there is one, and JSON body of an answer.
pub async fn answer(response: Response) -> (u16, Option<u64>, Value) {
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
    let text = response.text().await.unwrap();
    (status, retry_after, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Rows of requests, and how many different requests they are; zeros while there is no table.
pub async fn rows(database: &TestDatabase) -> (u64, u64) {
    #[derive(serde::Deserialize)]
    struct Row {
        rows: u64,
        different: u64,
    }
    let sql = "SELECT count() AS rows, uniqExact(request_id) AS different FROM {database}.requests";
    let rows: Vec<Row> = database.reader.fetch(sql, &[]).await.unwrap_or_default();
    rows.first().map_or((0, 0), |row| (row.rows, row.different))
}
