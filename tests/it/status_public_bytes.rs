//! Scenarios from their events to every public byte: no name of the inside is in any of them, and what is published of an
//! incident is what the requests got, told once and in order.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use floodmark::alert::Rules;
use floodmark::config::{AutoPublish, ComponentConfig, FlowConfig, Span, StatusConfig, ThresholdConfig};
use floodmark::detect::Limits;
use floodmark::flow::StreamId;
use floodmark::model::{Dimension, Event, IncidentReport, Output, Timestamp};
use floodmark::pipeline::{Pipeline, Settings};
use floodmark::sim::ScenarioFile;
use floodmark::status::render::{self, public_files};
use floodmark::status::{Board, ComponentState, IncidentStatus, PublicIncident, StatusState};

use crate::support::outages::{NEAR_MS, WINDOW_MS, outages, windows};
use crate::support::public_names::InsideNames;

const MINUTE_MS: i64 = 60_000;
/// An outage lasts this long, and has so many requests.
const LASTING_MS: i64 = 15_000;
const REQUESTS_MIN: u64 = 20;
/// Outages with less between them are one incident, which is over when all has been well for so long.
const ONE_INCIDENT_MS: i64 = 600_000;

/// When something was so, and until when; none where it goes on to the end.
type Times = (Timestamp, Option<Timestamp>);

/// A scenario, what the public knows of its routes, and what is expected.
struct Case {
    scenario: &'static str,
    /// Only its beginning, where the whole takes long.
    minutes: Option<u64>,
    /// As a gateway logs it that knows neither attempts nor keys.
    is_unmarked: bool,
    /// So few requests that one that fails is more than the share from which on a component is degraded by default.
    is_thin: bool,
    /// Public names of groups of routes.
    components: &'static [(&'static str, &'static [&'static str])],
    /// Published incidents.
    incidents: usize,
    /// Internal incidents at least; without one nothing was there to be told by mistake.
    internal_min: usize,
    /// Names that are looked for, at least.
    names_min: usize,
}

impl Case {
    const fn of(scenario: &'static str, components: &'static [(&'static str, &'static [&'static str])]) -> Self {
        let (minutes, is_unmarked, is_thin) = (None, false, false);
        Self { scenario, minutes, is_unmarked, is_thin, components, incidents: 1, internal_min: 1, names_min: 50 }
    }

    fn events(&self) -> Vec<Event> {
        let mut scenario = ScenarioFile::load(self.scenario, None).unwrap();
        if let Some(minutes) = self.minutes {
            scenario.set_duration(Span::from_secs(minutes * 60));
        }
        let mut events: Vec<Event> = scenario.events(scenario.seed()).unwrap().collect();
        for event in events.iter_mut().filter(|_| self.is_unmarked) {
            if let Event::Request(request) = event {
                (request.attempt, request.request_key) = (None, None);
            }
        }
        events
    }

    /// The machine publishes whatever lasts.
    fn config(&self) -> StatusConfig {
        let whole = ComponentConfig::whole();
        let shares = |config: ThresholdConfig, failing: f64| {
            if self.is_thin { ThresholdConfig { failing, ..config } } else { config }
        };
        let component = |(number, (name, routes)): (usize, &(&str, &[&str]))| ComponentConfig {
            id: format!("part-{number}"),
            name: (*name).to_owned(),
            routes: routes.iter().map(|route| (*route).to_owned()).collect(),
            degraded: shares(whole.degraded, 0.25),
            partial: shares(whole.partial, 0.4),
            auto_publish: AutoPublish::DegradedPerformance,
            auto_publish_after: Span::from_secs(30),
            ..whole.clone()
        };
        StatusConfig {
            name: "Acme".to_owned(),
            url: "https://status.example.com".to_owned(),
            components: self.components.iter().enumerate().map(component).collect(),
            ..StatusConfig::default()
        }
    }
}

/// Every name of a customer, a client or the inside that the events hold.
fn add_names(names: &mut InsideNames, event: &Event) {
    let mut add = |name: Option<&str>| name.into_iter().for_each(|name| names.add(name));
    match event {
        Event::Request(request) => {
            add(Some(&request.subscription));
            add(Some(&request.route));
            let optional = [&request.client, &request.client_version, &request.service, &request.caller, &request.host];
            optional.into_iter().for_each(|name| add(name.as_deref()));
        }
        Event::Signal(signal) => add(Some(&signal.source)),
        Event::Change(change) => {
            add(Some(&change.service));
            [&change.version, &change.title].into_iter().for_each(|name| add(name.as_deref()));
        }
        Event::Query(query) => {
            add(Some(&query.node));
            let optional = [&query.query, &query.fingerprint, &query.user, &query.origin, &query.version];
            optional.into_iter().chain([&query.subscription]).for_each(|name| add(name.as_deref()));
        }
        Event::Watermark(_) => {}
    }
}

/// A scenario on its way to the public, as the service takes it.
struct Play {
    pipeline: Pipeline,
    state: StatusState,
    ended: Vec<IncidentReport>,
    now: Timestamp,
    looked_at: Timestamp,
    board: Board,
    names: InsideNames,
    internal: HashSet<String>,
    /// Bodies that were looked through.
    seen: HashSet<u64>,
    hasher: RandomState,
    /// Times of harm by component, as the public reads them: its beginning, and its end where it has one.
    harms: BTreeMap<String, Vec<Times>>,
    /// Changes between harm and no harm, and between degrees of it.
    changes: usize,
}

impl Play {
    fn new(case: &Case, events: &[Event]) -> Self {
        let config = case.config();
        let settings = Settings {
            flow: FlowConfig::default(),
            rules: Rules::shipped().unwrap(),
            limits: Limits::shipped().unwrap(),
        };
        let public = config.components.iter().map(|component| component.name.as_str()).chain([config.name.as_str()]);
        let mut names = InsideNames::but(public);
        events.iter().for_each(|event| add_names(&mut names, event));
        let (state, now) = (StatusState::new(&config, None), events[0].timestamp());
        Self {
            pipeline: Pipeline::new(&settings).with_components(&config),
            board: state.board(now),
            state,
            ended: Vec::new(),
            now,
            looked_at: now,
            names,
            internal: HashSet::new(),
            seen: HashSet::new(),
            hasher: RandomState::new(),
            harms: BTreeMap::new(),
            changes: 0,
        }
    }

    /// Hands on what detection has, as `app::detection` does.
    fn take(&mut self, outputs: &[Output]) {
        for output in outputs {
            if let Output::Incident(report) = output {
                self.ended.push(report.clone());
            }
        }
        let windows = self.pipeline.take_status_windows();
        if windows.is_empty() && self.ended.is_empty() {
            return;
        }
        let mut has_changed = false;
        for window in &windows {
            self.now = window.end.plus(FlowConfig::default().allowed_lateness.as_millis());
            has_changed |= self.state.apply(window, self.now);
        }
        let mut reports = std::mem::take(&mut self.ended);
        reports.extend(self.pipeline.open_incidents());
        for report in &reports {
            if self.internal.insert(report.incident.to_string()) {
                self.names.add(&report.incident);
            }
            let causes = report.causes.iter().flat_map(|cause| &cause.dimensions.0);
            causes.filter(|(dimension, _)| **dimension != Dimension::Route).for_each(|(_, name)| self.names.add(name));
            self.state.report(report);
        }
        has_changed |= self.state.tick(self.now);
        let is_open = self.board.incidents.iter().any(|incident| !incident.status.is_over());
        if has_changed || (is_open && self.now.since(self.looked_at) >= MINUTE_MS) {
            self.look();
        }
    }

    /// Everything that the public can get now.
    fn look(&mut self) {
        let board = self.state.board(self.now);
        for file in public_files(&board) {
            let body = String::from_utf8(file.body).unwrap();
            self.search(&file.path, &body);
            self.search("a path", &file.path);
        }
        for news in render::news(&self.board, &board) {
            self.search("news", &format!("{} {} {}", news.id, news.subject, news.body));
        }
        for (before, after) in self.board.components.iter().zip(&board.components) {
            if before.state == after.state {
                continue;
            }
            self.changes += 1;
            let harms = self.harms.entry(after.id.clone()).or_default();
            match (before.state.is_harm(), after.state.is_harm()) {
                (false, true) => harms.push((after.since.unwrap(), None)),
                (true, false) => harms.last_mut().unwrap().1 = Some(after.since.unwrap()),
                _ => {}
            }
        }
        (self.board, self.looked_at) = (board, self.now);
    }

    fn search(&mut self, place: &str, text: &str) {
        if self.seen.insert(self.hasher.hash_one(text)) {
            assert_eq!(self.names.found_in(text), None, "{place}");
        }
    }
}

/// Outages of some routes, of the events alone: start of the first window that fails, end of the last one. None where it
/// goes on to the end.
fn outages_of(events: &[Event], routes: &[&str]) -> Vec<Times> {
    let windows = windows(events, |request| routes.contains(&request.route.as_str()));
    let end = windows.keys().next_back().map_or(0, |window| (window + 1) * WINDOW_MS);
    let until = |until: Timestamp| (end - until.as_millis() >= NEAR_MS).then_some(until);
    let outages = outages(&windows, LASTING_MS, REQUESTS_MIN).into_iter();
    outages.map(|(from, to)| (from, until(to))).collect()
}

/// Outages of several components as incidents: those that are near are one.
fn joined(mut outages: Vec<Times>) -> Vec<Times> {
    outages.sort_unstable();
    let mut joined: Vec<Times> = Vec::new();
    for (from, until) in outages {
        match joined.last_mut() {
            Some(last) if last.1.is_none_or(|end| from.since(end) < ONE_INCIDENT_MS) => {
                last.1 = last.1.zip(until).map(|(one, other)| one.max(other));
            }
            _ => joined.push((from, until)),
        }
    }
    joined
}

fn are_near(told: Times, truth: Times) -> bool {
    let is_near = |one: Timestamp, other: Timestamp| one.since(other).abs() <= WINDOW_MS;
    let ends = match (told.1, truth.1) {
        (Some(one), Some(other)) => is_near(one, other),
        (one, other) => one == other,
    };
    is_near(told.0, truth.0) && ends
}

/// `1 hour 5 minutes`.
fn in_words(ms: i64) -> String {
    let minutes = (ms + MINUTE_MS / 2) / MINUTE_MS;
    let counted = |number: i64, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
    let parts = [(minutes / 60, "hour"), (minutes % 60, "minute")];
    let parts: Vec<String> = parts.into_iter().filter(|part| part.0 > 0).map(|(n, noun)| counted(n, noun)).collect();
    parts.join(" ")
}

/// It was told once and in order, and its duration is that of its times.
fn check_told(name: &str, incident: &PublicIncident) {
    let mut updates: Vec<_> = incident.updates.iter().collect();
    updates.reverse();
    let statuses: Vec<IncidentStatus> = updates.iter().map(|update| update.status).collect();
    assert_eq!(statuses[0], IncidentStatus::Investigating, "{name}");
    assert!(statuses.is_sorted(), "{name}: {statuses:?}");
    assert!(updates.is_sorted_by_key(|update| update.created_at), "{name}");
    let Some(resolved_at) = incident.resolved_at else {
        assert!(!incident.status.is_over() && !statuses.contains(&IncidentStatus::Resolved), "{name}: {statuses:?}");
        return;
    };
    assert_eq!(statuses[statuses.len() - 2..], [IncidentStatus::Monitoring, IncidentStatus::Resolved], "{name}");
    assert_eq!(statuses.iter().filter(|status| **status >= IncidentStatus::Monitoring).count(), 2, "{name}");
    let lasted = format!("It lasted {}, from ", in_words(resolved_at.since(incident.started_at)));
    let last = &updates[updates.len() - 1].body;
    assert!(last.contains(&lasted), "{name}: {lasted:?} in {last:?}");
}

/// Plays a scenario and holds what became public to its events.
fn check(case: &Case) {
    let (name, events) = (case.scenario, case.events());
    let mut play = Play::new(case, &events);
    for event in &events {
        let outputs = play.pipeline.apply(StreamId(0), event);
        play.take(&outputs);
    }
    let outputs = play.pipeline.finish();
    play.take(&outputs);
    play.look();
    // What was found nowhere would have been found.
    for inside in play.names.all() {
        assert!(play.names.found_in(&format!("{{\"a\":\"<b>{}</b>\"}}", inside.to_uppercase())).is_some(), "{inside}");
    }
    let (count, internal) = (play.names.count(), play.internal.len());
    eprintln!("{name}: {count} names in none of {} bodies, {internal} internal incidents", play.seen.len());
    assert!(count >= case.names_min && internal >= case.internal_min, "{name}: {count} names, {internal} incidents");

    let told: Vec<Times> = play.harms.values().flatten().copied().collect();
    let states = joined(told.clone());
    let truth = joined(case.components.iter().flat_map(|(_, routes)| outages_of(&events, routes)).collect());
    let mut incidents: Vec<&PublicIncident> = play.board.incidents.iter().collect();
    incidents.sort_by_key(|incident| incident.started_at);
    let counts = [incidents.len(), states.len(), truth.len()];
    assert_eq!(counts, [case.incidents; 3], "{name}: {incidents:#?} of {states:?}, in truth {truth:?}");
    for (incident, (state, truth)) in incidents.iter().zip(states.iter().zip(&truth)) {
        assert!(are_near(*state, *truth), "{name}: states {state:?}, in truth {truth:?}");
        let until_data = |until: &Timestamp| play.board.data_as_of.unwrap().since(*until);
        let expected = (state.0, state.1.filter(|until| until_data(until) >= ONE_INCIDENT_MS));
        let times = (incident.started_at, incident.resolved_at);
        assert!(are_near(times, expected), "{name}: {times:?}, of states {expected:?}");
        assert_eq!(incident.status.is_over(), expected.1.is_some(), "{name}");
        check_told(name, incident);
    }
    // Harm is told once an incident, and no change of it but through its degrees: nothing flaps.
    let most = play.harms.values().map(Vec::len).max().unwrap_or_default();
    assert!(most <= case.incidents, "{name}: {:?}", play.harms);
    let changes_max = case.components.len() + 4 * told.len();
    assert!(play.changes <= changes_max, "{name}: {} changes", play.changes);
    let has_requests = events.iter().any(|event| matches!(event, Event::Request(_)));
    let is_known = play.board.components.iter().any(|component| component.state != ComponentState::Unknown);
    assert_eq!(is_known, has_requests, "{name}");
}

const KAMELEO: &[(&str, &[&str])] = &[
    ("Fingerprints", &["SearchFingerprints"]),
    ("Profiles", &["CreateProfile", "GetProfile", "ListProfiles", "GetUserInfo"]),
    ("Browsers", &["StartProfile"]),
];

#[test]
fn a_retry_storm_is_told_without_a_name() {
    check(&Case { minutes: Some(135), ..Case::of("kameleo-retry-storm", KAMELEO) });
}

#[test]
fn a_retry_storm_without_attempts_is_told_without_a_name() {
    check(&Case { minutes: Some(135), is_unmarked: true, ..Case::of("kameleo-retry-storm", KAMELEO) });
    let routes: &[(&str, &[&str])] =
        &[("Fingerprints", &["FindFingerprints"]), ("Profiles", &["NewProfile", "ReadProfile"])];
    check(&Case::of("kameleo-unmarked-storm", routes));
}

#[test]
fn lost_caches_and_hungry_queries_are_told_without_a_name() {
    check(&Case::of("kameleoon-cache-loss", &[("Page tests", &["/experiments/active"]), ("Counting", &["/visit"])]));
    check(&Case::of("kameleoon-query-blowup", &[("Analyses", &["/reports/funnel"]), ("Settings", &["/settings"])]));
}

#[test]
fn an_empty_pool_is_told_without_a_name() {
    let routes: &[(&str, &[&str])] = &[("New sessions", &["/v1/sessions"]), ("Sessions", &["/v1/sessions/{id}"])];
    check(&Case::of("steel-pool-leak", routes));
}

#[test]
fn a_ceiling_is_told_and_slow_growth_and_slow_burn_are_nothing_to_tell() {
    check(&Case::of("rapidapi-network-ceiling", &[("Search", &["/search"]), ("Liveness", &["/ping"])]));
    let routes: &[(&str, &[&str])] = &[("Weather", &["/weather"]), ("Places", &["/geo"]), ("Currencies", &["/rates"])];
    let burn = Case {
        minutes: Some(6 * 1_440),
        is_thin: true,
        incidents: 0,
        internal_min: 0,
        ..Case::of("rapidapi-slow-burn", routes)
    };
    check(&burn);
    let growth = Case { incidents: 0, names_min: 3, ..Case::of("rapidapi-memory-growth", &[("Cache", &["/none"])]) };
    check(&growth);
}
