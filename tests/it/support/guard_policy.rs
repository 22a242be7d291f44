//! Engines that are held by a guard's policy.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use floodmark::guard::policy::{Desired, GuardPolicy, ServerFacts, compile};
use floodmark::local::{LocalClickHouse, Users};
use floodmark::store::ClickHouse;

use super::clickhouse::options;

/// Memory limit S of the guarded engines.
pub const LIMIT_BYTES: u64 = 1 << 30;
/// A policy with a class of readers, a narrow one and one of writers, and tenants in each; `server` goes into `[server]`.
pub fn policy_text(server: &str) -> String {
    format!(
        "
[server]
slots = 10
memory_bytes_max = '1GiB'
{server}
[classes.dashboard]
query_memory_share_max = 0.05
user_memory_share_max = 0.2
spill_share_min = 0.0125
temporary_bytes_max = '1MB'
read_rows_max = 5_000_000
read_bytes_max = '30MB'
result_rows_max = 1_000
duration_max = '2s'
threads_max = 1
slots = 3
waiting_max = 3
settings_changeable = ['session_timezone']
[classes.narrow]
query_memory_share_max = 0.05
user_memory_share_max = 0.1
spill_share_min = 0.0125
read_rows_max = 5_000_000
duration_max = '30s'
threads_max = 1
slots = 1
waiting_max = 1
[classes.ingest]
writes = true
[tenants.grafana]
class = 'dashboard'
password = 'grafana-secret'
databases = ['guarded']
[tenants.counted]
class = 'dashboard'
password = 'counted-secret'
databases = ['guarded']
queries_per_hour_max = 5
[tenants.narrow]
class = 'narrow'
user = 'jupyter'
password = 'narrow-secret'
databases = ['guarded.t']
[tenants.loader]
class = 'ingest'
password = 'loader-secret'
databases = ['guarded']
"
    )
}

/// The policy compiled for a guarded engine.
pub fn desired() -> Desired {
    let policy = GuardPolicy::parse(&policy_text("")).unwrap();
    let facts = ServerFacts { memory_bytes_max: LIMIT_BYTES, cores: 2, ..ServerFacts::default() };
    compile(&policy, &policy.passwords().unwrap(), &facts).unwrap()
}

/// An engine in `directory`, held by the policy or not.
pub async fn engine(directory: &Path, is_guarded: bool) -> LocalClickHouse {
    let guard = is_guarded.then(|| desired().local_guard().unwrap());
    let options = options(directory);
    LocalClickHouse::start(floodmark::local::LocalClickHouseOptions { guard, ..options }).await.unwrap()
}

/// The guarded engine that tests share; it ends with this process.
pub struct Guarded {
    pub url: String,
    pub users: Users,
}

impl Guarded {
    /// Started by whoever asks first, with a table `guarded.t` of 100,000 rows.
    pub fn shared() -> &'static Self {
        static ENGINE: OnceLock<Guarded> = OnceLock::new();
        ENGINE.get_or_init(|| {
            let (sender, receiver) = std::sync::mpsc::sync_channel(1);
            // The engine's supervisor needs a runtime that outlives each test's own.
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
                    let directory = tempfile::tempdir_in(root).unwrap();
                    let engine = engine(directory.path(), true).await;
                    let shared = Guarded { url: engine.url().to_owned(), users: engine.users().clone() };
                    fill(&shared.admin()).await;
                    sender.send(shared).unwrap();
                    std::future::pending::<()>().await;
                });
            });
            receiver.recv().expect("the guarded engine starts: `make engines` fetches it")
        })
    }

    pub fn admin(&self) -> ClickHouse {
        super::clickhouse::client(&self.url, &self.users.admin, "guarded")
    }

    /// One HTTP request as a user: the text of the answer. `parameters` go into the URL.
    pub async fn ask(&self, user: &str, sql: &str, parameters: &[(&str, &str)]) -> String {
        ask(&self.url, user, &password(user), sql, parameters).await
    }
}

/// The password of a tenant's user in the policy.
pub fn password(user: &str) -> String {
    if user == "jupyter" { "narrow-secret".to_owned() } else { format!("{user}-secret") }
}

/// Makes the database of the policy and its table.
pub async fn fill(admin: &ClickHouse) {
    for sql in [
        "CREATE DATABASE guarded",
        "CREATE TABLE guarded.t (n UInt64, s String) ENGINE = MergeTree ORDER BY n",
        "INSERT INTO guarded.t SELECT number, toString(number) FROM numbers(100000)",
    ] {
        admin.execute(sql).await.unwrap();
    }
}

/// One HTTP request: the text of the answer.
pub async fn ask(url: &str, user: &str, password: &str, sql: &str, parameters: &[(&str, &str)]) -> String {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = reqwest::Url::parse_with_params(url, parameters).unwrap();
    let request = client.post(url).header("X-ClickHouse-User", user).header("X-ClickHouse-Key", password);
    let answer = request.body(sql.to_owned()).timeout(Duration::from_secs(120)).send().await.unwrap();
    answer.text().await.unwrap()
}
