//! What is around every page: head, name, ways around, where else to read.

use maud::{DOCTYPE, Markup, html};

use super::Shown;

/// Only files of the site itself, nothing inside the page. What may frame it only a header can say.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'";

/// Which page it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// What is so now.
    Index,
    /// Everything that is kept.
    History,
    /// One incident, a directory deeper.
    Incident,
}

impl Place {
    /// The way to the root of the site.
    pub fn root(self) -> &'static str {
        match self {
            Self::Index | Self::History => "",
            Self::Incident => "../",
        }
    }
}

/// A page.
pub(super) fn page(shown: Shown<'_>, place: Place, title: &str, body: &Markup) -> Markup {
    let (page, root) = (&shown.board.page, place.root());
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="content-security-policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="robots" content="index, follow";
                @if let Some(description) = &page.description {
                    meta name="description" content=(description);
                }
                title { (title) }
                link rel="icon" href={ (root) "icon.svg" } type="image/svg+xml";
                link rel="stylesheet" href={ (root) "style.css" };
                link rel="alternate" type="application/atom+xml" title="Incidents" href={ (root) "history.atom" };
                link rel="alternate" type="application/rss+xml" title="Incidents" href={ (root) "history.rss" };
                script src={ (root) "status.js" } defer {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                (header(shown, place))
                main #main tabindex="-1" { (body) }
                (footer(shown, place))
            }
        }
    }
}

fn header(shown: Shown<'_>, place: Place) -> Markup {
    let (page, root) = (&shown.board.page, place.root());
    let ways = [("index.html", "Now", Place::Index), ("history.html", "History", Place::History)];
    html! {
        header {
            div.page {
                p.name { (page.name) }
                @if let Some(description) = &page.description { p { (description) } }
            }
            nav aria-label="Pages" {
                ul {
                    @for (path, name, way) in ways {
                        li { a href={ (root) (path) } aria-current=[(way == place).then_some("page")] { (name) } }
                    }
                }
            }
        }
    }
}

fn footer(shown: Shown<'_>, place: Place) -> Markup {
    let root = place.root();
    html! {
        footer {
            p #note role="status" {}
            p {
                "Follow: " a href={ (root) "history.atom" } { "Atom" } ", "
                a href={ (root) "history.rss" } { "RSS" } ". For programs: "
                a href={ (root) "api/v2/summary.json" } { "status" } ", "
                a href={ (root) "api/v2/uptime.json" } { "uptime" } "."
            }
            p {
                span #zone { "Times are in " (shown.zone.name()) "." } " Days are those of " (shown.zone.name())
                "."
                // Elsewhere it would change hundreds of pages all the time, for nothing.
                @if place == Place::Index {
                    " This page was made " span #made data-live data-replay[shown.board.page.is_replay] { (shown.zone.moment(shown.board.made_at)) } "."
                }
            }
        }
    }
}
