//! What is remembered of one page.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::model::{
    Affected, AlertName, Cause, Contributor, Customer, Dimensions, IncidentReport, PageAlert, RuledOut, SampleQuery,
    SampleRequest, Severity, Text, Timestamp, Transition, TransitionEvent,
};

/// Alerts of a page that are remembered with all they say; further ones by identity only.
pub(super) const ALERTS_KEPT_MAX: usize = 50;
/// Contributors of a storm that are remembered; further ones are counted.
const CONTRIBUTORS_KEPT_MAX: usize = 100;
/// Causes, refused candidates, customers and actions remembered of each kind.
const FACTS_MAX: usize = 20;

/// Identity of an alert: a hash of name, severity and labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct AlertId(pub u64);

impl AlertId {
    pub fn of(alert: AlertName, severity: Severity, labels: &Dimensions) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(alert.as_str());
        hasher.update([0, severity as u8]);
        Self(finish(hasher, labels))
    }
}

/// A hash of labels alone: who it is, whatever the alert.
pub(super) fn subject_of(labels: &Dimensions) -> u64 {
    finish(Sha256::new(), labels)
}

fn finish(mut hasher: Sha256, labels: &Dimensions) -> u64 {
    for (dimension, value) in &labels.0 {
        hasher.update([0, *dimension as u8]);
        hasher.update((value.len() as u64).to_le_bytes());
        hasher.update(value);
    }
    let hash = hasher.finalize();
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// What a page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum PageKind {
    /// One incident.
    Incident,
    /// More incidents at once than a person can be told of one by one.
    Storm,
}

/// Where a page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    /// It goes on.
    Open,
    /// It flaps: no alert fires since this moment, and it is waited whether that stays so.
    Quiet(Timestamp),
    /// It is over.
    Resolved,
}

/// An alert that is remembered with all it says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct KnownAlert {
    pub id: AlertId,
    pub alert: PageAlert,
    /// Inhibited: of another incident, and told inside this page.
    pub is_inhibited: bool,
    /// When it fired.
    pub fired_at: Timestamp,
}

/// What an alert may claim of a page that has no room left: one alert that no silence means is always remembered, or the
/// page would pass for silenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// The room of a milder one, or of one that is over.
    Usual,
    /// Room: no silence means it, and silences mean all that are remembered.
    First,
    /// As usual, but not that of this one, which no silence means.
    Behind(AlertId),
}

/// Who has taken a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who.
    pub author: Text,
    /// What they say about it.
    pub note: String,
    /// When, by the wall clock.
    pub at: Timestamp,
    /// When it ends, by the wall clock.
    pub expires_at: Timestamp,
}

/// What was last said of a page: news is what differs from it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Said {
    pub revision: u32,
    /// Event time.
    pub at: Option<Timestamp>,
    pub severity: Option<Severity>,
    pub lead: Option<AlertId>,
    pub names_a_cause: bool,
    pub affected: u64,
    pub members: u64,
    pub openings: usize,
    /// Receivers were told that it is open, and not yet that it is over.
    pub is_open: bool,
    /// The silence that kept it from receivers.
    pub silenced_by: Option<Text>,
}

/// What an incident's report adds to its alerts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Facts {
    pub causes: Vec<Cause>,
    pub ruled_out: Vec<RuledOut>,
    pub affected: Affected,
    pub customers: Vec<Customer>,
    #[serde(default)]
    pub sample_requests: Vec<SampleRequest>,
    #[serde(default)]
    pub sample_queries: Vec<SampleQuery>,
    pub actions: Vec<String>,
}

impl Facts {
    pub fn of(report: &IncidentReport) -> Self {
        Self {
            causes: report.causes.iter().take(FACTS_MAX).cloned().collect(),
            ruled_out: report.ruled_out.iter().take(FACTS_MAX).cloned().collect(),
            affected: report.affected,
            customers: report.customers.iter().take(FACTS_MAX).cloned().collect(),
            sample_requests: report.sample_requests.clone(),
            sample_queries: report.sample_queries.clone(),
            actions: report.actions.iter().take(FACTS_MAX).cloned().collect(),
        }
    }
}

/// One page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct PageState {
    pub key: Text,
    pub kind: PageKind,
    pub phase: Phase,
    /// Incidents of the core that are told here.
    pub incidents: BTreeSet<Text>,
    pub severity: Severity,
    pub since: Timestamp,
    pub at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    pub alerts: Vec<KnownAlert>,
    /// Alerts that ever were part of it.
    pub members: u64,
    /// Alerts that found no room among those that are followed: they count, and nobody waits for their end.
    pub not_followed: u64,
    /// Of a storm: when it last took what would have opened.
    pub joined_at: Option<Timestamp>,
    /// Of a storm: who, with weights in millionths of all requests, heaviest first.
    pub contributors: Vec<(Dimensions, u64)>,
    pub contributors_total: u64,
    pub weight_total: u64,
    pub facts: Facts,
    pub acknowledgement: Option<Acknowledgement>,
    pub said: Said,
    /// Moments within the last hour at which it opened.
    pub openings: Vec<Timestamp>,
    pub is_flapping: bool,
    /// Alerts that opened it.
    pub openers: BTreeSet<AlertId>,
    /// Of what went before the restart: its alerts have not fired again yet.
    pub is_restored: bool,
    pub note: Option<String>,
}

impl PageState {
    pub fn new(key: Text, kind: PageKind, first: &Fired) -> Self {
        Self {
            key,
            kind,
            phase: Phase::Open,
            incidents: BTreeSet::new(),
            severity: first.alert.severity,
            since: first.alert.since,
            at: first.at,
            resolved_at: None,
            alerts: Vec::new(),
            members: 0,
            not_followed: 0,
            joined_at: None,
            contributors: Vec::new(),
            contributors_total: 0,
            weight_total: 0,
            facts: Facts::default(),
            acknowledgement: None,
            said: Said::default(),
            openings: Vec::new(),
            is_flapping: false,
            openers: BTreeSet::new(),
            is_restored: false,
            note: None,
        }
    }

    pub fn is_storm(&self) -> bool {
        self.kind == PageKind::Storm
    }

    pub fn is_resolved(&self) -> bool {
        self.phase == Phase::Resolved
    }

    /// What leads: the first alert of the worst severity; one that still fires before one that is over.
    pub fn lead(&self) -> Option<&KnownAlert> {
        let own = || self.alerts.iter().filter(|known| !known.is_inhibited);
        let order = |known: &&KnownAlert| {
            (
                std::cmp::Reverse(known.alert.severity),
                known.alert.resolved_at.is_some(),
                known.fired_at,
                known.alert.since,
            )
        };
        if self.is_resolved() {
            // Over: what led, leads.
            return own().find(|known| Some(known.id) == self.said.lead).or_else(|| own().min_by_key(order));
        }
        own().min_by_key(order)
    }

    /// Takes in what is said of one of its alerts. Gives the one that finds no room among those remembered with all they
    /// say: it, or another that made room for it.
    pub fn note_alert(&mut self, fired: &Fired, is_inhibited: bool, claim: Claim) -> Option<KnownAlert> {
        let (id, alert) = (fired.id, fired.alert.clone());
        let fires = alert.resolved_at.is_none();
        if let Some(known) = self.alerts.iter_mut().find(|known| known.id == id) {
            let fired_at = if fires { fired.at } else { known.fired_at };
            *known = KnownAlert { id, alert, is_inhibited, fired_at };
            return None;
        }
        if !fires {
            return None;
        }
        let mut displaced = None;
        if self.alerts.len() >= ALERTS_KEPT_MAX {
            // What is over, or milder, makes room.
            let others = self.alerts.iter().enumerate().filter(|(_, known)| claim != Claim::Behind(known.id));
            let mildest = others.min_by_key(|(_, known)| {
                (known.alert.resolved_at.is_none(), known.alert.severity, std::cmp::Reverse(known.fired_at))
            });
            let (place, known) = mildest?;
            let is_weaker = known.alert.resolved_at.is_some() || known.alert.severity < alert.severity;
            if !is_weaker && claim != Claim::First {
                return Some(KnownAlert { id, alert, is_inhibited, fired_at: fired.at });
            }
            displaced = Some(self.alerts.remove(place));
        }
        self.alerts.push(KnownAlert { id, alert, is_inhibited, fired_at: fired.at });
        displaced
    }

    /// Counts a contributor of a storm; `is_new` when nothing of it was counted before.
    pub fn note_contributor(&mut self, fired: &Fired, is_new: bool) {
        let weight = (fired.affected.requests_share.clamp(0.0, 1.0) * 1e6).round().max(1.0) as u64;
        self.contributors_total += u64::from(is_new);
        self.weight_total = self.weight_total.saturating_add(weight);
        let lightest = self.contributors.last().map_or(0, |(_, weight)| *weight);
        let known = self.contributors.iter().position(|(labels, _)| *labels == fired.alert.labels);
        match known {
            Some(place) => self.contributors[place].1 = self.contributors[place].1.saturating_add(weight),
            None if self.contributors.len() < CONTRIBUTORS_KEPT_MAX || weight > lightest => {
                self.contributors.push((fired.alert.labels.clone(), weight));
            }
            None => return,
        }
        self.contributors.sort_by(|(a, a_weight), (b, b_weight)| b_weight.cmp(a_weight).then_with(|| a.cmp(b)));
        self.contributors.truncate(CONTRIBUTORS_KEPT_MAX);
    }

    /// Takes causes and who is affected from an alert, until a report knows better.
    pub fn note_causes(&mut self, fired: &Fired) {
        if self.is_storm() {
            self.facts.affected.subscriptions = self.contributors_total;
            let share = self.weight_total as f64 / 1e6;
            self.facts.affected.requests_share = share.min(1.0);
            return;
        }
        if self.facts.causes.is_empty() {
            self.facts.causes = fired.causes.iter().take(FACTS_MAX).cloned().collect();
        }
        if fired.affected.subscriptions > self.facts.affected.subscriptions {
            self.facts.affected = fired.affected;
        }
    }

    /// Whether its first cause names somebody.
    pub fn names_a_cause(&self) -> bool {
        self.facts.causes.first().is_some_and(|cause| !cause.dimensions.is_empty())
    }

    /// The heaviest contributors of a storm with their share.
    pub fn shares(&self, count: usize) -> Vec<Contributor> {
        let total = self.weight_total.max(1) as f64;
        let share = |(labels, weight): &(Dimensions, u64)| Contributor {
            dimensions: labels.clone(),
            share: crate::detect::rounded(*weight as f64 / total),
        };
        self.contributors.iter().take(count).map(share).collect()
    }
}

/// An alert that fired or resolved, as far as pages care.
#[derive(Debug, Clone)]
pub(super) struct Fired {
    pub id: AlertId,
    pub alert: PageAlert,
    pub incident: Text,
    /// When it was decided.
    pub at: Timestamp,
    pub causes: Vec<Cause>,
    pub affected: Affected,
}

impl Fired {
    pub fn of(transition: &Transition) -> Self {
        Self {
            id: AlertId::of(transition.alert, transition.severity, &transition.labels),
            alert: page_alert(transition),
            incident: transition.incident.clone(),
            at: transition.at,
            causes: transition.causes.clone(),
            affected: transition.affected,
        }
    }
}

/// An alert as a page tells it.
pub(super) fn page_alert(transition: &Transition) -> PageAlert {
    PageAlert {
        alert: transition.alert,
        severity: transition.severity,
        labels: transition.labels.clone(),
        since: transition.since,
        resolved_at: (transition.event == TransitionEvent::Resolved).then_some(transition.at),
        value: transition.value,
        baseline: transition.baseline,
        unit: transition.unit.into(),
        summary: transition.summary.clone(),
        runbook: transition.runbook.clone(),
    }
}
