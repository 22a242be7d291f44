//! The demo: from one command to the incident's report, on engines of its own.

use serde_json::Value;

use crate::support::service::Setup;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_names_the_release_and_rules_the_leak_out_and_loses_nothing() {
    let setup = Setup::new(None);
    let stdout = setup.stdout(&["demo", "--exit", "--speed", "max", "--output", "json"]).await;
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let worst = &report["incidents"][0];
    assert_eq!(worst["severity"], "critical");
    assert_eq!(worst["causes"][0]["dimensions"]["client_version"], "4.0.0", "{worst}");
    let ruled_out = worst["ruled_out"].as_array().unwrap();
    let is_the_leak = |refused: &Value| refused["candidate"].as_str().unwrap().contains("monitoring-agent");
    assert!(ruled_out.iter().any(is_the_leak), "{worst}");
    assert_eq!(report["complete"], true, "{}", report["counts"]);
    // The same scenario, seed and rules give the same report, numbers and words.
    insta::assert_snapshot!(stdout);
}
