//! `floodmark evaluate`: two short scenarios from files, held against their truth; the report and what it says.

use std::path::Path;
use std::process::{Command, Output};

use floodmark::sim::embedded;
use serde_json::Value;

/// A built-in scenario, shorter: replacements must all apply.
fn shortened(name: &str, directory: &Path, replacements: &[(&str, &str)]) -> String {
    let mut text = embedded(name).unwrap().to_owned();
    for (from, to) in replacements {
        assert!(text.contains(from), "{name} no longer says {from}");
        text = text.replace(from, to);
    }
    let path = directory.join(format!("{name}.toml"));
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn evaluate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floodmark"));
    command.arg("evaluate").args(arguments).env_remove("FLOODMARK_CONFIG").output().unwrap()
}

fn two_scenarios(directory: &Path) -> String {
    let storm = [
        ("duration = \"2h\"", "duration = \"35m\""),
        ("at = \"80m\"\nlasts = \"30m\"", "at = \"20m\"\nlasts = \"8m\""),
        ("onset = \"80m\"\nend = \"110m\"", "onset = \"20m\"\nend = \"28m\""),
        ("red_herrings = [\"thumbnailer\"]\n", ""),
    ];
    let calm = [("duration = \"3h\"", "duration = \"20m\"")];
    let names = [shortened("storm-beside-leak", directory, &storm), shortened("flash-crowd", directory, &calm)];
    names.join(",")
}

#[test]
fn a_storm_and_a_calm_are_told_apart_and_reported() {
    let directory = tempfile::tempdir().unwrap();
    let scenarios = two_scenarios(directory.path());
    let report = directory.path().join("e.md");
    let arguments = ["--scenarios", &scenarios, "--seeds", "2", "--amplitudes", "10", "--output", "json", "--report"];
    let output = evaluate(&[&arguments[..], &[report.to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    let total = &results["summary"]["total"];
    assert_eq!(total["runs"], 4, "two scenarios, two seeds, one amplitude");
    assert_eq!(total["recall"], serde_json::json!({"hits": 2, "of": 2}), "{total}");
    assert_eq!(total["quiet_pages"], 0);
    assert!(total["delay_s_p95"].as_f64().unwrap() < 120.0, "{total}");
    let saved: Value =
        serde_json::from_slice(&std::fs::read(directory.path().join("e/results.json")).unwrap()).unwrap();
    assert_eq!(saved, results);
    let text = std::fs::read_to_string(report).unwrap();
    assert!(text.contains("| storm-beside-leak | 2 | 2/2 |") && text.contains("| flash-crowd | 2 |"), "{text}");
    // The same again, whatever ends first.
    let again = evaluate(&arguments[..arguments.len() - 1]);
    assert_eq!(serde_json::from_slice::<Value>(&again.stdout).unwrap(), results);
}

#[test]
fn missed_aims_fail_a_check_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let calm = shortened("flash-crowd", directory.path(), &[("duration = \"3h\"", "duration = \"5m\"")]);
    let table = evaluate(&["--scenarios", &calm, "--seeds", "1"]);
    assert_eq!(table.status.code(), Some(0));
    let text = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(text.contains("flash-crowd") && text.contains("quiet virtual days"), "{text}");
    let check = evaluate(&["--scenarios", &calm, "--seeds", "1", "--check"]);
    assert_eq!(check.status.code(), Some(1), "five minutes show too little");
    let none = evaluate(&["--scenarios", "storm-beside-leak", "--amplitudes", "7"]);
    assert_eq!(none.status.code(), Some(64), "{}", String::from_utf8_lossy(&none.stderr));
    let unknown = evaluate(&["--scenarios", "no-such-thing"]);
    assert_eq!(unknown.status.code(), Some(78));
}
