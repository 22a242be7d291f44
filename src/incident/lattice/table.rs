//! The cells that are searched: what each combination of dimension values counted, now and at moments before.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use thiserror::Error;

/// Combinations of dimension values in one search: with 20 moments before they take 170 MiB, and each is looked at in
/// 25 groupings of five dimensions. More are refused.
pub const CELLS_MAX: usize = 500_000;
/// Dimensions in one search: 10 have 175 groupings of up to three.
pub const DIMENSIONS_MAX: usize = 10;
/// What is explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// A count or a sum: its parts add up.
    Sum,
    /// A sum over a weight: a failure ratio (failures over requests), a mean (milliseconds over requests).
    Ratio,
}

/// A moment of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// What has to be explained.
    Now,
    /// A moment to compare with, from 0.
    Before(usize),
}

/// Why a table cannot be searched.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TableError {
    /// More than [`CELLS_MAX`].
    #[error("more than {CELLS_MAX} combinations of dimension values; name fewer dimensions")]
    Cells,
    /// More than [`DIMENSIONS_MAX`].
    #[error("more than {DIMENSIONS_MAX} dimensions; name those that matter")]
    Dimensions,
    /// A row's values do not fit the dimensions.
    #[error("a row has {0} values for {1} dimensions")]
    Values(usize, usize),
    /// Not a finite number.
    #[error("a number of a row is not finite")]
    NotFinite,
}

/// Gathers rows in any order. An empty value is absent.
#[derive(Debug)]
pub struct TableBuilder {
    dimensions: Vec<String>,
    measure: Measure,
    before: usize,
    codes: Vec<FxHashMap<String, u32>>,
    cells: FxHashMap<Box<[u32]>, u32>,
    slots: Vec<Slot>,
    expected: Option<Vec<f64>>,
}

/// What a cell counted at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Slot {
    pub actual: f64,
    pub weight: f64,
}

/// The cells, in an order that does not depend on that of the rows.
#[derive(Debug)]
pub struct Table {
    pub(super) dimensions: Vec<String>,
    /// Of each dimension, sorted: a code is an index here.
    pub(super) values: Vec<Vec<String>>,
    /// Of each dimension, the code of the empty value: what is absent has nothing in common, and is never a cause.
    pub(super) absent: Vec<Option<u32>>,
    pub(super) measure: Measure,
    /// Moments before.
    pub(super) before: usize,
    /// Codes, cell after cell.
    pub(super) codes: Vec<u32>,
    /// Cell after cell: the moments before, then now.
    pub(super) slots: Vec<Slot>,
    /// For each cell, where it was given.
    pub(super) expected: Option<Vec<f64>>,
}

impl TableBuilder {
    /// A table with `before` moments to compare with.
    ///
    /// # Errors
    /// [`TableError::Dimensions`].
    pub fn new(dimensions: Vec<String>, measure: Measure, before: usize) -> Result<Self, TableError> {
        if dimensions.len() > DIMENSIONS_MAX {
            return Err(TableError::Dimensions);
        }
        let codes = dimensions.iter().map(|_| FxHashMap::default()).collect();
        Ok(Self { dimensions, measure, before, codes, cells: FxHashMap::default(), slots: Vec::new(), expected: None })
    }

    /// A table whose rows say themselves what was expected.
    ///
    /// # Errors
    /// [`TableError::Dimensions`].
    pub fn with_expected(dimensions: Vec<String>, measure: Measure) -> Result<Self, TableError> {
        Ok(Self { expected: Some(Vec::new()), ..Self::new(dimensions, measure, 0)? })
    }

    /// Adds a row; rows of the same cell and moment add up. `weight` counts for [`Measure::Ratio`] only.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn add(&mut self, values: &[&str], moment: Moment, actual: f64, weight: f64) -> Result<(), TableError> {
        self.add_row(values, moment, actual, weight, 0.0)
    }

    /// Adds a row of now with what was expected of `actual`.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn add_expected(&mut self, values: &[&str], actual: f64, weight: f64, expected: f64) -> Result<(), TableError> {
        self.add_row(values, Moment::Now, actual, weight, expected)
    }

    fn add_row(
        &mut self,
        values: &[&str],
        at: Moment,
        actual: f64,
        weight: f64,
        expected: f64,
    ) -> Result<(), TableError> {
        if values.len() != self.dimensions.len() {
            return Err(TableError::Values(values.len(), self.dimensions.len()));
        }
        if ![actual, weight, expected].iter().all(|number| number.is_finite()) {
            return Err(TableError::NotFinite);
        }
        let cell = self.cell(values)?;
        let moment = match at {
            Moment::Now => self.before,
            Moment::Before(moment) if moment < self.before => moment,
            Moment::Before(_) => return Ok(()),
        };
        let slot = &mut self.slots[cell * (self.before + 1) + moment];
        slot.actual += actual;
        slot.weight += weight;
        if let Some(all) = &mut self.expected {
            all[cell] += expected;
        }
        Ok(())
    }

    fn cell(&mut self, values: &[&str]) -> Result<usize, TableError> {
        let codes: Box<[u32]> = values.iter().zip(&mut self.codes).map(|(value, codes)| code(codes, value)).collect();
        if let Some(cell) = self.cells.get(&codes) {
            return Ok(*cell as usize);
        }
        let cell = self.cells.len();
        if cell >= CELLS_MAX {
            return Err(TableError::Cells);
        }
        self.slots.resize(self.slots.len() + self.before + 1, Slot::default());
        if let Some(all) = &mut self.expected {
            all.push(0.0);
        }
        // Below CELLS_MAX, so it fits.
        self.cells.insert(codes, u32::try_from(cell).unwrap_or(u32::MAX));
        Ok(cell)
    }

    /// The table, its cells sorted by their values.
    #[must_use]
    pub fn finish(self) -> Table {
        let mut values = Vec::new();
        let mut renamed: Vec<Vec<u32>> = Vec::new();
        for codes in self.codes {
            let sorted: BTreeMap<String, u32> = codes.into_iter().collect();
            let mut new = vec![0; sorted.len()];
            for (place, old) in (0..).zip(sorted.values()) {
                new[*old as usize] = place;
            }
            values.push(sorted.into_keys().collect());
            renamed.push(new);
        }
        let rename =
            |codes: &[u32]| -> Vec<u32> { codes.iter().zip(&renamed).map(|(code, new)| new[*code as usize]).collect() };
        let mut order: Vec<(Vec<u32>, usize)> =
            self.cells.iter().map(|(codes, cell)| (rename(codes), *cell as usize)).collect();
        order.sort_unstable();
        let width = self.before + 1;
        let slots = order.iter().flat_map(|(_, cell)| &self.slots[cell * width..(cell + 1) * width]).copied().collect();
        let expected = self.expected.map(|all| order.iter().map(|(_, cell)| all[*cell]).collect());
        let codes = order.into_iter().flat_map(|(codes, _)| codes).collect();
        let is_absent = |values: &Vec<String>| values.first().filter(|value| value.is_empty()).map(|_| 0);
        let absent = values.iter().map(is_absent).collect();
        Table {
            dimensions: self.dimensions,
            values,
            absent,
            measure: self.measure,
            before: self.before,
            codes,
            slots,
            expected,
        }
    }
}

fn code(codes: &mut FxHashMap<String, u32>, value: &str) -> u32 {
    if let Some(code) = codes.get(value) {
        return *code;
    }
    // At most one new value a cell, and cells are bounded.
    let code = u32::try_from(codes.len()).unwrap_or(u32::MAX);
    codes.insert(value.to_owned(), code);
    code
}

impl Table {
    /// Cells.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.slots.len() / (self.before + 1)
    }

    /// The cell's codes, one a dimension.
    pub(super) fn codes_of(&self, cell: usize) -> &[u32] {
        &self.codes[cell * self.dimensions.len()..(cell + 1) * self.dimensions.len()]
    }

    /// The cell's moments before, then now.
    pub(super) fn slots_of(&self, cell: usize) -> &[Slot] {
        &self.slots[cell * (self.before + 1)..(cell + 1) * (self.before + 1)]
    }

    /// Whether the cell has a value in the dimension.
    pub(super) fn has(&self, cell: usize, dimension: usize) -> bool {
        self.absent[dimension] != Some(self.codes_of(cell)[dimension])
    }

    /// What was expected of the cell, where it was given.
    pub(super) fn expected_of(&self, cell: usize) -> f64 {
        self.expected.as_ref().map_or(0.0, |all| all[cell])
    }
}
