//! `floodmark check`: all problems at once, and what the engines say.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::cli_contract::floodmark;
use crate::support::broker::TestBroker;
use crate::support::clickhouse::shared_engine;

fn check(directory: &Path, arguments: &[&str]) -> Output {
    floodmark().arg("check").args(arguments).current_dir(directory).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Details of one subject, with its result in front.
fn line(output: &Output, subject: &str) -> String {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let line = report["checks"].as_array().unwrap().iter().find(|line| line["subject"] == subject).unwrap();
    let details: Vec<&str> = line["details"].as_array().unwrap().iter().map(|d| d.as_str().unwrap()).collect();
    format!("{} {}", line["result"].as_str().unwrap(), details.join("\n"))
}

/// A configuration file with these sections; in a directory of its own, without a local engine.
fn configuration(text: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("floodmark.toml"), text).unwrap();
    directory
}

#[test]
fn all_is_well_with_the_shipped_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = check(root, &["--config", "config/full.toml", "--rules", "alerts/rules", "scenarios/quiet-day.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(output.stderr.is_empty());
    insta::assert_snapshot!(text(&output.stdout));
}

#[test]
fn problems_of_all_files_are_reported_in_one_run() {
    let directory = configuration(
        "[flow]\nwindow = '7s'\n[clickhouse]\nurl = 'ftp://x'\n\
         [detect]\nrules_dir = 'rules'\nlimits_file = 'limits.toml'\n",
    );
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    std::fs::create_dir(directory.path().join("rules")).unwrap();
    write(
        "rules/a.yaml",
        "groups:\n  - name: g\n    rules:\n      - alert: RestartLoop\n        detect: { rate_limit: {} }\n        \
         labels: { severity: info }\n        annotations: { summary: s, runbook_url: r }\n",
    );
    write("rules/b.yaml", "groups: none\n");
    write("limits.toml", "[[limits]]\nname = ''\nrequests = 0\nper = '2h'\n");
    let scenario = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/quiet-day.toml"));
    write("bad.toml", &scenario.unwrap().replacen("duration = ", "duration = \"9000d\" # ", 1));
    write("typo.toml", "nmae = 'x'\n");

    let output = check(directory.path(), &["--config", "floodmark.toml", "--online", "bad.toml", "typo.toml"]);
    assert_eq!(output.status.code(), Some(78));
    insta::assert_snapshot!(format!("{}--- stderr\n{}", text(&output.stdout), text(&output.stderr)));
}

#[test]
fn a_typo_in_the_configuration_hides_no_problem_of_the_rules() {
    let directory = configuration("[flow]\nwindw = '5s'\n[detect]\nrules_dir = 'no-such-directory'\n");
    let output = check(directory.path(), &["--config", "floodmark.toml", "--output", "json"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(line(&output, "configuration").contains("windw"));
    assert!(line(&output, "rules").starts_with("problem no-such-directory: "));
    assert!(line(&output, "limits").starts_with("ok "));
}

#[test]
fn what_cannot_be_told_is_skipped_not_passed() {
    let directory = configuration("[detect\n");
    let output = check(directory.path(), &["--config", "floodmark.toml", "--output", "json"]);
    assert!(line(&output, "rules").starts_with("skipped ") && line(&output, "limits").starts_with("skipped "));
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn without_configured_engines_the_local_one_must_be_there() {
    let directory = configuration("");
    let output = check(directory.path(), &["--config", "floodmark.toml", "--online", "--output", "json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(line(&output, "kafka").starts_with("skipped "));
    let clickhouse = line(&output, "clickhouse");
    assert!(clickhouse.starts_with("problem local.clickhouse_library: "), "{clickhouse}");

    std::fs::create_dir_all(directory.path().join(".local/engines")).unwrap();
    std::fs::write(directory.path().join(".local/engines/libchdb.so"), "").unwrap();
    let output = check(directory.path(), &["--config", "floodmark.toml", "--online", "--output", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

#[test]
fn engines_that_do_not_answer_are_named_with_the_reason() {
    // A port that was free a moment ago, with nobody behind it.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let directory =
        configuration(&format!("[kafka]\nbrokers = '{free}'\n[clickhouse]\nurl = 'http://somebody:secret@{free}'\n"));
    let output = check(directory.path(), &["--config", "floodmark.toml", "--online", "--output", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let kafka = line(&output, "kafka");
    assert!(kafka.starts_with(&format!("problem kafka.brokers: no answer from {free} within 10s: ")), "{kafka}");
    assert!(kafka.contains("refused"), "{kafka}");
    let clickhouse = line(&output, "clickhouse");
    assert!(clickhouse.starts_with(&format!("problem clickhouse.url: http://{free}/: ")), "{clickhouse}");
    assert!(clickhouse.contains("refused") && !clickhouse.contains("secret"), "{clickhouse}");
}

#[tokio::test]
async fn topics_are_counted_and_missing_ones_named_but_not_made() {
    let test = TestBroker::without_topics();
    let topics = &test.kafka.topics;
    let config =
        format!("[kafka]\nbrokers = '{}'\n[local]\nclickhouse_library = 'floodmark.toml'\n", test.kafka.brokers);
    let directory = configuration(&config);
    let ask = || check(directory.path(), &["--config", "floodmark.toml", "--online", "--output", "json"]);
    test.broker.create_topics(&[(&topics.requests, 3), (&topics.signals, 2), (&topics.changes, 1)]).await.unwrap();
    for _ in 0..2 {
        let output = ask();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(
            line(&output, "kafka"),
            "problem kafka.topics: floodmark.dead-letters does not exist; create it first"
        );
    }
    test.broker.create_topics(&[(&topics.dead_letters, 1)]).await.unwrap();
    let output = ask();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let counted = "partitions of requests (3), signals (2), changes (1), floodmark.dead-letters (1)";
    assert_eq!(line(&output, "kafka"), format!("ok {}; {counted}", test.kafka.brokers));
}

#[test]
fn clickhouse_must_answer_and_take_the_password() {
    let engine = shared_engine();
    let directory = configuration("");
    let ask = |password: &str| {
        let user = &engine.users.writer.user;
        let config = format!("[clickhouse]\nurl = '{}/'\nuser = '{user}'\npassword_file = 'password'\n", engine.url);
        std::fs::write(directory.path().join("floodmark.toml"), config).unwrap();
        std::fs::write(directory.path().join("password"), password).unwrap();
        check(directory.path(), &["--config", "floodmark.toml", "--online", "--output", "json"])
    };
    let output = ask(&format!("{}\n", engine.users.writer.password));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(line(&output, "clickhouse").contains("; ClickHouse 2"), "{}", line(&output, "clickhouse"));

    let output = ask("wrong");
    assert_eq!(output.status.code(), Some(1));
    let refused = line(&output, "clickhouse");
    assert!(refused.contains("Authentication failed") && !refused.contains("wrong"), "{refused}");
}
