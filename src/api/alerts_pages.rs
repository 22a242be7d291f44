//! `/api/v1/pages`: what was told, and who has taken it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot, watch};

use super::auth::Bearer;
use super::problem::{Problem, ProblemCode};
use super::query;
use crate::alert::paging::{Command, CommandError, PageView, PagerView, Silence};
use crate::clock;
use crate::config::Span;
use crate::model::{Text, Timestamp};
use crate::store::ClickHouse;

/// Longest body of a request: words of a person.
pub(super) const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// Somebody who has taken a page looks at it again in the next shift.
pub(super) const ACKNOWLEDGED_FOR: Span = Span::from_secs(8 * 3_600);

/// A request to the pager, and where its answer goes: the silence that was made, if one was.
#[derive(Debug)]
pub struct PagingRequest {
    /// What is asked.
    pub command: Command,
    /// What became of it.
    pub answer: oneshot::Sender<Result<Option<Silence>, CommandError>>,
}

/// How handlers reach the pager and its history.
#[derive(Debug, Clone)]
pub struct PagingState {
    /// What there is.
    pub view: watch::Receiver<Arc<PagerView>>,
    /// Requests.
    pub requests: mpsc::Sender<PagingRequest>,
    /// What was.
    pub history: ClickHouse,
}

impl PagingState {
    /// Asks the pager, which writes down before it answers.
    pub(super) async fn ask(&self, command: Command) -> Result<Option<Silence>, Problem> {
        let stopping = || Problem::new(ProblemCode::NotPossible, "the service is stopping");
        let (answer, answered) = oneshot::channel();
        self.requests.send(PagingRequest { command, answer }).await.map_err(|_| stopping())?;
        answered.await.map_err(|_| stopping())?.map_err(|error| match error {
            CommandError::NotFound(detail) => Problem::new(ProblemCode::NotFound, detail),
            CommandError::Refused(detail) => Problem::new(ProblemCode::BadBody, detail),
        })
    }
}

#[derive(serde::Serialize)]
struct PagesBody<'a> {
    pages: &'a [PageView],
}

/// Open pages, worst first, then those that are over.
pub(super) async fn pages(State(state): State<PagingState>, uri: Uri) -> Result<Response, Problem> {
    query::none(&uri)?;
    let view = state.view.borrow().clone();
    Ok(Json(PagesBody { pages: &view.pages }).into_response())
}

/// One page.
pub(super) async fn page(
    State(state): State<PagingState>,
    key: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Problem> {
    query::none(&uri)?;
    let view = state.view.borrow().clone();
    let page = key.ok().and_then(|Path(key)| view.page(&key));
    let absent = "no page with this key is open or among the recent ones";
    page.map(|page| Json(page).into_response()).ok_or_else(|| Problem::new(ProblemCode::NotFound, absent))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AcknowledgeBody {
    author: Option<String>,
    note: String,
    r#for: Option<Span>,
    expires_at: Option<Timestamp>,
}

impl AcknowledgeBody {
    fn expires_at(&self, now: Timestamp) -> Result<Timestamp, Problem> {
        match (self.r#for, self.expires_at) {
            (Some(_), Some(_)) => Err(Problem::new(ProblemCode::BadBody, "say either `for` or `expires_at`")),
            (_, Some(expires_at)) => Ok(expires_at),
            (lasts, None) => Ok(now.plus(lasts.unwrap_or(ACKNOWLEDGED_FOR).as_millis())),
        }
    }
}

/// Somebody takes a page.
pub(super) async fn acknowledge(
    State(state): State<PagingState>,
    Extension(from): Extension<Bearer>,
    Path(key): Path<String>,
    uri: Uri,
    body: Bytes,
) -> Result<Response, Problem> {
    query::none(&uri)?;
    let body: AcknowledgeBody = if body.is_empty() { AcknowledgeBody::default() } else { read(&body)? };
    let expires_at = body.expires_at(clock::now())?;
    let author = author(&from, body.author)?;
    state.ask(Command::Acknowledge { key: key.as_str().into(), author, note: body.note, expires_at }).await?;
    shown(&state, &key)
}

/// Nobody has it any more.
pub(super) async fn unacknowledge(
    State(state): State<PagingState>,
    Path(key): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    query::none(&uri)?;
    state.ask(Command::Unacknowledge { key: key.as_str().into() }).await?;
    shown(&state, &key)
}

fn shown(state: &PagingState, key: &str) -> Result<Response, Problem> {
    let view = state.view.borrow().clone();
    let gone = || Problem::new(ProblemCode::NotFound, "the page is over");
    view.page(key).map(|page| Json(page).into_response()).ok_or_else(gone)
}

/// Reads a body.
pub(super) fn read<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::new(ProblemCode::BadBody, error.to_string()))
}

/// Who asks: whose token it is, else who they say they are.
pub(super) fn author(from: &Bearer, said: Option<String>) -> Result<Text, Problem> {
    let name = if from.0.is_empty() { said.unwrap_or_default() } else { from.0.to_string() };
    if name.trim().is_empty() {
        return Err(Problem::new(ProblemCode::BadBody, "`author` is missing: no token says who asks"));
    }
    Ok(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_has_one_end() {
        let now = Timestamp::parse_rfc3339("2026-03-01T10:00:00Z").unwrap();
        let end = |body: &str| {
            let body: AcknowledgeBody = read(body.as_bytes()).unwrap();
            body.expires_at(now).map(|end| end.to_string()).map_err(|problem| problem.code())
        };
        assert_eq!(end("{}"), Ok("2026-03-01T18:00:00Z".to_owned()));
        assert_eq!(end(r#"{"for": "1h"}"#), Ok("2026-03-01T11:00:00Z".to_owned()));
        let at = r#""expires_at": "2026-03-01T12:00:00Z""#;
        assert_eq!(end(&format!("{{{at}}}")), Ok("2026-03-01T12:00:00Z".to_owned()));
        assert_eq!(end(&format!("{{{at}, \"for\": \"1h\"}}")), Err(ProblemCode::BadBody));
    }
}
