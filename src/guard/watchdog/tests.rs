//! The watchdog over many looks: whom it told, and what became of them.

use proptest::prelude::*;

use super::*;
use crate::guard::black_box::{QueryInFlight, QueryKind};

const LIMIT: u64 = 1_000_000;

fn watchdog(enforce: bool) -> Watchdog {
    let mut policy = GuardPolicy::default();
    policy.server.user = "guard".to_owned();
    policy.watchdog.enforce = enforce;
    Watchdog::new(&policy, History::default())
}

fn look(seconds: i64, used: u64, queries: &[(&str, u64)]) -> Look {
    let query = |(id, memory_bytes): &(&str, u64)| QueryInFlight {
        query_id: Text::from(*id),
        fingerprint: Text::from(format!("f-{id}")),
        user: Text::from("app"),
        kind: QueryKind::Select,
        initial: true,
        memory_bytes: *memory_bytes,
        elapsed_ms: (seconds + 10) * 1_000,
        ..QueryInFlight::default()
    };
    Look {
        at: Timestamp::from_millis(seconds * 1_000),
        memory_limit_bytes: LIMIT,
        memory_used_bytes: used,
        queries: queries.iter().map(query).collect(),
        ..Look::default()
    }
}

fn short(acts: &[Act]) -> Vec<String> {
    let id = |kill: &Kill| kill.query.query_id.to_string();
    let word = |act: &Act| match act {
        Act::Kill(kill) => format!("kill {}", id(kill)),
        Act::WouldKill(kill) => format!("would kill {}", id(kill)),
        Act::Ended(kill, after_ms) => format!("ended {} {after_ms}", id(kill)),
        Act::Deaf(kill, after_ms) => format!("deaf {} {after_ms}", id(kill)),
        Act::Warn(warning) => format!("{warning:?}"),
    };
    acts.iter().map(word).collect()
}

#[test]
fn a_killed_query_is_followed_until_it_ends_or_is_found_deaf() {
    let mut dog = watchdog(true);
    let mut acts = |look: &Look| short(&dog.look(look, false, &BTreeSet::new()));
    assert_eq!(acts(&look(0, 500_000, &[("a", 400_000)])), ["kill a"]);
    assert!(acts(&look(1, 700_000, &[("a", 600_000)])).is_empty(), "it leaves");
    assert!(acts(&look(4, 300_000, &[("a", 200_000), ("b", 100_000)])).is_empty());
    assert_eq!(acts(&look(5, 900_000, &[("a", 800_000), ("b", 90_000)])), ["deaf a 5000", "MemoryHigh", "kill b"]);
    assert_eq!(acts(&look(6, 820_000, &[("a", 800_000)])), ["ended b 1000"]);
    assert_eq!(acts(&look(9, 20_000, &[])), ["ended a 9000"]);
}

#[test]
fn a_client_that_sends_it_again_under_the_same_id_is_not_spared() {
    let mut dog = watchdog(true);
    let mut acts = |seconds: i64, elapsed_ms: i64, cancelled: bool| {
        let mut look = look(seconds, 700_000, &[("a", 600_000)]);
        (look.queries[0].elapsed_ms, look.queries[0].cancelled) = (elapsed_ms, cancelled);
        short(&dog.look(&look, false, &BTreeSet::new()))
    };
    assert_eq!(acts(0, 300, false), ["kill a"]);
    assert_eq!(acts(1, 900, false), ["ended a 1000", "kill a"], "it began 400 ms after the first");
    assert!(acts(2, 1_890, true).is_empty(), "it leaves");
    assert_eq!(acts(3, 700, false), ["ended a 2000", "kill a"]);
}

#[test]
fn shadow_mode_says_it_once_and_counts_the_memory_as_free() {
    let mut dog = watchdog(false);
    let mut acts = |look: &Look| short(&dog.look(look, false, &BTreeSet::new()));
    assert_eq!(acts(&look(0, 900_000, &[("a", 400_000), ("b", 50_000)])), ["MemoryHigh", "would kill a"]);
    for seconds in 1..20 {
        assert!(acts(&look(seconds, 900_000, &[("a", 400_000), ("b", 50_000)])).is_empty());
    }
    assert!(acts(&look(20, 500_000, &[("b", 50_000)])).is_empty());
    assert_eq!(acts(&look(21, 900_000, &[("b", 50_000)])), ["MemoryHigh", "would kill b"], "the warning had ended");
}

#[test]
fn a_kill_that_did_not_arrive_is_tried_a_few_times() {
    let mut dog = watchdog(true);
    for seconds in 0..3 {
        let acts = dog.look(&look(seconds, 600_000, &[("a", 500_000)]), false, &BTreeSet::new());
        assert_eq!(short(&acts), ["kill a"]);
        dog.kill_failed("a");
    }
    assert!(dog.look(&look(3, 600_000, &[("a", 500_000)]), false, &BTreeSet::new()).is_empty());
}

#[test]
fn a_query_of_a_new_fingerprint_goes_before_a_larger_known_one() {
    let mut dog = watchdog(true);
    for seconds in 0..20 {
        assert!(dog.look(&look(seconds, 300_000, &[("known", 70_000)]), false, &BTreeSet::new()).is_empty());
    }
    let acts = dog.look(&look(20, 900_000, &[("known", 70_000), ("late", 60_000)]), false, &BTreeSet::new());
    assert_eq!(short(&acts), ["MemoryHigh", "kill late"]);
}

proptest! {
    #[test]
    fn no_query_is_killed_twice_over_any_run_of_looks(
        looks in prop::collection::vec((0..1_200_000_u64, prop::collection::btree_map(0..8_u8, 0..600_000_u64, 0..8)), 1..40),
        enforce in any::<bool>(),
    ) {
        let mut dog = watchdog(enforce);
        let mut killed: BTreeSet<Text> = BTreeSet::new();
        for (seconds, (used, queries)) in looks.into_iter().enumerate() {
            let names: Vec<(String, u64)> = queries.into_iter().map(|(id, memory)| (format!("q{id}"), memory)).collect();
            let named: Vec<(&str, u64)> = names.iter().map(|(id, memory)| (id.as_str(), *memory)).collect();
            // An id that was gone and comes back is another query.
            killed.retain(|id| names.iter().any(|(name, _)| name == id.as_str()));
            let acts = dog.look(&look(seconds as i64, used, &named), false, &BTreeSet::new());
            let mut kills = 0;
            for act in &acts {
                if let Act::Kill(kill) | Act::WouldKill(kill) = act {
                    kills += 1;
                    prop_assert_eq!(enforce, matches!(act, Act::Kill(_)));
                    prop_assert!(killed.insert(kill.query.query_id.clone()), "{} again", kill.query.query_id);
                }
            }
            prop_assert!(kills <= 3);
        }
    }
}
