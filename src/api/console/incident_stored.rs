//! Incidents from before this process began, and drafts of post-mortems: what memory does not know is asked of ClickHouse.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use maud::{Markup, html};

use super::ConsoleState;
use super::refusal::Refusal;
use crate::api::postmortem;
use crate::model::{AlertName, IncidentReport, Moment, Text};
use crate::postmortem::{IncidentRecord, file_stem};

const ABSENT: &str = "No incident with this id is known here or stored.";

/// An incident, and whence it is known.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) report: IncidentReport,
    /// Names of its alerts. Those of rules that are gone are only here.
    pub(super) alerts: Vec<String>,
    /// From ClickHouse: this process does not know it (any more).
    pub(super) is_stored: bool,
}

/// The incident of this identity: from memory, else from ClickHouse.
pub(super) async fn find(state: &ConsoleState, id: Result<Path<String>, PathRejection>) -> Result<Known, Refusal> {
    let absent = || Refusal::not_found(ABSENT);
    let Path(id) = id.map_err(|_| absent())?;
    if let Some(report) = state.view().incident(&id) {
        let alerts = report.alerts.iter().map(ToString::to_string).collect();
        return Ok(Known { report: report.clone(), alerts, is_stored: false });
    }
    let record = state.past.stored(&id).await?.ok_or_else(absent)?;
    Ok(Known { alerts: record.alerts.clone(), report: report(record), is_stored: true })
}

fn report(record: IncidentRecord) -> IncidentReport {
    IncidentReport {
        event: "incident",
        incident: Text::from(record.incident),
        started_at: record.started_at,
        ended_at: record.ended_at,
        severity: record.severity,
        alerts: record.alerts.iter().filter_map(|name| AlertName::known(name)).collect(),
        causes: record.causes,
        ruled_out: record.ruled_out,
        affected: record.affected,
        customers: record.customers,
        // Not stored: those of its time are in `requests` and `query_runs`.
        sample_requests: Vec::new(),
        sample_queries: Vec::new(),
        actions: record.actions,
        timeline: record.timeline.into_iter().map(|moment| Moment { at: moment.at, what: moment.what }).collect(),
        summary: record.summary,
    }
}

/// What is said above an incident that is only stored.
pub(super) fn notice(known: &Known) -> Markup {
    html! {
        @if known.is_stored {
            p.notice {
                b { "Stored. " } "This process does not know this incident: it is from ClickHouse, as it was last told"
                @if known.report.ended_at.is_none() { ", and has no end there yet" } "."
            }
        }
    }
}

/// The draft, as a file.
pub(super) async fn postmortem(
    State(state): State<ConsoleState>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let absent = || Refusal::not_found(ABSENT);
    let Path(id) = id.map_err(|_| absent())?;
    let draft = state.past.draft(&id).await?.ok_or_else(absent)?;
    let mut response = postmortem::file(draft);
    // A stem is made of letters, digits and dashes.
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{}.md\"", file_stem(&id))) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}
