//! rsyslog: imkafka to omclickhouse.

use std::path::Path;
use std::process::Command;

use crate::Arena;
use crate::contender::{Outcome, Watched, before, watch};
use crate::process::Running;

const NAME: &str = "rsyslog";

/// Works the topic off until nothing more arrives.
pub async fn measure(arena: &Arena, root: &Path) -> Outcome {
    eprintln!("{NAME}");
    let tree = root.join(".local/peers/rsyslog/root/usr");
    if !tree.join("lib/x86_64-linux-gnu/rsyslog/omclickhouse.so").is_file() {
        return Outcome::absent(NAME, "not installed (benches/peers/build.sh rsyslog)");
    }
    if arena.is_demo_broker {
        return Outcome::absent(NAME, "its Kafka client is too old for the demo broker");
    }
    run(arena, &tree).await.unwrap_or_else(|error| Outcome::absent(NAME, error.to_string()))
}

async fn run(arena: &Arena, tree: &Path) -> anyhow::Result<Outcome> {
    let (clickhouse, directory) = (&arena.clickhouse, arena.directory.join("rsyslog"));
    std::fs::create_dir_all(&directory)?;
    let configuration = directory.join("rsyslog.conf");
    let text = include_str!("../peers/rsyslog/rsyslog.conf")
        .replace("{directory}", &directory.display().to_string())
        .replace("{broker}", &arena.brokers)
        .replace("{port}", clickhouse.url().rsplit(':').next().unwrap_or_default())
        .replace("{password}", &clickhouse.password);
    std::fs::write(&configuration, text)?;
    clickhouse.execute("CREATE DATABASE bench_rsyslog").await?;
    clickhouse.execute("CREATE TABLE bench_rsyslog.logs (message String) ENGINE = MergeTree ORDER BY tuple()").await?;
    let before = before(arena);
    let libraries = tree.join("lib/x86_64-linux-gnu");
    let mut command = Command::new(tree.join("sbin/rsyslogd"));
    command
        .env_clear()
        .env("LD_LIBRARY_PATH", &libraries)
        .arg("-n")
        .arg("-M")
        .arg(libraries.join("rsyslog"))
        .arg("-f")
        .arg(&configuration)
        .arg("-i")
        .arg(directory.join("pid"));
    let log = arena.directory.join("rsyslog.log");
    let mut rsyslog = Running::start(&mut command, &log)?;
    let watched = Watched {
        name: NAME,
        pid: Some(rsyslog.pid()),
        before,
        count_sql: "SELECT count() AS number FROM bench_rsyslog.logs",
        distinct_sql: "SELECT uniqExact(message) AS number FROM bench_rsyslog.logs",
    };
    let outcome = watch(arena, &watched, || true).await;
    if rsyslog.has_ended() {
        let said = std::fs::read_to_string(log).unwrap_or_default();
        return Ok(Outcome::absent(NAME, said.lines().last().unwrap_or("it ended by itself").to_owned()));
    }
    drop(rsyslog);
    clickhouse.execute("DROP DATABASE bench_rsyslog").await?;
    Ok(outcome)
}
