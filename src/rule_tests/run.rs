//! Cases through the core: the rule alone, on a virtual clock.

use serde::Serialize;

use super::compare::{self, Difference, Seen};
use super::file::{Case, CaseSource, Kind, RuleKey, ScenarioSource, TestFile};
use super::generate::{self, EVENTS_MAX};
use super::workers::in_parallel;
use crate::alert::{Rule, Rules};
use crate::detect::Limits;
use crate::flow::StreamId;
use crate::model::{Event, Output, Timestamp};
use crate::pipeline::{Pipeline, Settings};
use crate::sim::ScenarioFile;

/// What came of a test file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileOutcome {
    /// Name of the file.
    pub file: String,
    /// The rule it tests.
    pub rule: RuleKey,
    /// There is no such rule; nothing was run.
    pub rule_missing: bool,
    /// Its cases.
    pub cases: Vec<CaseOutcome>,
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseOutcome {
    /// Its name.
    pub name: String,
    /// What it is there to show.
    pub kind: Kind,
    /// Line in the file.
    pub line: u64,
    /// Events that went in.
    pub events: usize,
    /// Why it could not be run.
    pub problem: Option<String>,
    /// Expected and not seen, seen and not expected.
    pub differences: Vec<Difference>,
}

impl CaseOutcome {
    /// Whether all was as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.problem.is_none() && self.differences.is_empty()
    }
}

impl FileOutcome {
    /// Whether every case passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.rule_missing && self.cases.iter().all(CaseOutcome::passed)
    }
}

/// A case's events, made once and run through the rule and each of its mutants.
pub(super) struct Prepared<'a> {
    pub case: &'a Case,
    start: Timestamp,
    pub events: Vec<Event>,
}

/// The rule that a file tests.
pub(super) fn rule_of<'a>(rules: &'a Rules, file: &TestFile) -> Option<&'a Rule> {
    rules.rules.iter().find(|rule| RuleKey::of(rule) == file.rule)
}

/// Whether the rule that a file tests is there.
#[must_use]
pub fn has_rule(rules: &Rules, file: &TestFile) -> bool {
    rule_of(rules, file).is_some()
}

/// Runs `files` against the rules, on all processors. The limits are those of files that bring none.
#[must_use]
pub fn run(tested: &Settings, files: &[TestFile], on_done: &mut dyn FnMut(&FileOutcome)) -> Vec<FileOutcome> {
    in_parallel(files, &|file| run_file(tested, file), on_done)
}

fn run_file(tested: &Settings, file: &TestFile) -> FileOutcome {
    let (name, rule) = (file.name.clone(), file.rule.clone());
    let Some(found) = rule_of(&tested.rules, file) else {
        return FileOutcome { file: name, rule, rule_missing: true, cases: Vec::new() };
    };
    let cases = file.cases.iter().map(|case| match (settings(Some(found), tested, file), prepare(case)) {
        (Ok(settings), Ok(prepared)) => run_case(&settings, &file.rule, &prepared),
        (Err(problem), _) | (_, Err(problem)) => unusable(case, problem),
    });
    FileOutcome { file: name, rule, rule_missing: false, cases: cases.collect() }
}

fn unusable(case: &Case, problem: String) -> CaseOutcome {
    let (name, kind, line) = (case.name.clone(), case.kind, case.line);
    CaseOutcome { name, kind, line, events: 0, problem: Some(problem), differences: Vec::new() }
}

/// The rule alone (none: it was taken away), with the limits of the file.
pub(super) fn settings(rule: Option<&Rule>, tested: &Settings, file: &TestFile) -> Result<Settings, String> {
    let limits = match &file.limits {
        Some(text) => Limits::parse(text, &file.name).map_err(|error| error.to_string())?,
        None => tested.limits.clone(),
    };
    let rules = Rules { rules: rule.cloned().into_iter().collect() };
    Ok(Settings { flow: tested.flow.clone(), rules, limits })
}

/// Makes the events of a case.
pub(super) fn prepare(case: &Case) -> Result<Prepared<'_>, String> {
    let (start, events) = match &case.source {
        CaseSource::Entries(entries) => (compare::start(), generate::events(entries)?),
        CaseSource::Scenario(source) => simulated(source)?,
    };
    Ok(Prepared { case, start, events })
}

fn simulated(source: &ScenarioSource) -> Result<(Timestamp, Vec<Event>), String> {
    let scenario = ScenarioFile::load(&source.name, source.amplitude).map_err(|error| error.to_string())?;
    let start = scenario.start();
    let until = source.until.map(|until| start.plus(until.as_millis()));
    let events = scenario.events(source.seed.unwrap_or(scenario.seed())).map_err(|error| error.to_string())?;
    let events: Vec<Event> =
        events.take_while(|event| until.is_none_or(|until| event.timestamp() < until)).take(EVENTS_MAX + 1).collect();
    if events.len() > EVENTS_MAX {
        return Err(format!("more than {EVENTS_MAX} events; give `until`"));
    }
    Ok((start, events))
}

/// Runs one case.
pub(super) fn run_case(settings: &Settings, rule: &RuleKey, prepared: &Prepared<'_>) -> CaseOutcome {
    let mut pipeline = Pipeline::new(settings);
    let mut seen = Vec::new();
    let mut take = |outputs: Vec<Output>| {
        for output in outputs {
            if let Output::Transition(transition) = output {
                seen.push(Seen::of(&transition, prepared.start));
            }
        }
    };
    for event in &prepared.events {
        take(pipeline.apply(StreamId(0), event));
    }
    take(pipeline.finish());
    let case = prepared.case;
    let all_in_time = case.kind == Kind::Late && pipeline.counts().late == 0;
    CaseOutcome {
        name: case.name.clone(),
        kind: case.kind,
        line: case.line,
        events: prepared.events.len(),
        problem: all_in_time.then(|| "no event came late: `late_by` is within the allowed lateness".to_owned()),
        differences: compare::compare(rule, &case.expect, &seen),
    }
}
