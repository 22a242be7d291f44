//! What changed between two boards, as Statuspage's webhooks tell it: `component_update` with `component`, or `incident`.

use serde::Serialize;

use super::component::{Component, told};
use super::incident::{Incident, of_all};
use super::{Page, Source, component};
use crate::model::{PublicNews, Timestamp};
use crate::status::render::{Verdict, moment};
use crate::status::{Board, ComponentState, ComponentView, Impact, PublicIncident};

/// A body.
#[derive(Serialize)]
struct Body<'a> {
    page: PageOfNews<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    component_update: Option<ComponentUpdate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<&'a Component>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<&'a Incident>,
}

#[derive(Clone, Serialize)]
struct PageOfNews<'a> {
    #[serde(flatten)]
    page: &'a Page,
    status_indicator: Impact,
    status_description: String,
}

#[derive(Serialize)]
struct ComponentUpdate {
    id: String,
    component_id: String,
    created_at: String,
    old_status: &'static str,
    new_status: &'static str,
    old_state: ComponentState,
    new_state: ComponentState,
}

/// News in the order of the page: components whose state changed, then incidents of which more or something else is said.
pub(super) fn between(before: &Board, after: &Board) -> Vec<PublicNews> {
    let zone = moment::zone(&after.page.time_zone);
    let source = Source { board: after, components: component::all(after, &zone) };
    let (verdict, page) = (Verdict::of(after), Page::of(after));
    let page =
        PageOfNews { page: &page, status_indicator: verdict.indicator(), status_description: verdict.description() };
    let mut news = Vec::new();
    for view in &after.components {
        let Some(former) = before.components.iter().find(|former| former.id == view.id) else { continue };
        let shown = source.components.iter().find(|component| component.id == view.id && !component.is_group());
        if former.state != view.state {
            let update = component_update(former, view, after);
            let (id, subject) = (update.id.clone(), format!("component {}", view.id));
            let body = Body { page: page.clone(), component_update: Some(update), component: shown, incident: None };
            news.push(said(id, subject, &body));
        }
    }
    for (incident, shown) in of_all(&source) {
        if before.incidents.iter().find(|former| former.id == incident.id) != Some(incident) {
            let body = Body { page: page.clone(), component_update: None, component: None, incident: Some(&shown) };
            news.push(said(incident_news_id(incident), format!("incident {}", incident.id), &body));
        }
    }
    news
}

fn component_update(former: &ComponentView, view: &ComponentView, board: &Board) -> ComponentUpdate {
    let at = view.since.unwrap_or(board.made_at);
    // A component may come back to what it was before, since the same moment: what it comes from tells these apart.
    let from = former.since.map_or(0, Timestamp::as_millis);
    ComponentUpdate {
        id: format!("{}/{from}/{}/{}", view.id, at.as_millis(), view.state.as_str()),
        component_id: view.id.clone(),
        created_at: moment::iso(at),
        old_status: told(former.state),
        new_status: told(view.state),
        old_state: former.state,
        new_state: view.state,
    }
}

/// The same for every repeat; another one once something else is said.
fn incident_news_id(incident: &PublicIncident) -> String {
    let update = incident.updates.first().map(|update| update.id.as_str()).unwrap_or_default();
    format!("{}/{update}/{}", incident.id, incident.updated_at.as_millis())
}

fn said(id: String, subject: String, body: &Body<'_>) -> PublicNews {
    // Texts, times and numbers always serialise.
    PublicNews { id, subject, body: serde_json::to_string(body).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::status::samples::{at, board, resolved};

    #[test]
    fn what_changed_is_told_once_and_nothing_else() {
        let before = board();
        assert!(between(&before, &Board { made_at: at("2026-04-29T13:00:00Z"), ..board() }).is_empty());
        let mut after = board();
        after.components[0].state = ComponentState::Unknown;
        after.components[0].since = Some(at("2026-04-29T12:53:15Z"));
        after.incidents[0].updates[0].body = "Corrected.".to_owned();
        after.incidents.push(PublicIncident { id: "inc9".to_owned(), ..resolved() });
        let news = between(&before, &after);
        let subjects: Vec<&str> = news.iter().map(|news| news.subject.as_str()).collect();
        assert_eq!(subjects, ["component api", "incident inc0001", "incident inc9"]);
        let bodies: Vec<Value> = news.iter().map(|news| serde_json::from_str(&news.body).unwrap()).collect();
        let update = &bodies[0]["component_update"];
        assert_eq!(
            (update["old_status"].as_str(), update["new_status"].as_str()),
            (Some("partial_outage"), Some("degraded_performance"))
        );
        assert_eq!(
            (update["new_state"].as_str(), bodies[0]["component"]["id"].as_str()),
            (Some("unknown"), Some("api"))
        );
        assert_eq!(bodies[1]["incident"]["incident_updates"][0]["body"], "Corrected.");
        assert_eq!(bodies[2]["page"]["status_indicator"], "major");
        let ids: std::collections::BTreeSet<_> = news.iter().map(|news| news.id.clone()).collect();
        assert!(ids.len() == 3 && news.iter().all(|news| news.id.is_ascii() && !news.id.contains('.')), "{ids:?}");
    }

    #[test]
    fn a_state_that_comes_back_is_news_of_its_own() {
        let told = |before: &Board, after: &Board| between(before, after).remove(0).id;
        let is = |state, since: &str| {
            let mut board = board();
            (board.components[0].state, board.components[0].since) = (state, Some(at(since)));
            board
        };
        let well = is(ComponentState::Operational, "2026-04-29T10:00:00Z");
        let harm = is(ComponentState::PartialOutage, "2026-04-29T12:00:00Z");
        // A person says that all is well, and takes it back: harm is since the same moment as before.
        let said = is(ComponentState::Operational, "2026-04-29T12:30:00Z");
        let (first, again) = (told(&well, &harm), told(&said, &harm));
        assert_ne!(first, again, "a receiver that knows the id would take it for a repeat");
        assert_eq!(first, told(&well, &harm), "the same for a repeat");
    }
}
