//! The ClickHouse that all contenders write to, and questions to it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use floodmark::local::{EngineState, LocalClickHouse, LocalClickHouseOptions};
use floodmark::store::{ClickHouse, Endpoint};
use serde::Deserialize;

/// Memory that ClickHouse may use.
const MEMORY_BYTES_MAX: u64 = 4 << 30;

/// A running server.
pub struct Server {
    engine: LocalClickHouse,
    /// Process of the server.
    pub pid: u32,
    /// Password of the user `admin`.
    pub password: String,
    client: ClickHouse,
}

#[derive(Deserialize)]
struct Number {
    number: u64,
}

impl Server {
    pub async fn start(root: &Path, directory: &Path) -> anyhow::Result<Self> {
        let engine = LocalClickHouse::start(LocalClickHouseOptions {
            program: env!("CARGO_BIN_EXE_floodmark").into(),
            shared_library: root.join(".local/engines/libchdb.so"),
            directory: directory.join("clickhouse"),
            memory_bytes_max: MEMORY_BYTES_MAX,
            databases: "bench*".to_owned(),
            guard: None,
            start_timeout: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(30),
        })
        .await?;
        let EngineState::Running { pid, .. } = engine.state().borrow().clone() else {
            anyhow::bail!("clickhouse is not running");
        };
        let password = engine.users().admin.password.clone();
        let client = ClickHouse::new(&Endpoint {
            url: engine.url().to_owned(),
            database: "bench".to_owned(),
            user: "admin".to_owned(),
            password: floodmark::config::Secret::new(password.clone()),
            tls: None,
            timeout: Duration::from_secs(300),
        });
        Ok(Self { engine, pid, password, client })
    }

    pub fn url(&self) -> &str {
        self.engine.url()
    }

    pub async fn execute(&self, sql: &str) -> anyhow::Result<()> {
        Ok(self.client.execute(sql).await?)
    }

    /// The one number that `sql` gives as `number`.
    pub async fn number(&self, sql: &str) -> anyhow::Result<u64> {
        let rows: Vec<Number> = self.client.fetch(sql, &[]).await?;
        Ok(rows.first().context("no row")?.number)
    }

    pub async fn stop(self) -> anyhow::Result<()> {
        Ok(self.engine.shutdown().await?)
    }
}
