//! Answers are read by the programs that people read them with: pandas and pyarrow, and curl.

use std::process::Command;

use serde_json::{Value, json};

use crate::openapi::python;
use crate::support::questions::Questions;

/// Reads Arrow's stream and Parquet of one query, and tells what is in them.
const READER: &str = r##"
import json, sys, urllib.request
import pandas, pyarrow, pyarrow.ipc, pyarrow.parquet
given = json.load(sys.stdin)
def ask(accept, sql=given["sql"]):
    headers = {"authorization": "Bearer analyst", "accept": accept, "content-type": "text/plain"}
    return urllib.request.urlopen(urllib.request.Request(given["url"], sql.encode(), headers))
stream = pyarrow.ipc.open_stream(ask("application/vnd.apache.arrow.stream"))
arrow = stream.read_all()
with open(given["file"], "wb") as file:
    file.write(ask("application/vnd.apache.parquet").read())
parquet = pyarrow.parquet.read_table(given["file"])
frames = {
    "arrow": arrow.to_pandas(),
    "parquet": pandas.read_parquet(given["file"]),
    "csv": pandas.read_csv(ask("text/csv"), parse_dates=["timestamp"]),
    "ndjson": pandas.read_json(ask("application/x-ndjson"), lines=True),
}
told = {name: {"rows": len(frame), "sum": int(frame["n"].sum()), "first": str(frame["subscription"][0]),
               "at": pandas.Timestamp(frame["timestamp"][0]).tz_localize(None).isoformat()} for name, frame in frames.items()}
told["types"] = [str(arrow.schema.field("timestamp").type), str(parquet.schema.field("subscription").type)]
try:
    pyarrow.ipc.open_stream(ask("application/vnd.apache.arrow.stream", given["breaks"])).read_all()
    told["broken"] = False
except Exception as error:
    told["broken"] = True
print(json.dumps(told))
"##;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pandas_and_pyarrow_read_every_format() {
    let questions = Questions::start(|_| {}).await;
    let file = questions.setup.directory.path().join("answer.parquet");
    let input = json!({
        "url": questions.service.url("/api/v1/sql"),
        "sql": "SELECT timestamp, subscription, toUnixTimestamp(timestamp) - 1772359200 AS n FROM requests \
                WHERE n < 20000 ORDER BY n",
        "breaks": "SELECT number, throwIf(number = 900000) AS t FROM numbers(10000000)",
        "file": file,
    });
    let told = tokio::task::spawn_blocking(move || python(READER, input.to_string().as_bytes())).await.unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    for format in ["arrow", "parquet", "csv", "ndjson"] {
        let expected = json!({"rows": 20_000, "sum": 199_990_000, "first": "acme", "at": "2026-03-01T10:00:00"});
        assert_eq!(told[format], expected, "{format}");
    }
    assert_eq!(told["types"], json!(["timestamp[ms, tz=UTC]", "string"]));
    assert_eq!(told["broken"], true, "a stream that breaks off does not look whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_fails_when_an_answer_breaks_off() {
    let questions = Questions::start(|_| {}).await;
    let curl = async |sql: &str| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail-with-body", "--header", "authorization: Bearer analyst"]);
        command.args(["--header", "accept: text/csv", "--data-binary", sql]).arg(questions.service.url("/api/v1/sql"));
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };
    let output = curl("SELECT number FROM numbers(3)").await;
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), b"\"number\"\n0\n1\n2\n".as_slice()));
    let output = curl("SELECT number, throwIf(number = 900000) AS t FROM numbers(10000000)").await;
    assert_ne!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.len() > 100_000);
    let output = curl("SELECT * FROM system.processes").await;
    assert_eq!(output.status.code(), Some(22));
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"code\":\"query_refused\""));
}
