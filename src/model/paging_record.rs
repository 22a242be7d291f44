//! What is kept of pages and silences for later questions. Plain data; the store writes it.

use super::{Page, Text, Timestamp};

/// Something that was decided about a page or a silence.
#[derive(Debug, Clone, PartialEq)]
pub enum PagingRecord {
    /// Something was said of a page, or would have been.
    Page(Box<PageRecord>),
    /// A silence began or ended.
    Silence(SilenceRecord),
}

/// A page as it was said.
#[derive(Debug, Clone, PartialEq)]
pub struct PageRecord {
    /// The page.
    pub page: Page,
    /// Why.
    pub reason: Text,
    /// The silence that kept it from receivers; empty when they were told.
    pub silenced_by: Text,
    /// What a person remarked.
    pub note: String,
    /// Wall clock.
    pub said_at: Timestamp,
}

/// A silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilenceRecord {
    /// Identity.
    pub id: Text,
    /// `created`, `removed` or `expired`.
    pub event: Text,
    /// When, by the wall clock.
    pub at: Timestamp,
    /// `name=value` and so on; all of them.
    pub matchers: Vec<String>,
    /// From when on.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// Who.
    pub author: Text,
    /// Why.
    pub reason: String,
}
