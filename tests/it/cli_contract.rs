//! What every command promises: help that teaches, exit codes, and input that can harm nothing.

use std::io::{BufRead, Read, Write};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

/// The binary, unaffected by the caller's configuration.
pub fn floodmark() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floodmark"));
    command.env_remove("FLOODMARK_CONFIG").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    floodmark().args(arguments).output().unwrap()
}

/// Runs with `input` as standard input.
fn run_with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    floodmark().args(arguments).stdin(file).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Standard error of a run that ended with `code` and wrote no data.
fn refused(arguments: &[&str], code: i32) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
    assert!(output.stdout.is_empty(), "{arguments:?}");
    text(&output.stderr).to_owned()
}

/// The last line of a replay that succeeded.
fn summary(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let summary: Value = serde_json::from_str(text(&output.stdout).lines().last().unwrap()).unwrap();
    assert_eq!(summary["event"], "summary");
    summary
}

/// Names under "Commands:" of a help text.
fn commands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    listed.map(|line| line.split_whitespace().next().unwrap().to_owned()).filter(|name| name != "help").collect()
}

/// Reads the help of a command and of all commands below it; gives how many there were.
fn read_help(path: &[&str]) -> usize {
    let output = run(&[path, &["--help"]].concat());
    assert_eq!(output.status.code(), Some(0), "{path:?}");
    let help = text(&output.stdout);
    assert!(help.contains("Example"), "no example in the help of {path:?}:\n{help}");
    let below = commands(help);
    1 + below.iter().map(|name| read_help(&[path, &[name.as_str()]].concat())).sum::<usize>()
}

#[test]
fn every_commands_help_shows_an_example() {
    assert!(read_help(&[]) >= 8, "the commands are found in the help");
}

#[test]
fn what_is_one_of_several_is_said_as_one_of_several() {
    for (arguments, one_of) in [
        (&["limits", "what-if", "--limit", "1200/min"][..], "<--since <TIME>|--events <FILE>...>"),
        (&["alerts", "backtest", "--rules", "r"], "<--since <TIME>|--files <FILE>...>"),
        (&["incidents", "export", "latest"], "<--csv <FILE>|--markdown <DIR>>"),
        (&["attribute", "--measure", "n", "--expected", "e"], "<FILE|--query <NAME>>"),
        (&["attribute", "a.csv", "--measure", "n"], "<--time-column <T>|--expected <COLUMN>>"),
        (&["detect"], "<FILE|--query <NAME>>"),
        (&["simulate"], "<SCENARIO|--list>"),
        (&["ingest", "--format", "native", "--dry-run"], "<FILE|--file <FILE>>"),
        (&["ingest", "--format", "native", "a.ndjson"], "<--to <TO>|--dry-run>"),
    ] {
        let refusal = refused(arguments, 64);
        assert!(refusal.contains(one_of), "{arguments:?}: {refusal}");
        let (error, usage) = refusal.split_once("Usage:").unwrap_or_else(|| panic!("{refusal}"));
        assert!(error.contains(one_of) && usage.contains(one_of), "{arguments:?}: {refusal}");
    }
    let two = refused(&["limits", "what-if", "--limit", "1/s", "--since", "1h", "--events", "a.ndjson"], 64);
    assert!(two.contains("'--since <TIME>' cannot be used with"), "{two}");
}

#[test]
fn wrong_usage_exits_64() {
    for arguments in [
        &[] as &[&str],
        &["no-such-command"],
        &["--no-such-option"],
        &["replay"],
        &["replay", "-", "-"],
        &["replay", "--format", "xml", "-"],
        &["simulate"],
        &["simulate", "quiet-day", "--speed", "0"],
        &["simulate", "quiet-day", "--duration", "long"],
        &["check", "--output", "pdf"],
        &["completions", "no-such-shell"],
        &["config"],
    ] {
        assert!(!refused(arguments, 64).is_empty(), "{arguments:?} is refused without a word");
    }
}

#[test]
fn a_configuration_that_cannot_be_used_exits_78_and_names_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("floodmark.toml");
    let path_text = path.to_str().unwrap();
    for (content, named) in [
        ("[flow]\nwindow = '7s'\n", "flow.window"),
        ("[flow]\nwindw = '5s'\n", "windw"),
        ("[kafka]\nbrokers = 9092\n", "brokers"),
        ("[detect]\nrules_dir = '/no/such/directory'\n", "/no/such/directory"),
        ("[detect]\nlimits_file = '/no/such/file'\n", "/no/such/file"),
    ] {
        std::fs::write(&path, content).unwrap();
        let errors = refused(&["replay", "--config", path_text, "-"], 78);
        assert!(errors.contains(named), "{named} not in {errors}");
    }
    assert!(refused(&["replay", "--config", "/no/such.toml", "-"], 78).contains("/no/such.toml"));
}

#[test]
fn rules_and_limits_are_refused_together() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("floodmark.toml");
    std::fs::write(&path, "[detect]\nrules_dir = '/no/such/directory'\nlimits_file = '/no/such/file'\n").unwrap();
    let errors = refused(&["replay", "--config", path.to_str().unwrap(), "-"], 78);
    assert!(errors.contains("/no/such/directory") && errors.contains("/no/such/file"), "{errors}");
}

#[cfg(unix)]
#[test]
fn an_environment_that_is_not_utf_8_is_no_reason_to_panic() {
    use std::os::unix::ffi::OsStrExt;
    let odd = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    let output = floodmark().args(["config", "print"]).env("ODD", odd).env(odd, "x").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let output = floodmark().args(["config", "print"]).env("FLOODMARK__FLOW__WINDOW", odd).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "{}", text(&output.stderr));
}

#[test]
fn an_unknown_scenario_exits_78_and_lists_those_there_are() {
    let errors = refused(&["simulate", "kameleo-retry-strom"], 78);
    for name in ["kameleo-retry-strom", "kameleo-retry-storm", "quiet-day"] {
        assert!(errors.contains(name), "{name} not in {errors}");
    }
}

#[test]
fn replay_of_a_missing_file_or_a_directory_says_so() {
    let errors = refused(&["replay", "/no/such/requests.ndjson"], 1);
    assert!(errors.contains("/no/such/requests.ndjson") && errors.contains("No such file"), "{errors}");
    let directory = tempfile::tempdir().unwrap();
    let errors = refused(&["replay", directory.path().to_str().unwrap()], 64);
    assert!(errors.contains("is a directory"), "{errors}");
}

#[test]
fn replay_of_an_empty_file_is_a_summary_of_nothing() {
    let output = run(&["replay", "-"]);
    let expected = json!({"event": "summary", "events": 0, "rejected": 0, "late": 0, "watermark": null, "alerts": 0,
                          "incidents": 0});
    assert_eq!(summary(&output), expected);
    assert_eq!(text(&output.stdout).lines().count(), 1);
    assert!(output.stderr.is_empty());
}

/// Bytes without any pattern, the same in every run (xorshift).
fn random_bytes(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[7]
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[test]
fn every_line_of_a_binary_file_is_counted_as_rejected() {
    let bytes = random_bytes(1 << 20);
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
    for format in ["native", "combined"] {
        let output = run_with_input(&["replay", "--format", format, "-"], &bytes);
        let summary = summary(&output);
        assert_eq!((&summary["events"], &summary["rejected"]), (&json!(0), &json!(lines)), "{format}");
        assert!(lines > 1_000 && text(&output.stderr).contains("rejected"));
        assert!(text(&output.stderr).lines().count() < 100, "a broken file does not flood the terminal");
    }
}

/// A request, a signal, a change and a query, each with one field wrong, for each field that can be.
fn records_with_a_wrong_field() -> Vec<(String, &'static str)> {
    let at = "2026-03-01T12:00:00Z";
    let good = [
        json!({"timestamp": at, "subscription": "acme", "route": "/a", "status": 200, "duration_ms": 1.5}),
        json!({"type": "signal", "timestamp": at, "source": "redis/main", "metric": "memory_used_bytes", "value": 1}),
        json!({"type": "change", "timestamp": at, "kind": "release", "service": "profiles"}),
        json!({"type": "query", "timestamp": at, "node": "node-3", "fingerprint": "0xabc"}),
    ];
    let wrong = [
        (0, "timestamp", json!("yesterday")),
        (0, "subscription", json!({"id": 1})),
        (0, "client", json!([])),
        (0, "client_version", json!({})),
        (0, "service", json!([1])),
        (0, "caller", json!({})),
        (0, "method", json!([])),
        (0, "route", json!("")),
        (0, "status", json!(1_000)),
        (0, "duration_ms", json!(-1)),
        (0, "request_bytes", json!(-1)),
        (0, "response_bytes", json!("many")),
        (0, "attempt", json!(0)),
        (0, "request_key", json!({})),
        (0, "request_id", json!([])),
        (0, "region", json!({})),
        (0, "host", json!([])),
        (0, "type", json!("party")),
        (1, "source", json!(null)),
        (1, "metric", json!([])),
        (1, "value", json!("full")),
        (2, "kind", json!("party")),
        (2, "version", json!({})),
        (2, "title", json!([])),
        (2, "url", json!({})),
        (3, "node", json!("-")),
        (3, "fingerprint", json!("")),
        (3, "state", json!("asleep")),
        (3, "memory_bytes", json!(-1)),
        (3, "read_rows", json!(1.5)),
        (3, "exception_code", json!("none")),
    ];
    let record = |(index, field, value): (usize, &'static str, Value)| {
        let mut record = good[index].clone();
        record[field] = value;
        (record.to_string(), field)
    };
    wrong.into_iter().map(record).collect()
}

#[test]
fn every_record_with_a_wrong_field_is_rejected_and_named_with_line_and_field() {
    let records = records_with_a_wrong_field();
    let file: String = records.iter().map(|(record, _)| format!("{record}\n")).collect();
    let output = run_with_input(&["replay", "-"], file.as_bytes());
    let summary = summary(&output);
    assert_eq!((&summary["events"], &summary["rejected"]), (&json!(0), &json!(records.len())));
    let errors = text(&output.stderr);
    for ((record, field), number) in records.iter().zip(1..) {
        let named = errors.lines().find(|line| line.starts_with(&format!("-:{number}: ")));
        let named = named.unwrap_or_else(|| panic!("line {number} is not named: {record}\n{errors}"));
        assert!(named.contains(&format!("`{field}`")), "{field} not in {named}");
    }
}

#[test]
fn of_a_repeated_mistake_the_first_ones_are_shown_and_all_counted() {
    let line =
        r#"{"timestamp":"2026-03-01T12:00:00Z","subscription":"acme","route":"/a","status":1000,"duration_ms":1}"#;
    let output = run_with_input(&["replay", "-"], format!("{line}\n").repeat(50).as_bytes());
    assert_eq!(summary(&output)["rejected"], 50);
    let errors = text(&output.stderr);
    assert_eq!(errors.lines().filter(|line| line.starts_with("-:")).count(), 3);
    assert!(errors.contains("rejected 50 × out_of_range (status)"), "{errors}");
}

/// The most memory a running process has held, in bytes.
#[cfg(target_os = "linux")]
fn peak_memory_bytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[cfg(target_os = "linux")]
#[test]
fn a_line_of_100_megabytes_is_one_rejection_in_bounded_memory() {
    const LINE_BYTES: usize = 100_000_000;
    const MEMORY_BYTES_MAX: u64 = 200_000_000;
    for (start, filling) in [("", "x"), ("[", r#"{"type":"watermark","timestamp":1772360105250},"#)] {
        let mut command = floodmark();
        command.args(["replay", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let block = filling.repeat(65_536 / filling.len());
        input.write_all(start.as_bytes()).unwrap();
        (0..LINE_BYTES.div_ceil(block.len())).for_each(|_| input.write_all(block.as_bytes()).unwrap());
        let good = r#"{"timestamp":1772360105250,"subscription":"acme","route":"/a","status":200,"duration_ms":1}"#;
        write!(input, "\n{good}\n").unwrap();
        // All of the line but what fits into a pipe has been read by now, and the process still runs.
        let peak = peak_memory_bytes(child.id());
        drop(input);
        let output = child.wait_with_output().unwrap();
        let summary = summary(&output);
        assert_eq!((&summary["events"], &summary["rejected"]), (&json!(1), &json!(1)));
        assert!(text(&output.stderr).contains("-:1: too_long"), "{}", text(&output.stderr));
        assert!(peak < MEMORY_BYTES_MAX, "{peak} bytes");
    }
}

#[test]
fn events_hours_out_of_order_are_counted_as_late() {
    let line = |hour: u32, second: u32| {
        format!(
            r#"{{"timestamp":"2026-03-01T{hour:02}:00:{second:02}Z","subscription":"acme","route":"/a","status":200,"duration_ms":1}}"#
        )
    };
    // A minute of 12:00, then of 09:00, then of 15:00.
    let file: Vec<String> =
        [12, 9, 15].iter().flat_map(|hour| (0..60).map(move |second| line(*hour, second))).collect();
    let output = run_with_input(&["replay", "-"], file.join("\n").as_bytes());
    let summary = summary(&output);
    assert_eq!((&summary["events"], &summary["late"], &summary["rejected"]), (&json!(180), &json!(60), &json!(0)));
    assert_eq!(summary["watermark"], "2026-03-01T15:01:00Z");
    assert!(text(&output.stderr).contains("late 60"), "{}", text(&output.stderr));
}

#[test]
fn a_storm_replays_to_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("storm.ndjson");
    let file = file.to_str().unwrap();
    let simulated = run(&["simulate", "kameleo-retry-storm", "--seed", "7", "--out", file]);
    assert_eq!(simulated.status.code(), Some(0), "{}", text(&simulated.stderr));
    let [once, twice] = [(), ()].map(|()| run(&["replay", file]));
    assert_eq!(once.stdout, twice.stdout);
    assert!(summary(&once)["incidents"].as_u64().unwrap() >= 1);
    let incidents = text(&once.stdout).lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let critical: Vec<Value> =
        incidents.filter(|line| line["event"] == "incident" && line["severity"] == "critical").collect();
    assert!(critical.iter().any(|i| i["causes"][0]["dimensions"]["client_version"] == "4.0.0"), "{critical:?}");
}

#[test]
fn a_quiet_day_wakes_nobody() {
    let mut simulate =
        floodmark().args(["simulate", "quiet-day", "--seed", "7"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut replay = floodmark();
    replay.args(["replay", "-"]).stdin(simulate.stdout.take().unwrap());
    let output = replay.output().unwrap();
    assert!(simulate.wait().unwrap().success());
    assert!(summary(&output)["events"].as_u64().unwrap() > 100_000);
    assert!(!text(&output.stdout).contains(r#""severity":"critical""#), "{}", text(&output.stdout));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child =
        floodmark().args(["simulate", "quiet-day"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with('{'));
    // The pipe is closed now.
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!((child.wait().unwrap().code(), errors.as_str()), (Some(0), ""));
}
