//! What the API shows of detection: a pure fold of the core's outputs, bounded, published as a snapshot.
//!
//! The task that runs detection owns a [`View`], applies each output to it, and publishes a clone through a `watch`
//! channel. A clone copies pointers, not alerts.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::{AlertName, IncidentReport, Output, Severity, Timestamp, Transition, TransitionEvent};

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
    /// Pending and firing alerts, ordered by identity (name, labels).
    alerts: Vec<Arc<Transition>>,
    /// Newest start first.
    incidents_open: Vec<Arc<IncidentReport>>,
    /// Newest end first.
    incidents_ended: VecDeque<Arc<IncidentReport>>,
    incomplete: bool,
}

impl View {
    /// Takes one output of the core in.
    pub fn apply(&mut self, output: &Output) {
        match output {
            Output::Transition(transition) => self.apply_transition(transition),
            Output::Incident(report) => self.apply_incident(report),
        }
    }

    /// The latest transition of each alert that is pending or firing, ordered by identity.
    pub fn alerts(&self) -> impl Iterator<Item = &Transition> {
        self.alerts.iter().map(AsRef::as_ref)
    }

    /// Name and severity of each alert that fires.
    pub fn firing(&self) -> impl Iterator<Item = (AlertName, Severity)> {
        self.alerts().filter(|alert| alert.event == TransitionEvent::Firing).map(|alert| (alert.alert, alert.severity))
    }

    /// Incidents: open ones first, then ended ones, each newest first.
    pub fn incidents(&self) -> impl Iterator<Item = &IncidentReport> {
        self.incidents_open.iter().chain(&self.incidents_ended).map(AsRef::as_ref)
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

    /// Whether an alert or an open incident was left out because of a bound, at any time since the start.
    #[must_use]
    pub fn incomplete(&self) -> bool {
        self.incomplete
    }

    fn apply_transition(&mut self, transition: &Transition) {
        let identity = (transition.alert, &transition.labels);
        let place = self.alerts.binary_search_by(|alert| (alert.alert, &alert.labels).cmp(&identity));
        match (place, transition.event) {
            (Ok(index), TransitionEvent::Resolved) => drop(self.alerts.remove(index)),
            (Err(_), TransitionEvent::Resolved) => {}
            (Ok(index), _) => self.alerts[index] = Arc::new(transition.clone()),
            (Err(index), _) if self.alerts.len() < ALERTS_MAX => {
                self.alerts.insert(index, Arc::new(transition.clone()));
            }
            (Err(index), _) => self.insert_at_bound(index, transition),
        }
    }

    /// At the bound a firing alert takes the place of a pending one; anything else is left out.
    fn insert_at_bound(&mut self, index: usize, transition: &Transition) {
        self.incomplete = true;
        if transition.event != TransitionEvent::Firing {
            return;
        }
        let Some(pending) = self.alerts.iter().position(|alert| alert.event == TransitionEvent::Pending) else {
            return;
        };
        self.alerts.remove(pending);
        let index = if pending < index { index - 1 } else { index };
        self.alerts.insert(index, Arc::new(transition.clone()));
    }

    fn apply_incident(&mut self, report: &IncidentReport) {
        self.incidents_open.retain(|known| known.incident != report.incident);
        self.incidents_ended.retain(|known| known.incident != report.incident);
        if let Some(ended_at) = report.ended_at {
            let index = self.incidents_ended.partition_point(|known| known.ended_at > Some(ended_at));
            self.incidents_ended.insert(index, Arc::new(report.clone()));
            self.incidents_ended.truncate(INCIDENTS_ENDED_MAX);
        } else {
            let index = self.incidents_open.partition_point(|known| known.started_at > report.started_at);
            self.incidents_open.insert(index, Arc::new(report.clone()));
            self.incomplete |= self.incidents_open.len() > INCIDENTS_OPEN_MAX;
            self.incidents_open.truncate(INCIDENTS_OPEN_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::samples;

    fn alert(version: &str, event: TransitionEvent) -> Output {
        Output::Transition(Transition { event, ..samples::transition_of(version) })
    }

    fn incident(id: &str, started_s: i64, ended_s: Option<i64>) -> Output {
        Output::Incident(IncidentReport {
            incident: id.into(),
            started_at: Timestamp::from_millis(started_s * 1_000),
            ended_at: ended_s.map(|s| Timestamp::from_millis(s * 1_000)),
            ..samples::incident()
        })
    }

    fn ids(view: &View) -> Vec<&str> {
        view.incidents().map(|report| report.incident.as_str()).collect()
    }

    #[test]
    fn a_transition_replaces_its_alert_and_resolved_removes_it() {
        let mut view = View::default();
        view.apply(&alert("2", TransitionEvent::Pending));
        view.apply(&alert("1", TransitionEvent::Firing));
        view.apply(&alert("2", TransitionEvent::Firing));
        assert_eq!(view.firing().count(), 2);
        let mut ordered: Vec<_> = view.alerts().map(|a| (a.alert, a.labels.clone())).collect();
        ordered.sort();
        assert_eq!(view.alerts().map(|a| (a.alert, a.labels.clone())).collect::<Vec<_>>(), ordered);
        view.apply(&alert("2", TransitionEvent::Resolved));
        view.apply(&alert("never seen", TransitionEvent::Resolved));
        assert_eq!(view.alerts().count(), 1);
        assert!(!view.incomplete());
    }

    #[test]
    fn at_the_bound_a_firing_alert_takes_the_place_of_a_pending_one() {
        let mut view = View::default();
        for i in 0..ALERTS_MAX {
            let event = if i == 7 { TransitionEvent::Pending } else { TransitionEvent::Firing };
            view.apply(&alert(&i.to_string(), event));
        }
        assert!(!view.incomplete());
        view.apply(&alert("another", TransitionEvent::Pending));
        assert!(view.incomplete() && view.alerts().all(|a| a.labels != samples::labels_of("another")));
        view.apply(&alert("a third", TransitionEvent::Firing));
        assert!(view.alerts().any(|a| a.labels == samples::labels_of("a third")));
        assert!(view.alerts().all(|a| a.labels != samples::labels_of("7")));
        view.apply(&alert("a fourth", TransitionEvent::Firing));
        assert_eq!(view.alerts().count(), ALERTS_MAX);
        assert!(view.alerts.is_sorted_by_key(|a| (a.alert, a.labels.clone())));
    }

    #[test]
    fn incidents_are_open_first_and_newest_first_and_replaced_by_id() {
        let mut view = View::default();
        for (id, started, ended) in
            [("a", 10, None), ("b", 20, Some(60)), ("c", 30, None), ("d", 5, Some(90)), ("e", 40, Some(50))]
        {
            view.apply(&incident(id, started, ended));
        }
        assert_eq!(ids(&view), ["c", "a", "d", "b", "e"]);
        view.apply(&incident("c", 30, None));
        view.apply(&incident("a", 10, Some(70)));
        assert_eq!(ids(&view), ["c", "d", "a", "b", "e"]);
        assert_eq!(view.incidents_open(), 1);
        assert_eq!(view.incident("a").unwrap().ended_at, Some(Timestamp::from_millis(70_000)));
    }

    #[test]
    fn history_is_bounded_and_forgets_the_oldest() {
        let mut view = View::default();
        let count = i64::try_from(INCIDENTS_ENDED_MAX).unwrap() + 5;
        for i in 0..count {
            view.apply(&incident(&format!("ended-{i}"), i, Some(i + 1)));
            view.apply(&incident(&format!("open-{i}"), i, None));
        }
        assert_eq!(view.incidents().count(), INCIDENTS_OPEN_MAX + INCIDENTS_ENDED_MAX);
        assert!(view.incident("ended-4").is_none() && view.incident("ended-5").is_some());
        assert!(view.incident("open-4").is_none() && view.incident("open-5").is_some());
        assert!(view.incomplete());
    }
}
