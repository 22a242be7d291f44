//! HTTP: health, metrics, current alerts and recent incidents, and records that come over HTTP.
//!
//! | path | answer |
//! |---|---|
//! | `/` and what it links to | the console: pages for people, see [`console`] |
//! | `/livez` | 200 while the process answers |
//! | `/readyz` | 200 `ok`; 200 `degraded` while detection works and something else (ClickHouse, a receiver) does not; 503 `unavailable` while nothing can be detected: Kafka has not assigned partitions, or detection is down |
//! | `/metrics` | OpenMetrics 1.0 |
//! | `/api/v1/alerts` | pending and firing alerts, each as its transition would say it now; filters `alert`, `severity`, `state` |
//! | `/api/v1/incidents`, `/api/v1/incidents/{id}` | open incidents, then ended ones, newest first |
//! | `/api/v1/incidents/{id}/postmortem.md` | a draft of its post-mortem |
//! | `POST /-/reload` | reads rules, objectives and limits again; 422 names every problem of the files, and changes nothing |
//! | `/api/v1/pages`, `/api/v1/pages/{key}` | what was told: open pages, worst first, then those that are over |
//! | `POST` and `DELETE /api/v1/pages/{key}/acknowledge` | somebody takes a page, or gives it back |
//! | `/api/v1/silences`, `DELETE /api/v1/silences/{id}` | silences; `POST` makes one |
//! | `/api/v1/alerts/history` | what was said of pages, from ClickHouse; `since`, `until`, `key`, `limit` |
//! | `/api/v1/limits/what-if` (also `POST`) | what a request limit would have done, see [`limits`] |
//! | `/api/v1/events` | pages and transitions as they come (server-sent events), see [`events`] |
//! | `/api/v1/queries`, `/api/v1/queries/{name}` | the named queries: what they take and give |
//! | `/api/v1/queries/{name}/results` | runs one; parameters in the address, or in the body of a POST |
//! | `POST /api/v1/sql` | runs SQL of one's own, or says what it would cost |
//! | `/api/v1/series`, `/api/v1/query_range` | curves, as Prometheus gives them |
//! | `/api/v1/status`, `POST /api/v1/status/commands` | public incidents as those see them who word them, see [`status`] |
//! | `/api/v1/openapi.json` | all of this, for programs |
//! | `POST /api/v1/events`, `POST /v1/logs` | takes records, see [`intake`] |
//!
//! A degraded service stays 200: taking it out of rotation would end the detection that still works, and hide the body
//! that says what is wrong. Errors are `application/problem+json`.

mod alerts_history;
mod alerts_pages;
mod alerts_silences;
mod auth;
mod console;
mod events;
mod handlers;
mod intake;
mod layer;
mod limits;
pub mod openapi;
mod origin;
mod postmortem;
mod problem;
mod queries;
mod query;
mod readiness;
mod reload;
mod status;
mod view;

pub use alerts_pages::{PagingRequest, PagingState};
use auth::Shows;
pub use auth::{Tokens, hash};
pub use console::ConsoleSettings;
pub use events::EventReaders;
pub use intake::{IngestState, RecordRejection};
pub use limits::LimitsState;
pub use readiness::{Component, ComponentReport, ComponentStatus, Health, Overall, Readiness};
pub use reload::{RELOADS_BOUND, ReloadDesk, ReloadError, ReloadRequest};
pub use status::{StandingView, StatusRefusal, StatusRequest, StatusRoutes, StatusView};
pub use view::{ALERTS_MAX, Counts, INCIDENTS_ENDED_MAX, INCIDENTS_OPEN_MAX, View};

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::Scope;
use crate::listener::{BoundedListener, ConnectionTimes};
use crate::metrics::Metrics;
use crate::query::QueryDesk;

/// Connections at a time: scrapers, probes and people; 512 leave the process's other descriptors alone.
const CONNECTIONS_MAX: usize = 512;
/// A request head, the first one together with the handshake of TLS: a second is long for them.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// A connection on which nothing moves for this long is closed.
const CONNECTION_IDLE_MAX: Duration = Duration::from_secs(60);

/// What the handlers read: snapshots and counters, nothing that can wait.
#[derive(Debug, Clone)]
pub struct ApiState {
    /// Published by the task that runs detection.
    pub view: watch::Receiver<Arc<View>>,
    /// From [`Health::subscribe`].
    pub readiness: watch::Receiver<Readiness>,
    /// Our own metrics.
    pub metrics: Arc<Metrics>,
    /// Who may do what.
    pub tokens: Tokens,
    /// Where records go; absent: none are taken.
    pub ingest: Option<IngestState>,
    /// Who reads the rules again; absent: nobody.
    pub reload: Option<ReloadDesk>,
    /// Pages and silences; absent: there is no pager.
    pub paging: Option<PagingState>,
    /// What is told, as it comes; absent: nobody says.
    pub events: Option<EventReaders>,
    /// What only the console has.
    pub console: ConsoleSettings,
    /// Who asks questions to the tables; absent: nobody.
    pub queries: Option<QueryDesk>,
    /// Limits tried on the past; absent: there is none.
    pub limits: Option<LimitsState>,
    /// Public incidents; absent: there is no status page.
    pub status: Option<StatusRoutes>,
}

/// All routes. Health is open to all; reading and sending may need a token.
pub fn router(state: ApiState) -> Router {
    let guard = Arc::new(layer::Guard::new(clock::now()));
    let may_see = |scope: Scope, shows: Shows| {
        axum::middleware::from_fn_with_state((state.tokens.clone(), scope, shows), auth::authorize)
    };
    let may = |scope: Scope| may_see(scope, Shows::All);
    let reading = Router::new()
        .route("/metrics", get(handlers::metrics))
        .route("/api/v1/alerts", get(handlers::alerts))
        .route("/api/v1/incidents", get(handlers::incidents))
        .route("/api/v1/incidents/{id}", get(handlers::incident))
        .route("/api/v1/events", get(events::events))
        .route_layer(may(Scope::Read));
    let mut router = Router::new().route("/livez", get(handlers::livez)).route("/readyz", get(handlers::readyz));
    router = router.merge(reading);
    let past = state.limits.as_ref().map(|limits| &limits.history);
    let past = postmortem::IncidentHistory::new(state.view.clone(), past);
    let drafting = Router::new()
        .route("/api/v1/incidents/{id}/postmortem.md", get(postmortem::postmortem))
        .route_layer(may(Scope::Read));
    let mut router: Router = router.with_state(state.clone()).merge(console::router(&state, &past));
    router = router.merge(drafting.with_state(past));
    if let Some(ingest) = state.ingest {
        let [events, logs] = intake::PATHS;
        let sending = Router::new().route(events, post(intake::events)).route(logs, post(intake::logs));
        router = router.merge(sending.route_layer(may(Scope::Ingest)).with_state(ingest));
    }
    if let Some(reload) = state.reload {
        let administering = Router::new().route("/-/reload", post(reload::reload));
        router = router.merge(administering.route_layer(may(Scope::Admin)).with_state(reload));
    }
    if let Some(paging) = state.paging {
        let looking = Router::new()
            .route("/api/v1/pages", get(alerts_pages::pages))
            .route("/api/v1/pages/{key}", get(alerts_pages::page))
            .route("/api/v1/silences", get(alerts_silences::silences))
            .route("/api/v1/alerts/history", get(alerts_history::history))
            .route_layer(may(Scope::Read));
        let taken = post(alerts_pages::acknowledge).delete(alerts_pages::unacknowledge);
        let acting = Router::new()
            .route("/api/v1/pages/{key}/acknowledge", taken)
            .route("/api/v1/silences", post(alerts_silences::silence))
            .route("/api/v1/silences/{id}", delete(alerts_silences::end_silence))
            .route_layer(may(Scope::Admin))
            .layer(DefaultBodyLimit::max(alerts_pages::REQUEST_BYTES_MAX));
        router = router.merge(looking.merge(acting).with_state(paging));
    }
    if let Some(routes) = state.status {
        let looking = Router::new().route("/api/v1/status", get(status::status)).route_layer(may(Scope::Read));
        let acting = Router::new()
            .route("/api/v1/status/commands", post(status::command))
            .route_layer(may(Scope::Publish))
            .layer(DefaultBodyLimit::max(status::REQUEST_BYTES_MAX));
        router = router.merge(looking.merge(acting).with_state(routes));
    }
    if let Some(desk) = state.queries {
        let named = Router::new()
            .route("/api/v1/queries", get(queries::all))
            .route("/api/v1/queries/{name}", get(queries::one))
            .route("/api/v1/queries/{name}/results", get(queries::results).post(queries::results_posted))
            .route("/api/v1/series", get(queries::series))
            .route("/api/v1/query_range", get(queries::query_range))
            .route_layer(may_see(Scope::Read, Shows::Own));
        let own = Router::new().route("/api/v1/sql", post(queries::sql)).route_layer(may_see(Scope::Query, Shows::Own));
        let asking = named.merge(own).layer(DefaultBodyLimit::max(queries::REQUEST_BYTES_MAX));
        router = router.merge(asking.with_state(desk));
    }
    let described = Router::new().route("/api/v1/openapi.json", get(openapi::document));
    router = router.merge(described);
    if let Some(state) = state.limits {
        let asked = get(limits::by_parameters).post(limits::by_body);
        let trying = Router::new().route(limits::PATH, asked).route_layer(may(Scope::Read));
        router = router.merge(trying.layer(DefaultBodyLimit::max(limits::QUESTION_BYTES_MAX)).with_state(state));
    }
    router
        .fallback(handlers::not_found)
        .method_not_allowed_fallback(handlers::method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(guard, layer::around))
}

/// Serves until `stop` is cancelled, then finishes the answers under way.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let times = ConnectionTimes { head_max: HEAD_MAX, idle_max: CONNECTION_IDLE_MAX };
    let listener = BoundedListener::new(listener, CONNECTIONS_MAX, times, tls);
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}
