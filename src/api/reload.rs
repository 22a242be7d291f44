//! `POST /-/reload`: rules, objectives and limits are read again, as on SIGHUP.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use tokio::sync::{mpsc, oneshot};

use super::problem::{Problem, ProblemCode};
use super::query;
use crate::alert::RuleChanges;

/// Reloads that may wait for the one under way: they would all read the same files.
pub const RELOADS_BOUND: usize = 4;
/// Problems that an answer names; the log of `floodmark check` has them all.
const PROBLEMS_TOLD_MAX: usize = 200;

/// A wish to have the files read again; answered once what they say is in force, or cannot be.
#[derive(Debug)]
pub struct ReloadRequest {
    /// Takes the answer.
    pub answer: oneshot::Sender<Result<RuleChanges, ReloadError>>,
}

/// Why the rules in force are still the former ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// The files cannot be used: every problem of all of them.
    #[error("{}", .0.join("\n"))]
    Files(Vec<String>),
    /// The service ends.
    #[error("the service is stopping")]
    Stopping,
}

/// Where wishes go.
pub type ReloadDesk = mpsc::Sender<ReloadRequest>;

/// `POST /-/reload`.
pub(super) async fn reload(State(desk): State<ReloadDesk>, uri: Uri) -> Result<Response, Problem> {
    query::none(&uri)?;
    let (answer, answered) = oneshot::channel();
    let waiting = || Problem::new(ProblemCode::UnderPressure, "several reloads are under way");
    desk.try_send(ReloadRequest { answer }).map_err(|_| waiting())?;
    match answered.await.unwrap_or(Err(ReloadError::Stopping)) {
        Ok(changes) => Ok(Json(changes).into_response()),
        Err(ReloadError::Files(mut problems)) => {
            let count = problems.len();
            let detail = format!(
                "{count} problem{} in the files: the former rules and limits stay in force",
                if count == 1 { "" } else { "s" }
            );
            problems.truncate(PROBLEMS_TOLD_MAX);
            Err(Problem::new(ProblemCode::RulesRefused, detail).files(problems))
        }
        Err(error @ ReloadError::Stopping) => Err(Problem::new(ProblemCode::UnderPressure, error.to_string())),
    }
}
