//! `make bench-guard`: what the guard's proxy costs, beside the same engine asked directly in the same run.
//!
//! Small queries at a steady rate, the ways taking turns; then a large answer, the ways taking turns. chproxy is measured
//! too when `benches/peers/build.sh chproxy` has built it.

mod chproxy;
mod client;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use client::Connection;
use floodmark::local::{Credentials, LocalClickHouse, LocalClickHouseOptions};
use tokio::time::Instant;

/// Small queries in a second. The ways take turns of a second.
const QUERIES_PER_SECOND: u32 = 200;
/// Rows of the table of the small queries.
const ROWS: u32 = 1_000_000;
/// Queries before anything is measured.
const WARM_QUERIES: u32 = 100;
/// Rows of the large table: 1 GB as text.
const LARGE_ROWS: u32 = 13_000_000;
/// The large answers, 1 GB each before encoding. Blocks are small: an answer must not need more memory than its class may take.
const LARGE_ANSWERS: [LargeAnswer; 3] = [
    LargeAnswer {
        name: "rows of a table",
        path: "/",
        sql: "SELECT * FROM bench_guard.large SETTINGS max_block_size = 8192",
    },
    // As the client libraries of Rust and Python ask unless told otherwise.
    LargeAnswer {
        name: "the same, LZ4",
        path: "/?compress=1",
        sql: "SELECT * FROM bench_guard.large SETTINGS max_block_size = 8192 FORMAT RowBinary",
    },
    // Costs ClickHouse nothing to make: passing it on is all the work.
    LargeAnswer {
        name: "made of nothing",
        path: "/",
        sql: "SELECT repeat('x', 1000) FROM numbers(1000000) \
              SETTINGS max_block_size = 8192, output_format_parallel_formatting = 0 FORMAT RowBinary",
    },
];
/// How often each is fetched each way.
const LARGE_ROUNDS: u32 = 3;

/// A query with a large answer.
struct LargeAnswer {
    name: &'static str,
    path: &'static str,
    sql: &'static str,
}

/// Where the engine is.
struct Server {
    engine: LocalClickHouse,
    /// Who asks.
    reader: Credentials,
    /// Who fills the table, and the guard.
    admin: Credentials,
}

impl Server {
    fn url(&self) -> &str {
        self.engine.url()
    }
}

/// A way to the engine.
struct Way {
    name: &'static str,
    address: String,
    latencies: Vec<Duration>,
    /// The process between; absent of the direct way.
    pid: Option<u32>,
    /// Of each large answer.
    large: [LargeFigures; LARGE_ANSWERS.len()],
}

/// What the rounds of one large answer came to.
#[derive(Default)]
struct LargeFigures {
    bytes_per_second: Vec<f64>,
    /// Of the process between, all rounds together.
    cpu: Cpu,
}

/// CPU time of a process, by where it was spent.
#[derive(Clone, Copy, Default)]
struct Cpu {
    user: Duration,
    kernel: Duration,
}

impl Cpu {
    fn total(self) -> Duration {
        self.user + self.kernel
    }

    fn since(self, before: Self) -> Self {
        Self { user: self.user.saturating_sub(before.user), kernel: self.kernel.saturating_sub(before.kernel) }
    }
}

/// The proxy, ended with this value.
struct RunningProxy(Child);

impl Drop for RunningProxy {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(measure())
}

async fn measure() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let server = server(directory.path()).await?;
    let (proxy, proxy_address) = start_proxy(&server, directory.path()).await?;
    let mut ways =
        vec![way("direct", server.url(), None), way("proxy", &format!("http://{proxy_address}"), Some(proxy.0.id()))];
    let chproxy = chproxy::start(&server, directory.path()).await?;
    if let Some((process, address)) = &chproxy {
        ways.push(way("chproxy", &format!("http://{address}"), Some(process.0.id())));
    }
    let setup = [
        "CREATE DATABASE IF NOT EXISTS bench_guard".to_owned(),
        "DROP TABLE IF EXISTS bench_guard.t".to_owned(),
        "CREATE TABLE bench_guard.t (n UInt64, v UInt64) ENGINE = MergeTree ORDER BY n".to_owned(),
        format!("INSERT INTO bench_guard.t SELECT number, number % 7 FROM numbers({ROWS})"),
        "DROP TABLE IF EXISTS bench_guard.large".to_owned(),
        "CREATE TABLE bench_guard.large (n UInt64, v UInt64, a String, b String) ENGINE = MergeTree ORDER BY n"
            .to_owned(),
        format!(
            "INSERT INTO bench_guard.large SELECT number, number % 7, hex(sipHash128(number)), \
             hex(sipHash128(number, 1)) FROM numbers({LARGE_ROWS}) SETTINGS max_block_size = 65536, \
             min_insert_block_size_rows = 65536, max_insert_threads = 1"
        ),
    ];
    let admin = &server.admin;
    let mut direct = Connection::open(&ways[0].address, admin.user, &admin.password).await?;
    for sql in &setup {
        direct.query(sql).await?;
    }
    println!("load average at the start: {}", load());
    let cpu_before = cpu(proxy.0.id());
    small(&mut ways, &server).await?;
    let cpu_of_proxy = cpu(proxy.0.id()).since(cpu_before).total();
    report_small(&mut ways);
    // Unlike times, it does not depend on what else the machine does.
    let queries = ways[1].latencies.len() + WARM_QUERIES as usize;
    println!("cpu of the proxy: {:.3} ms a small query", cpu_of_proxy.as_secs_f64() * 1_000.0 / queries as f64);
    large(&mut ways, &server).await?;
    report_large(&ways);
    println!("load average at the end: {}", load());
    drop((proxy, chproxy));
    server.engine.shutdown().await?;
    Ok(())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn way(name: &'static str, url: &str, pid: Option<u32>) -> Way {
    let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    Way { name, address, latencies: Vec::new(), pid, large: Default::default() }
}

async fn connect(way: &Way, server: &Server) -> std::io::Result<Connection> {
    Connection::open(&way.address, server.reader.user, &server.reader.password).await
}

async fn server(directory: &Path) -> Result<Server, Box<dyn std::error::Error>> {
    let engine = LocalClickHouse::start(LocalClickHouseOptions {
        program: env!("CARGO_BIN_EXE_floodmark").into(),
        shared_library: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".local/engines/libchdb.so"),
        directory: directory.join("clickhouse"),
        memory_bytes_max: 2 << 30,
        databases: "bench_*".to_owned(),
        guard: None,
        start_timeout: Duration::from_secs(60),
        stop_timeout: Duration::from_secs(20),
    })
    .await?;
    let (reader, admin) = (engine.users().reader.clone(), engine.users().admin.clone());
    Ok(Server { engine, reader, admin })
}

/// Starts `floodmark guard proxy` as a process of its own, as it runs in production.
async fn start_proxy(server: &Server, directory: &Path) -> Result<(RunningProxy, String), Box<dyn std::error::Error>> {
    let (listen, admin_listen) = (free_address()?, free_address()?);
    let policy = directory.join("guard.toml");
    let (reader, admin) = (&server.reader, &server.admin);
    let text = format!(
        "[server]\nurl = \"{}\"\nuser = \"{}\"\npassword = \"{}\"\nmemory_bytes_max = \"2GiB\"\n\
         [classes.ad_hoc]\nquery_memory_share_max = 0.2\nuser_memory_share_max = 0.8\nspill_share_min = 0.05\n\
         read_bytes_max = \"300GB\"\nduration_max = \"30s\"\nslots = 4\nwaiting_max = 32\nwait_max = \"10s\"\n\
         [classes.ingest]\nwrites = true\n\
         [tenants.{}]\nclass = \"ad_hoc\"\npassword = \"{}\"\ndatabases = [\"bench_guard\"]\n\
         [black_box]\ndirectory = \"{}\"\n\
         [proxy]\nlisten = \"{listen}\"\nadmin_listen = \"{admin_listen}\"\nenforce = true\n",
        server.url(),
        admin.user,
        admin.password,
        reader.user,
        reader.password,
        directory.join("guard").display(),
    );
    std::fs::write(&policy, text)?;
    let log = std::fs::File::create(directory.join("proxy.log"))?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_floodmark"));
    command.args(["guard", "proxy", "--policy"]).arg(&policy).stdin(Stdio::null());
    let child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
    let running = RunningProxy(child);
    wait_for(listen, &directory.join("proxy.log")).await?;
    Ok((running, listen.to_string()))
}

/// An address that nobody listens on.
fn free_address() -> std::io::Result<SocketAddr> {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr())
}

/// Waits until somebody listens; else the error is what the log says.
async fn wait_for(listen: SocketAddr, log: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while tokio::net::TcpStream::connect(listen).await.is_err() {
        if Instant::now() > deadline {
            return Err(std::fs::read_to_string(log)?.into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Point queries at a steady rate, each of another key, so that no answer is shared. The ways take turns of a second.
async fn small(ways: &mut [Way], server: &Server) -> Result<(), Box<dyn std::error::Error>> {
    let seconds = variable("FLOODMARK_BENCH_SECONDS").and_then(|text| text.parse().ok()).unwrap_or(20);
    let mut connections = Vec::new();
    for way in ways.iter() {
        connections.push(connect(way, server).await?);
    }
    let mut number = 0_u32;
    for (way, connection) in ways.iter().zip(&mut connections) {
        for _ in 0..WARM_QUERIES {
            ask_one(way, connection, &mut number).await?;
        }
    }
    let mut interval = tokio::time::interval(Duration::from_secs(1) / QUERIES_PER_SECOND);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for _ in 0..seconds {
        for (way, connection) in ways.iter_mut().zip(&mut connections) {
            for _ in 0..QUERIES_PER_SECOND {
                interval.tick().await;
                let latency = ask_one(way, connection, &mut number).await?;
                way.latencies.push(latency);
            }
        }
    }
    Ok(())
}

async fn ask_one(way: &Way, connection: &mut Connection, number: &mut u32) -> Result<Duration, String> {
    let key = number.wrapping_mul(7_919) % ROWS;
    *number += 1;
    let since = Instant::now();
    let sql = format!("SELECT v FROM bench_guard.t WHERE n = {key}");
    connection.query(&sql).await.map_err(|error| format!("{}: {error}", way.name))?;
    Ok(since.elapsed())
}

async fn large(ways: &mut [Way], server: &Server) -> Result<(), Box<dyn std::error::Error>> {
    for _ in 0..LARGE_ROUNDS {
        for (at, answer) in LARGE_ANSWERS.iter().enumerate() {
            for way in &mut *ways {
                let mut connection = connect(way, server).await?;
                let cpu_before = way.pid.map(cpu).unwrap_or_default();
                let since = Instant::now();
                let asked = connection.query_at(answer.path, answer.sql).await;
                let bytes = asked.map_err(|error| format!("{}: {error}", way.name))?;
                let figures = &mut way.large[at];
                figures.bytes_per_second.push(bytes as f64 / since.elapsed().as_secs_f64());
                let cpu = way.pid.map(cpu).unwrap_or_default().since(cpu_before);
                figures.cpu.user += cpu.user;
                figures.cpu.kernel += cpu.kernel;
            }
        }
    }
    Ok(())
}

/// CPU time of a process so far.
fn cpu(pid: u32) -> Cpu {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    // SAFETY: asks for a constant of the system.
    let per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100);
    let ticks = |place: usize| fields.split_whitespace().nth(place).and_then(|field| field.parse::<u64>().ok());
    let time = |place: usize| Duration::from_millis(ticks(place).unwrap_or(0) * 1_000 / per_second);
    Cpu { user: time(11), kernel: time(12) }
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn report_small(ways: &mut [Way]) {
    println!("way      queries   p50 ms   p90 ms   p99 ms   added: p50 ms   p99 ms");
    let mut direct: Option<(f64, f64)> = None;
    for way in ways {
        way.latencies.sort_unstable();
        let at = |share: f64| {
            let place = (way.latencies.len() as f64 * share) as usize;
            way.latencies.get(place).map_or(0.0, |latency| latency.as_secs_f64() * 1_000.0)
        };
        let (p50, p90, p99) = (at(0.5), at(0.9), at(0.99));
        let (direct_p50, direct_p99) = *direct.get_or_insert((p50, p99));
        let queries = way.latencies.len();
        let (added_p50, added_p99) = (p50 - direct_p50, p99 - direct_p99);
        let (name, added) = (way.name, format!("{added_p50:>+13.3} {added_p99:>+8.3}"));
        println!("{name:<8} {queries:>7} {p50:>8.3} {p90:>8.3} {p99:>8.3}   {added}");
    }
}

fn report_large(ways: &[Way]) {
    println!("1 GB answer       way      MB/s on the wire     best, of direct   cpu ms: own   kernel's");
    for (at, answer) in LARGE_ANSWERS.iter().enumerate() {
        let best = |way: &Way| way.large[at].bytes_per_second.iter().copied().fold(0.0, f64::max);
        for way in ways {
            let figures = &way.large[at];
            let rates: Vec<String> = figures.bytes_per_second.iter().map(|rate| format!("{:.0}", rate / 1e6)).collect();
            let of_direct = best(way) / best(&ways[0]) * 100.0;
            let cpu = |time: Duration| time.as_millis() / u128::from(LARGE_ROUNDS);
            let cpu = way
                .pid
                .map_or_else(String::new, |_| format!("{:>13} {:>10}", cpu(figures.cpu.user), cpu(figures.cpu.kernel)));
            println!("{:<17} {:<8} {:<20} {of_direct:>14.0} %{cpu}", answer.name, way.name, rates.join(" "));
        }
    }
}
