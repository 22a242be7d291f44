//! Boards for the tests of what is made of them.

use super::{
    Authority, Board, ComponentState, ComponentView, DAYS_SHOWN, DayView, Freshness, Impact, IncidentStatus,
    IncidentUpdate, LatencyPoint, Maintenance, PageInfo, PublicIncident,
};
use crate::model::Timestamp;

/// A moment of the samples.
pub fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn days() -> Vec<DayView> {
    let first = jiff::civil::date(2026, 1, 30);
    let day = |i: usize| {
        let date = first.checked_add(jiff::Span::new().days(i64::try_from(i).unwrap())).unwrap();
        let major_ms = if i == 60 { 37 * 60_000 } else { 0 };
        let unknown_ms = if i < 10 { 86_400_000 } else { 0 };
        let elapsed_ms = if i + 1 == DAYS_SHOWN { 50_000_000 } else { 86_400_000 };
        DayView {
            date: date.to_string(),
            elapsed_ms,
            operational_ms: elapsed_ms - major_ms - unknown_ms,
            major_ms,
            unknown_ms,
            requests: if unknown_ms > 0 { 0 } else { 1_000_000 },
            failures: if major_ms > 0 { 12_345 } else { 17 },
            ..DayView::default()
        }
    };
    (0..DAYS_SHOWN).map(day).collect()
}

/// A component that is well.
pub fn component(id: &str, name: &str) -> ComponentView {
    let start = at("2026-04-28T13:00:00Z");
    let point = |i: u32| LatencyPoint {
        at: start.plus(i64::from(i) * 300_000),
        requests: 3_000,
        p50_ms: 80.0 + f64::from(i % 7),
        p95_ms: 210.0 + f64::from(i % 13) * 4.0,
    };
    ComponentView {
        id: id.to_owned(),
        name: name.to_owned(),
        description: Some(format!("What {name} does")),
        group: None,
        state: ComponentState::Operational,
        since: Some(at("2026-04-01T00:00:00Z")),
        authority: Authority::Measured,
        created_at: at("2026-02-09T00:00:00Z"),
        updated_at: at("2026-04-01T00:00:00Z"),
        objective: Some(0.999),
        days: days(),
        latency: (0..288).map(point).collect(),
    }
}

fn update(id: &str, status: IncidentStatus, body: &str, at: Timestamp) -> IncidentUpdate {
    IncidentUpdate {
        id: id.to_owned(),
        status,
        body: body.to_owned(),
        created_at: at,
        updated_at: at,
        affected: Vec::new(),
    }
}

/// An incident that was published, updated and is open.
pub fn incident() -> PublicIncident {
    let (first, second) = (at("2026-04-29T12:01:00Z"), at("2026-04-29T12:20:00Z"));
    let mut begin = update("upd0001", IncidentStatus::Investigating, "About 37 % of requests fail.", first);
    begin.affected = vec![("api".to_owned(), ComponentState::Operational, ComponentState::PartialOutage)];
    PublicIncident {
        id: "inc0001".to_owned(),
        name: "API: many requests fail".to_owned(),
        status: IncidentStatus::Identified,
        impact: Impact::Major,
        started_at: at("2026-04-29T12:00:05Z"),
        created_at: first,
        updated_at: second,
        monitoring_at: None,
        resolved_at: None,
        components: vec!["api".to_owned()],
        updates: vec![
            update("upd0002", IncidentStatus::Identified, "We know why.\n\nRequests < 1 MB & plain ones work.", second),
            begin,
        ],
        machine_from: Some(at("2026-04-29T12:50:00Z")),
    }
}

/// One that is over.
pub fn resolved() -> PublicIncident {
    let (begin, end) = (at("2026-03-31T08:00:00Z"), at("2026-03-31T08:37:00Z"));
    PublicIncident {
        id: "inc0000".to_owned(),
        name: "API: most requests fail".to_owned(),
        status: IncidentStatus::Resolved,
        impact: Impact::Critical,
        started_at: begin,
        created_at: begin.plus(60_000),
        updated_at: end.plus(180_000),
        monitoring_at: Some(end),
        resolved_at: Some(end),
        components: vec!["api".to_owned()],
        updates: vec![
            update("upd0000b", IncidentStatus::Resolved, "It lasted 37 minutes.", end.plus(180_000)),
            update("upd0000a", IncidentStatus::Investigating, "Most requests fail.", begin.plus(60_000)),
        ],
        machine_from: None,
    }
}

/// Three components, two incidents, work to come: an ordinary bad day.
pub fn board() -> Board {
    let mut api = component("api", "API");
    api.state = ComponentState::PartialOutage;
    api.since = Some(at("2026-04-29T12:00:05Z"));
    let mut search = component("search", "Search & fingerprints");
    search.group = Some("Features".to_owned());
    let mut profiles = component("profiles", "Profiles");
    profiles.group = Some("Features".to_owned());
    Board {
        page: PageInfo {
            id: "acme0status0".to_owned(),
            name: "Acme <API>".to_owned(),
            description: Some("Performance and uptime of the Acme API".to_owned()),
            url: "https://status.example.com".to_owned(),
            time_zone: "Europe/Vienna".to_owned(),
            is_replay: false,
        },
        made_at: at("2026-04-29T12:53:20Z"),
        updated_at: at("2026-04-29T12:20:00Z"),
        data_as_of: Some(at("2026-04-29T12:53:15Z")),
        freshness: Freshness::Current,
        components: vec![api, search, profiles],
        incidents: vec![incident(), resolved()],
        maintenances: vec![Maintenance {
            id: "mnt0001".to_owned(),
            name: "Larger database".to_owned(),
            body: "Requests may take a second longer.".to_owned(),
            from: at("2026-05-02T02:00:00Z"),
            until: at("2026-05-02T03:00:00Z"),
            created_at: at("2026-04-25T09:00:00Z"),
            updated_at: at("2026-04-25T09:00:00Z"),
            is_cancelled: false,
            components: vec!["search".to_owned()],
        }],
    }
}
