//! The console in a real browser, over a real service that has seen the retry storm.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::support::browser::Browser;
use crate::support::clickhouse::{SharedEngine, TestDatabase, fresh_database, shared_engine};
use crate::support::intake::{answer, with_lines};
use crate::support::proxy::Proxy;
use crate::support::service::{Service, Setup, until};

/// Long enough that the storm is under way.
const STORM: [&str; 6] = ["simulate", "kameleo-retry-storm", "--seed", "7", "--duration", "80m"];
/// Lines of a submission.
const LINES_A_BODY: usize = 20_000;
/// What the overview may take. A busy machine is slower now and then; a page that waits for ClickHouse is so always.
const OVERVIEW_MAX: Duration = Duration::from_millis(500);

/// Where pictures go: kept by CI, two of them copied to `docs/images`.
fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/console-screenshots")
}

/// Sends the storm over HTTP and waits until all of it is decided.
async fn feed_storm(setup: &Setup, service: &Service) {
    let events = setup.stdout(&STORM).await;
    let lines: Vec<&str> = events.lines().collect();
    for part in lines.chunks(LINES_A_BODY) {
        let body = part.join("\n");
        let (status, _, said) = answer(with_lines(service.post("/api/v1/events"), body).send().await.unwrap()).await;
        assert_eq!(status, 200, "{said}");
    }
    let last: Value = serde_json::from_str(lines[lines.len() - 1]).unwrap();
    let watermark = format!("{{\"type\":\"watermark\",\"timestamp\":{}}}\n", last["timestamp"]);
    answer(with_lines(service.post("/api/v1/events"), watermark).send().await.unwrap()).await;
    until("the storm is an incident", async || storm_incident(service).await).await;
}

/// The storm's incident, once there is one.
async fn storm_incident(service: &Service) -> Option<String> {
    let body = service.json("/api/v1/incidents").await;
    let is_storm = |report: &&Value| report["causes"][0]["dimensions"]["client_version"] == "4.0.0";
    let report = body["incidents"].as_array().unwrap().iter().find(is_storm)?;
    Some(report["incident"].as_str().unwrap().to_owned())
}

/// The sample policy, for the engine that the tests share.
fn guard_policy(setup: &Setup) -> PathBuf {
    let SharedEngine { url, users } = shared_engine();
    let directory = setup.directory.path();
    let text = include_str!("../../config/guard.toml")
        .replace("http://127.0.0.1:8123", url)
        .replace(
            "user = \"default\"",
            &format!("password = \"{}\"\nuser = \"{}\"", users.admin.password, users.admin.user),
        )
        .replace("data/guard", &directory.join("guard").display().to_string())
        .replace("127.0.0.1:8124", "127.0.0.1:0")
        .replace("127.0.0.1:8125", "127.0.0.1:0");
    let path = directory.join("guard.toml");
    std::fs::write(&path, text).unwrap();
    path
}

async fn storm() -> (Setup, TestDatabase, Service) {
    let database = fresh_database().await;
    let mut setup = Setup::new(None).with_database(&database);
    // The storm is small; a question about all of it is to be too much.
    setup.config.query.read_rows_max = 20_000;
    setup.config.guard.policy = Some(guard_policy(&setup));
    let service = Service::start(&setup).await;
    feed_storm(&setup, &service).await;
    (setup, database, service)
}

/// The overview, if it was answered within [`OVERVIEW_MAX`].
async fn overview_in_time(service: &Service) -> Option<String> {
    let began = Instant::now();
    let (status, page) = service.get("/").await;
    assert_eq!(status, 200, "{page}");
    (began.elapsed() < OVERVIEW_MAX).then_some(page)
}

/// Text that is wider than the screen cannot be read on a phone.
const OVERFLOW: &str = "document.documentElement.scrollWidth - document.documentElement.clientWidth";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_finds_the_incident_from_the_overview_and_every_page_is_sound() {
    let (_setup, _database, service) = storm().await;
    let base = service.url("");
    let mut browser = Browser::start();

    until("the overview answers in time", async || overview_in_time(&service).await).await;

    browser.open(&service.url("/"));
    assert!(browser.text("#now").contains("incidents are open"), "{}", browser.text("#now"));
    let points =
        "[...document.querySelectorAll('#charts polyline')].map(l => l.getAttribute('points').split(' ').length)";
    let points = browser.eval(points);
    let most = points.as_array().unwrap().iter().filter_map(Value::as_u64).max();
    assert!(most > Some(100), "80 minutes are more than 100 points: {points}");
    assert!(browser.text("#tops table").contains('%'));
    browser.save_picture(&pictures().join("overview.png"));
    browser.screen(1200, 960);
    browser.save_picture(&pictures().join("readme-overview.png"));

    // The first click.
    browser.follow("#now .card a");
    assert!(browser.text("#facts").contains("client_version = 4.0.0"), "{}", browser.text("#facts"));
    assert!(browser.text("#facts").contains("What to do"));
    assert!(
        browser.text("#picture").contains("of client_version = 4.0.0")
            && browser.text("#picture").contains("usual before")
    );
    assert_eq!(browser.eval("document.querySelectorAll('#picture svg .fm-band').length > 0"), true);
    assert!(browser.text("#causes").contains("Looked at and ruled out"));
    browser.save_picture(&pictures().join("readme-incident.png"));
    browser.screen(1280, 900);
    browser.save_picture(&pictures().join("incident.png"));

    for path in [
        "/",
        "/alerts",
        "/incidents",
        "/subscription",
        "/queries",
        "/sql",
        "/guard",
        "/limits",
        "/login",
        "/incidents/none",
    ] {
        browser.open(&service.url(path));
        let title = browser.eval("document.title").as_str().unwrap().to_owned();
        assert!(title.ends_with("Floodmark") && !browser.text("h1").is_empty(), "{path}: {title}");
    }
    let troubles = browser.troubles(&base);
    // The browser itself logs the page that is not there.
    let troubles: Vec<&String> = troubles.iter().filter(|trouble| !trouble.contains("/incidents/none")).collect();
    assert!(troubles.is_empty(), "{troubles:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_readable_on_a_phone_in_the_dark_by_keyboard_and_without_scripts() {
    let (_setup, _database, service) = storm().await;
    let incident = format!("/incidents/{}", storm_incident(&service).await.unwrap());
    let top = "/queries/subscriptions_top_load?from=now-2h";
    let paths = [
        "/",
        "/alerts",
        "/incidents",
        &incident,
        "/subscription?name=sub-1001",
        "/queries",
        top,
        "/sql",
        "/guard",
        "/limits",
        "/login",
    ];
    let mut browser = Browser::start();

    browser.screen(360, 780);
    for path in paths {
        browser.open(&service.url(path));
        let over = browser.eval(OVERFLOW).as_f64().unwrap();
        assert!(over <= 0.0, "{path} is {over} pixels wider than a phone");
        let page = path.trim_matches('/').split(['/', '?']).next().unwrap();
        let page = if page.is_empty() { "overview" } else { page };
        browser.save_picture(&pictures().join(format!("phone-{page}.png")));
        let barriers = browser.barriers();
        assert!(barriers.is_empty(), "{path}: {barriers:#?}");
    }

    browser.screen(1280, 900);
    browser.open(&service.url("/"));
    let ground = "getComputedStyle(document.body).backgroundColor";
    let light = browser.eval(ground);
    browser.prefer("dark");
    assert_ne!(browser.eval(ground), light);
    browser.save_picture(&pictures().join("overview-dark.png"));
    browser.open(&service.url(&incident));
    browser.save_picture(&pictures().join("incident-dark.png"));
    let barriers = browser.barriers();
    assert!(barriers.is_empty(), "in the dark: {barriers:#?}");
    browser.prefer("light");

    // By keyboard: the first stop leads past the ways around, and each stop can be seen.
    browser.open(&service.url("/"));
    browser.press("Tab");
    assert_eq!(browser.eval("document.activeElement.className"), "skip");
    browser.press("Enter");
    assert_eq!(browser.eval("document.activeElement.id"), "main");
    browser.press("Tab");
    assert_eq!(browser.eval("getComputedStyle(document.activeElement).outlineStyle"), "solid");
    browser.eval("document.querySelector('.plot').focus()");
    browser.press("ArrowLeft");
    assert!(browser.text(".tip").contains("at the edge"), "{}", browser.text(".tip"));
    assert!(browser.troubles(&service.url("")).is_empty());

    // Without scripts everything is there, and forms work.
    browser.allow_scripts(false);
    browser.open(&service.url("/"));
    browser.follow("#now .card a");
    assert!(browser.text("#facts").contains("client_version = 4.0.0"));
    browser.open(&service.url("/alerts"));
    browser.eval("document.querySelector('form[action=\"/alerts/acknowledge\"] input[name=author]').value = 'ada'");
    browser.follow("form[action=\"/alerts/acknowledge\"] button");
    assert!(browser.text("#pages").contains("Taken by ada"), "{}", browser.text("#pages"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_are_answered_with_charts_or_refused_with_the_reason() {
    let (_setup, _database, service) = storm().await;
    let base = service.url("");
    let mut browser = Browser::start();
    let lines = "document.querySelectorAll('svg polyline').length";

    // A customer, from the list of those who ask most.
    browser.open(&service.url("/"));
    browser.follow("#tops tbody a");
    assert!(browser.text("h1").starts_with("Subscription sub-"), "{}", browser.text("h1"));
    assert!(browser.eval(lines).as_u64() >= Some(4), "{}", browser.text("main"));
    browser.save_picture(&pictures().join("subscription.png"));

    browser.open(&service.url("/queries/traffic_over_time"));
    browser.follow("form.stacked button");
    assert!(browser.eval(lines).as_u64() >= Some(4), "{}", browser.text("main"));
    assert!(browser.text("table.answer").contains("requests_per_second"));
    browser.open(&service.url("/queries/traffic_over_time?from=soon"));
    assert!(
        browser.text("[role=alert]").contains("parameter from is not a moment"),
        "{}",
        browser.text("[role=alert]")
    );
    browser.save_picture(&pictures().join("question.png"));

    browser.open(&service.url("/sql"));
    let type_in = |sql: &str| format!("document.getElementById('sql').value = {}", serde_json::json!(sql));
    browser.eval(&type_in("SELECT topic, sum(rows) AS stored FROM {database}.ingest_ledger GROUP BY topic"));
    browser.follow("button[value=run]");
    assert!(browser.text("table.answer").contains("http"), "{}", browser.text("main"));
    browser.eval(&type_in("SELECT status, count() FROM {database}.requests GROUP BY status"));
    browser.follow("button[value=run]");
    let refused = browser.text("[role=alert]");
    assert!(refused.contains("Refused: too many rows") && refused.contains("may read 20,000"), "{refused}");
    assert_eq!(browser.eval("document.querySelectorAll('table.answer').length"), 0, "it was not asked");
    browser.save_picture(&pictures().join("sql-refused.png"));
    browser.eval(&type_in("DROP TABLE {database}.requests"));
    browser.follow("button[value=run]");
    assert!(browser.text("[role=alert]").contains("No answer."));

    browser.open(&service.url("/guard"));
    let guard = browser.text("main");
    for part in ["Shadow mode", "Safe mode is off.", "ad_hoc", "The black box holds no crash."] {
        assert!(guard.contains(part), "{part} in {guard}");
    }

    browser.open(&service.url("/limits"));
    browser.eval("document.getElementById('limit').value = '60/min'");
    browser.eval("document.getElementById('sweep').value = '10/min..5000/min'");
    browser.follow("form.stacked button");
    let told = browser.text("main");
    for part in ["Busiest minute", "Proposal", "Who would have been throttled"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    browser.save_picture(&pictures().join("what-if.png"));

    // Three hours later memory has forgotten the storm; its picture comes out of history.
    let incident = storm_incident(&service).await.unwrap();
    let later = 1_773_066_000_000_i64;
    let request = |number: i64| {
        format!(
            "{{\"timestamp\":{},\"subscription\":\"s\",\"route\":\"/\",\"status\":200,\"duration_ms\":1}}\n",
            later + 100 * number
        )
    };
    let lines: String = (0..600).map(request).collect();
    let watermark = format!("{{\"type\":\"watermark\",\"timestamp\":{}}}\n", later + 60_000);
    let sent = with_lines(service.post("/api/v1/events"), lines + &watermark).send().await.unwrap();
    assert_eq!(sent.status(), 200);
    until("the storm is forgotten", async || {
        let (_, page) = service.get(&format!("/incidents/{incident}")).await;
        page.contains("From history, by minute.").then_some(())
    })
    .await;
    browser.open(&service.url(&format!("/incidents/{incident}")));
    assert!(browser.text("#picture").contains("of client_version = 4.0.0"));
    assert!(browser.eval("document.querySelectorAll('#picture svg polyline').length").as_u64() >= Some(4));
    let troubles = browser.troubles(&base);
    assert!(troubles.is_empty(), "{troubles:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_overview_answers_while_clickhouse_is_away_and_says_so() {
    let database = fresh_database().await;
    let mut setup = Setup::new(None).with_database(&database);
    let proxy = Proxy::start(setup.config.clickhouse.url.as_ref().unwrap()).await;
    setup.config.clickhouse.url = Some(proxy.url.clone());
    let service = Service::start(&setup).await;
    let (status, _, _) = answer(
        with_lines(service.post("/api/v1/events"), crate::support::intake::lines(0, 30_000)).send().await.unwrap(),
    )
    .await;
    assert_eq!(status, 200);
    proxy.switch(false);
    let page = until("the overview says in time that clickhouse is away", async || {
        // What is to be stored notices that it cannot be.
        let _ = with_lines(service.post("/api/v1/events"), crate::support::intake::lines(30_000, 10)).send().await;
        overview_in_time(&service).await.filter(|page| page.contains("Detection goes on"))
    })
    .await;
    assert!(page.contains("clickhouse is") && page.contains("Who asks most"), "{page}");
    // What needs history says so, in a sentence.
    for path in ["/subscription?name=subscription-1", "/queries/subscriptions_top_load?limit=5"] {
        let (status, page) = service.get(path).await;
        assert_eq!(status, 200, "{path}");
        assert!(page.contains("History is in ClickHouse, which cannot be asked now"), "{path}: {page}");
    }
}
