//! Tests of alert rules: the shipped ones pass, cover every rule and notice broken rules; mistakes in test files are told.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::Output;

use floodmark::alert::{Rule, Rules};
use floodmark::config::FlowConfig;
use floodmark::detect::Limits;
use floodmark::model::AlertName;
use floodmark::pipeline::Settings;
use floodmark::rule_tests::{self, Case, Kind, TestFile, shipped_survivors, shipped_tests};

use crate::cli_contract::floodmark;

fn shipped() -> Settings {
    Settings { flow: FlowConfig::default(), rules: Rules::shipped().unwrap(), limits: Limits::shipped().unwrap() }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn every_shipped_rule_fires_stays_quiet_and_bears_late_and_absent_data() {
    let tested = shipped();
    let files = shipped_tests().unwrap();
    for rule in &tested.rules.rules {
        let is_of = |file: &&TestFile| file.rule.alert == rule.alert && file.rule.severity == rule.labels.severity;
        let of_rule: Vec<&TestFile> = files.iter().filter(is_of).collect();
        assert_eq!(of_rule.len(), 1, "test files of {} ({})", rule.alert, rule.labels.severity.as_str());
        let kinds: BTreeSet<Kind> = of_rule[0].cases.iter().map(|case| case.kind).collect();
        let missing: Vec<&str> =
            Kind::NEEDED.iter().filter(|kind| !kinds.contains(kind)).map(|kind| kind.as_str()).collect();
        assert!(missing.is_empty(), "{} has no case that is {missing:?}", of_rule[0].name);
    }
    let outcomes = rule_tests::run(&tested, &files, &mut |_| {});
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.passed()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// A case that would not fire on the same events in time shows nothing of late ones.
#[test]
fn every_shipped_late_case_fires_when_its_events_come_in_time() {
    let tested = shipped();
    let mut files = shipped_tests().unwrap();
    // Of `DataDelayed`, lateness itself is the subject.
    files.retain(|file| file.rule.alert != AlertName::DataDelayed);
    for file in &mut files {
        file.cases = file.cases.iter().filter(|case| case.kind == Kind::Late).map(Case::in_time).collect();
    }
    let outcomes = rule_tests::run(&tested, &files, &mut |_| {});
    for outcome in &outcomes {
        for case in &outcome.cases {
            let fired = case.differences.iter().any(|line| !line.expected && line.line.contains("event: firing"));
            assert!(fired, "{}: \"{}\" fires neither late nor in time: {case:?}", outcome.file, case.name);
        }
    }
}

#[test]
fn every_shipped_test_file_is_built_in() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts/tests");
    let name = |path: &str| Path::new(path).file_name().unwrap().to_owned();
    let loaded = TestFile::load(&[directory]).unwrap();
    let loaded: BTreeSet<_> = loaded.iter().map(|file| name(&file.name)).collect();
    let built_in: BTreeSet<_> = shipped_tests().unwrap().iter().map(|file| name(&file.name)).collect();
    assert_eq!(loaded, built_in);
}

#[test]
fn every_mutant_of_a_shipped_rule_is_noticed_or_excused() {
    let tested = shipped();
    let (files, survivors) = (shipped_tests().unwrap(), shipped_survivors().unwrap());
    let report = rule_tests::mutate(&tested, &files, &survivors, &mut || {});
    let survived: Vec<_> = report.survivors().collect();
    assert!(survived.is_empty(), "{survived:#?}");
    assert!(report.passed(), "{:#?} {:#?}", report.problems, report.needless);
    assert!(report.mutants.len() > 200, "{}", report.mutants.len());
}

#[test]
fn a_rule_has_a_mutant_for_each_of_its_numbers_and_clamps_are_said() {
    let rules = Rules::shipped().unwrap().rules;
    let of = |alert: &str| rules.iter().find(|rule| rule.alert.as_str() == alert).unwrap();
    let (mutants, skipped) = rule_tests::mutants(of("RestartLoop"));
    let told: Vec<String> = mutants.iter().map(|m| format!("{}: {} → {}", m.key, m.from, m.to)).collect();
    assert_eq!(
        told,
        [
            "rule: there → gone",
            "labels.severity: critical → warning",
            "for: 0s → 1m",
            "keep_firing_for: 5m → 10m",
            "keep_firing_for: 5m → 150s",
            "detect.restart_loop.restarts_min: 3 → 6",
            "detect.restart_loop.restarts_min: 3 → 2",
            "detect.restart_loop.within: 15m → 30m",
            "detect.restart_loop.within: 15m → 450s",
        ]
    );
    assert_eq!(skipped.len(), 1);
    assert_eq!((skipped[0].change.as_str(), skipped[0].reason.as_str()), ("for lowered", "as many windows: no change"));
    // 0.9 cannot be doubled: half the way to its bound.
    let (mutants, _) = rule_tests::mutants(of("Saturation"));
    let near: Vec<&str> =
        mutants.iter().filter(|m| m.key.ends_with("near_limit_share")).map(|m| m.to.as_str()).collect();
    assert_eq!(near, ["0.95", "0.45"]);
    let changed = |rule: &Option<Rule>, original: &Rule| rule.as_ref().is_none_or(|rule| rule != original);
    assert!(mutants.iter().all(|mutant| changed(&mutant.rule, of("Saturation"))));
}

#[test]
fn thresholds_have_a_mutant_for_each_number_also_for_those_that_are_not_written() {
    let text = "\
groups:
  - name: own
    rules:
      - alert: CheckoutFails
        threshold: { series: error_ratio, by: [service], op: \">\", value: 0.02, clear: 0.01 }
        labels: { severity: critical }
        annotations: { summary: s, runbook_url: https://example.org }
      - alert: QueueGrows
        threshold: { series: signal, metric: queue_depth, op: \">\", value: 100 }
        labels: { severity: warning }
        annotations: { summary: s, runbook_url: https://example.org }
      - alert: CustomerFails
        query:
          name: traffic_by_minute
          params: { from: now-5m, until: now, service: '', limit: 1000 }
          value: failures
          op: '>='
          threshold: 100
          clear: 50
        labels: { severity: warning }
        annotations: { summary: s, runbook_url: https://example.org }
";
    let rules = Rules::parse(&[("own.yaml".to_owned(), text.to_owned())]).unwrap().rules;
    let told = |rule: &Rule| -> Vec<String> {
        let (mutants, _) = rule_tests::mutants(rule);
        let blocks = mutants.iter().filter(|mutant| mutant.key.contains("threshold"));
        let blocks = blocks.chain(mutants.iter().filter(|mutant| mutant.key == "query.clear"));
        blocks.map(|mutant| format!("{}: {} → {}", mutant.key, mutant.from, mutant.to)).collect()
    };
    assert_eq!(
        told(&rules[0]),
        [
            "threshold.value: 0.02 → 0.04",
            "threshold.value: 0.02 → 0.01",
            "threshold.clear: 0.01 → 0.02",
            "threshold.clear: 0.01 → 0.005",
            "threshold.over: 1m → 2m",
            "threshold.over: 1m → 30s",
            "threshold.samples_min: 10 → 20",
            "threshold.samples_min: 10 → 5",
        ]
    );
    assert_eq!(told(&rules[1]), ["threshold.value: 100.0 → 200.0", "threshold.value: 100.0 → 50.0"]);
    let query = ["threshold: 100.0 → 200.0", "threshold: 100.0 → 50.0", "clear: 50.0 → 100.0", "clear: 50.0 → 25.0"];
    assert_eq!(told(&rules[2]), query.map(|change| format!("query.{change}")));
}

#[test]
fn a_case_of_millions_of_events_is_refused_before_they_are_made() {
    let output = test(&RESTARTS.replace("until: 6m, every: 1m", "until: 90d, every: 1ms"), &[]);
    assert!(text(&output.stdout).contains("line 6: more than 2000000 events"), "{}", text(&output.stdout));
}

/// `floodmark alerts test FILE` on a file of this text.
fn test(file: &str, arguments: &[&str]) -> Output {
    let mut path = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    path.write_all(file.as_bytes()).unwrap();
    floodmark().args(["alerts", "test"]).args(arguments).arg(path.path()).output().unwrap()
}

const RESTARTS: &str = "\
rule: { alert: RestartLoop, severity: critical }
cases:
  - name: three restarts
    kind: fires
    events:
      - { type: signal, source: api-7, metric: restarts_total, until: 6m, every: 1m, value: [0, 1, 2, 3, 3, 3] }
    expect:
      - { at: 4m, event: firing, labels: { source: api-7 } }
";

#[test]
fn a_failed_case_shows_what_was_expected_and_what_came() {
    let output = test(RESTARTS, &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    assert!(told.contains(":3: fires: \"three restarts\""), "{told}");
    assert!(told.contains("  - { at: 4m, event: firing, labels: { source: \"api-7\" } }"), "{told}");
    assert!(told.contains("  + { at: ") && told.contains("1 cases, 1 failed"), "{told}");
    let junit = test(RESTARTS, &["--output", "junit"]);
    assert!(text(&junit.stdout).contains("<testsuites tests=\"1\" failures=\"1\">"), "{}", text(&junit.stdout));
    // What fails notices every mutant: it is told instead.
    let mutated = test(RESTARTS, &["--mutate"]);
    assert_eq!(mutated.status.code(), Some(1));
    assert!(text(&mutated.stdout).contains("fails before the rule is broken"), "{}", text(&mutated.stdout));
}

#[test]
fn a_mutant_that_no_case_notices_fails_with_its_key() {
    // Times and what comes after the firing are left to chance: the waiting cannot be told.
    let lax = RESTARTS.replace("at: 4m, event: firing", "within: 10m, at: 4m, event: firing");
    assert_eq!(test(&lax, &[]).status.code(), Some(0), "{}", text(&test(&lax, &[]).stdout));
    let output = test(&lax, &["--mutate"]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    assert!(told.contains("survived: RestartLoop (critical) for: 0s → 1m"), "{told}");
}

#[test]
fn mistakes_in_test_files_are_refused_with_line_and_hint() {
    let mistakes = [
        ("metric: restarts_total", "metrics: restarts_total", "unknown key `metrics`: did you mean `metric`?", 6),
        ("kind: fires", "kind: fire", "unknown variant `fire`", 4),
        ("expect:", "expected:", "unknown field `expected`", 7),
        ("labels: { source: api-7 }", "labels: { sorce: api-7 }", "unknown variant `sorce`", 8),
    ];
    for (right, wrong, said, line) in mistakes {
        let output = test(&RESTARTS.replace(right, wrong), &[]);
        assert_eq!(output.status.code(), Some(78), "{wrong}");
        let told = text(&output.stderr);
        assert!(told.contains(said) && told.contains(&format!("line {line}")), "{wrong}: {told}");
    }
    let neither = RESTARTS.replace("    expect:\n      - { at: 4m, event: firing, labels: { source: api-7 } }\n", "");
    assert!(text(&test(&neither, &[]).stderr).contains(":3: case \"three restarts\": give `expect`"));
    let no_type = test(&RESTARTS.replace("type: signal, ", ""), &[]);
    assert_eq!(no_type.status.code(), Some(78));
    assert!(text(&no_type.stderr).contains("line 6: a request has no `metric`"), "{}", text(&no_type.stderr));
    let far = test(&RESTARTS.replace("at: 4m", "within: 1000d, at: 4m"), &[]);
    assert!(text(&far.stderr).contains("`within` is at most 1h"), "{}", text(&far.stderr));
    let nothing =
        "rule: { alert: RestartLoop, severity: critical }\ncases:\n  - { name: n, kind: quiet, expect_none: true }\n";
    assert!(text(&test(nothing, &[]).stderr).contains("nothing comes in"));
    let no_event = test(&RESTARTS.replace("metric: restarts_total, ", ""), &[]);
    assert!(text(&no_event.stdout).contains("line 6: not an event"), "{}", text(&no_event.stdout));
    let endless = test(&RESTARTS.replace("every: 1m", "every: 0s"), &[]);
    assert!(text(&endless.stdout).contains("line 6: give `every`"), "{}", text(&endless.stdout));
}

#[test]
fn what_has_no_rule_or_no_tests_passes_nothing() {
    let rules = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts");
    std::fs::copy(shipped.join("rules/limits.yaml"), rules.path().join("limits.yaml")).unwrap();
    let directory = rules.path().to_str().unwrap();
    let junit = test(RESTARTS, &["--rules", directory, "--output", "junit"]);
    assert_eq!(junit.status.code(), Some(1));
    let told = text(&junit.stdout);
    assert!(told.contains("<testsuites tests=\"1\" failures=\"1\">") && told.contains("no such rule"), "{told}");
    let mutated = test(RESTARTS, &["--rules", directory, "--mutate"]);
    assert_eq!(mutated.status.code(), Some(1));
    assert!(text(&mutated.stdout).contains("there is no rule RestartLoop (critical)"), "{}", text(&mutated.stdout));
    // Rules of one's own and a directory of tests: each rule has some.
    let tests = tempfile::tempdir().unwrap();
    std::fs::write(tests.path().join("restarts.yaml"), RESTARTS).unwrap();
    let arguments = ["alerts", "test", "--rules", directory, "--mutate"];
    let untested = floodmark().args(arguments).arg(tests.path()).output().unwrap();
    assert_eq!(untested.status.code(), Some(1));
    assert!(text(&untested.stdout).contains("untested: RateLimitExceeded (warning)"), "{}", text(&untested.stdout));
}

#[test]
fn a_scenario_can_be_what_comes_in() {
    let file = "\
rule: { alert: RetryAmplification, severity: critical }
cases:
  - name: a calm day
    kind: quiet
    scenario: { name: quiet-day, until: 5m }
    expect_none: true
";
    let output = test(file, &["--output", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(told[0]["cases"][0]["events"].as_u64().unwrap() > 100, "{told}");
}
