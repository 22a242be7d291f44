//! A public incident from its first draft to its end.

use super::*;
use crate::config::StatusConfig;
use crate::model::{Cause, Confidence, Customer, Dimension, Dimensions, RuledOut, Severity};
use crate::status::samples::at;
use crate::status::{ComponentState, Figures, Impact, Statements};

pub(in crate::status) fn settings(of_api: &str) -> Settings {
    let text = format!(
        "name = 'Acme API'\ntime_zone = 'Europe/Vienna'\nforbidden_words = ['zeus']\n\
         [[components]]\nid = 'api'\nname = 'API'\n{of_api}\n\
         [[components]]\nid = 'search'\nname = 'Search & fingerprints'\n"
    );
    Settings::new(&toml::from_str::<StatusConfig>(&text).unwrap())
}

/// Ten o'clock in Vienna, and so many seconds.
pub(in crate::status) fn s(seconds: i64) -> Timestamp {
    at("2026-03-01T09:00:00Z").plus(seconds * 1_000)
}

pub(in crate::status) fn change(
    component: &str,
    before: ComponentState,
    after: ComponentState,
    since: i64,
    figures: (u64, u64, u64),
) -> ComponentChange {
    let (requests, failures, slow) = figures;
    let figures = Figures { requests, failures, slow };
    ComponentChange { component: component.to_owned(), before, after, since: s(since), at: s(since + 30), figures }
}

pub(in crate::status) fn request(command: &str, at: Timestamp) -> Request {
    let command = serde_json::from_str(command).unwrap();
    Request { command, who: "ann".to_owned(), at, key: None }
}

pub(in crate::status) fn report(id: &str, subscription: &str, started_at: Timestamp) -> IncidentReport {
    let dimensions = Dimensions::new([
        (Dimension::Subscription, subscription.into()),
        (Dimension::Service, "checkout-v2".into()),
        (Dimension::Route, "POST /v1/profiles".into()),
    ]);
    let cause = Cause { dimensions, share: 0.9, confidence: Confidence::High, evidence: String::new() };
    IncidentReport {
        event: "incident",
        incident: id.into(),
        started_at,
        ended_at: None,
        severity: Severity::Critical,
        alerts: Vec::new(),
        causes: vec![cause],
        ruled_out: vec![RuledOut { candidate: "memory growth of container/api-1".to_owned(), why: String::new() }],
        affected: crate::model::Affected::default(),
        customers: vec![Customer { subscription: "globex".into(), share: 0.5 }],
        sample_requests: Vec::new(),
        sample_queries: Vec::new(),
        actions: vec!["Put a retry budget on CacheWarmer or roll it back.".to_owned()],
        timeline: Vec::new(),
        summary: String::new(),
    }
}

const OK: ComponentState = ComponentState::Operational;
const DEGRADED: ComponentState = ComponentState::DegradedPerformance;
const PARTIAL: ComponentState = ComponentState::PartialOutage;
const MAJOR: ComponentState = ComponentState::MajorOutage;

/// A statements' life, with its settings.
struct Life {
    settings: Settings,
    all: Statements,
}

impl Life {
    fn new(of_api: &str) -> Self {
        Self { settings: settings(of_api), all: Statements::default() }
    }

    fn change(&mut self, change: &ComponentChange) {
        self.all.incidents.count(&change.component, &change.figures);
        self.all.component_changed(change, &self.settings, change.at);
    }

    fn tick(&mut self, second: i64) {
        self.all.tick(&self.settings, s(second), Some(s(second)));
    }

    fn say(&mut self, second: i64, command: &str) -> Result<Done, CommandError> {
        self.all.command(&request(command, s(second)), &self.settings)
    }

    fn refused(&mut self, second: i64, command: &str) -> String {
        let before = self.all.clone();
        let error = self.say(second, command).expect_err(command);
        assert_eq!(self.all, before, "{command}");
        error.to_string()
    }

    fn draft(&self, second: i64) -> DraftView {
        let drafts = self.all.incidents.drafts(&self.settings, s(second));
        let [draft] = drafts.as_slice() else { panic!("{drafts:?}") };
        draft.clone()
    }

    fn incident(&self, second: i64) -> IncidentView {
        let incidents = self.all.incidents.incidents(&self.settings, s(second));
        let [incident] = incidents.as_slice() else { panic!("{incidents:?}") };
        incident.clone()
    }
}

#[test]
fn a_draft_says_what_users_feel_in_words_of_templates() {
    let mut life = Life::new("slow_from = '1s'");
    life.change(&change("api", OK, DEGRADED, 245, (1_000, 37, 10)));
    let draft = life.draft(300);
    assert_eq!(draft.proposal.name.as_str(), "API: some requests fail");
    assert_eq!(
        draft.proposal.body.as_str(),
        "API: about 4 % of requests fail since 10:04 CET.\nWe are looking into it."
    );
    life.change(&change("api", DEGRADED, PARTIAL, 400, (1_000, 372, 10)));
    life.change(&change("search", OK, DEGRADED, 500, (1_000, 3, 400)));
    let draft = life.draft(600);
    assert_eq!((draft.impact, draft.started_at), (Impact::Major, s(245)));
    assert_eq!(draft.proposal.name.as_str(), "API, Search & fingerprints: many requests fail");
    assert_eq!(
        draft.proposal.body.as_str(),
        "API: about 20 % of requests fail since 10:04 CET.\n\
         Search & fingerprints: about 40 % of requests are slow since 10:08 CET.\nWe are looking into it."
    );
    life.change(&change("api", PARTIAL, OK, 2_460, (0, 0, 0)));
    assert_eq!(life.draft(2_490).proposal.status, IncidentStatus::Investigating, "search is not well");
    life.change(&change("search", DEGRADED, OK, 1_000, (0, 0, 0)));
    assert_eq!(life.draft(2_500).proposal.status, IncidentStatus::Monitoring);
    life.tick(2_460 + 599);
    assert_eq!(life.draft(3_100).proposal.status, IncidentStatus::Monitoring);
    life.tick(2_460 + 600);
    let over = life.draft(3_100).proposal;
    assert_eq!(over.status, IncidentStatus::Resolved);
    assert_eq!(
        over.body.as_str(),
        "API: about 20 % of requests failed from 10:04 to 10:41 CET.\n\
         Search & fingerprints: about 40 % of requests were slow from 10:08 to 10:16 CET.\n\
         It lasted 37 minutes, from 10:04 to 10:41 CET."
    );
    assert!(life.all.incidents.published().is_empty(), "only people publish");
    life.change(&change("api", OK, MAJOR, 4_000, (100, 100, 0)));
    assert_eq!(life.all.incidents.drafts(&life.settings, s(4_100)).len(), 2, "another time, another draft");
}

#[test]
fn figures_are_told_honestly() {
    for (figures, words) in [
        ((1_000, 1_000, 0), "all requests fail"),
        ((1_000, 999, 0), "about 99 % of requests fail"),
        ((1_000, 6, 0), "less than 1 % of requests fail"),
        ((1_000, 20, 900), "about 2 % of requests fail"),
        ((1_000, 19, 900), "about 90 % of requests are slow"),
        ((1_000, 0, 1_000), "all requests are slow"),
        ((0, 0, 0), "it does not work"),
    ] {
        let mut life = Life::new("");
        let state = if figures.1 * 2 >= figures.0 { MAJOR } else { DEGRADED };
        life.change(&change("api", OK, state, 0, figures));
        let body = life.draft(30).proposal.body.into_string();
        assert!(body.starts_with(&format!("API: {words} since 10:00 CET.")), "{figures:?}: {body}");
    }
}

#[test]
fn people_publish_correct_update_and_resolve_and_history_stays() {
    let mut life = Life::new("");
    life.change(&change("api", OK, PARTIAL, 0, (1_000, 372, 0)));
    let id = life.draft(60).id;
    let body = r#""body": "Some requests fail.\r\nWe look.""#;
    let done =
        life.say(60, &format!(r#"{{"do": "publish", "draft": "{id}", {body}, "status": "identified"}}"#)).unwrap();
    let public = life.incident(60).public;
    assert_eq!((public.id.as_str(), public.name.as_str()), (id.as_str(), "API: many requests fail"));
    assert_eq!((public.status, public.impact), (IncidentStatus::Identified, Impact::Major));
    assert_eq!((public.started_at, public.created_at, public.machine_from), (s(0), s(60), None));
    assert_eq!(public.updates[0].body, "Some requests fail.\nWe look.");
    assert_eq!(public.updates[0].affected, [("api".to_owned(), OK, PARTIAL)]);
    assert_eq!(life.incident(60).proposal, None, "nothing is new");

    life.change(&change("api", PARTIAL, MAJOR, 90, (1_000, 700, 0)));
    let proposal = life.incident(130).proposal.unwrap();
    assert_eq!((proposal.status, proposal.name.as_str()), (IncidentStatus::Identified, "API: most requests fail"));
    let update = done.update.unwrap();
    let edit = format!(r#"{{"do": "edit_update", "incident": "{id}", "update": "{update}", "body": "Many fail."}}"#);
    life.say(140, &edit).unwrap();
    let view = life.incident(140);
    assert_eq!((view.public.updates[0].body.as_str(), view.public.updates[0].updated_at), ("Many fail.", s(140)));
    assert_eq!((view.former[0].body.as_str(), view.former[0].by.as_str()), ("Some requests fail.\nWe look.", "ann"));
    life.say(150, &format!(r#"{{"do": "update", "incident": "{id}", "body": "Worse."}}"#)).unwrap();
    assert_eq!((life.incident(150).public.impact, life.incident(150).proposal), (Impact::Critical, None));

    life.change(&change("api", MAJOR, OK, 2_220, (0, 0, 0)));
    life.tick(2_900);
    assert_eq!(life.incident(2_900).proposal.unwrap().status, IncidentStatus::Resolved);
    assert_eq!(life.incident(2_900).public.status, IncidentStatus::Identified, "people publish");
    life.say(3_000, &format!(r#"{{"do": "resolve", "incident": "{id}"}}"#)).unwrap();
    let public = life.incident(3_000).public;
    assert_eq!((public.resolved_at, public.updates[0].created_at), (Some(s(2_220)), s(3_000)));
    assert_eq!(public.updates[0].body, "It lasted 37 minutes, from 10:00 to 10:37 CET.");
    assert_eq!(public.updates[0].affected, [("api".to_owned(), MAJOR, OK)]);
    let say = |status: &str, more: &str| {
        format!(r#"{{"do": "update", "incident": "{id}", "body": "x", "status": "{status}"{more}}}"#)
    };
    let refused = life.refused(3_010, &say("identified", ""));
    assert_eq!(refused, "status: resolved to identified: it is over: `reopen` it first");
    life.say(3_020, &say("monitoring", r#", "reopen": true"#)).unwrap();
    assert_eq!(life.incident(3_020).public.resolved_at, None);
    life.say(3_030, &say("resolved", "")).unwrap();
    assert_eq!(life.incident(3_030).public.resolved_at, Some(s(3_030)));
    life.say(3_040, &format!(r#"{{"do": "postmortem", "incident": "{id}", "body": "We learnt."}}"#)).unwrap();
    let public = life.incident(3_050).public;
    assert_eq!((public.status, public.resolved_at), (IncidentStatus::Postmortem, Some(s(3_030))));
    assert_eq!(public.updates.len(), 6);
    let who: Vec<_> = life.all.acts().map(|act| act.what.as_str()).collect();
    assert_eq!(who, ["postmortem", "update", "update", "resolve", "update", "edit_update", "publish"]);
}

#[test]
fn by_policy_the_machine_publishes_updates_and_resolves_by_itself() {
    let mut life = Life::new("auto_publish = 'partial_outage'\nauto_publish_after = '2m'");
    life.change(&change("api", OK, DEGRADED, 0, (1_000, 50, 0)));
    life.tick(500);
    assert!(life.all.incidents.published().is_empty(), "not bad enough");
    life.change(&change("api", DEGRADED, PARTIAL, 600, (1_000, 372, 0)));
    life.tick(719);
    assert!(life.all.incidents.published().is_empty(), "not for long enough");
    life.all.tick(&life.settings, s(9_000), Some(s(719)));
    assert!(life.all.incidents.published().is_empty(), "old data proves nothing");
    life.tick(720);
    let public = life.incident(720).public;
    assert_eq!((public.status, public.started_at), (IncidentStatus::Investigating, s(0)));
    assert_eq!(public.updates[0].body, "API: about 21 % of requests fail since 10:00 CET.\nWe are looking into it.");
    life.change(&change("api", PARTIAL, MAJOR, 800, (1_000, 900, 0)));
    assert_eq!(life.incident(830).public.updates.len(), 2, "what gets worse is told");
    life.tick(835);
    assert_eq!(life.incident(835).public.updates.len(), 2, "once");
    life.change(&change("api", MAJOR, OK, 1_000, (0, 0, 0)));
    assert_eq!(life.incident(1_030).public.status, IncidentStatus::Monitoring);
    assert_eq!(life.incident(1_030).public.monitoring_at, Some(s(1_000)));
    life.change(&change("api", OK, DEGRADED, 1_100, (1_000, 60, 0)));
    let back = life.incident(1_130).public;
    assert_eq!((back.status, back.monitoring_at), (IncidentStatus::Investigating, None));
    life.change(&change("api", DEGRADED, OK, 1_200, (0, 0, 0)));
    life.tick(1_799);
    assert_eq!(life.incident(1_799).public.status, IncidentStatus::Monitoring);
    life.tick(1_800);
    let public = life.incident(1_800).public;
    assert_eq!(
        (public.status, public.resolved_at, public.impact),
        (IncidentStatus::Resolved, Some(s(1_200)), Impact::Critical)
    );
    assert!(public.updates[0].body.ends_with("It lasted 20 minutes, from 10:00 to 10:20 CET."), "{public:?}");
    let acts: Vec<_> = life.all.acts().map(|act| (act.who.as_str(), act.what.as_str())).collect();
    assert_eq!(acts.last(), Some(&("the machine", "publish investigating")));
    assert_eq!(acts.first(), Some(&("the machine", "update resolved")));
}

#[test]
fn a_persons_word_holds_the_machine_off_visibly_and_then_it_goes_on() {
    let mut life = Life::new("auto_publish = 'partial_outage'\nauto_publish_after = '0s'");
    life.change(&change("api", OK, PARTIAL, 0, (1_000, 372, 0)));
    let id = life.incident(30).public.id;
    life.say(60, &format!(r#"{{"do": "update", "incident": "{id}", "status": "identified", "body": "We know."}}"#))
        .unwrap();
    assert_eq!(life.incident(60).public.machine_from, Some(s(60 + 1_800)));
    life.change(&change("api", PARTIAL, OK, 900, (0, 0, 0)));
    life.tick(1_700);
    let view = life.incident(1_700);
    assert_eq!((view.public.status, view.public.updates.len()), (IncidentStatus::Identified, 2));
    assert_eq!(view.proposal.unwrap().status, IncidentStatus::Resolved, "people may be quicker");
    life.tick(1_860);
    let public = life.incident(1_860).public;
    assert_eq!((public.status, public.machine_from), (IncidentStatus::Resolved, None));
    assert_eq!((public.resolved_at, public.name.as_str()), (Some(s(900)), "API: many requests fail"));
}

#[test]
fn what_a_person_ended_stays_ended_while_it_is_still_measured() {
    let mut life = Life::new("auto_publish = 'partial_outage'\nauto_publish_after = '0s'\n");
    life.change(&change("api", OK, PARTIAL, 0, (1_000, 372, 0)));
    let id = life.incident(30).public.id;
    life.say(60, &format!(r#"{{"do": "resolve", "incident": "{id}", "body": "It was a test."}}"#)).unwrap();
    life.tick(9_000);
    life.change(&change("api", PARTIAL, DEGRADED, 9_100, (1_000, 30, 0)));
    assert_eq!(life.incident(9_200).public.status, IncidentStatus::Resolved, "better is no news");
    life.change(&change("api", DEGRADED, MAJOR, 9_300, (1_000, 900, 0)));
    assert_eq!(life.all.incidents.published().len(), 2, "worse is another incident");
}

#[test]
fn what_a_person_was_quicker_to_tell_is_measured_from_then_on() {
    let mut life = Life::new("");
    let open = r#"{"do": "open", "name": "Trouble", "body": "We see errors.", "components": ["api"]}"#;
    let id = life.say(100, open).unwrap().id;
    life.change(&change("api", OK, MAJOR, 40, (1_000, 900, 0)));
    let view = life.incident(130);
    assert_eq!((view.public.id.as_str(), view.proposal.unwrap().status), (id.as_str(), IncidentStatus::Investigating));
    assert!(life.all.incidents.drafts(&life.settings, s(130)).is_empty());
    life.say(140, &format!(r#"{{"do": "update", "incident": "{id}", "body": "More."}}"#)).unwrap();
    let public = life.incident(140).public;
    assert_eq!((public.impact, public.started_at, public.name.as_str()), (Impact::Critical, s(40), "Trouble"));
}

#[test]
fn components_that_a_person_left_out_stay_out_and_those_that_join_come_in() {
    let mut life = Life::new("");
    life.change(&change("api", OK, PARTIAL, 0, (1_000, 372, 0)));
    let id = life.draft(30).id;
    life.say(60, &format!(r#"{{"do": "publish", "draft": "{id}", "components": []}}"#)).unwrap();
    assert!(life.incident(60).public.components.is_empty());
    life.change(&change("search", OK, PARTIAL, 100, (1_000, 372, 0)));
    life.say(140, &format!(r#"{{"do": "update", "incident": "{id}", "body": "More."}}"#)).unwrap();
    assert_eq!(life.incident(140).public.components, ["search"]);
}

#[test]
fn internal_incidents_are_linked_inside_and_their_names_are_refused() {
    let mut life = Life::new("");
    life.all.report(&report("20260301T085900Z-retry-amplification-3f9c", "initech", s(-60)), &life.settings);
    assert!(life.all.incidents.drafts(&life.settings, s(0)).is_empty(), "harm alone makes a draft");
    life.change(&change("api", OK, PARTIAL, 0, (1_000, 372, 0)));
    life.all.report(&report("20260301T085900Z-retry-amplification-3f9c", "initech", s(-60)), &life.settings);
    let draft = life.draft(30);
    assert_eq!(draft.linked.len(), 1);
    let publish = |body: &str| format!(r#"{{"do": "publish", "draft": "{}", "body": "{body}"}}"#, draft.id);
    for (body, word) in [
        ("Initech floods us.", "initech"),
        ("GLOBEX", "globex"),
        ("We fixed Checkout-V2.", "checkout-v2"),
        ("container/api-1 restarts", "container/api-1"),
        ("api-1 restarts", "api-1"),
        ("It was cachewarmer.", "CacheWarmer"),
        ("Zeus is back", "zeus"),
        ("see 20260301T085900Z-retry-amplification-3f9c", "20260301T085900Z-retry-amplification-3f9c"),
    ] {
        let refused = life.refused(40, &publish(body));
        assert!(refused.starts_with(&format!("body: \"{word}\" may not be public")), "{body}: {refused}");
    }
    life.say(50, &publish("Soylent sees errors.")).unwrap();
    life.all.report(&report("later", "soylent", s(10)), &life.settings);
    let view = life.incident(60);
    assert_eq!(view.exposed, ["\"soylent\" may not be public: an internal incident knows it as a name"]);
    let public = serde_json::to_string(&life.all.incidents.published()).unwrap();
    assert!(!public.contains("retry-amplification") && !public.contains("ann"), "{public}");
    let (id, update) = (view.public.id, view.public.updates[0].id.clone());
    let edit =
        format!(r#"{{"do": "edit_update", "incident": "{id}", "update": "{update}", "body": "Some see errors."}}"#);
    life.say(70, &edit).unwrap();
    assert!(life.incident(70).exposed.is_empty());
}

#[test]
fn what_cannot_be_done_is_said_clearly_and_changes_nothing() {
    let mut life = Life::new("");
    life.change(&change("api", OK, PARTIAL, 0, (1_000, 372, 0)));
    let draft = life.draft(30).id;
    let open = |name: &str, body: &str| serde_json::json!({"do": "open", "name": name, "body": body}).to_string();
    for (command, why) in [
        (r#"{"do": "discard", "draft": "nix"}"#.to_owned(), "there is no draft nix"),
        (r#"{"do": "resolve", "incident": "nix"}"#.to_owned(), "there is no incident nix"),
        (format!(r#"{{"do": "resolve", "incident": "{draft}"}}"#), "is a draft: publish it first"),
        (open(&"x".repeat(121), "y"), "name: has 121 characters; 120 are the most"),
        (open("x", &"é".repeat(5_001)), "body: has 5001 characters; 5000 are the most"),
        (open("x\ny", "z"), "name: must be one line"),
        (open("x", " \n"), "body: must not be empty"),
        (open("x", "a\u{7}"), "body: holds the character U+0007, which nobody sees"),
        (open("x", "a\u{202e}b"), "body: holds the character U+202E, which nobody sees"),
        (r#"{"do": "open", "name": "x", "body": "y", "components": ["serach"]}"#.to_owned(), "did you mean search?"),
        (r#"{"do": "open", "name": "x", "body": "y", "status": "postmortem"}"#.to_owned(), "comes after resolved"),
        (
            r#"{"do": "open", "name": "x", "body": "y", "started_at": "2026-03-02T00:00:00Z"}"#.to_owned(),
            "started_at: must be in the last 30 days",
        ),
    ] {
        let refused = life.refused(60, &command);
        assert!(refused.ends_with(why), "{command}: {refused}");
    }
    let unknown = serde_json::from_str::<Command>(r#"{"do": "resolve", "incident": "x", "boddy": "y"}"#);
    assert!(unknown.unwrap_err().to_string().contains("boddy"));
    life.say(70, &format!(r#"{{"do": "discard", "draft": "{draft}"}}"#)).unwrap();
    life.tick(80);
    assert!(life.all.incidents.drafts(&life.settings, s(90)).is_empty());
}

#[test]
fn a_request_with_a_key_is_done_once() {
    let mut life = Life::new("");
    let keyed = |name: &str, second: i64| {
        let command = format!(r#"{{"do": "open", "name": "{name}", "body": "y"}}"#);
        Request { key: Some("k1".to_owned()), ..request(&command, s(second)) }
    };
    let first = life.all.command(&keyed("x", 0), &life.settings).unwrap();
    let again = life.all.command(&keyed("x", 5), &life.settings).unwrap();
    assert_eq!(again, Done { repeated: true, ..first });
    assert_eq!(life.all.incidents.published().len(), 1);
    let other = life.all.command(&keyed("z", 5), &life.settings).unwrap_err();
    assert_eq!(other.to_string(), "idempotency_key: was used for another command");
}

#[test]
fn bounds_hold_and_what_is_open_stays() {
    let mut life = Life::new("");
    for number in 0..DRAFTS_MAX + 5 {
        let begin = i64::try_from(number).unwrap() * 10_000;
        life.change(&change("api", OK, PARTIAL, begin, (100, 40, 0)));
        life.change(&change("api", PARTIAL, OK, begin + 100, (0, 0, 0)));
        life.tick(begin + 5_000);
    }
    let drafts = life.all.incidents.drafts(&life.settings, s(0));
    assert_eq!((drafts.len(), drafts.last().unwrap().started_at), (DRAFTS_MAX, s(50_000)));
    let open = r#"{"do": "open", "name": "x", "body": "y"}"#;
    let first = life.say(600_000, open).unwrap().id;
    for _ in 1..PUBLISHED_MAX {
        life.say(600_000, open).unwrap();
    }
    assert!(life.refused(600_001, open).contains("none of them is over"));
    life.say(600_002, &format!(r#"{{"do": "resolve", "incident": "{first}"}}"#)).unwrap();
    life.say(600_003, open).unwrap();
    let published = life.all.incidents.published();
    assert!(published.len() == PUBLISHED_MAX && published.iter().all(|incident| incident.id != first));

    let id = published[0].id.clone();
    let update = format!(r#"{{"do": "update", "incident": "{id}", "body": "x"}}"#);
    for _ in 0..UPDATES_MAX - 3 {
        life.say(600_004, &update).unwrap();
    }
    assert!(life.refused(600_005, &update).contains("200 updates"));
    life.say(600_006, &format!(r#"{{"do": "resolve", "incident": "{id}"}}"#)).unwrap();
    life.say(600_007, &format!(r#"{{"do": "postmortem", "incident": "{id}", "body": "x"}}"#)).unwrap();
    let published = life.all.incidents.published();
    let full = published.iter().find(|incident| incident.id == id).unwrap();
    assert_eq!(full.updates.len(), UPDATES_MAX);
    assert!(life.all.acts().count() <= crate::status::ACTS_MAX);
}
