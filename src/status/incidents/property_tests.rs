//! Whatever comes in whatever order: nothing that may not be public is, and histories stay in order.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tests::{report, s, settings};
use super::*;
use crate::status::{ComponentState, Figures, Statements};

/// Names of the inside, and words of people that hold some of them.
const NAMES: [&str; 4] = ["initech", "Contoso GmbH", "umbrella-7", "search"];
const BODIES: [&str; 8] = [
    "We look into it.",
    "INITECH floods us",
    "zeus fell",
    "Search & fingerprints are slow",
    "contoso  gmbh, sorry",
    "ask ann@example.com",
    "on 10.0.0.7 and db.internal",
    "umbrella-7's requests",
];

#[derive(Debug, Clone)]
enum Step {
    Change { component: usize, before: usize, after: usize, ago: i64, figures: (u64, u64, u64) },
    Report { name: usize, ago: i64 },
    Tick { seconds: i64 },
    Command { kind: usize, target: usize, body: usize, status: usize, keyed: bool },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let figures = (0_u64..2_000, 0_u64..2_000, 0_u64..2_000);
    prop_oneof![
        4 => (0..3_usize, 0..6_usize, 0..6_usize, 0..400_i64, figures)
            .prop_map(|(component, before, after, ago, figures)| Step::Change { component, before, after, ago, figures }),
        1 => (0..NAMES.len(), 0..4_000_i64).prop_map(|(name, ago)| Step::Report { name, ago }),
        2 => (-20..2_000_i64).prop_map(|seconds| Step::Tick { seconds }),
        6 => (0..12_usize, 0..4_usize, 0..BODIES.len(), 0..5_usize, any::<bool>())
            .prop_map(|(kind, target, body, status, keyed)| Step::Command { kind, target, body, status, keyed }),
        1 => Just(Step::Restart),
    ]
}

const STATUSES: [IncidentStatus; 5] = [
    IncidentStatus::Investigating,
    IncidentStatus::Identified,
    IncidentStatus::Monitoring,
    IncidentStatus::Resolved,
    IncidentStatus::Postmortem,
];

/// A command on something that there is, or is not.
fn command(all: &Statements, now: Timestamp, kind: usize, target: usize, body: usize, status: usize) -> Command {
    let settings = settings("");
    let published = all.incidents.published();
    let drafts = all.incidents.drafts(&settings, now);
    let incident = published.get(target).map_or_else(|| "nix".to_owned(), |incident| incident.id.clone());
    let update = published.get(target).map_or_else(|| "nix".to_owned(), |incident| incident.updates[0].id.clone());
    let draft = drafts.first().map_or_else(|| incident.clone(), |draft| draft.id.clone());
    let works = all.schedule.maintenances();
    let maintenance = works.get(target).map_or_else(|| "nix".to_owned(), |work| work.id.clone());
    let (body, status) = (BODIES[body].to_owned(), STATUSES[status]);
    let until = now.plus(600_000);
    match kind {
        0 | 1 => Command::Publish { draft, name: None, status: Some(status), body: None, components: None },
        2 => Command::Publish { draft, name: Some(body.clone()), status: None, body: Some(body), components: None },
        3 => Command::Open {
            name: body.clone(),
            body,
            status: Some(status),
            impact: None,
            components: vec!["api".to_owned()],
            started_at: None,
        },
        4 | 5 => {
            Command::Update { incident, body, status: Some(status), name: None, components: None, reopen: target == 1 }
        }
        6 => Command::EditUpdate { incident, update, body },
        7 => Command::Resolve { incident, body: (target == 0).then_some(body) },
        8 => Command::Postmortem { incident, body },
        9 => {
            Command::State { component: "api".to_owned(), state: ComponentState::ALL[target], until, note: Some(body) }
        }
        10 => Command::Announce { name: body.clone(), body, from: None, until, components: vec!["api".to_owned()] },
        _ => Command::CancelMaintenance { maintenance },
    }
}

fn invariants(all: &Statements, over: &mut BTreeMap<String, Timestamp>, reopened: bool) {
    let published = all.incidents.published();
    assert!(published.is_sorted_by_key(|incident| std::cmp::Reverse(incident.created_at)));
    for incident in &published {
        let PublicIncident { started_at, created_at, updated_at, resolved_at, monitoring_at, .. } = incident;
        assert!(started_at <= created_at && created_at <= updated_at, "{incident:?}");
        assert!(resolved_at.is_none_or(|at| at >= *started_at && at <= *updated_at), "{incident:?}");
        assert!(monitoring_at.is_none_or(|at| at >= *started_at), "{incident:?}");
        assert_eq!(resolved_at.is_some(), incident.status.is_over(), "{incident:?}");
        assert!(!incident.updates.is_empty() && incident.updates.len() <= UPDATES_MAX);
        assert!(incident.updates.is_sorted_by_key(|update| std::cmp::Reverse(update.created_at)), "{incident:?}");
        assert_eq!(incident.updates[0].status, incident.status, "{incident:?}");
        assert!(incident.updates.iter().all(|update| update.created_at <= update.updated_at));
        assert!(!incident.name.is_empty() && incident.name.chars().count() <= NAME_CHARS_MAX);
        if let Some(at) = over.get(&incident.id) {
            assert!(reopened || *resolved_at == Some(*at), "what is over stays over: {incident:?}");
        }
        match resolved_at {
            Some(at) => over.insert(incident.id.clone(), *at),
            None => over.remove(&incident.id),
        };
    }
    assert!(all.incidents.cases.iter().filter(|case| case.public.is_none()).count() <= DRAFTS_MAX);
    let measured: Vec<_> = all.incidents.cases.iter().filter(|case| case.is_measured()).collect();
    let parts = measured.iter().filter_map(|case| case.episode.as_ref()).flat_map(|episode| episode.parts.keys());
    let parts: Vec<_> = parts.collect();
    let once: std::collections::BTreeSet<_> = parts.iter().collect();
    assert!(measured.len() <= 2 && once.len() == parts.len(), "one at a time, and one beside it for people: {parts:?}");
}

/// Every text that is public now.
fn public_texts(all: &Statements) -> Vec<String> {
    let published = all.incidents.published();
    let incidents = published
        .iter()
        .flat_map(|incident| incident.updates.iter().map(|update| update.body.clone()).chain([incident.name.clone()]));
    let works = all.schedule.maintenances().into_iter().flat_map(|work| [work.name, work.body]);
    let notes = all.schedule.words.iter().filter_map(|word| word.note.clone());
    incidents.chain(works).chain(notes).collect()
}

/// Compared by hand, in another way than the code does: case folded, blanks gone.
fn holds(text: &str, name: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().split_whitespace().collect::<String>();
    plain(text).contains(&plain(name))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_forbidden_is_public_and_histories_stay_in_order(
        steps in prop::collection::vec(step(), 1..60),
        policy in 0..3_usize,
    ) {
        let policy = ["", "auto_publish = 'degraded_performance'\nauto_publish_after = '1m'",
            "auto_publish = 'major_outage'\nauto_publish_after = '0s'"][policy];
        let settings = settings(policy);
        let (mut all, mut now, mut over, mut known) = (Statements::default(), 10_000_i64, BTreeMap::new(), Vec::<&str>::new());
        let mut said_before: Vec<String> = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            let mut reopened = false;
            match step.clone() {
                Step::Change { component, before, after, ago, figures: (requests, failures, slow) } => {
                    let change = ComponentChange {
                        component: ["api", "search", "nowhere"][component].to_owned(),
                        before: ComponentState::ALL[before],
                        after: ComponentState::ALL[after],
                        since: s(now - ago),
                        at: s(now),
                        figures: Figures { requests, failures, slow },
                    };
                    all.component_changed(&change, &settings, s(now));
                }
                Step::Report { name, ago } => {
                    all.report(&report(&format!("inside-{name}-x"), NAMES[name], s(now - ago)), &settings);
                    known.extend(Some(NAMES[name]).filter(|name| *name != "search"));
                }
                Step::Tick { seconds } => {
                    now += seconds;
                    all.tick(&settings, s(now), Some(s(now)));
                }
                Step::Command { kind, target, body, status, keyed } => {
                    now += 1;
                    let command = command(&all, s(now), kind, target, body, status);
                    reopened = matches!(command, Command::Update { reopen: true, .. });
                    let key = keyed.then(|| format!("key-{number}"));
                    let request = Request { command, who: "ann".to_owned(), at: s(now), key };
                    let before = all.clone();
                    match all.command(&request, &settings) {
                        Err(_) => prop_assert_eq!(&all, &before, "a refusal changes nothing"),
                        Ok(done) if keyed => {
                            let once = all.clone();
                            let again = all.command(&request, &settings).unwrap();
                            prop_assert_eq!((again, &all), (Done { repeated: true, ..done }, &once));
                        }
                        Ok(_) => {}
                    }
                }
                Step::Restart => {
                    let text = serde_json::to_string(&all).unwrap();
                    let back: Statements = serde_json::from_str(&text).unwrap();
                    prop_assert_eq!(&back, &all);
                }
            }
            invariants(&all, &mut over, reopened);
            let texts = public_texts(&all);
            for text in &texts {
                for never in ["zeus", "@", "10.0.0.7", ".internal", "inside-", "api-1", "CacheWarmer"] {
                    prop_assert!(!holds(text, never), "{} is public: {}", never, text);
                }
                // What was said before its name was learnt is told to people, and not taken back by itself.
                if !said_before.contains(text) {
                    for name in &known {
                        prop_assert!(!holds(text, name), "{} is public: {}", name, text);
                    }
                }
            }
            said_before = texts;
        }
    }
}
