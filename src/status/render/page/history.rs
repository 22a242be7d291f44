//! Incidents of the past: the last on the first page, all that are kept by month on one of their own.

use maud::{Markup, html};

use super::Shown;
use super::frame::{self, Place};
use super::incidents::{impact_words, path, span};
use super::moments::counted;
use crate::status::PublicIncident;

/// Past incidents on the first page.
const RECENT_MAX: usize = 5;

/// The last that are over.
pub(super) fn recent(shown: Shown<'_>) -> Markup {
    let over = shown.board.incidents.iter().filter(|incident| incident.status.is_over());
    let over: Vec<&PublicIncident> = over.take(RECENT_MAX).collect();
    html! {
        section #recent aria-labelledby="past" data-live {
            h2 #past { "Past incidents" }
            @if over.is_empty() { p { "There were none." } } @else { (list(shown, &over)) }
            p { a href="history.html" { "All that are kept" } }
        }
    }
}

/// All of them, the newest month first.
pub(super) fn page(shown: Shown<'_>) -> Markup {
    let incidents: Vec<&PublicIncident> = shown.board.incidents.iter().collect();
    let months = incidents
        .chunk_by(|one, other| shown.zone.month(one.started_at) == shown.zone.month(other.started_at))
        .map(|month| (shown.zone.month(month[0].started_at), month));
    let title = format!("History – {}", shown.board.page.name);
    let body = html! {
        div #history data-live {
            h1 { "History" }
            p { (counted(incidents.len(), "incident")) " kept." }
            @for (month, incidents) in months {
                section {
                    h2 { (month) }
                    (list(shown, incidents))
                }
            }
        }
    };
    frame::page(shown, Place::History, &title, &body)
}

fn list(shown: Shown<'_>, incidents: &[&PublicIncident]) -> Markup {
    html! {
        ul.past role="list" {
            @for incident in incidents {
                li {
                    a href=(path(incident)) { (incident.name) }
                    p.soft {
                        (incident.status.words()) " · " (impact_words(incident.impact)) " · " (span(shown, incident))
                    }
                }
            }
        }
    }
}
