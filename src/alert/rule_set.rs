//! The rules in force, each with its detector; and how others take their place.

use std::cmp::Reverse;

use super::rules::{Rule, RuleKey, Rules};
use crate::detect::{Detector, Limits};

/// The rules in force.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<(Rule, Box<dyn Detector>)>,
    limits: Limits,
}

/// What a reload changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct RuleChanges {
    /// Rules in force now.
    pub rules: usize,
    /// Of these, new ones, and such whose detector begins anew because its parameters are others.
    pub new: usize,
    /// Of these, others: their detectors have kept what they saw.
    pub kept: usize,
    /// Rules that were in force and are not.
    pub removed: usize,
}

impl RuleSet {
    /// Rules with detectors that have seen nothing yet.
    #[must_use]
    pub fn new(rules: &Rules, limits: &Limits) -> Self {
        let mut set = Self { rules: Vec::new(), limits: limits.clone() };
        set.replace(rules, limits);
        set
    }

    /// Puts other rules in force. The detector of a rule is kept where it looks for the same: timing and words may change.
    pub fn replace(&mut self, rules: &Rules, limits: &Limits) -> RuleChanges {
        let mut old = std::mem::take(&mut self.rules);
        let before = old.len();
        let same_limits = self.limits == *limits;
        let mut changes = RuleChanges { rules: rules.rules.len(), ..RuleChanges::default() };
        let mut known = 0;
        for rule in &rules.rules {
            let place = old.iter().position(|(old, _)| old.key() == rule.key());
            let replaced = place.map(|place| old.swap_remove(place));
            known += usize::from(replaced.is_some());
            let kept =
                replaced.filter(|(old, _)| old.detect == rule.detect && (same_limits || !rule.detect.uses_limits()));
            changes.kept += usize::from(kept.is_some());
            let detector = kept.map_or_else(|| rule.detect.detector(rule.alert, limits), |(_, detector)| detector);
            self.rules.push((rule.clone(), detector));
        }
        changes.new = changes.rules - changes.kept;
        changes.removed = before - known;
        // Critical rules first: in the same window they silence the warning of the same name.
        self.rules.sort_by_key(|(rule, _)| Reverse(rule.labels.severity));
        self.limits = limits.clone();
        changes
    }

    /// What tells the rules apart.
    #[must_use]
    pub fn keys(&self) -> Vec<RuleKey> {
        self.rules.iter().map(|(rule, _)| rule.key()).collect()
    }

    /// The rules with their detectors, critical ones first.
    pub fn iter(&self) -> impl Iterator<Item = &(Rule, Box<dyn Detector>)> {
        self.rules.iter()
    }

    /// The same, to be stepped.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut (Rule, Box<dyn Detector>)> {
        self.rules.iter_mut()
    }
}
