//! What a limit would have done in each incident: to those who did it, and to everybody else.

use super::buckets::Buckets;
use super::keys::Described;
use super::report::{IncidentEffect, Part, PeakEffect};
use crate::model::{Dimension, Dimensions, IncidentReport, Severity, Text, Timestamp};

/// Incidents looked at: the worst and newest of a month that had more.
pub const INCIDENTS_MAX: usize = 500;

/// An incident of the past.
#[derive(Debug, Clone, PartialEq)]
pub struct PastIncident {
    /// Its identity.
    pub incident: Text,
    /// Onset.
    pub started_at: Timestamp,
    /// End; absent while open.
    pub ended_at: Option<Timestamp>,
    /// The worst severity reached.
    pub severity: Severity,
    /// One sentence.
    pub summary: String,
    /// What its first cause is narrowed down to; empty: nobody in particular.
    pub culprits: Dimensions,
}

impl PastIncident {
    /// Of a report.
    #[must_use]
    pub fn of(report: &IncidentReport) -> Self {
        Self {
            incident: report.incident.clone(),
            started_at: report.started_at,
            ended_at: report.ended_at,
            severity: report.severity,
            summary: report.summary.clone(),
            culprits: culprits(report.causes.iter().map(|cause| &cause.dimensions)),
        }
    }

    /// Whether the moment lies in it.
    #[must_use]
    pub fn covers(&self, at: Timestamp) -> bool {
        self.started_at <= at && self.ended_at.is_none_or(|end| at < end)
    }
}

/// The first cause that requests can be held against.
pub fn culprits<'a>(mut causes: impl Iterator<Item = &'a Dimensions>) -> Dimensions {
    let of_requests = |dimension: &Dimension| {
        use Dimension as D;
        matches!(dimension, D::Subscription | D::Client | D::ClientVersion | D::Service | D::Caller | D::Route)
    };
    causes.find(|cause| !cause.is_empty() && cause.0.keys().all(of_requests)).cloned().unwrap_or_default()
}

/// The incidents kept, oldest first, and how many were left out.
pub(super) fn kept(mut incidents: Vec<PastIncident>) -> (Vec<PastIncident>, u64) {
    incidents.sort_by_key(|incident| (std::cmp::Reverse(incident.severity), std::cmp::Reverse(incident.started_at)));
    let left_out = incidents.len().saturating_sub(INCIDENTS_MAX) as u64;
    incidents.truncate(INCIDENTS_MAX);
    incidents.sort_by(|a, b| (a.started_at, &a.incident).cmp(&(b.started_at, &b.incident)));
    (incidents, left_out)
}

/// Counts of one incident.
#[derive(Debug)]
pub(super) struct IncidentTally {
    pub(super) past: PastIncident,
    culprits: Part,
    others: Part,
    minutes: Buckets,
    seconds: Buckets,
}

impl IncidentTally {
    pub(super) fn new(past: PastIncident) -> Self {
        let (culprits, others) = (Part::default(), Part::default());
        Self { past, culprits, others, minutes: Buckets::new(60_000), seconds: Buckets::new(1_000) }
    }

    /// Counts requests that lie in the incident.
    pub(super) fn add(&mut self, described: &Described<'_>, sent: u64, passed: u64) {
        let is_culprit = !self.past.culprits.is_empty() && described.matches(&self.past.culprits);
        let part = if is_culprit { &mut self.culprits } else { &mut self.others };
        part.requests += sent;
        part.held_back += sent - passed;
        self.add_load(described.at, sent, passed);
    }

    /// Counts load alone: what came again after a refusal.
    pub(super) fn add_load(&mut self, at: Timestamp, sent: u64, passed: u64) {
        self.minutes.add(at, sent, passed);
        self.seconds.add(at, sent, passed);
    }

    pub(super) fn finish(self, usual_per_minute: f64, knows_seconds: bool) -> IncidentEffect {
        let minute = PeakEffect::new(self.minutes.peaks());
        IncidentEffect {
            incident: self.past.incident,
            started_at: self.past.started_at,
            ended_at: self.past.ended_at,
            severity: self.past.severity,
            summary: self.past.summary,
            culprits: self.past.culprits,
            held_back_of_culprits: self.culprits.with_share(),
            held_back_of_others: self.others.with_share(),
            times_usual_before: minute.times_before(usual_per_minute),
            times_usual_after: minute.times_after(usual_per_minute),
            peak_minute: minute,
            peak_second: knows_seconds.then(|| PeakEffect::new(self.seconds.peaks())),
        }
    }
}
