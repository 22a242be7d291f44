//! What happens around every request: an id, a bound on how many are answered at once, a time limit, and the body of
//! errors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use super::problem::{Problem, ProblemCode};
use super::{console, intake, limits, queries};
use crate::model::Timestamp;

/// Requests answered at once. All answers come from memory, so more than this is a flood.
const REQUESTS_MAX: usize = 64;
/// An answer that takes longer is given up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Senders of records at once: they wait for storage. Their bytes have a bound of their own.
const SENDERS_MAX: usize = 256;
/// Reading a body and then waiting until its records are safe takes no longer: the latter is 30 s at most.
const SENDER_TIMEOUT: Duration = Duration::from_secs(55);
/// Looks at our health at once: whatever fills the other places, nobody is to restart a service that works.
const HEALTH_LOOKS_MAX: usize = 16;
/// Questions to the tables at once, waiting ones included. What they take of ClickHouse has bounds of its own.
const QUESTIONS_MAX: usize = 64;
/// The longest a question waits, is asked and gives its first piece; the rest of the answer has the question's own limit.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(58);
/// Reports over much of the past at once: one reads as fast as ClickHouse can, two would only share it.
const REPORTS_MAX: usize = 1;
/// So long a report may take: whoever waits in a browser gives up about then.
const REPORT_TIMEOUT: Duration = Duration::from_secs(60);
/// Who was turned away may come again soon: places are free within moments.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Longest request id taken over from the client.
const REQUEST_ID_BYTES_MAX: usize = 64;
/// Longest error of the framework that is passed on.
const FRAMEWORK_WORDS_BYTES_MAX: usize = 4 * 1024;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// State of the layer.
#[derive(Debug)]
pub(super) struct Guard {
    readers: Bound,
    health_looks: Bound,
    senders: Bound,
    questions: Bound,
    reports: Bound,
    started_at: Timestamp,
    requests: AtomicU64,
}

/// How many at once, and for how long.
#[derive(Debug)]
struct Bound {
    permits: Semaphore,
    timeout: Duration,
}

impl Bound {
    fn new(requests_max: usize, timeout: Duration) -> Self {
        Self { permits: Semaphore::new(requests_max), timeout }
    }
}

impl Guard {
    /// `now` tells the ids of this run from those of others.
    pub(super) fn new(now: Timestamp) -> Self {
        Self::with_limits(now, REQUESTS_MAX, REQUEST_TIMEOUT)
    }

    fn with_limits(now: Timestamp, requests_max: usize, timeout: Duration) -> Self {
        let (readers, senders) = (Bound::new(requests_max, timeout), Bound::new(SENDERS_MAX, SENDER_TIMEOUT));
        let questions = Bound::new(QUESTIONS_MAX, QUESTION_TIMEOUT);
        let reports = Bound::new(REPORTS_MAX, REPORT_TIMEOUT);
        let health_looks = Bound::new(HEALTH_LOOKS_MAX, timeout);
        Self { readers, health_looks, senders, questions, reports, started_at: now, requests: AtomicU64::new(0) }
    }

    /// Senders wait, and must not take the places of those who look at what is wrong.
    fn bound(&self, request: &Request) -> &Bound {
        if request.method() == Method::POST && intake::PATHS.contains(&request.uri().path()) {
            &self.senders
        } else if queries::asks_clickhouse(request.uri().path()) || console::asks_clickhouse(request.uri().path()) {
            &self.questions
        } else if request.uri().path() == limits::PATH {
            &self.reports
        } else if ["/livez", "/readyz"].contains(&request.uri().path()) {
            &self.health_looks
        } else {
            &self.readers
        }
    }

    /// The client's id where it is a plain short one, else one of our own.
    fn request_id(&self, request: &Request) -> String {
        let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
        if let Some(id) = given.filter(|id| is_plain_id(id)) {
            return id.to_owned();
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        format!("{:x}-{number:x}", self.started_at.as_millis())
    }
}

fn is_plain_id(id: &str) -> bool {
    (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

/// The layer itself.
pub(super) async fn around(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let request_id = guard.request_id(&request);
    let mut response = answer(&guard, request, next).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        problem.render(&mut response, &request_id);
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, value);
    }
    // What is here holds text of others: no browser is to take it for anything but what it is said to be.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Everything here is the state of this moment.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The answer, and every error in the form that whoever asked reads.
async fn answer(guard: &Guard, request: Request, next: Next) -> Response {
    let is_person = console::is_for_people(request.uri().path(), request.headers());
    let has_body = !matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = match refused_version(&request) {
        Some(problem) => problem.into_response(),
        None => bounded_answer(guard, request, next).await,
    };
    if let Some(problem) = said_by_the_framework(&mut response, has_body).await {
        response.extensions_mut().insert(problem);
    }
    if is_person && let Some(problem) = response.extensions_mut().remove::<Problem>() {
        return console::in_place_of_page(problem, response);
    }
    response
}

/// In HTTP/1.0 the end of a connection is the end of an answer: rows that break off in the middle would look whole.
fn refused_version(request: &Request) -> Option<Problem> {
    let path = request.uri().path();
    let is_old = matches!(request.version(), Version::HTTP_09 | Version::HTTP_10);
    let streams = queries::asks_clickhouse(path) && !path.ends_with("/query_range");
    let detail = "rows are answered over HTTP/1.1: over HTTP/1.0 nobody sees whether an answer is whole";
    (is_old && streams).then(|| Problem::new(ProblemCode::HttpVersion, detail))
}

/// The problem in an error whose words are those of the framework: a body that is too large, a field that is not there.
async fn said_by_the_framework(response: &mut Response, has_body: bool) -> Option<Problem> {
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_text = content_type.is_some_and(|value| value.starts_with("text/plain"));
    if !response.status().is_client_error() || !is_text || response.extensions().get::<Problem>().is_some() {
        return None;
    }
    let code = match response.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ProblemCode::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ProblemCode::UnsupportedMediaType,
        _ if has_body => ProblemCode::BadBody,
        _ => ProblemCode::BadParameter,
    };
    let body = std::mem::take(response.body_mut());
    // Longer than any sentence of the framework; what does not come is not told.
    let words = axum::body::to_bytes(body, FRAMEWORK_WORDS_BYTES_MAX).await.unwrap_or_default();
    *response.status_mut() = code.status();
    Some(Problem::new(code, String::from_utf8_lossy(&words)))
}

async fn bounded_answer(guard: &Guard, request: Request, next: Next) -> Response {
    let bound = guard.bound(&request);
    let Ok(_permit) = bound.permits.try_acquire() else {
        return Problem::new(ProblemCode::Overloaded, "too many requests are being answered, try again later")
            .retry_after(RETRY_AFTER)
            .into_response();
    };
    match tokio::time::timeout(bound.timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(ProblemCode::Timeout, "the answer took too long").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;

    /// A server whose `/wait` never answers, with the given limits; its address.
    async fn start(requests_max: usize, timeout: Duration) -> std::net::SocketAddr {
        let guard = Arc::new(Guard::with_limits(Timestamp::default(), requests_max, timeout));
        let router = Router::new()
            .route("/wait", get(std::future::pending::<()>))
            .route("/now", get(|| async { "now" }))
            .layer(axum::middleware::from_fn_with_state(guard, around));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    fn client() -> reqwest::Client {
        // Fails only when another test was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
    }

    async fn code(client: &reqwest::Client, url: &str) -> (u16, serde_json::Value) {
        let response = client.get(url).send().await.unwrap();
        let status = response.status().as_u16();
        let body: serde_json::Value = response.json().await.unwrap();
        (status, body["code"].clone())
    }

    #[tokio::test]
    async fn an_answer_that_takes_too_long_is_a_problem() {
        let address = start(8, Duration::from_millis(20)).await;
        assert_eq!(code(&client(), &format!("http://{address}/wait")).await, (504, "timeout".into()));
    }

    #[tokio::test]
    async fn beyond_the_bound_a_request_is_turned_away_and_afterwards_answered() {
        let address = start(1, Duration::from_secs(600)).await;
        let (client, url) = (client(), format!("http://{address}"));
        let waiting = tokio::spawn(client.get(format!("{url}/wait")).send());
        let now = format!("{url}/now");
        let turned_away = async { while client.get(&now).send().await.unwrap().status() != 503 {} };
        tokio::time::timeout(Duration::from_secs(20), turned_away).await.expect("the bound is reached");
        assert_eq!(code(&client, &now).await, (503, "overloaded".into()));
        waiting.abort();
        let answered = async { while client.get(&now).send().await.unwrap().status() != 200 {} };
        tokio::time::timeout(Duration::from_secs(20), answered).await.expect("the place is free again");
    }

    #[test]
    fn only_plain_short_ids_are_taken_over() {
        assert!(is_plain_id("req-1.a:b_c"));
        assert!(!is_plain_id("") && !is_plain_id("a b") && !is_plain_id("a\"b") && !is_plain_id(&"a".repeat(65)));
    }
}
