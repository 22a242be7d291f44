//! Components and groups of them, in the shape of the Statuspage API v2.

use jiff::tz::TimeZone;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::model::Timestamp;
use crate::status::render::moment;
use crate::status::{Board, ComponentState, ComponentView};

/// A component, or a group: that has `components`.
#[derive(Clone, Serialize)]
pub(super) struct Component {
    pub(super) id: String,
    pub(super) name: String,
    status: &'static str,
    created_at: String,
    updated_at: String,
    position: usize,
    description: Option<String>,
    showcase: bool,
    start_date: Option<String>,
    group_id: Option<String>,
    page_id: String,
    group: bool,
    only_show_if_degraded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    components: Option<Vec<String>>,
    state: ComponentState,
    since: Option<String>,
    data_as_of: Option<String>,
}

impl Component {
    pub(super) fn is_group(&self) -> bool {
        self.group
    }
}

/// The word of Statuspage. It has none for `unknown`; what is nearest without saying that all is well is this.
pub(super) fn told(state: ComponentState) -> &'static str {
    match state {
        ComponentState::Unknown => ComponentState::DegradedPerformance.as_str(),
        known => known.as_str(),
    }
}

/// All of them, a group before those in it. Positions count from 1, in a group anew.
pub(super) fn all(board: &Board, zone: &TimeZone) -> Vec<Component> {
    let mut of_all: Vec<Component> = Vec::with_capacity(board.components.len());
    let mut groups: Vec<&str> = Vec::new();
    let mut position = 0;
    for view in &board.components {
        let Some(group) = view.group.as_deref() else {
            position += 1;
            of_all.push(single(view, position, None, board, zone));
            continue;
        };
        if groups.contains(&group) {
            continue;
        }
        groups.push(group);
        position += 1;
        let members = members(board, group);
        let parent = parent(group, &members, position, board);
        let id = parent.id.clone();
        of_all.push(parent);
        let numbered = members.into_iter().zip(1..);
        of_all.extend(numbered.map(|(view, inner)| single(view, inner, Some(id.clone()), board, zone)));
    }
    of_all
}

/// Full name of a component, as updates of incidents have it: `Group - Name`.
pub(super) fn full_name(view: &ComponentView) -> String {
    view.group.as_ref().map_or_else(|| view.name.clone(), |group| format!("{group} - {}", view.name))
}

fn members<'a>(board: &'a Board, group: &str) -> Vec<&'a ComponentView> {
    board.components.iter().filter(|view| view.group.as_deref() == Some(group)).collect()
}

fn single(
    view: &ComponentView,
    position: usize,
    group_id: Option<String>,
    board: &Board,
    zone: &TimeZone,
) -> Component {
    Component {
        id: view.id.clone(),
        name: view.name.clone(),
        status: told(view.state),
        created_at: moment::iso(view.created_at),
        updated_at: moment::iso(view.updated_at),
        position,
        description: view.description.clone(),
        showcase: true,
        start_date: Some(moment::date(view.created_at, zone)),
        group_id,
        page_id: board.page.id.clone(),
        group: false,
        only_show_if_degraded: false,
        components: None,
        state: view.state,
        since: view.since.map(moment::iso),
        data_as_of: board.data_as_of.map(moment::iso),
    }
}

/// A group is as its worst member is, since the first of these is.
fn parent(name: &str, members: &[&ComponentView], position: usize, board: &Board) -> Component {
    let state = members.iter().map(|view| view.state).max().unwrap_or(ComponentState::Unknown);
    let worst = members.iter().filter(|view| view.state == state);
    let since: Option<Vec<Timestamp>> = worst.map(|view| view.since).collect();
    let since = since.and_then(|since| since.into_iter().min());
    let created_at = members.iter().map(|view| view.created_at).min().unwrap_or(board.updated_at);
    let updated_at = members.iter().map(|view| view.updated_at).max().unwrap_or(board.updated_at);
    Component {
        id: group_id(&board.page.id, name),
        name: name.to_owned(),
        status: told(state),
        created_at: moment::iso(created_at),
        updated_at: moment::iso(updated_at),
        position,
        description: None,
        showcase: false,
        start_date: None,
        group_id: None,
        page_id: board.page.id.clone(),
        group: true,
        only_show_if_degraded: false,
        components: Some(members.iter().map(|view| view.id.clone()).collect()),
        state,
        since: since.map(moment::iso),
        data_as_of: board.data_as_of.map(moment::iso),
    }
}

/// Groups have no identity in the configuration: it is made of the name, as long as those of Statuspage.
fn group_id(page_id: &str, name: &str) -> String {
    let digest = Sha256::digest(format!("{page_id}/{name}"));
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
