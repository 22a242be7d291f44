//! `/incidents`: open ones, then those that are over.

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};

use super::access::Visitor;
use super::layout::{self, Section};
use super::{ConsoleState, parts};
use crate::detect::{count, percent};
use crate::model::{IncidentReport, Timestamp};

/// Incidents of a page; ClickHouse has them all.
const ROWS_MAX: usize = 200;

/// The page.
pub(super) async fn incidents(
    State(state): State<ConsoleState>,
    Extension(visitor): Extension<Visitor>,
) -> Html<String> {
    let view = state.view();
    let open = view.incidents_open();
    let more = view.incidents().count().saturating_sub(ROWS_MAX);
    let body = html! {
        h1 { "Incidents" }
        div #incidents data-live {
            @if view.incidents().next().is_none() { p.empty { "No incident since this process started." } }
            @if open > 0 {
                h2 { "Open" }
                ul.cards {
                    @for report in view.incidents().take(open.min(ROWS_MAX)) { li { (card(report, view.watermark)) } }
                }
            }
            @if view.incidents().count() > open {
                h2 { "Over" }
                ul.cards {
                    @for report in view.incidents().take(ROWS_MAX).skip(open) { li { (card(report, view.watermark)) } }
                }
            }
            @if more > 0 { p { (more) " older ones are not shown here; " code { "/api/v1/incidents" } " names them." } }
        }
        p {
            "Memory knows what was since this process started. What was before is in history: "
            a href="/queries/incidents_between" { "incidents between two moments" } "."
        }
    };
    Html(layout::page(&state, &visitor, Section::Incidents, "Incidents", &body).into_string())
}

/// An incident in three lines.
pub(super) fn card(report: &IncidentReport, watermark: Option<Timestamp>) -> Markup {
    let affected = &report.affected;
    let (first, _) = parts::headline(&report.summary);
    html! {
        article.card {
            h3 { (parts::severity(report.severity)) " " a href=(parts::incident_path(&report.incident)) { (first) } }
            p {
                (parts::span(report.started_at, report.ended_at, watermark))
                @if affected.subscriptions > 0 {
                    " · "
                    (count(usize::try_from(affected.subscriptions).unwrap_or(usize::MAX), "subscription")) " affected, "
                    (percent(affected.requests_share)) " of all requests"
                }
            }
            @if let Some(cause) = report.causes.first() {
                p {
                    "Likely cause: " (parts::dimensions(&cause.dimensions)) " ("
                    (parts::name_of(&cause.confidence)) " confidence)"
                }
            }
        }
    }
}
