//! The rules in force, each with its detector; and how others take their place.

use std::cmp::Reverse;

use super::rules::{Rule, RuleKey, Rules};
use crate::detect::{Detector, Limits};

/// The rules in force.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<(Rule, Box<dyn Detector>)>,
    limits: Limits,
    /// What detectors that are gone could not tell apart: a count of all time does not go back.
    retired_overflowed: u64,
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
        let mut set = Self { rules: Vec::new(), limits: limits.clone(), retired_overflowed: 0 };
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
            let place = old.iter().position(|(old, _)| old.key() == rule.key()).or_else(|| {
                // Of another severity now: what was seen is worth the same.
                let is_free = |old: &Rule| rules.rules.iter().all(|rule| rule.key() != old.key());
                let is_same = |old: &Rule| old.alert == rule.alert && old.detect.is_like(&rule.detect);
                old.iter().position(|(old, _)| is_free(old) && is_same(old))
            });
            let replaced = place.map(|place| old.swap_remove(place));
            known += usize::from(replaced.is_some());
            let detector = match replaced {
                Some((old, mut detector))
                    if old.detect.is_like(&rule.detect) && (same_limits || !rule.detect.uses_limits()) =>
                {
                    changes.kept += 1;
                    if old.detect != rule.detect {
                        detector.leave_services(rule.detect.except_services());
                    }
                    detector
                }
                replaced => {
                    self.retire(replaced.as_slice());
                    rule.detect.detector(rule.alert, limits)
                }
            };
            self.rules.push((rule.clone(), detector));
        }
        self.retire(&old);
        changes.new = changes.rules - changes.kept;
        changes.removed = before - known;
        // Critical rules first: in the same window they silence the warning of the same name.
        self.rules.sort_by_key(|(rule, _)| Reverse(rule.labels.severity));
        self.limits = limits.clone();
        changes
    }

    fn retire(&mut self, gone: &[(Rule, Box<dyn Detector>)]) {
        self.retired_overflowed += gone.iter().map(|(_, detector)| detector.overflowed()).sum::<u64>();
    }

    /// How much the detectors could not tell apart because a bound was reached, those that are gone included.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        let in_force: u64 = self.rules.iter().map(|(_, detector)| detector.overflowed()).sum();
        self.retired_overflowed + in_force
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Detect;
    use crate::config::Span;
    use crate::detect::{Finding, Scene};

    #[derive(Debug)]
    struct Full;

    impl Detector for Full {
        fn observe(&mut self, _: &Scene<'_>) -> Vec<Finding> {
            Vec::new()
        }

        fn overflowed(&self) -> u64 {
            7
        }
    }

    #[test]
    fn what_replaced_and_removed_detectors_could_not_tell_apart_stays_counted() {
        let (rules, limits) = (Rules::shipped().unwrap(), Limits::shipped().unwrap());
        let mut set = RuleSet::new(&rules, &limits);
        set.rules.iter_mut().for_each(|(_, detector)| *detector = Box::new(Full));
        let all = 7 * set.rules.len() as u64;
        assert_eq!(set.overflowed(), all);
        let mut other = rules.clone();
        other.rules.remove(0);
        for rule in &mut other.rules {
            match &mut rule.detect {
                Detect::ErrorBudgetBurn(spec) => spec.failures_min += 1,
                _ => rule.r#for = Span::from_secs(1),
            }
        }
        let changes = set.replace(&other, &limits);
        assert_eq!((changes.new, changes.removed), (1, 1));
        assert_eq!(set.overflowed(), all);
        set.replace(&Rules { rules: Vec::new() }, &limits);
        assert_eq!(set.overflowed(), all);
    }
}
