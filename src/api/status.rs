//! `/api/v1/status`: public incidents as those see them who word them, and what they ask for.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::alerts_pages::{author, read};
use super::auth::Bearer;
use super::problem::{Problem, ProblemCode};
use super::query;
use crate::clock;
use crate::model::Timestamp;
use crate::status::incidents::{Command, CommandError, Done, DraftView, IncidentView, Request, Settings};
use crate::status::schedule::Word;
use crate::status::{Act, Authority, ComponentState, ComponentView, Maintenance, Statements};

/// Longest body of a request: words of a person.
pub(super) const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// Acts that are shown, the newest; the rest is in the state file.
const ACTS_SHOWN: usize = 100;

/// A command, and where its answer goes once it is on disk.
#[derive(Debug)]
pub struct StatusRequest {
    /// What is asked, by whom and when.
    pub request: Request,
    /// What became of it.
    pub answer: oneshot::Sender<Result<Done, StatusRefusal>>,
}

/// Why a command was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatusRefusal {
    /// It cannot be, as it was asked for or as things stand.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// It would not have survived a restart.
    #[error("it cannot be written down, so it is not done: {0}")]
    NotSaved(String),
}

/// How handlers reach whoever owns the status page.
#[derive(Debug, Clone)]
pub struct StatusRoutes {
    /// What there is. Changed before a command is answered.
    pub view: watch::Receiver<Arc<StatusView>>,
    /// Commands.
    pub requests: mpsc::Sender<StatusRequest>,
}

/// What those see who word incidents. Not public.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct StatusView {
    /// Where the public reads.
    pub page: String,
    /// Event time up to which everything is measured.
    pub data_as_of: Option<Timestamp>,
    /// In the order of the configuration.
    pub components: Vec<StandingView>,
    /// What waits to be published, the newest first.
    pub drafts: Vec<DraftView>,
    /// What was published, the newest first.
    pub incidents: Vec<IncidentView>,
    /// What people say of components, where that holds.
    pub words: Vec<Word>,
    /// Announced work, the earliest first.
    pub maintenances: Vec<Maintenance>,
    /// Who did what, the newest first.
    pub acts: Vec<Act>,
}

/// How a component is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StandingView {
    /// Identity.
    pub id: String,
    /// Name.
    pub name: String,
    /// How it is.
    pub state: ComponentState,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Who says so: `measured`, `maintenance`, `person`.
    pub authority: &'static str,
}

impl StatusView {
    /// At a moment.
    #[must_use]
    pub fn new(
        statements: &Statements,
        settings: &Settings,
        components: &[ComponentView],
        (page, data_as_of): (&str, Option<Timestamp>),
        now: Timestamp,
    ) -> Self {
        Self {
            page: page.to_owned(),
            data_as_of,
            components: components.iter().map(StandingView::new).collect(),
            drafts: statements.incidents.drafts(settings, now),
            incidents: statements.incidents.incidents(settings, now),
            words: statements.schedule.words(now),
            maintenances: statements.schedule.maintenances(),
            acts: statements.acts().take(ACTS_SHOWN).cloned().collect(),
        }
    }
}

impl StandingView {
    fn new(component: &ComponentView) -> Self {
        let authority = match component.authority {
            Authority::Measured => "measured",
            Authority::Maintenance => "maintenance",
            Authority::Person { .. } => "person",
        };
        let ComponentView { id, name, state, since, .. } = component;
        Self { id: id.clone(), name: name.clone(), state: *state, since: *since, authority }
    }
}

impl StatusRoutes {
    /// Asks the owner, who writes down before the answer.
    pub(super) async fn ask(&self, request: Request) -> Result<Done, Problem> {
        let stopping = || Problem::new(ProblemCode::NotPossible, "the service is stopping");
        let (answer, answered) = oneshot::channel();
        self.requests.send(StatusRequest { request, answer }).await.map_err(|_| stopping())?;
        answered.await.map_err(|_| stopping())?.map_err(|error| {
            let code = match error {
                StatusRefusal::Command(CommandError::NotFound(_)) => ProblemCode::NotFound,
                StatusRefusal::Command(CommandError::Refused(_)) => ProblemCode::BadBody,
                StatusRefusal::Command(CommandError::NotPossible(_)) => ProblemCode::NotPossible,
                StatusRefusal::NotSaved(_) => ProblemCode::UnderPressure,
            };
            Problem::new(code, error.to_string())
        })
    }
}

/// What there is.
pub(super) async fn status(State(state): State<StatusRoutes>, uri: Uri) -> Result<Response, Problem> {
    query::none(&uri)?;
    let view = state.view.borrow().clone();
    Ok(Json(&*view).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandBody {
    command: Command,
    author: Option<String>,
    idempotency_key: Option<String>,
}

/// Does what a person asks.
pub(super) async fn command(
    State(state): State<StatusRoutes>,
    Extension(from): Extension<Bearer>,
    uri: Uri,
    body: Bytes,
) -> Result<Response, Problem> {
    query::none(&uri)?;
    let CommandBody { command, author: said, idempotency_key: key } = read(&body)?;
    let who = author(&from, said)?.to_string();
    let done = state.ask(Request { command, who, at: clock::now(), key }).await?;
    Ok(Json(done).into_response())
}
