//! The console: pages for people, made here on the server from the same snapshots as the API.
//!
//! | path | page |
//! |---|---|
//! | `/` | load, errors, amplification, watermark, what is open, who asks most: from memory |
//! | `/alerts` | alerts, pages and silences, and the forms to take a page or to silence alerts |
//! | `/incidents`, `/incidents/{id}` | incidents; one with its picture, causes, customers, timeline |
//! | `/incidents/{id}/customers.csv` | whom to contact |
//! | `/incidents/{id}/postmortem.md` | a draft of its post-mortem |
//! | `/subscription?name=…` | one customer, now and over time |
//! | `/queries`, `/queries/{name}`, `/sql` | questions to what is stored: named ones, and of one's own |
//! | `/guard` | what the query guard lets run, wait and fail; the black box |
//! | `/status` | public incidents: drafts, what is open, components, announced work, and the forms to word them |
//! | `/limits` | a request limit on the past |
//! | `/login`, `POST /logout` | a bearer token becomes a session |
//! | `/console/…` | style sheet, script, icon: part of the binary |
//!
//! Nothing is fetched from elsewhere. Everything works without the script, which only keeps pages fresh and tells values
//! under the pointer. What comes from outside is escaped by the templates; the policy allows no script but our own file.

mod access;
mod actions;
mod alerts;
mod answer;
mod ask;
mod assets;
mod form;
mod guard;
mod headers;
mod incident;
mod incident_history;
mod incident_picture;
mod incident_stored;
mod incidents;
mod layout;
mod login;
mod overview;
mod parts;
mod queries;
mod refusal;
mod session;
mod sql;
mod status;
mod status_actions;
mod subscription;
mod traffic;
mod what_if;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tokio::sync::{Semaphore, watch};

use super::postmortem::IncidentHistory;
use super::problem::Problem;
use super::{ApiState, LimitsState, PagingState, Readiness, StatusRoutes, Tokens, View};
use crate::guard::proxy::GuardView;
use crate::query::QueryDesk;
use refusal::Refusal;
use session::Sessions;

/// Longest form: words of a person.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// What the paths of pages begin with.
const PAGES: [&str; 12] = [
    "",
    "alerts",
    "incidents",
    "subscription",
    "queries",
    "sql",
    "guard",
    "limits",
    "status",
    "login",
    "logout",
    "console",
];

/// And those of what only programs ask.
const MACHINES: [&str; 6] = ["api", "v1", "-", "livez", "readyz", "metrics"];

/// Limits that are tried at once: each reads much.
const TRIALS_MAX: usize = 1;

/// What the console has that the API has not.
#[derive(Debug, Clone, Default)]
pub struct ConsoleSettings {
    /// Whether all of this is served over TLS: cookies are for TLS only then.
    pub is_tls: bool,
    /// The query guard, where one runs in this process.
    pub guard: Option<GuardView>,
}

/// What pages are made of.
#[derive(Debug, Clone)]
struct ConsoleState {
    view: watch::Receiver<Arc<View>>,
    readiness: watch::Receiver<Readiness>,
    paging: Option<PagingState>,
    status: Option<StatusRoutes>,
    tokens: Tokens,
    sessions: Arc<Sessions>,
    queries: Option<QueryDesk>,
    limits: Option<LimitsState>,
    past: IncidentHistory,
    guard: Option<GuardView>,
    trials: Arc<Semaphore>,
    is_tls: bool,
}

impl ConsoleState {
    /// What detection shows. Cloned at once, never held.
    fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    fn readiness(&self) -> Readiness {
        self.readiness.borrow().clone()
    }
}

/// The console's routes.
pub(super) fn router(state: &ApiState, past: &IncidentHistory) -> Router {
    let state = ConsoleState {
        view: state.view.clone(),
        readiness: state.readiness.clone(),
        paging: state.paging.clone(),
        status: state.status.clone(),
        tokens: state.tokens.clone(),
        sessions: Arc::new(Sessions::new()),
        queries: state.queries.clone(),
        limits: state.limits.clone(),
        past: past.clone(),
        guard: state.console.guard.clone(),
        trials: Arc::new(Semaphore::new(TRIALS_MAX)),
        is_tls: state.console.is_tls,
    };
    let mut pages = Router::new()
        .route("/", get(overview::overview))
        .route("/alerts", get(alerts::alerts))
        .route("/incidents", get(incidents::incidents))
        .route("/incidents/{id}", get(incident::incident))
        .route("/incidents/{id}/customers.csv", get(incident::customers))
        .route("/incidents/{id}/postmortem.md", get(incident_stored::postmortem))
        .route("/subscription", get(subscription::subscription))
        .route("/queries", get(queries::list))
        .route("/queries/{name}", get(queries::one))
        .route("/sql", get(sql::form).post(sql::ask))
        .route("/guard", get(guard::guard))
        .route("/status", get(status::status))
        .route("/status/command", post(status_actions::command))
        .route("/limits", get(what_if::form).post(what_if::ask))
        .route("/logout", post(login::logout));
    if state.paging.is_some() {
        pages = pages
            .route("/alerts/acknowledge", post(actions::acknowledge))
            .route("/alerts/give-back", post(actions::give_back))
            .route("/alerts/silence", post(actions::silence))
            .route("/alerts/end-silence", post(actions::end_silence));
    }
    let open = Router::new()
        .route("/login", get(login::form).post(login::log_in))
        .route("/console/console.css", get(assets::style))
        .route("/console/console.js", get(assets::script))
        .route("/console/icon.svg", get(assets::icon))
        .route("/favicon.ico", get(assets::icon));
    pages
        .route_layer(from_fn_with_state(state.clone(), access::admit))
        .merge(open)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(axum::middleware::from_fn(headers::protect))
        .with_state(state)
}

/// Whether an error at this path is read by a person: at a page, or at nothing with a browser.
pub(super) fn is_for_people(path: &str, headers: &HeaderMap) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    if PAGES.contains(&first) {
        return true;
    }
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    !MACHINES.contains(&first) && accepted.any(|value| value.contains("text/html"))
}

/// What a person is told of a problem. Headers of `response` say more of it and stay.
pub(super) fn in_place_of_page(problem: Problem, response: Response) -> Response {
    let mut page = Refusal::from(problem).into_response();
    let (parts, _) = response.into_parts();
    for (name, value) in &parts.headers {
        if ![header::CONTENT_TYPE, header::CONTENT_LENGTH].contains(name) {
            page.headers_mut().append(name, value.clone());
        }
    }
    headers::add(&mut page);
    page
}

/// Whether answers to this path come from ClickHouse and not from memory.
pub(super) fn asks_clickhouse(path: &str) -> bool {
    path == "/subscription"
        || path == "/sql"
        || path == "/limits"
        || path.starts_with("/queries/")
        || path.starts_with("/incidents/")
}
