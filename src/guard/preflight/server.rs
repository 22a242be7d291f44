//! ClickHouse over HTTP, as a preflight asks it: the same few settings each time, so that the same query reads and takes
//! the same, and a bound on everything.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Client, Response, Url};
use serde::Deserialize;

use super::explain::{Scan, scans};
use crate::client_tls::{self, TlsError};
use crate::config::Secret;

/// Longest answer that is read: plans and messages; answers of measured queries are not sent.
const ANSWER_BYTES_MAX: usize = 16 * 1_024 * 1_024;
/// Longest message of ClickHouse that is kept.
const MESSAGE_CHARS_MAX: usize = 600;
/// A query that takes longer is stopped and counts as failed. Not a gate on time: a bound.
const QUERY_SECONDS_MAX: u64 = 120;
/// A statement of schema or seed may take this long.
const SEED_TIMEOUT: Duration = Duration::from_secs(600);
/// Threads of a query: fixed, because memory grows with them, and few machines have only one core.
const THREADS: &str = "2";
/// Each makes a repetition read and take the same as the first run: caches of answers and of filters, and hash tables
/// that are made as large as they were last time. Spill is left to the query itself: by default it depends on how much
/// memory the server happens to have left.
const STEADY: [(&str, &str); 10] = [
    ("max_threads", THREADS),
    ("use_query_cache", "0"),
    ("use_query_condition_cache", "0"),
    ("use_uncompressed_cache", "0"),
    ("collect_hash_table_stats_during_aggregation", "0"),
    ("collect_hash_table_stats_during_joins", "0"),
    ("max_bytes_ratio_before_external_group_by", "0"),
    ("max_bytes_ratio_before_external_sort", "0"),
    ("max_bytes_ratio_before_external_join", "0"),
    ("enable_parallel_replicas", "0"),
];

/// A statement could not be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// No connection, or it broke.
    #[error("clickhouse is unreachable: {0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("clickhouse did not answer within {0:?}")]
    TimedOut(Duration),
    /// ClickHouse refused the statement.
    #[error("clickhouse refused: {message}")]
    Refused {
        /// ClickHouse's error code; 0 where it gave none.
        code: u32,
        /// Its message.
        message: String,
    },
    /// The answer is not what was asked for.
    #[error("clickhouse answered with something unexpected: {0}")]
    Protocol(String),
    /// The file of certificate authorities cannot be used.
    #[error("{0}")]
    Authorities(String),
}

impl From<TlsError> for ServerError {
    fn from(error: TlsError) -> Self {
        Self::Authorities(error.to_string())
    }
}

/// Where a server is, and as whom to ask it.
#[derive(Debug, Clone)]
pub struct Access {
    /// HTTP interface.
    pub url: String,
    /// User.
    pub user: String,
    /// Password.
    pub password: Option<Secret>,
    /// Whom to trust for `https://` instead of the system.
    pub ca_file: Option<PathBuf>,
    /// Database that names without one are looked up in; `{database}` in queries.
    pub database: String,
    /// Memory that one query may take, in bytes.
    pub query_memory_bytes_max: u64,
}

/// A server that answers.
#[derive(Debug)]
pub struct Server {
    client: Client,
    access: Access,
    url: Url,
    version: String,
    steady: Vec<(&'static str, &'static str)>,
}

/// What one run read and took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub read_rows: u64,
    pub read_bytes: u64,
    /// Peak.
    pub memory_bytes: u64,
}

/// The header `X-ClickHouse-Summary`; its numbers are texts.
#[derive(Debug, Deserialize)]
struct Summary {
    read_rows: String,
    read_bytes: String,
    memory_usage: String,
}

impl Server {
    /// Connects and asks for version and known settings.
    ///
    /// # Errors
    /// No client, no server, no right to ask.
    pub async fn connect(access: Access) -> Result<Self, ServerError> {
        let url = Url::parse(&access.url).map_err(|error| ServerError::Protocol(format!("url: {error}")))?;
        let plain = url.scheme() == "http";
        let tls =
            if plain { client_tls::trusting_nobody()? } else { client_tls::client_config(access.ca_file.as_deref())? };
        let client = Client::builder()
            .no_proxy()
            // A redirect could carry the password elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("floodmark/", env!("CARGO_PKG_VERSION"), " preflight"))
            .tls_backend_preconfigured(tls)
            .build()
            .map_err(unreachable)?;
        let mut server = Self { client, access, url, version: String::new(), steady: Vec::new() };
        let names: Vec<String> = STEADY.iter().map(|(name, _)| format!("'{name}'")).collect();
        let sql = format!("SELECT version(), name FROM system.settings WHERE name IN ({})", names.join(", "));
        // Without the database, which the schema may have to make first.
        let answer = server.send(&sql, &[("default_format", "TSVRaw")], SEED_TIMEOUT).await?.1;
        let known: Vec<&str> = answer.lines().filter_map(|line| line.split('\t').nth(1)).collect();
        server.steady = STEADY.into_iter().filter(|(name, _)| known.contains(name)).collect();
        server.version = answer.split('\t').next().unwrap_or_default().to_owned();
        Ok(server)
    }

    /// The server's version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Database that stands for `{database}`.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.access.database
    }

    /// Runs a statement that has no answer.
    pub(super) async fn execute(&self, sql: &str, database: Option<&str>) -> Result<(), ServerError> {
        let mut settings = vec![("max_insert_threads", "1"), ("wait_end_of_query", "1")];
        settings.extend(database.map(|name| ("database", name)));
        self.send(sql, &settings, SEED_TIMEOUT).await.map(|_| ())
    }

    /// First column of a query's rows.
    pub(super) async fn column(&self, sql: &str) -> Result<Vec<String>, ServerError> {
        let settings = [("default_format", "TSVRaw"), ("database", self.database())];
        let (_, text) = self.send(sql, &settings, SEED_TIMEOUT).await?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// How a query would read its tables.
    pub(super) async fn explain(&self, sql: &str, parameters: &[(String, String)]) -> Result<Vec<Scan>, ServerError> {
        let sql = format!("EXPLAIN indexes = 1, projections = 1, json = 1\n{sql}");
        let (_, answer) = self.ask(&sql, "TSVRaw", parameters).await?;
        scans(&answer).map_err(|error| ServerError::Protocol(error.to_string()))
    }

    /// Runs a query once, without its answer.
    pub(super) async fn run(&self, sql: &str, parameters: &[(String, String)]) -> Result<Taken, ServerError> {
        let (summary, _) = self.ask(sql, "Null", parameters).await?;
        let absent = || ServerError::Protocol("no X-ClickHouse-Summary with the memory of the query".to_owned());
        let summary: Summary = serde_json::from_str(&summary.ok_or_else(absent)?).map_err(|_| absent())?;
        let number = |text: &str| text.parse().map_err(|_| absent());
        Ok(Taken {
            read_rows: number(&summary.read_rows)?,
            read_bytes: number(&summary.read_bytes)?,
            memory_bytes: number(&summary.memory_usage)?,
        })
    }

    /// Asks under limits: EXPLAIN as well, because it runs the subqueries of `IN`.
    async fn ask(
        &self,
        sql: &str,
        format: &str,
        parameters: &[(String, String)],
    ) -> Result<(Option<String>, String), ServerError> {
        let (memory, seconds) = (self.access.query_memory_bytes_max.to_string(), QUERY_SECONDS_MAX.to_string());
        let mut settings = self.steady.clone();
        settings.extend([
            ("default_format", format),
            ("database", self.database()),
            ("max_memory_usage", memory.as_str()),
            ("max_execution_time", seconds.as_str()),
            ("wait_end_of_query", "1"),
            // Settings may be changed, data may not.
            ("readonly", "2"),
        ]);
        settings.extend(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        self.send(sql, &settings, Duration::from_secs(2 * QUERY_SECONDS_MAX)).await
    }

    /// The summary's header, and the answer.
    async fn send(
        &self,
        sql: &str,
        settings: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<(Option<String>, String), ServerError> {
        let mut url = self.url.clone();
        url.query_pairs_mut().extend_pairs(settings);
        let request = self.client.post(url).header("x-clickhouse-user", &self.access.user).body(sql.to_owned());
        let request = match &self.access.password {
            Some(password) => request.header("x-clickhouse-key", password.expose()),
            None => request,
        };
        let asked = async { read(request.send().await.map_err(unreachable)?).await };
        tokio::time::timeout(timeout, asked).await.map_err(|_| ServerError::TimedOut(timeout))?
    }
}

async fn read(mut response: Response) -> Result<(Option<String>, String), ServerError> {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (summary, code) = (header("x-clickhouse-summary"), header("x-clickhouse-exception-code"));
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(ServerError::Protocol(format!("an answer of more than {ANSWER_BYTES_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    if status.is_success() && code.is_none() {
        return Ok((summary, text));
    }
    let code = code.and_then(|code| code.parse().ok()).unwrap_or(0);
    // "Code: 62. DB::Exception: … (SYNTAX_ERROR) (version …)": the version says nothing here.
    let message: String = text.split(" (version ").next().unwrap_or_default().chars().take(MESSAGE_CHARS_MAX).collect();
    Err(ServerError::Refused { code, message: message.trim().to_owned() })
}

// Taken by value because that is what `map_err` gives.
fn unreachable(error: reqwest::Error) -> ServerError {
    let error = error.without_url();
    let error: &dyn std::error::Error = &error;
    let causes = std::iter::successors(Some(error), |error| error.source());
    ServerError::Unreachable(causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}
