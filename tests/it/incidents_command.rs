//! `floodmark incidents`: what is said of the Kameleo incident, whether it comes from a replay and its log or from what is
//! stored, and that words of strangers stay words.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

use axum::Json;
use axum::response::IntoResponse;
use floodmark::config::{DecodeConfig, Format};
use floodmark::decode::Decoder;
use floodmark::model::{Event, Output as Said};
use floodmark::pipeline::Settings;
use floodmark::replay::{ReplayError, Source, replay};
use floodmark::store::{Writer, migrate};
use serde_json::{Value, json};

use crate::cli_contract::floodmark;
use crate::support::clickhouse::fresh_database;
use crate::support::endpoint::Endpoint;
use crate::support::events;
use crate::support::service::Setup;

const INCIDENT: &str = "20260309T100430Z-retry-amplification-9c0f";
/// Minutes that the incident touches: 10:04 to before 11:11.
const WHILE_IT_LASTED: std::ops::Range<&str> = "2026-03-09T10:04".."2026-03-09T11:11";

/// The log of the scenario, and what a replay says of it.
struct Storm {
    log: PathBuf,
    said: PathBuf,
}

fn storm() -> &'static Storm {
    static STORM: OnceLock<Storm> = OnceLock::new();
    STORM.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("incidents");
        std::fs::create_dir_all(&directory).unwrap();
        let storm = Storm { log: directory.join("storm.ndjson"), said: directory.join("said.ndjson") };
        let simulated =
            floodmark().args(["simulate", "kameleo-retry-storm", "--out"]).arg(&storm.log).status().unwrap();
        assert!(simulated.success());
        let said = File::create(&storm.said).unwrap();
        assert!(floodmark().arg("replay").arg(&storm.log).stdout(said).status().unwrap().success());
        storm
    })
}

fn incidents(arguments: &[&str]) -> Output {
    let storm = storm();
    let mut command = floodmark();
    command.arg("incidents").args(arguments).arg("--from-replay").arg(&storm.said);
    if arguments[0] != "list" {
        command.arg("--events").arg(&storm.log);
    }
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn incidents_of_a_replay_are_listed_without_an_engine() {
    insta::assert_snapshot!("incidents_list", text(&incidents(&["list"])));
    let grave: Value =
        serde_json::from_str(&text(&incidents(&["list", "--severity", "critical", "--output", "json"]))).unwrap();
    let names: Vec<&Value> = grave["incidents"].as_array().unwrap().iter().map(|one| &one["incident"]).collect();
    assert_eq!(names, [INCIDENT]);
    let open: Value = serde_json::from_str(&text(&incidents(&["list", "--open", "--output", "json"]))).unwrap();
    assert_eq!(open["incidents"].as_array().unwrap().len(), 2);
}

#[test]
fn the_incident_is_shown_whole() {
    insta::assert_snapshot!("incidents_show", text(&incidents(&["show", "latest"])));
    let absent = incidents(&["show", "20260309T100430Z-retry-amplification-9c0g"]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&absent.stderr).contains(&format!("did you mean {INCIDENT}?")));
    let several = incidents(&["show", "2026"]);
    assert!(String::from_utf8_lossy(&several.stderr).contains("4 incidents begin with 2026"));
}

#[test]
fn the_draft_has_every_section_and_its_pictures() {
    let directory = tempfile::tempdir().unwrap();
    let exported = incidents(&["export", "latest", "--markdown", directory.path().to_str().unwrap()]);
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let read = |end: &str| std::fs::read_to_string(directory.path().join(format!("{INCIDENT}{end}"))).unwrap();
    insta::assert_snapshot!("incidents_draft", read(".md"));
    insta::assert_snapshot!("incidents_customers", read("-customers.csv").replace("\r\n", "\n"));
    let (load, cause) = (read("-load.svg"), read("-cause.svg"));
    for part in
        [">peak</text>", "- - usual", "client_version = 4.0.0", ">incident</text>", "RetryAmplification (critical)"]
    {
        assert!(load.contains(part), "{part}");
    }
    assert!(load.contains("requests a second, peak 98.3 at 10:27 (10.7× the usual)"), "{load}");
    assert!(
        cause.contains("11:00:00 the cause&apos;s requests fall")
            || cause.contains("11:00:00 the cause's requests fall"),
        "{cause}"
    );
    // Each file that the draft names is there.
    for name in read(".md").split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(directory.path().join(name).is_file(), "{name}");
    }
}

/// What the log says, counted here alone.
#[derive(Default)]
struct Counted {
    requests: u64,
    cause: u64,
    /// Requests and first attempts of each subscription on 4.0.0.
    customers: BTreeMap<String, (u64, u64)>,
    minutes: BTreeMap<String, u64>,
}

fn counted() -> Counted {
    let mut counted = Counted::default();
    for line in BufReader::new(File::open(&storm().log).unwrap()).lines() {
        let line = line.unwrap();
        if !line.contains("\"status\"") {
            continue;
        }
        let event: Value = serde_json::from_str(&line).unwrap();
        let at = event["timestamp"].as_str().unwrap();
        if !WHILE_IT_LASTED.contains(&&at[..16]) || !event["caller"].is_null() {
            continue;
        }
        counted.requests += 1;
        *counted.minutes.entry(at[..16].to_owned()).or_default() += 1;
        if event["client_version"] == "4.0.0" {
            counted.cause += 1;
            let customer = counted.customers.entry(event["subscription"].as_str().unwrap().to_owned()).or_default();
            customer.0 += 1;
            customer.1 += u64::from(event["attempt"] == 1);
        }
    }
    counted
}

fn agrees_with_the_log(shown: &Value) {
    let counted = counted();
    let figures = &shown["figures"];
    assert_eq!(figures["requests"], counted.requests);
    assert_eq!(figures["cause_requests"], counted.cause);
    let (peak_minute, peak) = counted.minutes.iter().rev().max_by_key(|(_, requests)| **requests).unwrap();
    assert_eq!(figures["peak_at"], format!("{peak_minute}:00Z"));
    assert!((figures["peak_per_s"].as_f64().unwrap() - *peak as f64 / 60.0).abs() < 0.05, "{figures}");
    let told: BTreeMap<String, (u64, u64)> = shown["customers"]["cause"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let number = |name: &str| one[name].as_u64().unwrap();
            let subscription = one["subscription"].as_str().unwrap().to_owned();
            (subscription, (number("requests"), number("requests") - number("resends")))
        })
        .collect();
    assert_eq!(told, counted.customers);
    let shares: f64 =
        shown["customers"]["cause"].as_array().unwrap().iter().map(|one| one["share"].as_f64().unwrap()).sum();
    assert!((shares - 1.0).abs() < 0.01, "{shares}");
}

#[tokio::test]
async fn what_is_stored_says_the_same_as_the_log_and_both_are_right() {
    let from_log = tokio::task::spawn_blocking(|| incidents(&["show", "latest", "--output", "json"])).await.unwrap();
    let from_log: Value = serde_json::from_str(&text(&from_log)).unwrap();
    agrees_with_the_log(&from_log);
    let database = fresh_database().await;
    migrate(&database.admin).await.unwrap();
    store(&Writer::new(database.writer.clone())).await;
    let setup = Setup::new(None).with_database(&database);
    let shown = setup.stdout(&["incidents", "show", "20260309T100430Z", "--output", "json"]).await;
    let stored: Value = serde_json::from_str(&shown).unwrap();
    for part in ["incident", "figures", "customers", "ending", "from", "until", "evidence_queries"] {
        assert_eq!(stored[part], from_log[part], "{part}");
    }
    assert_eq!(stored["history"]["points"], from_log["history"]["points"]);
    assert_eq!(stored["alerts"].as_array().unwrap().len(), from_log["alerts"].as_array().unwrap().len());
    assert_eq!(stored["history"]["source"], "the table requests_by_minute");
    assert!(stored["notes"][0].as_str().unwrap().starts_with("The report is from ClickHouse"), "{}", stored["notes"]);

    let listed = setup.stdout(&["incidents", "list", "--since", "2026-03-09T11:00:00Z", "--output", "json"]).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["incidents"].as_array().unwrap().len(), 4, "{listed:#}");
    let until = ["incidents", "list", "--since", "2026-03-08T00:00:00Z", "--until", "2026-03-09T10:00:00Z"];
    let listed = setup.stdout(&[&until[..], &["--output", "json"]].concat()).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["incidents"].as_array().unwrap().len(), 1, "{listed:#}");
    let csv = setup.stdout(&["incidents", "export", INCIDENT, "--csv", "-"]).await;
    assert_eq!(csv, text(&incidents(&["export", INCIDENT, "--csv", "-"])));
    // Every command that is told runs.
    for query in stored["evidence_queries"].as_array().unwrap() {
        let mut arguments = vec!["query", query["name"].as_str().unwrap(), "--output", "ndjson"];
        let pairs: Vec<String> = query["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| format!("{}={}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
            .collect();
        arguments.extend(pairs.iter().flat_map(|pair| ["-p", pair.as_str()]));
        setup.stdout(&arguments).await;
    }
}

/// Stores the log and what a replay says of it, as the service would.
async fn store(writer: &Writer) {
    let log = || BufReader::new(File::open(&storm().log).unwrap());
    let decoder = || Decoder::new(Format::Native, &DecodeConfig::default());
    let (mut transitions, mut reports) = (Vec::new(), Vec::new());
    let settings = Settings {
        flow: floodmark::config::FlowConfig::default(),
        rules: floodmark::alert::Rules::shipped().unwrap(),
        limits: floodmark::detect::Limits::shipped().unwrap(),
    };
    replay::<_, ReplayError>(
        &settings,
        vec![Source::new("storm".to_owned(), log(), decoder())],
        &mut |said| {
            match said {
                Said::Transition(transition) => transitions.push(transition.clone()),
                Said::Incident(report) => reports.push(report.clone()),
            }
            Ok(())
        },
        &mut |_| {},
        &mut |_| {},
    )
    .unwrap();
    writer.write_transitions(&transitions).await.unwrap();
    writer.write_incidents(&reports).await.unwrap();
    let (decoder, mut pending, mut start): (Decoder, Vec<Event>, i64) = (decoder(), Vec::new(), 0);
    for line in log().lines() {
        decoder.decode(line.unwrap().as_bytes(), &mut |_, decoded| pending.extend(decoded.ok()));
        if pending.len() >= 50_000 {
            let events = std::mem::take(&mut pending);
            let next = start + events.len() as i64;
            writer.write(&events::batch(start, events)).await.unwrap();
            start = next;
        }
    }
    writer.write(&events::batch(start, pending)).await.unwrap();
}

/// A report whose words all mean harm.
fn hostile() -> Value {
    let evil = "\u{1b}[2J<script>alert(1)</script>|`x` [l](javascript:x)\u{202e}\n# no heading";
    json!({
        "event": "incident", "incident": "../../escaped", "started_at": "2026-03-09T10:00:00Z",
        "ended_at": "2026-03-09T10:30:00Z", "severity": "critical", "alerts": [evil],
        "causes": [{"dimensions": {"subscription": evil}, "share": 1.0, "confidence": "high", "evidence": evil}],
        "ruled_out": [{"candidate": evil, "why": evil}], "affected": {"subscriptions": 1, "requests_share": 0.5},
        "customers": [{"subscription": "=HYPERLINK(\"http://x\")", "share": 0.5}, {"subscription": "a\"b,c\nd", "share": 0.5}],
        "actions": [evil], "timeline": [{"at": "2026-03-09T10:00:00Z", "what": evil}], "summary": evil,
    })
}

#[test]
fn words_of_strangers_stay_words() {
    let directory = tempfile::tempdir().unwrap();
    let said = directory.path().join("said.ndjson");
    std::fs::write(&said, format!("{}\n", hostile())).unwrap();
    // Its log has the customers' names too.
    let log = directory.path().join("log.ndjson");
    let request = json!({"timestamp": "2026-03-09T10:10:00Z", "subscription": hostile()["causes"][0]["dimensions"]["subscription"],
        "client": "@SUM(A1)", "route": "/x", "status": 500, "duration_ms": 1, "attempt": 1});
    std::fs::write(&log, format!("{request}\n")).unwrap();
    let target = directory.path().join("a/b");
    let mut command = floodmark();
    command
        .args(["incidents", "export", "latest", "--csv", "-", "--from-replay"])
        .arg(&said)
        .arg("--markdown")
        .arg(&target);
    let without_log = command.output().unwrap();
    let csv = text(&without_log);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let names: Vec<String> = reader.records().map(|record| record.unwrap()[0].to_owned()).collect();
    assert_eq!(names, ["'=HYPERLINK(\"http://x\")", "a\"b,c\nd"]);
    assert!(csv.ends_with("\r\n") && String::from_utf8_lossy(&without_log.stderr).contains("--events"));
    let with_log = text(&command.arg("--events").arg(&log).output().unwrap());
    assert!(with_log.contains(",'@SUM(A1),"), "{with_log}");

    let mut written: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(&target).unwrap() {
        written.push(entry.unwrap().path());
    }
    assert_eq!(written.len(), 4, "{written:?}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 3, "nothing is written elsewhere");
    for path in written.iter().filter(|path| path.extension().unwrap() != "csv") {
        let whole = std::fs::read_to_string(path).unwrap();
        // Between fences nothing is markup; they are ours.
        let text: String = whole.split("\n```").step_by(2).collect();
        assert!(matches!(whole.matches("\n```").count(), 0 | 2), "{whole}");
        assert!(!text.contains("<script") && !text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
        let is_draft = path.extension().unwrap() == "md";
        assert!(!is_draft || (!text.contains("\n# no heading") && !text.contains("[l](java")), "{text}");
    }
    let shown = text(&floodmark().args(["incidents", "show", "latest", "--from-replay"]).arg(&said).output().unwrap());
    assert!(!shown.contains('\u{1b}') && !shown.contains("\n# no heading"), "{shown}");
    assert!(shown.contains("name it with --events"), "{shown}");
}

#[tokio::test]
async fn without_history_there_is_the_report_and_a_word_about_it() {
    let mut report = hostile();
    report["incident"] = INCIDENT.into();
    let service = Endpoint::answering(move |_, _| {
        Json(json!({"watermark": "2026-03-09T10:40:00Z", "incomplete": false, "incidents": [report]})).into_response()
    })
    .await;
    let mut setup = Setup::new(None);
    // Nobody listens there.
    setup.config.clickhouse.url = Some("http://127.0.0.1:9".to_owned());
    let directory = setup.directory.path().join("drafts");
    let output = setup
        .output(&["incidents", "export", INCIDENT, "--url", &service.url, "--markdown", directory.to_str().unwrap()])
        .await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let draft = std::fs::read_to_string(directory.join(format!("{INCIDENT}.md"))).unwrap();
    assert!(draft.contains("History is away: clickhouse is unreachable"), "{draft}");
    assert!(draft.contains("could not be had: there are no pictures") && !draft.contains(".svg"), "{draft}");
    let listed = setup.stdout(&["incidents", "list", "--url", &service.url]).await;
    assert!(listed.contains(INCIDENT) && !listed.contains('\u{1b}'), "{listed}");
    let nowhere = setup.output(&["incidents", "show", "latest", "--url", "http://127.0.0.1:9"]).await;
    let told = String::from_utf8_lossy(&nowhere.stderr);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(told.contains("no service answers at") || told.contains("clickhouse is unreachable"), "{told}");
}

#[test]
fn what_a_replay_does_not_print_is_refused_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let said = directory.path().join("said.ndjson");
    std::fs::write(&said, format!("{}\n{{\"event\": \"party\"}}\n", hostile())).unwrap();
    let output = floodmark().args(["incidents", "list", "--from-replay"]).arg(&said).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("said.ndjson:2"), "{output:?}");
}
