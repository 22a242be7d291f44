//! What happens around every request: an id, a bound on how many are answered at once, a time limit, and the body of
//! errors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use super::problem::{Problem, ProblemCode};
use crate::model::Timestamp;

/// Requests answered at once. All answers come from memory, so more than this is a flood.
const REQUESTS_MAX: usize = 64;
/// An answer that takes longer is given up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest request id taken over from the client.
const REQUEST_ID_BYTES_MAX: usize = 64;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// State of the layer.
#[derive(Debug)]
pub(super) struct Guard {
    permits: Semaphore,
    started_at: Timestamp,
    requests: AtomicU64,
}

impl Guard {
    /// `now` tells the ids of this run from those of others.
    pub(super) fn new(now: Timestamp) -> Self {
        Self { permits: Semaphore::new(REQUESTS_MAX), started_at: now, requests: AtomicU64::new(0) }
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
    // Everything here is the state of this moment.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn answer(guard: &Guard, request: Request, next: Next) -> Response {
    let Ok(_permit) = guard.permits.try_acquire() else {
        let detail = format!("{REQUESTS_MAX} requests are being answered, try again later");
        return Problem::new(ProblemCode::Overloaded, detail).into_response();
    };
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(ProblemCode::Timeout, "the answer took too long").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_short_ids_are_taken_over() {
        assert!(is_plain_id("req-1.a:b_c"));
        assert!(!is_plain_id("") && !is_plain_id("a b") && !is_plain_id("a\"b") && !is_plain_id(&"a".repeat(65)));
    }
}
