//! A new baseline: what was measured becomes what is accepted. Pure.

use super::budgets::{Baseline, Budget, Budgets, QueryBudgets, Scanned};
use super::folder::Folder;
use super::measure::{Measured, Measures, Scale};

/// Memory that differs by less keeps its old number, so that an update without a change writes the same file.
const MEMORY_KEPT_BYTES: u64 = 8 * 1_024 * 1_024;

/// The folder's budgets with what was measured as their baseline. What a person decides stays: notes, parameters,
/// requirements and budgets; where there are none yet, they are proposed. Queries that failed keep what they had.
#[must_use]
pub fn updated(folder: &Folder, scales: &[Scale], measured: &[Measured], engine: &str, date: &str) -> Budgets {
    let mut budgets = Budgets { seed: folder.budgets.seed.clone(), ..Budgets::default() };
    for query in &folder.queries {
        let mut entry = folder.budgets.queries.get(&query.name).cloned().unwrap_or_default();
        entry.parameters.clone_from(&query.parameters);
        for found in measured.iter().filter(|found| found.query == query.name) {
            let Ok(measures) = &found.result else { continue };
            let label = &found.scale.label;
            let fresh = baseline(measures, engine, date);
            let kept = entry.baseline.get(label).filter(|known| is_same(known, &fresh)).cloned();
            entry.baseline.insert(label.clone(), kept.unwrap_or(fresh));
        }
        propose(&mut entry, scales, measured.iter().filter(|found| found.query == query.name));
        if entry != QueryBudgets::default() {
            budgets.queries.insert(query.name.clone(), entry);
        }
    }
    budgets
}

fn baseline(measures: &Measures, engine: &str, date: &str) -> Baseline {
    Baseline {
        date: date.to_owned(),
        engine: engine.to_owned(),
        read_rows: measures.read_rows,
        read_bytes: measures.read_bytes,
        memory_bytes: measures.memory_bytes,
        scans: Scanned::of(&measures.scans),
    }
}

fn is_same(known: &Baseline, fresh: &Baseline) -> bool {
    known.engine == fresh.engine
        && known.read_rows == fresh.read_rows
        && known.read_bytes == fresh.read_bytes
        && known.scans == fresh.scans
        && known.memory_bytes.abs_diff(fresh.memory_bytes) <= MEMORY_KEPT_BYTES
}

/// Requirements and budget of a query that has none, from its largest scale of seeded data.
fn propose<'a>(entry: &mut QueryBudgets, scales: &[Scale], measured: impl Iterator<Item = &'a Measured>) {
    let largest = scales.iter().rev().find(|scale| scale.factor.is_some());
    let Some(largest) = largest else { return };
    let of_largest = measured.filter(|found| found.scale == *largest).find_map(|found| found.result.as_ref().ok());
    let Some(measures) = of_largest else { return };
    if entry.require.is_none() {
        let mut uses: Vec<String> = measures.scans.iter().flat_map(super::explain::Scan::uses).collect();
        uses.sort();
        uses.dedup();
        entry.require = Some(uses);
    }
    entry
        .budget
        .get_or_insert_with(|| Budget::with_room(measures.read_rows, measures.read_bytes, measures.memory_bytes));
}
