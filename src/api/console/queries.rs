//! `/queries`: the named questions, each with a form, its answer and its charts.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use axum::response::Html;
use maud::{Markup, html};

use super::access::Visitor;
use super::layout::{self, Section};
use super::refusal::Refusal;
use super::{ConsoleState, answer, ask, parts};
use crate::model::{NamedQuery, Parameter, ParameterKind};

/// All of them.
pub(super) async fn list(State(state): State<ConsoleState>, Extension(visitor): Extension<Visitor>) -> Html<String> {
    let body = html! {
        h1 { "Questions" }
        p {
            "Each is asked within a budget, so none can hurt ClickHouse. Not there? " a href="/sql" { "Ask in SQL" } "."
        }
        ul.cards { @for query in NamedQuery::all() { li { article.card {
            h3 { a href=(format!("/queries/{}", query.name)) { (query.title) } }
            p { (query.description) }
        } } } }
    };
    Html(layout::page(&state, &visitor, Section::Queries, "Questions", &body).into_string())
}

/// One; it is asked when its form was sent.
pub(super) async fn one(
    State(state): State<ConsoleState>,
    Extension(visitor): Extension<Visitor>,
    name: Result<Path<String>, PathRejection>,
    Query(given): Query<BTreeMap<String, String>>,
) -> Result<Html<String>, Refusal> {
    let query = name.ok().and_then(|Path(name)| NamedQuery::find(&name));
    let query = query.ok_or_else(|| Refusal::not_found("There is no question of this name."))?;
    let body = html! {
        h1 { (query.title) }
        p { (query.description) }
        (form(&state, query, &given))
        @if !given.is_empty() { (asked(&state, &visitor, query, &given).await) }
        p { "From " (query.owner) ". Over HTTP: " code { "/api/v1/queries/" (query.name) "/results" } }
    };
    Ok(Html(layout::page(&state, &visitor, Section::Queries, &query.title, &body).into_string()))
}

fn form(state: &ConsoleState, query: &NamedQuery, given: &BTreeMap<String, String>) -> Markup {
    let value = |parameter: &Parameter| {
        let default = parameter.default.clone().unwrap_or_default();
        given.get(&parameter.name).cloned().unwrap_or(default)
    };
    html! {
        form.stacked method="get" action=(format!("/queries/{}", query.name)) {
            @for parameter in &query.parameters {
                @let id = format!("parameter-{}", parameter.name);
                @let numeric = matches!(parameter.kind, ParameterKind::Count | ParameterKind::Number);
                label for=(id) { (parameter.name) " " small { (parameter.description) } }
                input id=(id) type="text" name=(parameter.name) value=(value(parameter)) maxlength="4096"
                    required[parameter.default.is_none()] inputmode=[numeric.then_some("decimal")];
            }
            @if query.parameters.is_empty() { input type="hidden" name="ask" value="yes"; }
            button type="submit" { "Ask" }
        }
        @if query.parameters.iter().any(|parameter| parameter.kind == ParameterKind::Moment) {
            p {
                "A time is RFC 3339, or as " code { "now-6h" } "; now is "
                (parts::moment(ask::now(state))) ", how far events are decided."
            }
        }
    }
}

async fn asked(
    state: &ConsoleState,
    visitor: &Visitor,
    query: &'static NamedQuery,
    given: &BTreeMap<String, String>,
) -> Markup {
    if !visitor.may_ask {
        return html! { p.notice { "This needs a session of a token with the scope " code { "query" } "." } };
    }
    // What has no parameter is asked with a field of ours.
    let given = if query.parameters.is_empty() { &BTreeMap::new() } else { given };
    html! {
        section aria-labelledby="answer" {
            h2 #answer { "Answer" }
            @match ask::named(state, visitor, query, given).await {
                Ok(rows) => (answer::answer(&rows)), Err(why) => (why)
            }
        }
    }
}
