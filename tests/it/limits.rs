//! A limit tried on the past: what is stored answers as the log does, over HTTP too; and the figures of docs/limits.md.

use std::path::Path;
use std::sync::Arc;

use floodmark::api::{self, ApiState, ConsoleSettings, Health, LimitsState, Tokens, View};
use floodmark::config::FlowConfig;
use floodmark::detect::Limits;
use floodmark::flow::StreamId;
use floodmark::limits::words::thousands;
use floodmark::limits::{
    History, PastIncident, Precision, Question, Report, SourceKind, Spec, WhatIf, WhatIfError, what_if,
};
use floodmark::metrics::Metrics;
use floodmark::model::{Event, Output, Timestamp};
use floodmark::pipeline::{Pipeline, Settings};
use floodmark::sim::ScenarioFile;
use floodmark::store::{ClickHouse, Endpoint, Writer, migrate};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::cli_contract::floodmark;
use crate::http::client;
use crate::samples;
use crate::support::clickhouse::fresh_database;
use crate::support::events;

const ROUTES: [&str; 3] = ["SearchFingerprints", "CreateProfile", "StartProfile"];

fn question(limit: &str) -> Question {
    Question { limit: limit.to_owned(), routes: ROUTES.map(str::to_owned).to_vec(), ..Question::default() }
}

fn spec(limit: &str) -> Spec {
    question(limit).spec().unwrap()
}

/// The events of a scenario, up to so many minutes.
fn simulated(scenario: &str, minutes: i64) -> Vec<Event> {
    let scenario = ScenarioFile::load(scenario, None).unwrap();
    let until = scenario.start().plus(minutes * 60_000);
    scenario.events(scenario.seed()).unwrap().take_while(|event| event.timestamp() < until).collect()
}

/// Incidents, as the shipped rules find them.
fn incidents(log: &[Event]) -> Vec<floodmark::model::IncidentReport> {
    let rules = floodmark::alert::Rules::shipped().unwrap();
    let settings = Settings { flow: FlowConfig::default(), rules, limits: Limits::shipped().unwrap() };
    let mut pipeline = Pipeline::new(&settings);
    let mut outputs: Vec<Output> = log.iter().flat_map(|event| pipeline.apply(StreamId(0), event)).collect();
    outputs.extend(pipeline.finish());
    let mut last = std::collections::BTreeMap::new();
    for output in outputs {
        if let Output::Incident(report) = output {
            last.insert(report.incident.clone(), report);
        }
    }
    last.into_values().collect()
}

fn tried<'a>(spec: &Spec, log: impl IntoIterator<Item = &'a Event>, incidents: Vec<PastIncident>) -> Report {
    let mut what_if = WhatIf::new(spec, SourceKind::Files, incidents);
    for event in log {
        if let Event::Request(request) = event {
            what_if.apply(request);
        }
    }
    what_if.finish("")
}

async fn store(database: &ClickHouse, log: &[Event]) {
    let writer = Writer::new(database.clone());
    let mut offset = 0;
    for part in log.chunks(20_000) {
        writer.write(&events::batch(offset, part.to_vec())).await.unwrap();
        offset += i64::try_from(part.len()).unwrap();
    }
}

/// Without what must differ: the source, and calls between services, which are not read.
fn comparable(report: &Report) -> Value {
    let mut report = serde_json::to_value(report).unwrap();
    report["source"] = Value::Null;
    report["traffic"]["calls_between_services"] = Value::Null;
    report
}

async fn serve(history: ClickHouse) -> String {
    let state = ApiState {
        view: watch::channel(Arc::new(View::default())).1,
        readiness: Health::new(samples::noon()).subscribe(),
        metrics: Arc::new(Metrics::new()),
        tokens: Tokens::default(),
        ingest: None,
        reload: None,
        paging: None,
        events: None,
        console: ConsoleSettings::default(),
        queries: None,
        limits: Some(LimitsState { history }),
        status: None,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/v1/limits/what-if", listener.local_addr().unwrap());
    tokio::spawn(api::serve(listener, api::router(state), None, tokio_util::sync::CancellationToken::new()));
    url
}

async fn asked(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn what_is_stored_answers_as_the_log_it_came_from() {
    let database = fresh_database().await;
    migrate(&database.admin).await.unwrap();
    let log = simulated("kameleo-retry-storm", 75);
    store(&database.writer, &log).await;
    let mut report = events::incident();
    let first = log.iter().find(|event| matches!(event, Event::Request(_))).unwrap().timestamp();
    // Whole minutes, so that counts by minute have the same span, and the same minutes in the incident.
    let (from, until) = (first.window_start(60_000), log.last().unwrap().timestamp().plus(1));
    (report.started_at, report.ended_at) = (from.plus(64 * 60_000), Some(from.plus(70 * 60_000)));
    Writer::new(database.writer.clone()).write_incidents(std::slice::from_ref(&report)).await.unwrap();
    let history = |precision| History { clickhouse: &database.reader, from, until, precision };

    let spec = Question { sweep: Some("100/min..1000/min".to_owned()), ..question("300/min") }.spec().unwrap();
    let expected = tried(&spec, &log, vec![PastIncident::of(&report)]);
    assert!(expected.traffic.throttled > 1_000, "the limit does nothing: {:?}", expected.traffic);
    assert!(expected.incidents[0].held_back_of_culprits.held_back > 1_000, "{:?}", expected.incidents);
    let exact = what_if(&history(Precision::Auto), &spec).await.unwrap();
    assert_eq!(exact.source.kind, SourceKind::Requests);
    assert_eq!(comparable(&exact), comparable(&expected));

    // By minute a window on the clock is exact, but for what has seconds or a status in it.
    let rough = what_if(&history(Precision::Minutes), &spec).await.unwrap();
    assert!(rough.source.exact && rough.source.kind == SourceKind::RequestsByMinute);
    assert_eq!(rough.traffic.throttled, exact.traffic.throttled);
    assert_eq!(rough.customers.len(), exact.customers.len());
    assert_eq!((&rough.load.all_minute, &rough.sweep), (&exact.load.all_minute, &exact.sweep));
    assert_eq!(rough.incidents[0].held_back_of_others.requests, exact.incidents[0].held_back_of_others.requests);

    // A span of time that slides is not, and says by how much.
    let sliding = Question { algorithm: floodmark::limits::Algorithm::SlidingWindow, ..question("300/min") };
    let sliding = sliding.spec().unwrap();
    let (exact, rough) =
        (what_if(&history(Precision::Requests), &sliding).await, what_if(&history(Precision::Minutes), &sliding).await);
    let (exact, rough) = (exact.unwrap().traffic.throttled, rough.unwrap());
    assert!(!rough.source.exact && rough.source.precision.contains("150"), "{}", rough.source.precision);
    assert!((rough.traffic.throttled..=rough.traffic.throttled_most).contains(&exact), "{exact}: {:?}", rough.traffic);

    let nothing = History { from: from.plus(-86_400_000), until: from.plus(-1), ..history(Precision::Auto) };
    assert!(matches!(what_if(&nothing, &spec).await, Err(WhatIfError::Nothing(..))));
    over_http(&database.reader, (from, until), &spec).await;
}

/// The same answer, however it is asked for.
async fn over_http(reader: &ClickHouse, (from, until): (Timestamp, Timestamp), spec: &Spec) {
    let url = serve(reader.clone()).await;
    let history = History { clickhouse: reader, from, until, precision: Precision::Auto };
    let expected = serde_json::to_value(what_if(&history, spec).await.unwrap()).unwrap();
    let parameters =
        format!("?limit=300/min&routes={}&sweep=100/min..1000/min&since={from}&until={until}", ROUTES.join(","));
    let client = client();
    assert_eq!(asked(client.get(format!("{url}{parameters}"))).await, (200, expected.clone()));
    let body =
        json!({ "limit": "300/min", "routes": ROUTES, "sweep": "100/min..1000/min", "since": from, "until": until });
    assert_eq!(asked(client.post(&url).json(&body)).await, (200, expected));

    for (parameters, status, code, named) in [
        ("", 400, "bad_parameter", "limit"),
        ("?limit=1200/min&since=soon", 400, "bad_parameter", "since"),
        ("?limit=20/s&precision=minutes", 400, "bad_parameter", "precision"),
        (
            "?limit=1200/min&since=2001-01-01T00:00:00Z&until=2001-01-02T00:00:00Z",
            404,
            "not_found",
            "nothing is stored",
        ),
    ] {
        let (answered, problem) = asked(client.get(format!("{url}{parameters}"))).await;
        assert_eq!((answered, &problem["code"]), (status, &json!(code)), "{parameters}: {problem}");
        assert!(problem.to_string().contains(named), "{parameters}: {problem}");
    }
    let (status, problem) = asked(client.post(&url).json(&json!({ "limit": "1/s", "colour": "red" }))).await;
    assert_eq!((status, &problem["code"]), (400, &json!("bad_body")), "{problem}");
}

#[tokio::test]
async fn while_clickhouse_is_away_the_answer_says_so() {
    let away = ClickHouse::new(&Endpoint {
        url: "http://127.0.0.1:9".to_owned(),
        database: "floodmark".to_owned(),
        user: "reader".to_owned(),
        password: floodmark::config::Secret::new("x"),
        timeout: std::time::Duration::from_secs(5),
        tls: None,
    });
    let url = serve(away).await;
    let (status, problem) = asked(client().get(format!("{url}?limit=1200/min"))).await;
    assert_eq!((status, &problem["code"]), (503, &json!("storage_away")), "{problem}");
}

#[test]
fn the_command_prints_what_it_found() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("storm.ndjson");
    let out = path.to_str().unwrap();
    let run = |arguments: &[&str]| floodmark().args(arguments).current_dir(directory.path()).output().unwrap();
    assert!(run(&["simulate", "kameleo-retry-storm", "--duration", "75m", "--out", out]).status.success());
    let arguments =
        ["limits", "what-if", "--limit", "300/min", "--routes", &ROUTES.join(","), "--events", "storm.ndjson"];
    let output = run(&[&arguments[..], &["--sweep", "100/min..1000/min", "--svg", "curve.svg"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
    let picture = std::fs::read_to_string(directory.path().join("curve.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("proposed"), "{picture}");

    let code = |arguments: &[&str]| run(&[&["limits", "what-if"], arguments].concat()).status.code();
    assert_eq!(code(&["--limit", "1200", "--events", "storm.ndjson"]), Some(64), "no rate");
    assert_eq!(code(&["--limit", "1/s"]), Some(64), "nothing to look at");
    assert_eq!(code(&["--limit", "1/s", "--since", "1d", "--events", "storm.ndjson"]), Some(64));
    assert_eq!(code(&["--limit", "1/s", "--events", "-"]), Some(1), "it would be read twice");
}

/// The scenario with a limit at its gateway.
fn with_limit(requests: u64, directory: &Path) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/kameleo-retry-storm.toml");
    let mut text = std::fs::read_to_string(path).unwrap();
    text += &format!("\n[rate_limit]\nfrom = \"0s\"\nrequests_per_minute = {requests}\nroutes = {ROUTES:?}\n");
    let path = directory.join(format!("limited-{requests}.toml"));
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_figures_of_the_documentation_are_those_of_the_scenarios() {
    let docs = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/limits.md")).unwrap();
    let storm = simulated("kameleo-retry-storm", 150);
    let known: Vec<PastIncident> = incidents(&storm).iter().map(PastIncident::of).collect();
    let directory = tempfile::tempdir().unwrap();
    for requests in [1_200, 110] {
        let limit = spec(&format!("{requests}/min"));
        let tried_on_log = tried(&limit, &storm, known.clone());
        let closed = tried(&limit, &simulated(&with_limit(requests, directory.path()), 150), Vec::new());
        let (load, usual) = (&tried_on_log.load, tried_on_log.load.usual_per_minute);
        let times = |requests: u64| format!("{} ({:.1}×)", thousands(requests), requests as f64 / usual);
        let row = format!(
            "| {}/min | {} | {} | {} | {} |",
            thousands(requests),
            times(load.all_minute.before),
            times(load.all_minute.after),
            times(closed.load.all_minute.before),
            times(closed.load.not_refused_then_minute.unwrap()),
        );
        assert!(docs.contains(&row), "docs/limits.md lacks {row}");
    }
    let quiet = simulated("quiet-day", 1_440);
    let touched = tried(&spec("1200/min"), &quiet, Vec::new());
    let [bot] = touched.customers.as_slice() else { panic!("{:?}", touched.customers) };
    let sentence = format!(
        "{}: {} of its {} requests on these routes",
        bot.key,
        thousands(bot.throttled),
        thousands(bot.requests)
    );
    assert!(docs.contains(&sentence), "docs/limits.md lacks \"{sentence}\"");
    let without = Question { exempt: vec![bot.key.to_string()], ..question("1200/min") }.spec().unwrap();
    assert_eq!(tried(&without, &quiet, Vec::new()).customers_throttled, 0, "nobody but the bot");
}

#[test]
fn a_limit_that_counts_nothing_is_no_success() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let line = r#"{"type":"request","timestamp":"2026-03-01T10:00:00Z","subscription":"sub-1","service":"api","route":"StartProfile","status":200,"duration_ms":1}"#;
    std::fs::write(&file, format!("{line}\n")).unwrap();
    let tried = |route: &str| {
        let arguments = ["limits", "what-if", "--limit", "1/min", "--routes", route, "--events"];
        floodmark().args(arguments).arg(file.path()).output().unwrap()
    };
    let (slip, right) = (tried("StartProfil"), tried("StartProfile"));
    let said = String::from_utf8_lossy(&slip.stdout);
    assert!(said.contains("nobody called the route StartProfil; did you mean StartProfile?"), "{said}");
    assert!(String::from_utf8_lossy(&slip.stderr).contains("counted no request"), "{slip:?}");
    assert_eq!((slip.status.code(), right.status.code()), (Some(1), Some(0)), "{right:?}");
}
