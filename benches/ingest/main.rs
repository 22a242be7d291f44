//! `make bench`: how fast records get from Kafka into ClickHouse, Floodmark beside its peers, in one run on one machine.
//!
//! A topic is filled once; each contender then works it off from the beginning, alone, until nothing more arrives. Broker,
//! ClickHouse and contender share the machine, as they do on one node. What is measured is what came out: rows are
//! counted in ClickHouse, whatever a contender says of itself.

mod broker;
mod clickhouse;
mod contender;
mod kafka_table;
mod otelcol;
mod process;
mod reader;
mod records;
mod report;
mod rsyslog;
mod service;

use std::path::PathBuf;

use anyhow::Context as _;

/// Records in the topic, when `FLOODMARK_BENCH_RECORDS` does not say.
const RECORDS: u64 = 1_000_000;
/// Partitions of the topic.
const PARTITIONS: i32 = 4;
/// What is measured, in this order; `FLOODMARK_BENCH_ONLY` names some, with spaces between them.
const CONTENDERS: [&str; 6] = ["fetch", "parse", "floodmark", "table", "rsyslog", "otelcol"];

/// What every contender needs to know.
pub struct Arena {
    /// Where everything of the run lies.
    pub directory: PathBuf,
    /// The release binary.
    pub floodmark: PathBuf,
    /// `host:port` of the broker.
    pub brokers: String,
    /// Process of the broker.
    pub broker_pid: u32,
    /// Whether it is the demo broker, which not every client can talk to.
    pub is_demo_broker: bool,
    /// Records in the topic `requests`.
    pub records: u64,
    /// The ClickHouse that all write to.
    pub clickhouse: clickhouse::Server,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == "--read") {
        return reader::main(&arguments[1..]);
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let records = match std::env::var("FLOODMARK_BENCH_RECORDS") {
        Ok(text) => text.parse().context("FLOODMARK_BENCH_RECORDS is no number")?,
        Err(_) => RECORDS,
    };
    let only: Vec<String> =
        std::env::var("FLOODMARK_BENCH_ONLY").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    if let Some(unknown) = only.iter().find(|one| !CONTENDERS.contains(&one.as_str())) {
        anyhow::bail!("FLOODMARK_BENCH_ONLY names {unknown:?}; there are {}", CONTENDERS.join(", "));
    }
    let directory = tempfile::tempdir()?;
    let broker = broker::Broker::start(&root, directory.path()).await?;
    eprintln!("writing {records} records");
    let bytes = records::produce(broker.address(), records)?;
    let arena = Arena {
        directory: directory.path().to_owned(),
        floodmark: PathBuf::from(env!("CARGO_BIN_EXE_floodmark")),
        brokers: broker.address().to_owned(),
        broker_pid: broker.pid()?,
        is_demo_broker: matches!(broker, broker::Broker::Demo(_)),
        records,
        clickhouse: clickhouse::Server::start(&root, directory.path()).await?,
    };
    let mut results = Vec::new();
    for contender in CONTENDERS.into_iter().filter(|name| only.is_empty() || only.iter().any(|one| one == name)) {
        results.push(match contender {
            "fetch" => reader::measure(&arena, false),
            "parse" => reader::measure(&arena, true),
            "floodmark" => service::measure(&arena).await,
            "table" => kafka_table::measure(&arena).await,
            "rsyslog" => rsyslog::measure(&arena, &root).await,
            _ => otelcol::measure(&arena, &root).await,
        });
    }
    print!("{}", report::table(&results, records, bytes, broker.name()));
    arena.clickhouse.stop().await
}
