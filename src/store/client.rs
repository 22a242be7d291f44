//! The one client for ClickHouse: statements, queries, columnar inserts, each under a timeout.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use clickhouse::query::{BytesCursor, RowCursor};
use clickhouse::{Client, Compression, Row};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;

use super::StoreError;
use super::native_format::Block;
use crate::client_tls::{self, TlsError};
use crate::config::{ClickHouseConfig, Secret, SecretFileError};
use crate::model::BudgetLimits;

/// An idle connection is closed before the server does it: by default it waits 3 s.
const CONNECTION_IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a protected question may take of the server's memory: a scan of a rollup needs a tenth of it.
const PROTECTED_MEMORY_BYTES_MAX: u64 = 512 << 20;
/// And how much it may answer: it is read into memory whole.
const PROTECTED_ANSWER_BYTES_MAX: u64 = 16 << 20;

/// A server that ends a query at its time limit has told so by then, s.
const LIMIT_GRACE_S: u64 = 5;

/// A file that says how to reach ClickHouse cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The password.
    #[error("clickhouse.password_file: {0}")]
    Password(#[from] SecretFileError),
    /// The certificate authorities.
    #[error("clickhouse.ca_file: {0}")]
    Authorities(#[from] TlsError),
}

/// Where ClickHouse is, and as whom to speak to it.
#[derive(Clone)]
pub struct Endpoint {
    /// HTTP interface, `http://host:8123`.
    pub url: String,
    /// Database of all tables. Letters, digits and `_` (checked with the configuration).
    pub database: String,
    /// User name.
    pub user: String,
    /// Password; empty for none.
    pub password: Secret,
    /// A statement without an answer for this long has failed.
    pub timeout: Duration,
    /// Whom to trust instead of the system's certificate authorities, for `https://`.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

impl Endpoint {
    /// The server at `url` as the configuration says; reads the files of password and authorities.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn from_config(config: &ClickHouseConfig, url: &str) -> Result<Self, EndpointError> {
        let password = config.secret()?.unwrap_or_default();
        let tls = config.ca_file.as_deref().map(|path| client_tls::client_config(Some(path))).transpose()?;
        Ok(Self {
            url: url.to_owned(),
            database: config.database.clone(),
            user: config.user.clone(),
            password,
            timeout: config.timeout.0,
            tls: tls.map(Arc::new),
        })
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Endpoint({} as {}, database {}, password redacted)", self.url, self.user, self.database)
    }
}

/// A client of one database. Clones share the connections.
#[derive(Clone)]
pub struct ClickHouse {
    client: Client,
    database: String,
    /// Statements are texts of others: nothing in them stands for anything.
    is_verbatim: bool,
    timeout: Duration,
}

impl ClickHouse {
    /// Makes a client; connects with the first statement.
    #[must_use]
    pub fn new(endpoint: &Endpoint) -> Self {
        // No database in the client: it is named in each statement, so that `CREATE DATABASE` works before it exists.
        let client = http_client(endpoint.tls.as_deref())
            .with_url(&endpoint.url)
            .with_user(&endpoint.user)
            .with_password(endpoint.password.expose())
            .with_compression(Compression::None)
            .with_product_info("floodmark", env!("CARGO_PKG_VERSION"))
            // Errors arrive with the status line instead of after half an answer.
            .with_setting("wait_end_of_query", "1");
        Self { client, database: endpoint.database.clone(), is_verbatim: false, timeout: endpoint.timeout }
    }

    /// A client for questions that must not disturb anybody: connections of its own, one thread, little memory, and an end
    /// to whatever takes longer than `timeout` or answers more than `rows_max` rows.
    #[must_use]
    pub fn protected(endpoint: &Endpoint, timeout: Duration, rows_max: usize) -> Self {
        let own = Self::new(endpoint);
        let client = own
            .client
            .with_setting("max_threads", "1")
            .with_setting("max_memory_usage", PROTECTED_MEMORY_BYTES_MAX.to_string())
            .with_setting("max_execution_time", timeout.as_secs().max(1).to_string())
            .with_setting("max_result_rows", rows_max.to_string())
            .with_setting("max_result_bytes", PROTECTED_ANSWER_BYTES_MAX.to_string())
            .with_setting("result_overflow_mode", "throw")
            // Whoever asked has given up: nobody reads the answer.
            .with_setting("cancel_http_readonly_queries_on_client_close", "1");
        Self { client, timeout, ..own }
    }

    /// The same client with these settings beside every statement: a text cannot change them where `readonly` is among them.
    #[must_use]
    pub fn with_settings(&self, settings: &[(&str, String)]) -> Self {
        let client =
            settings.iter().fold(self.client.clone(), |client, (name, value)| client.with_setting(*name, value));
        Self { client, ..self.clone() }
    }

    /// The same client with another time after which a statement has failed.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// The same client within `limits`. Settings that it has already are replaced; a statement may take its time limit, and
    /// a little more until the server says so.
    #[must_use]
    pub fn limited(&self, limits: &BudgetLimits) -> Self {
        let settings = limits.settings().into_iter();
        let client = settings.fold(self.client.clone(), |client, (name, value)| client.with_setting(name, value));
        Self { client, timeout: Duration::from_secs(limits.time_s + LIMIT_GRACE_S), ..self.clone() }
    }

    /// The same client for statements that are sent as they are: `{database}` in them stands for nothing.
    #[must_use]
    pub fn verbatim(&self) -> Self {
        Self { is_verbatim: true, ..self.clone() }
    }

    /// The same client with a setting of ClickHouse.
    pub(super) fn with_setting(&self, name: &str, value: &str) -> Self {
        Self { client: self.client.clone().with_setting(name, value), ..self.clone() }
    }

    /// The same client with `times` as much patience for a statement.
    #[must_use]
    pub fn with_patience(&self, times: u32) -> Self {
        Self { timeout: self.timeout.saturating_mul(times), ..self.clone() }
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Runs a statement that has no answer. `{database}` in it stands for the database.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn execute(&self, sql: &str) -> Result<(), StoreError> {
        let query = self.client.query_raw(&self.with_database(sql));
        self.within_timeout(query.execute()).await
    }

    /// Runs a query and reads its rows by column name. `{database}` in it stands for the database, `{name:Type}` for
    /// the parameter `name`.
    ///
    /// # Errors
    /// See [`StoreError`]; [`StoreError::Protocol`] when a row does not fit `T`.
    pub async fn fetch<T: DeserializeOwned>(
        &self,
        sql: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Vec<T>, StoreError> {
        let mut query = self.client.query_raw(&self.with_database(sql));
        for (name, value) in parameters {
            query = query.param(name, value);
        }
        let answer = self
            .within_timeout(async {
                let mut cursor = query.fetch_bytes("JSONEachRow")?;
                cursor.collect().await
            })
            .await?;
        let row = |line: &[u8]| serde_json::from_slice(line).map_err(|error| StoreError::Protocol(error.to_string()));
        answer.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(row).collect()
    }

    /// Runs a query whose answer is read row by row as it comes, and how long to wait for the next row. Parameters as in
    /// [`Self::fetch`].
    pub(super) fn rows<T: Row>(
        &self,
        sql: &str,
        parameters: &[(&str, i64)],
    ) -> Result<(RowCursor<T>, Duration), StoreError> {
        // The answer is longer than a server should hold back.
        let mut query = self.client.query_raw(&self.with_database(sql)).with_setting("wait_end_of_query", "0");
        for (name, value) in parameters {
            query = query.param(name, value);
        }
        let cursor = query.fetch().map_err(|error| StoreError::from_client(error, self.timeout))?;
        Ok((cursor, self.timeout))
    }

    /// Runs a query whose answer is passed on as it comes, in ClickHouse's format `format`. Parameters as in
    /// [`Self::fetch`]. Nothing is held back: an error may come after a part of the answer. Dropping the stream closes the
    /// connection.
    ///
    /// # Errors
    /// [`StoreError::Protocol`]: the address or the parameters cannot be used.
    pub fn stream(&self, sql: &str, parameters: &[(&str, &str)], format: &str) -> Result<ByteStream, StoreError> {
        let mut query = self.client.query_raw(&self.with_database(sql)).with_setting("wait_end_of_query", "0");
        for (name, value) in parameters {
            query = query.param(name, value);
        }
        let cursor = query.fetch_bytes(format).map_err(|error| StoreError::from_client(error, self.timeout))?;
        Ok(ByteStream { cursor, timeout: self.timeout })
    }

    /// Inserts one block. The same `token` for the same table is inserted once, however often it is sent.
    pub(super) async fn insert(&self, table: &str, block: Block, token: Option<&str>) -> Result<(), StoreError> {
        let columns = block.column_names().collect::<Vec<_>>().join(", ");
        let sql = self.with_database(&format!("INSERT INTO {{database}}.{table} ({columns}) FORMAT Native"));
        let mut insert = self
            .client
            .insert_formatted_with(sql)
            // One block in, one block stored: the token is for all of it. The server's default would buffer it.
            .with_setting("async_insert", "0")
            .with_setting("insert_deduplicate", "1")
            // A batch read late, or with wrong clocks, spans many days: slow, but never refused for good.
            .with_setting("max_partitions_per_insert_block", "0")
            .with_timeouts(Some(self.timeout), Some(self.timeout));
        if let Some(token) = token {
            insert = insert.with_setting("insert_deduplication_token", token);
        }
        self.within_timeout(async move {
            for part in block.into_parts() {
                insert.send(Bytes::from(part)).await?;
            }
            insert.end().await
        })
        .await
    }

    fn with_database(&self, sql: &str) -> String {
        if self.is_verbatim { sql.to_owned() } else { sql.replace("{database}", &self.database) }
    }

    async fn within_timeout<T>(
        &self,
        statement: impl Future<Output = Result<T, clickhouse::error::Error>>,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(self.timeout, statement).await {
            Ok(result) => result.map_err(|error| StoreError::from_client(error, self.timeout)),
            Err(_) => Err(StoreError::TimedOut(self.timeout)),
        }
    }
}

/// An answer, piece by piece.
pub struct ByteStream {
    cursor: BytesCursor,
    timeout: Duration,
}

impl ByteStream {
    /// The next piece; absent: that was all.
    ///
    /// # Errors
    /// See [`StoreError`]: what came before is a part of an answer that has no end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// The same for who polls.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StoreError>> {
        self.cursor.poll_next(context).map_err(|error| StoreError::from_client(error, self.timeout))
    }
}

impl std::fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ByteStream({} bytes so far)", self.cursor.received_bytes())
    }
}

/// The crate's own HTTP client, or one like it that trusts the given authorities.
fn http_client(tls: Option<&rustls::ClientConfig>) -> Client {
    let Some(tls) = tls else { return Client::default() };
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls.clone())
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_idle_timeout(CONNECTION_IDLE_TIMEOUT)
        .build(connector);
    Client::with_http_client(client)
}

impl std::fmt::Debug for ClickHouse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClickHouse(database {})", self.database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_comes_from_its_file_and_is_never_printed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        std::fs::write(&path, "a secret \n").unwrap();
        let config = ClickHouseConfig { password_file: Some(path), ..ClickHouseConfig::default() };
        let endpoint = Endpoint::from_config(&config, "http://127.0.0.1:8123").unwrap();
        assert_eq!(endpoint.password.expose(), "a secret ");
        assert!(!format!("{endpoint:?}").contains("secret"));
    }
}
