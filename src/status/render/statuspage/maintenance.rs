//! Announced work in the shape of the Statuspage API v2. There it is an incident with a beginning and an end.

use serde::Serialize;

use super::component::Component;
use super::incident::Update;
use super::{INCIDENTS_MAX, Source};
use crate::model::Timestamp;
use crate::status::render::entry::{stages, work_link};
use crate::status::render::moment;
use crate::status::{Impact, Maintenance, MaintenanceStage};

/// Announced work.
#[derive(Clone, Serialize)]
pub(super) struct ScheduledMaintenance {
    id: String,
    name: String,
    status: &'static str,
    created_at: String,
    updated_at: String,
    monitoring_at: Option<String>,
    resolved_at: Option<String>,
    impact: Impact,
    shortlink: String,
    started_at: String,
    page_id: String,
    incident_updates: Vec<Update>,
    components: Vec<Component>,
    scheduled_for: String,
    scheduled_until: String,
    reminder_intervals: Option<String>,
}

/// Those at stages that are wanted, the earliest first; of more than [`INCIDENTS_MAX`] the latest.
pub(super) fn next(source: &Source, is_wanted: impl Fn(MaintenanceStage) -> bool) -> Vec<ScheduledMaintenance> {
    let now = source.board.made_at;
    let mut wanted: Vec<&Maintenance> =
        source.board.maintenances.iter().filter(|work| is_wanted(work.stage(now))).collect();
    wanted.sort_by_key(|work| work.from);
    let surplus = wanted.len().saturating_sub(INCIDENTS_MAX);
    wanted.into_iter().skip(surplus).map(|work| shape(source, work, now)).collect()
}

fn shape(source: &Source, work: &Maintenance, now: Timestamp) -> ScheduledMaintenance {
    let stages = stages(work, now);
    let updates = stages.iter().map(|said| {
        let id = format!("{}{}", work.id, said.letter);
        Update::new(&id, status(said.stage), &said.body, &work.id, said.at)
    });
    let ended = stages.iter().find(|said| said.stage == MaintenanceStage::Completed);
    let changed = stages.iter().map(|said| said.at).fold(work.updated_at, Timestamp::max);
    ScheduledMaintenance {
        id: work.id.clone(),
        name: work.name.clone(),
        status: status(work.stage(now)),
        created_at: moment::iso(work.created_at),
        updated_at: moment::iso(changed),
        monitoring_at: None,
        resolved_at: ended.map(|said| moment::iso(said.at)),
        impact: Impact::Maintenance,
        shortlink: work_link(&source.board.page, &work.id),
        // Statuspage has here when it was announced; when it begins is `scheduled_for`.
        started_at: moment::iso(work.created_at),
        page_id: source.board.page.id.clone(),
        incident_updates: updates.collect(),
        components: source.components_of(&work.components),
        scheduled_for: moment::iso(work.from),
        scheduled_until: moment::iso(work.until),
        reminder_intervals: None,
    }
}

fn status(stage: MaintenanceStage) -> &'static str {
    match stage {
        MaintenanceStage::Scheduled => "scheduled",
        MaintenanceStage::InProgress => "in_progress",
        MaintenanceStage::Completed => "completed",
    }
}
