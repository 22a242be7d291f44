//! The alert state machine: pending → firing → resolved. Pure; time comes with each step.
//!
//! A condition that is not judged (no requests to its service, a silent source) neither begins nor ends: absent data is
//! not zero. A pending alert whose condition ends before `for` has passed goes away without a transition.

use std::collections::{BTreeMap, BTreeSet};

use super::{Rule, RuleKey};
use crate::detect::{Finding, Role};
use crate::model::{AlertName, Dimension, Dimensions, DurationMs, Severity, Timestamp, TransitionEvent};

/// Alerts that may be active at once; further ones are counted, not tracked. Room for every customer of a platform at once:
/// an alert takes about 3 KiB.
const ACTIVE_MAX: usize = 100_000;

/// Of a silence between two judgements at most this much counts as time without the condition.
const SILENCE_COUNTED_MS: DurationMs = 120_000;

/// An alert about requests ends when its subject has had none for so long, while others had.
const FORGOTTEN_MS: DurationMs = 3_600_000;

/// What a window says of an alert whose condition was not found in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// The condition could be seen, and is gone.
    Gone,
    /// What the alert is about is silent; others are not.
    Silent,
    /// Nothing is known.
    Unknown,
}

/// Identity of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlertKey {
    /// Worst first: a critical alert silences the warning of the same name and labels.
    pub severity: std::cmp::Reverse<Severity>,
    /// Alert name.
    pub alert: AlertName,
    /// What it is about.
    pub labels: Dimensions,
}

impl AlertKey {
    /// Whether it is an alert of this rule.
    #[must_use]
    pub fn is_of(&self, rule: &RuleKey) -> bool {
        let objective = self.labels.get(Dimension::Objective);
        self.alert == rule.alert && self.severity.0 == rule.severity && objective == rule.objective.as_deref()
    }
}

/// An alert changed state.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertChange {
    /// Which alert.
    pub key: AlertKey,
    /// New state.
    pub event: TransitionEvent,
    /// When the condition first held.
    pub since: Timestamp,
    /// Newest finding; on `resolved` the one of the worst moment.
    pub finding: Finding,
}

#[derive(Debug, Clone)]
struct Active {
    firing: bool,
    pending_at: Timestamp,
    since: Timestamp,
    /// How long the condition has been judged and gone.
    cleared_ms: DurationMs,
    judged_at: Timestamp,
    /// How long its subject alone has been silent since it was last judged, and until when.
    silent_ms: DurationMs,
    silent_at: Timestamp,
    latest: Finding,
    peak: Finding,
}

impl Active {
    fn judged(&mut self, at: Timestamp) {
        (self.judged_at, self.silent_at, self.silent_ms) = (at, at, 0);
    }

    fn as_change(&self, key: &AlertKey) -> AlertChange {
        let event = if self.firing { TransitionEvent::Firing } else { TransitionEvent::Pending };
        AlertChange { key: key.clone(), event, since: self.since, finding: self.latest.clone() }
    }
}

/// All active alerts.
#[derive(Debug, Default)]
pub struct AlertStates {
    active: BTreeMap<AlertKey, Active>,
    overflowed: u64,
}

impl AlertStates {
    /// Takes in what `rule` found at the end of a window (`at`). `judge` says of an alert
    /// whose condition was not found whether it could be judged in this window.
    pub fn step(
        &mut self,
        rule: &Rule,
        at: Timestamp,
        findings: Vec<Finding>,
        judge: &dyn Fn(&AlertKey, Role) -> Judgement,
    ) -> Vec<AlertChange> {
        let severity = rule.labels.severity;
        let mut changes = Vec::new();
        let mut holds = BTreeSet::new();
        for finding in findings {
            let key = AlertKey {
                severity: std::cmp::Reverse(severity),
                alert: finding.alert,
                labels: finding.labels.clone(),
            };
            if severity != Severity::Critical && self.worse_is_active(&key) {
                continue;
            }
            holds.insert(key.clone());
            changes.extend(self.hold(rule, key, at, finding));
        }
        let missing: Vec<AlertKey> = self.of_rule(rule).filter(|key| !holds.contains(*key)).cloned().collect();
        for key in missing {
            let Some(active) = self.active.get(&key) else { continue };
            changes.extend(match judge(&key, active.latest.role) {
                Judgement::Gone => self.clear(rule, &key, at),
                Judgement::Silent => self.forget(&key, at),
                Judgement::Unknown => None,
            });
        }
        changes
    }

    fn of_rule<'a>(&'a self, rule: &Rule) -> impl Iterator<Item = &'a AlertKey> {
        let rule = rule.key();
        self.active.keys().filter(move |key| key.is_of(&rule))
    }

    fn worse_is_active(&self, key: &AlertKey) -> bool {
        let worse = AlertKey { severity: std::cmp::Reverse(Severity::Critical), ..key.clone() };
        self.active.contains_key(&worse)
    }

    fn hold(&mut self, rule: &Rule, key: AlertKey, at: Timestamp, finding: Finding) -> Option<AlertChange> {
        if !self.active.contains_key(&key) && self.active.len() >= ACTIVE_MAX {
            self.overflowed += 1;
            return None;
        }
        let known = self.active.contains_key(&key);
        let active = self.active.entry(key.clone()).or_insert_with(|| Active {
            firing: false,
            pending_at: at,
            since: finding.since.min(at),
            cleared_ms: 0,
            judged_at: at,
            silent_ms: 0,
            silent_at: at,
            latest: finding.clone(),
            peak: finding.clone(),
        });
        active.cleared_ms = 0;
        active.judged(at);
        if finding.harm > active.peak.harm {
            active.peak = finding.clone();
        }
        active.latest = finding;
        let event = if active.firing {
            return None;
        } else if at.since(active.pending_at) >= rule.r#for.as_millis() {
            active.firing = true;
            TransitionEvent::Firing
        } else if known {
            return None;
        } else {
            TransitionEvent::Pending
        };
        Some(AlertChange { key, event, since: active.since, finding: active.latest.clone() })
    }

    fn clear(&mut self, rule: &Rule, key: &AlertKey, at: Timestamp) -> Option<AlertChange> {
        let active = self.active.get_mut(key)?;
        // Readings may be far apart, windows between them empty; a long silence does not count as calm, though.
        active.cleared_ms += at.since(active.judged_at).clamp(0, SILENCE_COUNTED_MS);
        active.judged(at);
        if active.firing && active.cleared_ms < rule.keep_firing_for.as_millis() {
            return None;
        }
        self.end(key)
    }

    /// A silent subject is forgotten after a while: it was removed, or nobody needs it.
    fn forget(&mut self, key: &AlertKey, at: Timestamp) -> Option<AlertChange> {
        let active = self.active.get_mut(key)?;
        active.silent_ms += at.since(active.silent_at).clamp(0, SILENCE_COUNTED_MS);
        active.silent_at = at;
        if active.silent_ms < FORGOTTEN_MS { None } else { self.end(key) }
    }

    fn end(&mut self, key: &AlertKey) -> Option<AlertChange> {
        let active = self.active.remove(key)?;
        active.firing.then(|| AlertChange {
            key: key.clone(),
            event: TransitionEvent::Resolved,
            since: active.since,
            finding: active.peak,
        })
    }

    /// Ends all alerts but those that `keep` names: nothing judges them any more. A pending one goes without a word.
    pub fn remove_unless(&mut self, keep: &dyn Fn(&AlertKey) -> bool) -> Vec<AlertChange> {
        let gone: Vec<AlertKey> = self.active.keys().filter(|key| !keep(key)).cloned().collect();
        let removed = gone.into_iter().filter_map(|key| Some((self.active.remove(&key)?, key)));
        let firing = removed.filter(|(active, _)| active.firing);
        let resolved = firing.map(|(active, key)| AlertChange {
            key,
            event: TransitionEvent::Resolved,
            since: active.since,
            finding: active.peak,
        });
        resolved.collect()
    }

    /// Alerts that fire, then those that are pending, each worst first and with its newest finding; no more than `max`.
    pub fn active(&self, max: usize) -> impl Iterator<Item = AlertChange> {
        let firing = self.active.iter().filter(|(_, active)| active.firing);
        let pending = self.active.iter().filter(|(_, active)| !active.firing);
        firing.chain(pending).take(max).map(|(key, active)| active.as_change(key))
    }

    /// Alerts that fire and name who does it, worst first.
    pub fn firing_causes(&self) -> impl Iterator<Item = AlertChange> {
        let causes = self.active.iter().filter(|(_, active)| active.firing && active.latest.role == Role::Cause);
        causes.map(|(key, active)| active.as_change(key))
    }

    /// Whether this alert is pending or firing.
    #[must_use]
    pub fn is_active(&self, key: &AlertKey) -> bool {
        self.active.contains_key(key)
    }

    /// Findings that could not be tracked.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }
}
