//! What a client is told when its query does not run: as ClickHouse tells an exception, so that every driver raises it as
//! one.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::answer::{Answer, AnswerBody};
use crate::guard::gate::{Refusal, RefusalReason};

/// An exception of the guard's own.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refused {
    /// ClickHouse's exception code.
    pub(super) code: u32,
    name: &'static str,
    status: StatusCode,
    message: String,
    refusal: Option<Refusal>,
    /// Whether the message is an exception of ClickHouse's own, in its words.
    is_verbatim: bool,
}

impl Refused {
    fn new(code: u32, name: &'static str, status: StatusCode, message: impl Into<String>) -> Self {
        Self { code, name, status, message: message.into(), refusal: None, is_verbatim: false }
    }

    /// Not a tenant, or not its password.
    pub(super) fn authentication(user: &str) -> Self {
        let message =
            format!("{user}: Authentication failed: password is incorrect, or there is no user with such name");
        Self::new(516, "AUTHENTICATION_FAILED", StatusCode::FORBIDDEN, message)
    }

    /// ClickHouse does not take the credentials, and said so.
    pub(super) fn by_server(code: u32, text: &str) -> Self {
        let name = match code {
            192 => "UNKNOWN_USER",
            193 => "WRONG_PASSWORD",
            194 => "REQUIRED_PASSWORD",
            _ => "AUTHENTICATION_FAILED",
        };
        Self { is_verbatim: true, ..Self::new(code, name, StatusCode::FORBIDDEN, text.trim_end()) }
    }

    /// A request that two readers may read in two ways.
    pub(super) fn ambiguous(what: impl Into<String>) -> Self {
        Self::new(36, "BAD_ARGUMENTS", StatusCode::BAD_REQUEST, what)
    }

    /// A text that sets what only the guard sets.
    pub(super) fn guarded_setting(name: &str) -> Self {
        let message = format!("the query sets `{name}` in its text, which only the guard sets: take it out");
        Self::new(452, "SETTING_CONSTRAINT_VIOLATION", StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// A text that sets a cap of the guard's looser, or so that nobody can tell.
    pub(super) fn loosened_cap(name: &str) -> Self {
        let message =
            format!("the query sets `{name}` in its text beyond what its class may have: take it out or lower it");
        Self::new(452, "SETTING_CONSTRAINT_VIOLATION", StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// The client's body broke off before the query's text was known.
    pub(super) fn broken_body(why: &str) -> Self {
        Self::new(210, "NETWORK_ERROR", StatusCode::BAD_REQUEST, format!("the body broke off: {why}"))
    }

    /// The text of the query has not come in time.
    pub(super) fn slow_text() -> Self {
        Self::new(209, "SOCKET_TIMEOUT", StatusCode::REQUEST_TIMEOUT, "the text of the query did not come in time")
    }

    /// A text that cannot be looked at, so nobody knows what it would do.
    pub(super) fn unread() -> Self {
        let message = "the guard cannot read the query: send its text in the parameter `query`, or a body that is plain, \
                       gzip, deflate, zstd, lz4 or ClickHouse's own compression, with at most 1 MiB of text";
        Self::new(48, "NOT_IMPLEMENTED", StatusCode::BAD_REQUEST, message)
    }

    /// An address that no HTTP library takes.
    pub(super) fn long_address() -> Self {
        let message = "the address is longer than 64 KiB: send the text of the query as body";
        Self::new(36, "BAD_ARGUMENTS", StatusCode::URI_TOO_LONG, message)
    }

    /// Nothing here answers on that path or to that method.
    pub(super) fn not_served(path: &str) -> Self {
        let message = if matches!(path, "/" | "/ping" | "/replicas_status") {
            format!("the guard answers GET, POST and HEAD on {path}, and no other method: ask the server itself")
        } else {
            format!("the guard answers /, /ping and /replicas_status, not {path}: ask the server itself")
        };
        Self::new(36, "BAD_ARGUMENTS", StatusCode::NOT_FOUND, message)
    }

    /// ClickHouse cannot be reached.
    pub(super) fn unreachable(why: &str) -> Self {
        Self::new(210, "NETWORK_ERROR", StatusCode::BAD_GATEWAY, format!("the guard cannot reach ClickHouse: {why}"))
    }

    /// The guard itself is full.
    pub(super) fn full(what: &str) -> Self {
        Self::new(202, "TOO_MANY_SIMULTANEOUS_QUERIES", StatusCode::SERVICE_UNAVAILABLE, what)
    }

    /// The gate's refusal. What a wait mends is 503 with `Retry-After`, which drivers may try again; what only a change
    /// mends is 500, which they do not.
    pub(super) fn by_gate(refusal: Refusal) -> Self {
        let (code, name) = match refusal.reason {
            RefusalReason::TooManyRows => (158, "TOO_MANY_ROWS"),
            RefusalReason::MemoryExpected => (241, "MEMORY_LIMIT_EXCEEDED"),
            RefusalReason::NotInPolicy => (497, "ACCESS_DENIED"),
            RefusalReason::Blocked | RefusalReason::BreakerOpen => (392, "QUERY_IS_PROHIBITED"),
            _ => (745, "SERVER_OVERLOADED"),
        };
        let waiting_helps = refusal.retry_after_seconds.is_some() && code != 392;
        let status = if waiting_helps { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
        let message = format!("refused by the query guard: {} {}", refusal.explanation, refusal.suggestion);
        Self { refusal: Some(refusal), ..Self::new(code, name, status, message) }
    }

    /// The answer; JSON when the client asks for it. `query_id` as the client gave it, or as the guard did.
    pub(super) fn answer(&self, request: &HeaderMap, query_id: Option<&str>) -> Answer {
        let accepts = request.get(header::ACCEPT).map_or(&b""[..], HeaderValue::as_bytes);
        let is_json = accepts.windows(16).any(|part| part.eq_ignore_ascii_case(b"application/json"));
        let text = if self.is_verbatim {
            self.message.clone()
        } else {
            format!("Code: {}. DB::Exception: {}. ({})", self.code, self.message.trim_end_matches('.'), self.name)
        };
        let body = if is_json {
            let refusal = self.refusal.as_ref();
            let value = json!({ "code": self.code, "name": self.name, "exception": text, "refusal": refusal });
            format!("{value}\n")
        } else {
            format!("{text}\n")
        };
        let mut response = Response::new(AnswerBody::whole(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let content_type = if is_json { "application/json; charset=UTF-8" } else { "text/plain; charset=UTF-8" };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert("x-clickhouse-exception-code", HeaderValue::from(self.code));
        if let Some(id) = query_id.and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert("x-clickhouse-query-id", id);
        }
        if let Some(refusal) = &self.refusal {
            headers.insert("x-floodmark-refused", HeaderValue::from_static(refusal.reason.as_str()));
            if let Some(seconds) = refusal.retry_after_seconds {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_not_told_as_a_path() {
        assert!(Refused::not_served("/").message.contains("no other method"));
        assert!(Refused::not_served("/play").message.contains("not /play"));
    }
}
