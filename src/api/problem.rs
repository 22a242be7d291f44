//! Errors of the API: RFC 9457 `application/problem+json`, each with a `code` and the request's id.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;

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
}

impl ProblemCode {
    /// Spelling in `code`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BadParameter => "bad_parameter",
            Self::Overloaded => "overloaded",
            Self::Timeout => "timeout",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadParameter => StatusCode::BAD_REQUEST,
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
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

/// An error response, before the request's id is known: [`Problem::render`] completes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    code: ProblemCode,
    detail: String,
    errors: Vec<ParameterError>,
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
    errors: &'a [ParameterError],
}

impl Problem {
    /// A problem with one sentence for a person.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new() }
    }

    /// Query parameters at fault, all of them.
    #[must_use]
    pub fn parameters(errors: Vec<ParameterError>) -> Self {
        let names: Vec<&str> = errors.iter().map(|error| error.parameter.as_str()).collect();
        let detail = format!("query parameter {} cannot be used", names.join(", "));
        Self { code: ProblemCode::BadParameter, detail, errors }
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
        };
        // A struct of texts and numbers always serialises.
        let json = serde_json::to_vec(&body).unwrap_or_default();
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        *response.body_mut() = Body::from(json);
    }
}

impl IntoResponse for Problem {
    /// Status only; the outermost layer knows the request's id and renders the body.
    fn into_response(self) -> axum::response::Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
