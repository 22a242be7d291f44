//! A board as the public gets it: files, the same whether they are served or exported. Pure.

mod page;

use super::Board;

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

/// Everything that is public: the page, a page an incident, the API, feeds, badges.
#[must_use]
pub fn public_files(board: &Board) -> Vec<PublicFile> {
    page::files(board)
}
