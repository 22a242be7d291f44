//! `floodmark detect`: what it reads, what it writes, and that it never looks ahead.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Output, Stdio};

use proptest::prelude::*;

use crate::cli_contract::floodmark;

fn detect(arguments: &[&str], input: &[u8]) -> Output {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(input).unwrap();
    floodmark().arg("detect").args(arguments).arg(file.path()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Standard output of a run that succeeded.
fn rows(output: &Output) -> Vec<Vec<&str>> {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| line.split(',').collect()).collect()
}

#[test]
fn every_row_is_answered_with_a_score_and_echoed_as_it_was() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/series/speed_7578.csv");
    let input = std::fs::read_to_string(&path).unwrap();
    let output = floodmark().arg("detect").arg(&path).output().unwrap();
    let rows = rows(&output);
    assert_eq!(rows[0], ["timestamp", "value", "score", "alert"]);
    assert_eq!(rows.len(), input.lines().count());
    for (row, line) in rows.iter().zip(input.lines()).skip(1) {
        assert_eq!(row[..2].join(","), line);
        let score: f64 = row[2].parse().unwrap();
        assert!((0.0..=1.0).contains(&score) && row[3] == if score >= 0.5 { "1" } else { "0" }, "{row:?}");
    }
    let alerts = rows.iter().filter(|row| row[3] == "1").count();
    assert!((1..50).contains(&alerts), "{alerts} alerts");
}

#[test]
fn columns_and_delimiter_can_be_named_and_timestamps_have_many_forms() {
    let input = "note;P99_ms;minute\nx;\"1,5\";1\n;1.5;2026-03-09T10:00:00Z\n;;3/9/2026 10:01\n;-2;1773050520\n";
    let arguments = ["--timestamp-column", "minute", "--value-column", "p99_ms", "--delimiter", ";"];
    let output = detect(&arguments, input.as_bytes());
    let echoed: Vec<String> = rows(&output)[1..].iter().map(|row| row[..2].join(",")).collect();
    assert_eq!(echoed, ["2026-03-09T10:00:00Z,1.5", "3/9/2026 10:01,", "1773050520,-2"]);
    assert!(text(&output.stderr).contains(":2: the value is no number"), "{}", text(&output.stderr));
    let tabs = detect(&["--delimiter", "tab"], b"Value\tTimeStamp\r\n7\t2026-03-09 10:00:00\r\n");
    assert_eq!(rows(&tabs)[1], ["2026-03-09 10:00:00", "7", "0.000000", "0"]);
}

#[test]
fn rows_that_cannot_be_read_are_told_and_counted_and_the_rest_goes_on() {
    let mut input = b"timestamp,value\nyesterday,1\n2026-03-09 10:00:00,1\n\n2026-03-09 10:01:00\n".to_vec();
    input.extend(b"2026-03-09 10:02:00,\xff\n");
    input.extend([b'x'; 100_000]);
    input.extend(b"\n2026-03-09 10:03:00,2");
    let output = detect(&[], &input);
    assert_eq!(rows(&output).len(), 3);
    let messages = text(&output.stderr);
    for said in [":2: the time is none", ":5: the row ends before", ":6: the row is not UTF-8", ":7: the row is longer"]
    {
        assert!(messages.contains(said), "{said} not in {messages}");
    }
    assert!(messages.contains("rejected 1 × the time is none"), "{messages}");
}

#[test]
fn a_file_that_cannot_be_used_says_why() {
    for (arguments, input, code, said) in [
        (&[] as &[&str], "", 1, "it is empty"),
        (&[], "time,value\n", 1, "there is no column timestamp; its columns are: time, value"),
        (&["--delimiter", ";;"], "", 64, "one ASCII character"),
        (&["--alert-score", "1"], "", 64, "0.01 to 0.99"),
    ] {
        let output = detect(arguments, input.as_bytes());
        let messages = text(&output.stderr);
        assert!(output.status.code() == Some(code) && messages.contains(said), "{arguments:?}: {messages}");
        assert!(output.stdout.is_empty());
    }
    let directory = tempfile::tempdir().unwrap();
    let output = floodmark().arg("detect").arg(directory.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let output = floodmark().args(["detect", "/no/such/series.csv"]).output().unwrap();
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("/no/such/series.csv"));
}

#[test]
fn a_pipe_is_answered_row_by_row() {
    let mut command = floodmark();
    command.args(["detect", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    input.write_all(b"timestamp,value\n").unwrap();
    assert_eq!(answers.next().unwrap().unwrap(), "timestamp,value,score,alert");
    for minute in 0..5 {
        // The next row is sent only when this one was answered.
        writeln!(input, "2026-03-09 10:0{minute}:00,{minute}").unwrap();
        assert_eq!(answers.next().unwrap().unwrap(), format!("2026-03-09 10:0{minute}:00,{minute},0.000000,0"));
    }
    drop(input);
    assert!(answers.next().is_none() && child.wait().unwrap().success());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let rows: String = (0..20_000).map(|row| format!("{},1\n", 1_773_050_400 + row * 60)).collect();
    file.write_all(format!("timestamp,value\n{rows}").as_bytes()).unwrap();
    let mut command = floodmark();
    let mut child = command.arg("detect").arg(file.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap());
    answers.read_line(&mut String::new()).unwrap();
    drop(answers);
    assert!(child.wait().unwrap().success());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn nothing_ahead_of_a_row_changes_what_is_said_of_it(
        values in proptest::collection::vec(prop_oneof![4 => 0.0..10.0_f64, 1 => -1e9..1e9_f64], 200..600),
        share in 0.1..1.0_f64,
    ) {
        let line = |(row, value): (usize, &f64)| format!("{},{value}\n", 1_773_050_400 + row * 60);
        let lines: Vec<String> = values.iter().enumerate().map(line).collect();
        let of = |lines: &[String]| detect(&[], format!("timestamp,value\n{}", lines.concat()).as_bytes()).stdout;
        let first = (lines.len() as f64 * share) as usize;
        prop_assert!(of(&lines).starts_with(&of(&lines[..first])));
    }
}

#[test]
fn a_series_that_is_too_short_for_an_alert_is_told() {
    let series = |values: i64| {
        let row = |i: i64| format!("{},{}\n", 1_773_050_400 + i * 60, if i == values - 1 { 1_000_000 } else { i % 7 });
        format!("timestamp,value\n{}", (0..values).map(row).collect::<String>())
    };
    let short = detect(&[], series(51).as_bytes());
    assert!(rows(&short).iter().skip(1).all(|row| row[2] == "0.000000"), "{}", text(&short.stdout));
    assert!(text(&short.stderr).contains("51 values"), "{}", text(&short.stderr));
    let long = detect(&[], series(300).as_bytes());
    assert!(rows(&long).last().unwrap()[2] != "0.000000", "{}", text(&long.stdout));
    assert!(long.stderr.is_empty(), "{}", text(&long.stderr));
}
