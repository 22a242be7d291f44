//! Rule files with mistakes: all of them are told at once, each with its place and a hint.

use std::collections::BTreeSet;
use std::path::Path;

use floodmark::alert::Rules;

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
        let text = std::fs::read_to_string(&path).unwrap();
        let error = Rules::parse(&[(name.clone(), text)]).expect_err(&name);
        assert!(error.0.iter().all(|problem| problem.file == name && problem.line > 0), "{error}");
        files.insert(name);
    }
    assert!(files.len() >= 14, "{files:?}");
}
