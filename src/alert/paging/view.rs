//! What the API shows of pages and silences: a snapshot.

use serde::Serialize;

use super::page_state::{Acknowledgement, PageState, Phase};
use super::pager::Pager;
use super::silence::Silence;
use crate::model::{Page, PageEvent, Severity, Text, Timestamp};

/// Where a page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PageStanding {
    /// It goes on.
    Open,
    /// It flaps and is quiet for the moment.
    Quiet,
    /// It fired before a restart; whether it still does is not known yet.
    WaitingForData,
    /// It is over.
    Resolved,
}

/// A page and how it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PageView {
    /// Where it stands.
    pub standing: PageStanding,
    /// Alerts of it that fire now.
    pub firing: u64,
    /// Names of alerts that are told inside it and belong to other incidents.
    pub inhibited: Vec<String>,
    /// The silence that keeps receivers from hearing of it.
    pub silenced_by: Option<Text>,
    /// Who has taken it.
    pub acknowledgement: Option<Acknowledgement>,
    /// The page as it is now. `revision` is that of what was said last.
    pub page: Page,
}

/// Pages and silences at a moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PagerView {
    /// Open pages, worst first, then those that are over, newest first.
    pub pages: Vec<PageView>,
    /// Silences in force or to come.
    pub silences: Vec<Silence>,
    /// Wall clock.
    pub at: Timestamp,
}

impl PagerView {
    /// The page with this key.
    #[must_use]
    pub fn page(&self, key: &str) -> Option<&PageView> {
        self.pages.iter().find(|view| view.page.dedup_key == key)
    }

    /// Open pages of a severity.
    #[must_use]
    pub fn open(&self, severity: Severity) -> usize {
        let is_open = |view: &&PageView| view.standing != PageStanding::Resolved && view.page.severity == severity;
        self.pages.iter().filter(is_open).count()
    }
}

impl Pager {
    /// What is to be shown now.
    #[must_use]
    pub fn view(&self, now: Timestamp) -> PagerView {
        let mut pages: Vec<PageView> =
            self.state.pages.iter().filter_map(|(number, page)| self.view_of(*number, page)).collect();
        pages.sort_by_key(|view| {
            let over = view.standing == PageStanding::Resolved;
            let newest = std::cmp::Reverse(view.page.resolved_at.unwrap_or(view.page.since));
            (over, if over { None } else { Some(std::cmp::Reverse(view.page.severity)) }, newest)
        });
        PagerView { pages, silences: self.state.silences.values().cloned().collect(), at: now }
    }

    fn view_of(&self, number: u32, page: &PageState) -> Option<PageView> {
        let event = match page.phase {
            Phase::Resolved => PageEvent::Resolved,
            _ if page.acknowledgement.is_some() => PageEvent::Acknowledged,
            _ if page.said.revision > 1 => PageEvent::Updated,
            _ => PageEvent::Opened,
        };
        let standing = match page.phase {
            Phase::Resolved => PageStanding::Resolved,
            _ if page.is_restored => PageStanding::WaitingForData,
            Phase::Quiet(_) => PageStanding::Quiet,
            Phase::Open => PageStanding::Open,
        };
        let inhibited = page.alerts.iter().filter(|known| known.is_inhibited);
        Some(PageView {
            standing,
            firing: self.by_page.get(&number).map_or(0, |ids| ids.len() as u64) + page.not_followed,
            inhibited: inhibited.map(|known| format!("{} of {}", known.alert.alert, known.alert.labels)).collect(),
            silenced_by: if page.is_resolved() { None } else { self.silence_of(page) },
            acknowledgement: page.acknowledgement.clone(),
            page: page.render(event, &self.settings)?,
        })
    }
}
