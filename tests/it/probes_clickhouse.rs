//! Probes of a real ClickHouse, and ClickHouse over HTTPS with an authority of its own.

use std::collections::BTreeMap;

use floodmark::config::{ClickHouseConfig, ProbesConfig};
use floodmark::ingest::probes::ProbeState;
use floodmark::local::Credentials;
use floodmark::model::{QueryRun, QueryState};
use floodmark::store::{ClickHouse, Endpoint, migrate};

use crate::cli_contract::floodmark;
use crate::support::clickhouse::{fresh_database, shared_engine};
use crate::support::probes::{RunningProbes, config, queries, value};
use crate::support::tls::TlsProxy;

pub fn probe(url: &str, credentials: &Credentials, further: &str) -> ProbesConfig {
    let (user, password) = (credentials.user, &credentials.password);
    config(&format!(
        "[[clickhouse]]\nname = 'one'\nnode = 'node-1'\nurl = '{url}'\nuser = '{user}'\npassword = '{password}'\n{further}\n"
    ))
}

/// Runs a query as an application would, with this id and comment.
pub async fn application(id: &str, comment: &str, sql: &str) -> reqwest::Result<String> {
    let engine = shared_engine();
    let mut url = reqwest::Url::parse(&engine.url).unwrap();
    url.query_pairs_mut().append_pair("query_id", id).append_pair("log_comment", comment);
    let admin = &engine.users.admin;
    let request = crate::http::client().post(url).header("user-agent", "an-application");
    let request = request.header("x-clickhouse-user", admin.user).header("x-clickhouse-key", &admin.password);
    request.body(sql.to_owned()).send().await?.text().await
}

pub fn id_of(run: &QueryRun) -> &str {
    run.attributes.get("query_id").unwrap()
}

#[tokio::test]
async fn clickhouse_tells_its_memory_its_limit_and_its_parts() {
    let engine = shared_engine();
    let database = fresh_database().await;
    migrate(&database.admin).await.unwrap();
    // Who may change no setting may still be a probe.
    let url = format!("{}/?readonly=1", engine.url);
    let mut probes = RunningProbes::start(&probe(&url, &engine.users.admin, ""), 1_000);
    let events = probes.until("a reading", |events| Some(events.to_vec())).await;
    assert_eq!(probes.until_state(ProbeState::Up).await.note, "");
    let told = |metric: &str| value(&events, "clickhouse/one", metric).unwrap_or_else(|| panic!("{metric}"));
    assert_eq!(told("memory_limit_bytes"), f64::from(2_u32 << 30));
    assert!(told("memory_used_bytes") > 1e6 && told("memory_used_bytes") < told("memory_limit_bytes"));
    assert!(told("parts_active") >= 1.0 && told("parts_per_partition_max") >= 1.0);
    assert!(told("operations_total") > 1.0 && told("queries_running") >= 1.0);
    for metric in [
        "uptime_seconds",
        "network_bytes_total",
        "merges_running",
        "memory_limit_errors_total",
        "too_many_parts_errors_total",
    ] {
        assert!(told(metric) >= 0.0);
    }
}

#[tokio::test]
async fn a_query_killed_by_its_memory_limit_is_told_once_with_its_origin() {
    let engine = shared_engine();
    let mut probes = RunningProbes::start(&probe(&engine.url, &engine.users.admin, ""), 10_000);
    probes.until("a first look", |_| Some(())).await;
    let id = format!("too-large-{}", std::process::id());
    let comment =
        r#"{"app":"dashboard","endpoint":"/usage","subscription":"sub-7","version":"2.1","request_id":"r-1"}"#;
    let sql = "SELECT uniqExact(number) FROM numbers(3000000) SETTINGS max_memory_usage = 20000000";
    let answer = application(&id, comment, sql).await.unwrap();
    assert!(answer.contains("MEMORY_LIMIT_EXCEEDED"), "{answer}");
    let same = format!("{id}-again");
    application(&same, "a word", &sql.replace("3000000", "100")).await.unwrap();

    let mut told: BTreeMap<String, Vec<QueryRun>> = BTreeMap::new();
    let mut looks_after = 0;
    let errors = probes
        .until("both queries, and some looks more", |events| {
            for run in queries(events).filter(|run| run.state != Some(QueryState::Running)) {
                told.entry(id_of(run).to_owned()).or_default().push(run.clone());
            }
            looks_after += usize::from(told.contains_key(&id) && told.contains_key(&same));
            (looks_after >= 5).then(|| value(events, "clickhouse/one", "memory_limit_errors_total").unwrap())
        })
        .await;
    assert!(errors >= 1.0);
    let twice: Vec<_> = told.iter().filter(|(_, runs)| runs.len() > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let (failed, finished) = (&told[&id][0], &told[&same][0]);
    assert_eq!((failed.state, failed.exception_code), (Some(QueryState::Failed), Some(241)));
    assert_eq!((failed.node.as_str(), failed.user.as_deref()), ("node-1", Some("admin")));
    assert_eq!(failed.origin.as_deref(), Some("dashboard /usage"));
    assert_eq!((failed.subscription.as_deref(), failed.version.as_deref()), (Some("sub-7"), Some("2.1")));
    assert!(failed.memory_bytes.unwrap() > 1_000_000 && failed.duration_ms.is_some(), "{failed:?}");
    assert_eq!((finished.state, finished.exception_code), (Some(QueryState::Finished), None));
    assert_eq!((finished.read_rows, finished.origin.as_deref()), (Some(100), None));
    // The same statement with another number is the same to who looks for a query that has grown.
    assert_eq!((failed.fingerprint.as_ref().unwrap().len(), &failed.fingerprint), (16, &finished.fingerprint));
    let own =
        told.values().flatten().find(|run| run.query.as_deref().is_some_and(|text| text.contains("system.query_log")));
    assert_eq!(own, None, "Floodmark's own queries are left out");
}

#[tokio::test]
async fn a_running_query_is_told_while_it_runs_and_as_killed_afterwards() {
    let engine = shared_engine();
    let mut probes = RunningProbes::start(&probe(&engine.url, &engine.users.admin, ""), 10_000);
    let id = format!("slow-{}", std::process::id());
    let slow = id.clone();
    let sql = "SELECT sum(sleepEachRow(0.5)) FROM numbers(200) SETTINGS max_block_size = 1";
    let asked = tokio::spawn(async move { application(&slow, r#"{"app":"export"}"#, sql).await });
    let find = |events: &[floodmark::model::Event], state| {
        queries(events).find(|run| id_of(run) == id && run.state == Some(state)).cloned()
    };
    let running = probes.until("the query runs", |events| find(events, QueryState::Running)).await;
    assert_eq!((running.origin.as_deref(), running.exception_code), (Some("export"), None));
    assert!(running.duration_ms.is_some() && running.query.as_deref().unwrap().starts_with("SELECT sum(sleepEachRow"));
    application("the-killer", "", &format!("KILL QUERY WHERE query_id = '{id}'")).await.unwrap();
    let killed = probes.until("the query was killed", |events| find(events, QueryState::Killed)).await;
    assert_eq!((killed.exception_code, &killed.fingerprint), (Some(394), &running.fingerprint));
    // A killed query's connection may break; whether it does is the server's business.
    let _ = asked.await.unwrap();
}

#[tokio::test]
async fn what_a_user_may_not_read_is_said() {
    let engine = shared_engine();
    let mut credentials = engine.users.reader.clone();
    let mut probes = RunningProbes::start(&probe(&engine.url, &credentials, ""), 100);
    let status = probes.until_status("a look", |status| status.state != ProbeState::Starting).await;
    let said = format!("{}{}", status.error, status.note);
    eprintln!("{status:?}");
    assert!(said.contains("ACCESS_DENIED") || said.contains("Not enough privileges"), "{status:?}");
    credentials.password = "wrong".to_owned();
    let mut probes = RunningProbes::start(&probe(&engine.url, &credentials, ""), 100);
    let refused = probes.until_state(ProbeState::Down).await;
    assert!(refused.error.contains("516") && !refused.error.contains("wrong"), "{refused:?}");
}

#[tokio::test]
async fn clickhouse_over_https_is_trusted_by_its_own_authority_alone() {
    let engine = shared_engine();
    let proxy = TlsProxy::start(engine.url.strip_prefix("http://").unwrap()).await;
    let (url, ca_file) = (format!("https://{}", proxy.address), proxy.ca_file.display().to_string());
    let database = fresh_database().await;
    let directory = tempfile::tempdir().unwrap();
    let password_file = directory.path().join("password");
    std::fs::write(&password_file, &engine.users.admin.password).unwrap();
    let mut config = ClickHouseConfig {
        url: Some(url.clone()),
        database: database.name.clone(),
        user: engine.users.admin.user.to_owned(),
        password_file: Some(password_file.clone()),
        ca_file: Some(proxy.ca_file.clone()),
        ..ClickHouseConfig::default()
    };
    let client = |config: &ClickHouseConfig| ClickHouse::new(&Endpoint::from_config(config, &url).unwrap());
    migrate(&client(&config)).await.unwrap();
    let tables = "SELECT count() AS tables FROM system.tables WHERE database = {name:String}";
    let rows = client(&config).fetch::<serde_json::Value>(tables, &[("name", &database.name)]).await.unwrap();
    assert!(rows[0]["tables"].as_u64().unwrap() >= 8, "{rows:?}");
    config.ca_file = None;
    let error = migrate(&client(&config)).await.unwrap_err();
    let mut causes = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        causes = format!("{causes}: {inner}");
        cause = inner.source();
    }
    assert!(causes.to_lowercase().contains("certificate") || causes.contains("UnknownIssuer"), "{causes}");

    let mut probes = RunningProbes::start(&probe(&url, &engine.users.admin, &format!("ca_file = '{ca_file}'")), 100);
    probes.until_state(ProbeState::Up).await;
    let mut probes = RunningProbes::start(&probe(&url, &engine.users.admin, ""), 100);
    let down = probes.until_state(ProbeState::Down).await;
    assert!(down.error.contains("certificate"), "{down:?}");

    let file = directory.path().join("floodmark.toml");
    let text = format!(
        "[clickhouse]\nurl = '{url}'\nuser = 'admin'\npassword_file = '{}'\nca_file = '{ca_file}'\n",
        password_file.display()
    );
    std::fs::write(&file, text).unwrap();
    let mut command = floodmark();
    command.args(["check", "--online", "--config"]).arg(&file);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("; ClickHouse 2"), "{text}");
}
