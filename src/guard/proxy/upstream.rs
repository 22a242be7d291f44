//! The connections to ClickHouse: one pool for what clients ask and for what the guard asks as one of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::de::DeserializeOwned;

use super::body::RequestBody;
use super::credentials::Identity;
use super::parameters::Parameters;

/// ClickHouse closes an idle connection after 3 s unless told otherwise: the pool does so before it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);
/// Idle connections that are kept.
const IDLE_MAX: usize = 256;
/// A server that does not take a connection by then is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Headers of one answer.
const HEADERS_MAX: usize = 500;
/// Headers of an answer that tells its progress in them, one each 100 ms: half an hour. The library makes room for all of
/// them with every answer, which costs more than a small query.
const PROGRESS_HEADERS_MAX: usize = 20_000;
/// What asks for such headers, and how they are named.
const PROGRESS_SETTING: &str = "send_progress_in_http_headers";
const PROGRESS_HEADER: &str = "x-clickhouse-progress";
/// Longest head of an answer, and how much is read of its body at a time: more than an allocator keeps at hand would be
/// fetched from the system for every piece.
const READ_BYTES: usize = 128 << 10;
/// Longest head with its progress; each of those headers has some 200 bytes.
const PROGRESS_HEAD_BYTES_MAX: usize = 4 << 20;
/// Longest answer to a question of the guard's own.
const OWN_ANSWER_BYTES_MAX: usize = 1 << 20;

/// ClickHouse's HTTP interface.
#[derive(Debug, Clone)]
pub(super) struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, RequestBody>,
    /// For answers that may tell their progress in headers.
    patient_client: Client<HttpsConnector<HttpConnector>, RequestBody>,
    /// An answer did so unasked: a profile of ClickHouse has it so.
    is_told_progress: Arc<AtomicBool>,
    base: String,
    host: HeaderValue,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamError {
    /// The address of a request is longer than HTTP libraries take (64 KiB).
    #[error("the address is too long: {0}")]
    Address(#[from] http::uri::InvalidUri),
    /// No connection, or it broke.
    #[error("{}", chain(.0))]
    Connection(#[from] hyper_util::client::legacy::Error),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// ClickHouse's exception: code and text.
    #[error("{1}")]
    Exception(u32, String),
    /// An answer that is not what was asked for.
    #[error("an answer that was not expected: {0}")]
    Unexpected(String),
}

impl Upstream {
    /// At `url`, `http://host:port` or `https://host:port`, without a path.
    pub(super) fn new(url: &str, tls: rustls::ClientConfig) -> Result<Self, UpstreamError> {
        let base = url.trim_end_matches('/').to_owned();
        let uri: Uri = base.parse()?;
        let authority = uri.authority().map(|authority| authority.host().to_owned()).unwrap_or_default();
        let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
        let host = HeaderValue::from_str(&format!("{authority}{port}"))
            .map_err(|error| UpstreamError::Unexpected(error.to_string()))?;
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_MAX)
            .pool_timer(TokioTimer::new())
            .http1_preserve_header_case(true)
            .set_host(false);
        let client = builder
            .clone()
            .http1_max_headers(HEADERS_MAX)
            .http1_read_buf_exact_size(READ_BYTES)
            .build(connector.clone());
        builder.http1_max_headers(PROGRESS_HEADERS_MAX).http1_max_buf_size(PROGRESS_HEAD_BYTES_MAX);
        Ok(Self { client, patient_client: builder.build(connector), is_told_progress: Arc::default(), base, host })
    }

    /// Sends a request; `headers` are sent as they are, but for the host.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        parameters: &Parameters,
        headers: HeaderMap,
        body: RequestBody,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let query = parameters.encode();
        let address =
            if query.is_empty() { format!("{}{path}", self.base) } else { format!("{}{path}?{query}", self.base) };
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = address.parse()?;
        *request.headers_mut() = headers;
        request.headers_mut().insert(header::HOST, self.host.clone());
        if parameters.get(PROGRESS_SETTING).is_some() || self.is_told_progress.load(Ordering::Relaxed) {
            return Ok(self.patient_client.request(request).await?);
        }
        let response = self.client.request(request).await?;
        if response.headers().contains_key(PROGRESS_HEADER) {
            self.is_told_progress.store(true, Ordering::Relaxed);
        }
        Ok(response)
    }

    /// Asks something of the guard's own, as a client's user: the rows of the answer.
    pub(super) async fn rows<T: DeserializeOwned>(
        &self,
        sql: String,
        mut parameters: Parameters,
        identity: &Identity,
        timeout: Duration,
    ) -> Result<Vec<T>, UpstreamError> {
        parameters.set("default_format", "JSONEachRow");
        let mut headers = HeaderMap::new();
        set_credentials(&mut headers, identity)?;
        let asked = async {
            let body = RequestBody::whole(Bytes::from(sql));
            let response = self.send(Method::POST, "/", &parameters, headers, body).await?;
            let code = exception_code(response.headers());
            let body = Limited::new(response.into_body(), OWN_ANSWER_BYTES_MAX).collect().await;
            let bytes = body.map_err(|error| UpstreamError::Unexpected(error.to_string()))?.to_bytes();
            match code {
                Some(code) => Err(UpstreamError::Exception(code, String::from_utf8_lossy(&bytes).into_owned())),
                None => Ok(bytes),
            }
        };
        let bytes = tokio::time::timeout(timeout, asked).await.map_err(|_| UpstreamError::TimedOut(timeout))??;
        let row = |line: &[u8]| serde_json::from_slice(line).map_err(|e| UpstreamError::Unexpected(e.to_string()));
        bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(row).collect()
    }
}

/// Says as whom a request comes.
pub(super) fn set_credentials(headers: &mut HeaderMap, identity: &Identity) -> Result<(), UpstreamError> {
    let value = |text: &str| {
        HeaderValue::from_bytes(text.as_bytes()).map_err(|error| UpstreamError::Unexpected(error.to_string()))
    };
    headers.insert("x-clickhouse-user", value(&identity.user)?);
    let mut password = value(identity.password.expose())?;
    password.set_sensitive(true);
    headers.insert("x-clickhouse-key", password);
    Ok(())
}

/// ClickHouse's exception code in a head.
pub(super) fn exception_code(headers: &HeaderMap) -> Option<u32> {
    headers.get("x-clickhouse-exception-code")?.to_str().ok()?.parse().ok()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
