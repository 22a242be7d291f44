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
        let is_unknown = board.freshness == Freshness::Unknown || unknown_count == board.components.len();
        Self {
            known,
            unknown_count,
            is_unknown,
            data_as_of: board.data_as_of.map(moment::iso),
            freshness: board.freshness,
            component_count: board.components.len(),
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
        let since = self.data_as_of.as_ref().map_or_else(String::new, |at| format!(" since {at}"));
        let is_harm = self.known > Impact::None;
        match (self.is_unknown, self.freshness) {
            (true, _) if is_harm => format!("{known}; otherwise unknown: no data{since}"),
            (true, Freshness::Unknown) => format!("Status unknown: no data{since}"),
            (true, _) => "Status unknown: too few requests to tell".to_owned(),
            (false, freshness) => {
                let partly = match (self.unknown_count, is_harm) {
                    (0, _) => known.to_owned(),
                    (count, true) => format!("{known}; {count} of {} components unknown", self.component_count),
                    (count, false) => format!("{count} of {} components unknown", self.component_count),
                };
                let is_old = freshness != Freshness::Current && self.data_as_of.is_some();
                let age = if is_old { format!(" (no data{since})") } else { String::new() };
                partly + &age
            }
        }
    }

    /// A few words for a badge.
    #[must_use]
    pub fn words(&self) -> &'static str {
        match self.known {
            Impact::None if self.is_unknown => "unknown",
            Impact::None if self.unknown_count > 0 => "partly unknown",
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
        assert_eq!(said(&partly), ("minor", "1 of 3 components unknown".to_owned(), "partly unknown"));
        let mut all = well();
        all.components.iter_mut().for_each(|component| component.state = ComponentState::Unknown);
        assert_eq!(said(&all), ("minor", "Status unknown: too few requests to tell".to_owned(), "unknown"));
        all.freshness = Freshness::Unknown;
        let told = "Status unknown: no data since 2026-04-29T12:53:15.000Z".to_owned();
        assert_eq!(said(&all), ("minor", told, "unknown"));
        all.data_as_of = None;
        assert_eq!(said(&all), ("minor", "Status unknown: no data".to_owned(), "unknown"));
    }

    #[test]
    fn a_persons_word_counts_where_nothing_is_measured() {
        let mut board = well();
        board.freshness = Freshness::Unknown;
        board.components.iter_mut().for_each(|component| component.state = ComponentState::Unknown);
        board.components[0].state = ComponentState::MajorOutage;
        let told = "Major System Outage; otherwise unknown: no data since 2026-04-29T12:53:15.000Z".to_owned();
        assert_eq!(said(&board), ("critical", told, "major outage"));
        // Even a person's good word does not make what nobody knows well.
        board.components[0].state = ComponentState::Operational;
        assert_eq!((said(&board).0, said(&board).2), ("minor", "unknown"));
    }

    #[test]
    fn old_data_is_said_to_be_old() {
        let mut board = well();
        board.freshness = Freshness::Stale;
        let told = "All Systems Operational (no data since 2026-04-29T12:53:15.000Z)".to_owned();
        assert_eq!(said(&board), ("none", told, "operational, data is old"));
    }

    #[test]
    fn a_page_without_components_is_not_well() {
        let mut board = well();
        board.components.clear();
        assert_eq!(said(&board).0, "minor");
    }
}
