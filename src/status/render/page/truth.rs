//! The line on top: what is so, in one sentence that is never better than what is known.

use maud::{Markup, html};

use super::Shown;
use super::components::glyph;
use super::moments::{Zone, counted};
use crate::model::Timestamp;
use crate::status::render::verdict::Verdict;
use crate::status::{Board, ComponentState, Freshness, Impact};

/// Names of components that the line has room for.
const NAMES_MAX: usize = 5;

/// What is so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Truth {
    /// How the whole looks: the glyph and colour of that state.
    look: ComponentState,
    words: String,
    /// Ends the sentence, where a moment belongs to it.
    moment: Option<Timestamp>,
}

impl Truth {
    fn of(look: ComponentState, words: impl Into<String>) -> Self {
        Self { look, words: words.into(), moment: None }
    }

    /// Without markup.
    pub fn text(&self, zone: &Zone) -> String {
        match self.moment {
            Some(at) => format!("{} {}", self.words, zone.text(at)),
            None => self.words.clone(),
        }
    }
}

/// Harm that anybody vouches for comes first, then that nothing is known, then work; only then all is well.
pub(super) fn truth(board: &Board) -> Truth {
    let verdict = Verdict::of(board);
    match verdict.known {
        Impact::Critical => Truth::of(ComponentState::MajorOutage, "Major outage"),
        Impact::Major => Truth::of(ComponentState::PartialOutage, "Partial outage"),
        Impact::Minor => Truth::of(ComponentState::DegradedPerformance, "Degraded performance"),
        _ if verdict.is_unknown => unknown(board),
        _ if verdict.unknown_count > 0 => {
            let all = counted(board.components.len(), "system");
            Truth::of(ComponentState::Unknown, format!("Status of {} of {all} unknown", verdict.unknown_count))
        }
        Impact::Maintenance => Truth::of(ComponentState::UnderMaintenance, "Maintenance under way"),
        Impact::None => well(board),
    }
}

fn unknown(board: &Board) -> Truth {
    let (words, moment) = match (board.freshness, board.data_as_of) {
        (Freshness::Unknown, Some(at)) => ("Status unknown: no data since", Some(at)),
        (Freshness::Unknown, None) => ("Status unknown: no data yet", None),
        (Freshness::Current | Freshness::Stale, _) => ("Status unknown: no requests to measure", None),
    };
    Truth { moment, ..Truth::of(ComponentState::Unknown, words) }
}

fn well(board: &Board) -> Truth {
    let (words, moment) = match board.freshness {
        Freshness::Stale => ("All systems operational when last measured,", board.data_as_of),
        // Too old a measurement, and people vouch for all of it.
        Freshness::Current | Freshness::Unknown => ("All systems operational", None),
    };
    Truth { moment, ..Truth::of(ComponentState::Operational, words) }
}

/// The line, whom it is about, and how old that is.
pub(super) fn section(shown: Shown<'_>, truth: &Truth) -> Markup {
    let (board, zone) = (shown.board, shown.zone);
    let harmed = board.components.iter().filter(|component| component.state.is_harm());
    let harmed: Vec<&str> = harmed.map(|component| component.name.as_str()).collect();
    let further = harmed.len().saturating_sub(NAMES_MAX);
    html! {
        section.truth.(truth.look.as_str()) aria-labelledby="truth" {
            div #now role="status" data-live {
                h1 #truth {
                    (glyph(truth.look)) (truth.words)
                    @if let Some(at) = truth.moment { " " (zone.moment(at)) }
                }
                @if !harmed.is_empty() {
                    p {
                        "Affected: " (harmed[..harmed.len() - further].join(", "))
                        @if further > 0 { " and " (further) " more" } "."
                    }
                }
            }
            p #as-of data-live { (as_of(shown)) }
        }
    }
}

fn as_of(shown: Shown<'_>) -> Markup {
    let Some(at) = shown.board.data_as_of else {
        return html! { "Nothing has been measured yet." };
    };
    html! {
        "Data as of " (shown.zone.moment(at)) "."
        @match shown.board.freshness {
            Freshness::Current => {}
            Freshness::Stale => { " " b { "It is old:" } " states are the last that were measured." }
            Freshness::Unknown => { " " b { "It is too old" } " to say how things are now, but for what people state." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Authority;
    use crate::status::samples::{at, board, component, incident};

    fn text(board: &Board) -> String {
        truth(board).text(&Zone::of(&board.page))
    }

    fn well() -> Board {
        Board { components: vec![component("a", "A"), component("b", "B")], incidents: Vec::new(), ..board() }
    }

    #[test]
    fn the_line_is_never_better_than_what_is_known() {
        assert_eq!(text(&well()), "All systems operational");
        let stale = Board { freshness: Freshness::Stale, ..well() };
        assert_eq!(text(&stale), "All systems operational when last measured, 29 Apr 2026, 14:53 CEST");

        let mut silent = well();
        silent.components[0].state = ComponentState::Unknown;
        assert_eq!(text(&silent), "Status of 1 of 2 systems unknown");
        silent.components[1].state = ComponentState::Unknown;
        assert_eq!(text(&silent), "Status unknown: no requests to measure");
        silent.freshness = Freshness::Unknown;
        assert_eq!(text(&silent), "Status unknown: no data since 29 Apr 2026, 14:53 CEST");
        silent.data_as_of = None;
        assert_eq!(text(&silent), "Status unknown: no data yet");
        let nothing = Board { components: Vec::new(), freshness: Freshness::Unknown, ..well() };
        assert!(text(&nothing).starts_with("Status unknown"), "no component is no reason to be well");
        let nothing = Board { freshness: Freshness::Current, ..nothing };
        assert!(text(&nothing).starts_with("Status unknown"), "no component is no reason to be well");

        // A person vouches for harm while nothing is measured.
        silent.components[0].state = ComponentState::PartialOutage;
        silent.components[0].authority = Authority::Person { until: at("2026-04-29T15:00:00Z"), note: None };
        assert_eq!(text(&silent), "Partial outage");

        let mut work = well();
        work.components[1].state = ComponentState::UnderMaintenance;
        assert_eq!(text(&work), "Maintenance under way");
        work.components[0].state = ComponentState::Unknown;
        assert_eq!(text(&work), "Status of 1 of 2 systems unknown");
        let announced = Board { made_at: at("2026-05-02T02:30:00Z"), ..well() };
        assert_eq!(text(&announced), "Maintenance under way", "also before a component says so");
    }

    #[test]
    fn an_open_incident_counts_whatever_is_measured() {
        let mut open = Board { incidents: vec![incident()], ..well() };
        assert_eq!(text(&open), "Partial outage");
        open.incidents[0].impact = Impact::Critical;
        assert_eq!(text(&open), "Major outage");
        open.incidents[0].status = crate::status::IncidentStatus::Resolved;
        assert_eq!(text(&open), "All systems operational");
    }
}
