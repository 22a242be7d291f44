//! `/alerts`: what fires, what was told of it, and what nobody is told about.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};

use super::access::Visitor;
use super::form::TOKEN_FIELD;
use super::layout::{self, Section};
use super::{ConsoleState, parts};
use crate::alert::paging::{PageStanding, PageView, PagerView};
use crate::api::View;
use crate::clock;
use crate::model::{Transition, TransitionEvent};

/// Alerts of a page; `/api/v1/alerts` has them all.
const ALERTS_MAX: usize = 200;
/// Pages that are over and still shown.
const PAGES_MAX: usize = 100;

/// The page.
pub(super) async fn alerts(State(state): State<ConsoleState>, Extension(visitor): Extension<Visitor>) -> Html<String> {
    let view = state.view();
    let pager = state.paging.as_ref().map(|paging| Arc::clone(&paging.view.borrow()));
    let body = html! {
        h1 { "Alerts" }
        div #alerts data-live { (list(&view)) }
        @if let Some(pager) = &pager {
            div #pages data-live { (pages(pager, &visitor)) }
            div #silences data-live { (silences(pager, &visitor)) }
            @if visitor.may_act { (new_silence(&visitor)) }
            @if !visitor.may_act {
                p {
                    "To take pages or silence alerts, " a href="/login?next=/alerts" { "log in" }
                    " with a token that has the scope " code { "admin" } "."
                }
            }
        }
    };
    Html(layout::page(&state, &visitor, Section::Alerts, "Alerts", &body).into_string())
}

fn list(view: &View) -> Markup {
    let mut alerts: Vec<&Transition> = view.alerts().collect();
    alerts.sort_by_key(|alert| (Reverse(alert.severity), Reverse(alert.event), alert.since));
    let more = alerts.len().saturating_sub(ALERTS_MAX);
    html! {
        section aria-labelledby="firing" {
            h2 #firing { "Firing and pending" }
            @if alerts.is_empty() { p.empty { "No alert fires, none is pending." } }
            ul.cards { @for alert in alerts.iter().take(ALERTS_MAX) { li { (card(alert)) } } }
            @if more > 0 { p { (more) " more; " code { "/api/v1/alerts" } " names them." } }
            @if view.incomplete() {
                p.notice { "There are more alerts than are kept: some pending ones are left out." }
            }
        }
    }
}

fn card(alert: &Transition) -> Markup {
    let state = if alert.event == TransitionEvent::Firing { "fires" } else { "pending" };
    html! {
        article.card {
            h3 { (parts::severity(alert.severity)) " " (alert.alert) " " small { (state) } }
            p { (alert.summary) }
            p {
                (parts::dimensions(&alert.labels)) " · " (parts::number(alert.value)) " " (alert.unit) ", usual "
                (parts::number(alert.baseline)) " · since " (parts::moment(alert.since))
            }
            p {
                @if !alert.incident.is_empty() { a href=(parts::incident_path(&alert.incident)) { "Incident" } " · " }
                "What to do: " (parts::runbook(&alert.runbook))
            }
        }
    }
}

fn pages(pager: &PagerView, visitor: &Visitor) -> Markup {
    let is_open = |page: &&PageView| page.standing != PageStanding::Resolved;
    let over = pager.pages.iter().filter(|page| !is_open(page));
    html! {
        section aria-labelledby="pages-title" {
            h2 #pages-title { "Pages" }
            @if pager.pages.is_empty() { p.empty { "Nothing was told to anybody." } }
            ul.cards {
                @for page in pager.pages.iter().filter(is_open) {
                    li { article.card { h3 { (page.page.title) } (page_actions(page, visitor)) } }
                }
            }
            @if pager.pages.iter().any(|page| !is_open(&page)) {
                h3 { "Over" }
                ul.plain {
                    @for page in over.take(PAGES_MAX) {
                        li {
                            (parts::span(page.page.since, page.page.resolved_at, None)) " "
                            a href=(parts::incident_path(&page.page.dedup_key)) { (page.page.title) }
                        }
                    }
                }
            }
        }
    }
}

/// How a page stands, and the forms to take it or to give it back.
pub(super) fn page_actions(page: &PageView, visitor: &Visitor) -> Markup {
    let is_open = page.standing != PageStanding::Resolved;
    html! {
        p {
            (parts::name_of(&page.standing)) " · " (page.firing) " firing · since "
            (parts::moment(page.page.since)) " · "
            a href=(parts::incident_path(&page.page.dedup_key)) { "incident" }
        }
        @if let Some(silence) = &page.silenced_by { p { "Silenced by " code { (silence) } "." } }
        @if let Some(taken) = &page.acknowledgement {
            p {
                "Taken by " b { (taken.author) } " until "
                (parts::moment(taken.expires_at)) @if !taken.note.is_empty() { ": " (taken.note) } "."
            }
        }
        @if visitor.may_act && is_open { (page_form(page, visitor)) }
    }
}

fn page_form(page: &PageView, visitor: &Visitor) -> Markup {
    let key = page.page.dedup_key.as_str();
    html! {
        @if page.acknowledgement.is_some() {
            form.inline method="post" action="/alerts/give-back" {
                (hidden(visitor, "key", key))
                button type="submit" { "Give back" }
            }
        } @else {
            form.inline method="post" action="/alerts/acknowledge" {
                (hidden(visitor, "key", key))
                (author(visitor, key))
                label { "Note " input type="text" name="note" maxlength="1000"; }
                button type="submit" { "Take this page" }
            }
        }
    }
}

fn hidden(visitor: &Visitor, name: &str, value: &str) -> Markup {
    html! {
        input type="hidden" name=(TOKEN_FIELD) value=(visitor.form_token);
        input type="hidden" name=(name) value=(value);
    }
}

/// Asked for only where no token says who it is.
fn author(visitor: &Visitor, of: &str) -> Markup {
    html! {
        @if visitor.name.is_empty() {
            label {
                "Your name "
                input type="text" name="author" required maxlength="200" autocomplete="username"
                    aria-label=(format!("Your name, for {of}"));
            }
        }
    }
}

fn silences(pager: &PagerView, visitor: &Visitor) -> Markup {
    html! {
        section aria-labelledby="silences-title" {
            h2 #silences-title { "Silences" }
            @if pager.silences.is_empty() { p.empty { "Everything is told." } }
            ul.cards {
                @for silence in &pager.silences {
                    li { article.card {
                        h3 {
                            @for (number, matcher) in silence.matchers.iter().enumerate() {
                                @if number > 0 { ", " } code { (matcher) }
                            }
                        }
                        p {
                            @if !silence.is_active(clock::now()) { "not in force · " }
                            (parts::span(silence.starts_at, Some(silence.ends_at), None)) " · " (silence.author) ": "
                            (silence.reason)
                        }
                        @if visitor.may_act {
                            form.inline method="post" action="/alerts/end-silence" {
                                (hidden(visitor, "id", &silence.id))
                                button type="submit" { "End this silence" }
                            }
                        }
                    } }
                }
            }
        }
    }
}

fn new_silence(visitor: &Visitor) -> Markup {
    html! {
        section aria-labelledby="new-silence" {
            h2 #new-silence { "Silence alerts" }
            form.stacked method="post" action="/alerts/silence" {
                input type="hidden" name=(TOKEN_FIELD) value=(visitor.form_token);
                label for="matchers" {
                    "Which, a condition a line: " code { "alert=RestartLoop" } ", " code { "subscription=~acme.*" }
                }
                textarea #matchers name="matchers" rows="3" required maxlength="20000" {}
                label for="for" { "For how long" }
                input #for type="text" name="for" value="2h" required maxlength="20";
                label for="reason" { "Why" }
                input #reason type="text" name="reason" required maxlength="1000";
                (author(visitor, "this silence"))
                button type="submit" { "Silence" }
            }
        }
    }
}
