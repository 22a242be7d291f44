//! The proxy's listener: connections within bounds, each request by its path, an end that lets queries finish.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::peers::Peers;
use super::refused::Refused;
use super::shared::Shared;
use super::stalled::Unstalled;
use super::{plain, query};

/// Connections at a time. At the bound further clients wait in the kernel's backlog. Each holds one query at most, so this
/// bounds the queries that wait and run as well.
const CONNECTIONS_MAX: usize = 1_024;
/// Connections of one address at a time, so that others get in. At the bound further ones are told so and closed.
const PEER_CONNECTIONS_MAX: usize = 768;
/// So long a client may leave its answer unread; ClickHouse itself waits 30 s.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(60);
/// A silent connection is tried after so long, and then as often as the system does.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// What a connection too many is told.
const TOO_MANY_CONNECTIONS: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\
    X-ClickHouse-Exception-Code: 202\r\nRetry-After: 1\r\n\r\n";
/// Longest head of a request: an address is at most 64 KiB, which HTTP libraries set.
const HEAD_BYTES_MAX: usize = 128 << 10;
/// A head must have come by then; between two requests of a connection as well.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long queries under way may take to end once the proxy is to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause after a connection could not be taken: no file descriptor is free, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until it is told to stop, then waits for the queries under way.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let peers = Arc::<Peers>::default();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            // Joined as they end, so that the set does not grow.
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &permits) => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                let Some(place) = peers.take(peer.ip().to_canonical(), PEER_CONNECTIONS_MAX) else {
                    tracing::debug!(%peer, "an address has too many connections");
                    // What does not go out at once is not waited for.
                    let _ = stream.try_write(TOO_MANY_CONNECTIONS);
                    continue;
                };
                let (shared, stop) = (Arc::clone(&shared), stop.clone());
                connections.spawn(async move {
                    connection(stream, peer, shared, stop).await;
                    drop((permit, place));
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let drained = tokio::time::timeout(DRAIN_TIMEOUT, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!(connections = connections.len(), "queries that still ran were broken off");
        connections.shutdown().await;
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, Option<OwnedSemaphorePermit>)> {
    // The semaphore is never closed; were it, connections would go uncounted rather than unanswered.
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    // A client that is gone without a word is noticed, and its query ended.
    socket2::SockRef::from(&stream).set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(KEEPALIVE_AFTER))?;
    Ok((stream, peer, permit))
}

async fn connection(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, stop: CancellationToken) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&shared, request, peer).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(HEAD_BYTES_MAX)
        // As ClickHouse writes them; some scripts look for them so.
        .preserve_header_case(true)
        // ClickHouse's own date passes.
        .auto_date_header(false)
        .serve_connection(TokioIo::new(Unstalled::new(stream, UNREAD_TIMEOUT)), service);
    tokio::pin!(connection);
    let served = tokio::select! {
        served = &mut connection => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "a connection broke off");
    }
}

async fn answer(shared: &Arc<Shared>, request: Request<Incoming>, peer: SocketAddr) -> Answer {
    let (parts, body) = request.into_parts();
    let is_known_method = matches!(parts.method, Method::GET | Method::HEAD | Method::POST);
    // Without a parameter and a body it is a look whether somebody is there: ClickHouse says `Ok.` to everybody.
    let asks_nothing = parts.method != Method::POST && parts.uri.query().is_none() && body.is_end_stream();
    match parts.uri.path() {
        "/" if is_known_method && !asks_nothing => query::answer(shared, parts, body, peer.ip()).await,
        "/" | "/ping" | "/replicas_status" if is_known_method => plain::health(shared, &parts, peer.ip())
            .await
            .unwrap_or_else(|refused| refused.answer(&parts.headers, None)),
        path => Refused::not_served(path).answer(&parts.headers, None),
    }
}
