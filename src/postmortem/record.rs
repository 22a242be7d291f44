//! An incident and its alerts as they were said: by a replay, by the service, from storage.

use serde::{Deserialize, Serialize};

use crate::detect::duration;
use crate::model::{Affected, Cause, Customer, Dimensions, IncidentReport, RuledOut, Severity, Timestamp};

/// An incident report that was read. The names of its alerts are texts: a file may know rules that nobody here does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentRecord {
    /// Identity.
    pub incident: String,
    /// Onset of the earliest alert.
    pub started_at: Timestamp,
    /// When the last alert resolved; absent while open.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// The worst severity reached.
    pub severity: Severity,
    /// Names of alerts that fired, in order of first firing.
    pub alerts: Vec<String>,
    /// Ranked causes.
    pub causes: Vec<Cause>,
    /// Refused candidates.
    #[serde(default)]
    pub ruled_out: Vec<RuledOut>,
    /// Who felt it.
    #[serde(default)]
    pub affected: Affected,
    /// Whom to talk to, the heaviest first.
    #[serde(default)]
    pub customers: Vec<Customer>,
    /// What to do, most urgent first.
    #[serde(default)]
    pub actions: Vec<String>,
    /// What happened, in order.
    #[serde(default)]
    pub timeline: Vec<MomentRecord>,
    /// One sentence.
    pub summary: String,
}

/// A moment of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MomentRecord {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub what: String,
}

/// What an alert said when it changed state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertRecord {
    /// When it was decided.
    pub at: Timestamp,
    /// `pending`, `firing` or `resolved`.
    pub event: String,
    /// Its name.
    pub alert: String,
    /// Its severity.
    pub severity: Severity,
    /// The incident it belongs to.
    pub incident: String,
    /// When the condition first held.
    pub since: Timestamp,
    /// Its identity, with its name.
    pub labels: Dimensions,
    /// The number, in `unit`.
    pub value: f64,
    /// What is usual, in `unit`.
    pub baseline: f64,
    /// Unit of both.
    pub unit: String,
    /// One sentence.
    pub summary: String,
}

impl IncidentRecord {
    /// How long it lasted, in words; so far, as of `now`, while it is open.
    #[must_use]
    pub fn lasted(&self, now: Option<Timestamp>) -> String {
        match (self.ended_at, now) {
            (Some(ended), _) => duration(ended.since(self.started_at)),
            (None, Some(now)) => format!("{} so far", duration(now.since(self.started_at))),
            (None, None) => "still open".to_owned(),
        }
    }

    /// What the first cause names: `client_version = 4.0.0`.
    #[must_use]
    pub fn cause_named(&self) -> String {
        match self.causes.first() {
            None => "not known".to_owned(),
            Some(cause) if cause.dimensions.is_empty() => "nobody in particular".to_owned(),
            Some(cause) => cause.dimensions.to_string(),
        }
    }
}

impl From<&IncidentReport> for IncidentRecord {
    fn from(report: &IncidentReport) -> Self {
        let moment = |moment: &crate::model::Moment| MomentRecord { at: moment.at, what: moment.what.clone() };
        Self {
            incident: report.incident.to_string(),
            started_at: report.started_at,
            ended_at: report.ended_at,
            severity: report.severity,
            alerts: report.alerts.iter().map(ToString::to_string).collect(),
            causes: report.causes.clone(),
            ruled_out: report.ruled_out.clone(),
            affected: report.affected,
            customers: report.customers.clone(),
            actions: report.actions.clone(),
            timeline: report.timeline.iter().map(moment).collect(),
            summary: report.summary.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples;

    #[test]
    fn what_the_core_says_is_read_back_whole() {
        let report = samples::incident();
        let text = serde_json::to_string(&report).unwrap();
        let read: IncidentRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(read, IncidentRecord::from(&report));
        let transition = serde_json::to_string(&samples::transition()).unwrap();
        let read: AlertRecord = serde_json::from_str(&transition).unwrap();
        assert_eq!(read.alert, samples::transition().alert.to_string());
    }
}
