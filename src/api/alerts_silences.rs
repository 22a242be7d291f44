//! `/api/v1/silences`: which alerts nobody is told about for a while.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

use super::alerts_pages::{PagingState, author, read};
use super::auth::Bearer;
use super::problem::{Problem, ProblemCode};
use super::query;
use crate::alert::paging::{Command, Matcher, Silence};
use crate::clock;
use crate::config::Span;
use crate::model::{Text, Timestamp};

#[derive(Serialize)]
struct SilencesBody<'a> {
    silences: Vec<SilenceBody<'a>>,
}

/// A silence as it is shown: matchers as people write them.
#[derive(Serialize)]
struct SilenceBody<'a> {
    id: &'a str,
    matchers: Vec<String>,
    active: bool,
    starts_at: Timestamp,
    ends_at: Timestamp,
    author: &'a str,
    reason: &'a str,
}

impl<'a> SilenceBody<'a> {
    fn new(silence: &'a Silence) -> Self {
        let Silence { id, matchers, starts_at, ends_at, author, reason, .. } = silence;
        Self {
            id,
            matchers: matchers.iter().map(ToString::to_string).collect(),
            active: silence.is_active(clock::now()),
            starts_at: *starts_at,
            ends_at: *ends_at,
            author,
            reason,
        }
    }
}

/// Silences in force or to come.
pub(super) async fn silences(State(state): State<PagingState>, uri: Uri) -> Result<Response, Problem> {
    query::none(&uri)?;
    let view = state.view.borrow().clone();
    Ok(Json(SilencesBody { silences: view.silences.iter().map(SilenceBody::new).collect() }).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSilenceBody {
    matchers: Vec<String>,
    starts_at: Option<Timestamp>,
    r#for: Option<Span>,
    ends_at: Option<Timestamp>,
    author: Option<String>,
    reason: String,
}

/// Makes a silence.
pub(super) async fn silence(
    State(state): State<PagingState>,
    Extension(from): Extension<Bearer>,
    uri: Uri,
    body: Bytes,
) -> Result<Response, Problem> {
    query::none(&uri)?;
    let body: NewSilenceBody = read(&body)?;
    let bad = |detail: String| Problem::new(ProblemCode::BadBody, detail);
    let matchers: Result<Vec<Matcher>, String> = body.matchers.iter().map(|text| text.parse()).collect();
    let starts_at = body.starts_at.unwrap_or_else(clock::now);
    let lasts = body.r#for.map(|lasts| starts_at.plus(lasts.as_millis()));
    let ((Some(ends_at), None) | (None, Some(ends_at))) = (body.ends_at, lasts) else {
        return Err(bad("a silence needs one of `for` and `ends_at`".to_owned()));
    };
    let silence = Silence {
        id: Text::default(),
        matchers: matchers.map_err(bad)?,
        starts_at,
        ends_at,
        author: author(&from, body.author)?,
        reason: body.reason,
        created_at: starts_at,
    };
    let made = state.ask(Command::Silence(silence)).await?;
    let missing = || Problem::new(ProblemCode::Internal, "the silence was made, and is not known");
    made.map(|silence| Json(SilenceBody::new(&silence)).into_response()).ok_or_else(missing)
}

/// Ends a silence.
pub(super) async fn end_silence(
    State(state): State<PagingState>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    query::none(&uri)?;
    state.ask(Command::EndSilence { id: id.as_str().into() }).await?;
    Ok(Json(serde_json::json!({"id": id, "ended": true})).into_response())
}
