//! `/incidents/{id}`: one incident, from what it looked like to what to do about it.

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use maud::{Markup, html};

use super::access::{Visitor, encoded};
use super::alerts::page_actions;
use super::incident_picture::picture;
use super::incident_stored::Known;
use super::layout::{self, Section};
use super::refusal::Refusal;
use super::{ConsoleState, incident_stored, parts};
use crate::api::View;
use crate::detect::{count, percent};
use crate::model::{CUSTOMERS_MAX, IncidentReport};

/// The page.
pub(super) async fn incident(
    State(state): State<ConsoleState>,
    Extension(visitor): Extension<Visitor>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Html<String>, Refusal> {
    let view = state.view();
    let known = incident_stored::find(&state, id).await?;
    let report = &known.report;
    // What is over does not change any more, nor does what nobody tells of.
    let goes_on = report.ended_at.is_none() && !known.is_stored;
    let body = html! {
        @let (first, rest) = parts::headline(&report.summary);
        h1 { (parts::severity(report.severity)) " " (first) }
        @if !rest.is_empty() { p.lead { (rest) } }
        (incident_stored::notice(&known))
        div #facts data-live[goes_on] { (facts(&known, &view)) (what_to_do(report)) }
        div #picture data-live[goes_on] { (picture(&state, &visitor, report).await) }
        (page_of(&state, &visitor, report))
        div #causes data-live[goes_on] {
            (causes(report)) (customers_list(report)) (sample_requests(report)) (sample_queries(report))
            (timeline(report)) (ruled_out(report))
        }
        (links(&state, &visitor, &known))
    };
    Ok(Html(
        layout::page(&state, &visitor, Section::Incidents, parts::headline(&report.summary).0, &body).into_string(),
    ))
}

fn facts(known: &Known, view: &View) -> Markup {
    let report = &known.report;
    let affected = &report.affected;
    html! {
        dl.facts {
            dt { "When" } dd { (parts::span(report.started_at, report.ended_at, view.watermark)) }
            dt { "Affected" } dd {
                (count(usize::try_from(affected.subscriptions).unwrap_or(usize::MAX), "subscription")) ", "
                (percent(affected.requests_share)) " of all requests"
            }
            dt { "Alerts" }
            dd { @for (number, alert) in known.alerts.iter().enumerate() { @if number > 0 { ", " } (alert) } }
            @if let Some(cause) = report.causes.first() {
                dt { "Likely cause" }
                dd {
                    (parts::dimensions(&cause.dimensions)) ": " (percent(cause.share)) " of the harm, "
                    (parts::name_of(&cause.confidence)) " confidence"
                }
            }
        }
    }
}

fn what_to_do(report: &IncidentReport) -> Markup {
    html! {
        @if !report.actions.is_empty() {
            section aria-labelledby="actions" {
                h2 #actions { "What to do" }
                ol { @for action in &report.actions { li { (action) } } }
            }
        }
    }
}

fn causes(report: &IncidentReport) -> Markup {
    html! {
        section aria-labelledby="causes-title" {
            h2 #causes-title { "Likely causes" }
            @if report.causes.is_empty() { p.empty { "None is known." } }
            ol {
                @for cause in &report.causes {
                    li {
                        (parts::dimensions(&cause.dimensions)) " "
                        (parts::share(cause.share, "share of the harm")) " of the harm, "
                        (parts::name_of(&cause.confidence)) " confidence. "
                        (cause.evidence)
                    }
                }
            }
        }
    }
}

fn customers_list(report: &IncidentReport) -> Markup {
    let path = format!("{}/customers.csv", parts::incident_path(&report.incident));
    html! {
        @if !report.customers.is_empty() {
            section aria-labelledby="customers" {
                h2 #customers { "Customers to contact" }
                table {
                    thead { tr { th scope="col" { "subscription" } th scope="col" { "share of the harm" } } }
                    tbody {
                        @for customer in &report.customers {
                            tr {
                                th scope="row" {
                                    a href=(parts::subscription_path(&customer.subscription)) {
                                        (customer.subscription)
                                    }
                                }
                                td { (parts::share(customer.share, "share of the harm")) }
                            }
                        }
                    }
                }
                @if report.customers.len() >= CUSTOMERS_MAX {
                    p { "The " (CUSTOMERS_MAX) " heaviest; there may be more." }
                }
                p { a href=(path) download { "As CSV" } }
            }
        }
    }
}

fn sample_requests(report: &IncidentReport) -> Markup {
    let columns = ["request id", "at", "subscription", "route", "status", "ms"];
    let rows = report.sample_requests.iter().map(|sample| {
        html! {
            th scope="row" { code { (sample.request_id) } }
            td { (parts::moment(sample.timestamp)) }
            td { (sample.subscription) }
            td { (sample.route) }
            td { (sample.status) }
            td { (format!("{:.0}", sample.duration_ms)) }
        }
    });
    samples("sample-requests", "Sample requests", &columns, rows)
}

fn sample_queries(report: &IncidentReport) -> Markup {
    let columns = ["query id", "at", "fingerprint", "user", "node", "memory", "state", "ms"];
    let rows = report.sample_queries.iter().map(|sample| {
        html! {
            th scope="row" { code { (sample.query_id) } }
            td { (parts::moment(sample.timestamp)) }
            td { code { (sample.fingerprint) } }
            td { (sample.user.as_deref().unwrap_or_default()) }
            td { (sample.node) }
            td { (memory(sample.memory_bytes)) }
            td { (sample.outcome()) }
            td { (sample.duration_ms.map(|ms| format!("{ms:.0}")).unwrap_or_default()) }
        }
    });
    samples("sample-queries", "Sample queries", &columns, rows)
}

/// A table of what can be looked up elsewhere by the id in its first column; nothing where there are no rows.
fn samples(id: &str, heading: &str, columns: &[&str], rows: impl ExactSizeIterator<Item = Markup>) -> Markup {
    html! {
        @if rows.len() > 0 {
            section aria-labelledby=(id) {
                h2 id=(id) { (heading) }
                div.wide tabindex="0" role="region" aria-labelledby=(id) { table {
                    thead { tr { @for column in columns { th scope="col" { (column) } } } }
                    tbody { @for row in rows { tr { (row) } } }
                } }
            }
        }
    }
}

#[allow(clippy::cast_precision_loss)] // for reading
fn memory(bytes: u64) -> String {
    crate::detect::bytes(bytes as f64)
}

fn timeline(report: &IncidentReport) -> Markup {
    html! {
        @if !report.timeline.is_empty() {
            section aria-labelledby="timeline" {
                h2 #timeline { "Timeline" }
                ol.timeline { @for moment in &report.timeline { li { (parts::moment(moment.at)) " " (moment.what) } } }
            }
        }
    }
}

fn ruled_out(report: &IncidentReport) -> Markup {
    html! {
        @if !report.ruled_out.is_empty() {
            section aria-labelledby="ruled-out" {
                h2 #ruled-out { "Looked at and ruled out" }
                ul { @for refused in &report.ruled_out { li { b { (refused.candidate) } ": " (refused.why) } } }
            }
        }
    }
}

/// The page that tells of it, with its forms.
fn page_of(state: &ConsoleState, visitor: &Visitor, report: &IncidentReport) -> Markup {
    let view = state.paging.as_ref().map(|paging| paging.view.borrow().clone());
    let page = view.as_ref().and_then(|view| view.page(&report.incident));
    html! {
        @if let Some(page) = page {
            section aria-labelledby="page" {
                h2 #page { "Page" }
                div #page-state data-live { (page_actions(page, visitor)) }
            }
        }
    }
}

fn links(state: &ConsoleState, visitor: &Visitor, known: &Known) -> Markup {
    let report = &known.report;
    let draft = format!("{}/postmortem.md", parts::incident_path(&report.incident));
    let view = state.paging.as_ref().map(|paging| paging.view.borrow().clone());
    let links = view.as_ref().and_then(|view| view.page(&report.incident)).map(|page| &page.page.links);
    let elsewhere = links.map(|links| [("Dashboard at that time", &links.dashboard), ("Runbook", &links.runbook)]);
    html! {
        section aria-labelledby="links" {
            h2 #links { "Further" }
            ul {
                li { a href=(draft) download { "Draft of a post-mortem (Markdown)" } }
                // The API takes tokens, not sessions.
                @if !visitor.has_session() && !known.is_stored {
                    li { a href=(format!("/api/v1/incidents/{}", encoded(&report.incident))) { "As JSON" } }
                }
                @for (name, link) in elsewhere.into_iter().flatten() {
                    @if let Some(link) = link.as_deref().filter(|link| parts::is_link(link)) {
                        li { a href=(link) rel="noreferrer" { (name) } }
                    }
                }
                li { "Identity: " code { (report.incident) } }
            }
        }
    }
}

/// Whom to contact, as a file. A cell that a spreadsheet would take for a formula is quoted as text.
pub(super) async fn customers(
    State(state): State<ConsoleState>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let report = incident_stored::find(&state, id).await?.report;
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |_| Refusal::internal("The file could not be written.");
    writer.write_record(["subscription", "share_at_the_worst_moment"]).map_err(failed)?;
    for customer in &report.customers {
        let name = plain_cell(&customer.subscription);
        // Who was told of without a share took no part at that moment.
        let share = if customer.share > 0.0 { customer.share.to_string() } else { String::new() };
        writer.write_record([name.as_str(), &share]).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|_| Refusal::internal("The file could not be written."))?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"customers.csv\""),
    ];
    Ok((headers, bytes).into_response())
}

fn plain_cell(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{QueryState, SampleQuery, samples};

    #[test]
    fn a_name_is_no_formula() {
        assert_eq!(plain_cell("=HYPERLINK(\"https://example.com\")"), "'=HYPERLINK(\"https://example.com\")");
        assert_eq!(plain_cell("acme"), "acme");
    }

    #[test]
    fn queries_to_look_up_are_shown_with_how_they_ended_and_no_table_where_there_are_none() {
        let run = SampleQuery {
            query_id: "2f9c-11".into(),
            timestamp: samples::START,
            node: "ch-1".into(),
            user: None,
            fingerprint: "2f6c84d91e30b7aa".into(),
            state: Some(QueryState::Failed),
            memory_bytes: 9 << 29,
            duration_ms: Some(41_200.0),
            exception_code: Some(241),
        };
        let report = IncidentReport { sample_queries: vec![run], ..samples::incident() };
        let shown = sample_queries(&report).into_string();
        for cell in ["<code>2f9c-11</code>", "<td>ch-1</td>", "<td>4.5 GiB</td>", "<td>failed (241)</td>"] {
            assert!(shown.contains(cell), "{cell} in {shown}");
        }
        assert_eq!(shown.matches("<th scope=\"col\">").count(), shown.matches("<td>").count() + 1, "{shown}");
        assert_eq!(sample_requests(&report).into_string(), "");
    }
}
