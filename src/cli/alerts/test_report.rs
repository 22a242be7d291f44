//! Reports of `alerts test`.

use std::fmt::Write as _;

use super::test::Format;
use crate::cli::output::table;
use crate::rule_tests::{CaseOutcome, FileOutcome, MutationReport, RuleKey};
use crate::xml_text::escaped;

/// The outcomes of test files.
pub(super) fn tests(outcomes: &[FileOutcome], untested_rules: &[RuleKey], format: Format) -> String {
    match format {
        Format::Table => tests_table(outcomes, untested_rules),
        Format::Json => json(&outcomes),
        Format::Junit => junit(outcomes),
    }
}

/// The outcomes of mutants.
pub(super) fn mutation(report: &MutationReport, format: Format) -> String {
    if format == Format::Json { json(report) } else { mutation_table(report) }
}

/// Plain data with text keys: serialising it cannot fail.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

fn tests_table(outcomes: &[FileOutcome], untested_rules: &[RuleKey]) -> String {
    let mut out = String::new();
    let mut rows = table(["rule", "cases", "events", "result"]);
    for outcome in outcomes {
        let events: usize = outcome.cases.iter().map(|case| case.events).sum();
        let failed = outcome.cases.iter().filter(|case| !case.passed()).count();
        let result = match failed {
            _ if outcome.rule_missing => "no such rule".to_owned(),
            0 => "ok".to_owned(),
            failed => format!("{failed} failed"),
        };
        rows.add_row([outcome.rule.to_string(), outcome.cases.len().to_string(), events.to_string(), result]);
    }
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{rows}");
    for (outcome, case) in failures(outcomes) {
        let _ = writeln!(out, "\n{}", failure(outcome, case));
    }
    out.push_str(&untested(untested_rules));
    let (cases, failed) = counts(outcomes);
    let _ = writeln!(out, "\n{cases} cases, {failed} failed");
    out
}

/// Cases and those that failed; a file without its rule is one that did, whatever it holds.
fn counts(outcomes: &[FileOutcome]) -> (usize, usize) {
    let missing = outcomes.iter().filter(|outcome| outcome.rule_missing).count();
    let cases: usize = outcomes.iter().map(|outcome| outcome.cases.len()).sum();
    (cases + missing, failures(outcomes).count() + missing)
}

fn failures(outcomes: &[FileOutcome]) -> impl Iterator<Item = (&FileOutcome, &CaseOutcome)> {
    let cases = outcomes.iter().flat_map(|outcome| outcome.cases.iter().map(move |case| (outcome, case)));
    cases.filter(|(_, case)| !case.passed())
}

fn failure(outcome: &FileOutcome, case: &CaseOutcome) -> String {
    let mut text = format!("{}:{}: {}: \"{}\"", outcome.file, case.line, case.kind.as_str(), case.name);
    if let Some(problem) = &case.problem {
        let _ = write!(text, "\n  {problem}");
    }
    for difference in &case.differences {
        let _ = write!(text, "\n  {difference}");
    }
    text
}

fn mutation_table(report: &MutationReport) -> String {
    let mut out = String::new();
    let mut rows = table(["rule", "mutants", "noticed", "excused", "survived"]);
    let mut rules: Vec<_> = report.mutants.iter().map(|mutant| &mutant.rule).collect();
    rules.dedup();
    for rule in rules {
        let of_rule = || report.mutants.iter().filter(move |mutant| mutant.rule == *rule);
        let noticed = of_rule().filter(|mutant| mutant.noticed_by.is_some()).count();
        let excused = of_rule().filter(|mutant| mutant.excused.is_some()).count();
        let survived = of_rule().count() - noticed - excused;
        rows.add_row([
            rule.to_string(),
            of_rule().count().to_string(),
            noticed.to_string(),
            excused.to_string(),
            survived.to_string(),
        ]);
    }
    let _ = writeln!(out, "{rows}");
    for mutant in report.survivors() {
        let (file, rule, key) = (&mutant.file, &mutant.rule, &mutant.key);
        let _ =
            writeln!(out, "\nsurvived: {rule} {key}: {} → {}, and no case of {file} noticed", mutant.from, mutant.to);
    }
    for survivor in &report.needless {
        let _ =
            writeln!(out, "\nneedless: {} {} → {} is noticed, or no mutant", survivor.rule, survivor.key, survivor.to);
    }
    report.problems.iter().for_each(|problem| {
        let _ = writeln!(out, "\n{problem}");
    });
    out.push_str(&untested(&report.untested));
    let survived = report.survivors().count();
    let _ = writeln!(
        out,
        "\n{} mutants, {survived} survived, {} changes skipped (--output json says why)",
        report.mutants.len(),
        report.skipped.len()
    );
    out
}

/// A line for each rule that no file tests.
pub(super) fn untested(rules: &[RuleKey]) -> String {
    rules.iter().map(|rule| format!("\nuntested: {rule}: no file has tests of it\n")).collect()
}

fn junit(outcomes: &[FileOutcome]) -> String {
    let (cases, failed) = counts(outcomes);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites tests=\"{cases}\" failures=\"{failed}\">");
    for outcome in outcomes {
        let (tests, failed) = counts(std::slice::from_ref(outcome));
        let name = escaped(&outcome.rule.to_string());
        let _ = writeln!(
            out,
            "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failed}\" errors=\"0\" skipped=\"0\">"
        );
        if outcome.rule_missing {
            junit_missing(outcome, &mut out);
        }
        for case in &outcome.cases {
            junit_case(outcome, case, &mut out);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn junit_missing(outcome: &FileOutcome, out: &mut String) {
    let (class, file) = (escaped(&outcome.rule.to_string()), escaped(&outcome.file));
    let _ = writeln!(
        out,
        "    <testcase classname=\"{class}\" name=\"rule\" file=\"{file}\">\n      \
         <failure message=\"there is no such rule\"/>\n    </testcase>"
    );
}

fn junit_case(outcome: &FileOutcome, case: &CaseOutcome, out: &mut String) {
    let (class, name) = (escaped(&outcome.rule.to_string()), escaped(&case.name));
    let (file, line) = (escaped(&outcome.file), case.line);
    let _ = write!(out, "    <testcase classname=\"{class}\" name=\"{name}\" file=\"{file}\" line=\"{line}\"");
    if case.passed() {
        out.push_str("/>\n");
        return;
    }
    let text = escaped(&failure(outcome, case));
    let _ = writeln!(out, ">\n      <failure message=\"{text}\"/>\n    </testcase>");
}
