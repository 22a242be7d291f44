//! Incidents: those that are open, with all that was said, and a page of each.

use maud::{Markup, html};

use super::Shown;
use super::components::state_words;
use super::frame::{self, Place};
use super::moments::lasted;
use crate::status::{ComponentState, Impact, IncidentUpdate, PublicIncident};

/// Where its page is, from the root.
pub(super) fn path(incident: &PublicIncident) -> String {
    format!("incidents/{}.html", incident.id)
}

/// Those that are open.
pub(super) fn open(shown: Shown<'_>) -> Markup {
    let open: Vec<&PublicIncident> =
        shown.board.incidents.iter().filter(|incident| !incident.status.is_over()).collect();
    html! {
        @if !open.is_empty() {
            section aria-labelledby="incidents" {
                h2 #incidents { "Open incidents" }
                @for incident in open {
                    article.incident.(class(incident.impact)) id={ "i-" (incident.id) } aria-labelledby={ "t-" (incident.id) } data-live {
                        h3 id={ "t-" (incident.id) } { a href=(path(incident)) { (incident.name) } }
                        (facts(shown, incident))
                        (updates(shown, incident))
                    }
                }
            }
        }
    }
}

/// One of them.
pub(super) fn page(shown: Shown<'_>, incident: &PublicIncident) -> Markup {
    let title = format!("{} – {}", incident.name, shown.board.page.name);
    let body = html! {
        article.incident.(class(incident.impact)) #incident aria-labelledby="title" data-live {
            h1 #title { (incident.name) }
            (facts(shown, incident))
            (updates(shown, incident))
        }
    };
    frame::page(shown, Place::Incident, &title, &body)
}

fn class(impact: Impact) -> &'static str {
    look(impact).as_str()
}

/// The state whose colour and sign an impact has.
fn look(impact: Impact) -> ComponentState {
    match impact {
        Impact::None => ComponentState::Operational,
        Impact::Maintenance => ComponentState::UnderMaintenance,
        Impact::Minor => ComponentState::DegradedPerformance,
        Impact::Major => ComponentState::PartialOutage,
        Impact::Critical => ComponentState::MajorOutage,
    }
}

/// How bad it was, in words.
pub(super) fn impact_words(impact: Impact) -> Markup {
    html! {
        @match impact {
            Impact::None => "Nothing to be felt",
            other => (state_words(look(other))),
        }
    }
}

/// `from … to …, 37 min`, or since when.
pub(super) fn span(shown: Shown<'_>, incident: &PublicIncident) -> Markup {
    let begin = incident.started_at;
    html! {
        @match incident.resolved_at.filter(|_| incident.status.is_over()) {
            Some(end) => {
                (shown.zone.moment(begin)) " to " (shown.zone.moment(end)) ", " (lasted(end.since(begin).max(0)))
            }
            None => { "since " (shown.zone.moment(begin)) },
        }
    }
}

fn facts(shown: Shown<'_>, incident: &PublicIncident) -> Markup {
    let names: Vec<&str> = incident.components.iter().map(|id| component_name(shown, id)).collect();
    let waits = incident.machine_from.filter(|from| !incident.status.is_over() && *from > shown.board.made_at);
    html! {
        p {
            b { (incident.status.words()) } " · " (impact_words(incident.impact)) " · " (span(shown, incident))
            @if !names.is_empty() { " · " (names.join(", ")) }
        }
        @if let Some(from) = waits {
            p.stated {
                b { "The team writes." } " What is measured adds nothing of its own until " (shown.zone.moment(from)) "."
            }
        }
    }
}

/// A component's public name; what is no longer configured keeps its identity.
pub(super) fn component_name<'a>(shown: Shown<'a>, id: &'a str) -> &'a str {
    shown.board.components.iter().find(|component| component.id == id).map_or(id, |component| &component.name)
}

fn updates(shown: Shown<'_>, incident: &PublicIncident) -> Markup {
    html! {
        ol.updates role="list" {
            @for update in &incident.updates { li { (said(shown, update)) } }
        }
    }
}

fn said(shown: Shown<'_>, update: &IncidentUpdate) -> Markup {
    html! {
        p.soft {
            b { (update.status.words()) } " · " (shown.zone.moment(update.created_at))
            @if update.updated_at > update.created_at { " · corrected " (shown.zone.moment(update.updated_at)) }
        }
        (paragraphs(&update.body))
        @for (id, before, after) in update.affected.iter().filter(|(_, before, after)| before != after) {
            p.soft { (component_name(shown, id)) ": " (before.words()) " → " (state_words(*after)) }
        }
    }
}

/// Plain text; a blank line ends a paragraph.
pub(super) fn paragraphs(text: &str) -> Markup {
    let text = text.replace("\r\n", "\n");
    html! {
        @for paragraph in text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
            p.said { (paragraph) }
        }
    }
}
