//! Rules that ask ClickHouse, on the real engine: a value crosses, a query fails and works again, the rules change.

use std::fmt::Write as _;

use floodmark::config::Span;
use floodmark::model::Timestamp;
use serde_json::Value;

use crate::support::clickhouse::{TestDatabase, fresh_database};
use crate::support::intake::{answer, with_lines};
use crate::support::service::{Service, Setup, until};

const QUERY: &str = "query: { name: ledger_totals, params: { topic: TOPIC, limit: 10 }, every: 10s, value: dropped, \
                     op: \">\", threshold: 5, timeout: 5s }";

/// The same on a table that storage does not need for signals.
const TRAFFIC: &str = "query: { name: traffic_by_minute, params: { from: now-1h, until: now, service: \"\", limit: 10 }, \
                       every: 10s, value: failures, by: { subscription: subscription }, op: \">\", threshold: 5, timeout: 5s }";

/// A service with the rule built in for failed evaluations, and one that asks for dropped offsets.
async fn with_query_rule(query: &str) -> (Setup, TestDatabase) {
    let database = fresh_database().await;
    let mut setup = Setup::new(None).with_database(&database);
    let rules = setup.directory.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    std::fs::copy("alerts/rules/evaluations.yaml", rules.join("evaluations.yaml")).unwrap();
    setup.config.detect.rules_dir = Some(rules);
    setup.config.flow.window = Span::from_secs(1);
    setup.config.flow.allowed_lateness = Span::from_secs(3);
    write_rule(&setup, query);
    (setup, database)
}

fn write_rule(setup: &Setup, query: &str) {
    let rule = format!(
        "groups:\n  - name: own\n    rules:\n      - alert: OffsetsDropped\n        {query}\n        \
         labels: {{ severity: warning }}\n        annotations: {{ summary: s, runbook_url: \"https://example.org\" }}\n"
    );
    std::fs::write(setup.directory.path().join("rules/own.yaml"), rule).unwrap();
}

/// Time goes on with what is sent: signals of a clock, so that windows close.
async fn tick(service: &Service) {
    let now = jiff::Timestamp::now().to_string();
    let body = format!(
        "{{\"type\":\"signal\",\"timestamp\":\"{now}\",\"source\":\"clock\",\"metric\":\"ticks\",\"value\":1}}\n"
    );
    let request = with_lines(service.post("/api/v1/events"), body);
    let (status, _, said) = answer(request.send().await.unwrap()).await;
    assert_eq!(status, 200, "{said}");
}

/// Alerts of a name that are firing now.
async fn firing(service: &Service, alert: &str) -> Vec<Value> {
    let all = service.json("/api/v1/alerts").await;
    let alerts = all["alerts"].as_array().unwrap().clone();
    alerts.into_iter().filter(|one| one["alert"] == alert && one["event"] == "firing").collect()
}

async fn until_firing(service: &Service, alert: &str, wanted: bool) -> Vec<Value> {
    until(&format!("{alert} fires: {wanted}"), async || {
        tick(service).await;
        let alerts = firing(service, alert).await;
        (alerts.is_empty() != wanted).then_some(alerts)
    })
    .await
}

async fn component(service: &Service) -> (String, String) {
    let readiness = service.json("/readyz").await;
    let lines = readiness["components"].as_array().unwrap();
    let line = lines.iter().find(|line| line["name"] == "rule_queries").unwrap();
    (line["status"].as_str().unwrap().to_owned(), line["detail"].as_str().unwrap().to_owned())
}

/// Offsets of the topic TOPIC, of which so many were dropped.
async fn drop_offsets(database: &TestDatabase, epoch: &str, dropped: u64) {
    let mut sql = String::from("INSERT INTO {database}.ingest_ledger ");
    let _ = write!(
        sql,
        "(topic, epoch, partition, offset_start, offset_end, messages, rows, dropped, dropped_reason) VALUES \
         ('TOPIC', '{epoch}', 0, 0, 100, {}, {}, {dropped}, 'retention')",
        100 - dropped,
        100 - dropped
    );
    database.admin.execute(&sql).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_crosses_and_comes_back_and_the_log_has_it() {
    let (setup, database) = with_query_rule(QUERY).await;
    let service = Service::start(&setup).await;
    until("the query is asked", async || {
        (service.metric("floodmark_rule_evaluations_total").await
            > service.metric("floodmark_rule_evaluation_failures_total").await)
            .then_some(())
    })
    .await;
    drop_offsets(&database, "a", 5).await;
    tick(&service).await;
    assert!(firing(&service, "OffsetsDropped").await.is_empty());
    drop_offsets(&database, "b", 6).await;
    let alert = until_firing(&service, "OffsetsDropped", true).await.remove(0);
    assert_eq!((&alert["value"], &alert["baseline"]), (&6.0.into(), &5.0.into()), "{alert}");
    assert!(alert["summary"].as_str().unwrap().starts_with("dropped of ledger_totals is 6, above 5"), "{alert}");
    database.admin.execute("TRUNCATE TABLE {database}.ingest_ledger").await.unwrap();
    until_firing(&service, "OffsetsDropped", false).await;
    assert_eq!(replayed(&setup, &database).await, stored(&database).await);
}

/// When and with what the rule fired and resolved, as it was stored.
async fn stored(database: &TestDatabase) -> Vec<String> {
    let sql = "SELECT concat(toString(toUnixTimestamp64Milli(at)), ' ', event, ' ', toString(value)) AS told \
               FROM {database}.alert_transitions FINAL WHERE alert = 'OffsetsDropped' AND event != 'pending' ORDER BY at";
    until("both transitions are stored", async || {
        let rows: Vec<Value> = database.admin.fetch(sql, &[]).await.unwrap();
        (rows.len() == 2).then(|| rows.iter().map(|row| row["told"].as_str().unwrap().to_owned()).collect())
    })
    .await
}

/// The same, by a replay of the stored signals: nobody is asked again.
async fn replayed(setup: &Setup, database: &TestDatabase) -> Vec<String> {
    stored(database).await;
    let sql = "SELECT toUnixTimestamp64Milli(timestamp) AS ms, source, metric, value FROM {database}.signals \
               WHERE timestamp <= (SELECT max(at) FROM {database}.alert_transitions) ORDER BY timestamp";
    let signals: Vec<Value> = database.admin.fetch(sql, &[]).await.unwrap();
    assert!(signals.iter().any(|signal| signal["source"] == "rule/OffsetsDropped/"), "{signals:?}");
    let mut log = String::new();
    for mut signal in signals {
        signal["type"] = "signal".into();
        let ms: i64 = signal["ms"].to_string().trim_matches('"').parse().unwrap();
        signal["timestamp"] = ms.into();
        let _ = writeln!(log, "{signal}");
    }
    let (file, rules) = (setup.directory.path().join("signals.ndjson"), setup.directory.path().join("rules"));
    std::fs::write(&file, log).unwrap();
    let arguments = ["replay", "--rules", rules.to_str().unwrap(), file.to_str().unwrap()];
    let outputs = setup.stdout(&arguments).await;
    let outputs = outputs.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told = outputs.filter(|output| output["alert"] == "OffsetsDropped" && output["event"] != "pending");
    let line = |output: Value| {
        let at = Timestamp::parse_rfc3339(output["at"].as_str().unwrap()).unwrap();
        format!("{} {} {}", at.as_millis(), output["event"].as_str().unwrap(), output["value"].as_f64().unwrap())
    };
    told.map(line).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_fails_is_told_asked_again_and_works_again() {
    let (setup, database) = with_query_rule(TRAFFIC).await;
    let service = Service::start(&setup).await;
    let failures = "INSERT INTO {database}.requests_by_minute (minute, subscription, requests, failures) \
                    VALUES (now() - 60, 'org-1', 10, 6)";
    until("the tables are there", async || database.admin.execute(failures).await.ok()).await;
    until_firing(&service, "OffsetsDropped", true).await;
    database.admin.execute("RENAME TABLE {database}.requests_by_minute TO {database}.away").await.unwrap();
    let failed = until_firing(&service, "RuleEvaluationFailed", true).await.remove(0);
    assert_eq!(failed["labels"]["source"], "rule/OffsetsDropped", "{failed}");
    assert_eq!(firing(&service, "OffsetsDropped").await.len(), 1, "what is not known has not ended");
    let (status, detail) = component(&service).await;
    assert_eq!(status, "degraded");
    assert!(detail.starts_with("the query of OffsetsDropped has failed "), "{detail}");
    assert!(service.metric("floodmark_rule_evaluation_failures_total").await >= 3.0);
    database.admin.execute("RENAME TABLE {database}.away TO {database}.requests_by_minute").await.unwrap();
    until_firing(&service, "RuleEvaluationFailed", false).await;
    assert_eq!(firing(&service, "OffsetsDropped").await.len(), 1);
    assert_eq!(component(&service).await.0, "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_asks_other_questions_and_forgets_failures_of_former_ones() {
    let (setup, database) = with_query_rule(TRAFFIC).await;
    std::fs::remove_file(setup.directory.path().join("rules/own.yaml")).unwrap();
    let service = Service::start(&setup).await;
    assert_eq!(component(&service).await, ("off".to_owned(), "no rule asks a query".to_owned()));
    until("ClickHouse has its tables", async || {
        let readiness = service.json("/readyz").await;
        let mut lines = readiness["components"].as_array().unwrap().iter();
        lines.any(|line| line["name"] == "clickhouse" && line["status"] == "ok").then_some(())
    })
    .await;
    database.admin.execute("RENAME TABLE {database}.requests_by_minute TO {database}.away").await.unwrap();
    write_rule(&setup, TRAFFIC);
    let reload = async || service.post("/-/reload").send().await.unwrap().status().as_u16();
    assert_eq!(reload().await, 200);
    until("the query has failed", async || (component(&service).await.0 == "degraded").then_some(())).await;
    std::fs::remove_file(setup.directory.path().join("rules/own.yaml")).unwrap();
    assert_eq!(reload().await, 200);
    until("nothing is asked", async || (component(&service).await.0 == "off").then_some(())).await;
}
