//! Boards as a page may have to show them.

use floodmark::model::Timestamp;
use floodmark::status::{
    Authority, Board, ComponentState, ComponentView, DAYS_SHOWN, DayView, Freshness, Impact, IncidentStatus,
    IncidentUpdate, LatencyPoint, Maintenance, PageInfo, PublicIncident,
};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 1_440 * MINUTE_MS;

/// Ninety days: nothing is known of the first ten, every `bad`-th of the rest has an outage.
fn days(now: Timestamp, bad: usize) -> Vec<DayView> {
    let day = |back: usize| {
        let date = now.plus(-(back as i64) * DAY_MS).to_string()[..10].to_owned();
        let elapsed_ms = if back == 0 { now.as_millis() % DAY_MS } else { DAY_MS };
        let unknown_ms = if back > 79 { elapsed_ms } else { 0 };
        let is_bad = unknown_ms == 0 && back > 0 && back.is_multiple_of(bad);
        let (major_ms, partial_ms) = match (is_bad, back % (2 * bad)) {
            (true, 0) => (37 * MINUTE_MS, 0),
            (true, _) => (0, 52 * MINUTE_MS),
            (false, _) => (0, 0),
        };
        let degraded_ms = if back == 23 { 90 * MINUTE_MS } else { 0 };
        let maintenance_ms = if back == 40 { 60 * MINUTE_MS } else { 0 };
        let known_ms = elapsed_ms - unknown_ms - major_ms - partial_ms - degraded_ms - maintenance_ms;
        DayView {
            date,
            elapsed_ms,
            operational_ms: known_ms,
            degraded_ms,
            partial_ms,
            major_ms,
            maintenance_ms,
            unknown_ms,
            requests: if unknown_ms > 0 { 0 } else { 1_204_311 },
            failures: if is_bad { 21_840 } else { 31 },
            slow: 0,
        }
    };
    (0..DAYS_SHOWN).rev().map(day).collect()
}

/// A day with a morning, an evening, and an hour of trouble at its end where there is any.
fn latency(now: Timestamp, is_slow: bool) -> Vec<LatencyPoint> {
    let point = |step: i64| {
        let wave = ((step as f64) / 288.0 * std::f64::consts::TAU).sin();
        let trouble = if is_slow && step > 276 { 620.0 } else { 0.0 };
        let p95_ms = 240.0 + 60.0 * wave + ((step * 37) % 23) as f64 + trouble;
        LatencyPoint {
            at: now.plus((step - 288) * 5 * MINUTE_MS),
            requests: 4_000,
            p50_ms: 82.0 + 14.0 * wave + trouble / 5.0,
            p95_ms,
        }
    };
    (0..288).filter(|step| !(120..128).contains(step)).map(point).collect()
}

/// One that is well.
pub fn component(now: Timestamp, id: &str, name: &str, group: Option<&str>) -> ComponentView {
    ComponentView {
        id: id.to_owned(),
        name: name.to_owned(),
        description: None,
        group: group.map(str::to_owned),
        state: ComponentState::Operational,
        since: Some(now.plus(-9 * DAY_MS)),
        authority: Authority::Measured,
        created_at: now.plus(-80 * DAY_MS),
        updated_at: now.plus(-9 * DAY_MS),
        objective: Some(0.999),
        days: days(now, 31),
        latency: latency(now, false),
    }
}

fn update(id: &str, status: IncidentStatus, body: &str, at: Timestamp) -> IncidentUpdate {
    let (id, body) = (id.to_owned(), body.to_owned());
    IncidentUpdate { id, status, body, created_at: at, updated_at: at, affected: Vec::new() }
}

fn past(now: Timestamp) -> PublicIncident {
    let (begin, end) = (now.plus(-31 * DAY_MS), now.plus(-31 * DAY_MS + 37 * MINUTE_MS));
    PublicIncident {
        id: "q4past".to_owned(),
        name: "API: most requests failed".to_owned(),
        status: IncidentStatus::Postmortem,
        impact: Impact::Critical,
        started_at: begin,
        created_at: begin.plus(2 * MINUTE_MS),
        updated_at: end.plus(DAY_MS),
        monitoring_at: Some(end),
        resolved_at: Some(end),
        components: vec!["api".to_owned()],
        updates: vec![
            update(
                "p3",
                IncidentStatus::Postmortem,
                "A release repeated failed requests at once.\n\nIt waits now.",
                end,
            ),
            update("p1", IncidentStatus::Investigating, "Most requests fail.", begin),
        ],
        machine_from: None,
    }
}

/// Everything is as it should be.
pub fn well(now: Timestamp) -> Board {
    let features = Some("Features");
    let mut profiles = component(now, "profiles", "Profiles", features);
    profiles.description = Some("Creating, starting and storing profiles".to_owned());
    Board {
        page: PageInfo {
            id: "acme".to_owned(),
            name: "Acme API".to_owned(),
            description: Some("Performance and uptime, as measured".to_owned()),
            url: "https://status.example.com".to_owned(),
            time_zone: "Europe/Vienna".to_owned(),
            is_replay: false,
        },
        made_at: now,
        updated_at: now.plus(-9 * DAY_MS),
        data_as_of: Some(now.plus(-5_000)),
        freshness: Freshness::Current,
        components: vec![component(now, "api", "API", None), profiles, component(now, "search", "Search", features)],
        incidents: vec![past(now)],
        maintenances: Vec::new(),
    }
}

/// An outage under way, work to come.
pub fn bad_day(now: Timestamp) -> Board {
    let mut board = well(now);
    let begin = now.plus(-53 * MINUTE_MS);
    let api = &mut board.components[0];
    (api.state, api.since, api.latency) = (ComponentState::PartialOutage, Some(begin), latency(now, true));
    if let Some(today) = api.days.last_mut() {
        (today.partial_ms, today.failures) = (today.elapsed_ms.min(53 * MINUTE_MS), 180_400);
    }
    board.components[2].state = ComponentState::DegradedPerformance;
    board.components[2].since = Some(begin.plus(4 * MINUTE_MS));
    let mut first = update("u1", IncidentStatus::Investigating, "About 37 % of requests fail.", begin.plus(MINUTE_MS));
    first.affected = vec![("api".to_owned(), ComponentState::Operational, ComponentState::PartialOutage)];
    let found = "One release of a client repeats failed requests without a pause; we are limiting it.\n\nSaved data is \
                 not affected.";
    board.incidents.insert(
        0,
        PublicIncident {
            id: "q4open".to_owned(),
            name: "API: many requests fail".to_owned(),
            status: IncidentStatus::Identified,
            impact: Impact::Major,
            started_at: begin,
            created_at: begin.plus(MINUTE_MS),
            updated_at: begin.plus(20 * MINUTE_MS),
            monitoring_at: None,
            resolved_at: None,
            components: vec!["api".to_owned(), "search".to_owned()],
            updates: vec![update("u2", IncidentStatus::Identified, found, begin.plus(20 * MINUTE_MS)), first],
            machine_from: Some(now.plus(10 * MINUTE_MS)),
        },
    );
    board.maintenances.push(work(now.plus(3 * DAY_MS)));
    board
}

/// An hour of announced work.
pub fn work(from: Timestamp) -> Maintenance {
    Maintenance {
        id: "q4work".to_owned(),
        name: "Larger database".to_owned(),
        body: "Requests may take a second longer.".to_owned(),
        from,
        until: from.plus(60 * MINUTE_MS),
        created_at: from.plus(-7 * DAY_MS),
        updated_at: from.plus(-7 * DAY_MS),
        is_cancelled: false,
        components: vec!["search".to_owned()],
    }
}

/// No data for a quarter of an hour.
pub fn unknown(now: Timestamp) -> Board {
    let mut board = well(now);
    let last = now.plus(-15 * MINUTE_MS);
    (board.data_as_of, board.freshness) = (Some(last), Freshness::Unknown);
    for component in &mut board.components {
        (component.state, component.since) = (ComponentState::Unknown, Some(last));
    }
    board
}

/// A person says how a component is.
pub fn overridden(now: Timestamp) -> Board {
    let mut board = well(now);
    board.components[1].state = ComponentState::DegradedPerformance;
    let note = Some("Starting a profile takes up to ten seconds.".to_owned());
    board.components[1].authority = Authority::Person { until: now.plus(90 * MINUTE_MS), note };
    board
}

/// Announced work is under way, some is over.
pub fn maintenance(now: Timestamp) -> Board {
    let mut board = well(now);
    board.components[2].state = ComponentState::UnderMaintenance;
    board.components[2].authority = Authority::Maintenance;
    let done = Maintenance { id: "q4done".to_owned(), ..work(now.plus(-2 * DAY_MS)) };
    board.maintenances = vec![done, work(now.plus(-10 * MINUTE_MS))];
    board
}

/// Ten components, a bad day every week.
pub fn ten(now: Timestamp) -> Board {
    let one = |number: usize| {
        let group = ["Compute", "Storage"].get(number / 4).copied();
        let mut one = component(now, &format!("part-{number}"), &format!("Part {number}"), group);
        one.days = days(now, 7);
        one
    };
    Board { components: (0..10).map(one).collect(), ..bad_day(now) }
}

/// Words that would be markup if anybody forgot to escape them.
pub fn hostile(now: Timestamp) -> Board {
    const HOSTILE: &str = "</title><script>window.taken = 1</script><img src=x onerror='window.taken = 2'>\"&";
    let hostile = || HOSTILE.to_owned();
    let mut board = bad_day(now);
    (board.page.name, board.page.description) = (hostile(), Some(hostile()));
    for component in &mut board.components {
        (component.name, component.description) = (hostile(), Some(hostile()));
        component.authority = Authority::Person { until: now.plus(DAY_MS), note: Some(hostile()) };
    }
    for incident in &mut board.incidents {
        incident.name = hostile();
        for update in &mut incident.updates {
            update.body = hostile();
        }
    }
    for work in &mut board.maintenances {
        (work.name, work.body) = (hostile(), hostile());
    }
    board
}
