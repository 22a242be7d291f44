//! Answers from a [`Site`]: `GET` and `HEAD`, from any origin, compressed and only what has changed where that is asked for.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::Site;
use super::conditions::{has_it, takes_gzip};
use super::site::Prepared;
use crate::listener::{BoundedListener, ConnectionTimes};

/// Connections at a time. Further ones wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 2_048;
/// A request head, the first one together with the handshake of TLS.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// A connection on which nothing moves for this long is closed.
const CONNECTION_IDLE_MAX: Duration = Duration::from_secs(30);
/// Of the answers under way when the service stops.
const DRAIN_MAX: Duration = Duration::from_secs(3);
/// Caches may keep an answer so long, and show it a little longer while we cannot be reached.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=10, stale-if-error=300");
/// What a page may do: its own style, script and pictures, and to read its own feeds again.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
);

/// Serves on this thread, with a runtime of its own, until `stop` is cancelled.
///
/// # Errors
/// The listener fails.
pub fn run(
    listener: std::net::TcpListener,
    site: watch::Receiver<Arc<Site>>,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        listener.set_nonblocking(true)?;
        serve(TcpListener::from_std(listener)?, site, tls, stop).await
    })
}

/// Serves until `stop` is cancelled.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    site: watch::Receiver<Arc<Site>>,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let times = ConnectionTimes { head_max: HEAD_MAX, idle_max: CONNECTION_IDLE_MAX };
    let listener = BoundedListener::new(listener, CONNECTIONS_MAX, times, tls);
    let router = Router::new().fallback(answer).with_state(site);
    let stopped = stop.clone();
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).into_future();
    let given_up = async {
        stopped.cancelled().await;
        tokio::time::sleep(DRAIN_MAX).await;
    };
    tokio::select! {
        ended = serving => ended,
        () = given_up => Ok(()),
    }
}

async fn answer(State(site): State<watch::Receiver<Arc<Site>>>, request: Request) -> Response {
    // Cloned at once, never held.
    let site = site.borrow().clone();
    let mut response = respond(&site, request.method(), request.uri().path(), request.headers());
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    response
}

fn respond(site: &Site, method: &Method, path: &str, headers: &HeaderMap) -> Response {
    match *method {
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => return preflight(),
        _ => {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
            return response;
        }
    }
    match site.find(path) {
        Some(file) => of_file(file, method, headers),
        None if site.is_empty() => text(StatusCode::SERVICE_UNAVAILABLE, "not ready yet\n"),
        None => text(StatusCode::NOT_FOUND, "there is no such page\n"),
    }
}

fn of_file(file: &Prepared, method: &Method, headers: &HeaderMap) -> Response {
    let gzip = file.gzip.as_ref().filter(|_| takes_gzip(headers));
    let body = gzip.unwrap_or(&file.plain);
    let is_known = has_it(headers, &file.tag);
    let sent = if is_known || method == Method::HEAD { Body::empty() } else { Body::from(body.clone()) };
    let mut response = Response::new(sent);
    let answered = response.headers_mut();
    answered.insert(header::ETAG, file.tag.clone());
    answered.insert(header::CACHE_CONTROL, CACHE_CONTROL);
    answered.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    answered.insert(header::CONTENT_TYPE, file.content_type.clone());
    answered.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    if gzip.is_some() {
        answered.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Pages of any origin may read what is here.
fn preflight() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let fields: [(HeaderName, &'static str); 3] = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "*"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    response.headers_mut().extend(fields.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

fn text(status: StatusCode, words: &'static str) -> Response {
    let mut response = Response::new(Body::from(Bytes::from_static(words.as_bytes())));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::render::PublicFile;

    fn site() -> Site {
        let body = "{\"status\":\"well\"}".repeat(50).into_bytes();
        let file = PublicFile { path: "api/v2/status.json".to_owned(), content_type: "application/json", body };
        Site::new(vec![file], &Site::default())
    }

    fn ask(method: Method, path: &str, given: &[(HeaderName, &str)]) -> Response {
        let headers = given.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        respond(&site(), &method, path, &headers)
    }

    fn field(response: &Response, name: HeaderName) -> Option<&str> {
        response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn who_has_it_is_told_so_and_heads_have_no_body() {
        let path = "/api/v2/status.json";
        let whole = ask(Method::GET, path, &[]);
        let tag = field(&whole, header::ETAG).unwrap();
        let again = ask(Method::GET, path, &[(header::IF_NONE_MATCH, tag)]);
        assert_eq!((again.status(), field(&again, header::ETAG)), (StatusCode::NOT_MODIFIED, Some(tag)));
        let head = ask(Method::HEAD, path, &[(header::ACCEPT_ENCODING, "gzip")]);
        let length: usize = field(&head, header::CONTENT_LENGTH).unwrap().parse().unwrap();
        assert!(length > 0 && length < 800 && field(&head, header::CONTENT_ENCODING) == Some("gzip"));
        assert_eq!(field(&whole, header::CONTENT_LENGTH), Some("850"));
    }

    #[test]
    fn nothing_but_reading_is_answered() {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::TRACE] {
            assert_eq!(ask(method, "/api/v2/status.json", &[]).status(), StatusCode::METHOD_NOT_ALLOWED);
        }
        assert_eq!(ask(Method::OPTIONS, "/", &[]).status(), StatusCode::NO_CONTENT);
        for path in ["/metrics", "/readyz", "/api/v1/alerts", "/api/v2/status.json/..", "/%2e%2e/x"] {
            assert_eq!(ask(Method::GET, path, &[]).status(), StatusCode::NOT_FOUND, "{path}");
        }
        let empty = respond(&Site::default(), &Method::GET, "/", &HeaderMap::new());
        assert_eq!(empty.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
