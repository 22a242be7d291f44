//! Which combinations of dimension values explain a deviation: exact search of the lattice of up to three dimensions.
//!
//! Every description (`city = 3, isp = 7`) is a group of cells with an actual count, an expected one and a weight. The
//! description with the greatest *gain* (excess² / weight: explanatory power times excess risk) is found by looking at
//! all of them. It is widened as long as what a wider description has besides deviates too (generalised ripple effect),
//! becomes a root cause, and its cells are taken out; then the next is looked for, until what is left is no more than
//! what every moment has. docs/attribution.md has the formulas and their sources. Pure: no clock, no random source, and
//! the order of rows does not matter.

mod baseline;
mod noise;
mod reference;
mod ripple;
mod search;
mod table;
mod words;

pub use reference::reference_moments;
pub use search::{DEPTH, DEPTH_MAX};
pub use table::{CELLS_MAX, DIMENSIONS_MAX, Measure, Moment, Table, TableBuilder, TableError};

use crate::detect::rounded;
use crate::model::Confidence;
use baseline::{Baseline, Deviation};
use noise::Noise;
use ripple::Scene;

/// Root causes found in one search.
pub const CAUSES_MAX: usize = 20;
/// The first cause has to have this many times the gain that there is without one: it was said that something is wrong.
const FIRST_GAIN_MIN: f64 = 2.0;
/// A further cause has to have this many times the gain that there is without a cause.
const FURTHER_GAIN_MIN: f64 = 5.0;
/// So much makes a cause one to be sure of.
const CERTAIN_GAIN_MIN: f64 = 20.0;
/// A further cause has to explain this share of the deviation: small groups are disturbed at every moment.
const FURTHER_SHARE_MIN: f64 = 0.1;
/// The same where the expectation was given: then small deviations mean something.
const FURTHER_SHARE_MIN_GIVEN: f64 = 0.01;
/// With this share a cause is the cause.
const MAIN_SHARE_MIN: f64 = 0.5;
/// Relative deviation from which on its sign says which way causes deviate; below it the greater gain does.
const CLEAR_DEVIATION_MIN: f64 = 0.05;

/// How far to look.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Dimensions in one description, up to [`DEPTH_MAX`].
    pub depth: usize,
    /// Causes, up to [`CAUSES_MAX`].
    pub causes_max: usize,
    /// Whether to go on after the root causes, with what comes next.
    pub others: bool,
    /// Variance of the counts over their expectation where it is known (1: independent events); else it is estimated.
    pub dispersion: Option<f64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { depth: DEPTH, causes_max: CAUSES_MAX, others: false, dispersion: None }
    }
}

/// What a deviation comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The measure over everything: a sum, or for [`Measure::Ratio`] sum over weight.
    pub actual: f64,
    /// What was expected of it.
    pub expected: f64,
    /// Ranked. Those that `stands_out` are the set of root causes; the others are what comes next.
    pub causes: Vec<RootCause>,
}

/// A description whose cells deviate together.
#[derive(Debug, Clone, PartialEq)]
pub struct RootCause {
    /// Dimension and value, in the order of the table's dimensions. Empty when everything deviates alike.
    pub conditions: Vec<(String, String)>,
    /// Whether it is believed to be a root cause.
    pub stands_out: bool,
    /// Share of the deviation that it explains, 0 to 1.
    pub share: f64,
    /// How sure.
    pub confidence: Confidence,
    /// The measure over its cells.
    pub actual: f64,
    /// What was expected of it.
    pub expected: f64,
    /// The numbers behind it, in one sentence.
    pub evidence: String,
}

/// Finds the root causes of the deviation of now.
#[must_use]
pub fn explain(table: &Table, options: &Options) -> Explanation {
    let depth = options.depth.clamp(1, DEPTH_MAX);
    let mut baseline = Baseline::new(table);
    baseline.dispersion = options.dispersion.unwrap_or(baseline.dispersion);
    let mut active = vec![true; table.cells()];
    let all = Scene { table, baseline: &baseline, active: &active, depth }.measure(&[]);
    let direction = direction(table, &baseline, &active, &all, depth);
    let noise = Noise::new(table, &baseline, &all, direction, depth);
    let mut ranking = Ranking::new(table, all);
    while ranking.wants_more(options) && active.contains(&true) {
        let scene = Scene { table, baseline: &baseline, active: &active, depth };
        let calm = scene.calm(direction);
        let Some(best) = search::candidates(table, &baseline, &active, direction, depth).into_iter().next() else {
            break;
        };
        let level = noise.now(table, &baseline, &active, direction, depth);
        let cause = scene.widen(best);
        noise::exclude(table, &cause.description, &mut active);
        ranking.take(&cause, calm, level, noise.before());
    }
    Explanation {
        actual: words::value(table.measure, all.actual, all.weight),
        expected: words::value(table.measure, all.expected, all.weight),
        causes: ranking.causes,
    }
}

/// 1 where there is too much, −1 where there is too little.
fn direction(table: &Table, baseline: &Baseline, active: &[bool], all: &Deviation, depth: usize) -> f64 {
    if all.excess().abs() >= CLEAR_DEVIATION_MIN * all.expected.abs() && all.excess() != 0.0 {
        return all.excess().signum();
    }
    let gain = |direction| {
        let found = search::candidates(table, baseline, active, direction, depth);
        found.first().map_or(0.0, |candidate| candidate.gain)
    };
    if gain(-1.0) > gain(1.0) { -1.0 } else { 1.0 }
}

/// The causes so far, best first.
struct Ranking<'a> {
    table: &'a Table,
    all: Deviation,
    /// The deviation that shares are of. Where parts of it cancel out, causes explain more than what is left of it.
    whole: f64,
    explained: f64,
    /// Whether one did not stand out: none after it does.
    ended: bool,
    causes: Vec<RootCause>,
}

impl<'a> Ranking<'a> {
    fn new(table: &'a Table, all: Deviation) -> Self {
        Self { table, all, whole: all.excess().abs(), explained: 0.0, ended: false, causes: Vec::new() }
    }

    fn wants_more(&self, options: &Options) -> bool {
        self.causes.len() < options.causes_max.min(CAUSES_MAX) && (options.others || !self.ended)
    }

    /// Adds a cause. `level` is the gain that there is without one, `level_before` the same without a look at now, and
    /// `calm` whether there was nothing left to explain.
    fn take(&mut self, cause: &search::Candidate, calm: bool, level: f64, level_before: f64) {
        let excess = cause.deviation.excess().abs();
        self.whole = self.whole.max(self.explained + excess);
        self.explained += excess;
        let share = if self.whole > 0.0 { (excess / self.whole).min(1.0) } else { 0.0 };
        let share_min = if self.table.expected.is_some() { FURTHER_SHARE_MIN_GIVEN } else { FURTHER_SHARE_MIN };
        let stands_out = if self.causes.is_empty() {
            cause.gain > FIRST_GAIN_MIN * level_before
        } else {
            // What is left alike in everything is no further cause.
            let is_one = !calm && !cause.description.is_empty();
            is_one && cause.gain >= FURTHER_GAIN_MIN * level && share >= share_min
        };
        self.ended |= !stands_out;
        let confidence = match () {
            () if self.ended || cause.description.is_empty() => Confidence::Low,
            () if cause.gain >= CERTAIN_GAIN_MIN * level && share >= MAIN_SHARE_MIN => Confidence::High,
            () if cause.gain >= FURTHER_GAIN_MIN * level => Confidence::Medium,
            () => Confidence::Low,
        };
        let (measure, deviation) = (self.table.measure, &cause.deviation);
        self.causes.push(RootCause {
            conditions: words::conditions(self.table, &cause.description),
            stands_out: !self.ended,
            share: rounded(share),
            confidence,
            actual: words::value(measure, deviation.actual, deviation.weight),
            expected: words::value(measure, deviation.expected, deviation.weight),
            evidence: words::evidence(measure, deviation, &self.all, share),
        });
    }
}

#[cfg(test)]
mod tests;
