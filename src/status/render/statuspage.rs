//! The endpoints of the Statuspage API v2 as files: same names, same words, nothing null that is a list.
//!
//! What is more than Statuspage has: `data_as_of` and `freshness` of the page, `state`, `since` and `data_as_of` of components,
//! `old_state` and `new_state` of affected components. `docs/status/feeds.md` says what they mean.

mod component;
mod incident;
mod maintenance;
mod news;

use serde::Serialize;

use super::{PublicFile, Verdict, moment};
use crate::model::PublicNews;
use crate::status::{Board, Freshness, Impact, MaintenanceStage};

/// As Statuspage has it: lists end here.
const INCIDENTS_MAX: usize = 50;

/// `page` of every document.
#[derive(Clone, Serialize)]
pub(super) struct Page {
    id: String,
    name: String,
    url: String,
    time_zone: String,
    updated_at: String,
    data_as_of: Option<String>,
    freshness: &'static str,
}

impl Page {
    pub(super) fn of(board: &Board) -> Self {
        Self {
            id: board.page.id.clone(),
            name: board.page.name.clone(),
            url: board.page.url.clone(),
            time_zone: board.page.time_zone.clone(),
            updated_at: moment::iso(board.updated_at),
            data_as_of: board.data_as_of.map(moment::iso),
            freshness: freshness(board.freshness),
        }
    }
}

fn freshness(freshness: Freshness) -> &'static str {
    match freshness {
        Freshness::Current => "current",
        Freshness::Stale => "stale",
        Freshness::Unknown => "unknown",
    }
}

/// `status` of the whole.
#[derive(Clone, Serialize)]
struct Status {
    indicator: Impact,
    description: String,
}

/// Any document; what it does not have is left out.
#[derive(Serialize)]
struct Document<'a> {
    page: &'a Page,
    #[serde(skip_serializing_if = "Option::is_none")]
    components: Option<&'a [component::Component]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incidents: Option<&'a [incident::Incident]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_maintenances: Option<&'a [maintenance::ScheduledMaintenance]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a Status>,
}

/// What documents are made of.
struct Source<'a> {
    board: &'a Board,
    components: Vec<component::Component>,
}

impl Source<'_> {
    /// Those of the identities that the page still has.
    fn components_of(&self, ids: &[String]) -> Vec<component::Component> {
        let mut of_it = self.components.clone();
        of_it.retain(|component| !component.is_group() && ids.contains(&component.id));
        of_it
    }
}

/// What subscribers are told of the way from one board to another.
pub(super) fn news(before: &Board, after: &Board) -> Vec<PublicNews> {
    news::between(before, after)
}

/// All endpoints.
pub(super) fn files(board: &Board) -> Vec<PublicFile> {
    let zone = moment::zone(&board.page.time_zone);
    let components = component::all(board, &zone);
    let source = Source { board, components };
    let page = Page::of(board);
    let verdict = Verdict::of(board);
    let status = Status { indicator: verdict.indicator(), description: verdict.description() };
    let open = incident::newest(&source, |incident| !incident.status.is_over());
    let all = incident::newest(&source, |_| true);
    let upcoming = maintenance::next(&source, |stage| stage == MaintenanceStage::Scheduled);
    let active = maintenance::next(&source, |stage| stage == MaintenanceStage::InProgress);
    let ahead = maintenance::next(&source, |stage| stage != MaintenanceStage::Completed);
    let mut works = maintenance::next(&source, |_| true);
    works.reverse();

    let bare = Document { page: &page, components: None, incidents: None, scheduled_maintenances: None, status: None };
    let summary = Document {
        page: &page,
        components: Some(&source.components),
        incidents: Some(&open),
        scheduled_maintenances: Some(&ahead),
        status: Some(&status),
    };
    let of_incidents = |incidents| Document { incidents: Some(incidents), ..bare };
    let of_works = |works| Document { scheduled_maintenances: Some(works), ..bare };
    vec![
        PublicFile::json("api/v2/summary.json", &summary),
        PublicFile::json("api/v2/status.json", &Document { status: Some(&status), ..bare }),
        PublicFile::json("api/v2/components.json", &Document { components: Some(&source.components), ..bare }),
        PublicFile::json("api/v2/incidents.json", &of_incidents(&all)),
        PublicFile::json("api/v2/incidents/unresolved.json", &of_incidents(&open)),
        PublicFile::json("api/v2/scheduled-maintenances.json", &of_works(&works)),
        PublicFile::json("api/v2/scheduled-maintenances/upcoming.json", &of_works(&upcoming)),
        PublicFile::json("api/v2/scheduled-maintenances/active.json", &of_works(&active)),
    ]
}

#[cfg(test)]
mod tests;
