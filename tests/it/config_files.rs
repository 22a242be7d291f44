//! The sample configurations and `floodmark config`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use floodmark::config::{Config, KafkaConfig, ProbesConfig, Span};
use serde_json::Value;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(sample(name)).unwrap()
}

/// full.toml with the keys that are absent by default: their lines start with `#` and no space.
fn full_with_optional_keys() -> String {
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| !c.is_whitespace()) => rest.to_owned(),
        _ => line.to_owned(),
    };
    text("full.toml").lines().map(|line| uncomment(line) + "\n").collect()
}

fn load(text: &str) -> Config {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("floodmark.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(Some(&path), []).unwrap()
}

fn floodmark(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floodmark"));
    command.args(arguments).env_remove("FLOODMARK_CONFIG").envs(environment.iter().copied()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Paths of all keys that the schema allows: `kafka.topics.requests`, `notify.webhooks.url`.
pub fn schema_keys() -> BTreeSet<String> {
    let schema: Value = serde_json::from_str(&stdout(&floodmark(&["config", "schema"], &[]))).unwrap();
    let mut keys = BTreeSet::new();
    collect_keys(&schema, &schema, "", &mut keys);
    keys
}

fn collect_keys(root: &Value, schema: &Value, path: &str, keys: &mut BTreeSet<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let definition = root.pointer(name.trim_start_matches('#')).expect("a reference points somewhere");
        return collect_keys(root, definition, path, keys);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        keys.insert(path.clone());
        collect_keys(root, property, &path, keys);
    }
    for alternative in schema["anyOf"].as_array().into_iter().flatten() {
        collect_keys(root, alternative, path, keys);
    }
    if schema["items"].is_object() {
        collect_keys(root, &schema["items"], path, keys);
    }
}

/// Paths of all keys that a configuration text holds, in the schema's terms.
fn written_keys(value: &toml::Value, path: &str, keys: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (name, value) in table {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                keys.insert(path.clone());
                written_keys(value, &path, keys);
            }
        }
        toml::Value::Array(values) => values.iter().for_each(|value| written_keys(value, path, keys)),
        _ => {}
    }
}

#[test]
fn minimal_is_valid_and_names_both_engines() {
    let config = Config::load(Some(&sample("minimal.toml")), []).unwrap();
    assert_eq!(config.kafka.unwrap().brokers, "localhost:9092");
    assert_eq!(config.clickhouse.url.as_deref(), Some("http://localhost:8123"));
}

#[test]
fn full_holds_exactly_the_defaults() {
    let config = Config::load(Some(&sample("full.toml")), []).unwrap();
    assert_eq!(config, Config { kafka: Some(KafkaConfig::default()), ..Config::default() });
}

#[test]
fn the_optional_keys_of_full_are_valid_and_show_their_defaults() {
    let config = load(&full_with_optional_keys());
    let webhook = &config.notify.webhooks[0];
    let alertmanager = config.notify.alertmanager.as_ref().unwrap();
    let without_spans = load("[[notify.webhooks]]\nurl = 'http://x'\n[notify.alertmanager]\nurls = ['http://y']\n");
    assert_eq!(webhook.timeout, without_spans.notify.webhooks[0].timeout);
    let defaults = without_spans.notify.alertmanager.unwrap();
    assert_eq!((alertmanager.resend_interval, alertmanager.timeout), (defaults.resend_interval, defaults.timeout));
    let defaults = load(
        "[[probes.redis]]\nname = 'a'\naddress = 'a:1'\n[[probes.clickhouse]]\nname = 'a'\nurl = 'http://a'\n\
         [[probes.prometheus]]\nname = 'a'\nurl = 'http://a'\n\
         [[probes.prometheus.metrics]]\nname = 'a'\nmetric = 'a'\nsource = 'a'\n\
         [kafka.sasl]\nuser = 'a'\npassword_file = 'a'\n",
    );
    let (written, defaults_of) = (&config.probes, &defaults.probes);
    let pace = |probes: &ProbesConfig| {
        let (redis, prometheus, clickhouse) = (&probes.redis[0], &probes.prometheus[0], &probes.clickhouse[0]);
        let timeouts = [redis.timeout, prometheus.timeout, clickhouse.timeout];
        let user = clickhouse.user.clone();
        let intervals = [redis.interval, prometheus.interval, clickhouse.interval];
        (intervals, timeouts, prometheus.metrics[0].factor, user, clickhouse.queries)
    };
    assert_eq!(pace(written), pace(defaults_of));
    let mechanism = |config: &Config| config.kafka.as_ref().unwrap().sasl.as_ref().unwrap().mechanism;
    assert_eq!(mechanism(&config), mechanism(&defaults));
}

#[test]
fn full_mentions_every_key_with_a_comment() {
    let full = full_with_optional_keys();
    let mut written = BTreeSet::new();
    written_keys(&toml::from_str(&full).unwrap(), "", &mut written);
    let missing: Vec<String> = schema_keys().difference(&written).cloned().collect();
    assert!(schema_keys().len() > 40 && missing.is_empty(), "not in full.toml: {missing:?}");

    let lines: Vec<&str> = full.lines().collect();
    let bare =
        lines.windows(2).find(|pair| pair[1].contains(" = ") && !pair[1].starts_with('#') && !commented(pair[0]));
    assert_eq!(bare, None, "a key without a comment above it");
}

/// A comment, or a section whose own comment stands above it.
fn commented(line: &str) -> bool {
    line.starts_with("# ") || line == "[kafka.properties]"
}

#[test]
fn config_print_is_a_configuration_that_reads_back_as_the_one_in_force() {
    let full = sample("full.toml");
    let arguments = ["config", "print", "--config", full.to_str().unwrap()];
    let environment = [("FLOODMARK__FLOW__WINDOW", "10s"), ("FLOODMARK__DECODE__RECORD_BYTES_MAX", "1000000")];
    let printed = load(&stdout(&floodmark(&arguments, &environment)));
    let mut expected = Config::load(Some(&full), []).unwrap();
    expected.flow.window = Span::from_secs(10);
    assert_eq!(printed.decode.record_bytes_max.as_usize(), 1_000_000);
    expected.decode.record_bytes_max = printed.decode.record_bytes_max;
    assert_eq!(printed, expected);

    let json = stdout(&floodmark(&["config", "print", "--output", "json"], &environment));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["flow"]["window"], &json["kafka"]), (&Value::from("10s"), &Value::Null));
}

#[test]
fn a_bad_configuration_exits_78_and_lists_every_problem() {
    let environment = [("FLOODMARK__FLOW__WINDOW", "7s"), ("FLOODMARK__CLICKHOUSE__DATABASE", "a b")];
    let output = floodmark(&["config", "print"], &environment);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(errors.contains("flow.window") && errors.contains("clickhouse.database"), "{errors}");
    assert!(output.stdout.is_empty());
}
