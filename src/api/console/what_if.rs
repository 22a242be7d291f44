//! `/limits`: a request limit that is not there yet, on the past.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Html;
use maud::{Markup, PreEscaped, html};

use super::access::Visitor;
use super::form::{Fields, Sent, TOKEN_FIELD};
use super::layout::{self, Section};
use super::refusal::Refusal;
use super::{ConsoleState, ask, parts};
use crate::detect::percent;
use crate::limits::{History, Question, Report, WhatIfError, curve_svg, what_if};

/// What takes longer than this is for the command line.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(45);
/// Customers of a page.
const CUSTOMERS_MAX: usize = 50;

/// What was typed in.
#[derive(Debug, Default)]
struct Typed {
    limit: String,
    routes: String,
    since: String,
    sweep: String,
}

/// An empty form.
pub(super) async fn form(State(state): State<ConsoleState>, Extension(visitor): Extension<Visitor>) -> Html<String> {
    let typed = Typed { limit: "1200/min".to_owned(), since: "1d".to_owned(), ..Typed::default() };
    Html(page(&state, &visitor, &typed, &Markup::default()).into_string())
}

/// The form was sent.
pub(super) async fn ask(
    State(state): State<ConsoleState>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Html<String>, Refusal> {
    let fields = Fields::believe(sent, &headers, &visitor, &state)?;
    let text = |name: &str| fields.text(name).to_owned();
    let typed = Typed { limit: text("limit"), routes: text("routes"), since: text("since"), sweep: text("sweep") };
    let answer = answered(&state, &typed)
        .await
        .unwrap_or_else(|why| html! { p.notice role="alert" { b { "No answer. " } (why) } });
    Ok(Html(page(&state, &visitor, &typed, &answer).into_string()))
}

async fn answered(state: &ConsoleState, typed: &Typed) -> Result<Markup, String> {
    let limits = state.limits.as_ref().ok_or("Nothing is stored here.")?;
    let (question, now) = (question(typed), ask::now(state));
    let spec = question.spec().map_err(|error| error.to_string())?;
    let (from, until) = question.span(now).map_err(|error| error.to_string())?;
    let _one_at_a_time =
        state.trials.try_acquire().map_err(|_| "Another limit is being tried. Try again in a moment.")?;
    let history = History { clickhouse: &limits.history, from, until, precision: question.precision };
    let answered = tokio::time::timeout(ANSWER_TIMEOUT, what_if(&history, &spec)).await;
    match answered {
        Err(_) => Err("It takes too long for a page. Ask for less time, or use `floodmark limits what-if`.".to_owned()),
        Ok(Ok(report)) => Ok(told(&report)),
        Ok(Err(WhatIfError::Store(error))) => {
            tracing::warn!(%error, "a limit could not be tried");
            Err(format!("History is in ClickHouse, which cannot be asked now ({}). Detection goes on.", error.code()))
        }
        Ok(Err(error)) => Err(error.to_string()),
    }
}

fn question(typed: &Typed) -> Question {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let routes = typed.routes.split(',').map(str::trim).filter(|route| !route.is_empty());
    Question {
        limit: typed.limit.clone(),
        routes: routes.map(str::to_owned).collect(),
        since: some(&typed.since),
        sweep: some(&typed.sweep),
        ..Question::default()
    }
}

fn told(report: &Report) -> Markup {
    let (load, traffic) = (&report.load, &report.traffic);
    let times = |times: f64| format!("{}× usual", parts::number(times));
    let before = format!("was {}", times(load.times_usual_before));
    let throttled = format!("of all, {} requests", parts::count(traffic.throttled));
    let outside = format!("{} outside of incidents", parts::count(report.outside_incidents.customers_throttled));
    html! {
        section aria-labelledby="answer" {
            h2 #answer { "What " (report.limit.rate) " would have done" }
            dl.tiles {
                (parts::tile("Busiest minute", &times(load.times_usual_after), &before, ""))
                (parts::tile("Throttled", &percent(traffic.share_of_all), &throttled, ""))
                (parts::tile("Customers touched", &parts::count(report.customers_throttled), &outside, ""))
            }
            p { "Looked at " (parts::count(traffic.requests)) " requests. " (report.source.precision) }
            @if let Some(sweep) = &report.sweep {
                h3 { "Other limits" }
                p {
                    @if let Some(rate) = sweep.proposal.rate { b { "Proposal: " (rate) ". " } } (sweep.proposal.reason)
                }
                div.curve { (PreEscaped(curve_svg(sweep))) }
            }
            (customers(report))
            (incidents(report))
            @if !report.notes.is_empty() { h3 { "To know" } ul { @for note in &report.notes { li { (note) } } } }
        }
    }
}

fn customers(report: &Report) -> Markup {
    html! {
        @if !report.customers.is_empty() {
            h3 #touched { "Who would have been throttled" }
            div.wide tabindex="0" role="region" aria-labelledby="touched" { table {
                thead { tr {
                    th scope="col" { "who" } th.number scope="col" { "throttled" } th scope="col" { "of its requests" }
                    th.number scope="col" { "outside of incidents" } th.number scope="col" { "busiest minute" }
                } }
                tbody { @for customer in report.customers.iter().take(CUSTOMERS_MAX) { tr {
                    th scope="row" { (customer.key) } td.number { (parts::count(customer.throttled)) }
                    td { (parts::share(customer.share, "of its requests")) }
                    td.number { (parts::count(customer.throttled_outside_incidents)) }
                    td.number { (parts::count(customer.busiest_minute)) }
                } } }
            } }
        }
    }
}

fn incidents(report: &Report) -> Markup {
    html! {
        @if !report.incidents.is_empty() {
            h3 { "In incidents" }
            ul.cards { @for incident in &report.incidents { li { article.card {
                p {
                    (parts::severity(incident.severity)) " "
                    a href=(parts::incident_path(&incident.incident)) { (incident.summary) }
                }
                p {
                    "Its busiest minute would have been "
                    (parts::number(incident.times_usual_after)) "× the usual one instead of "
                    (parts::number(incident.times_usual_before)) "×; held back: "
                    (percent(incident.held_back_of_culprits.share)) " of those who did it, "
                    (percent(incident.held_back_of_others.share)) " of all others."
                }
            } } } }
        }
    }
}

fn page(state: &ConsoleState, visitor: &Visitor, typed: &Typed, answer: &Markup) -> Markup {
    let body = html! {
        h1 { "What if there were a limit?" }
        p {
            "Applies a limit by subscription to what was stored. "
            "The past cannot be run again: the answer says what it leaves out."
        }
        form.stacked method="post" action="/limits" {
            input type="hidden" name=(TOKEN_FIELD) value=(visitor.form_token);
            label for="limit" { "Limit " small { "1200/min, 20/s, 100/10s" } }
            input #limit type="text" name="limit" value=(typed.limit) required maxlength="40";
            label for="routes" { "Routes, with commas between; empty: all" }
            input #routes type="text" name="routes" value=(typed.routes) maxlength="4000";
            label for="since" {
                "How far back "
                small { "6h, 30d, or a time; up to " (parts::moment(ask::now(state))) ", how far events are decided" }
            }
            input #since type="text" name="since" value=(typed.since) required maxlength="40";
            label for="sweep" { "Other limits to try " small { "100/min..5000/min; empty: none" } }
            input #sweep type="text" name="sweep" value=(typed.sweep) maxlength="80";
            button type="submit" { "Try it" }
        }
        (answer)
    };
    layout::page(state, visitor, Section::Limits, "What if there were a limit?", &body)
}
