//! `/status`: what waits to be published, what is public, and the forms to word both.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};

use super::access::Visitor;
use super::form::TOKEN_FIELD;
use super::layout::{self, Section};
use super::refusal::Refusal;
use super::{ConsoleState, parts};
use crate::api::status::{StandingView, StatusView};
use crate::clock;
use crate::status::incidents::{BODY_CHARS_MAX, DraftView, IncidentView, NAME_CHARS_MAX, Proposal};
use crate::status::schedule::NOTE_CHARS_MAX;
use crate::status::{ComponentState, IncidentStatus, Maintenance};

/// Incidents that are over and still shown; the API gives all.
const OVER_MAX: usize = 20;
/// Acts that are shown.
const ACTS_MAX: usize = 20;

/// The page.
pub(super) async fn status(
    State(state): State<ConsoleState>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Html<String>, Refusal> {
    let absent = || Refusal::not_found("There is no status page: the configuration has no section status.");
    let view = Arc::clone(&state.status.as_ref().ok_or_else(absent)?.view.borrow());
    let desk = Desk { view: &view, visitor: &visitor };
    let body = html! {
        h1 { "Status page" }
        @if parts::is_link(&view.page) { p { "The public reads " a href=(view.page) rel="noreferrer" { (view.page) } "." } }
        @if !visitor.may_publish {
            p {
                "To word incidents, " a href="/login?next=/status" { "log in" } " with a token that has the scope "
                code { "publish" } "."
            }
        }
        (desk.drafts())
        (desk.open_incidents())
        (desk.components())
        (desk.maintenances())
        (desk.past())
    };
    Ok(Html(layout::page(&state, &visitor, Section::Status, "Status page", &body).into_string()))
}

struct Desk<'a> {
    view: &'a StatusView,
    visitor: &'a Visitor,
}

impl Desk<'_> {
    /// A form that asks for one thing.
    fn form(&self, what: &str, (name, value): (&str, &str), fields: &Markup, button: &str) -> Markup {
        html! {
            form.stacked method="post" action="/status/command" {
                input type="hidden" name=(TOKEN_FIELD) value=(self.visitor.form_token);
                input type="hidden" name="do" value=(what);
                input type="hidden" name=(name) value=(value);
                (fields)
                @if self.visitor.name.is_empty() {
                    label {
                        "Your name "
                        input type="text" name="author" required maxlength="200" autocomplete="username"
                            aria-label=(format!("Your name, to {what} {value}"));
                    }
                }
                button type="submit" { (button) }
            }
        }
    }

    fn drafts(&self) -> Markup {
        html! {
            section aria-labelledby="drafts" {
                h2 #drafts { "Drafts" }
                @if self.view.drafts.is_empty() { p.empty { "Nothing waits to be published." } }
                ul.cards { @for draft in &self.view.drafts { li { article.card { (self.draft(draft)) } } } }
                @if self.visitor.may_publish {
                    details {
                        summary { "Open an incident that is not measured" }
                        (self.form("open", ("incident", "new"), &html! {
                            (title_field("open", ""))
                            (body_field("open", ""))
                            (status_field("open", IncidentStatus::Investigating, &OPEN))
                            (self.component_fields("open", &[]))
                        }, "Publish this incident"))
                    }
                }
            }
        }
    }

    fn draft(&self, draft: &DraftView) -> Markup {
        let Proposal { name, status, body } = &draft.proposal;
        let ids: Vec<&str> = draft.components.iter().map(|component| component.id.as_str()).collect();
        html! {
            h3 { (name.as_str()) }
            p { (parts::name_of(&draft.impact)) " · " (parts::span(draft.started_at, draft.recovered_at, None)) (linked(&draft.linked)) }
            @if self.visitor.may_publish {
                (self.form("publish", ("draft", &draft.id), &html! {
                    (title_field(&draft.id, name.as_str()))
                    (body_field(&draft.id, body.as_str()))
                    (status_field(&draft.id, *status, &PUBLISHED))
                    (self.component_fields(&draft.id, &ids))
                }, "Publish"))
                (self.form("discard", ("draft", &draft.id), &Markup::default(), "Discard"))
            } @else { (paragraphs(body.as_str())) }
        }
    }

    fn open_incidents(&self) -> Markup {
        let is_open = |incident: &&IncidentView| !incident.public.status.is_over();
        let mut open = self.view.incidents.iter().filter(is_open).peekable();
        html! {
            section aria-labelledby="open" {
                h2 #open { "Public and open" }
                @if open.peek().is_none() { p.empty { "No incident is open." } }
                ul.cards { @for incident in open { li { article.card { (self.incident(incident)) } } } }
            }
        }
    }

    fn incident(&self, view: &IncidentView) -> Markup {
        let (public, proposal) = (&view.public, view.proposal.as_ref());
        let status = proposal.map_or(public.status, |proposal| proposal.status);
        let words = proposal.map(|proposal| proposal.body.as_str()).unwrap_or_default();
        html! {
            (self.told(view))
            @if let Some(until) = public.machine_from {
                p { "A person has written: the machine is silent until " (parts::moment(until)) "." }
            }
            @if self.visitor.may_publish {
                @if proposal.is_some() { p.notice { "There is something new: words for it are below." } }
                (self.form("update", ("incident", &public.id), &html! {
                    (body_field(&public.id, words))
                    (status_field(&public.id, status, &PUBLISHED))
                }, "Publish this update"))
                (self.form("resolve", ("incident", &public.id), &Markup::default(), "Resolve, and say how long it lasted"))
            }
        }
    }

    /// What the public reads of an incident, each update with the form to correct it.
    fn told(&self, view: &IncidentView) -> Markup {
        let public = &view.public;
        html! {
            h3 { (public.name) " " small { (public.status.words()) } }
            p { (parts::name_of(&public.impact)) " · " (parts::span(public.started_at, public.resolved_at, None)) (linked(&view.linked)) }
            @for exposed in &view.exposed { p.notice { (exposed) ". Correct it." } }
            @for update in &public.updates {
                p { b { (update.status.words()) } " · " (parts::moment(update.created_at)) }
                (paragraphs(&update.body))
                @if self.visitor.may_publish {
                    details {
                        summary { "Correct this update" }
                        (self.form("edit_update", ("incident", &public.id), &html! {
                            input type="hidden" name="update" value=(update.id);
                            (body_field(&update.id, &update.body))
                        }, "Correct"))
                    }
                }
            }
        }
    }

    fn components(&self) -> Markup {
        html! {
            section aria-labelledby="components" {
                h2 #components { "Components" }
                ul.cards { @for component in &self.view.components { li { article.card { (self.component(component)) } } } }
            }
        }
    }

    fn component(&self, component: &StandingView) -> Markup {
        let word = self.view.words.iter().find(|word| word.component == component.id);
        html! {
            h3 { (component.name) " " small { (component.state.words()) } }
            @if let Some(since) = component.since { p { "since " (parts::moment(since)) ", " (component.authority) } }
            @if let Some(word) = word {
                p {
                    b { (word.who) } " says so until " (parts::moment(word.until))
                    @if let Some(note) = &word.note { ": " (note) } "."
                }
                @if self.visitor.may_publish {
                    (self.form("clear", ("component", &component.id), &Markup::default(), "Let measurement count again"))
                }
            } @else if self.visitor.may_publish {
                details {
                    summary { "Say how it is, whatever is measured" }
                    (self.form("state", ("component", &component.id), &html! {
                        label for=(format!("state-{}", component.id)) { "State" }
                        select id=(format!("state-{}", component.id)) name="state" {
                            @for state in ComponentState::ALL { option value=(state.as_str()) { (state.words()) } }
                        }
                        label for=(format!("for-{}", component.id)) { "For how long, 7 days at most" }
                        input id=(format!("for-{}", component.id)) type="text" name="for" value="1h" required maxlength="20";
                        label for=(format!("note-{}", component.id)) { "Why; public" }
                        input id=(format!("note-{}", component.id)) type="text" name="note" maxlength=(NOTE_CHARS_MAX);
                    }, "Say so"))
                }
            }
        }
    }

    fn maintenances(&self) -> Markup {
        html! {
            section aria-labelledby="maintenances" {
                h2 #maintenances { "Announced work" }
                @if self.view.maintenances.is_empty() { p.empty { "No work is announced." } }
                ul.cards { @for work in &self.view.maintenances { li { article.card { (self.maintenance(work)) } } } }
                @if self.visitor.may_publish {
                    details {
                        summary { "Announce work" }
                        (self.form("announce", ("maintenance", "new"), &html! {
                            (title_field("announce", ""))
                            (body_field("announce", ""))
                            (time_fields("announce"))
                            (self.component_fields("announce", &[]))
                        }, "Announce"))
                    }
                }
            }
        }
    }

    fn maintenance(&self, work: &Maintenance) -> Markup {
        let is_over = work.is_cancelled || work.until <= clock::now();
        html! {
            h3 { (work.name) @if work.is_cancelled { " " small { "called off" } } }
            p { (parts::span(work.from, Some(work.until), None)) " · " (work.components.join(", ")) }
            (paragraphs(&work.body))
            @if self.visitor.may_publish && !is_over {
                (self.form("cancel_maintenance", ("maintenance", &work.id), &Markup::default(), "Call it off, or end it"))
            }
        }
    }

    fn past(&self) -> Markup {
        let over = self.view.incidents.iter().filter(|incident| incident.public.status.is_over());
        html! {
            section aria-labelledby="past" {
                h2 #past { "Over" }
                ul.cards {
                    @for incident in over.take(OVER_MAX) {
                        li { article.card {
                            (self.told(incident))
                            @if self.visitor.may_publish {
                                details {
                                    summary { "Write a post-mortem" }
                                    (self.form("postmortem", ("incident", &incident.public.id), &html! {
                                        (body_field(&incident.public.id, ""))
                                    }, "Publish the post-mortem"))
                                }
                            }
                        } }
                    }
                }
                h3 { "Who did what" }
                ul.plain {
                    @for act in self.view.acts.iter().take(ACTS_MAX) {
                        li { (parts::moment(act.at)) " " b { (act.who) } " " (act.what) " " code { (act.id) } }
                    }
                }
            }
        }
    }

    fn component_fields(&self, of: &str, chosen: &[&str]) -> Markup {
        html! {
            fieldset {
                legend { "Components" }
                @for component in &self.view.components {
                    label {
                        input type="checkbox" name=(format!("component.{}", component.id)) value="on"
                            checked[chosen.contains(&component.id.as_str())]
                            aria-label=(format!("{}, of {of}", component.name));
                        " " (component.name)
                    }
                }
            }
        }
    }
}

const OPEN: [IncidentStatus; 3] =
    [IncidentStatus::Investigating, IncidentStatus::Identified, IncidentStatus::Monitoring];
const PUBLISHED: [IncidentStatus; 4] =
    [IncidentStatus::Investigating, IncidentStatus::Identified, IncidentStatus::Monitoring, IncidentStatus::Resolved];

fn title_field(of: &str, text: &str) -> Markup {
    html! {
        label for=(format!("name-{of}")) { "Title" }
        input id=(format!("name-{of}")) type="text" name="name" value=(text) required maxlength=(NAME_CHARS_MAX);
    }
}

fn body_field(of: &str, text: &str) -> Markup {
    html! {
        label for=(format!("body-{of}")) { "What users see" }
        textarea id=(format!("body-{of}")) name="body" rows="5" required maxlength=(BODY_CHARS_MAX) { (text) }
    }
}

fn status_field(of: &str, chosen: IncidentStatus, offered: &[IncidentStatus]) -> Markup {
    html! {
        label for=(format!("status-{of}")) { "Where it stands" }
        select id=(format!("status-{of}")) name="status" {
            @for status in offered {
                option value=(status.as_str()) selected[*status == chosen] { (status.words()) }
            }
        }
    }
}

fn time_fields(of: &str) -> Markup {
    html! {
        @for (name, words) in [("from", "Begins, UTC"), ("until", "Ends, UTC")] {
            label for=(format!("{name}-{of}")) { (words) }
            input id=(format!("{name}-{of}")) type="datetime-local" name=(name) required;
        }
    }
}

fn linked(incidents: &[crate::model::Text]) -> Markup {
    html! {
        @for incident in incidents {
            " · " a href=(parts::incident_path(incident)) { "internal incident" }
        }
    }
}

fn paragraphs(text: &str) -> Markup {
    html! { @for line in text.lines().filter(|line| !line.trim().is_empty()) { p { (line) } } }
}
