//! Announced work: under way, to come, done, called off.

use maud::{Markup, html};

use super::Shown;
use super::incidents::{component_name, paragraphs};
use super::moments::lasted;
use crate::model::Timestamp;
use crate::status::{Maintenance, MaintenanceStage};

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Under way or to come.
    Ahead,
    /// Over, or called off.
    Past,
}

/// Where one stands.
fn stands(work: &Maintenance, now: Timestamp) -> (Which, &'static str) {
    match work.stage(now) {
        MaintenanceStage::Scheduled => (Which::Ahead, "To come"),
        MaintenanceStage::InProgress => (Which::Ahead, "Under way"),
        MaintenanceStage::Completed if work.is_cancelled => (Which::Past, "Called off"),
        MaintenanceStage::Completed => (Which::Past, "Done"),
    }
}

/// Those of one kind; nothing without any.
pub(super) fn section(shown: Shown<'_>, which: Which) -> Markup {
    let now = shown.board.made_at;
    let chosen: Vec<&Maintenance> =
        shown.board.maintenances.iter().filter(|work| stands(work, now).0 == which).collect();
    let (id, title) = match which {
        Which::Ahead => ("maintenance", "Maintenance"),
        Which::Past => ("maintenance-past", "Past maintenance"),
    };
    html! {
        @if !chosen.is_empty() {
            section aria-labelledby=(id) {
                h2 id=(id) { (title) }
                @for work in chosen { (card(shown, work, stands(work, now).1)) }
            }
        }
    }
}

fn card(shown: Shown<'_>, work: &Maintenance, stands: &str) -> Markup {
    let names: Vec<&str> = work.components.iter().map(|id| component_name(shown, id)).collect();
    html! {
        article.under_maintenance id={ "m-" (work.id) } aria-labelledby={ "t-" (work.id) } data-live {
            h3 id={ "t-" (work.id) } { (work.name) }
            p {
                b { (stands) } " · " (shown.zone.moment(work.from)) " to " (shown.zone.moment(work.until)) ", "
                (lasted(work.until.since(work.from).max(0)))
                @if !names.is_empty() { " · " (names.join(", ")) }
            }
            (paragraphs(&work.body))
        }
    }
}
