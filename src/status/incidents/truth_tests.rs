//! What the machine says of an incident is so: shares of all its requests, its own components, and nothing said too late.

use super::tests::{change, request, s, settings};
use super::*;
use crate::config::StatusConfig;
use crate::status::ComponentState::{
    DegradedPerformance as DEGRADED, MajorOutage as MAJOR, Operational as OK, PartialOutage as PARTIAL, Unknown,
};
use crate::status::{ComponentCounts, Figures, IncidentStatus, Statements, StatusState, StatusWindow};

fn figures(requests: u64, failures: u64) -> Figures {
    Figures { requests, failures, slow: 0 }
}

/// The words that would be said at a second.
fn words(all: &Statements, settings: &Settings, second: i64) -> String {
    let drafts = all.incidents.drafts(settings, s(second));
    drafts[0].proposal.body.as_str().to_owned()
}

#[test]
fn a_share_is_that_of_all_requests_from_its_beginning_to_its_end() {
    let (settings, mut all) = (settings(""), Statements::default());
    all.component_changed(&change("api", OK, PARTIAL, 0, (1_000, 120, 0)), &settings, s(30));
    // It gets worse without another state, and then for long better.
    all.incidents.count("api", &figures(9_000, 3_880));
    assert!(words(&all, &settings, 60).starts_with("API: about 40 % of requests fail since 10:00 CET.\n"));
    all.incidents.count("api", &figures(1_000, 950));
    all.component_changed(&change("api", PARTIAL, MAJOR, 60, (1_000, 950, 0)), &settings, s(90));
    all.incidents.count("api", &figures(1_000, 40));
    all.component_changed(&change("api", MAJOR, DEGRADED, 90, (1_000, 40, 0)), &settings, s(120));
    all.incidents.count("api", &figures(88_000, 2_010));
    assert!(
        words(&all, &settings, 600)
            .starts_with("API: about 7 % of requests fail since 10:00 CET, at times most of them.\n")
    );
    // What is good at its end is not of it.
    all.incidents.count("api", &figures(50_000, 0));
    all.component_changed(&change("api", DEGRADED, OK, 2_220, (50_000, 0, 0)), &settings, s(2_400));
    all.incidents.count("api", &figures(50_000, 0));
    let said = words(&all, &settings, 2_500);
    assert!(
        said.starts_with("API: about 7 % of requests failed from 10:00 to 10:37 CET, at times most of them.\n"),
        "{said}"
    );
    // Unless it comes back: then it is all one.
    all.incidents.count("api", &figures(1_000, 600));
    all.component_changed(&change("api", OK, MAJOR, 2_500, (1_000, 600, 0)), &settings, s(2_530));
    assert!(words(&all, &settings, 2_540).starts_with("API: about 4 % of requests fail since 10:00 CET, at times"));
}

#[test]
fn what_nobody_measured_is_not_said_to_have_failed() {
    let (settings, mut all) = (settings(""), Statements::default());
    all.component_changed(&change("api", OK, MAJOR, 0, (1_000, 900, 0)), &settings, s(30));
    all.component_changed(&change("api", MAJOR, Unknown, 600, (0, 0, 0)), &settings, s(2_400));
    let unclear = words(&all, &settings, 2_400);
    assert!(unclear.contains("failed from 10:00 to 10:10 CET. Since then nothing is measured."), "{unclear}");
    all.component_changed(&change("api", Unknown, OK, 14_400, (100, 0, 0)), &settings, s(14_430));
    all.tick(&settings, s(15_100), Some(s(15_100)));
    assert_eq!(
        words(&all, &settings, 15_100),
        "API: about 90 % of requests failed from 10:00 to 10:10 CET. From then to 14:00 CET nothing was measured.\n\
         It lasted at most 4 hours, from 10:00 to 14:00 CET."
    );
}

#[test]
fn clocks_that_are_changed_within_an_incident_are_told_with_their_zones() {
    let at = crate::status::samples::at;
    let zone = &jiff::tz::TimeZone::get("Europe/Vienna").unwrap();
    let span = (Some(at("2026-10-25T00:50:00Z")), Some(at("2026-10-25T01:10:00Z")));
    let words = templates::lasted(span, false, at("2026-10-25T05:00:00Z"), zone).unwrap();
    assert_eq!(words.as_str(), "It lasted 20 minutes, from 02:50 CEST to 02:10 CET.");
}

#[test]
fn nothing_is_published_of_the_past_when_it_is_read_late() {
    let settings = settings("auto_publish = 'partial_outage'\nauto_publish_after = '1m'");
    let (mut all, now) = (Statements::default(), s(7_200));
    all.component_changed(&change("api", OK, MAJOR, 0, (1_000, 900, 0)), &settings, now);
    for second in (30..1_200).step_by(5) {
        all.tick(&settings, now, Some(s(second)));
    }
    assert!(all.incidents.published().is_empty(), "it is long ago");
    let mut over = all.clone();
    over.component_changed(&change("api", MAJOR, OK, 1_200, (1_000, 0, 0)), &settings, now);
    over.tick(&settings, now, Some(now.plus(-5_000)));
    assert!(over.incidents.published().is_empty());
    let draft = &over.incidents.drafts(&settings, now)[0];
    assert_eq!((draft.started_at, draft.recovered_at), (s(0), Some(s(1_200))), "people may tell of it");
    all.tick(&settings, now, Some(now.plus(-121_000)));
    assert!(all.incidents.published().is_empty(), "the data is old");
    all.tick(&settings, now, Some(now.plus(-120_000)));
    let public = &all.incidents.published()[0];
    assert_eq!((public.status, public.started_at, public.created_at), (IncidentStatus::Investigating, s(0), now));
    // Nor is it over as long as what is known is old.
    all.component_changed(&change("api", MAJOR, OK, 7_300, (1_000, 0, 0)), &settings, s(20_000));
    all.tick(&settings, s(20_000), Some(s(9_000)));
    assert_eq!(all.incidents.published()[0].status, IncidentStatus::Investigating);
    all.tick(&settings, s(20_000), Some(s(19_990)));
    let public = &all.incidents.published()[0];
    assert_eq!((public.status, public.resolved_at), (IncidentStatus::Resolved, Some(s(7_300))));
}

#[test]
fn the_machine_publishes_nothing_of_a_component_that_only_people_may_tell_of() {
    let settings = settings("auto_publish = 'partial_outage'\nauto_publish_after = '1m'");
    for search_is_first in [true, false] {
        let mut all = Statements::default();
        let mut changes =
            [change("search", OK, MAJOR, 0, (1_000, 990, 0)), change("api", OK, PARTIAL, 0, (1_000, 300, 0))];
        if !search_is_first {
            changes.reverse();
            changes[1].since = s(100);
            changes[1].at = s(130);
        }
        for change in &changes {
            all.component_changed(change, &settings, change.at);
            all.tick(&settings, change.at.plus(40_000), Some(change.at.plus(40_000)));
        }
        let published = all.incidents.published();
        let [public] = published.as_slice() else { panic!("{published:?}") };
        assert_eq!(
            (public.components.as_slice(), public.impact),
            (&["api".to_owned()][..], crate::status::Impact::Major)
        );
        let text = serde_json::to_string(&public).unwrap();
        assert!(!text.to_lowercase().contains("search"), "{text}");
        let drafts = all.incidents.drafts(&settings, s(200));
        assert_eq!(drafts.len(), 1);
        assert_eq!(drafts[0].proposal.name.as_str(), "Search & fingerprints: most requests fail");
        // Each ends by itself.
        all.component_changed(&change("api", PARTIAL, OK, 300, (1_000, 0, 0)), &settings, s(480));
        all.tick(&settings, s(900), Some(s(900)));
        assert_eq!(all.incidents.published()[0].status, IncidentStatus::Resolved);
        all.component_changed(&change("search", MAJOR, DEGRADED, 1_000, (1_000, 30, 0)), &settings, s(1_180));
        let drafts = all.incidents.drafts(&settings, s(1_200));
        assert_eq!((drafts.len(), drafts[0].components[0].state), (1, DEGRADED));
        let publish = format!(r#"{{"do": "publish", "draft": "{}"}}"#, drafts[0].id);
        all.command(&request(&publish, s(1_200)), &settings).unwrap();
        assert_eq!(all.incidents.published().len(), 2);
    }
}

#[test]
fn a_component_that_is_gone_from_the_configuration_keeps_nothing_open() {
    let both = settings("");
    let of_api: StatusConfig =
        toml::from_str("time_zone = 'Europe/Vienna'\n[[components]]\nid = 'api'\nname = 'API'\n").unwrap();
    let of_api = Settings::new(&of_api);
    let (mut draft, mut shared) = (Statements::default(), Statements::default());
    draft.component_changed(&change("search", OK, MAJOR, 0, (1_000, 990, 0)), &both, s(30));
    shared.clone_from(&draft);
    let mut public = draft.clone();
    let publish = format!(r#"{{"do": "publish", "draft": "{}"}}"#, draft.incidents.drafts(&both, s(40))[0].id);
    public.command(&request(&publish, s(40)), &both).unwrap();
    draft.incidents.keep_known(&of_api);
    assert!(draft.incidents.drafts(&of_api, s(50)).is_empty(), "there is nothing to tell");

    shared.component_changed(&change("api", OK, PARTIAL, 60, (1_000, 300, 0)), &both, s(90));
    shared.incidents.keep_known(&of_api);
    shared.component_changed(&change("api", PARTIAL, OK, 600, (1_000, 0, 0)), &of_api, s(780));
    shared.tick(&of_api, s(1_300), Some(s(1_300)));
    let drafts = shared.incidents.drafts(&of_api, s(1_300));
    assert_eq!(drafts[0].proposal.status, IncidentStatus::Resolved);
    assert!(drafts[0].proposal.body.as_str().ends_with("It lasted 9 minutes, from 10:01 to 10:10 CET."));

    public.incidents.keep_known(&of_api);
    public.component_changed(&change("api", OK, PARTIAL, 60, (1_000, 300, 0)), &of_api, s(90));
    assert_eq!(public.incidents.drafts(&of_api, s(90)).len(), 1, "what comes after it is something else");
    let resolve = format!(r#"{{"do": "resolve", "incident": "{}"}}"#, public.incidents.published()[0].id);
    public.command(&request(&resolve, s(100)), &of_api).unwrap();
}

#[test]
fn windows_are_counted_once_and_a_restart_forgets_what_is_gone() {
    let config = |ids: &[&str]| -> StatusConfig {
        let component = |id: &&str| format!("[[components]]\nid = '{id}'\nname = '{id}'\nroutes = ['/{id}']\n");
        let components: String = ids.iter().map(component).collect();
        toml::from_str(&format!("time_zone = 'Europe/Vienna'\n{components}")).unwrap()
    };
    let window = |number: i64| {
        let failing = match number {
            0..60 => 0,
            60..72 => 60,
            _ => 20,
        };
        let of_api = ComponentCounts { figures: figures(400, 4 * failing), ..ComponentCounts::default() };
        let of_search = ComponentCounts { figures: figures(100, 0), ..ComponentCounts::default() };
        StatusWindow { start: s(number * 5), end: s(number * 5 + 5), components: vec![of_api, of_search] }
    };
    let mut state = StatusState::new(&config(&["api", "search"]), None);
    let words = |state: &StatusState| -> Vec<String> {
        let drafts = state.statements().incidents.drafts(state.settings(), s(900));
        drafts.iter().map(|draft| draft.proposal.body.as_str().to_owned()).collect()
    };
    for number in (0..180).chain(100..180) {
        state.apply(&window(number), s(900));
    }
    let expected = "api: about 24 % of requests fail since 10:05 CET, at times most of them.\nWe are looking into it.";
    assert_eq!(words(&state), [expected]);
    let again = StatusState::new(&config(&["api", "search"]), Some(state.stored()));
    assert_eq!(words(&again), [expected]);
    let without = StatusState::new(&config(&["search"]), Some(state.stored()));
    assert!(words(&without).is_empty(), "{:?}", words(&without));
}
