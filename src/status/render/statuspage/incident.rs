//! Incidents in the shape of the Statuspage API v2.

use serde::Serialize;

use super::component::{Component, full_name, told};
use super::{INCIDENTS_MAX, Source};
use crate::model::Timestamp;
use crate::status::render::entry::link;
use crate::status::render::moment;
use crate::status::{ComponentState, Impact, IncidentStatus, IncidentUpdate, PublicIncident};

/// An incident.
#[derive(Clone, Serialize)]
pub(super) struct Incident {
    id: String,
    name: String,
    status: IncidentStatus,
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
    reminder_intervals: Option<String>,
}

/// What was said of an incident, or of announced work.
#[derive(Clone, Serialize)]
pub(super) struct Update {
    id: String,
    status: &'static str,
    body: String,
    incident_id: String,
    created_at: String,
    updated_at: String,
    display_at: String,
    affected_components: Vec<Affected>,
    deliver_notifications: bool,
    custom_tweet: Option<String>,
    tweet_id: Option<String>,
}

/// How a component changed.
#[derive(Clone, Serialize)]
pub(super) struct Affected {
    code: String,
    name: String,
    old_status: &'static str,
    new_status: &'static str,
    old_state: ComponentState,
    new_state: ComponentState,
}

impl Update {
    pub(super) fn new(id: &str, status: &'static str, body: &str, incident_id: &str, at: Timestamp) -> Self {
        Self {
            id: id.to_owned(),
            status,
            body: body.to_owned(),
            incident_id: incident_id.to_owned(),
            created_at: moment::iso(at),
            updated_at: moment::iso(at),
            display_at: moment::iso(at),
            affected_components: Vec::new(),
            deliver_notifications: true,
            custom_tweet: None,
            tweet_id: None,
        }
    }
}

/// Those that are wanted, the newest first, [`INCIDENTS_MAX`] at most.
pub(super) fn newest(source: &Source, is_wanted: impl Fn(&PublicIncident) -> bool) -> Vec<Incident> {
    let mut wanted: Vec<&PublicIncident> =
        source.board.incidents.iter().filter(|incident| is_wanted(incident)).collect();
    wanted.sort_by_key(|incident| std::cmp::Reverse(incident.created_at));
    wanted.into_iter().take(INCIDENTS_MAX).map(|incident| shape(source, incident)).collect()
}

/// All of them, each with its shape.
pub(super) fn of_all<'a>(source: &Source<'a>) -> impl Iterator<Item = (&'a PublicIncident, Incident)> {
    source.board.incidents.iter().map(|incident| (incident, shape(source, incident)))
}

fn shape(source: &Source, incident: &PublicIncident) -> Incident {
    let mut updates: Vec<&IncidentUpdate> = incident.updates.iter().collect();
    updates.sort_by_key(|update| std::cmp::Reverse(update.created_at));
    Incident {
        id: incident.id.clone(),
        name: incident.name.clone(),
        status: incident.status,
        created_at: moment::iso(incident.created_at),
        updated_at: moment::iso(incident.updated_at),
        monitoring_at: incident.monitoring_at.map(moment::iso),
        resolved_at: incident.resolved_at.map(moment::iso),
        impact: incident.impact,
        shortlink: link(&source.board.page, &incident.id),
        started_at: moment::iso(incident.started_at),
        page_id: source.board.page.id.clone(),
        incident_updates: updates.into_iter().map(|update| said(source, update, &incident.id)).collect(),
        components: source.components_of(&incident.components),
        reminder_intervals: None,
    }
}

fn said(source: &Source, update: &IncidentUpdate, incident_id: &str) -> Update {
    let affected = update.affected.iter().filter_map(|(id, before, after)| affected(source, id, *before, *after));
    Update {
        updated_at: moment::iso(update.updated_at),
        affected_components: affected.collect(),
        ..Update::new(&update.id, update.status.as_str(), &update.body, incident_id, update.created_at)
    }
}

/// Components that the page no longer has are left out: they have no public name.
fn affected(source: &Source, id: &str, before: ComponentState, after: ComponentState) -> Option<Affected> {
    let view = source.board.components.iter().find(|view| view.id == id)?;
    Some(Affected {
        code: view.id.clone(),
        name: full_name(view),
        old_status: told(before),
        new_status: told(after),
        old_state: before,
        new_state: after,
    })
}
