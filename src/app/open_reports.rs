//! Which reports of open incidents go to ClickHouse, and when: whoever asks history during a storm must find it there.
//!
//! A later report replaces an earlier one, so any of them may be left out: while storage is behind, none is sent, and what
//! is sent after is the newest.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{DurationMs, IncidentReport, Text, Timestamp};

/// An open incident is told again after this, of event time or of the clock, if anything of it has changed.
const AGAIN_MS: DurationMs = 60_000;
/// The same on the clock.
const AGAIN: Duration = Duration::from_secs(60);
/// However fast events come or the incident changes, it is told again no sooner.
const PAUSE: Duration = Duration::from_secs(2);
/// Most open incidents told, as many as are shown.
pub(super) const OPEN_REPORTS_MAX: usize = 1_000;
/// With more outputs waiting for ClickHouse no report of an open incident is added: there must be room for ends.
pub(super) const WAITING_MAX: usize = 256;

/// What was told of an incident last.
#[derive(Debug)]
struct Told {
    report: IncidentReport,
    at: Instant,
    watermark: Timestamp,
}

/// The reports told so far of incidents that are open.
#[derive(Debug, Default)]
pub(super) struct OpenReports {
    told: BTreeMap<Text, Told>,
}

impl OpenReports {
    /// The incident's last report is stored: it is open no more.
    pub(super) fn ended(&mut self, report: &IncidentReport) {
        self.told.remove(&report.incident);
    }

    /// Those to be told now, `room` at most. One that is gone without an end (a change of rules can do that) is told once
    /// more, ended.
    pub(super) fn due(
        &mut self,
        open: &[IncidentReport],
        watermark: Timestamp,
        now: Instant,
        room: usize,
    ) -> Vec<IncidentReport> {
        let mut due = self.gone(open, watermark, room);
        for report in open {
            let known = self.told.get(&report.incident);
            let is_due = known.map_or(self.told.len() < OPEN_REPORTS_MAX, |told| told.is_due(report, watermark, now));
            if is_due && due.len() < room {
                due.push(report.clone());
                self.told.insert(report.incident.clone(), Told { report: report.clone(), at: now, watermark });
            }
        }
        due
    }

    fn gone(&mut self, open: &[IncidentReport], watermark: Timestamp, room: usize) -> Vec<IncidentReport> {
        let is_open = |incident: &Text| open.iter().any(|report| report.incident == *incident);
        let gone: Vec<Text> = self.told.keys().filter(|incident| !is_open(incident)).take(room).cloned().collect();
        let last = gone.iter().filter_map(|incident| self.told.remove(incident));
        last.map(|Told { report, .. }| IncidentReport {
            ended_at: report.ended_at.or(Some(watermark.max(report.started_at))),
            ..report
        })
        .collect()
    }
}

impl Told {
    fn is_due(&self, report: &IncidentReport, watermark: Timestamp, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.at);
        if since < PAUSE || self.report == *report {
            return false;
        }
        let cause = |report: &IncidentReport| report.causes.first().map(|cause| cause.dimensions.clone());
        let changed_much = (self.report.severity, self.report.ended_at) != (report.severity, report.ended_at)
            || self.report.alerts != report.alerts
            || cause(&self.report) != cause(report);
        changed_much || since >= AGAIN || watermark.since(self.watermark) >= AGAIN_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Severity, samples};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_773_050_000_000 + seconds * 1_000)
    }

    fn report(summary: &str) -> IncidentReport {
        IncidentReport { severity: Severity::Warning, summary: summary.to_owned(), ..samples::incident() }
    }

    #[test]
    fn an_incident_is_told_when_it_opens_changes_much_and_each_minute() {
        let (mut reports, start) = (OpenReports::default(), Instant::now());
        let mut told = |summary: &str, severity, clock_s, event_s| {
            let open = [IncidentReport { severity, ..report(summary) }];
            let due = reports.due(&open, at(event_s), start + Duration::from_secs(clock_s), 10);
            due.into_iter().map(|report| report.summary).collect::<Vec<_>>()
        };
        assert_eq!(told("opens", Severity::Warning, 0, 0), ["opens"]);
        assert!(told("worse at once", Severity::Critical, 1, 1).is_empty(), "not so often");
        assert_eq!(told("worse", Severity::Critical, 2, 2), ["worse"]);
        assert!(told("a little more", Severity::Critical, 30, 30).is_empty());
        assert_eq!(told("a minute of the clock", Severity::Critical, 62, 33), ["a minute of the clock"]);
        assert_eq!(told("a minute of events", Severity::Critical, 70, 100), ["a minute of events"]);
        assert!(told("a minute of events", Severity::Critical, 700, 1_000).is_empty(), "nothing new");
    }

    #[test]
    fn what_finds_no_room_is_told_later_and_what_is_gone_is_told_as_ended() {
        let (mut reports, now) = (OpenReports::default(), Instant::now());
        let open = [report("opens")];
        assert!(reports.due(&open, at(0), now, 0).is_empty());
        assert_eq!(reports.due(&open, at(1), now, 1), open);
        let end = reports.due(&[], at(90), now, 1);
        assert_eq!(end, [IncidentReport { ended_at: Some(at(90)), ..report("opens") }]);
        assert_eq!(reports.due(&open, at(91), now, 1), open, "open again");
        reports.ended(&open[0]);
        assert!(reports.due(&[], at(99), now, 1).is_empty(), "its end was told by another");
    }
}
