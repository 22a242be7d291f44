//! What becomes of a question: a response that streams its answer, or a problem.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use serde_json::json;

use super::super::problem::{Problem, ProblemCode};
use crate::query::{Answer, Estimate, QueryError, ResultFormat};

/// Who was turned away may ask again soon: questions take seconds.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The answer to the question `name`, as it comes. `name` is one of ours.
pub(super) fn response(name: &str, answer: Answer, estimate: Option<&Estimate>) -> Response {
    let format = answer.format();
    let mut response = Response::new(Body::from_stream(answer));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    // JSON is looked at, the others are kept.
    let place = if matches!(format, ResultFormat::Json | ResultFormat::Ndjson) { "inline" } else { "attachment" };
    let disposition = format!("{place}; filename=\"{name}.{}\"", format.extension());
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    if let Some(estimate) = estimate {
        headers.insert("x-floodmark-estimated-rows", HeaderValue::from(estimate.rows));
        headers.insert("x-floodmark-estimated-bytes-max", HeaderValue::from(estimate.bytes_max));
    }
    response
}

/// Why there is none.
pub(super) fn problem(error: QueryError) -> Problem {
    match error {
        QueryError::Fence(error) => {
            let code = if error.is_about_rights() { ProblemCode::Forbidden } else { ProblemCode::QueryRefused };
            let problem = Problem::new(code, error.to_string());
            problem.with("reason", json!("not_allowed")).with("suggestion", json!(error.suggestion()))
        }
        QueryError::Guard { refusal, estimate } => {
            let waiting_helps = refusal.retry_after_seconds.map(Duration::from_secs);
            let code = if waiting_helps.is_some() { ProblemCode::Overloaded } else { ProblemCode::QueryRefused };
            let problem = Problem::new(code, refusal.explanation);
            let problem = waiting_helps.map_or(problem.clone(), |seconds| problem.retry_after(seconds));
            let problem = problem.with("reason", json!(refusal.reason)).with("suggestion", json!(refusal.suggestion));
            problem.with("estimate", json!(estimate))
        }
        QueryError::Busy(detail) => Problem::new(ProblemCode::Overloaded, detail).retry_after(RETRY_AFTER),
        QueryError::Sql { number, message } => {
            Problem::new(ProblemCode::BadQuery, message).with("clickhouse_code", json!(number))
        }
        QueryError::Limit { number, what } => {
            let problem = Problem::new(ProblemCode::QueryLimit, format!("the query was ended: {what}"));
            let suggestion = "Read less: a shorter time range, fewer groups, fewer columns, a smaller LIMIT.";
            problem.with("clickhouse_code", json!(number)).with("suggestion", json!(suggestion))
        }
        QueryError::Storage(error) => {
            let detail = format!("clickhouse cannot be asked now ({})", error.code());
            tracing::warn!(%error, "a question was not answered");
            Problem::new(ProblemCode::StorageAway, detail)
        }
    }
}
