//! Probes of a real Redis and of a Prometheus text endpoint.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use floodmark::config::Span;
use floodmark::ingest::probes::ProbeState;
use tokio::sync::watch;

use crate::cli_contract::floodmark;
use crate::support::accounts::number;
use crate::support::broker::TestBroker;
use crate::support::clickhouse::fresh_database;
use crate::support::probes::{RunningProbes, config, value};
use crate::support::redis::TestRedis;
use crate::support::service::{Service, Setup, until};
use crate::support::tls::TlsProxy;

fn redis_probe(address: &str, further: &str) -> floodmark::config::ProbesConfig {
    config(&format!("[[redis]]\nname = 'main'\naddress = '{address}'\n{further}\n"))
}

#[tokio::test]
async fn redis_tells_its_memory_its_limit_its_evictions_and_its_traffic() {
    let redis = TestRedis::start(&["--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru"]).await;
    let mut probes = RunningProbes::start(&redis_probe(&redis.address, ""), 1_000);
    let calm = probes.until("a first reading", |events| Some(events.to_vec())).await;
    let before = |metric: &str| value(&calm, "redis/main", metric).unwrap_or_else(|| panic!("{metric}: {calm:?}"));
    assert_eq!(before("memory_limit_bytes"), 3.0 * 1_048_576.0);
    assert_eq!((before("evicted_keys_total"), before("connections_rejected_total")), (0.0, 0.0));
    assert!(before("clients_connected") >= 1.0 && before("clients_limit") >= before("clients_connected"));

    let filled: Vec<String> = (0..2_000).map(|i| format!("SET key:{i} {}", "x".repeat(4_000))).collect();
    redis.run(&filled);
    redis.run(&["GET key:1999".to_owned(), "GET absent".to_owned()]);
    let full = probes
        .until("evictions and a miss", |events| {
            let enough = value(events, "redis/main", "evicted_keys_total")? > 500.0
                && value(events, "redis/main", "cache_misses_total")? >= 1.0;
            enough.then(|| events.to_vec())
        })
        .await;
    let after = |metric: &str| value(&full, "redis/main", metric).unwrap();
    assert!(after("memory_used_bytes") > before("memory_used_bytes") + 1_000_000.0);
    assert!(after("operations_total") >= before("operations_total") + 2_000.0);
    assert!(after("network_bytes_total") >= before("network_bytes_total") + 8_000_000.0);
    assert_eq!(after("cache_hits_total"), 1.0);
}

#[tokio::test]
async fn a_redis_that_goes_away_is_down_and_comes_back_with_a_young_uptime() {
    let mut redis = TestRedis::start(&[]).await;
    let mut probes = RunningProbes::start(&redis_probe(&redis.address, ""), 1_000);
    let uptime = |least: f64| {
        move |events: &[floodmark::model::Event]| {
            value(events, "redis/main", "uptime_seconds").filter(|seconds| *seconds >= least)
        }
    };
    let old = probes.until("an uptime of 2 s", uptime(2.0)).await;
    assert_eq!(probes.until_state(ProbeState::Up).await.error, "");

    redis.kill();
    let down = probes.until_state(ProbeState::Down).await;
    assert!(down.error.contains("refused"), "{down:?}");
    let later = probes.until_status("three failures", |status| status.failures >= 3).await;
    assert_eq!((later.state, later.since), (ProbeState::Down, down.since), "a state is told with its beginning");
    while probes.events.try_recv().is_ok() {}

    redis.start_again().await;
    let young = probes.until("a reading", uptime(0.0)).await;
    assert!(young < old, "{young} after {old}");
    assert!(probes.until_state(ProbeState::Up).await.since > down.since);
}

#[tokio::test]
async fn passwords_users_and_tls_of_redis() {
    let redis = TestRedis::start(&["--requirepass", "hunter2", "--user", "floodmark", "on", ">hunter3", "+info"]).await;
    let proxy = TlsProxy::start(&redis.address).await;
    let state = async |address: &str, further: &str| {
        let mut probes = RunningProbes::start(&redis_probe(address, further), 10);
        let decided = probes.until_status("a look", |status| status.state != ProbeState::Starting).await;
        (decided.state, decided.error)
    };
    let (down, error) = state(&redis.address, "").await;
    assert!(down == ProbeState::Down && error.contains("NOAUTH"), "{error}");
    let (down, error) = state(&redis.address, "password = 'wrong'").await;
    assert!(down == ProbeState::Down && error.contains("WRONGPASS") && !error.contains("'wrong'"), "{error}");
    let well = (ProbeState::Up, String::new());
    assert_eq!(state(&redis.address, "password = 'hunter2'").await, well);
    assert_eq!(state(&redis.address, "user = 'floodmark'\npassword = 'hunter3'").await, well);

    let tls = "tls = true\npassword = 'hunter2'\n";
    let trusting = format!("{tls}ca_file = '{}'", proxy.ca_file.display());
    assert_eq!(state(&proxy.address, &trusting).await, well);
    let (down, error) = state(&proxy.address, tls).await;
    assert!(down == ProbeState::Down && error.contains("certificate"), "{error}");
    let (down, error) = state(&redis.address, &trusting).await;
    assert_eq!(down, ProbeState::Down, "{error}");
}

#[tokio::test]
async fn a_reading_that_finds_no_room_is_dropped_and_counted() {
    let redis = TestRedis::start(&[]).await;
    let mut probes = RunningProbes::start(&redis_probe(&redis.address, ""), 1);
    let status = probes.until_status("dropped events", |status| status.events_dropped > 0).await;
    assert!(status.events > 0 && status.state == ProbeState::Up, "{status:?}");
}

/// Somebody's exporter: says what it is told to say, to who knows the token.
struct Exporter {
    url: String,
    text: watch::Sender<String>,
}

impl Exporter {
    async fn start(text: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        let text = watch::Sender::new(text.to_owned());
        let router = Router::new().route("/metrics", get(exposition)).with_state(text.subscribe());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, text }
    }
}

async fn exposition(State(text): State<watch::Receiver<String>>, headers: HeaderMap) -> Result<String, StatusCode> {
    let authorized = headers.get("authorization").is_some_and(|value| value == "Bearer letmein");
    if authorized { Ok(text.borrow().clone()) } else { Err(StatusCode::UNAUTHORIZED) }
}

const EXPOSITION: &str = "# TYPE container_memory_working_set_bytes gauge
container_memory_working_set_bytes{pod=\"api-1\",container=\"api\"} 7.3400320e+08
container_memory_working_set_bytes{pod=\"api-1\",container=\"POD\"} 1e6
container_spec_memory_limit_bytes{pod=\"api-1\",container=\"api\"} 1073741824 1700000000000
container_cpu_usage_seconds_total{pod=\"api-1\"} 12
";

const MAPPINGS: &str = "
[[prometheus.metrics]]
name = 'container_memory_working_set_bytes'
labels = { container = 'api' }
metric = 'memory_used_bytes'
source = 'container/{pod}'
[[prometheus.metrics]]
name = 'container_spec_memory_limit_bytes'
labels = { container = 'api' }
metric = 'memory_limit_bytes'
source = 'container/{pod}'
";

fn prometheus_probe(url: &str, further: &str) -> floodmark::config::ProbesConfig {
    config(&format!("[[prometheus]]\nname = 'kubelet'\nurl = '{url}'\n{further}\n{MAPPINGS}"))
}

#[tokio::test]
async fn a_prometheus_endpoint_tells_the_mapped_series_and_no_other() {
    let exporter = Exporter::start(EXPOSITION).await;
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "letmein\n").unwrap();
    let known = prometheus_probe(&exporter.url, &format!("bearer_token_file = '{}'", token.display()));
    let mut probes = RunningProbes::start(&known, 1_000);
    let events = probes.until("a reading", |events| Some(events.to_vec())).await;
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(value(&events, "container/api-1", "memory_used_bytes"), Some(734_003_200.0));
    assert_eq!(value(&events, "container/api-1", "memory_limit_bytes"), Some(1_073_741_824.0));

    exporter.text.send_replace("<html>maintenance</html>".to_owned());
    let down = probes.until_state(ProbeState::Down).await;
    assert!(down.error.contains("none of the configured metrics"), "{down:?}");
    exporter.text.send_replace("#".repeat(40_000_000));
    probes.until_status("too large", |status| status.error.contains("longer than")).await;
    exporter.text.send_replace(EXPOSITION.to_owned());
    probes.until_state(ProbeState::Up).await;

    let mut stranger = RunningProbes::start(&prometheus_probe(&exporter.url, ""), 10);
    let refused = stranger.until_state(ProbeState::Down).await;
    assert!(refused.error.contains("401"), "{refused:?}");
}

#[tokio::test]
async fn a_target_that_never_answers_times_out() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let timeout = "timeout = '150ms'";
    for config in [redis_probe(&address.to_string(), timeout), prometheus_probe(&format!("http://{address}"), timeout)]
    {
        let down = RunningProbes::start(&config, 10).until_state(ProbeState::Down).await;
        assert_eq!(down.error, "no answer within 150ms");
    }
    drop(silent);
}

#[tokio::test]
async fn check_online_looks_once_and_shows_what_would_be_sent() {
    let redis = TestRedis::start(&["--maxmemory", "1gb"]).await;
    let directory = tempfile::tempdir().unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let file = directory.path().join("floodmark.toml");
    let local = "[local]\nclickhouse_library = 'floodmark.toml'\n";
    let known = format!("{local}[[probes.redis]]\nname = 'main'\naddress = '{}'\n", redis.address);
    let ask = async || {
        let mut command = floodmark();
        command.args(["check", "--online", "--config", "floodmark.toml"]).current_dir(directory.path());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };
    std::fs::write(&file, &known).unwrap();
    let output = ask().await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("redis/main: 1") && text.contains("memory_limit_bytes = 1073741824"), "{text}");

    std::fs::write(&file, format!("{known}[[probes.redis]]\nname = 'old'\naddress = '{gone}'\n")).unwrap();
    let output = ask().await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("redis/old: cannot be reached") && text.contains("redis/main: 1"), "{text}");
}

#[tokio::test]
async fn probes_without_targets_run_until_they_are_stopped() {
    let probes = floodmark::ingest::probes::Probes::new(&config("")).unwrap();
    let (sender, mut events) = tokio::sync::mpsc::channel(1);
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(probes.run(sender, stop.clone()));
    assert_eq!(events.recv().await, None);
    assert!(!running.is_finished());
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(30), running).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_service_finds_is_stored_with_kafka_and_without() {
    let redis = TestRedis::start(&[]).await;
    let broker = TestBroker::start(1).await;
    for kafka in [Some(&broker.kafka), None] {
        let database = fresh_database().await;
        let mut setup = Setup::new(kafka).with_database(&database);
        setup.config.probes = redis_probe(&redis.address, "");
        setup.config.probes.redis[0].interval = Span::from_secs(1);
        let service = Service::start(&setup).await;
        let count = "SELECT count() AS number FROM {database}.signals WHERE source = 'redis/main' \
                     AND metric = 'memory_used_bytes' AND value > 0";
        until("readings are stored", async || number(&database.reader, count).await.filter(|readings| *readings >= 2))
            .await;
        until("readiness shows the probes", async || {
            let body: serde_json::Value = serde_json::from_str(&service.get("/readyz").await.1).ok()?;
            let components = body["components"].as_array()?.clone();
            components.iter().find(|line| line["name"] == "probes" && line["status"] == "ok").map(|_| ())
        })
        .await;
    }
}
