//! The libraries of ClickHouse's clients work through the guard's proxy unchanged, and a refusal is an ordinary exception
//! to each.

use std::path::Path;
use std::process::Command;

use clickhouse::Client;
use floodmark::guard::gate::GateInput;
use floodmark::model::{normalise_sql, sql_fingerprint};

use crate::support::clickhouse::{TestDatabase, fresh_database};
use crate::support::guard_proxy::{Guarded, curl, start};

const BLOCKED: &str = "SELECT max(number), 'a blocked query' FROM numbers(10)";

fn block(guarded: &Guarded) {
    let fingerprint = sql_fingerprint(&normalise_sql(BLOCKED)).to_string();
    guarded.proxy.tell(GateInput::Block { fingerprint, until: None, reason: "a test".to_owned() });
}

async fn database() -> TestDatabase {
    let database = fresh_database().await;
    database.admin.execute("CREATE DATABASE {database}").await.unwrap();
    database
}

#[derive(Debug, PartialEq, clickhouse::Row, serde::Serialize, serde::Deserialize)]
struct Row {
    n: u64,
    s: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_client_reads_writes_and_fails_as_ever() {
    let guarded = start(true, "").await;
    let database = database().await;
    let admin = &guarded.engine.users.admin;
    let client = Client::default()
        .with_url(&guarded.url)
        .with_user(admin.user)
        .with_password(&admin.password)
        .with_database(&database.name);
    let create = "CREATE TABLE t (n UInt64, s String) ENGINE = MergeTree ORDER BY n";
    client.query(create).execute().await.unwrap();
    let mut insert = client.insert::<Row>("t").await.unwrap();
    for n in 0..200_000 {
        insert.write(&Row { n, s: format!("row {n}") }).await.unwrap();
    }
    insert.end().await.unwrap();
    let rows: u64 = client.query("SELECT count() FROM t WHERE n < ?").bind(150_000).fetch_one().await.unwrap();
    assert_eq!(rows, 150_000);
    let mut cursor = client.query("SELECT ?fields FROM t ORDER BY n").fetch::<Row>().unwrap();
    let mut n = 0;
    while let Some(row) = cursor.next().await.unwrap() {
        assert_eq!(row, Row { n, s: format!("row {n}") });
        n += 1;
    }
    assert_eq!(n, 200_000);
    let absent = client.query("SELECT nothing FROM t").fetch_all::<u64>().await.unwrap_err();
    assert!(absent.to_string().contains("Code: 47"), "{absent}");
    // The client loses the words of an exception that it reads in two pieces, of ClickHouse itself as well; never the error.
    let mut late = Vec::new();
    for _ in 0..3 {
        let sql = "SELECT throwIf(number = 2000000) FROM numbers(3000000)";
        late.push(client.query(sql).fetch_all::<u8>().await.unwrap_err().to_string());
    }
    assert!(late.iter().any(|error| error.contains("Code: 395")), "{late:?}");
    block(&guarded);
    let refused = client.query(BLOCKED).fetch_all::<(u64, String)>().await.unwrap_err();
    assert!(refused.to_string().contains("Code: 392. DB::Exception: refused by the query guard"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_reads_writes_and_fails_as_ever() {
    let guarded = start(true, "").await;
    let database = database().await;
    block(&guarded);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let admin = guarded.engine.users.admin.clone();
    let listen = guarded.proxy.listen();
    let mut command = Command::new("python3");
    command
        .env("PYTHONPATH", root.join(".local/engines/clickhouse-connect"))
        .arg(root.join("tests/fixtures/guard/connect.py"))
        .args([&listen.ip().to_string(), &listen.port().to_string(), admin.user, &admin.password, &database.name])
        .arg(BLOCKED);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), "done", "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_why_as_text_or_json() {
    let guarded = start(true, "").await;
    block(&guarded);
    let admin = &guarded.engine.users.admin;
    let of = async |accept: &str| {
        let accept = format!("Accept: {accept}");
        let arguments = [guarded.url.as_str(), "-H", accept.as_str(), "--data-binary", "@-"];
        curl(Some(admin), &arguments, BLOCKED.as_bytes()).await
    };
    let text = of("*/*").await;
    assert_eq!(text.header("x-clickhouse-exception-code"), "392");
    assert_eq!(text.header("x-floodmark-refused"), "blocked");
    assert!(text.text().starts_with("Code: 392. DB::Exception: refused by the query guard: "), "{}", text.text());
    let json: serde_json::Value = serde_json::from_slice(&of("application/json").await.body).unwrap();
    assert_eq!((json["code"].as_u64(), json["refusal"]["reason"].as_str()), (Some(392), Some("blocked")));
    let fingerprint = sql_fingerprint(&normalise_sql(BLOCKED)).to_string();
    guarded.proxy.tell(GateInput::Unblock { fingerprint });
    assert_eq!(of("*/*").await.text(), "9\ta blocked query\n");
    assert_eq!(guarded.metric("floodmark_guard_refusals_total{reason=\"blocked\"}"), 2);
}
