//! Mutants through the tests of their rule. Those that no test notices survive.

use serde::Serialize;

use super::file::{RuleKey, TestFile};
use super::mutate::{Mutant, Skipped, mutants};
use super::run::{Prepared, prepare, rule_of, run_case, settings};
use super::survivors::{Survivor, Survivors};
use super::workers::in_parallel;
use crate::alert::Rules;
use crate::pipeline::Settings;

/// What came of a mutant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MutantOutcome {
    /// The rule.
    pub rule: RuleKey,
    /// Test file.
    pub file: String,
    /// What was changed.
    pub key: String,
    /// From what.
    pub from: String,
    /// To what.
    pub to: String,
    /// The first case that noticed; none: it survived.
    pub noticed_by: Option<String>,
    /// Why it may survive, from the file of survivors.
    pub excused: Option<String>,
}

/// What came of all mutants.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MutationReport {
    /// Mutants.
    pub mutants: Vec<MutantOutcome>,
    /// Changes that were none.
    pub skipped: Vec<Skipped>,
    /// Lines of the file of survivors that excuse nothing.
    pub needless: Vec<Survivor>,
    /// Files without a rule, and those whose cases could not be made into events or fail already.
    pub problems: Vec<String>,
    /// Rules that no file tests; left to the caller, who knows whether the files are all there are.
    pub untested: Vec<RuleKey>,
}

impl MutationReport {
    /// Mutants that no test noticed and nothing excuses.
    pub fn survivors(&self) -> impl Iterator<Item = &MutantOutcome> {
        self.mutants.iter().filter(|mutant| mutant.noticed_by.is_none() && mutant.excused.is_none())
    }

    /// Whether there were mutants, each was noticed or is excused, every excuse is needed, and no rule is without tests.
    #[must_use]
    pub fn passed(&self) -> bool {
        let nothing_amiss = self.problems.is_empty() && self.needless.is_empty() && self.untested.is_empty();
        nothing_amiss && !self.mutants.is_empty() && self.survivors().next().is_none()
    }
}

/// Breaks each rule that has tests, one change at a time, and runs its tests; on all processors, a file a thread.
#[must_use]
pub fn mutate(
    tested: &Settings,
    files: &[TestFile],
    survivors: &Survivors,
    on_done: &mut dyn FnMut(),
) -> MutationReport {
    let by_file = in_parallel(files, &|file| mutate_file(tested, file), &mut |_| on_done());
    let mut report = MutationReport::default();
    for outcome in by_file {
        match outcome {
            Ok((mutants, skipped)) => {
                report.mutants.extend(mutants);
                report.skipped.extend(skipped);
            }
            Err(problem) => report.problems.push(problem),
        }
    }
    report.needless = survivors.excuse(&mut report.mutants);
    report
}

/// Rules that no file tests, in their order.
#[must_use]
pub fn untested(rules: &Rules, files: &[TestFile]) -> Vec<RuleKey> {
    let is_tested = |key: &RuleKey| files.iter().any(|file| file.rule == *key);
    rules.rules.iter().map(RuleKey::of).filter(|key| !is_tested(key)).collect()
}

type Outcome = Result<(Vec<MutantOutcome>, Vec<Skipped>), String>;

fn mutate_file(tested: &Settings, file: &TestFile) -> Outcome {
    let problem = |problem: String| format!("{}: {problem}", file.name);
    let rule = rule_of(&tested.rules, file).ok_or_else(|| problem(format!("there is no rule {}", file.rule)))?;
    let cases = file.cases.iter().map(prepare).collect::<Result<Vec<_>, _>>().map_err(problem)?;
    // What fails already notices everything.
    let unbroken = settings(Some(rule), tested, file).map_err(problem)?;
    if let Some(failed) = cases.iter().map(|case| run_case(&unbroken, &file.rule, case)).find(|case| !case.passed()) {
        return Err(problem(format!("line {}: \"{}\" fails before the rule is broken", failed.line, failed.name)));
    }
    let (mutants, skipped) = mutants(rule);
    let outcomes = mutants.iter().map(|mutant| try_mutant(mutant, tested, file, &cases).map_err(problem));
    Ok((outcomes.collect::<Result<_, _>>()?, skipped))
}

fn try_mutant(
    mutant: &Mutant,
    tested: &Settings,
    file: &TestFile,
    cases: &[Prepared<'_>],
) -> Result<MutantOutcome, String> {
    let settings = settings(mutant.rule.as_ref(), tested, file)?;
    let notices = |case: &&Prepared<'_>| !run_case(&settings, &file.rule, case).passed();
    Ok(MutantOutcome {
        rule: file.rule.clone(),
        file: file.name.clone(),
        key: mutant.key.clone(),
        from: mutant.from.clone(),
        to: mutant.to.clone(),
        noticed_by: cases.iter().find(notices).map(|case| case.case.name.clone()),
        excused: None,
    })
}
