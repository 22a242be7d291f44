//! `make bench-status`: how fast the status page is answered, quiet, beside a loaded pipeline, and with Kafka and
//! ClickHouse gone. One process runs the service as `floodmark run` does; the demo broker and ClickHouse run beside it.
//!
//! Requests of the public come at a steady rate, whatever the answers take (an open loop): what an answer takes counts
//! from the moment at which its request was due.

mod load;
mod traffic;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use floodmark::alert::Rules;
use floodmark::app::{App, StatusClock};
use floodmark::config::{ComponentConfig, Config, KafkaConfig, StatusConfig};
use floodmark::detect::Limits;
use floodmark::local::broker::DemoBroker;
use floodmark::local::{LocalClickHouse, LocalClickHouseOptions};
use floodmark::pipeline::Settings;
use floodmark::store::{ClickHouse, Endpoint};
use serde::Deserialize;

use load::{Answers, ask_in_turn, ask_steadily};
use traffic::Feed;

/// What the public asks for, and how often in a second.
const PATH: &str = "/api/v2/summary.json";
const RATE_PER_SECOND: u32 = 2_000;
/// Requests with Kafka and ClickHouse gone.
const ALONE_REQUESTS: u32 = 1_000;
/// Partitions of the topic of requests, as in the demo.
const PARTITIONS: i32 = 4;
/// The group must have its partitions, the page its first window, and the service notice what is gone, by then.
const PATIENCE: Duration = Duration::from_secs(90);
/// Before the loaded part is measured, the pipeline is under way.
const WARM_UP: Duration = Duration::from_secs(10);

/// The service and what is beside it.
struct Arena {
    app: App,
    page: SocketAddr,
    broker: DemoBroker,
    engine: LocalClickHouse,
    questions: ClickHouse,
    kafka: KafkaConfig,
}

#[derive(Deserialize)]
struct Number {
    number: u64,
}

fn main() -> Result<()> {
    let seconds = std::env::var("FLOODMARK_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    let directory = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(measure(directory.path(), Duration::from_secs(seconds)));
    // What waits for a broker that is gone does not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(2));
    measured
}

async fn measure(directory: &Path, length: Duration) -> Result<()> {
    let arena = start(directory).await?;
    println!("load average at the start: {}", load_average());
    let mut feed = Feed::start(&arena.kafka)?;
    feed.pace(traffic::SLOWLY);
    until_measured(arena.page).await?;

    println!("{PATH}, {RATE_PER_SECOND} requests/s for {} s over {} connections", length.as_secs(), load::CONNECTIONS);
    println!("| pipeline | answered | errors | answers/s | p50 ms | p99 ms | p99.9 ms | max ms | events/s stored |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let (mut quiet, stored) = arena.under_public_load(length).await?;
    row("a few events", &mut quiet, Some(stored));
    feed.pace(traffic::AS_FAST_AS_IT_GOES);
    tokio::time::sleep(WARM_UP).await;
    let (mut loaded, stored) = arena.under_public_load(length).await?;
    row("loaded", &mut loaded, Some(stored));
    println!();
    println!(
        "loaded to quiet: p50 × {:.1}, p99 × {:.1}",
        loaded.ms(0.5) / quiet.ms(0.5),
        loaded.ms(0.99) / quiet.ms(0.99)
    );
    println!("load average after it: {}", load_average());

    feed.stop();
    let Arena { app, page, broker, engine, .. } = arena;
    drop(broker);
    engine.shutdown().await?;
    until_gone(app.http()).await?;
    println!();
    println!("the page itself, one request after the other, Kafka and ClickHouse gone:");
    println!("| path | answered | errors | answers/s | p50 ms | p99 ms | p99.9 ms | max ms | |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for path in ["/", PATH] {
        let mut alone = tokio::task::spawn_blocking(move || ask_in_turn(page, path, ALONE_REQUESTS)).await??;
        row(path, &mut alone, None);
    }
    // Without its engines it ends at once, and not well.
    let _ = tokio::time::timeout(Duration::from_secs(20), app.stop()).await;
    Ok(())
}

impl Arena {
    /// What the public gets, and events stored in a second meanwhile.
    async fn under_public_load(&self, length: Duration) -> Result<(Answers, f64)> {
        let before = self.stored().await?;
        let page = self.page;
        let asking = move || ask_steadily(page, PATH, RATE_PER_SECOND, length);
        let answers = tokio::task::spawn_blocking(asking).await??;
        let stored = self.stored().await? - before;
        Ok((answers, stored as f64 / length.as_secs_f64()))
    }

    async fn stored(&self) -> Result<u64> {
        let rows: Vec<Number> =
            self.questions.fetch("SELECT count() AS number FROM bench_status.requests", &[]).await?;
        Ok(rows.first().context("no row")?.number)
    }
}

async fn start(directory: &Path) -> Result<Arena> {
    let engines = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".local/engines");
    let engine = LocalClickHouse::start(LocalClickHouseOptions {
        program: env!("CARGO_BIN_EXE_floodmark").into(),
        shared_library: engines.join("libchdb.so"),
        directory: directory.join("clickhouse"),
        memory_bytes_max: 4 << 30,
        databases: "bench_*".to_owned(),
        guard: None,
        start_timeout: PATIENCE,
        stop_timeout: Duration::from_secs(20),
    })
    .await?;
    let (binary, log) = (engines.join("tansu"), directory.join("broker.log"));
    let broker = tokio::task::spawn_blocking(move || DemoBroker::start(&binary, &log)).await??;
    let kafka = KafkaConfig {
        brokers: broker.address().to_owned(),
        properties: DemoBroker::client_properties(),
        ..KafkaConfig::default()
    };
    let topics = &kafka.topics;
    let partitions =
        [(topics.requests.as_str(), PARTITIONS), (&topics.signals, 1), (&topics.changes, 1), (&topics.dead_letters, 1)];
    broker.create_topics(&partitions).await?;
    let config = config(directory, &engine, &kafka)?;
    let settings = Settings { flow: config.flow.clone(), rules: Rules::shipped()?, limits: Limits::shipped()? };
    let app = App::start(&config, Some(&kafka), &settings, None, StatusClock::Wall).await?;
    let assigned = async { app.ingest().wait_for(|status| !status.partitions.is_empty()).await.is_ok() };
    ensure!(tokio::time::timeout(PATIENCE, assigned).await?, "the broker assigned no partition");
    let page = app.status().context("there is no status page")?;
    let questions = ClickHouse::new(&Endpoint::from_config(&config.clickhouse, engine.url())?);
    Ok(Arena { app, page, broker, engine, questions, kafka })
}

/// Ten components, as a page of some size has.
fn config(directory: &Path, engine: &LocalClickHouse, kafka: &KafkaConfig) -> Result<Config> {
    let password_file = directory.join("password");
    std::fs::write(&password_file, &engine.users().admin.password)?;
    let component = |number: usize| ComponentConfig {
        id: format!("part-{number}"),
        name: format!("Part {number}"),
        group: Some(format!("Group {}", number % 3)),
        availability: Some(0.999),
        ..ComponentConfig::whole()
    };
    let mut config = Config { kafka: Some(kafka.clone()), ..Config::default() };
    config.http.listen = ([127, 0, 0, 1], 0).into();
    config.clickhouse.url = Some(engine.url().to_owned());
    config.clickhouse.database = "bench_status".to_owned();
    engine.users().admin.user.clone_into(&mut config.clickhouse.user);
    config.clickhouse.password_file = Some(password_file);
    config.local.data_dir = directory.join("data");
    config.status = Some(StatusConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        components: (0..10).map(component).collect(),
        ..StatusConfig::default()
    });
    Ok(config)
}

/// Waits until components are measured.
async fn until_measured(page: SocketAddr) -> Result<()> {
    let is_measured = || -> Result<bool> {
        let body = load::get(page, PATH)?;
        Ok(body.contains("\"state\":\"operational\"") && body.contains("\"freshness\":\"current\""))
    };
    until("the page has no measured state", is_measured).await
}

/// Waits until the service knows that Kafka and ClickHouse are gone.
async fn until_gone(http: SocketAddr) -> Result<()> {
    let is_gone = || -> Result<bool> {
        let body = load::get(http, "/readyz")?;
        let is_ok = |name: &str| body.contains(&format!("\"name\":\"{name}\",\"status\":\"ok\""));
        Ok(!is_ok("kafka") && !is_ok("clickhouse"))
    };
    until("the service does not notice that its engines are gone", is_gone).await
}

async fn until(what_is_wrong: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !tokio::task::block_in_place(&mut is_so)? {
        ensure!(tokio::time::Instant::now() < deadline, "{what_is_wrong}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

fn row(name: &str, answers: &mut Answers, stored: Option<f64>) {
    let times = [0.5, 0.99, 0.999, 1.0].map(|share| format!("{:.2}", answers.ms(share)));
    let stored = stored.map_or_else(String::new, |stored| format!("{stored:.0}"));
    let (count, errors, rate) = (answers.count(), answers.errors, answers.per_second());
    println!("| {name} | {count} | {errors} | {rate:.0} | {} | {stored} |", times.join(" | "));
}

fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
