//! The handlers: each takes a snapshot and writes it.

use std::cmp::Reverse;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::problem::{Problem, ProblemCode};
use super::query::{self, AlertFilter};
use super::{ApiState, ComponentReport, Overall};
use crate::clock;
use crate::metrics;
use crate::model::{IncidentReport, Timestamp, Transition};

/// `/livez`: the process answers.
pub(super) async fn livez() -> impl IntoResponse {
    Json(serde_json::json!({"status": "ok"}))
}

#[derive(serde::Serialize)]
struct ReadyBody<'a> {
    status: Overall,
    components: &'a [ComponentReport],
}

/// `/readyz`: see the module's table for what is 200 and what 503.
pub(super) async fn readyz(State(state): State<ApiState>) -> Response {
    let readiness = state.readiness.borrow().clone();
    let status = readiness.overall();
    let code = if status == Overall::Unavailable { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (code, Json(ReadyBody { status, components: readiness.components() })).into_response()
}

/// `/metrics`.
pub(super) async fn metrics(State(state): State<ApiState>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], state.metrics.encode(clock::now()))
}

#[derive(serde::Serialize)]
struct AlertsBody<'a> {
    watermark: Option<Timestamp>,
    incomplete: bool,
    alerts: Vec<&'a Transition>,
}

/// `/api/v1/alerts`: worst first, then longest.
pub(super) async fn alerts(State(state): State<ApiState>, uri: Uri) -> Result<Response, Problem> {
    let filter = AlertFilter::parse(&uri)?;
    let view = state.view.borrow().clone();
    let mut alerts: Vec<&Transition> = view.alerts().filter(|alert| filter.matches(alert)).collect();
    // Stable: the view's order by identity decides between equals.
    alerts.sort_by_key(|alert| (Reverse(alert.severity), Reverse(alert.event), alert.since));
    let body = AlertsBody { watermark: view.watermark, incomplete: view.incomplete(), alerts };
    Ok(Json(body).into_response())
}

#[derive(serde::Serialize)]
struct IncidentsBody<'a> {
    watermark: Option<Timestamp>,
    incomplete: bool,
    incidents: Vec<&'a IncidentReport>,
}

/// `/api/v1/incidents`.
pub(super) async fn incidents(State(state): State<ApiState>, uri: Uri) -> Result<Response, Problem> {
    query::none(&uri)?;
    let view = state.view.borrow().clone();
    let incidents = view.incidents().collect();
    let body = IncidentsBody { watermark: view.watermark, incomplete: view.incomplete(), incidents };
    Ok(Json(body).into_response())
}

/// `/api/v1/incidents/{id}`.
pub(super) async fn incident(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Problem> {
    query::none(&uri)?;
    let view = state.view.borrow().clone();
    let report = id.ok().and_then(|Path(id)| view.incident(&id));
    let absent = "no incident with this id is open or among the recent ones";
    report.map(|report| Json(report).into_response()).ok_or_else(|| Problem::new(ProblemCode::NotFound, absent))
}

/// Any other path.
pub(super) async fn not_found(uri: Uri) -> Problem {
    Problem::new(ProblemCode::NotFound, format!("nothing is at {}", uri.path()))
}

/// A known path with another method.
pub(super) async fn method_not_allowed() -> Problem {
    Problem::new(ProblemCode::MethodNotAllowed, "this path does not take this method (see the header Allow)")
}
