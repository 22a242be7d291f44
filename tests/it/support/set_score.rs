//! How a set of root causes is scored against the true one (RiskLoc, arXiv 2205.10004, §IV-B).

use std::collections::{BTreeMap, BTreeSet};

use floodmark::incident::lattice::Explanation;

/// Root causes: each dimension's value by name.
pub type Causes = BTreeSet<BTreeMap<String, String>>;

/// Counts over all cases; a cause is right only when all its dimensions and values are.
#[derive(Debug, Default, Clone, Copy)]
pub struct SetScore {
    pub cases: usize,
    pub right: usize,
    pub wrong: usize,
    pub missed: usize,
}

impl SetScore {
    /// Whether exactly the true set was found.
    pub fn add(&mut self, found: &Causes, truth: &Causes) -> bool {
        let right = found.intersection(truth).count();
        self.cases += 1;
        self.right += right;
        self.wrong += found.len() - right;
        self.missed += truth.len() - right;
        found == truth
    }

    pub fn precision(&self) -> f64 {
        self.right as f64 / (self.right + self.wrong).max(1) as f64
    }

    pub fn recall(&self) -> f64 {
        self.right as f64 / (self.right + self.missed).max(1) as f64
    }

    /// 2·TP / (2·TP + FP + FN).
    pub fn f1(&self) -> f64 {
        2.0 * self.right as f64 / (2 * self.right + self.wrong + self.missed).max(1) as f64
    }
}

/// What is believed to be the root causes.
pub fn found(explanation: &Explanation) -> Causes {
    let causes = explanation.causes.iter().filter(|cause| cause.stands_out);
    causes.map(|cause| cause.conditions.iter().cloned().collect()).collect()
}
