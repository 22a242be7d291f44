//! What a board says of the whole, in one word and in one line.

use super::moment;
use crate::status::{Board, ComponentState, Freshness, Impact};

/// How the whole is. Badge, API and page take it from here, so that they never differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The worst of what is known: of components, open incidents and work under way.
    pub known: Impact,
    /// How many components nobody knows about.
    pub unknown_count: usize,
    /// Whether that is all of them, or the data is too old for any.
    pub is_unknown: bool,
    /// Event time of what is told.
    pub(super) data_as_of: Option<String>,
    pub(super) freshness: Freshness,
    pub(super) component_count: usize,
}

impl Verdict {
    /// Of a board.
    #[must_use]
    pub fn of(board: &Board) -> Self {
        let components = board.components.iter().map(|component| component.state.impact());
        let incidents = board.incidents.iter().filter(|incident| !incident.status.is_over());
        let work = board.maintenances.iter().filter(|work| work.is_under_way(board.made_at));
        let open = incidents.map(|incident| incident.impact).chain(work.map(|_| Impact::Maintenance));
        let known = components.chain(open).max().unwrap_or(Impact::None);
        let unknown = board.components.iter().filter(|component| component.state == ComponentState::Unknown);
        let unknown_count = unknown.count();
        let component_count = board.components.len();
        // Not so where people vouch for all of it.
        let is_too_old = board.freshness == Freshness::Unknown && (unknown_count > 0 || component_count == 0);
        let is_unknown = is_too_old || unknown_count == component_count;
        Self {
            known,
            unknown_count,
            is_unknown,
            data_as_of: board.data_as_of.map(moment::iso),
            freshness: board.freshness,
            component_count,
        }
    }

    /// The indicator of the Statuspage API, which has no word for what is unknown: it is never `none` then.
    #[must_use]
    pub fn indicator(&self) -> Impact {
        let is_partly_unknown = self.is_unknown || self.unknown_count > 0;
        if is_partly_unknown { self.known.max(Impact::Minor) } else { self.known }
    }

    /// One line.
    #[must_use]
    pub fn description(&self) -> String {
        let known = match self.known {
            Impact::None => "All Systems Operational",
            Impact::Maintenance => "Service Under Maintenance",
            Impact::Minor => "Partially Degraded Service",
            Impact::Major => "Partial System Outage",
            Impact::Critical => "Major System Outage",
        };
        let since = self.data_as_of.as_ref().map_or_else(|| " yet".to_owned(), |at| format!(" since {at}"));
        let all = self.component_count;
        match (self.is_unknown, self.is_harm(), self.unknown_count) {
            (true, true, _) => format!("{known}; otherwise unknown: no data{since}"),
            (true, false, _) if self.freshness == Freshness::Unknown => format!("Status unknown: no data{since}"),
            (true, false, _) => "Status unknown: no requests to measure".to_owned(),
            (false, _, 0) if self.freshness == Freshness::Current => known.to_owned(),
            (false, _, 0) => format!("{known} (no data{since})"),
            (false, true, count) => format!("{known}; status of {count} of {all} components unknown"),
            (false, false, count) => format!("Status of {count} of {all} components unknown"),
        }
    }

    /// Harm that anybody vouches for is told before what is unknown, and that before work.
    fn is_harm(&self) -> bool {
        self.known > Impact::Maintenance
    }

    /// Whether anything is unknown, and no harm is known.
    pub(super) fn is_unknown_first(&self) -> bool {
        !self.is_harm() && (self.is_unknown || self.unknown_count > 0)
    }

    /// A few words for a badge.
    #[must_use]
    pub fn words(&self) -> &'static str {
        match self.known {
            _ if self.is_unknown_first() => {
                if self.is_unknown {
                    "unknown"
                } else {
                    "partly unknown"
                }
            }
            Impact::None if self.freshness != Freshness::Current => "operational, data is old",
            Impact::None => "operational",
            Impact::Maintenance => "under maintenance",
            Impact::Minor => "degraded",
            Impact::Major => "partial outage",
            Impact::Critical => "major outage",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::samples::{at, board};

    fn well() -> Board {
        let mut board = board();
        board.components.iter_mut().for_each(|component| component.state = ComponentState::Operational);
        board.incidents.retain(|incident| incident.status.is_over());
        board
    }

    fn said(board: &Board) -> (&'static str, String, &'static str) {
        let verdict = Verdict::of(board);
        (verdict.indicator().as_str(), verdict.description(), verdict.words())
    }

    #[test]
    fn the_worst_of_components_incidents_and_work_counts() {
        assert_eq!(said(&well()), ("none", "All Systems Operational".to_owned(), "operational"));
        assert_eq!(said(&board()).0, "major");
        let mut only_incident = well();
        only_incident.incidents = board().incidents;
        only_incident.incidents[0].impact = Impact::Critical;
        assert_eq!(said(&only_incident), ("critical", "Major System Outage".to_owned(), "major outage"));
        let mut work = well();
        work.made_at = at("2026-05-02T02:30:00Z");
        assert_eq!(said(&work), ("maintenance", "Service Under Maintenance".to_owned(), "under maintenance"));
        work.maintenances[0].is_cancelled = true;
        assert_eq!(said(&work).0, "none");
    }

    #[test]
    fn what_is_unknown_is_never_well() {
        let mut partly = well();
        partly.components[1].state = ComponentState::Unknown;
        assert_eq!(said(&partly), ("minor", "Status of 1 of 3 components unknown".to_owned(), "partly unknown"));
        let mut all = well();
        all.components.iter_mut().for_each(|component| component.state = ComponentState::Unknown);
        assert_eq!(said(&all), ("minor", "Status unknown: no requests to measure".to_owned(), "unknown"));
        all.freshness = Freshness::Unknown;
        let told = "Status unknown: no data since 2026-04-29T12:53:15.000Z".to_owned();
        assert_eq!(said(&all), ("minor", told, "unknown"));
        all.data_as_of = None;
        assert_eq!(said(&all), ("minor", "Status unknown: no data yet".to_owned(), "unknown"));
    }

    #[test]
    fn a_persons_word_counts_where_nothing_is_measured() {
        let mut board = well();
        board.freshness = Freshness::Unknown;
        board.components.iter_mut().for_each(|component| component.state = ComponentState::Unknown);
        board.components[0].state = ComponentState::MajorOutage;
        let told = "Major System Outage; otherwise unknown: no data since 2026-04-29T12:53:15.000Z".to_owned();
        assert_eq!(said(&board), ("critical", told, "major outage"));
        // A person's good word about a part does not make well what nobody knows; about all it does.
        board.components[0].state = ComponentState::Operational;
        assert_eq!((said(&board).0, said(&board).2), ("minor", "unknown"));
        board.components.iter_mut().for_each(|component| component.state = ComponentState::Operational);
        let told = "All Systems Operational (no data since 2026-04-29T12:53:15.000Z)".to_owned();
        assert_eq!(said(&board), ("none", told, "operational, data is old"));
    }

    #[test]
    fn old_data_is_said_to_be_old() {
        let mut board = well();
        board.freshness = Freshness::Stale;
        let told = "All Systems Operational (no data since 2026-04-29T12:53:15.000Z)".to_owned();
        assert_eq!(said(&board), ("none", told, "operational, data is old"));
    }

    #[test]
    fn work_does_not_hide_what_is_unknown() {
        let mut board = well();
        board.components[0].state = ComponentState::UnderMaintenance;
        assert_eq!(said(&board).2, "under maintenance");
        board.components[1].state = ComponentState::Unknown;
        assert_eq!(said(&board), ("minor", "Status of 1 of 3 components unknown".to_owned(), "partly unknown"));
    }

    #[test]
    fn the_page_says_all_is_well_when_and_only_when_the_feeds_do() {
        let states = ComponentState::ALL.into_iter();
        let pairs = states.flat_map(|first| ComponentState::ALL.map(|second| [first, second]));
        for (states, freshness) in
            pairs.flat_map(|pair| [Freshness::Current, Freshness::Stale, Freshness::Unknown].map(|age| (pair, age)))
        {
            let mut board = well();
            board.components.truncate(2);
            board.components.iter_mut().zip(states).for_each(|(component, state)| component.state = state);
            board.freshness = freshness;
            let page = crate::status::render::page::files(&board);
            let page = page.into_iter().find(|file| file.path == "index.html").unwrap();
            let page = String::from_utf8(page.body).unwrap();
            let is_well = page.contains("All systems operational");
            let said = said(&board);
            assert_eq!(said.1.starts_with("All Systems Operational"), is_well, "{states:?} {freshness:?}");
            assert_eq!(
                (said.0 == "none", said.2.starts_with("operational")),
                (is_well, is_well),
                "{states:?} {freshness:?}"
            );
        }
    }

    #[test]
    fn a_page_without_components_is_not_well() {
        let mut board = well();
        board.components.clear();
        assert_eq!(said(&board).0, "minor");
    }
}
