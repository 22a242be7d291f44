//! `POST /api/v1/events`: native events.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use super::super::auth::Bearer;
use super::super::problem::{Problem, ProblemCode};
use super::super::query;
use super::{IngestState, Kind, RecordRejection, Taken, media_type};

/// The answer: every record is counted once.
#[derive(serde::Serialize)]
struct EventsBody {
    /// Records that are safe.
    accepted: u64,
    /// Records that were refused; sending them again changes nothing.
    rejected: u64,
    /// The first of those.
    rejections: Vec<RecordRejection>,
}

pub(in super::super) async fn events(
    State(state): State<IngestState>,
    Extension(from): Extension<Bearer>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    query::none(&uri)?;
    let Taken { accepted, rejected, rejections } = state.take(kind(&headers)?, &from, &headers, body).await?;
    if accepted == 0 && rejected > 0 {
        let detail = format!("none of {rejected} records can be taken");
        return Err(Problem::new(ProblemCode::NothingAccepted, detail).records(rejections));
    }
    Ok(Json(EventsBody { accepted, rejected, rejections }).into_response())
}

fn kind(headers: &HeaderMap) -> Result<Kind, Problem> {
    match media_type(headers).as_str() {
        "application/json" => Ok(Kind::Whole),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "text/plain" | "" => Ok(Kind::Lines),
        other => {
            let detail = format!("content-type {other} is not read: send application/x-ndjson or application/json");
            Err(Problem::new(ProblemCode::UnsupportedMediaType, detail))
        }
    }
}
