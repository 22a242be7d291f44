//! Prometheus' alerts on Floodmark itself: promtool runs their tests, and every alert and every metric has its place.

use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// What stands behind `key` in the lines that begin with it.
fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.trim_start().strip_prefix(key)).map(str::trim)
}

#[test]
fn the_rules_on_ourselves_pass_their_tests() {
    let promtool = root().join(".local/engines/promtool");
    assert!(promtool.exists(), "promtool is missing: `make engines` fetches it");
    for arguments in [["check", "rules", "rules.yaml"], ["test", "rules", "tests.yaml"]] {
        let output = Command::new(&promtool).args(arguments).current_dir(root().join("alerts/self")).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
    }
}

#[test]
fn every_rule_on_ourselves_fires_and_does_not_fire_in_a_test() {
    let (rules, tests) = (read("alerts/self/rules.yaml"), read("alerts/self/tests.yaml"));
    let alerts: Vec<&str> = values(&rules, "- alert:").collect();
    assert!(alerts.len() >= 12, "{alerts:?}");
    let cases: Vec<&str> = values(&tests, "- name:").collect();
    for alert in alerts {
        for case in [format!("{alert} fires"), format!("{alert} does not fire")] {
            assert!(cases.contains(&case.as_str()), "alerts/self/tests.yaml has no case \"{case}\"");
        }
        assert!(tests.contains(&format!("eval_time: 1h, alertname: {alert}, exp_alerts: []")), "{alert} on nothing");
    }
}

#[test]
fn the_rules_on_ourselves_name_metrics_that_are_served() {
    let served =
        read("src/metrics/snapshots/floodmark__metrics__tests__every_metric_has_a_name_a_type_and_a_help_text.snap");
    let mut count = 0;
    for text in [read("alerts/self/rules.yaml"), read("alerts/self/tests.yaml")] {
        for (at, _) in text.match_indices("floodmark_") {
            let name: String = text[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let family = name.strip_suffix("_total").unwrap_or(&name);
            assert!(served.contains(&format!("# TYPE {family} ")), "{name} is not served");
            count += 1;
        }
    }
    assert!(count > 30, "only {count} metrics are named");
}
