//! Random alerts, restarts, silences and acknowledgements: no page is lost, none is told twice, bounds hold.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::page_state::AlertId;
use super::tests::{alert, at, of_subscription, settings};
use super::*;
use crate::model::{AlertName, Output, PageEvent, Severity, Text, Transition, TransitionEvent};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Happening {
    Fires {
        incident: u8,
        who: u8,
        critical: bool,
    },
    Ends {
        which: u8,
    },
    Passes {
        seconds: u16,
    },
    /// The pager is read back; of what fires only some is found again by a core that begins anew.
    Restarts {
        found_again: u8,
    },
    Silences {
        who: u8,
        seconds: u16,
    },
    Acknowledges {
        which: u8,
    },
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0..12_u8, 0..6_u8, any::<bool>())
            .prop_map(|(incident, who, critical)| Happening::Fires { incident, who, critical }),
        4 => any::<u8>().prop_map(|which| Happening::Ends { which }),
        3 => (1..400_u16).prop_map(|seconds| Happening::Passes { seconds }),
        1 => any::<u8>().prop_map(|found_again| Happening::Restarts { found_again }),
        1 => (0..6_u8, 1..900_u16).prop_map(|(who, seconds)| Happening::Silences { who, seconds }),
        1 => any::<u8>().prop_map(|which| Happening::Acknowledges { which }),
    ]
}

/// A core reduced to which alerts fire, and receivers that remember everything they were told.
struct World {
    pager: Pager,
    /// The journal, as it would be read.
    journal: PagerState,
    t: i64,
    firing: BTreeMap<(u8, bool), String>,
    told: BTreeMap<Text, Vec<(u32, PageEvent)>>,
    heard_open: BTreeSet<Text>,
    opened_at: Vec<i64>,
}

fn severity(critical: bool) -> Severity {
    if critical { Severity::Critical } else { Severity::Warning }
}

impl World {
    fn new() -> Self {
        Self {
            pager: Pager::new(settings()),
            journal: PagerState::default(),
            t: 0,
            firing: BTreeMap::new(),
            told: BTreeMap::new(),
            heard_open: BTreeSet::new(),
            opened_at: Vec::new(),
        }
    }

    fn transition(&self, event: TransitionEvent, (who, critical): (u8, bool), incident: &str) -> Transition {
        alert(self.t, event, severity(critical), incident, &format!("s{who}"))
    }

    fn happens(&mut self, happening: &Happening) {
        self.t += 5;
        match happening {
            Happening::Fires { incident, who, critical } => {
                let key = (*who, *critical);
                if !self.firing.contains_key(&key) {
                    let incident = format!("i{incident}");
                    let transition = self.transition(TransitionEvent::Firing, key, &incident);
                    self.firing.insert(key, incident);
                    self.step(vec![transition]);
                }
            }
            Happening::Ends { which } => {
                let keys: Vec<(u8, bool)> = self.firing.keys().copied().collect();
                if let Some(key) = keys.get(usize::from(*which) % keys.len().max(1)).copied()
                    && let Some(incident) = self.firing.remove(&key)
                {
                    let transition = self.transition(TransitionEvent::Resolved, key, &incident);
                    self.step(vec![transition]);
                }
            }
            Happening::Passes { seconds } => {
                self.t += i64::from(*seconds);
                self.step(Vec::new());
                let obeyed = self.pager.tick(at(self.t));
                self.hear(obeyed.pages);
            }
            Happening::Restarts { found_again } => self.restart(*found_again),
            Happening::Silences { who, seconds } => {
                let silence = Silence {
                    id: Text::default(),
                    matchers: vec![format!("subscription=s{who}").parse().unwrap()],
                    starts_at: at(self.t),
                    ends_at: at(self.t + i64::from(*seconds)),
                    author: "jo".into(),
                    reason: "a test".to_owned(),
                    created_at: at(self.t),
                };
                let obeyed = self.pager.command(Command::Silence(silence), at(self.t)).unwrap();
                self.hear(obeyed.pages);
            }
            Happening::Acknowledges { which } => {
                let view = self.pager.view(at(self.t));
                let open: Vec<Text> = view
                    .pages
                    .iter()
                    .filter(|view| view.standing != PageStanding::Resolved)
                    .map(|view| view.page.dedup_key.clone())
                    .collect();
                if let Some(key) = open.get(usize::from(*which) % open.len().max(1)).cloned() {
                    let (author, note, expires_at) = ("jo".into(), String::new(), at(self.t + 600));
                    let taken = Command::Acknowledge { key, author, note, expires_at };
                    let obeyed = self.pager.command(taken, at(self.t)).unwrap();
                    self.hear(obeyed.pages);
                }
            }
        }
        self.check();
    }

    fn restart(&mut self, found_again: u8) {
        self.pager = Pager::restored(settings(), self.journal.clone(), at(self.t));
        // What was handed over lately comes again; receivers know it by key and revision.
        for page in self.pager.unhanded() {
            let known = self.told.get(&page.dedup_key).into_iter().flatten();
            assert!(known.into_iter().any(|said| *said == (page.revision, page.event)), "handed and never said");
        }
        let before = std::mem::take(&mut self.firing);
        self.t += 5;
        let mut again = Vec::new();
        for (place, (key, incident)) in before.into_iter().enumerate() {
            if found_again >> (place % 8) & 1 == 1 {
                let incident = format!("again-{incident}");
                again.push(self.transition(TransitionEvent::Firing, key, &incident));
                self.firing.insert(key, incident);
            }
        }
        self.step(again);
    }

    fn step(&mut self, transitions: Vec<Transition>) {
        let outputs: Vec<Output> = transitions.into_iter().map(Output::Transition).collect();
        let decided = Decided { outputs: &outputs, watermark: Some(at(self.t)), reports: &[] };
        let changes = self.pager.step(&decided, at(self.t));
        self.hear(changes);
    }

    fn hear(&mut self, changes: Vec<PageChange>) {
        for PageChange { page, silenced_by, .. } in changes {
            let said = self.told.entry(page.dedup_key.clone()).or_default();
            assert_eq!(page.revision as usize, said.len() + 1, "each revision once: {page:?}");
            said.push((page.revision, page.event));
            if silenced_by.is_some() {
                continue;
            }
            let is_heard_open = self.heard_open.contains(&page.dedup_key);
            match page.event {
                PageEvent::Opened => {
                    assert!(!is_heard_open, "opened twice: {page:?}");
                    self.heard_open.insert(page.dedup_key.clone());
                    if !page.dedup_key.contains("-storm-") {
                        self.opened_at.push(self.t);
                    }
                }
                PageEvent::Resolved => drop(self.heard_open.remove(&page.dedup_key)),
                PageEvent::Updated => assert!(is_heard_open, "updated, and never opened: {page:?}"),
                PageEvent::Acknowledged => drop(self.heard_open.insert(page.dedup_key.clone())),
            }
        }
    }

    fn check(&mut self) {
        let entry = self.pager.take_entry();
        self.journal.apply(serde_json::from_str(&serde_json::to_string(&entry).unwrap()).unwrap());
        let (written, known) = (self.journal.snapshot().without_time(), self.pager.snapshot().without_time());
        assert!(written == known, "the journal gives back something else than there is");
        for (who, critical) in self.firing.keys() {
            let id =
                AlertId::of(AlertName::RetryAmplification, severity(*critical), &of_subscription(&format!("s{who}")));
            let is_told =
                self.pager.state.firing.get(&id).is_some_and(|firing| {
                    self.pager.state.pages.get(&firing.page).is_some_and(|page| !page.is_resolved())
                });
            assert!(is_told || self.pager.state.leftovers.contains(&id), "an alert fires and no page tells of it");
        }
    }

    /// Everything is over, and time passes.
    fn ends(&mut self) {
        let all: Vec<((u8, bool), String)> = std::mem::take(&mut self.firing).into_iter().collect();
        self.t += 5;
        let over = all.iter().map(|(key, i)| self.transition(TransitionEvent::Resolved, *key, i)).collect();
        self.step(over);
        for _ in 0..6 {
            self.t += 1_000;
            self.step(Vec::new());
            let obeyed = self.pager.tick(at(self.t));
            self.hear(obeyed.pages);
        }
        self.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_page_is_lost_and_none_is_told_twice(happenings in proptest::collection::vec(happening(), 1..60)) {
        let mut world = World::new();
        happenings.iter().for_each(|happening| world.happens(happening));
        world.ends();
        let view = world.pager.view(at(world.t));
        let open: Vec<&PageView> = view.pages.iter().filter(|v| v.standing != PageStanding::Resolved).collect();
        prop_assert!(open.is_empty(), "still open after the end: {open:#?}");
        prop_assert!(world.heard_open.is_empty(), "never told to be over: {:?}", world.heard_open);
        for (place, opened) in world.opened_at.iter().enumerate() {
            let within_a_minute = world.opened_at[..place].iter().filter(|before| opened - **before < 60).count();
            // What a silence's end tells was opened before.
            prop_assert!(within_a_minute < settings().opened_per_minute_max + 6, "{:?}", world.opened_at);
        }
    }
}
