//! ClickHouse's own Kafka table engine with materialized views that fill the same tables: raw rows and rollup.

use floodmark::store::MIGRATIONS;

use crate::Arena;
use crate::contender::{Outcome, Watched, before, watch};

const NAME: &str = "ClickHouse Kafka table engine";
/// Tables that are filled, by the names of their migrations.
const TABLES: [&str; 2] = ["requests", "requests_by_minute"];
const QUEUE: &str = include_str!("kafka_table.sql");

/// Works the topic off until all is stored.
pub async fn measure(arena: &Arena) -> Outcome {
    eprintln!("{NAME}");
    run(arena).await.unwrap_or_else(|error| Outcome::absent(NAME, error.to_string()))
}

async fn run(arena: &Arena) -> anyhow::Result<Outcome> {
    let clickhouse = &arena.clickhouse;
    let engine = "SELECT count() AS number FROM system.table_engines WHERE name = 'Kafka'";
    if clickhouse.number(engine).await? == 0 {
        return Ok(Outcome::absent(NAME, "this ClickHouse has no Kafka table engine"));
    }
    clickhouse.execute("CREATE DATABASE bench_kafka").await?;
    for migration in MIGRATIONS.iter().filter(|migration| TABLES.contains(&migration.name)) {
        clickhouse.execute(&migration.sql.replace("{database}", "bench_kafka")).await?;
    }
    let before = before(arena);
    for statement in QUEUE.replace("{brokers}", &arena.brokers).split(";\n").filter(|text| !text.trim().is_empty()) {
        clickhouse.execute(statement).await?;
    }
    let watched = Watched {
        name: NAME,
        pid: None,
        before,
        count_sql: "SELECT count() AS number FROM bench_kafka.requests",
        distinct_sql: "SELECT uniqExact(request_id) AS number FROM bench_kafka.requests",
    };
    let outcome = watch(arena, &watched, || true).await;
    clickhouse.execute("DROP DATABASE bench_kafka").await?;
    Ok(outcome)
}
