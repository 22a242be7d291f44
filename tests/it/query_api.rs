//! Questions over HTTP: named queries, SQL of one's own, curves; what they cost, how they are answered, how they end.

use std::time::Duration;

use floodmark::config::{ByteCount, Span};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::questions::{Questions, problem};
use crate::support::service::until;

const NAMED: &str = "/api/v1/queries/traffic_by_minute/results";
/// When a question that nobody waits for is over at the latest: well below `query.timeout`.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
const WHEN: &str = "from=2026-03-01T10:00:00Z&until=2026-03-01T10:10:00Z";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn named_queries_are_described_and_answered_in_the_type_that_is_asked_for() {
    let questions = Questions::start(|_| {}).await;
    let list: Value = questions.get("reader", "/api/v1/queries").await.json().await.unwrap();
    let names: Vec<&str> = list["queries"].as_array().unwrap().iter().map(|q| q["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"traffic_by_minute") && names.is_sorted(), "{names:?}");
    let one: Value = questions.get("reader", "/api/v1/queries/traffic_by_minute").await.json().await.unwrap();
    let of_list = list["queries"].as_array().unwrap().iter().find(|query| query["name"] == "traffic_by_minute");
    assert_eq!(Some(&one), of_list);
    assert_eq!((&one["parameters"][0]["name"], &one["parameters"][0]["default"]), (&json!("from"), &json!("now-1h")));
    assert_eq!((&one["budget"]["class"], &one["columns"][0]["name"]), (&json!("report"), &json!("minute")));

    let ask = async |accept: &str| {
        let url = questions.service.url(&format!("{NAMED}?{WHEN}&limit=3"));
        let request = questions.service.client().get(url).bearer_auth("reader").header("accept", accept);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        let headers = (header("content-type"), header("content-disposition"));
        assert_eq!((header("vary"), header("x-content-type-options")), ("accept".to_owned(), "nosniff".to_owned()));
        (headers, response.bytes().await.unwrap())
    };
    let ((kind, name), body) = ask("*/*").await;
    assert_eq!((kind.as_str(), name.as_str()), ("application/json", "inline; filename=\"traffic_by_minute.json\""));
    let whole: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((whole["rows"].as_u64(), &whole["data"][0]["minute"]), (Some(3), &json!("2026-03-01T10:09:00Z")));
    assert!(whole["data"][0]["requests"].is_number(), "numbers are numbers: {whole}");
    let ((kind, _), body) = ask("application/x-ndjson").await;
    let lines: Vec<Value> = body.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    assert_eq!((kind.as_str(), &Value::Array(lines)), ("application/x-ndjson", &whole["data"]));
    let ((kind, name), body) = ask("text/csv").await;
    assert!(kind.starts_with("text/csv") && name == "attachment; filename=\"traffic_by_minute.csv\"", "{kind} {name}");
    let mut csv = csv::Reader::from_reader(&body[..]);
    assert_eq!(csv.headers().unwrap().iter().next(), Some("minute"));
    assert_eq!(csv.records().count(), 3);

    let posted = questions.ask("reader", NAMED, r#"{"from": "2026-03-01T10:00:00Z", "limit": "3"}"#, "*/*").await;
    assert_eq!(posted.status(), 200);
    let (code, body) = problem(questions.ask("reader", NAMED, "{}", "text/html").await).await;
    assert_eq!(code, "not_acceptable");
    assert!(body["detail"].as_str().unwrap().contains("application/vnd.apache.parquet"), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_and_paths_are_data() {
    let questions = Questions::start(|_| {}).await;
    let bad = questions.get("reader", &format!("{NAMED}?form=now&limit=x&limit=y")).await;
    assert_eq!(problem(bad).await.1["errors"][0]["parameter"], "limit", "twice");
    let bad = questions.get("reader", &format!("{NAMED}?form=now&limit=x")).await;
    let (code, body) = problem(bad).await;
    assert_eq!(code, "bad_parameter");
    assert!(body["errors"][0]["message"].as_str().unwrap().contains("did you mean from"), "{body}");
    assert_eq!(body["errors"][1]["parameter"], "limit");
    // Quotes, comments, line breaks, other texts: no row has such a service.
    for service in
        ["'%20OR%201=1--", "%5C%27)%20UNION%20ALL%20SELECT", "a%0D%0Aset-cookie:%20x=1", "%00", "{limit:UInt32}"]
    {
        let response = questions.get("reader", &format!("{NAMED}?{WHEN}&service={service}")).await;
        assert_eq!(response.status(), 200, "{service}");
        assert!(!response.headers().contains_key("set-cookie"));
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["rows"], 0, "{service}");
    }
    for path in [
        "..%2f",
        "%2e%2e%2fledger_proof",
        "traffic_by_minute.sql",
        "TRAFFIC_BY_MINUTE",
        "%FF",
        "a%0D%0Ax:%20y",
        "%00",
        "traffic_by_minute%00",
        "",
    ] {
        for rest in ["", "/results"] {
            let response = questions.get("reader", &format!("/api/v1/queries/{path}{rest}")).await;
            assert_eq!(problem(response).await.0, "not_found", "{path}{rest}");
        }
    }
    let (code, _) = problem(questions.ask("reader", NAMED, "[1]", "*/*").await).await;
    assert_eq!(code, "bad_body");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_of_others_is_text_in_every_format() {
    let questions = Questions::start(|_| {}).await;
    let name = "<script>alert(1)</script>,\"=1+1\"\n";
    let sql = "INSERT INTO {database}.requests (timestamp, subscription) VALUES ('2026-04-01 00:00:00', \
               '<script>alert(1)</script>,\"=1+1\"\\n')";
    questions.database.admin.execute(sql).await.unwrap();
    let ask = "SELECT subscription FROM requests WHERE timestamp >= '2026-04-01 00:00:00'";
    assert_eq!(questions.rows("analyst", ask).await, [json!({ "subscription": name })]);
    let response = questions.ask("analyst", "/api/v1/sql", ask, "text/csv").await;
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    let text = response.text().await.unwrap();
    let mut csv = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(&csv.records().next().unwrap().unwrap()[0], name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_is_estimated_then_asked_and_refused_with_reason_when_it_would_read_too_much() {
    let questions = Questions::start(|setup| setup.config.query.read_rows_max = 60_000).await;
    let narrow = "SELECT count() AS n, uniq(route) AS routes FROM requests WHERE timestamp >= '2026-03-02 00:00:00'";
    let response = questions.sql("analyst", narrow).await;
    let rows: u64 = response.headers()["x-floodmark-estimated-rows"].to_str().unwrap().parse().unwrap();
    let bytes: u64 = response.headers()["x-floodmark-estimated-bytes-max"].to_str().unwrap().parse().unwrap();
    assert!((1..=60_000).contains(&rows) && bytes > rows, "{rows} rows, {bytes} bytes");
    assert_eq!(response.text().await.unwrap().trim(), r#"{"n":49600,"routes":1}"#);

    let (code, body) = questions.refusal("analyst", "SELECT count(), uniq(route) FROM {database}.requests").await;
    assert_eq!((code.as_str(), body["status"].as_u64()), ("query_refused", Some(422)));
    assert_eq!((&body["reason"], &body["estimate"]["rows"]), (&json!("too_many_rows"), &json!(100_000)));
    let (detail, suggestion) = (body["detail"].as_str().unwrap(), body["suggestion"].as_str().unwrap());
    assert!(detail.contains("100,000") && detail.contains("60,000") && suggestion.contains("time range"), "{body}");

    let explain = async |sql: &str| -> Value {
        let response = questions.ask("analyst", "/api/v1/sql?explain=true", sql, "*/*").await;
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    };
    let explained = explain("SELECT uniq(route) FROM requests").await;
    assert_eq!((&explained["decision"], &explained["refusal"]["reason"]), (&json!("refused"), &json!("too_many_rows")));
    let explained = explain(narrow).await;
    assert_eq!((&explained["decision"], &explained["estimate"]["rows"]), (&json!("admitted"), &json!(rows)));
    assert_eq!(explained["estimate"]["tables"][0]["parts"], 1);
    // A LIMIT may end the reading early: then the estimate does not decide, and bytes and time do.
    assert_eq!(questions.rows("analyst", "SELECT route FROM requests LIMIT 2").await.len(), 2);
    let json = questions.service.post("/api/v1/sql").bearer_auth("analyst").json(&json!({"sql": "SELECT 1 AS a"}));
    assert_eq!(json.send().await.unwrap().json::<Value>().await.unwrap()["data"], json!([{"a": 1}]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_question_or_goes_wrong_is_a_problem_that_says_so() {
    let questions = Questions::start(|setup| setup.config.query.memory_bytes_max = ByteCount::mib(64)).await;
    for (sql, expected) in [
        ("SELEKT 1", "query_refused"),
        ("SELECT 1; SELECT 2", "query_refused"),
        ("DROP TABLE requests", "query_refused"),
        ("INSERT INTO requests SELECT * FROM requests", "query_refused"),
        ("SELECT 1 FORMAT Native", "query_refused"),
        ("SELECT 1 SETTINGS max_memory_usage = 0", "query_refused"),
        ("SELECT 1 INTO OUTFILE '/tmp/floodmark-test'", "query_refused"),
        ("EXPLAIN SELECT 1", "query_refused"),
        ("SHOW TABLES", "query_refused"),
        ("SELECT file('/etc/passwd')", "query_refused"),
        ("SELECT * FROM file('/etc/passwd', LineAsString)", "query_refused"),
        ("SELECT * FROM url('http://127.0.0.1:1', CSV, 'a String')", "query_refused"),
        ("SELECT * FROM remote('127.0.0.1', system.one)", "query_refused"),
        ("SELECT * FROM cluster('default', system.one)", "query_refused"),
        ("SELECT * FROM s3('http://127.0.0.1:1/a')", "query_refused"),
        ("SELECT * FROM merge(currentDatabase(), '.*')", "query_refused"),
        ("SELECT * FROM system.processes", "query_refused"),
        ("SELECT 1 IN system.users", "query_refused"),
        ("SELECT * FROM secrets", "query_refused"),
        ("SELECT * FROM {database}.secrets", "query_refused"),
        ("SELECT * FROM everything", "query_refused"),
        ("WITH secrets AS (SELECT 1 AS a) SELECT * FROM secrets", "query_refused"),
        ("SELECT dictGet('d', 'a', 1)", "query_refused"),
        ("SELECT sleep(3)", "query_refused"),
        ("SELECT * APPLY(x -> dictGet('d', 'a', x)) FROM requests", "query_refused"),
        ("SELECT nothing FROM requests", "bad_query"),
        ("SELECT 1 +", "bad_query"),
        ("SELECT * FROM nowhere", "bad_query"),
        ("SELECT {x:String}", "query_refused"),
        ("SELECT throwIf(1)", "bad_query"),
        ("SELECT uniqExact(number) FROM numbers(50000000)", "query_limit"),
    ] {
        let (code, body) = questions.refusal("analyst", sql).await;
        assert_eq!(code, expected, "{sql}: {body}");
    }
    assert_eq!(questions.rows("analyst", "SELECT name FROM system.tables WHERE name = 'incidents'").await.len(), 1);
    let other = "SELECT DISTINCT database AS d FROM system.columns";
    assert_eq!(questions.rows("analyst", other).await, [json!({"d": questions.database.name})]);
    let with = "WITH own AS (SELECT 1 AS a) SELECT a FROM own UNION ALL SELECT toUInt8(number) FROM numbers(1)";
    assert_eq!(questions.rows("analyst", with).await.len(), 2);
    for (token, table) in [("analyst", "numbers"), ("analyst", "numbers_mt"), ("acme", "numbers"), ("acme", "one")] {
        let sql = format!("SELECT count() AS n FROM (SELECT 1 FROM system.{table} LIMIT 1)");
        assert_eq!(questions.rows(token, &sql).await, [json!({"n": 1})], "{token}: {table}");
    }
    let (code, body) = questions.refusal("analyst", "SELECT * FROM system.zeros LIMIT 1").await;
    assert_eq!(code, "query_refused", "{body}");
    let (code, body) = problem(questions.sql("reader", "SELECT 1").await).await;
    assert!(code == "forbidden" && body["detail"].as_str().unwrap().contains("scope query"), "{body}");
    let bare = questions.service.post("/api/v1/sql").body("SELECT 1").send().await.unwrap();
    assert_eq!(problem(bare).await.0, "unauthorized");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_beside_a_text_cannot_be_lifted_by_it() {
    let questions = Questions::start(|_| {}).await;
    let engine = crate::support::clickhouse::shared_engine();
    let desk = crate::support::clickhouse::client(&engine.url, &engine.users.desk, &questions.database.name);
    let limited = desk.with_settings(&[("readonly", "1".to_owned()), ("max_rows_to_read", "10".to_owned())]);
    let number = async |sql: &str| match limited.fetch::<Value>(sql, &[]).await {
        Err(floodmark::store::StoreError::Refused { number, .. }) => number,
        other => panic!("{sql}: {other:?}"),
    };
    // As the text would say it, were it to come past the fence. (A subquery's SETTINGS are another matter: ClickHouse does not
    // hold them to `readonly`, so that they lift a filter. The fence refuses them, by the text and by the tree.)
    for sql in [
        "SELECT count() FROM numbers(100) SETTINGS max_rows_to_read = 0",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS additional_table_filters = {'a': '0'}",
        "SET max_rows_to_read = 0",
    ] {
        assert_eq!(number(sql).await, 164, "{sql}");
    }
    assert_eq!(number("SELECT count() FROM {database}.requests WHERE status > 1").await, 158);
    for sql in ["INSERT INTO {database}.signals (value) VALUES (1)", "DROP TABLE {database}.requests"] {
        assert!([164, 497].contains(&number(sql).await), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_never_looks_whole() {
    let questions = Questions::start(|_| {}).await;
    let sql = "SELECT number, throwIf(number = 900000) AS t FROM numbers(10000000)";
    for accept in ["application/json", "application/x-ndjson", "text/csv", "application/vnd.apache.arrow.stream"] {
        let mut response = questions.ask("analyst", "/api/v1/sql", sql, accept).await;
        assert_eq!(response.status(), 200, "{accept}: it has begun");
        let mut bytes = 0;
        let broken = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => bytes += chunk.len(),
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        assert!(broken && bytes > 100_000, "{accept}: {bytes} bytes, and an end");
    }
    let (code, body) = questions.refusal("analyst", "SELECT throwIf(number = 3, 'three') FROM numbers(10)").await;
    assert!(code == "bad_query" && body["detail"].as_str().unwrap().contains("three"), "{body}");
}

/// The status line of an answer over `stream`, and whatever came with it.
async fn begun(address: &str, sql: &str, version: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("POST /api/v1/sql {version}\r\nhost: {address}\r\nauthorization: Bearer analyst\r\n");
    let request = format!("{head}accept: application/x-ndjson\r\ncontent-length: {}\r\n\r\n{sql}", sql.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = [0; 4096];
    let count = stream.read(&mut bytes).await.unwrap();
    (stream, String::from_utf8_lossy(&bytes[..count]).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_hold_no_place_beyond_the_deadline() {
    let questions = Questions::start(|setup| {
        let query = &mut setup.config.query;
        (query.result_rows_max, query.read_rows_max) = (1 << 50, 1 << 50);
        (query.result_bytes_max, query.read_bytes_max) = (ByteCount::mib(1 << 30), ByteCount::mib(1 << 30));
        (query.at_once_max, query.at_once_per_token_max) = (4, 4);
        (query.timeout, query.wait_max) = (Span::from_secs(2), Span::from_secs(25));
    })
    .await;
    let url = questions.service.url("");
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let streaming = "SELECT number, toString(number) FROM numbers(100000000000)";
    let mut slow = Vec::new();
    for _ in 0..4 {
        let (mut stream, head) = begun(address, streaming, "HTTP/1.1").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
        let reader = tokio::spawn(async move {
            let mut bytes = [0; 4096];
            while tokio::time::timeout(Duration::from_secs(1), &mut stopped).await.is_err() {
                assert!(stream.read(&mut bytes).await.unwrap() > 0, "what came before the deadline is there");
            }
            stream
        });
        slow.push((stop, reader));
    }
    let fifth = questions.rows("acme", "SELECT 1 AS a");
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), fifth).await.expect("a place is free").len(), 1);
    for (stop, reader) in slow {
        stop.send(()).unwrap();
        let (mut stream, mut rest) = (reader.await.unwrap(), Vec::new());
        // Reset or closed: no end of the answer either way.
        let _ = stream.read_to_end(&mut rest).await;
        assert!(!rest.ends_with(b"0\r\n\r\n"), "it looks whole");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_version_without_an_end_of_answers_gets_no_rows() {
    let questions = Questions::start(|_| {}).await;
    let url = questions.service.url("");
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let (mut stream, mut answer) = begun(address, "SELECT 1 AS a", "HTTP/1.0").await;
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 505") && answer.contains("\"http_version\""), "{answer}");
    let (_, answer) = begun(address, "SELECT 1 AS a", "HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_before_it_is_read_is_a_problem_and_for_people_a_page() {
    let questions = Questions::start(|setup| setup.config.http.tokens.clear()).await;
    let large = questions.service.post("/api/v1/sql").body("x".repeat(512 * 1024 + 1));
    let (code, body) = problem(large.send().await.unwrap()).await;
    assert_eq!((code.as_str(), body["status"].as_u64()), ("too_large", Some(413)));
    let page = async |request: reqwest::RequestBuilder, status: u16| {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
        assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
        let text = response.text().await.unwrap();
        assert!(text.contains("Back to the overview"), "{text}");
    };
    let form = |body: String| {
        let request = questions.service.post("/sql").header("content-type", "application/x-www-form-urlencoded");
        request.body(body)
    };
    page(form(format!("sql={}", "x".repeat(70_000))), 413).await;
    page(questions.service.post("/sql").body("sql=1"), 415).await;
    let get = |path: &str| questions.service.client().get(questions.service.url(path));
    page(get("/logout"), 405).await;
    page(get("/subscription?name=a&name=b"), 400).await;
    page(get("/nowhere").header("accept", "text/html,*/*;q=0.8"), 404).await;
    for request in [get("/nowhere"), get("/api/v1/nowhere").header("accept", "text/html")] {
        assert_eq!(problem(request.send().await.unwrap()).await.0, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_ends_on_the_server_when_its_client_leaves_and_a_token_has_its_bound() {
    let questions = Questions::start(|setup| {
        let query = &mut setup.config.query;
        (query.result_rows_max, query.read_rows_max) = (1 << 50, 1 << 50);
        (query.result_bytes_max, query.read_bytes_max) = (ByteCount::mib(1 << 30), ByteCount::mib(1 << 30));
    })
    .await;
    let database = &questions.database;
    let running = async || {
        // What is asked about a text before it runs is not the text.
        let sql = "SELECT count() AS n FROM system.processes WHERE user = 'desk' AND query NOT LIKE 'EXPLAIN%' \
                   AND current_database = {database:String}";
        let rows: Vec<Value> = database.admin.fetch(sql, &[("database", &database.name)]).await.unwrap();
        rows[0]["n"].as_u64().unwrap()
    };
    // One that streams without an end, and one that says nothing for long.
    let streaming = "SELECT number, toString(number) FROM numbers(100000000000)";
    let silent = "SELECT count() FROM numbers(100000000000) WHERE sipHash64(number) = 1";
    for sql in [streaming, silent] {
        let request = questions.service.post("/api/v1/sql").bearer_auth("analyst").body(sql);
        let asked = tokio::spawn(async move {
            let mut response = request.send().await.unwrap();
            while let Ok(Some(_)) = response.chunk().await {}
        });
        until("it runs", async || (running().await == 1).then_some(())).await;
        asked.abort();
        let ended = async { while running().await > 0 {} };
        tokio::time::timeout(ENDS_WITHIN, ended).await.unwrap_or_else(|_| panic!("still runs: {sql}"));
    }
    let ask = || questions.service.post("/api/v1/sql").bearer_auth("analyst").body(silent).send();
    let mut two = [tokio::spawn(ask()), tokio::spawn(ask())];
    until("both run", async || {
        for asked in &mut two {
            if asked.is_finished() {
                panic!("one has ended: {}", asked.await.unwrap().unwrap().text().await.unwrap());
            }
        }
        (running().await == 2).then_some(())
    })
    .await;
    let (code, body) = questions.refusal("analyst", "SELECT 1").await;
    assert!(code == "overloaded" && body["detail"].as_str().unwrap().contains("of this token"), "{body}");
    assert_eq!(questions.rows("acme", "SELECT 1 AS a").await.len(), 1, "others have places");
    two.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curves_come_as_prometheus_gives_them() {
    let questions = Questions::start(|_| {}).await;
    let range = async |token: &str, query: &str| -> Value {
        let path = format!("/api/v1/query_range?start=2026-03-01T10:00:00Z&end=2026-03-01T10:10:00Z&{query}");
        let response = questions.get(token, &path).await;
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, 200, "{query}: {body}");
        assert_eq!((&body["status"], &body["data"]["resultType"]), (&json!("success"), &json!("matrix")));
        body["data"]["result"].clone()
    };
    let result = range("reader", "series=requests_per_second&step=300").await;
    let expected = json!([{"metric": {"__name__": "requests_per_second"}, "values": [[1_772_359_200, "1"], [1_772_359_500, "1"]]}]);
    assert_eq!(result, expected);
    let result = range("reader", "series=error_ratio&step=10m&by=subscription").await;
    // Every tenth request failed, and all of these were of acme.
    assert_eq!(result[0]["values"][0][1], json!("0.2"));
    let labels: Vec<&Value> = result.as_array().unwrap().iter().map(|one| &one["metric"]["subscription"]).collect();
    assert_eq!(labels, ["acme", "globex"]);
    let result = range("acme", "series=error_ratio&step=10m&by=subscription").await;
    assert_eq!(result.as_array().unwrap().len(), 1, "its own only: {result}");
    let result = range("reader", "series=latency_p95_milliseconds&step=10m&by=service").await;
    let value: f64 = result[0]["values"][0][1].as_str().unwrap().parse().unwrap();
    assert!((18.0..22.0).contains(&value), "the bucket that holds 20 ms: {value}");
    let result = range("reader", "series=signal&metric=operations_total&step=60").await;
    assert_eq!((&result[0]["metric"]["source"], &result[0]["values"][1][1]), (&json!("redis/main"), &json!("5")));
    for name in
        ["queries_per_second", "query_failure_ratio", "query_memory_max_bytes", "query_duration_p95_milliseconds"]
    {
        assert_eq!(range("reader", &format!("series={name}&by=fingerprint")).await, json!([]));
    }
    for name in ["errors_per_second", "attempts_per_request", "response_bytes_per_second", "latency_p50_milliseconds"] {
        assert_eq!(range("reader", &format!("series={name}")).await.as_array().unwrap().len(), 1, "{name}");
    }
    let (code, _) = problem(questions.get("acme", "/api/v1/query_range?series=signal&metric=a").await).await;
    assert_eq!(code, "forbidden");
    let listed: Value = questions.get("acme", "/api/v1/series").await.json().await.unwrap();
    assert_eq!(listed["series"][0]["name"], "requests_per_second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_tokens_questions_are_for_this_machine_and_no_page_of_others() {
    let questions = Questions::start(|setup| setup.config.http.tokens.clear()).await;
    let status = async |host: Option<&str>, origin: Option<&str>| {
        let mut request = questions.service.post("/api/v1/sql").body("SELECT 1");
        for (name, value) in [("host", host), ("origin", origin)] {
            request = value.map_or(request.try_clone().unwrap(), |value| request.header(name, value));
        }
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(None, None).await, 200);
    assert_eq!(status(Some("rebound.example.com"), None).await, 421);
    assert_eq!(status(None, Some("https://example.com")).await, 403);
    for path in
        ["/metrics", "/api/v1/alerts", "/api/v1/incidents", "/api/v1/queries", "/api/v1/events", "/api/v1/pages"]
    {
        let request =
            questions.service.client().get(questions.service.url(path)).header("host", "rebound.example.com:8460");
        let (code, _) = problem(request.send().await.unwrap()).await;
        assert_eq!(code, "misdirected", "{path}");
    }
}
