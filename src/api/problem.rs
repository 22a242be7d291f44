//! Errors of the API: RFC 9457 `application/problem+json`, each with a `code` and the request's id.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;

use super::intake::RecordRejection;

/// Classes of error, from a bounded set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemCode {
    /// Nothing is at this path.
    NotFound,
    /// Something is at this path, for another method.
    MethodNotAllowed,
    /// A query parameter is unknown, given twice or out of range.
    BadParameter,
    /// Too many requests are being answered.
    Overloaded,
    /// The answer took too long.
    Timeout,
    /// No bearer token, or one that is not known.
    Unauthorized,
    /// The token may not do this.
    Forbidden,
    /// The body cannot be read as what it is said to be.
    BadBody,
    /// Records were read, and none of them can be taken.
    NothingAccepted,
    /// The body is larger than is taken.
    TooLarge,
    /// The body's type or encoding is not one that is read.
    UnsupportedMediaType,
    /// The version of HTTP cannot carry the answer.
    HttpVersion,
    /// The request came under a name that is not this host's.
    Misdirected,
    /// None of the types that are taken can be answered with.
    NotAcceptable,
    /// ClickHouse does not understand the query, or it fails.
    BadQuery,
    /// The query may not be asked: its text, or its cost.
    QueryRefused,
    /// The query has taken more than it may, and was ended.
    QueryLimit,
    /// As this service is configured, this cannot be done.
    NotPossible,
    /// The records are not safe yet, or too much is pending.
    UnderPressure,
    /// Files of rules, objectives or limits cannot be used.
    RulesRefused,
    /// ClickHouse, which knows it, is away.
    StorageAway,
    /// Our own mistake.
    Internal,
}

impl ProblemCode {
    /// Every class.
    pub const ALL: [Self; 22] = [
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::BadParameter,
        Self::Overloaded,
        Self::Timeout,
        Self::Unauthorized,
        Self::Forbidden,
        Self::BadBody,
        Self::NothingAccepted,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::HttpVersion,
        Self::Misdirected,
        Self::NotAcceptable,
        Self::BadQuery,
        Self::QueryRefused,
        Self::QueryLimit,
        Self::NotPossible,
        Self::UnderPressure,
        Self::RulesRefused,
        Self::StorageAway,
        Self::Internal,
    ];

    /// Spelling in `code`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BadParameter => "bad_parameter",
            Self::Overloaded => "overloaded",
            Self::Timeout => "timeout",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::BadBody => "bad_body",
            Self::NothingAccepted => "nothing_accepted",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::HttpVersion => "http_version",
            Self::Misdirected => "misdirected",
            Self::NotAcceptable => "not_acceptable",
            Self::BadQuery => "bad_query",
            Self::QueryRefused => "query_refused",
            Self::QueryLimit => "query_limit",
            Self::NotPossible => "not_possible",
            Self::UnderPressure => "under_pressure",
            Self::RulesRefused => "rules_refused",
            Self::StorageAway => "storage_away",
            Self::Internal => "internal",
        }
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadParameter | Self::BadBody | Self::BadQuery => StatusCode::BAD_REQUEST,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::QueryRefused | Self::QueryLimit => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Overloaded | Self::UnderPressure | Self::StorageAway => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NothingAccepted | Self::RulesRefused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::HttpVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::NotPossible => StatusCode::CONFLICT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// A query parameter at fault.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ParameterError {
    /// Its name, as given.
    pub parameter: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// What exactly is at fault.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
enum Errors {
    Parameters(Vec<ParameterError>),
    Records(Vec<RecordRejection>),
    Files(Vec<String>),
}

/// An error response, before the request's id is known: [`Problem::render`] completes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    code: ProblemCode,
    detail: String,
    errors: Errors,
    more: serde_json::Map<String, serde_json::Value>,
    retry_after: Option<Duration>,
    challenge: Option<&'static str>,
}

/// The body, fields in this order.
#[derive(serde::Serialize)]
struct ProblemBody<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    request_id: &'a str,
    errors: &'a Errors,
    #[serde(flatten)]
    more: &'a serde_json::Map<String, serde_json::Value>,
}

impl Problem {
    /// A problem with one sentence for a person.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        let errors = Errors::Parameters(Vec::new());
        let more = serde_json::Map::new();
        Self { code, detail: detail.into(), errors, more, retry_after: None, challenge: None }
    }

    /// The same, with a further member of its body. Not one of those that every problem has.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: serde_json::Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    /// The same, to be tried again after this long.
    #[must_use]
    pub fn retry_after(self, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..self }
    }

    /// The same, with what a bearer has to bring (RFC 6750).
    #[must_use]
    pub fn challenge(self, challenge: &'static str) -> Self {
        Self { challenge: Some(challenge), ..self }
    }

    /// The same, with the records at fault.
    #[must_use]
    pub fn records(self, records: Vec<RecordRejection>) -> Self {
        Self { errors: Errors::Records(records), ..self }
    }

    /// The same, with what is wrong in files, each with its place.
    #[must_use]
    pub fn files(self, problems: Vec<String>) -> Self {
        Self { errors: Errors::Files(problems), ..self }
    }

    /// Its class.
    #[must_use]
    pub fn code(&self) -> ProblemCode {
        self.code
    }

    /// Its HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// One sentence for a person.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Status, and headers that say what to do about it.
    pub(super) fn head(&self) -> Response<Body> {
        let mut response = self.code.status().into_response();
        let headers = response.headers_mut();
        if let Some(retry_after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }

    /// Query parameters at fault, all of them.
    #[must_use]
    pub fn parameters(errors: Vec<ParameterError>) -> Self {
        let names: Vec<&str> = errors.iter().map(|error| error.parameter.as_str()).collect();
        let detail = format!("query parameter {} cannot be used", names.join(", "));
        Self { errors: Errors::Parameters(errors), ..Self::new(ProblemCode::BadParameter, detail) }
    }

    /// Fills `response` (which may carry headers of its own, such as `Allow`) with the problem.
    pub fn render(&self, response: &mut Response<Body>, request_id: &str) {
        let status = self.code.status();
        let body = ProblemBody {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: &self.detail,
            code: self.code.as_str(),
            request_id,
            errors: &self.errors,
            more: &self.more,
        };
        // A struct of texts and numbers always serialises.
        let json = serde_json::to_vec(&body).unwrap_or_default();
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        *response.body_mut() = Body::from(json);
    }
}

impl IntoResponse for Problem {
    /// Status and headers only; the outermost layer knows the request's id and renders the body.
    fn into_response(self) -> axum::response::Response {
        let mut response = self.head();
        response.extensions_mut().insert(self);
        response
    }
}
