//! The page for people: what is so now, each incident, the history. Files that need nothing from elsewhere, and no script.
//!
//! Links are relative, so that the files work in any directory of any host. Every page carries its policy with it, because
//! a host of static files sends none.

mod bars;
mod components;
mod figures;
mod frame;
mod history;
mod incidents;
mod latency;
mod maintenances;
mod moments;

/// The script as readers get it: what is for us stays here. It has no text of several lines.
fn script() -> String {
    let lines = SCRIPT.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests;
mod truth;

use maud::{Markup, html};

use self::frame::Place;
use self::moments::Zone;
use super::{Board, PublicFile};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("status.js");
const ICON: &str = include_str!("icon.svg");
/// What is public may be found.
const ROBOTS: &str = "User-agent: *\nAllow: /\n";

const HTML: &str = "text/html; charset=utf-8";

/// What every part of a page is made of.
#[derive(Debug, Clone, Copy)]
struct Shown<'a> {
    board: &'a Board,
    zone: &'a Zone,
}

/// The pages, their style, script and icon.
#[must_use]
pub fn files(board: &Board) -> Vec<PublicFile> {
    let zone = Zone::of(&board.page);
    let shown = Shown { board, zone: &zone };
    let mut files = vec![
        file("index.html", HTML, index(shown).into_string()),
        file("history.html", HTML, history::page(shown).into_string()),
        file("style.css", "text/css; charset=utf-8", STYLE.to_owned()),
        file("status.js", "text/javascript; charset=utf-8", script()),
        file("icon.svg", "image/svg+xml", ICON.to_owned()),
        file("robots.txt", "text/plain; charset=utf-8", ROBOTS.to_owned()),
    ];
    let incidents = board.incidents.iter();
    files.extend(
        incidents
            .map(|incident| file(&incidents::path(incident), HTML, incidents::page(shown, incident).into_string())),
    );
    files
}

fn file(path: &str, content_type: &'static str, body: String) -> PublicFile {
    PublicFile { path: path.to_owned(), content_type, body: body.into_bytes() }
}

fn index(shown: Shown<'_>) -> Markup {
    let truth = truth::truth(shown.board);
    let title = format!("{}: {}", shown.board.page.name, truth.text(shown.zone));
    let body = html! {
        (truth::section(shown, &truth))
        (incidents::open(shown))
        (maintenances::section(shown, maintenances::Which::Ahead))
        (components::section(shown))
        (maintenances::section(shown, maintenances::Which::Past))
        (history::recent(shown))
    };
    frame::page(shown, Place::Index, &title, &body)
}
