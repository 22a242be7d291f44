//! The status page in a real browser.

use std::path::{Path, PathBuf};

use floodmark::clock;
use floodmark::model::Timestamp;
use floodmark::status::Board;
use floodmark::status::render::{PublicFile, public_files};
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::status_page_boards as boards;
use crate::support::status_site::StatusSite;

/// Text that is wider than the screen cannot be read on a phone.
const OVERFLOW: &str = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
/// Names of list items, as a screen reader gets them.
const DAYS: &str = "[...document.querySelectorAll('#days-api > li')].map(day => day.textContent)";

/// Where pictures go: kept by CI, two of them copied to `docs/images`.
fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/status-screenshots")
}

fn now() -> Timestamp {
    clock::now()
}

/// What the line on top says, without its sign.
fn truth(browser: &mut Browser) -> String {
    browser.eval("document.querySelector('#truth').textContent.slice(2).trim()").as_str().unwrap().to_owned()
}

/// A board as it is then.
type BoardAt = fn(Timestamp) -> Board;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_board_is_readable_in_light_and_dark_and_on_a_phone() {
    let mut browser = Browser::start();
    browser.call("Emulation.setTimezoneOverride", json!({"timezoneId": "Europe/Vienna"}));
    let cases: [(&str, BoardAt, &str); 6] = [
        ("well", boards::well, "All systems operational"),
        ("bad-day", boards::bad_day, "Partial outage"),
        ("unknown", boards::unknown, "Status unknown: no data since "),
        ("overridden", boards::overridden, "Degraded performance"),
        ("maintenance", boards::maintenance, "Maintenance under way"),
        ("ten", boards::ten, "Partial outage"),
    ];
    for (name, board, expected) in cases {
        let board = board(now());
        let site = StatusSite::start(&board).await;
        for (width, height, scheme) in
            [(1200, 960, "light"), (1200, 960, "dark"), (360, 780, "light"), (360, 780, "dark")]
        {
            browser.screen(width, height);
            browser.prefer(scheme);
            browser.open(&site.at(""));
            assert!(truth(&mut browser).starts_with(expected), "{name}: {}", truth(&mut browser));
            let over = browser.eval(OVERFLOW).as_f64().unwrap();
            assert!(over <= 0.0, "{name}: {over} pixels wider than {width}");
            browser.save_picture(&pictures().join(format!("{name}-{scheme}-{width}.png")));
            let barriers = browser.barriers();
            assert!(barriers.is_empty(), "{name}, {scheme}, {width}: {barriers:#?}");
        }
        if name == "bad-day" {
            for (width, height, scheme, place) in [(1000, 1200, "light", "header"), (360, 780, "dark", "#components")] {
                browser.screen(width, height);
                browser.prefer(scheme);
                browser.open(&site.at(""));
                browser.eval(&format!("document.querySelector('{place}').scrollIntoView({{behavior: 'instant'}})"));
                browser.save_picture(&pictures().join(format!("readme-{scheme}.png")));
            }
        }
        for incident in &board.incidents {
            browser.open(&site.at(&format!("incidents/{}.html", incident.id)));
            assert_eq!(browser.text("h1"), incident.name);
            let over = browser.eval(OVERFLOW).as_f64().unwrap();
            assert!(over <= 0.0, "{name}, {}: {over} pixels too wide", incident.id);
            let barriers = browser.barriers();
            assert!(barriers.is_empty(), "{name}, {}: {barriers:#?}", incident.id);
        }
        browser.open(&site.at("history.html"));
        let barriers = browser.barriers();
        assert!(barriers.is_empty(), "{name}, history: {barriers:#?}");
        let troubles = browser.troubles(&site.url);
        assert!(troubles.is_empty(), "{name}: {troubles:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_day_has_a_name_and_is_told_under_the_pointer_and_by_keyboard() {
    let site = StatusSite::start(&boards::bad_day(now())).await;
    let mut browser = Browser::start();
    browser.open(&site.at(""));
    // As the browser tells assistive technology.
    let tree = browser.call("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let text = |needle: &str| {
        nodes
            .iter()
            .filter(|node| node["role"]["value"] == "StaticText" && node["ignored"] == false)
            .filter(|node| node["name"]["value"].as_str().unwrap_or_default().contains(needle))
            .count()
    };
    assert_eq!(text(": no data"), 3 * 10, "ten days of each of three components");
    assert!(text(": 100 %") > 3 * 70, "{}", text(": 100 %"));
    assert_eq!(text(" %, 37 min out"), 3);
    let names = browser.eval(DAYS);
    assert_eq!(names.as_array().unwrap().len(), 90);
    // Worse is taller, and what is not known is lower: not by colour alone.
    let heights = |class: &str| format!("document.querySelector('#days-api .{class}').offsetHeight");
    let heights = ["m", "p", "d", "w", "n"].map(|class| browser.eval(&heights(class)).as_u64().unwrap());
    assert!(heights.is_sorted_by(|one, other| one > other), "{heights:?}");

    // By keyboard: past the ways around, then the days.
    browser.press("Tab");
    assert_eq!(browser.eval("document.activeElement.className"), "skip");
    browser.press("Enter");
    assert_eq!(browser.eval("document.activeElement.id"), "main");
    browser.eval("document.querySelector('#days-api').focus()");
    assert_eq!(browser.eval("getComputedStyle(document.activeElement).outlineStyle"), "solid");
    browser.press("ArrowLeft");
    let today = browser.text(".tip");
    browser.press("ArrowLeft");
    assert!(today.contains("partly out") && browser.text(".tip") != today, "{today}");
    browser.save_picture(&pictures().join("tip.png"));

    // All of them as text.
    browser.eval("document.querySelector('#c-api .more').click()");
    assert_eq!(browser.eval("document.activeElement.className"), "less");
    assert!(browser.text("#days-api").contains(": no data\n"), "{}", browser.text("#days-api"));
    assert!(browser.eval("document.querySelector('#days-api li').offsetHeight > 15").as_bool().unwrap());
    let barriers = browser.barriers();
    assert!(barriers.is_empty(), "{barriers:#?}");
    assert!(browser.troubles(&site.url).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_refreshes_in_place_and_says_when_it_cannot() {
    let board = boards::well(now());
    let site = StatusSite::start(&board).await;
    let mut browser = Browser::start();
    browser.call("Emulation.setTimezoneOverride", json!({"timezoneId": "America/New_York"}));
    browser.open(&site.at(""));
    // Times are the reader's, those of the page stay within reach.
    let (shown, title) = ("document.querySelector('#as-of time')", "document.querySelector('#as-of time').title");
    let local = browser.eval(&format!("{shown}.textContent")).as_str().unwrap().to_owned();
    assert!(local.contains("GMT-4") || local.contains("GMT-5"), "{local}");
    assert!(browser.eval(title).as_str().unwrap().contains("CE"), "Vienna's: {}", browser.eval(title));
    assert!(browser.text("#zone").contains("America/New_York"));

    browser.eval("document.querySelector('#c-profiles .more').click()");
    browser.eval("window.before = document.querySelector('#c-search'); document.querySelector('details').open = true");
    site.show(&boards::overridden(now()));
    browser.eval("refresh()");
    assert_eq!(truth(&mut browser), "Degraded performance");
    assert!(browser.text("#c-profiles").contains("Stated by the team until"), "{}", browser.text("#c-profiles"));
    assert_eq!(browser.eval("document.querySelector('.truth').className"), "truth degraded_performance");
    assert_eq!(browser.eval("document.activeElement.className"), "less", "the focus stays");
    assert_eq!(browser.eval("document.querySelector('#days-profiles').className"), "days words");
    assert!(browser.eval("document.title").as_str().unwrap().contains("Degraded performance"));
    assert_eq!(browser.text("#note"), "");

    // An incident that was not there before.
    site.show(&boards::bad_day(now()));
    browser.eval("refresh()");
    assert!(browser.text("main").contains("One release of a client repeats failed requests"));
    assert_eq!(browser.eval("document.querySelectorAll('main').length"), 1);

    // Whoever makes the page has died, its host has not.
    site.show(&boards::well(now().plus(-25 * 60_000)));
    browser.eval("refresh()");
    let note = browser.text("#note");
    assert!(note.contains("made 25 minutes ago") && note.contains("not known"), "{note}");
    // What it said then does not go on standing on top, however often it is read.
    for _ in 0..2 {
        assert!(truth(&mut browser).starts_with("Status unknown: this page is of "), "{}", truth(&mut browser));
        assert_eq!(browser.eval("document.querySelector('.truth').className"), "truth unknown");
        assert!(browser.text("#now").contains("It said then: All systems operational"), "{}", browser.text("#now"));
        assert!(browser.eval("document.title").as_str().unwrap().ends_with(": Status unknown"));
        browser.eval("refresh()");
    }
    let barriers = browser.barriers();
    assert!(barriers.is_empty(), "{barriers:#?}");
    site.show(&boards::well(now()));
    browser.eval("refresh()");
    assert_eq!((truth(&mut browser), browser.text("#note")), ("All systems operational".to_owned(), String::new()));
    assert_eq!(browser.eval("document.querySelector('.truth').className"), "truth operational");
    // A demo tells of another day, as if that were now.
    let mut replay = boards::well(now().plus(-25 * 60_000));
    replay.page.is_replay = true;
    site.show(&replay);
    browser.eval("refresh()");
    assert_eq!((truth(&mut browser), browser.text("#note")), ("All systems operational".to_owned(), String::new()));
    assert!(browser.troubles(&site.url).is_empty());

    // Nobody can be asked any more, and the reader's clock goes on.
    site.show(&boards::well(now()));
    browser.eval("refresh()");

    drop(site);
    browser.call("Network.setBlockedURLs", json!({"urls": ["*"]}));
    browser.eval("refresh()");
    assert!(browser.text("#note").starts_with("This page cannot be refreshed."), "{}", browser.text("#note"));
    assert_eq!(truth(&mut browser), "All systems operational");
    browser.eval("aheadMs += 11 * 60000; refresh()");
    assert!(truth(&mut browser).starts_with("Status unknown: this page is of "), "{}", truth(&mut browser));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_there_without_scripts_and_in_any_directory_of_a_host() {
    let deeper = |file: PublicFile| PublicFile { path: format!("some/where/{}", file.path), ..file };
    let files = public_files(&boards::bad_day(now())).into_iter().map(deeper).collect();
    let site = StatusSite::of_files(files).await;
    let mut browser = Browser::start();
    browser.allow_scripts(false);
    browser.screen(360, 780);
    browser.open(&site.at("some/where/"));
    assert_eq!(truth(&mut browser), "Partial outage");
    assert!(browser.text("#as-of").contains(" CE"), "the page's zone: {}", browser.text("#as-of"));
    assert!(browser.text("#i-q4open").contains("About 37 % of requests fail."));
    assert_eq!(browser.eval("getComputedStyle(document.querySelector('.days')).display"), "flex", "the style is there");
    browser.save_picture(&pictures().join("without-script.png"));
    let jump = browser.eval("document.querySelector('#c-api .more').href").as_str().unwrap().to_owned();
    browser.call("Page.navigate", json!({"url": jump}));
    assert_eq!(browser.eval("getComputedStyle(document.querySelector('#days-api')).display"), "block");
    assert_ne!(browser.eval("getComputedStyle(document.querySelector('#c-api .less')).display"), "none");
    browser.follow("#i-q4open h3 a");
    assert_eq!(browser.text("h1"), "API: many requests fail");
    assert!(browser.text("main").contains("The team writes."));
    browser.follow("nav a[href$='history.html']");
    assert_eq!(browser.eval("document.querySelectorAll('.past a').length"), 2);
    browser.follow("nav a[href$='index.html']");
    assert_eq!(truth(&mut browser), "Partial outage");
    let troubles = browser.troubles(&site.at("some/where/"));
    assert!(troubles.is_empty(), "{troubles:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_words_stay_words() {
    let site = StatusSite::start(&boards::hostile(now())).await;
    let mut browser = Browser::start();
    browser.screen(360, 780);
    for path in ["", "history.html", "incidents/q4open.html"] {
        browser.open(&site.at(path));
        // Also when they come with a refresh.
        browser.eval("document.querySelectorAll('main [data-live]').forEach(part => source.set(part, '')); refresh()");
        assert_eq!(browser.eval("typeof window.taken"), "undefined", "{path}");
        assert_eq!(browser.eval("document.querySelectorAll('img').length"), 0, "{path}");
        assert_eq!(browser.eval("document.querySelectorAll('script').length"), 1, "{path}");
        assert!(browser.text("main").contains("<script>window.taken = 1</script>"), "{path}");
        let over = browser.eval(OVERFLOW).as_f64().unwrap();
        assert!(over <= 0.0, "{path}: {over} pixels too wide");
    }
    let troubles = browser.troubles(&site.url);
    assert!(troubles.is_empty(), "{troubles:#?}");
}
