//! `POST /api/v1/sql`: SQL of one's own, or with `explain=true` what it would cost.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;

use super::super::alerts_pages::read;
use super::super::auth::Bearer;
use super::super::problem::{ParameterError, Problem, ProblemCode};
use super::super::query;
use super::{accept, asker, outcome};
use crate::query::QueryDesk;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    sql: String,
}

/// The text is the body, or its member `sql` where the body is JSON.
pub(in super::super) async fn sql(
    State(desk): State<QueryDesk>,
    Extension(bearer): Extension<Bearer>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Result<Response, Problem> {
    let explains = explains(&uri)?;
    let text = text(&headers, &body)?;
    if explains {
        let explanation = desk.explain(&text, &asker(&bearer)).await.map_err(outcome::problem)?;
        return Ok(Json(explanation).into_response());
    }
    let format = accept::format(&headers)?;
    let (estimate, answer) = desk.sql(&text, &asker(&bearer), format).await.map_err(outcome::problem)?;
    Ok(outcome::response("query", answer, estimate.as_ref()))
}

fn text(headers: &HeaderMap, body: &[u8]) -> Result<String, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return read::<Body>(body).map(|body| body.sql);
    }
    let utf8 = std::str::from_utf8(body).map_err(|_| Problem::new(ProblemCode::BadBody, "the text is not UTF-8"))?;
    Ok(utf8.to_owned())
}

fn explains(uri: &Uri) -> Result<bool, Problem> {
    let mut explains = false;
    let mut errors = Vec::new();
    for (parameter, value) in query::unique_pairs(uri)? {
        match (parameter.as_str(), value.as_str()) {
            ("explain", "true") => explains = true,
            ("explain", "false") => explains = false,
            ("explain", _) => errors.push(ParameterError { parameter, message: "must be true or false".to_owned() }),
            _ => errors.push(ParameterError { parameter, message: "unknown parameter, expected `explain`".to_owned() }),
        }
    }
    if errors.is_empty() { Ok(explains) } else { Err(Problem::parameters(errors)) }
}
