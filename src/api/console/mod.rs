//! The console: pages for people, made here on the server from the same snapshots as the API.
//!
//! | path | page |
//! |---|---|
//! | `/` | load, errors, amplification, watermark, what is open, who asks most: from memory |
//! | `/alerts` | alerts, pages and silences, and the forms to take a page or to silence alerts |
//! | `/incidents`, `/incidents/{id}` | incidents; one with its picture, causes, customers, timeline |
//! | `/incidents/{id}/customers.csv` | whom to contact |
//! | `/login`, `POST /logout` | a bearer token becomes a session |
//! | `/console/…` | style sheet, script, icon: part of the binary |
//!
//! Nothing is fetched from elsewhere. Everything works without the script, which only keeps pages fresh and tells values
//! under the pointer. What comes from outside is escaped by the templates; the policy allows no script but our own file.

mod access;
mod actions;
mod alerts;
mod assets;
mod form;
mod headers;
mod incident;
mod incident_picture;
mod incidents;
mod layout;
mod login;
mod overview;
mod parts;
mod refusal;
mod session;
mod traffic;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio::sync::watch;

use super::{ApiState, PagingState, Readiness, Tokens, View};
use session::Sessions;

/// Longest form: words of a person.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// What pages are made of.
#[derive(Debug, Clone)]
struct ConsoleState {
    view: watch::Receiver<Arc<View>>,
    readiness: watch::Receiver<Readiness>,
    paging: Option<PagingState>,
    tokens: Tokens,
    sessions: Arc<Sessions>,
    /// Cookies are for HTTPS only.
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
pub(super) fn router(state: &ApiState) -> Router {
    let state = ConsoleState {
        view: state.view.clone(),
        readiness: state.readiness.clone(),
        paging: state.paging.clone(),
        tokens: state.tokens.clone(),
        sessions: Arc::new(Sessions::new()),
        is_tls: state.is_tls,
    };
    let mut pages = Router::new()
        .route("/", get(overview::overview))
        .route("/alerts", get(alerts::alerts))
        .route("/incidents", get(incidents::incidents))
        .route("/incidents/{id}", get(incident::incident))
        .route("/incidents/{id}/customers.csv", get(incident::customers))
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
