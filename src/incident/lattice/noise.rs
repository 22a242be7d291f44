//! How much gain there is without a cause: what a search finds at moments at which nothing was to be found.

use super::baseline::{Baseline, Deviation};
use super::search::{Description, candidates, groupings, holds};
use super::table::{Measure, Slot, Table};

/// Moments before that are searched as if they were now. Their median is the noise: some had anomalies of their own.
const MOMENTS: usize = 7;
/// With fewer moments before, others would be compared with too little.
const MOMENTS_MIN: usize = 4;
/// Additions that the search of moments before may take (about a second); above it fewer are searched.
const ADDITIONS_MAX: usize = 400_000_000;

/// The gain that chance and everyday disturbances have.
#[derive(Debug, Clone, Copy)]
pub struct Noise {
    /// Of moments before, where there are enough of them.
    everyday: Option<f64>,
    /// What the dispersion of counts alone brings about in so many groups.
    chance: f64,
}

impl Noise {
    /// From the table's history and what was expected of all of it.
    pub fn new(table: &Table, baseline: &Baseline, all: &Deviation, direction: f64, depth: usize) -> Self {
        // Excess² / weight of a group is its dispersion times what is expected of a unit of weight, times a squared
        // standard normal variable; the greatest of n of those is about 2 ln n.
        let usual = if all.expected == 0.0 { all.actual } else { all.expected };
        let is_ratio = table.measure == Measure::Ratio && all.weight > 0.0;
        let per_weight = if is_ratio { usual.abs() / all.weight } else { 1.0 };
        let chance = baseline.dispersion * per_weight * 2.0 * (table.cells().max(2) as f64).ln();
        let work = table.slots.len() * groupings(table.dimensions.len(), depth).len();
        let moments = MOMENTS.min(table.before).min(ADDITIONS_MAX / work.max(1));
        let mut gains: Vec<f64> = Vec::new();
        if table.before >= MOMENTS_MIN {
            for moment in 0..moments {
                gains.push(best_gain_at(table, moment, direction, depth));
            }
        }
        gains.sort_unstable_by(f64::total_cmp);
        Self { everyday: gains.get(gains.len() / 2).copied(), chance }
    }

    /// Without a look at what deviates now.
    pub fn before(&self) -> f64 {
        self.everyday.unwrap_or(0.0).max(self.chance)
    }

    /// With it: without a history, what deviates the other way shows how much deviates anyway.
    pub fn now(&self, table: &Table, baseline: &Baseline, active: &[bool], direction: f64, depth: usize) -> f64 {
        if self.everyday.is_some() {
            return self.before();
        }
        let opposite = candidates(table, baseline, active, -direction, depth);
        opposite.first().map_or(0.0, |candidate| candidate.gain).max(self.chance)
    }
}

/// The best gain of a moment before, compared with the others.
fn best_gain_at(table: &Table, moment: usize, direction: f64, depth: usize) -> f64 {
    let earlier = table.at(moment);
    let baseline = Baseline::new(&earlier);
    let active = vec![true; earlier.cells()];
    candidates(&earlier, &baseline, &active, direction, depth).first().map_or(0.0, |candidate| candidate.gain)
}

impl Table {
    /// The table as if `moment` were now, and now had not been.
    fn at(&self, moment: usize) -> Self {
        let width = self.before + 1;
        let others = |slots: &[Slot]| -> Vec<Slot> {
            let before = slots[..self.before].iter().enumerate().filter(|(place, _)| *place != moment);
            before.map(|(_, slot)| *slot).chain([slots[moment]]).collect()
        };
        Self {
            dimensions: self.dimensions.clone(),
            values: self.values.clone(),
            measure: self.measure,
            before: self.before - 1,
            codes: self.codes.clone(),
            slots: self.slots.chunks(width).flat_map(others).collect(),
            absent: self.absent.clone(),
            expected: None,
        }
    }
}

/// Takes the described cells out of what is to be explained.
pub fn exclude(table: &Table, description: &Description, active: &mut [bool]) {
    for (cell, active) in active.iter_mut().enumerate() {
        *active &= !holds(description, table.codes_of(cell));
    }
}
