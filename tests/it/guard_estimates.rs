//! An estimate is a statement too: what is refused anyway makes none, and one that takes long is held to caps and ended.

use floodmark::guard::gate::GateInput;
use floodmark::model::{normalise_sql, sql_fingerprint};
use serde_json::Value;

use crate::support::clickhouse::{TestDatabase, fresh_database, shared_engine};
use crate::support::guard_proxy::{curl, start, until};

/// A query of the log whose text holds the mark.
const LOGGED: &str = "SELECT query_kind, query_id, toString(exception_code) AS code, query, query_duration_ms AS ms, \
                      Settings['max_memory_usage'] AS memory, Settings['readonly'] AS readonly, \
                      Settings['max_bytes_to_read'] AS bytes FROM system.query_log \
                      WHERE type != 'QueryStart' AND position(query, {mark:String}) > 0 AND event_date >= today() - 1";

async fn table() -> TestDatabase {
    let database = fresh_database().await;
    database.admin.execute("CREATE DATABASE {database}").await.unwrap();
    database.admin.execute("CREATE TABLE {database}.t (n UInt64) ENGINE = MergeTree ORDER BY n").await.unwrap();
    database.admin.execute("INSERT INTO {database}.t SELECT number FROM numbers(100000)").await.unwrap();
    database
}

async fn logged(database: &TestDatabase, mark: &str) -> Vec<Value> {
    database.admin.execute("SYSTEM FLUSH LOGS").await.unwrap();
    database.admin.fetch(LOGGED, &[("mark", mark)]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_query_makes_no_statement_reach_clickhouse() {
    let (guarded, database) = (start(true, "").await, table().await);
    let admin = &guarded.engine.users.admin;
    let sql = |mark: &str| format!("SELECT count() FROM {}.t WHERE n < 10 AND '{mark}' != ''", database.name);
    let ask = async |mark: &str| curl(Some(admin), &[&guarded.url, "--data-binary", "@-"], sql(mark).as_bytes()).await;
    let (free, held) = (format!("free {}", database.name), format!("held {}", database.name));
    assert_eq!(ask(&free).await.text(), "10\n");
    let kinds: Vec<Value> = logged(&database, &free).await.into_iter().map(|row| row["query_kind"].clone()).collect();
    assert!(kinds.contains(&Value::from("Explain")) && kinds.contains(&Value::from("Select")), "{kinds:?}");

    let fingerprint = sql_fingerprint(&normalise_sql(&sql(&held))).to_string();
    guarded.proxy.tell(GateInput::Block { fingerprint, until: None, reason: "test".to_owned() });
    let refused = ask(&held).await;
    assert_eq!((refused.status, refused.header("x-floodmark-refused")), (500, "blocked"), "{}", refused.text());
    assert_eq!(logged(&database, &held).await, Vec::<Value>::new());
    assert_eq!(guarded.metric("floodmark_guard_refusals_total{reason=\"blocked\"}"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_estimate_is_held_to_caps_and_ended() {
    let password = &shared_engine().users.admin.password;
    let small = format!(
        "[classes.small]\nquery_memory_share_max = 0.1\nspill_share_min = 0.02\nread_bytes_max = \"1GB\"\nduration_max = \"2s\"\nslots = 4\n\
         [tenants.admin]\nclass = \"small\"\npassword = \"{password}\"\n"
    );
    let (guarded, database) = (start(true, &small).await, table().await);
    // The set is built for the estimate too, and this one never ends. What the query sets itself must not help it there.
    let mark = format!("slow {}", database.name);
    let sql = format!(
        "SELECT count() FROM {}.t WHERE n IN (SELECT number FROM numbers(1000000000000) WHERE sipHash64(number) = 1) \
         AND '{mark}' != '' SETTINGS max_execution_time = 1, max_threads = 1",
        database.name
    );
    let answer = curl(Some(&guarded.engine.users.admin), &[&guarded.url, "--data-binary", "@-"], sql.as_bytes()).await;
    assert_ne!(answer.status, 200, "{}", answer.text());
    assert_eq!(guarded.metric("floodmark_guard_estimates_total{source=\"failed\"}"), 1);
    let estimate = async || logged(&database, &mark).await.into_iter().find(|row| row["query_kind"] == "Explain");
    until("the estimate has ended", async || estimate().await.is_some()).await;
    let estimate = estimate().await.unwrap();
    // Told to stop, and not out of its own time.
    assert!(["394", "210"].contains(&estimate["code"].as_str().unwrap()), "{estimate}");
    assert!(estimate["query_id"].as_str().unwrap().starts_with("floodmark-estimate-"), "{estimate}");
    assert_eq!(
        (&estimate["memory"], &estimate["readonly"]),
        (&Value::from("214748364"), &Value::from("2")),
        "{estimate}"
    );
    assert_eq!(estimate["bytes"], "1000000000", "{estimate}");
    assert!(!estimate["query"].as_str().unwrap().contains("SETTINGS"), "{estimate}");
}
