//! `floodmark attribute`: the root causes of real cases, of synthetic ones, and of a query's rows on a real ClickHouse.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;

use floodmark::incident::lattice::{Options, explain};
use floodmark::store::migrate;
use serde_json::Value;

use crate::cli_contract::floodmark;
use crate::support::clickhouse::fresh_database;
use crate::support::cube::{self, Random, Recipe};
use crate::support::service::Setup;
use crate::support::set_score::{Causes, SetScore, found};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/attribution").join(name)
}

fn attribute(file: &Path, arguments: &[&str]) -> Output {
    floodmark().arg("attribute").arg(file).args(arguments).output().unwrap()
}

fn report(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn causes(report: &Value) -> Causes {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let named = |cause: &Value| {
        let dimensions = cause["dimensions"].as_object().unwrap();
        dimensions.iter().map(|(name, value)| (name.clone(), text(value))).collect::<BTreeMap<_, _>>()
    };
    report["causes"].as_array().unwrap().iter().map(named).collect()
}

fn write(directory: &Path, lines: &[&str]) -> PathBuf {
    let path = directory.join("table.csv");
    std::fs::write(&path, lines.join("\n")).unwrap();
    path
}

const RATIO: [&str; 6] = ["--time-column", "min", "--measure", "value", "--of", "cnt"];

/// The case of which the tests below look at every side.
fn small_case() -> PathBuf {
    fixture("2020-08-06+15_09_00.csv")
}

#[test]
fn real_cases_have_their_true_causes() {
    let truth = std::fs::read_to_string(fixture("anomaly.yaml")).unwrap();
    let mut cases = 0;
    for case in truth.split("- data: ").skip(1) {
        let lines: Vec<&str> = case.lines().collect();
        let at = lines[1].split_once(": ").unwrap().1;
        let cause = lines[2].split_once(": {").unwrap().1.trim_end_matches('}');
        let pairs = cause.split(',').map(|pair| pair.split_once(':').unwrap());
        let clean = |text: &str| text.trim().trim_matches('\'').to_owned();
        let truth = BTreeSet::from([pairs.map(|(name, value)| (clean(name), clean(value))).collect()]);
        let report = report(&attribute(&fixture(&format!("{}.csv", lines[0])), &[&RATIO[..], &["--at", at]].concat()));
        assert_eq!(causes(&report), truth, "{}: {report:#}", lines[0]);
        cases += 1;
    }
    assert_eq!(cases, 7);
}

#[test]
fn a_report_as_json_and_as_a_table() {
    let arguments = [&RATIO[..], &["--at", "1596697740"]].concat();
    let json = attribute(&small_case(), &arguments);
    insta::assert_snapshot!("report_as_json", String::from_utf8(json.stdout).unwrap());
    let table = attribute(&small_case(), &[&arguments[..], &["--output", "table", "--all", "--top", "3"]].concat());
    insta::assert_snapshot!("report_as_table", String::from_utf8(table.stdout).unwrap());
}

#[test]
fn the_same_time_in_other_words_and_rows_in_another_order() {
    let first = report(&attribute(&small_case(), &[&RATIO[..], &["--at", "1596697740"]].concat()));
    let text = std::fs::read_to_string(small_case()).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[1..].reverse();
    let directory = tempfile::tempdir().unwrap();
    let reversed = write(directory.path(), &lines);
    for at in ["1596697740000", "2020-08-06T07:09:00Z", "2020-08-06T15:09:00+08:00", "2020-08-06 07:09"] {
        let mut again = report(&attribute(&reversed, &[&RATIO[..], &["--at", at]].concat()));
        again["at"] = first["at"].clone();
        assert_eq!(again, first, "{at}");
    }
}

#[test]
fn expected_values_from_a_column_need_no_time() {
    let directory = tempfile::tempdir().unwrap();
    let lines = ["a,b,real,predict", "x,p,10,100", "x,q,101,100", "y,p,99,100", "y,q,100,100"];
    let table = write(directory.path(), &lines);
    let report = report(&attribute(&table, &["--measure", "real", "--expected", "predict"]));
    assert_eq!((&report["actual"], &report["expected"]), (&310.0.into(), &400.0.into()));
    assert_eq!(causes(&report).len(), 1);
    assert_eq!(report["causes"][0]["dimensions"], serde_json::json!({"a": "x", "b": "p"}));
}

#[test]
fn a_mean_is_weighted_by_what_it_was_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let mut lines = vec!["time,city,isp,latency_ms,requests".to_owned()];
    for minute in 0..10 {
        for city in ["Graz", "Linz", "Wien"] {
            for isp in ["A", "B"] {
                let slow = if minute == 9 && city == "Linz" { 900 } else { 100 + minute };
                lines.push(format!(
                    "2026-03-09T10:0{minute}:00Z,{city},{isp},{slow},{}",
                    if isp == "A" { 1_000 } else { 10 }
                ));
            }
        }
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let table = write(directory.path(), &lines);
    let arguments = ["--time-column", "time", "--at", "2026-03-09T10:09:00Z", "--measure", "latency_ms"];
    let report = report(&attribute(&table, &[&arguments[..], &["--of", "requests", "--mean"]].concat()));
    assert_eq!(causes(&report), BTreeSet::from([BTreeMap::from([("city".to_owned(), "Linz".to_owned())])]));
    assert_eq!(report["causes"][0]["actual"], 900.0);
}

#[test]
fn what_cannot_be_read_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let table = write(directory.path(), &["time,a,value", "2026-03-09 10:00,x,5", "2026-03-09 10:01,x,many"]);
    let base = ["--time-column", "time", "--measure", "value", "--at"];
    let refused = |arguments: &[&str], code: i32| {
        let output = attribute(&table, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    let named = refused(&[&base[..], &["2026-03-09 10:01"]].concat(), 1);
    assert!(named.contains("table.csv:3: value: `many` is not a number"), "{named}");
    let named = refused(&[&base[..], &["2026-03-09 10:00"]].concat(), 1);
    assert!(named.contains("no rows before it"), "{named}");
    let named = refused(&[&base[..], &["noon"]].concat(), 64);
    assert!(named.contains("noon is not a time"), "{named}");
    let named = refused(&["--time-column", "time", "--at", "0", "--measure", "valeu"], 64);
    assert!(named.contains("there is no column valeu; there are time, a, value"), "{named}");
    assert!(refused(&["--measure", "value"], 64).contains("--time-column"));
}

#[test]
fn synthetic_causes_of_one_to_three_dimensions_are_found() {
    let recipe = Recipe {
        sizes: vec![8, 7, 6, 5],
        noise: (0.0, 0.25),
        severity: (0.2, 1.0),
        deviation: (0.0, 0.1),
        kinds: (1, 3),
        elements: (1, 1),
        depth: (1, 3),
    };
    let mut random = Random(121);
    let mut score = SetScore::default();
    for _ in 0..30 {
        let (table, truth) = cube::table(&recipe, &mut random);
        score.add(&found(&explain(&table, &Options::default())), &truth);
    }
    let (f1, precision, recall) = (score.f1(), score.precision(), score.recall());
    assert!(f1 >= 0.85 && precision >= 0.95, "F1 {f1:.3}, precision {precision:.3}, recall {recall:.3} of {score:?}");
}

#[tokio::test]
async fn the_rows_of_a_named_query_are_attributed() {
    let database = fresh_database().await;
    migrate(&database.admin).await.unwrap();
    // Eleven minutes of 6 customers × 3 versions × 4 routes; in the last one, version 4.0.0 fails on /start.
    let bad = "if(minute = toDateTime('2026-03-09 10:10:00', 'UTC') AND client_version = '4.0.0' AND route = '/start', 60, 1)";
    let rows = format!(
        "INSERT INTO {{database}}.requests_by_minute \
         (minute, subscription, client, client_version, service, route, status_class, requests, failures) \
         SELECT toDateTime('2026-03-09 10:00:00', 'UTC') + 60 * (number % 11) AS minute, \
         concat('sub-', toString(intDiv(number, 11) % 6)) AS subscription, 'cli' AS client, \
         ['3.9.0', '4.0.0', '4.1.0'][intDiv(number, 66) % 3 + 1] AS client_version, 'api' AS service, \
         ['/login', '/start', '/stop', '/list'][intDiv(number, 198) % 4 + 1] AS route, 2 AS status_class, \
         100 AS requests, {bad} AS failures FROM numbers(11 * 6 * 3 * 4)"
    );
    database.admin.execute(&rows).await.unwrap();
    let setup = Setup::new(None).with_database(&database);
    let parameters = ["from=2026-03-09T10:00:00Z", "until=2026-03-09T10:11:00Z", "service=api", "limit=100000"];
    let mut arguments = vec!["attribute", "--query", "traffic_by_minute"];
    arguments.extend(parameters.iter().flat_map(|parameter| ["--param", parameter]));
    arguments.extend(["--time-column", "minute", "--at", "2026-03-09T10:10:00Z", "--measure", "failures"]);
    arguments.extend(["--of", "requests", "--ignore", "resends", "--output", "json"]);
    let report: Value = serde_json::from_str(&setup.stdout(&arguments).await).unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let truth = BTreeMap::from([pair("client_version", "4.0.0"), pair("route", "/start")]);
    assert_eq!(causes(&report), BTreeSet::from([truth]), "{report:#}");
    assert_eq!(report["compared_moments"], 10);
    assert_eq!(report["causes"][0]["actual"], 0.6);

    let refused = setup.output(&["attribute", "--query", "traffic", "--expected", "x", "--measure", "y"]).await;
    assert_eq!(refused.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("traffic_by_minute"));
    // What a limit cuts off nobody sees.
    let cut: Vec<&str> =
        arguments.iter().map(|word| if *word == "limit=100000" { "limit=100" } else { word }).collect();
    let cut = setup.output(&cut).await;
    assert_eq!(cut.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&cut.stderr).contains("has reached its limit of 100 rows"));
}
