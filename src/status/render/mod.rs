//! A board as the public gets it: files, the same whether they are served or exported. Pure.

mod atom;
mod badge;
mod entry;
mod moment;
mod page;
mod rss;
mod statuspage;
mod uptime_json;
mod verdict;

use super::Board;
use crate::model::PublicNews;

pub use uptime_json::UPTIME_FORMULA;
pub use verdict::Verdict;

/// A file of the public site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicFile {
    /// Path below the root of the site, without a slash at its beginning: `index.html`, `api/v2/summary.json`.
    pub path: String,
    /// Value of `Content-Type`.
    pub content_type: &'static str,
    /// What is in it.
    pub body: Vec<u8>,
}

impl PublicFile {
    fn new(path: &str, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { path: path.to_owned(), content_type, body: body.into() }
    }

    fn json(path: &str, document: &impl serde::Serialize) -> Self {
        // Documents are structs and lists with texts as keys: there is nothing that JSON cannot say.
        let body = serde_json::to_vec(document).expect("a document of plain fields is JSON");
        Self::new(path, "application/json; charset=utf-8", body)
    }
}

/// What subscribers are told when one board takes the place of another.
#[must_use]
pub fn news(before: &Board, after: &Board) -> Vec<PublicNews> {
    statuspage::news(before, after)
}

/// Everything that is public: the page, a page an incident, the API, feeds, badges.
#[must_use]
pub fn public_files(board: &Board) -> Vec<PublicFile> {
    let mut files = page::files(board);
    files.extend(statuspage::files(board));
    files.push(uptime_json::file(board));
    files.push(atom::file(board));
    files.push(rss::file(board));
    files.extend(badge::files(board));
    files
}
