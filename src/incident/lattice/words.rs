//! How a cause is said.

use super::baseline::Deviation;
use super::search::Description;
use super::table::{Measure, Table};
use crate::detect::{percent, rounded};

/// Names of the description's dimensions and values.
pub fn conditions(table: &Table, description: &Description) -> Vec<(String, String)> {
    let name = |(dimension, code): &(usize, u32)| {
        (table.dimensions[*dimension].clone(), table.values[*dimension][*code as usize].clone())
    };
    description.iter().map(name).collect()
}

/// The measure's value: a sum as it is, a ratio over its weight.
pub fn value(measure: Measure, sum: f64, weight: f64) -> f64 {
    match measure {
        Measure::Sum => rounded(sum),
        Measure::Ratio if weight == 0.0 => 0.0,
        Measure::Ratio => rounded(sum / weight),
    }
}

/// Share, actual against expected, and what the others do.
pub fn evidence(measure: Measure, inside: &Deviation, all: &Deviation, share: f64) -> String {
    let rest = Deviation {
        actual: all.actual - inside.actual,
        expected: all.expected - inside.expected,
        weight: all.weight - inside.weight,
    };
    let shown = |of: &Deviation| match measure {
        Measure::Sum => format!("{} against {} expected", rounded(of.actual), rounded(of.expected)),
        Measure::Ratio => format!(
            "{} over {} is {} against {} expected",
            rounded(of.actual),
            rounded(of.weight),
            value(measure, of.actual, of.weight),
            value(measure, of.expected, of.weight)
        ),
    };
    let elsewhere = if rest.weight > 0.0 { format!("; all others: {}", shown(&rest)) } else { String::new() };
    format!("{} of the deviation: {}{elsewhere}", percent(share), shown(inside))
}
