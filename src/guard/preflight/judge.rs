//! What is too much: measures against budgets, baseline and required indexes. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::advice;
use super::budgets::{Baseline, Budget, QueryBudgets, Scanned};
use super::folder::{Folder, Query};
use super::measure::{Measured, Measures, Scale};
use crate::detect::words::bytes;

/// Rows and bytes read are exact: 24 runs of each of ten queries gave one number each. What is allowed for is a schema or
/// an engine that lays granules out a little differently.
const READ_RATIO_MAX: f64 = 1.1;
/// A granule more is layout.
const ROWS_FLOOR: u64 = 8_192;
/// So is a granule of a few columns.
const BYTES_FLOOR: u64 = 256 * 1_024;
/// The most of three runs of the same query differed by up to 1.14 times, and by up to 4 MiB (blocks that two threads hold
/// together, a first run that loads marks), in 24 runs of each of ten queries with one and two threads on a busy machine.
const MEMORY_RATIO_MAX: f64 = 1.5;
/// Twice the largest difference of those runs.
const MEMORY_FLOOR_BYTES: u64 = 8 * 1_024 * 1_024;
/// A table with less than this share of the granules that it had is not the same data any more.
const DATA_SHARE_MIN: f64 = 0.5;
/// More than this times the data's own growth is told as faster than the data.
const GROWTH_RATIO_MAX: f64 = 1.25;

/// What is wrong with a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It cannot be run under limits.
    Failed,
    /// Nobody has accepted what it takes.
    NoBaseline,
    /// Its tables hold much less than when that was accepted, so that nothing can be compared.
    LessData,
    /// Too many rows read.
    ReadRows,
    /// Too many bytes read.
    ReadBytes,
    /// Too much memory.
    Memory,
    /// A required index narrows nothing any more.
    Index,
    /// A required projection is not read.
    Projection,
}

/// All kinds, in the order they are told in.
pub const KINDS: [Kind; 8] = [
    Kind::Failed,
    Kind::NoBaseline,
    Kind::LessData,
    Kind::ReadRows,
    Kind::ReadBytes,
    Kind::Memory,
    Kind::Index,
    Kind::Projection,
];

impl Kind {
    /// For programs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::NoBaseline => "no_baseline",
            Self::LessData => "less_data",
            Self::ReadRows => "read_rows",
            Self::ReadBytes => "read_bytes",
            Self::Memory => "memory",
            Self::Index => "index",
            Self::Projection => "projection",
        }
    }

    /// In words, as the column `measure` shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::NoBaseline => "no baseline",
            Self::LessData => "less data",
            Self::ReadRows => "rows read",
            Self::ReadBytes => "bytes read",
            Self::Memory => "memory",
            Self::Index => "index lost",
            Self::Projection => "projection lost",
        }
    }
}

/// One thing that is wrong with a query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// At which scale.
    pub scale: String,
    /// What was accepted, in words; empty where nothing was.
    pub was: String,
    /// What is so now, in words.
    pub now: String,
    /// How many times too much; absent where that is no number.
    pub ratio: Option<f64>,
    /// What it is held against: the budget, or the baseline with its day and engine.
    pub since: String,
    /// What to look at.
    pub look_at: String,
}

/// Worth knowing, and no failure.
pub type Note = String;

/// What is said of one query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// Name of the query.
    pub query: String,
    /// Its file.
    pub path: PathBuf,
    /// What it took, by scale.
    pub measures: BTreeMap<String, Measures>,
    /// What is wrong; nothing when it passes.
    pub findings: Vec<Finding>,
    /// Worth knowing.
    pub notes: Vec<Note>,
}

/// What is said of a folder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The folder.
    pub folder: PathBuf,
    /// Where its budgets are.
    pub budgets: PathBuf,
    /// Version of ClickHouse that was measured on.
    pub engine: String,
    /// Scales, the smallest first.
    pub scales: Vec<String>,
    /// Each query, by name.
    pub queries: Vec<Judged>,
    /// About the folder as a whole.
    pub notes: Vec<Note>,
}

impl Report {
    /// Whether all queries pass.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.queries.iter().all(|query| query.findings.is_empty())
    }

    /// Queries that do not.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.queries.iter().filter(|query| !query.findings.is_empty()).count()
    }
}

/// Holds what was measured against the folder's budgets.
#[must_use]
pub fn judge(folder: &Folder, scales: &[Scale], measured: &[Measured], engine: &str) -> Report {
    let queries = folder.queries.iter().map(|query| judge_query(folder, query, scales, measured, engine)).collect();
    let known = |name: &String| folder.queries.iter().any(|query| query.name == *name);
    let gone = folder.budgets.queries.keys().filter(|name| !known(name));
    let notes = gone.map(|name| format!("{name}.sql is gone; --update removes its budgets")).collect();
    Report {
        folder: folder.path.clone(),
        budgets: folder.budgets_path.clone(),
        engine: engine.to_owned(),
        scales: scales.iter().map(|scale| scale.label.clone()).collect(),
        queries,
        notes,
    }
}

fn judge_query(folder: &Folder, query: &Query, scales: &[Scale], measured: &[Measured], engine: &str) -> Judged {
    let nothing = QueryBudgets::default();
    let budgets = folder.budgets.queries.get(&query.name).unwrap_or(&nothing);
    let mut judged = Judged {
        query: query.name.clone(),
        path: query.path.clone(),
        measures: BTreeMap::new(),
        findings: Vec::new(),
        notes: Vec::new(),
    };
    for found in measured.iter().filter(|found| found.query == query.name) {
        let scale = &found.scale.label;
        let measures = match &found.result {
            Ok(measures) => measures,
            Err(error) => {
                judged.findings.push(advice::failed(scale, error));
                continue;
            }
        };
        judged.measures.insert(scale.clone(), measures.clone());
        match budgets.baseline.get(scale) {
            Some(baseline) => {
                judged.findings.extend(less_data(&found.scale, measures, baseline));
                judged.findings.extend(against_baseline(scale, measures, baseline));
            }
            None => judged.findings.push(advice::no_baseline(scale, measures)),
        }
    }
    if let Some((scale, measures)) = largest(scales, &judged.measures) {
        let budget = budgets.budget.filter(|_| scale.factor.is_some()).unwrap_or_default();
        judged.findings.extend(against_budget(&scale.label, measures, &budget));
        let required = budgets.require.as_deref().unwrap_or_default();
        judged.findings.extend(against_requirements(&scale.label, measures, required, budgets));
    }
    judged.notes.extend(growth(scales, &judged.measures));
    judged.notes.extend(largest(scales, &judged.measures).and_then(|(scale, measures)| advice::idle(scale, measures)));
    judged.notes.extend(engines(budgets, scales, engine));
    keep_weightiest(&mut judged.findings, scales);
    judged
}

fn largest<'a>(scales: &'a [Scale], measures: &'a BTreeMap<String, Measures>) -> Option<(&'a Scale, &'a Measures)> {
    scales.iter().rev().find_map(|scale| Some((scale, measures.get(&scale.label)?)))
}

fn numbers(measures: &Measures) -> [(Kind, u64); 3] {
    [
        (Kind::ReadRows, measures.read_rows),
        (Kind::ReadBytes, measures.read_bytes),
        (Kind::Memory, measures.memory_bytes),
    ]
}

fn against_baseline(scale: &str, measures: &Measures, baseline: &Baseline) -> Vec<Finding> {
    let accepted = [baseline.read_rows, baseline.read_bytes, baseline.memory_bytes];
    let limits = [(READ_RATIO_MAX, ROWS_FLOOR), (READ_RATIO_MAX, BYTES_FLOOR), (MEMORY_RATIO_MAX, MEMORY_FLOOR_BYTES)];
    let since = format!("baseline of {}, {}", baseline.date, baseline.engine);
    let mut found = Vec::new();
    for (((kind, now), was), (ratio_max, floor)) in numbers(measures).into_iter().zip(accepted).zip(limits) {
        if ratio(now, was) > ratio_max && now.saturating_sub(was) > floor {
            found.push(Finding {
                kind,
                scale: scale.to_owned(),
                was: said(kind, was),
                now: said(kind, now),
                ratio: Some(ratio(now, was)),
                since: since.clone(),
                look_at: advice::grown(kind, measures, baseline),
            });
        }
    }
    found
}

/// A seed that fills less makes every query lighter, and so would hide each that got heavier. Data of a server's own comes
/// and goes.
fn less_data(scale: &Scale, measures: &Measures, baseline: &Baseline) -> Option<Finding> {
    scale.factor?;
    let scanned = Scanned::of(&measures.scans);
    let totals = scanned.iter().filter_map(|scan| {
        let known = baseline.scans.iter().find(|known| known.source == scan.source)?;
        Some((scan, known.granules.total))
    });
    let shrunk = |(scan, was): &(&Scanned, u64)| *was > 1 && ratio(scan.granules.total, *was) < DATA_SHARE_MIN;
    let (scan, was) = totals.into_iter().find(shrunk)?;
    Some(advice::less_data(&scale.label, scan, was, baseline))
}

fn against_budget(scale: &str, measures: &Measures, budget: &Budget) -> Vec<Finding> {
    let limits = [budget.read_rows_max, budget.read_bytes_max, budget.memory_bytes_max];
    let mut found = Vec::new();
    for ((kind, now), limit) in numbers(measures).into_iter().zip(limits) {
        let Some(limit) = limit.filter(|limit| now > *limit) else { continue };
        found.push(Finding {
            kind,
            scale: scale.to_owned(),
            was: said(kind, limit),
            now: said(kind, now),
            ratio: Some(ratio(now, limit)),
            since: "budget".to_owned(),
            look_at: advice::over_budget(measures),
        });
    }
    found
}

/// A requirement is lost where a read that it was for is not narrowed by it any more, and reads more than it did: an
/// index before it may have left it nothing to do.
fn against_requirements(scale: &str, measures: &Measures, required: &[String], budgets: &QueryBudgets) -> Vec<Finding> {
    let baseline = budgets.baseline.get(scale);
    let scanned = Scanned::of(&measures.scans);
    let mut found = Vec::new();
    for requirement in required {
        if measures.scans.iter().any(|scan| scan.uses().contains(requirement)) {
            continue;
        }
        let projection = requirement.strip_prefix("projection ");
        let source = requirement.split(' ').next().unwrap_or_default();
        let is_it = |scan: &&Scanned| projection.is_some() || scan.source == source;
        // A table that is not read any more needs no index.
        let Some(scan) = scanned.iter().find(is_it) else { continue };
        let accepted = baseline.and_then(|known| known.scans.iter().find(|scanned| scanned.source == source));
        if projection.is_none() && accepted.is_some_and(|known| scan.granules.selected <= known.granules.selected) {
            continue;
        }
        found.push(advice::lost(scale, requirement, scan, accepted, baseline));
    }
    found
}

/// Memory or rows that grow faster than the data.
fn growth(scales: &[Scale], measures: &BTreeMap<String, Measures>) -> Vec<Note> {
    let known: Vec<(u32, &Measures)> =
        scales.iter().filter_map(|scale| Some((scale.factor?, measures.get(&scale.label)?))).collect();
    let [(small, first), .., (large, last)] = known.as_slice() else { return Vec::new() };
    let times = f64::from(*large) / f64::from(*small);
    let floors = [ROWS_FLOOR, BYTES_FLOOR, MEMORY_FLOOR_BYTES];
    let mut notes = Vec::new();
    for (((kind, was), (_, now)), floor) in numbers(first).into_iter().zip(numbers(last)).zip(floors) {
        let grown = ratio(now, was);
        if grown > times * GROWTH_RATIO_MAX && now.saturating_sub(was) > floor {
            let (was, now) = (said(kind, was), said(kind, now));
            notes.push(format!(
                "{} grows faster than the data: {was} to {now} for {times:.0} times the rows",
                kind.name()
            ));
        }
    }
    notes
}

fn engines(budgets: &QueryBudgets, scales: &[Scale], engine: &str) -> Option<Note> {
    let baseline = scales.iter().find_map(|scale| budgets.baseline.get(&scale.label))?;
    let differs = baseline.engine != engine;
    differs.then(|| format!("the baseline is of ClickHouse {}, this is {engine}", baseline.engine))
}

/// One finding a kind and what it is held against: that of the largest scale.
fn keep_weightiest(findings: &mut Vec<Finding>, scales: &[Scale]) {
    let place = |finding: &Finding| scales.iter().position(|scale| scale.label == finding.scale);
    let repeats = |finding: &Finding| !matches!(finding.kind, Kind::Index | Kind::Projection);
    findings.sort_by_key(|finding| (finding.kind, finding.since == "budget", std::cmp::Reverse(place(finding))));
    findings.dedup_by(|later, first| {
        repeats(first) && later.kind == first.kind && (later.since == "budget") == (first.since == "budget")
    });
}

/// Exact enough: numbers of rows and bytes are far below 2^53.
#[allow(clippy::cast_precision_loss)]
fn ratio(now: u64, was: u64) -> f64 {
    now as f64 / was.max(1) as f64
}

/// A number in words.
#[allow(clippy::cast_precision_loss)]
pub(super) fn said(kind: Kind, number: u64) -> String {
    match kind {
        Kind::ReadRows => number.to_string(),
        _ => bytes(number as f64),
    }
}

#[cfg(test)]
mod tests;
