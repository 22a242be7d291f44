//! All that is known of an incident.

use super::{AlertRecord, CustomerTraffic, Ending, Figures, IncidentRecord, Selection, Span, TrafficPoint};
use crate::model::{Severity, Timestamp};
use crate::postmortem::plain;

/// What is stored, or in a log, of the time around an incident.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    /// Where it is from, in words.
    pub source: String,
    /// Requests by bucket, in order, without holes.
    pub points: Vec<TrafficPoint>,
    /// What customers did while it lasted.
    pub customers: Vec<CustomerTraffic>,
    /// Whether there are more customers than are held.
    pub further_customers: bool,
}

/// An incident, and everything around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Dossier {
    /// What was reported of it.
    pub record: IncidentRecord,
    /// What its alerts said, in order.
    pub alerts: Vec<AlertRecord>,
    /// The stretch of time that is looked at.
    pub span: Span,
    /// Which requests are of its cause.
    pub selection: Selection,
    /// What was counted around it; absent while history is away.
    pub history: Option<History>,
    /// What could not be had, and why, in sentences.
    pub notes: Vec<String>,
}

impl Dossier {
    /// Of a report, without history. `now` ends the look at an open incident.
    #[must_use]
    pub fn new(record: IncidentRecord, alerts: Vec<AlertRecord>, now: Option<Timestamp>) -> Self {
        let (span, selection) = (Span::around(&record, now), Selection::of(&record));
        Self { record, alerts, span, selection, history: None, notes: Vec::new() }
    }

    /// The numbers; absent without history, or when nothing was counted.
    #[must_use]
    pub fn figures(&self) -> Option<Figures> {
        let history = self.history.as_ref()?;
        Figures::of(&history.points, self.span)
    }

    /// What ended it, as far as the numbers say.
    #[must_use]
    pub fn ending(&self) -> Ending {
        let points = self.history.as_ref().map(|history| history.points.as_slice()).unwrap_or_default();
        Ending::of(&self.record, points, self.span, self.selection.names_requests())
    }

    /// The first alert that woke somebody, else the first that fired.
    #[must_use]
    pub fn first_told(&self) -> Option<&AlertRecord> {
        let fired = || self.alerts.iter().filter(|alert| alert.event == "firing");
        fired().find(|alert| alert.severity == Severity::Critical).or_else(|| fired().next())
    }

    /// What the cause is called, without characters that cannot be seen.
    #[must_use]
    pub fn cause_name(&self) -> String {
        plain(&self.record.cause_named())
    }
}
