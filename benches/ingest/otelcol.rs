//! The OpenTelemetry collector with two components: kafkareceiver and clickhouseexporter.

use std::path::Path;
use std::process::Command;

use crate::Arena;
use crate::contender::{Outcome, Watched, before, watch};
use crate::process::Running;

const NAME: &str = "OpenTelemetry collector";

/// Works the topic off until nothing more arrives.
pub async fn measure(arena: &Arena, root: &Path) -> Outcome {
    eprintln!("{NAME}");
    let program = root.join(".local/peers/otelcol/otelcol");
    if !program.is_file() {
        return Outcome::absent(NAME, "not installed (benches/peers/build.sh otelcol)");
    }
    run(arena, &program).await.unwrap_or_else(|error| Outcome::absent(NAME, error.to_string()))
}

async fn run(arena: &Arena, program: &Path) -> anyhow::Result<Outcome> {
    let (clickhouse, configuration) = (&arena.clickhouse, arena.directory.join("otelcol.yaml"));
    let text = include_str!("../peers/otelcol/config.yaml")
        .replace("{brokers}", &arena.brokers)
        .replace("{clickhouse}", clickhouse.url())
        .replace("{password}", &clickhouse.password);
    std::fs::write(&configuration, text)?;
    clickhouse.execute("CREATE DATABASE bench_otelcol").await?;
    let before = before(arena);
    let mut command = Command::new(program);
    command.env_clear().arg("--config").arg(format!("file:{}", configuration.display()));
    let log = arena.directory.join("otelcol.log");
    let mut collector = Running::start(&mut command, &log)?;
    let watched = Watched {
        name: NAME,
        pid: Some(collector.pid()),
        before,
        count_sql: "SELECT count() AS number FROM bench_otelcol.otel_logs",
        distinct_sql: "SELECT uniqExact(Body) AS number FROM bench_otelcol.otel_logs",
    };
    let outcome = watch(arena, &watched, || true).await;
    if collector.has_ended() {
        let said = std::fs::read_to_string(log).unwrap_or_default();
        return Ok(Outcome::absent(NAME, said.lines().last().unwrap_or("it ended by itself").to_owned()));
    }
    drop(collector);
    clickhouse.execute("DROP DATABASE bench_otelcol").await?;
    Ok(outcome)
}
