//! Which alert belongs to which incident, and the words and causes of its transitions.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use super::Adoption;
use super::attribution::{failing_slices, share_of_requests};
use super::changes::{is_release_of, release_evidence, suspects};
use super::open::{Incident, Root, explains};
use super::relation::{Place, place};
use super::ruled_out::refuse;
use super::sample_queries::sample_queries;
use super::sample_requests::sample_requests;
use crate::alert::{AlertChange, AlertKey};
use crate::detect::{Finding, Role, Scene, duration, percent, rounded};
use crate::flow::{ChangeLog, Name};
use crate::model::{
    AlertName, Cause, Confidence, Dimension, DurationMs, IncidentReport, Output, Severity, Text, Timestamp, Transition,
    TransitionEvent,
};

/// An incident without active alerts for this long is over: flapping alerts are one incident.
const LINGER_MS: DurationMs = 600_000;
/// A culprit that makes this share of a failing service's requests explains its failures by load.
const LOAD_SHARE_MIN: f64 = 0.3;
/// Onsets are known to a window or two: a symptom found this much before its culprit may still follow from it.
const BEFORE_SLACK_MS: DurationMs = 30_000;
/// Incidents open at once; at the bound new alerts share the newest one.
const OPEN_MAX: usize = 1_000;

/// What is known of incidents at a moment.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Incidents with an alert that fired, oldest first.
    pub open: Vec<IncidentReport>,
}

/// Open incidents.
#[derive(Debug, Default)]
pub struct Incidents {
    open: Vec<Incident>,
    /// Their ids.
    ids: FxHashSet<Text>,
    adoption: Adoption,
    fired_total: u64,
    /// Incident and last told causes of each active alert: they stay its own even when the incident ends before it.
    told: BTreeMap<AlertKey, (Text, Vec<Cause>)>,
}

impl Incidents {
    /// Takes in a closed window, before the changes it led to.
    pub fn push(&mut self, scene: &Scene<'_>) {
        self.adoption.push(scene.window);
        for incident in &mut self.open {
            incident.count(scene.window);
        }
    }

    /// Gives a change its incident, and makes it a transition.
    pub fn apply(
        &mut self,
        change: &AlertChange,
        scene: &Scene<'_>,
        changes: &ChangeLog,
        runbook: &Text,
    ) -> Transition {
        if change.event == TransitionEvent::Resolved
            && let Some((id, told)) = self.told.remove(&change.key)
        {
            let causes = if change.finding.role == Role::Symptom { told } else { change.finding.causes.clone() };
            // What it was about was said while it lasted; the calm minute at its end knows nothing of it.
            if let Some(incident) = self.open.iter_mut().find(|incident| incident.holds(&change.key)) {
                incident.apply(change, &causes, scene.window.end);
                Self::rule_out(incident, change, &causes, scene, changes, &self.adoption);
            }
            return transition(change, id, causes, scene.window.end, runbook);
        }
        let place = self.place(change, scene);
        let causes = self.causes(place, change, scene, changes);
        let incident = &mut self.open[place];
        let had_fired = incident.has_fired();
        if incident.apply(change, &causes, scene.window.end) {
            incident.note_samples(sample_requests(change, &causes, scene), sample_queries(change, &causes, scene));
        }
        self.fired_total += u64::from(!had_fired && incident.has_fired());
        Self::rule_out(incident, change, &causes, scene, changes, &self.adoption);
        let id = incident.id().clone();
        self.told.insert(change.key.clone(), (id.clone(), causes.clone()));
        transition(change, id, causes, scene.window.end, runbook)
    }

    /// Makes a transition of an alert that ended because its rule is gone: nothing new is known of it.
    pub fn resolve(&mut self, change: &AlertChange, at: Timestamp, runbook: &Text) -> Transition {
        let (id, told) = self.told.remove(&change.key).unwrap_or_default();
        let causes = if change.finding.role == Role::Symptom { told } else { change.finding.causes.clone() };
        if let Some(incident) = self.open.iter_mut().find(|incident| incident.holds(&change.key)) {
            incident.apply(change, &causes, at);
        }
        let mut resolved = transition(change, id, causes, at, runbook);
        resolved.summary = format!("its rule was removed; at its worst: {}", change.finding.summary);
        resolved
    }

    /// Refuses what looks like the cause and is not; of an incident without a culprit, what is not the cause of this alert.
    fn rule_out(
        incident: &mut Incident,
        change: &AlertChange,
        causes: &[Cause],
        scene: &Scene<'_>,
        changes: &ChangeLog,
        adoption: &Adoption,
    ) {
        if change.key.severity.0 != Severity::Critical {
            return;
        }
        let root = incident.root().cloned().unwrap_or_else(|| root_of(change, causes));
        let named = incident.root().is_some();
        let is_symptom = |source: &str| !named && incident.is_about(Dimension::Source, source);
        incident.rule_out(refuse(&root, &is_symptom, scene, changes, adoption));
        for told in changes.until(root.since).filter(|told| is_release_of(told, &root)) {
            incident.timeline.change(told);
        }
        for (told, _) in suspects(&root, changes) {
            incident.timeline.change(told);
        }
    }

    /// While an alert holds, its newest finding may be the strongest picture of the incident.
    pub fn observe(&mut self, active: &AlertChange, scene: &Scene<'_>, changes: &ChangeLog) {
        if active.event != TransitionEvent::Firing || active.finding.role != Role::Cause {
            return;
        }
        let Some(place) = self.open.iter().position(|incident| incident.holds(&active.key)) else { return };
        let causes = self.causes(place, active, scene, changes);
        if self.open[place].note(active, &causes) {
            let (requests, queries) = (sample_requests(active, &causes, scene), sample_queries(active, &causes, scene));
            self.open[place].note_samples(requests, queries);
        }
    }

    /// Forgets alerts that are not active any more.
    pub fn keep_active(&mut self, is_active: &dyn Fn(&AlertKey) -> bool) {
        self.open.iter_mut().for_each(|incident| incident.keep_active(is_active));
        self.told.retain(|key, _| is_active(key));
    }

    /// Ends what has been over for long enough at `at`.
    pub fn tick(&mut self, at: Timestamp) -> Vec<Output> {
        for incident in &mut self.open {
            incident.touch(at);
        }
        let (over, open): (Vec<Incident>, Vec<Incident>) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|incident| !incident.is_active() && at.since(incident.last_active()) >= LINGER_MS);
        self.open = open;
        for incident in &over {
            self.ids.remove(incident.id());
        }
        over.iter().filter(|i| i.has_fired()).map(|i| Output::Incident(i.report(true))).collect()
    }

    /// What is open at the end of a log. An incident whose alerts have all resolved has ended.
    pub fn finish(&mut self) -> Vec<Output> {
        let open = std::mem::take(&mut self.open);
        self.ids.clear();
        open.iter().filter(|i| i.has_fired()).map(|i| Output::Incident(i.report(!i.is_active()))).collect()
    }

    /// Incidents with an alert that fired and that are not over.
    #[must_use]
    pub fn view(&self) -> View {
        View { open: self.open.iter().filter(|i| i.has_fired()).map(|i| i.report(!i.is_active())).collect() }
    }

    /// An active alert as its transition would say it now.
    #[must_use]
    pub fn describe(&self, change: &AlertChange, at: Timestamp, runbook: &Text) -> Transition {
        let (id, told) = self.told.get(&change.key).cloned().unwrap_or_default();
        let causes = if change.finding.causes.is_empty() { told } else { change.finding.causes.clone() };
        transition(change, id, causes, at, runbook)
    }

    /// Incidents of which an alert fired, so far.
    #[must_use]
    pub fn fired_total(&self) -> u64 {
        self.fired_total
    }

    fn place(&mut self, change: &AlertChange, scene: &Scene<'_>) -> usize {
        let at = scene.window.end;
        // Whatever an incident holds was told of. With thousands of alerts at once, asking each incident takes seconds.
        let held = |incident: &Incident| incident.holds(&change.key);
        if self.told.contains_key(&change.key)
            && let Some(place) = self.open.iter().position(held)
        {
            return place;
        }
        match place(&self.open, change, at, scene.recent.edge_total().failure_ratio()) {
            Some(Place::Joins(place)) => return place,
            Some(Place::Leads(place)) => {
                self.open[place].replace_root(change);
                return place;
            }
            None => {}
        }
        let incident = Incident::new(change, at);
        // The same alert of the same onset is the same incident, even when it went away for a while.
        if self.ids.contains(incident.id())
            && let Some(place) = self.open.iter().position(|known| known.id() == incident.id())
        {
            return place;
        }
        if self.open.len() < OPEN_MAX {
            self.ids.insert(incident.id().clone());
            self.open.push(incident);
        }
        self.open.len() - 1
    }

    /// Causes of a transition: the finding's own, completed by what the incident and the changes know.
    fn causes(&self, place: usize, change: &AlertChange, scene: &Scene<'_>, changes: &ChangeLog) -> Vec<Cause> {
        let finding = &change.finding;
        let incident = &self.open[place];
        let mut causes = match finding.role {
            Role::Cause => self.with_release(finding, change, scene, changes),
            Role::Separate => finding.causes.clone(),
            Role::Symptom => {
                let service = change.key.labels.get(Dimension::Service);
                let culprit = culprit(incident, change, scene);
                let mut causes = finding.causes.clone();
                if finding.alert == AlertName::ErrorBudgetBurn && culprit.is_none() {
                    causes.extend(failing_slices(scene.recent, service, scene.names));
                }
                causes.extend(culprit);
                causes
            }
        };
        let of_client = finding.alert == AlertName::RetryAmplification || finding.role == Role::Separate;
        if !of_client {
            causes.extend(suspects(&root_of(change, &causes), changes).into_iter().map(|(_, cause)| cause));
            // The finding's own first cause stays first; "no narrower culprit" is what is left when nothing else is.
            let nothing_narrower = |cause: &Cause| cause.dimensions.is_empty() && cause.confidence == Confidence::Low;
            causes.sort_by_key(nothing_narrower);
        }
        causes
    }

    fn with_release(
        &self,
        finding: &Finding,
        change: &AlertChange,
        scene: &Scene<'_>,
        changes: &ChangeLog,
    ) -> Vec<Cause> {
        let mut causes = finding.causes.clone();
        let root = root_of(change, &causes);
        let more = release_evidence(&root, version_names(&root, scene), changes, &self.adoption, scene.window.end);
        if let (Some(first), Some(more)) = (causes.first_mut(), more) {
            first.evidence = format!("{}; {more}", first.evidence);
        }
        causes
    }
}

/// What an alert says, as the culprit of an incident.
fn root_of(change: &AlertChange, causes: &[Cause]) -> Root {
    Root {
        alert: change.key.alert,
        labels: change.key.labels.clone(),
        dimensions: causes.first().map(|c| c.dimensions.clone()).unwrap_or_default(),
        since: change.since,
        explains: explains(change),
    }
}

/// The names of the culprit's client and version, looked up among the last minute's requests.
fn version_names(root: &Root, scene: &Scene<'_>) -> Option<(Name, Name)> {
    root.labels.get(Dimension::ClientVersion)?;
    let mut keys = scene.recent.cells().map(|(key, _)| key);
    let key = keys.find(|key| super::attribution::matches(key, &root.labels, scene.names))?;
    Some((key.client, key.client_version))
}

/// The incident's culprit as the cause of a symptom: by its share of the load, or, when it makes no requests of its
/// own, because it began before.
fn culprit(incident: &Incident, change: &AlertChange, scene: &Scene<'_>) -> Option<Cause> {
    let Some(root) = incident.root() else {
        // Where nobody is named, what stands furthest up the chain of symptoms is the best there is.
        let own = |cause: &&Cause| change.finding.causes.iter().all(|known| known.dimensions != cause.dimensions);
        return incident.way_in().filter(own).cloned();
    };
    if root.alert != AlertName::RetryAmplification {
        let before = change.since.since(root.since) >= -BEFORE_SLACK_MS && root.labels != change.key.labels;
        return before.then(|| Cause {
            dimensions: root.dimensions.clone(),
            share: 1.0,
            confidence: Confidence::Medium,
            evidence: format!("{} of {} began at {}, before this", root.alert, root.labels, root.since),
        });
    }
    let service = change.key.labels.get(Dimension::Service);
    let share = share_of_requests(scene.recent, service, &root.labels, scene.names);
    (share >= LOAD_SHARE_MIN).then(|| Cause {
        dimensions: root.dimensions.clone(),
        share: rounded(share),
        confidence: Confidence::Medium,
        evidence: format!(
            "{} of the requests come from {}, which repeats them since {}",
            percent(share),
            root.labels,
            root.since
        ),
    })
}

fn transition(change: &AlertChange, incident: Text, causes: Vec<Cause>, at: Timestamp, runbook: &Text) -> Transition {
    let finding = &change.finding;
    let summary = if change.event == TransitionEvent::Resolved {
        format!("over after {}; at its worst: {}", duration(at.since(change.since)), finding.summary)
    } else {
        finding.summary.clone()
    };
    Transition {
        at,
        event: change.event,
        alert: change.key.alert,
        severity: change.key.severity.0,
        incident,
        since: change.since,
        labels: change.key.labels.clone(),
        value: finding.value,
        baseline: finding.baseline,
        unit: finding.unit,
        causes,
        affected: finding.affected,
        summary,
        runbook: runbook.clone(),
    }
}
