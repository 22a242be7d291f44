//! What a group of cells was expected to count, and by how much it deviates.

use super::table::{Measure, Slot, Table};

/// A group with less of the weight than this leans on the ratio of all: few requests say little about their own ratio.
const PRIOR_SHARE: f64 = 0.005;
/// Share of the moments before that is left out at each end: a moment of another anomaly must not be the measure.
const TRIMMED_SHARE: f64 = 0.25;
/// From so many moments on, their median says how much a group usually deviates.
const USUAL_MOMENTS_MIN: usize = 4;
/// From so many moments on, their differences say how much counts vary.
const DISPERSION_MOMENTS_MIN: usize = 3;
/// Median of a squared standard normal variable: makes a variance of a median.
const CHI_SQUARED_MEDIAN: f64 = 0.454_936;

/// A group of cells, now.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Deviation {
    /// What it counts now.
    pub actual: f64,
    /// What it was expected to count.
    pub expected: f64,
    /// How much of it there is to deviate: the denominator of a ratio; of a sum the mean of actual and expected, so that
    /// what appeared and what vanished weigh the same (RiskLoc, arXiv 2205.10004, §III: deviation 2(f−v)/(f+v)).
    pub weight: f64,
}

impl Deviation {
    /// What is too much, or with a minus too little.
    #[must_use]
    pub fn excess(&self) -> f64 {
        self.actual - self.expected
    }

    /// Excess per weight.
    #[must_use]
    pub fn lift(&self) -> f64 {
        if self.weight > 0.0 { self.excess() / self.weight } else { 0.0 }
    }

    /// Excess times lift: by how much saying "this group deviates alike" lessens the weighted squared deviation.
    #[must_use]
    pub fn gain(&self) -> f64 {
        self.excess() * self.lift()
    }
}

/// What groups are measured by.
#[derive(Debug, Clone, Copy)]
pub struct Baseline {
    measure: Measure,
    given: bool,
    prior_rate: f64,
    prior_weight: f64,
    /// Variance of a count over its expectation (Fano factor): how much groups vary without an anomaly, at least.
    pub dispersion: f64,
}

/// Sums of a group: a slot a moment, and the expectation where it was given.
#[derive(Debug, Clone, Default)]
pub struct Sums {
    pub slots: Vec<Slot>,
    pub expected: f64,
}

impl Sums {
    pub fn add(&mut self, table: &Table, cell: usize) {
        self.slots.resize(table.before + 1, Slot::default());
        for (sum, slot) in self.slots.iter_mut().zip(table.slots_of(cell)) {
            sum.actual += slot.actual;
            sum.weight += slot.weight;
        }
        self.expected += table.expected_of(cell);
    }
}

impl Baseline {
    /// From the whole table.
    pub fn new(table: &Table) -> Self {
        let mut all = Sums::default();
        (0..table.cells()).for_each(|cell| all.add(table, cell));
        let mut baseline = Self {
            measure: table.measure,
            given: table.expected.is_some(),
            prior_rate: 0.0,
            prior_weight: 0.0,
            dispersion: 0.0,
        };
        let before = all.slots.get(..table.before).unwrap_or_default();
        if !before.is_empty() {
            let weight: f64 = before.iter().map(|slot| slot.weight).sum();
            baseline.prior_rate = trimmed_rate(before, 0.0, 0.0, &mut Vec::new());
            baseline.prior_weight = PRIOR_SHARE * weight / before.len() as f64;
        }
        baseline.dispersion = baseline.dispersion_of(table);
        baseline
    }

    /// How far the group is from what was expected of it. `scratch` spares an allocation a group.
    pub fn judge(&self, slots: &[Slot], given: f64, scratch: &mut Vec<Slot>) -> Deviation {
        let Some((now, before)) = slots.split_last() else { return Deviation::default() };
        let expected = match self.measure {
            _ if self.given => given,
            Measure::Sum => trimmed_mean(before, scratch),
            Measure::Ratio => now.weight * trimmed_rate(before, self.prior_rate, self.prior_weight, scratch),
        };
        let weight = match self.measure {
            Measure::Sum => f64::midpoint(now.actual.abs(), expected.abs()),
            Measure::Ratio => now.weight,
        };
        Deviation { actual: now.actual, expected, weight }
    }

    /// Standard deviation of the group's lift at moments before, from its median: some had anomalies of their own.
    pub fn usual_deviation(&self, slots: &[Slot]) -> Option<f64> {
        let before = slots.get(..slots.len().checked_sub(1)?)?;
        if self.given || before.len() < USUAL_MOMENTS_MIN {
            return None;
        }
        let mut scratch = Vec::new();
        let mut lifts: Vec<f64> = (0..before.len())
            .map(|place| {
                let mut shifted: Vec<Slot> = before.to_vec();
                let now = shifted.remove(place);
                shifted.push(now);
                self.judge(&shifted, 0.0, &mut scratch).lift().abs()
            })
            .collect();
        lifts.sort_unstable_by(f64::total_cmp);
        lifts.get(lifts.len() / 2).map(|median| median / CHI_SQUARED_MEDIAN.sqrt())
    }

    /// Of the groups of one dimension, before; without a history of the cells, now. A median, because
    /// what deviates must not widen what counts as noise.
    fn dispersion_of(&self, table: &Table) -> f64 {
        let mut squares = Vec::new();
        let mut scratch = Vec::new();
        if self.given || table.before < DISPERSION_MOMENTS_MIN {
            for cell in 0..table.cells() {
                let now = self.judge(table.slots_of(cell), table.expected_of(cell), &mut scratch);
                square(now.actual, now.expected, &mut squares);
            }
        } else {
            for dimension in 0..table.dimensions.len() {
                let mut groups: Vec<Sums> = table.values[dimension].iter().map(|_| Sums::default()).collect();
                (0..table.cells()).for_each(|cell| groups[table.codes_of(cell)[dimension] as usize].add(table, cell));
                for group in &groups {
                    let before = &group.slots[..table.before];
                    let rate = trimmed_rate(before, self.prior_rate, self.prior_weight, &mut scratch);
                    let mean = trimmed_mean(before, &mut scratch);
                    for slot in before {
                        let expected = if self.measure == Measure::Ratio { rate * slot.weight } else { mean };
                        square(slot.actual, expected, &mut squares);
                    }
                }
            }
        }
        if squares.is_empty() {
            return 0.0;
        }
        let middle = squares.len() / 2;
        *squares.select_nth_unstable_by(middle, f64::total_cmp).1 / CHI_SQUARED_MEDIAN
    }
}

fn square(actual: f64, expected: f64, squares: &mut Vec<f64>) {
    if expected > 0.0 {
        squares.push((actual - expected).powi(2) / expected);
    }
}

/// How many moments are left out at each end.
fn trimmed(moments: usize) -> usize {
    if moments < 3 { 0 } else { ((moments as f64 * TRIMMED_SHARE) as usize).max(1) }
}

fn trimmed_mean(before: &[Slot], scratch: &mut Vec<Slot>) -> f64 {
    scratch.clear();
    scratch.extend_from_slice(before);
    scratch.sort_unstable_by(|a, b| a.actual.total_cmp(&b.actual));
    let out = trimmed(scratch.len());
    let kept = &scratch[out..scratch.len() - out];
    if kept.is_empty() { 0.0 } else { kept.iter().map(|slot| slot.actual).sum::<f64>() / kept.len() as f64 }
}

/// Sum over weight of the moments that are neither among the highest nor among the lowest, with a prior.
fn trimmed_rate(before: &[Slot], prior_rate: f64, prior_weight: f64, scratch: &mut Vec<Slot>) -> f64 {
    scratch.clear();
    scratch.extend(before.iter().filter(|slot| slot.weight > 0.0));
    scratch.sort_unstable_by(|a, b| (a.actual / a.weight).total_cmp(&(b.actual / b.weight)));
    let out = trimmed(scratch.len());
    let kept = &scratch[out..scratch.len() - out];
    let actual: f64 = kept.iter().map(|slot| slot.actual).sum();
    let weight: f64 = kept.iter().map(|slot| slot.weight).sum();
    if weight + prior_weight > 0.0 {
        (actual + prior_weight * prior_rate) / (weight + prior_weight)
    } else {
        prior_rate
    }
}
