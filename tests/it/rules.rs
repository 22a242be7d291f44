//! Rule files with mistakes: all of them are told at once, each with its place and a hint.

use std::collections::BTreeSet;
use std::path::Path;

use floodmark::alert::{Rules, Slos};

use crate::cli_contract::floodmark;

/// Each kind of mistake, a file a kind.
const BAD: &str = "tests/fixtures/rules-bad";

#[test]
fn every_mistake_of_every_file_is_told_with_its_place_and_a_hint() {
    let error = Rules::load(Path::new(BAD)).unwrap_err();
    insta::assert_snapshot!(error.to_string());
}

#[test]
fn no_bad_file_passes_alone_and_each_is_named_with_a_line() {
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(BAD).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        // What is no text has its place in the test above.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let error = Rules::parse(&[(name.clone(), text)]).expect_err(&name);
        assert!(error.0.iter().all(|problem| problem.file == name && problem.line > 0), "{error}");
        files.insert(name);
    }
    assert!(files.len() >= 14, "{files:?}");
}

#[test]
fn every_mistake_of_every_objective_is_told_and_what_is_supported_instead() {
    let error = Slos::load(Path::new("tests/fixtures/slos-bad")).unwrap_err();
    insta::assert_snapshot!(error.to_string());
}

#[test]
fn the_example_objectives_are_read() {
    let slos = Slos::load(Path::new("alerts/slos")).unwrap();
    let rules = Rules::shipped().unwrap();
    let before = rules.rules.len();
    assert_eq!(rules.with_slos(&slos).unwrap().rules.len(), before + 2 * slos.slos.len());
}

#[test]
fn the_example_rules_are_read_beside_those_built_in() {
    let examples = Rules::load(Path::new("alerts/examples")).unwrap().rules;
    assert!(examples.iter().any(|rule| rule.query().is_some()) && examples.iter().any(|rule| rule.query().is_none()));
    let shipped = Rules::shipped().unwrap().rules;
    let taken: BTreeSet<_> = shipped.iter().map(|rule| rule.alert).collect();
    assert!(examples.iter().all(|rule| rule.alert.is_custom() && !taken.contains(&rule.alert)));
    // A rule is written as it was read.
    for rule in examples.into_iter().chain(shipped) {
        let written = serde_json::to_value(&rule).unwrap();
        assert_eq!(serde_json::from_value::<floodmark::alert::Rule>(written).unwrap(), rule);
    }
}

#[test]
fn the_schemas_for_editors_are_those_of_the_types_and_named_in_every_file() {
    for (of, file, directory) in [
        ("rules", "alerts/rules.schema.json", "alerts/rules"),
        ("rules", "alerts/rules.schema.json", "alerts/examples"),
        ("slos", "alerts/slos.schema.json", "alerts/slos"),
    ] {
        let written = std::fs::read_to_string(file).unwrap_or_default();
        let now = floodmark().args(["config", "schema", of]).output().unwrap();
        let now = String::from_utf8(now.stdout).unwrap();
        assert!(written == now, "{file} is old: floodmark config schema {of} > {file}");
        let line = format!("# yaml-language-server: $schema=../{}\n", file.trim_start_matches("alerts/"));
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(text.contains(&line), "{} does not name its schema", path.display());
            }
        }
    }
}
