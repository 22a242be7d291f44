//! The console in a real browser, over a real service that has seen the retry storm.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::browser::Browser;
use crate::support::clickhouse::{TestDatabase, fresh_database};
use crate::support::intake::{answer, with_lines};
use crate::support::proxy::Proxy;
use crate::support::service::{Service, Setup, until};

/// Long enough that the storm is under way.
const STORM: [&str; 6] = ["simulate", "kameleo-retry-storm", "--seed", "7", "--duration", "80m"];
/// Lines of a submission.
const LINES_A_BODY: usize = 20_000;
/// What the overview may take, on a machine that does other things meanwhile.
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
    until("the storm is an incident", async || {
        let body = service.json("/api/v1/incidents").await;
        let is_storm = |report: &Value| report["causes"][0]["dimensions"]["client_version"] == "4.0.0";
        body["incidents"].as_array().unwrap().iter().any(is_storm).then_some(())
    })
    .await;
}

async fn storm() -> (Setup, TestDatabase, Service) {
    let database = fresh_database().await;
    let setup = Setup::new(None).with_database(&database);
    let service = Service::start(&setup).await;
    feed_storm(&setup, &service).await;
    (setup, database, service)
}

/// Text that is wider than the screen cannot be read on a phone.
const OVERFLOW: &str = "document.documentElement.scrollWidth - document.documentElement.clientWidth";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_finds_the_incident_from_the_overview_and_every_page_is_sound() {
    let (_setup, _database, service) = storm().await;
    let base = service.url("");
    let mut browser = Browser::start();

    let began = Instant::now();
    let (status, _) = service.get("/").await;
    assert_eq!((status, began.elapsed() < OVERVIEW_MAX), (200, true), "{:?}", began.elapsed());

    browser.open(&service.url("/"));
    assert!(browser.text("#now").contains("1 incident is open"), "{}", browser.text("#now"));
    let points =
        "[...document.querySelectorAll('#charts polyline')].map(l => l.getAttribute('points').split(' ').length)";
    let points = browser.eval(points);
    let most = points.as_array().unwrap().iter().filter_map(Value::as_u64).max();
    assert!(most > Some(100), "80 minutes are more than 100 points: {points}");
    assert!(browser.text("#tops table").contains('%'));
    browser.save_picture(&pictures().join("overview.png"));

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
    browser.save_picture(&pictures().join("incident.png"));

    for path in ["/", "/alerts", "/incidents", "/login", "/incidents/none"] {
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
    let incident = service.json("/api/v1/incidents").await["incidents"][0]["incident"].as_str().unwrap().to_owned();
    let incident = format!("/incidents/{incident}");
    let paths = ["/", "/alerts", "/incidents", &incident, "/login"];
    let mut browser = Browser::start();

    browser.screen(360, 780);
    for path in paths {
        browser.open(&service.url(path));
        let over = browser.eval(OVERFLOW).as_f64().unwrap();
        assert!(over <= 0.0, "{path} is {over} pixels wider than a phone");
        let name = path.trim_matches('/').split('/').next().unwrap();
        browser
            .save_picture(&pictures().join(format!("phone-{}.png", if name.is_empty() { "overview" } else { name })));
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
    let page = until("the overview says that clickhouse is away", async || {
        // What is to be stored notices that it cannot be.
        let _ = with_lines(service.post("/api/v1/events"), crate::support::intake::lines(30_000, 10)).send().await;
        let began = Instant::now();
        let (status, page) = service.get("/").await;
        assert_eq!((status, began.elapsed() < OVERVIEW_MAX), (200, true), "{:?}", began.elapsed());
        page.contains("Detection goes on").then_some(page)
    })
    .await;
    assert!(page.contains("clickhouse is") && page.contains("Who asks most"), "{page}");
}
