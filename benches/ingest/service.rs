//! Floodmark, the release binary as it is run: decoding, detection, raw rows, rollup, ledger, commits.

use std::process::Command;
use std::time::Duration;

use floodmark::config::{Config, KafkaConfig};
use floodmark::ingest::committed;
use floodmark::local::broker::DemoBroker;

use crate::Arena;
use crate::contender::{Outcome, Watched, before, watch};
use crate::process::Running;

const NAME: &str = "Floodmark";
/// How long the broker may take to tell what is committed.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Works the topic off until all is stored and committed.
pub async fn measure(arena: &Arena) -> Outcome {
    eprintln!("{NAME}");
    run(arena).await.unwrap_or_else(|error| Outcome::absent(NAME, error.to_string()))
}

async fn run(arena: &Arena) -> anyhow::Result<Outcome> {
    let password_file = arena.directory.join("password");
    std::fs::write(&password_file, &arena.clickhouse.password)?;
    let mut config = Config::default();
    let mut kafka =
        KafkaConfig { brokers: arena.brokers.clone(), group: "bench-floodmark".to_owned(), ..KafkaConfig::default() };
    if arena.is_demo_broker {
        kafka.properties = DemoBroker::client_properties();
    }
    config.kafka = Some(kafka.clone());
    config.http.listen = ([127, 0, 0, 1], 0).into();
    config.clickhouse.url = Some(arena.clickhouse.url().to_owned());
    config.clickhouse.database = "bench_floodmark".to_owned();
    config.clickhouse.user = "admin".to_owned();
    config.clickhouse.password_file = Some(password_file);
    let path = arena.directory.join("floodmark.toml");
    std::fs::write(&path, toml::to_string(&config)?)?;

    let before = before(arena);
    let mut command = Command::new(&arena.floodmark);
    // Other settings can be tried: FLOODMARK__STORE__BATCH_RECORDS_MAX=50000 make bench.
    let settings = std::env::vars().filter(|(name, _)| name.starts_with("FLOODMARK__"));
    command.env_clear().envs(settings).args(["run", "--config"]).arg(&path);
    let service = Running::start(&mut command, &arena.directory.join("floodmark.log"))?;
    let watched = Watched {
        name: NAME,
        pid: Some(service.pid()),
        before,
        count_sql: "SELECT count() AS number FROM bench_floodmark.requests",
        distinct_sql: "SELECT uniqExact(request_id) AS number FROM bench_floodmark.requests",
    };
    let all_committed = || {
        let offsets = committed(&kafka, ANSWER_MAX).unwrap_or_default();
        offsets.iter().map(|(_, offset)| u64::try_from(*offset).unwrap_or(0)).sum::<u64>() >= arena.records
    };
    let outcome = watch(arena, &watched, all_committed).await;
    drop(service);
    arena.clickhouse.execute("DROP DATABASE bench_floodmark").await?;
    Ok(outcome)
}
