//! What the watchdog may and may not decide, on any look.

use proptest::prelude::*;

use super::*;
use crate::guard::black_box::QueryKind;

const LIMIT: u64 = 1_000_000;

fn rules() -> Rules {
    let policy = GuardPolicy::parse(
        "[server]\nuser = 'guard'\n[classes.ad_hoc]\nexpendable = true\n[classes.ingest]\nwrites = true\n\
         [tenants.analyst]\nclass = 'ad_hoc'\n[tenants.loader]\nclass = 'ingest'\nuser = 'writer'\n",
    );
    Rules::new(&policy.unwrap())
}

fn query(id: &str, user: &str, memory_share: f64) -> QueryInFlight {
    QueryInFlight {
        query_id: Text::from(id),
        fingerprint: Text::from(format!("f-{id}")),
        user: Text::from(user),
        kind: QueryKind::Select,
        initial: true,
        memory_bytes: (memory_share * LIMIT as f64) as u64,
        elapsed_ms: 1_000,
        ..QueryInFlight::default()
    }
}

fn look(used_share: f64, queries: Vec<QueryInFlight>) -> Look {
    let memory_used_bytes = (used_share * LIMIT as f64) as u64;
    Look { memory_limit_bytes: LIMIT, memory_used_bytes, queries, ..Look::default() }
}

fn kills(decisions: &[Decision]) -> Vec<&Kill> {
    fn kill(decision: &Decision) -> Option<&Kill> {
        match decision {
            Decision::Kill(kill) => Some(kill),
            Decision::Warn(_) => None,
        }
    }
    decisions.iter().filter_map(kill).collect()
}

fn killed(decisions: &[Decision]) -> Vec<&str> {
    kills(decisions).into_iter().map(|kill| kill.query.query_id.as_str()).collect()
}

#[test]
fn one_that_would_not_fit_twice_goes_although_memory_is_not_short() {
    let look = look(0.45, vec![query("calm", "app", 0.05), query("large", "app", 0.28)]);
    assert_eq!(killed(&decide(&look, &rules(), &Known::default())), ["large"]);
    let look = self::look(0.40, vec![query("calm", "app", 0.05), query("large", "app", 0.28)]);
    assert!(decide(&look, &rules(), &Known::default()).is_empty(), "0.56 of 0.60 that are free");
}

#[test]
fn the_order_is_tripped_new_expendable_largest_youngest() {
    let young = QueryInFlight { elapsed_ms: 10, ..query("young", "app", 0.06) };
    let queries = vec![
        query("large", "app", 0.07),
        query("old", "app", 0.06),
        young,
        query("ad hoc", "analyst", 0.03),
        query("new", "app", 0.03),
        query("tripped", "app", 0.02),
    ];
    let known = Known {
        tripped: BTreeSet::from([Text::from("f-tripped")]),
        new: BTreeSet::from([Text::from("new")]),
        ..Known::default()
    };
    let rules = Rules { kills_per_look_max: 10, ..rules() };
    let all = decide(&look(1.20, queries.clone()), &rules, &known);
    assert_eq!(killed(&all), ["tripped", "new", "ad hoc", "large", "young", "old"]);
    let few = decide(&look(0.88, queries), &rules, &known);
    assert_eq!(killed(&few), ["tripped", "new"], "these two are enough");
}

#[test]
fn memory_that_leaves_counts_as_free_and_deaf_memory_does_not() {
    let queries = vec![query("leaving", "app", 0.20), query("next", "app", 0.05)];
    let id = BTreeSet::from([Text::from("leaving")]);
    let leaving = Known { leaving: id.clone(), ..Known::default() };
    assert!(killed(&decide(&look(0.9, queries.clone()), &rules(), &leaving)).is_empty());
    let deaf = Known { deaf: id, ..Known::default() };
    assert_eq!(killed(&decide(&look(0.9, queries), &rules(), &deaf)), ["next"]);
}

#[test]
fn merges_and_writes_that_fill_the_server_are_told_and_not_killed() {
    let insert = QueryInFlight { kind: QueryKind::Insert, ..query("insert", "app", 0.5) };
    let decisions = decide(&look(0.95, vec![insert, query("guard", "guard", 0.3)]), &rules(), &Known::default());
    assert_eq!(decisions, [Decision::Warn(Warning::MemoryHigh), Decision::Warn(Warning::NothingToKill)]);
    let unlimited = Look { memory_limit_bytes: 0, ..look(0.5, Vec::new()) };
    assert_eq!(decide(&unlimited, &rules(), &Known::default()), [Decision::Warn(Warning::NoLimit)]);
}

fn any_query() -> impl Strategy<Value = QueryInFlight> {
    let kind = prop::sample::select(vec![QueryKind::Select, QueryKind::Explain, QueryKind::Insert, QueryKind::Other]);
    let user = prop::sample::select(vec!["app", "analyst", "writer", "guard", ""]);
    (0..40_u32, kind, user, any::<bool>(), 0.0..0.6_f64, 0..10_000_i64).prop_map(
        |(id, kind, user, initial, share, ms)| QueryInFlight {
            kind,
            initial,
            elapsed_ms: ms,
            ..query(&format!("q{id}"), user, share)
        },
    )
}

prop_compose! {
    fn any_look()(used in 0.0..1.3_f64, queries in prop::collection::vec(any_query(), 0..30)) -> Look {
        // Ids are unique on a server.
        let mut unique = BTreeSet::new();
        look(used, queries.into_iter().filter(|query| unique.insert(query.query_id.clone())).collect())
    }
}

fn any_ids(prefix: &'static str) -> impl Strategy<Value = BTreeSet<Text>> {
    prop::collection::btree_set((0..40_u32).prop_map(move |id| Text::from(format!("{prefix}q{id}"))), 0..10)
}

proptest! {
    #[test]
    fn no_look_kills_a_write_its_own_user_or_more_than_it_may(
        look in any_look(),
        tripped in any_ids("f-"), new in any_ids(""), leaving in any_ids(""), deaf in any_ids(""),
        n in 0..6_usize,
    ) {
        let rules = Rules { kills_per_look_max: n, ..rules() };
        let known = Known { tripped, new, leaving, deaf };
        let decisions = decide(&look, &rules, &known);
        let kills = kills(&decisions);
        prop_assert!(kills.len() <= n);
        for kill in &kills {
            let query = &kill.query;
            prop_assert!(matches!(query.kind, QueryKind::Select | QueryKind::Explain) && query.initial);
            prop_assert!(!["guard", "writer", ""].contains(&query.user.as_str()));
            prop_assert!(!known.leaving.contains(&query.query_id) && !known.deaf.contains(&query.query_id));
            prop_assert!(query.memory_bytes * 100 >= LIMIT);
        }
        let ranks: Vec<_> = kills
            .iter()
            .map(|kill| (!kill.tripped, !kill.new, !kill.expendable, u64::MAX - kill.query.memory_bytes, kill.query.elapsed_ms))
            .collect();
        prop_assert!(ranks.is_sorted(), "{ranks:?}");
        let ids: BTreeSet<&Text> = kills.iter().map(|kill| &kill.query.query_id).collect();
        prop_assert_eq!(ids.len(), kills.len(), "no query twice");
        prop_assert_eq!(&decisions, &decide(&look, &rules, &known), "the same look, the same decision");
    }

    #[test]
    fn a_full_server_with_a_large_reader_always_leads_to_a_kill(look in any_look()) {
        let known = Known::default();
        let may = look.queries.iter().any(|query| may_be_killed(query, &rules(), &known) && query.memory_bytes * 100 >= LIMIT);
        let killed = !killed(&decide(&look, &rules(), &known)).is_empty();
        prop_assert!(!may || killed || look.memory_share() < 0.85);
    }
}
