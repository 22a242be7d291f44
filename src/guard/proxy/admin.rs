//! The operators' listener: how the guard is, blocks, safe mode, metrics. Behind a token, or on loopback only; never for a
//! browser, whose pages could reach loopback too.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::shared::Shared;
use super::view::{GuardLook, GuardView};
use crate::clock;
use crate::config::Secret;
use crate::guard::gate::{GateInput, SafeModeLevel};
use crate::metrics;
use crate::model::Timestamp;

/// Longest body of an operator.
const BODY_BYTES_MAX: usize = 64 << 10;

/// What an operator blocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockRequest {
    /// Fingerprint of the queries.
    pub fingerprint: String,
    /// For how long, in seconds. Absent: until it is unblocked.
    #[serde(default)]
    pub seconds: Option<u64>,
    /// Who, and why.
    #[serde(default)]
    pub reason: String,
}

/// What an operator unblocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnblockRequest {
    /// Fingerprint of the queries.
    pub fingerprint: String,
}

/// Safe mode, on or off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SafeModeRequest {
    /// For how long, in seconds. Absent: off.
    pub seconds: Option<u64>,
}

/// How the guard is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Whether it refuses queries.
    pub enforces: bool,
    /// Queries that run.
    pub running: usize,
    /// Queries that wait.
    pub waiting: usize,
    /// The oldest of them.
    pub queries: Vec<StatusQuery>,
    /// The gate: classes, memory, breakers, blocks, safe mode, counts.
    pub gate: serde_json::Value,
}

/// A query that waits or runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusQuery {
    /// Number within this process.
    pub number: u64,
    /// Who asks.
    pub tenant: String,
    /// Its fingerprint.
    pub fingerprint: String,
    /// Whether it runs.
    pub runs: bool,
    /// For how long, in milliseconds.
    pub since_ms: i64,
}

#[derive(Clone)]
struct Admin {
    shared: Arc<Shared>,
    token: Option<[u8; 32]>,
}

/// Serves operators until it is told to stop.
///
/// # Errors
/// The listener fails.
pub(super) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    token: Option<Secret>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let token = token.map(|token| Sha256::digest(token.expose()).into());
    let state = Admin { shared, token };
    let router = Router::new()
        .route("/status", get(status))
        .route("/metrics", get(metrics_text))
        .route("/block", post(block))
        .route("/unblock", post(unblock))
        .route("/safe-mode", post(safe_mode))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn_with_state(state.clone(), allow))
        .with_state(state);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn allow(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    match refusal(admin.token.as_ref(), peer.ip(), request.headers()) {
        Some((status, why)) => (status, format!("{why}\n")).into_response(),
        None => next.run(request).await,
    }
}

/// Why a request is not an operator's.
fn refusal(token: Option<&[u8; 32]>, peer: IpAddr, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
    let is_browsers = [header::ORIGIN.as_str(), "sec-fetch-site", "sec-fetch-mode"];
    if is_browsers.into_iter().any(|name| headers.contains_key(name)) {
        return Some((StatusCode::FORBIDDEN, "browsers are not answered here"));
    }
    let Some(token) = token else {
        // A name that resolves to loopback is not loopback: a page may have made it resolve so.
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let is_here = peer.is_loopback() && is_loopback_host(host);
        return (!is_here)
            .then_some((StatusCode::FORBIDDEN, "without proxy.admin_token_file only loopback is answered"));
    };
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let digest: [u8; 32] = Sha256::digest(given.unwrap_or_default()).into();
    let is_operator = bool::from(digest.ct_eq(token));
    (!is_operator).then_some((StatusCode::UNAUTHORIZED, "the token of proxy.admin_token_file is needed"))
}

fn is_loopback_host(host: &str) -> bool {
    let address = host.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| host.parse::<IpAddr>());
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    address.map_or(name == "localhost", |address| address.is_loopback())
}

async fn status(State(admin): State<Admin>) -> Json<Status> {
    let look = GuardView::new(Arc::clone(&admin.shared)).look();
    // Numbers, texts and maps with text keys: they can be written.
    let gate = serde_json::to_value(&look.gate).unwrap_or_default();
    let GuardLook { running, waiting, queries, .. } = look;
    Json(Status { enforces: admin.shared.enforces, running, waiting, queries, gate })
}

async fn metrics_text(State(admin): State<Admin>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], admin.shared.metrics.encode(clock::now()))
}

async fn block(State(admin): State<Admin>, Json(request): Json<BlockRequest>) -> Response {
    let BlockRequest { fingerprint, seconds, reason } = request;
    if !is_sql_fingerprint(&fingerprint) {
        // It would block nothing, and whoever gave the order would think that it does.
        let why =
            "a fingerprint has 16 hexadecimal digits, small letters: as status, refusals and postmortems name it\n";
        return (StatusCode::UNPROCESSABLE_ENTITY, why).into_response();
    }
    tracing::info!(fingerprint, seconds, reason, "an operator blocks a query");
    admin.shared.gatekeeper.tell(GateInput::Block {
        fingerprint,
        until: seconds.map(|seconds| after(&admin, seconds)),
        reason,
    });
    kept(&admin).await
}

async fn unblock(State(admin): State<Admin>, Json(request): Json<UnblockRequest>) -> Response {
    let UnblockRequest { fingerprint } = request;
    tracing::info!(fingerprint, "an operator unblocks a query");
    let status = admin.shared.gatekeeper.status();
    let is_held = status.blocks.iter().any(|block| block.fingerprint == fingerprint)
        || status.breakers.iter().any(|breaker| breaker.fingerprint == fingerprint);
    admin.shared.gatekeeper.tell(GateInput::Unblock { fingerprint: fingerprint.clone() });
    let nothing = format!("{fingerprint} had neither a block nor an open breaker");
    told(kept(&admin).await, (!is_held).then_some(nothing))
}

async fn safe_mode(State(admin): State<Admin>, Json(request): Json<SafeModeRequest>) -> Response {
    tracing::info!(seconds = request.seconds, "an operator sets safe mode");
    let until = request.seconds.map(|seconds| after(&admin, seconds));
    admin.shared.gatekeeper.tell(GateInput::SafeMode { until });
    // It was stricter already, and stays so: whoever asks for less has to say `off`.
    let is_stricter = until.is_some() && admin.shared.gatekeeper.status().safe_mode == SafeModeLevel::WritesOnly;
    let stricter = "only writes are let in since the server died twice: `on` does not end that, `off` does".to_owned();
    told(kept(&admin).await, is_stricter.then_some(stricter))
}

/// An order that was kept, with what the operator may not have expected of it.
fn told(kept: Response, note: Option<String>) -> Response {
    match note {
        Some(note) if kept.status().is_success() => format!("{note}\n").into_response(),
        _ => kept,
    }
}

/// The answer to an order, once it is written down.
async fn kept(admin: &Admin) -> Response {
    match admin.shared.snapshots.write().await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot write down what an operator has set");
            let why = format!("it holds, but cannot be written down, so that a restart forgets it: {error}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, why).into_response()
        }
    }
}

/// Whether a text can be the fingerprint of a query ([`crate::model::sql_fingerprint`]).
#[must_use]
pub fn is_sql_fingerprint(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn after(admin: &Admin, seconds: u64) -> Timestamp {
    let span = Duration::from_secs(seconds).as_millis();
    Timestamp::from_millis(
        admin.shared.gatekeeper.now().as_millis().saturating_add(i64::try_from(span).unwrap_or(i64::MAX)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(token: Option<&str>, peer: &str, headers: &[(&'static str, &str)]) -> Option<u16> {
        let map = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let token: Option<[u8; 32]> = token.map(|token| Sha256::digest(token).into());
        refusal(token.as_ref(), peer.parse().unwrap(), &map).map(|(status, _)| status.as_u16())
    }

    #[test]
    fn without_a_token_only_loopback_is_an_operator() {
        assert_eq!(asks(None, "127.0.0.1", &[("host", "127.0.0.1:8125")]), None);
        assert_eq!(asks(None, "::1", &[("host", "localhost:8125")]), None);
        assert_eq!(asks(None, "10.0.0.1", &[("host", "127.0.0.1")]), Some(403));
        assert_eq!(asks(None, "127.0.0.1", &[("host", "evil.example:8125")]), Some(403));
        assert_eq!(asks(None, "127.0.0.1", &[("host", "127.0.0.1"), ("origin", "null")]), Some(403));
    }

    #[test]
    fn what_is_no_fingerprint_is_told_from_one() {
        assert!(is_sql_fingerprint(&crate::model::sql_fingerprint("select ?")));
        for other in ["", "xyz", "8F2A61C09D3E75B4", "8f2a61c09d3e75b", "8f2a61c09d3e75b4 ", "8f2a61c09d3e75bg"] {
            assert!(!is_sql_fingerprint(other), "{other}");
        }
    }

    #[test]
    fn with_a_token_it_is_needed_from_everywhere() {
        let bearer = ("authorization", "Bearer right");
        assert_eq!(asks(Some("right"), "10.0.0.1", &[bearer]), None);
        assert_eq!(asks(Some("other"), "127.0.0.1", &[bearer, ("host", "127.0.0.1")]), Some(401));
        assert_eq!(asks(Some("right"), "127.0.0.1", &[("host", "127.0.0.1")]), Some(401));
        assert_eq!(asks(Some("right"), "10.0.0.1", &[bearer, ("sec-fetch-site", "cross-site")]), Some(403));
    }
}
