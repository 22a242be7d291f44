//! Every group of cells that up to three dimensions describe, and the best of them.

use std::cmp::Ordering;

use rustc_hash::FxHashMap;

use super::baseline::{Baseline, Deviation};
use super::table::{Slot, Table};

/// Dimensions in one description, unless more are asked for: more describe so few cells that chance finds something.
pub const DEPTH: usize = 3;
/// Dimensions in one description, at most.
pub const DEPTH_MAX: usize = 5;
/// Relative excess that is one of rounding only.
const LEAST_EXCESS: f64 = 1e-9;
/// Descriptions kept of a search.
pub const CANDIDATES_MAX: usize = 200;
/// Up to this many groups are told apart by a table of all that there could be, else by a hash map.
const DIRECT_GROUPS_MAX: usize = 4_000_000;

/// Dimensions with the value of each, dimensions ascending: both are places in the table.
pub type Description = Vec<(usize, u32)>;

/// A description and what its cells do.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    pub description: Description,
    pub deviation: Deviation,
    /// [`Deviation::gain`], rounded so that two names of the same cells are equal whatever they were summed with.
    pub gain: f64,
}

impl Candidate {
    pub fn new(description: Description, deviation: Deviation) -> Self {
        let gain = rounded(deviation.gain());
        Self { description, deviation, gain }
    }

    /// The greater gain, then fewer dimensions, then the names.
    pub fn rank(&self, other: &Self) -> Ordering {
        let (one, two) = (&self.description, &other.description);
        other.gain.total_cmp(&self.gain).then(one.len().cmp(&two.len())).then(one.cmp(two))
    }
}

/// Without the last 20 bits of the mantissa: ten significant digits are left.
fn rounded(value: f64) -> f64 {
    const BITS: u64 = 20;
    f64::from_bits((value.to_bits() + (1 << (BITS - 1))) & !((1 << BITS) - 1))
}

/// Whether the cell is one of those described.
pub fn holds(description: &[(usize, u32)], codes: &[u32]) -> bool {
    description.iter().all(|(dimension, code)| codes[*dimension] == *code)
}

/// The descriptions of up to `depth` dimensions that deviate in `direction` (1 or −1) most, best first, over the cells
/// that are `active`.
pub fn candidates(table: &Table, baseline: &Baseline, active: &[bool], direction: f64, depth: usize) -> Vec<Candidate> {
    let mut best = Best::default();
    for dimensions in groupings(table.dimensions.len(), depth) {
        group(table, baseline, active, direction, &dimensions, &mut best);
    }
    best.finish()
}

/// The best so far, and a few that may be.
#[derive(Default)]
struct Best {
    candidates: Vec<Candidate>,
    /// What is not above this cannot be among the best.
    least: f64,
}

impl Best {
    fn offer(&mut self, deviation: Deviation, description: impl FnOnce() -> Description) {
        if deviation.gain() * (1.0 + 1e-9) < self.least {
            return;
        }
        self.candidates.push(Candidate::new(description(), deviation));
        if self.candidates.len() >= 4 * CANDIDATES_MAX {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.candidates.sort_unstable_by(Candidate::rank);
        self.candidates.truncate(CANDIDATES_MAX);
        if self.candidates.len() == CANDIDATES_MAX {
            self.least = self.candidates.last().map_or(0.0, |candidate| candidate.gain);
        }
    }

    fn finish(mut self) -> Vec<Candidate> {
        self.cut();
        self.candidates
    }
}

/// Every choice of one to `depth` dimensions.
pub fn groupings(dimensions: usize, depth: usize) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = (0..dimensions).map(|dimension| vec![dimension]).collect();
    let mut start = 0;
    for _ in 1..depth {
        let end = all.len();
        for place in start..end {
            let last = all[place].last().copied().unwrap_or(0);
            for next in last + 1..dimensions {
                let mut longer = all[place].clone();
                longer.push(next);
                all.push(longer);
            }
        }
        start = end;
    }
    all
}

/// Numbers the groups of cells that agree in some dimensions, in the order in which they are met.
enum Groups {
    /// By key: 0 is none yet.
    Direct(Vec<u32>, u32),
    Hashed(FxHashMap<u128, u32>),
}

impl Groups {
    /// For dimensions with so many values each. Five of a million values each fit 128 bits.
    fn new(sizes: &[u64]) -> Self {
        let possible: u128 = sizes.iter().map(|size| u128::from(*size)).product();
        match usize::try_from(possible) {
            Ok(size) if size <= DIRECT_GROUPS_MAX => Self::Direct(vec![0; size], 0),
            _ => Self::Hashed(FxHashMap::default()),
        }
    }

    fn number(&mut self, key: u128) -> usize {
        match self {
            Self::Direct(numbers, next) => {
                // A key is below the product of the sizes, and the vector is that long.
                let number = &mut numbers[usize::try_from(key).unwrap_or(0)];
                if *number == 0 {
                    *next += 1;
                    *number = *next;
                }
                *number as usize - 1
            }
            Self::Hashed(numbers) => {
                let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                *numbers.entry(key).or_insert(next) as usize
            }
        }
    }
}

/// Adds up the cells that agree in `dimensions`, and offers the groups that deviate.
fn group(table: &Table, baseline: &Baseline, active: &[bool], direction: f64, dimensions: &[usize], best: &mut Best) {
    let sums = GroupSums::of(table, active, dimensions);
    let width = table.before + 1;
    let mut scratch = Vec::new();
    for (number, cell) in sums.first_cell.iter().enumerate() {
        let slots = &sums.slots[number * width..(number + 1) * width];
        let deviation = baseline.judge(slots, sums.expected[number], &mut scratch);
        if deviation.excess() * direction > LEAST_EXCESS * (deviation.actual.abs() + deviation.expected.abs()) {
            let codes = table.codes_of(*cell);
            best.offer(deviation, || dimensions.iter().map(|dimension| (*dimension, codes[*dimension])).collect());
        }
    }
}

/// What groups count: slots group after group, and a cell of each.
#[derive(Default)]
struct GroupSums {
    slots: Vec<Slot>,
    expected: Vec<f64>,
    first_cell: Vec<usize>,
}

impl GroupSums {
    fn of(table: &Table, active: &[bool], dimensions: &[usize]) -> Self {
        let sizes: Vec<u64> = dimensions.iter().map(|dimension| table.values[*dimension].len() as u64).collect();
        let mut groups = Groups::new(&sizes);
        let width = table.before + 1;
        let mut sums = Self::default();
        let has_all = |cell: usize| dimensions.iter().all(|dimension| table.has(cell, *dimension));
        for cell in (0..table.cells()).filter(|cell| active[*cell] && has_all(*cell)) {
            let codes = table.codes_of(cell);
            let places = dimensions.iter().zip(&sizes);
            let key = places.fold(0, |key, (dimension, size)| key * u128::from(*size) + u128::from(codes[*dimension]));
            let number = groups.number(key);
            if number == sums.first_cell.len() {
                sums.first_cell.push(cell);
                sums.expected.push(0.0);
                sums.slots.resize(sums.slots.len() + width, Slot::default());
            }
            for (sum, slot) in sums.slots[number * width..(number + 1) * width].iter_mut().zip(table.slots_of(cell)) {
                sum.actual += slot.actual;
                sum.weight += slot.weight;
            }
            sums.expected[number] += table.expected_of(cell);
        }
        sums
    }
}
