//! What is public in several situations: the boards of the unit tests, and what is hard about them.

use floodmark::status::{
    Authority, Board, ComponentState, ComponentView, DAYS_SHOWN, DayView, Freshness, Impact, IncidentStatus,
    IncidentUpdate, LatencyPoint, Maintenance, PageInfo, PublicIncident,
};

#[path = "../../../src/status/samples.rs"]
mod samples;

pub use samples::{at, board, incident, resolved};

/// Text that breaks feeds whose writer does not look: markup, ends of sections, quotes, control characters.
pub const HOSTILE: &str =
    "<script>alert('1')</script> ]]> &amp; \"it's\" <!-- \u{0}\u{1}\u{b}\u{1f}\u{85} \u{fffe} 😀 %s";

/// The boards by name.
pub fn situations() -> Vec<(&'static str, Board)> {
    let mut under_way = board();
    under_way.made_at = at("2026-05-02T02:30:00Z");
    under_way.components[1].state = ComponentState::UnderMaintenance;
    let mut over = well();
    over.incidents = vec![resolved()];
    over.made_at = at("2026-05-02T03:00:00Z");
    vec![
        ("bad day", board()),
        ("nothing known", nothing_known()),
        ("well", well()),
        ("everything over", over),
        ("work under way", under_way),
        ("many incidents", many_incidents()),
        ("hostile words", hostile()),
    ]
}

/// All is well, and nothing ever was otherwise.
pub fn well() -> Board {
    let mut board = board();
    board.components.iter_mut().for_each(|component| component.state = ComponentState::Operational);
    board.incidents.clear();
    board
}

/// No event came yet.
pub fn nothing_known() -> Board {
    let mut board = well();
    (board.data_as_of, board.freshness) = (None, Freshness::Unknown);
    for component in &mut board.components {
        (component.state, component.since) = (ComponentState::Unknown, None);
    }
    board.maintenances.clear();
    board
}

/// 500 incidents, every second of them open.
fn many_incidents() -> Board {
    let mut board = board();
    let numbered = |number: i64| {
        let mut incident = if number % 2 == 0 { resolved() } else { incident() };
        incident.id = format!("inc{number:04}");
        incident.created_at = at("2026-04-01T00:00:00Z").plus(number * 60_000);
        incident.updated_at = incident.created_at.plus(30_000);
        incident
    };
    board.incidents = (0..500).rev().map(numbered).collect();
    board
}

/// People wrote what they should not, everywhere they can.
fn hostile() -> Board {
    let mut board = board();
    board.page.name = HOSTILE.to_owned();
    board.page.description = Some(HOSTILE.to_owned());
    board.components[0].name = HOSTILE.to_owned();
    board.components[1].group = Some(HOSTILE.to_owned());
    board.incidents[0].name = HOSTILE.to_owned();
    board.incidents[0].updates[0].body = format!("{HOSTILE}\n\n{}", "long ".repeat(2_000));
    board.maintenances[0].name = HOSTILE.to_owned();
    board.maintenances[0].body = HOSTILE.to_owned();
    board
}
