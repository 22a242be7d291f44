//! `query:` of a rule, in the core: the rows that the shell has asked for come as signals, and are judged like any other.

use std::collections::BTreeMap;

use super::QueryRuleSpec;
use super::told::Told;
use crate::detect::{Detector, Finding, Scene};
use crate::flow::SignalCell;
use crate::model::{AlertName, Dimensions, DurationMs, ROWS_METRIC, Timestamp, rule_row_labels, rule_source};

/// Rows that one evaluation may give; one that gives more has failed.
pub const RULE_ROWS_MAX: usize = 1_000;
/// An answer tells of now for so many intervals of the rule: later nothing is known.
const INTERVALS_CURRENT: DurationMs = 3;

/// The detector's state.
#[derive(Debug)]
pub struct QueryThreshold {
    alert: AlertName,
    spec: QueryRuleSpec,
    subject: String,
    /// Rows of the newest answer, by labels. While an answer is coming in, also those that are not in it.
    rows: BTreeMap<Dimensions, Row>,
    answered_at: Option<Timestamp>,
    overflowed: u64,
}

/// A row.
#[derive(Debug, Clone, Copy)]
struct Row {
    at: Timestamp,
    value: f64,
    /// Since when it is past the threshold.
    since: Option<Timestamp>,
}

impl QueryThreshold {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(alert: AlertName, spec: &QueryRuleSpec) -> Self {
        Self {
            alert,
            subject: format!("{} of {}", spec.value, spec.name),
            spec: spec.clone(),
            rows: BTreeMap::new(),
            answered_at: None,
            overflowed: 0,
        }
    }

    /// Takes the window's rows in, and lets go of those that the newest answer does not have any more.
    fn read(&mut self, scene: &Scene<'_>) {
        let own = rule_source(self.alert.as_str());
        let mut answered = self.answered_at;
        let mut rows: Vec<(Dimensions, &SignalCell)> = Vec::new();
        for ((source, metric), cell) in &scene.window.signals {
            let (source, metric) = (scene.names.text(*source), scene.names.text(*metric));
            if *source == own && metric == ROWS_METRIC {
                answered = answered.max(Some(cell.at));
            } else if *metric == self.spec.value.as_str() {
                rows.extend(rule_row_labels(self.alert.as_str(), source).map(|labels| (labels, cell)));
            }
        }
        rows.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (labels, cell) in rows {
            if self.rows.len() >= RULE_ROWS_MAX && !self.rows.contains_key(&labels) {
                self.rows.retain(|_, row| answered.is_none_or(|at| row.at >= at));
            }
            if self.rows.len() >= RULE_ROWS_MAX && !self.rows.contains_key(&labels) {
                self.overflowed += 1;
                continue;
            }
            let row = self.rows.entry(labels).or_insert(Row { at: cell.at, value: cell.last, since: None });
            (row.at, row.value) = (cell.at, cell.last);
        }
        if answered > self.answered_at {
            self.answered_at = answered;
            self.rows.retain(|_, row| answered.is_none_or(|at| row.at >= at));
        }
    }

    /// Whether the newest answer tells of `end`.
    fn is_current(&self, end: Timestamp) -> bool {
        self.answered_at.is_some_and(|at| end.since(at) <= INTERVALS_CURRENT * self.spec.every.as_millis())
    }
}

impl Detector for QueryThreshold {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        self.read(scene);
        if !self.is_current(scene.window.end) {
            return Vec::new();
        }
        let level = self.spec.level();
        let mut findings = Vec::new();
        for (labels, row) in &mut self.rows {
            let begun = row.at.min(scene.window.end);
            row.since = level.holds(row.value, row.since.is_some()).then(|| row.since.unwrap_or(begun));
            let told = row.since.map(|since| Told {
                alert: self.alert,
                labels: labels.clone(),
                since,
                value: row.value,
                level,
                unit: self.spec.unit(),
                subject: &self.subject,
                over_ms: None,
            });
            findings.extend(told.map(Told::finding));
        }
        findings
    }

    /// A row that the newest answer does not have is over; without an answer nothing is known.
    fn judged(&self, _: &Dimensions, scene: &Scene<'_>) -> Option<bool> {
        Some(self.is_current(scene.window.end))
    }

    fn overflowed(&self) -> u64 {
        self.overflowed
    }
}
