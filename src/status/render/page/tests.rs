//! The page's files, whole.

use std::collections::BTreeSet;

use super::*;
use crate::status::samples::{at, board, component, incident, resolved};
use crate::status::{Authority, ComponentState, DayView, Freshness, IncidentUpdate, PublicIncident};

/// What the page and its style and script may take, uncompressed.
const PAGE_BYTES_MAX: usize = 50_000;
/// The same where no day of any component was whole.
const WORST_BYTES_MAX: usize = 65_000;
/// Made by others in the same directory.
const FEEDS: [&str; 4] = ["history.atom", "history.rss", "api/v2/summary.json", "api/v2/uptime.json"];

fn text(files: &[PublicFile], path: &str) -> String {
    let file = files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("no {path}"));
    String::from_utf8(file.body.clone()).unwrap()
}

/// Ten components with ninety days, each with a bad day a week: more than any real quarter has.
fn ten() -> Board {
    let one = |number: usize| {
        let mut one = component(&format!("part-{number}"), &format!("Part {number} of the platform"));
        for (place, day) in
            one.days.iter_mut().enumerate().skip(10).filter(|(place, _)| (place + number).is_multiple_of(7))
        {
            (day.major_ms, day.degraded_ms) = (place as i64 * 10_000, 3_600_000);
            day.operational_ms -= day.major_ms + day.degraded_ms;
        }
        one
    };
    Board { components: (0..10).map(one).collect(), ..board() }
}

#[test]
fn ten_components_over_ninety_days_are_less_than_fifty_kilobytes_with_style_and_script() {
    let sizes = |files: &[PublicFile]| ["index.html", "style.css", "status.js"].map(|path| text(files, path).len());
    let usual = files(&ten());
    let whole: usize = sizes(&usual).iter().sum();
    assert!(whole < PAGE_BYTES_MAX, "{whole} bytes: {:?}", sizes(&usual));
    assert!(text(&usual, "index.html").matches("<li").count() > 900);
    let mut worst = ten();
    for day in worst.components.iter_mut().flat_map(|component| &mut component.days) {
        *day = DayView { date: day.date.clone(), elapsed_ms: 86_400_000, major_ms: 2_220_000, ..DayView::default() };
    }
    let worst = files(&worst);
    let whole: usize = sizes(&worst).iter().sum();
    assert!(whole < WORST_BYTES_MAX, "{whole} bytes: {:?}", sizes(&worst));
    println!("usual {:?}, worst {:?}", sizes(&usual), sizes(&worst));
}

#[test]
fn whatever_people_write_stays_text() {
    const HOSTILE: &str = "<script>alert(1)</script><img src=x onerror=alert(2)> \"' & </li></title><!--";
    let hostile = || HOSTILE.to_owned();
    let mut board = board();
    (board.page.name, board.page.description) = (hostile(), Some(hostile()));
    for component in &mut board.components {
        (component.name, component.description, component.group) = (hostile(), Some(hostile()), Some(hostile()));
        component.authority = Authority::Person { until: at("2026-04-29T15:00:00Z"), note: Some(hostile()) };
        component.days[3].date = hostile();
    }
    for incident in &mut board.incidents {
        incident.name = hostile();
        for update in &mut incident.updates {
            update.body = hostile();
        }
    }
    (board.maintenances[0].name, board.maintenances[0].body) = (hostile(), hostile());
    for file in files(&board).iter().filter(|file| file.content_type == HTML) {
        let page = String::from_utf8(file.body.clone()).unwrap();
        assert!(page.contains("&lt;img src=x"), "{}", file.path);
        assert_eq!(page.matches("<script").count(), 1, "{}: only our own", file.path);
        assert!(!page.contains("<img") && !page.contains("<!--") && page.matches("</title>").count() == 1);
    }
}

/// Values of `name="…"`, and of `name=…` as this page writes them.
fn values<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let rest = |place: usize| &page[place + name.len() + 3..];
    let begin = format!(" {name}=\"");
    let found = page.match_indices(&begin).map(|(place, _)| rest(place));
    found.filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn links_are_relative_and_lead_to_files_that_are_there() {
    let files = files(&board());
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).chain(FEEDS).collect();
    let mut count = 0;
    for file in files.iter().filter(|file| file.content_type == HTML) {
        let page = String::from_utf8(file.body.clone()).unwrap();
        let ids: BTreeSet<&str> = values(&page, "id").into_iter().collect();
        assert_eq!(ids.len(), values(&page, "id").len(), "{}: identities are unique", file.path);
        for link in values(&page, "href").into_iter().chain(values(&page, "src")) {
            let from_root = match (link.strip_prefix("../"), file.path.contains('/')) {
                (Some(rest), true) => rest.to_owned(),
                (None, false) => link.to_owned(),
                _ => link.strip_prefix('#').map_or_else(|| panic!("{}: {link}", file.path), |_| link.to_owned()),
            };
            let leads = match from_root.strip_prefix('#') {
                Some(id) => ids.contains(id),
                None => paths.contains(from_root.as_str()),
            };
            assert!(leads, "{} links to {link}", file.path);
            count += 1;
        }
        for inside in [" style=", " onclick=", "<style", "javascript:", "http://", "https://"] {
            assert!(!page.contains(inside), "{}: {inside}", file.path);
        }
        for labelled in values(&page, "aria-labelledby") {
            assert!(ids.contains(labelled), "{}: nothing is {labelled}", file.path);
        }
    }
    assert!(count > 40, "only {count} links were found");
}

#[test]
fn the_page_says_who_says_so_and_until_when() {
    let mut board = board();
    board.components[0].authority =
        Authority::Person { until: at("2026-04-29T15:00:00Z"), note: Some("We look at it.".to_owned()) };
    board.components[1].authority = Authority::Maintenance;
    board.components[1].state = ComponentState::UnderMaintenance;
    let page = text(&files(&board), "index.html");
    for part in [
        "<b>Stated by the team until <time datetime=\"2026-04-29T15:00:00Z\">29 Apr 2026, 17:00 CEST</time></b>",
        "; the measured state is hidden so long. “We look at it.”",
        "So announced; what is measured does not count meanwhile.",
        "Affected: API.",
        "Data as of <time datetime=\"2026-04-29T12:53:15Z\">29 Apr 2026, 14:53 CEST</time>.",
        "<b>To come</b> · <time datetime=\"2026-05-02T02:00:00Z\">2 May 2026, 04:00 CEST</time>",
        // A tenth of the time has no data, and one day 37 minutes less.
        "Uptime <b>99.96 %</b>, not counted: 10 d without data. Measured: <b>99.98 %</b> of 80,000,000 requests succeeded \
         (objective 99.9 %, met).",
        "Latency, last: half within <b>80 ms</b> (dashed), 95 of 100 within <b>214 ms</b> (line). Highest of 24 h: \
         <b>258 ms</b>.",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let update = page.find("We know why.").unwrap();
    assert!(update < page.find("About 37 % of requests fail.").unwrap(), "the newest first");
    assert!(page.find("Open incidents").unwrap() < page.find("Components").unwrap());
    assert!(!page.contains("The team writes."), "the machine writes again");
    board.incidents[0].machine_from = Some(at("2026-04-29T13:20:00Z"));
    assert!(text(&files(&board), "index.html").contains("adds nothing of its own until <time"));
}

#[test]
fn an_incident_has_a_page_of_its_own() {
    insta::assert_snapshot!(text(&files(&board()), "incidents/inc0000.html"));
}

#[test]
fn the_history_is_by_month_of_the_pages_zone() {
    let mut board = board();
    let named = |id: &str, started_at: &str| PublicIncident {
        id: id.to_owned(),
        name: format!("Trouble {id}"),
        started_at: at(started_at),
        ..resolved()
    };
    // In Vienna it is April already.
    board.incidents = vec![
        named("c", "2026-04-20T00:00:00Z"),
        named("b", "2026-03-31T22:30:00Z"),
        named("a", "2026-03-31T21:30:00Z"),
    ];
    let page = text(&files(&board), "history.html");
    let places = ["April 2026", "Trouble c", "Trouble b", "March 2026", "Trouble a"].map(|part| page.find(part));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}: {page}");
    board.incidents.clear();
    assert!(text(&files(&board), "history.html").contains("0 incidents kept."));
    assert!(text(&files(&board), "index.html").contains("There were none."));
}

#[test]
fn five_hundred_incidents_do_not_make_the_first_page_larger() {
    let mut board = board();
    let before = text(&files(&board), "index.html").len();
    let one = |number: u32| PublicIncident { id: format!("inc{number:04}x"), ..resolved() };
    board.incidents = std::iter::once(incident()).chain((0..500).map(one)).collect();
    let files = files(&board);
    assert!(text(&files, "index.html").len() < before + 2_000);
    assert_eq!(files.iter().filter(|file| file.path.starts_with("incidents/")).count(), 501);
}

#[test]
fn a_board_of_nothing_is_a_page_too() {
    let mut board = board();
    board.components = vec![component("new", "New")];
    let new = &mut board.components[0];
    (new.days, new.latency, new.state, new.since) = (Vec::new(), Vec::new(), ComponentState::Unknown, None);
    (board.data_as_of, board.freshness) = (None, Freshness::Unknown);
    (board.incidents, board.maintenances) = (Vec::new(), Vec::new());
    let page = text(&files(&board), "index.html");
    assert!(page.contains("Status unknown: no data yet") && page.contains("Nothing has been measured yet."), "{page}");
    board.components[0].days = vec![DayView { date: "2026-04-29".to_owned(), ..DayView::default() }];
    assert!(text(&files(&board), "index.html").contains("<li class=n>29 Apr: no data"));
}

#[test]
fn the_same_board_is_the_same_bytes_and_updates_keep_their_paragraphs() {
    assert_eq!(files(&board()), files(&board()));
    let mut board = board();
    board.incidents[0].updates.push(IncidentUpdate {
        updated_at: at("2026-04-29T12:30:00Z"),
        body: "One.\r\n\r\nTwo\nlines.\n\n\n".to_owned(),
        ..incident().updates[0].clone()
    });
    let page = text(&files(&board), "incidents/inc0001.html");
    assert!(page.contains("<p class=\"said\">One.</p><p class=\"said\">Two\nlines.</p>"), "{page}");
    assert!(page.contains(" · corrected <time"));
}
