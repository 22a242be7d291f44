use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::status::samples::{at, board, component, incident};
use crate::status::{ComponentState, IncidentStatus};

/// What the endpoints answer.
fn answers(board: &Board) -> BTreeMap<String, Value> {
    files(board).into_iter().map(|file| (file.path, serde_json::from_slice(&file.body).unwrap())).collect()
}

fn answer(board: &Board, name: &str) -> Value {
    answers(board).remove(&format!("api/v2/{name}.json")).unwrap()
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|thing| thing["id"].as_str().unwrap()).collect()
}

#[test]
fn an_ordinary_bad_day() {
    insta::assert_json_snapshot!(answer(&board(), "summary"));
}

#[test]
fn every_endpoint_has_its_lists_and_no_other() {
    let lists = |name: &str| {
        let answer = answer(&board(), name);
        let mut keys: Vec<String> = answer.as_object().unwrap().keys().cloned().collect();
        keys.retain(|key| key != "page");
        keys
    };
    assert_eq!(lists("summary"), ["components", "incidents", "scheduled_maintenances", "status"]);
    assert_eq!(lists("status"), ["status"]);
    assert_eq!(lists("components"), ["components"]);
    assert_eq!(lists("incidents"), ["incidents"]);
    assert_eq!(lists("incidents/unresolved"), ["incidents"]);
    for name in ["scheduled-maintenances", "scheduled-maintenances/upcoming", "scheduled-maintenances/active"] {
        assert_eq!(lists(name), ["scheduled_maintenances"]);
    }
}

#[test]
fn groups_are_components_with_the_identities_of_those_in_them() {
    let components = answer(&board(), "components")["components"].clone();
    let group = components[1]["id"].as_str().unwrap();
    assert_eq!(ids(&components), ["api", group, "search", "profiles"]);
    assert_eq!((&components[1]["group"], &components[1]["components"]), (&json!(true), &json!(["search", "profiles"])));
    assert_eq!(
        (group.len(), &components[2]["group_id"], &components[0]["group_id"]),
        (12, &json!(group), &Value::Null)
    );
    let positions: Vec<&Value> = components.as_array().unwrap().iter().map(|one| &one["position"]).collect();
    assert_eq!(positions, [1, 2, 1, 2]);

    let mut apart = board();
    apart.components.swap(0, 1);
    apart.components[2].state = ComponentState::MajorOutage;
    let components = answer(&apart, "components")["components"].clone();
    assert_eq!(ids(&components), [group, "search", "profiles", "api"], "a group stands together");
    assert_eq!(components[0]["status"], "major_outage", "and is as its worst member is");
}

#[test]
fn what_is_unknown_is_not_operational_anywhere() {
    let mut board = board();
    board.incidents[0].updates[0].affected =
        vec![("api".to_owned(), ComponentState::Operational, ComponentState::Unknown)];
    board.freshness = Freshness::Unknown;
    board.components.iter_mut().for_each(|component| component.state = ComponentState::Unknown);
    let summary = answer(&board, "summary");
    for component in summary["components"].as_array().unwrap() {
        let told = (&component["status"], &component["state"], &component["data_as_of"]);
        assert_eq!(told, (&json!("degraded_performance"), &json!("unknown"), &json!("2026-04-29T12:53:15.000Z")));
    }
    assert_eq!(summary["page"]["freshness"], "unknown");
    assert_eq!(summary["incidents"][0]["components"][0]["status"], "degraded_performance");
    let affected = &summary["incidents"][0]["incident_updates"][0]["affected_components"][0];
    assert_eq!((&affected["new_status"], &affected["new_state"]), (&json!("degraded_performance"), &json!("unknown")));
    board.incidents.clear();
    let status = answer(&board, "status")["status"].clone();
    let told = "Status unknown: no data since 2026-04-29T12:53:15.000Z";
    assert_eq!(status, json!({"indicator": "minor", "description": told}));
}

#[test]
fn nothing_known_is_lists_without_anything() {
    let mut board = board();
    (board.components, board.incidents, board.maintenances) = (Vec::new(), Vec::new(), Vec::new());
    (board.data_as_of, board.freshness) = (None, Freshness::Unknown);
    let summary = answer(&board, "summary");
    for list in ["components", "incidents", "scheduled_maintenances"] {
        assert_eq!(summary[list], json!([]));
    }
    assert_eq!(summary["page"]["data_as_of"], Value::Null);
    assert_eq!(summary["status"]["description"], "Status unknown: no data yet");
}

#[test]
fn of_many_incidents_the_newest_fifty_are_told_and_their_updates_newest_first() {
    let mut board = board();
    board.incidents = (0..500)
        .map(|number| {
            let mut incident = incident();
            incident.id = format!("inc{number:04}");
            incident.created_at = at("2026-01-01T00:00:00Z").plus(number * 3_600_000);
            incident.updates.reverse();
            if number % 2 == 0 {
                incident.status = IncidentStatus::Postmortem;
            }
            incident
        })
        .collect();
    let all = answer(&board, "incidents")["incidents"].clone();
    assert_eq!((ids(&all).len(), ids(&all)[0], ids(&all)[49]), (50, "inc0499", "inc0450"));
    assert_eq!(ids(&all[0]["incident_updates"]), ["upd0002", "upd0001"]);
    let open = answer(&board, "incidents/unresolved")["incidents"].clone();
    assert_eq!((ids(&open).len(), ids(&open)[1]), (50, "inc0497"));
    assert_eq!(answer(&board, "summary")["incidents"], open);
}

#[test]
fn work_is_scheduled_then_in_progress_then_completed() {
    let mut board = board();
    let lists = |board: &Board| {
        let names = ["scheduled-maintenances/upcoming", "scheduled-maintenances/active", "scheduled-maintenances"];
        let count = |name| answer(board, name)["scheduled_maintenances"].as_array().unwrap().len();
        (names.map(count), answer(board, "scheduled-maintenances")["scheduled_maintenances"][0].clone())
    };
    let (counts, work) = lists(&board);
    assert_eq!((counts, &work["status"], &work["impact"]), ([1, 0, 1], &json!("scheduled"), &json!("maintenance")));
    board.made_at = at("2026-05-02T02:00:00Z");
    let (counts, work) = lists(&board);
    assert_eq!((counts, &work["status"], &work["resolved_at"]), ([0, 1, 1], &json!("in_progress"), &Value::Null));
    assert_eq!(ids(&work["incident_updates"]), ["mnt0001p", "mnt0001s"]);
    board.made_at = at("2026-05-02T03:00:00Z");
    let (counts, work) = lists(&board);
    let end = json!("2026-05-02T03:00:00.000Z");
    assert_eq!((counts, &work["status"], &work["resolved_at"]), ([0, 0, 1], &json!("completed"), &end));
    assert_eq!(answer(&board, "summary")["scheduled_maintenances"], json!([]));
}

#[test]
fn components_that_are_gone_are_not_named() {
    let mut board = board();
    board.components = vec![component("other", "Other")];
    let incident = answer(&board, "summary")["incidents"][0].clone();
    assert_eq!(incident["components"], json!([]));
    assert_eq!(incident["incident_updates"][1]["affected_components"], json!([]));
}
