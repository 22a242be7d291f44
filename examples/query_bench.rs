//! `make bench-queries`: every named query on a month of a large platform, 100 million rows of the rollup, on the local
//! engine: how long, how much it reads, what it takes. Prints the table of docs/queries.md.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use floodmark::local::{LocalClickHouse, LocalClickHouseOptions};
use floodmark::model::{NamedQuery, Timestamp};
use floodmark::store::{ClickHouse, Endpoint, migrate};
use serde_json::Value;

type Failure = Box<dyn std::error::Error>;

/// Rows of the rollup, unless another number is given.
const ROWS: u64 = 100_000_000;
const DAYS: u64 = 30;
/// 2026-03-31T00:00:00Z, when the month ends.
const END: Timestamp = Timestamp::from_millis(1_774_915_200_000);
const RUNS: usize = 10;
const SEED: &str = include_str!("query_bench.sql");

/// What differs from the defaults.
const GIVEN: [(&str, &str, &str); 5] = [
    ("customers_on_version", "client", "kameleo-cli"),
    ("customers_on_version", "client_version", "4.1"),
    ("subscription_day", "subscription", "sub-77"),
    ("limit_exceeded", "limit_per_minute", "60"),
    ("ledger_proof", "as_of", "2100-01-01T00:00:00Z"),
];

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let rows = std::env::args().nth(1).map_or(Ok(ROWS), |text| text.replace('_', "").parse())?;
    let temporary = tempfile::tempdir_in("target")?;
    // Data in a folder that is named stays there for another run.
    let directory = std::env::args().nth(2).map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let engine = LocalClickHouse::start(options(&directory)).await?;
    let clickhouse = ClickHouse::new(&Endpoint {
        url: engine.url().to_owned(),
        database: "floodmark".to_owned(),
        user: engine.users().admin.user.to_owned(),
        password: floodmark::config::Secret::new(engine.users().admin.password.as_str()),
        timeout: Duration::from_secs(600),
        tls: None,
    });
    migrate(&clickhouse).await?;
    seed(&clickhouse, rows).await?;
    let sizes = "SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS bytes FROM system.parts \
                 WHERE database = '{database}' AND active GROUP BY table ORDER BY rows DESC";
    for row in clickhouse.fetch::<Value>(sizes, &[]).await? {
        eprintln!("{}: {} rows, {} bytes", row["table"], row["rows"], row["bytes"]);
    }
    let access = (engine.url(), engine.users().reader.user, engine.users().reader.password.as_str());
    measure(access).await?;
    engine.shutdown().await?;
    Ok(())
}

fn options(directory: &Path) -> LocalClickHouseOptions {
    LocalClickHouseOptions {
        program: "target/debug/floodmark".into(),
        shared_library: ".local/engines/libchdb.so".into(),
        directory: directory.to_owned(),
        memory_bytes_max: 6 << 30,
        databases: "floodmark".to_owned(),
        guard: None,
        start_timeout: Duration::from_secs(60),
        stop_timeout: Duration::from_secs(60),
    }
}

/// Day by day, as it would have come; then merges have an end. What was seeded before is kept.
async fn seed(clickhouse: &ClickHouse, rows: u64) -> Result<(), Failure> {
    let filled = clickhouse.fetch::<Value>("SELECT toUInt32(count() > 0) AS n FROM {database}.incidents", &[]).await?;
    if filled[0]["n"] == 1 {
        return Ok(());
    }
    let (first, rest) = SEED.split_once("-- each further day\n").ok_or("the seed has three parts")?;
    let (further, once) = rest.split_once("-- once\n").ok_or("the seed has three parts")?;
    let rows = (rows / DAYS).to_string();
    for day in 0..DAYS {
        for statement in statements(if day == 0 { first } else { further }) {
            clickhouse.execute(&statement.replace("{day}", &day.to_string()).replace("{rows}", &rows)).await?;
        }
        eprintln!("day {} of {DAYS}", day + 1);
    }
    for statement in statements(once) {
        clickhouse.execute(&statement.replace("{rows}", &rows)).await?;
    }
    let merging = "SELECT toUInt32(count()) AS n FROM system.merges";
    let mut calm = 0;
    while calm < 5 {
        let rows = clickhouse.fetch::<Value>(merging, &[]).await?;
        calm = if rows[0]["n"] == 0 { calm + 1 } else { 0 };
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

fn statements(text: &str) -> impl Iterator<Item = &str> {
    text.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
}

/// What one run took.
struct Run {
    ms: f64,
    read_rows: u64,
    read_bytes: u64,
    memory_bytes: u64,
}

async fn measure(access: (&str, &str, &str)) -> Result<(), Failure> {
    println!("| query | range | p50, ms | p95, ms | rows read | MB read | memory, MB |");
    println!("|---|---|---|---|---|---|---|");
    // One provider for the process; a second call finds it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    for query in NamedQuery::all() {
        let mut given: BTreeMap<String, String> = BTreeMap::new();
        for (_, name, value) in GIVEN.iter().filter(|(of, ..)| *of == query.name) {
            given.insert((*name).to_owned(), (*value).to_owned());
        }
        let bound = query.bind(&given, END)?;
        let mut runs = Vec::with_capacity(RUNS);
        for _ in 0..RUNS {
            runs.push(run(&client, access, query, &bound.values).await?);
        }
        runs.sort_by(|a, b| a.ms.total_cmp(&b.ms));
        let at = |share: f64| &runs[((share * RUNS as f64).ceil() as usize).clamp(1, RUNS) - 1];
        let memory = runs.iter().map(|run| run.memory_bytes).max().unwrap_or_default();
        let default = |name: &str| query.parameter(name).and_then(|parameter| parameter.default.clone());
        println!(
            "| `{}` | {} | {:.0} | {:.0} | {} | {:.1} | {:.0} |",
            query.name,
            default("from").map_or_else(|| "–".to_owned(), |from| from.replace("now-", "")),
            at(0.5).ms,
            at(0.95).ms,
            thousands(runs[0].read_rows),
            runs[0].read_bytes as f64 / 1e6,
            memory as f64 / 1e6,
        );
    }
    Ok(())
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let places = digits.char_indices().map(|(at, digit)| {
        if at > 0 && (digits.len() - at).is_multiple_of(3) { format!(",{digit}") } else { digit.to_string() }
    });
    places.collect()
}

/// Within the limits of its class, the answer read whole.
#[allow(clippy::disallowed_methods)] // a benchmark reads the clock
async fn run(
    client: &reqwest::Client,
    (url, user, password): (&str, &str, &str),
    query: &NamedQuery,
    values: &[(&str, String)],
) -> Result<Run, Failure> {
    let mut url = reqwest::Url::parse(url)?;
    {
        let mut pairs = url.query_pairs_mut();
        pairs.append_pair("wait_end_of_query", "1").append_pair("default_format", "JSONEachRow");
        query.budget.limits().settings().iter().for_each(|(name, value)| {
            pairs.append_pair(name, value);
        });
        values.iter().for_each(|(name, value)| {
            pairs.append_pair(&format!("param_{name}"), value);
        });
    }
    let request = client.post(url).header("x-clickhouse-user", user).header("x-clickhouse-key", password);
    let started = Instant::now();
    let response = request.body(query.sql.replace("{database}", "floodmark")).send().await?;
    let status = response.status();
    let summary = response.headers().get("x-clickhouse-summary").map(|value| value.to_str().map(str::to_owned));
    let summary = summary.transpose()?.unwrap_or_default();
    let answer = response.text().await?;
    let ms = started.elapsed().as_secs_f64() * 1e3;
    if !status.is_success() {
        return Err(format!("{}: {}", query.name, answer.chars().take(500).collect::<String>()).into());
    }
    let summary: Value = serde_json::from_str(&summary)?;
    let number = |key: &str| summary[key].as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
    Ok(Run {
        ms,
        read_rows: number("read_rows"),
        read_bytes: number("read_bytes"),
        memory_bytes: number("memory_usage"),
    })
}
