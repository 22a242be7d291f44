//! `/subscription`: one customer, from memory and from history.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Html;
use maud::{Markup, html};
use serde::Deserialize;

use super::access::Visitor;
use super::layout::{self, Section};
use super::{ConsoleState, answer, ask, parts};
use crate::api::View;
use crate::detect::percent;
use crate::flow::ratio;
use crate::model::{Dimension, NamedQuery};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    name: String,
    from: String,
    until: String,
}

/// The page.
pub(super) async fn subscription(
    State(state): State<ConsoleState>,
    Extension(visitor): Extension<Visitor>,
    Query(asked): Query<Asked>,
) -> Html<String> {
    let name = asked.name.trim();
    let (from, until) = (or(&asked.from, "now-24h"), or(&asked.until, "now"));
    let view = state.view();
    let body = html! {
        h1 { @if name.is_empty() { "A subscription" } @else { "Subscription " (name) } }
        form.inline method="get" action="/subscription" role="search" {
            label { "Subscription " input type="text" name="name" value=(name) required maxlength="1000"; }
            label { "From " input type="text" name="from" value=(from) maxlength="40"; }
            label { "Until " input type="text" name="until" value=(until) maxlength="40"; }
            button type="submit" { "Show" }
        }
        p {
            "A time is RFC 3339, or as " code { "now-6h" } "; now is "
            (parts::moment(ask::now(&state))) ", how far events are decided."
        }
        @if !name.is_empty() {
            (lately(name, &view))
            section aria-labelledby="history" {
                h2 #history { "Over time" }
                (history(&state, &visitor, name, (from, until)).await)
            }
        }
    };
    Html(layout::page(&state, &visitor, Section::Subscription, "A subscription", &body).into_string())
}

fn or<'a>(text: &'a str, default: &'a str) -> &'a str {
    if text.trim().is_empty() { default } else { text.trim() }
}

fn lately(name: &str, view: &View) -> Markup {
    let step = view.traffic.newest();
    let counts = step.and_then(|step| step.part(Dimension::Subscription, name));
    let touched = view.incidents().filter(|report| report.customers.iter().any(|one| one.subscription == name));
    let touched: Vec<_> = touched.collect();
    html! {
        section aria-labelledby="lately" {
            h2 #lately { "Now" }
            @match (step, counts) {
                (Some(step), Some(counts)) => dl.tiles {
                    (parts::tile("Load", &format!("{}/s", parts::number(step.per_second(counts.requests))), "", ""))
                    (parts::tile("Of all load", &percent(ratio(counts.requests, step.edge.requests)), "", ""))
                    (parts::tile("Failed", &percent(ratio(counts.failures, counts.requests)), "", ""))
                    (parts::tile("Repeats", &percent(ratio(counts.resends, counts.requests)), "", ""))
                },
                _ => p.empty { "It is not among the ten that ask most now." },
            }
            @if !touched.is_empty() {
                h3 { "Incidents that it is a part of" }
                ul {
                    @for report in touched {
                        li { a href=(parts::incident_path(&report.incident)) { (parts::headline(&report.summary).0) } }
                    }
                }
            }
        }
    }
}

async fn history(state: &ConsoleState, visitor: &Visitor, name: &str, (from, until): (&str, &str)) -> Markup {
    if !visitor.may_ask {
        return html! { p.notice { "History needs a session of a token with the scope " code { "query" } "." } };
    }
    let Some(query) = NamedQuery::find("subscription_day") else { return Markup::default() };
    let given = [("subscription", name), ("from", from), ("until", until)];
    let given: BTreeMap<String, String> = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    match ask::named(state, visitor, query, &given).await {
        Ok(rows) => answer::answer(&rows),
        Err(why) => why,
    }
}
