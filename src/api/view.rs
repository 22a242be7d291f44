//! What the API shows of detection: the core's own state and the incidents that ended, bounded, published as a snapshot.
//!
//! The task that runs detection owns a [`View`] and publishes a clone through a `watch` channel. A clone copies pointers,
//! not alerts. The list of alerts is not a fold of transitions: a pending alert may go away without one.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::flow::TrafficSteps;
use crate::model::{AlertName, Dimensions, IncidentReport, Severity, Timestamp, Transition, TransitionEvent};

/// Most alerts shown. Beyond it pending alerts make room for firing ones; [`View::incomplete`] tells.
pub const ALERTS_MAX: usize = 10_000;
/// Most open incidents shown: far above what people can work on. The oldest make room.
pub const INCIDENTS_OPEN_MAX: usize = 1_000;
/// Most ended incidents shown. The oldest make room; ClickHouse keeps them all.
pub const INCIDENTS_ENDED_MAX: usize = 1_000;

/// Events counted by detection since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counts {
    /// Events decided on.
    pub events: u64,
    /// Records refused by the decoder.
    pub rejected: u64,
    /// Events after their window was closed.
    pub late: u64,
}

/// Current alerts and recent incidents.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct View {
    /// Event time up to which everything was decided; absent before the first event.
    pub watermark: Option<Timestamp>,
    /// Events counted.
    pub counts: Counts,
    /// The last two hours of traffic, by event time.
    pub traffic: TrafficSteps,
    /// Pending and firing alerts, ordered by identity, worst first.
    alerts: Vec<Arc<Transition>>,
    /// Newest start first.
    incidents_open: Vec<Arc<IncidentReport>>,
    /// Newest end first.
    incidents_ended: VecDeque<Arc<IncidentReport>>,
    incomplete: bool,
}

impl View {
    /// Shows these alerts and open incidents in place of those shown so far: what the core says is active now.
    pub fn set_active(&mut self, mut alerts: Vec<Transition>, mut open: Vec<IncidentReport>) {
        self.incomplete = alerts.len() > ALERTS_MAX || open.len() > INCIDENTS_OPEN_MAX;
        if alerts.len() > ALERTS_MAX {
            // The sort is stable: of pending alerts the worst stay.
            alerts.sort_by_key(|alert| alert.event != TransitionEvent::Firing);
            alerts.truncate(ALERTS_MAX);
        }
        alerts.sort_by(|a, b| identity(a).cmp(&identity(b)));
        open.sort_by_key(|report| Reverse(report.started_at));
        open.truncate(INCIDENTS_OPEN_MAX);
        self.alerts = alerts.into_iter().map(Arc::new).collect();
        self.incidents_open = open.into_iter().map(Arc::new).collect();
        let open = &self.incidents_open;
        self.incidents_ended.retain(|ended| open.iter().all(|report| report.incident != ended.incident));
    }

    /// Keeps the last report of an incident: it ended, or its log did while it was open.
    pub fn end_incident(&mut self, report: &IncidentReport) {
        self.incidents_open.retain(|known| known.incident != report.incident);
        self.incidents_ended.retain(|known| known.incident != report.incident);
        let index = self.incidents_ended.partition_point(|known| last_moment(known) > last_moment(report));
        self.incidents_ended.insert(index, Arc::new(report.clone()));
        self.incidents_ended.truncate(INCIDENTS_ENDED_MAX);
    }

    /// Each alert that is pending or firing, as its transition would say it now, ordered by identity, worst first.
    pub fn alerts(&self) -> impl Iterator<Item = &Transition> {
        self.alerts.iter().map(AsRef::as_ref)
    }

    /// Name and severity of each alert that fires.
    pub fn firing(&self) -> impl Iterator<Item = (AlertName, Severity)> {
        self.alerts().filter(|alert| alert.event == TransitionEvent::Firing).map(|alert| (alert.alert, alert.severity))
    }

    /// Incidents: open ones first (newest start first), then ended ones (newest end first). An open one has an end when
    /// all its alerts have resolved and it waits for further ones.
    pub fn incidents(&self) -> impl Iterator<Item = &IncidentReport> {
        self.incidents_open.iter().chain(&self.incidents_ended).map(AsRef::as_ref)
    }

    /// Reports of open incidents, newest start first.
    pub fn incidents_open_reports(&self) -> impl Iterator<Item = &IncidentReport> {
        self.incidents_open.iter().map(AsRef::as_ref)
    }

    /// How many incidents are open.
    #[must_use]
    pub fn incidents_open(&self) -> usize {
        self.incidents_open.len()
    }

    /// The incident with this id, while it is shown.
    #[must_use]
    pub fn incident(&self, id: &str) -> Option<&IncidentReport> {
        self.incidents().find(|report| report.incident == id)
    }

    /// Whether an alert or an open incident is left out because of a bound.
    #[must_use]
    pub fn incomplete(&self) -> bool {
        self.incomplete
    }
}

/// What makes an alert that alert, in the order of the list.
fn identity(alert: &Transition) -> (Reverse<Severity>, AlertName, &Dimensions) {
    (Reverse(alert.severity), alert.alert, &alert.labels)
}

/// When an incident ended. One that was open to the end of its log is the newest.
fn last_moment(report: &IncidentReport) -> (bool, Option<Timestamp>) {
    (report.ended_at.is_none(), report.ended_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples;

    fn alert(version: &str, event: TransitionEvent) -> Transition {
        Transition { event, ..samples::transition_of(version) }
    }

    fn incident(id: &str, started_s: i64, ended_s: Option<i64>) -> IncidentReport {
        IncidentReport {
            incident: id.into(),
            started_at: Timestamp::from_millis(started_s * 1_000),
            ended_at: ended_s.map(|s| Timestamp::from_millis(s * 1_000)),
            ..samples::incident()
        }
    }

    fn ids(view: &View) -> Vec<&str> {
        view.incidents().map(|report| report.incident.as_str()).collect()
    }

    #[test]
    fn what_is_active_replaces_what_was() {
        let mut view = View::default();
        view.set_active(vec![alert("2", TransitionEvent::Pending), alert("1", TransitionEvent::Firing)], Vec::new());
        assert_eq!((view.alerts().count(), view.firing().count()), (2, 1));
        // The pending one went away without a transition.
        view.set_active(vec![alert("1", TransitionEvent::Firing)], Vec::new());
        assert_eq!(view.alerts().collect::<Vec<_>>(), [&alert("1", TransitionEvent::Firing)]);
    }

    #[test]
    fn severity_is_part_of_an_alerts_identity() {
        let mut view = View::default();
        let critical = alert("1", TransitionEvent::Pending);
        let warning = Transition { severity: Severity::Warning, ..alert("1", TransitionEvent::Firing) };
        view.set_active(vec![warning.clone(), critical.clone()], Vec::new());
        assert_eq!(view.alerts().collect::<Vec<_>>(), [&critical, &warning]);
    }

    #[test]
    fn at_the_bound_firing_alerts_take_the_place_of_pending_ones() {
        let mut view = View::default();
        let event = |i: usize| if i < 3 { TransitionEvent::Pending } else { TransitionEvent::Firing };
        let mut alerts: Vec<Transition> = (0..ALERTS_MAX).map(|i| alert(&i.to_string(), event(i))).collect();
        view.set_active(alerts.clone(), Vec::new());
        assert!(!view.incomplete());
        alerts.push(alert("another", TransitionEvent::Firing));
        view.set_active(alerts.clone(), Vec::new());
        assert!(view.incomplete());
        assert_eq!((view.alerts().count(), view.firing().count()), (ALERTS_MAX, ALERTS_MAX - 2));
        assert!(view.alerts().is_sorted_by_key(identity));
        view.set_active(vec![alerts.remove(0)], Vec::new());
        assert!(!view.incomplete(), "it tells of now");
    }

    #[test]
    fn incidents_are_open_first_and_newest_first() {
        let mut view = View::default();
        for (id, started, ended) in [("b", 20, Some(60)), ("d", 5, Some(90)), ("e", 40, Some(50))] {
            view.end_incident(&incident(id, started, ended));
        }
        // All alerts of "c" have resolved; it waits for further ones and is still open.
        view.set_active(Vec::new(), vec![incident("a", 10, None), incident("c", 30, Some(35))]);
        assert_eq!(ids(&view), ["c", "a", "d", "b", "e"]);
        assert_eq!(view.incidents_open(), 2);
        view.end_incident(&incident("f", 1, None));
        assert_eq!(ids(&view), ["c", "a", "f", "d", "b", "e"], "open to the end of its log");
    }

    #[test]
    fn an_incident_is_shown_once() {
        let mut view = View::default();
        view.set_active(Vec::new(), vec![incident("a", 10, None)]);
        view.end_incident(&incident("a", 10, Some(70)));
        assert_eq!((ids(&view), view.incidents_open()), (vec!["a"], 0));
        assert_eq!(view.incident("a").unwrap().ended_at, Some(Timestamp::from_millis(70_000)));
        view.set_active(Vec::new(), vec![incident("a", 10, None)]);
        assert_eq!((ids(&view), view.incidents_open()), (vec!["a"], 1));
        assert_eq!(view.incident("a").unwrap().ended_at, None);
    }

    #[test]
    fn history_is_bounded_and_forgets_the_oldest() {
        let mut view = View::default();
        let count = i64::try_from(INCIDENTS_ENDED_MAX).unwrap() + 5;
        (0..count).for_each(|i| view.end_incident(&incident(&format!("ended-{i}"), i, Some(i + 1))));
        view.set_active(Vec::new(), (0..count).map(|i| incident(&format!("open-{i}"), i, None)).collect());
        assert_eq!(view.incidents().count(), INCIDENTS_OPEN_MAX + INCIDENTS_ENDED_MAX);
        assert!(view.incident("ended-4").is_none() && view.incident("ended-5").is_some());
        assert!(view.incident("open-4").is_none() && view.incident("open-5").is_some());
        assert!(view.incomplete());
    }
}
