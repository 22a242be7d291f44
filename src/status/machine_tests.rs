//! Measured states: dated to the window, damped, one excursion where traffic flaps, unknown where nothing comes.

use proptest::prelude::*;

use super::ComponentState::{self, DegradedPerformance, MajorOutage, Operational, PartialOutage, Unknown};
use super::level::Tally;
use super::machine::{LOOKBACK_MS, Machine, MeasuredChange};
use super::{Figures, StateSpan};
use crate::config::{ComponentConfig, Span};
use crate::model::Timestamp;

const WINDOW_MS: i64 = 5_000;
const UNKNOWN_AFTER_MS: i64 = 600_000;

/// Windows of five seconds from the epoch of the test on; absent ones do not come.
struct Run {
    machine: Machine,
    config: ComponentConfig,
    windows: i64,
    changes: Vec<(MeasuredChange, Timestamp)>,
    decided: Vec<StateSpan>,
}

fn start_of(window: i64) -> Timestamp {
    Timestamp::from_millis(1_772_323_200_000 + window * WINDOW_MS)
}

impl Run {
    fn new() -> Self {
        let (machine, config) = (Machine::default(), ComponentConfig::whole());
        Self { machine, config, windows: 0, changes: Vec::new(), decided: Vec::new() }
    }

    fn window(&mut self, figures: Figures) -> &mut Self {
        let (start, end) = (start_of(self.windows), start_of(self.windows + 1));
        let judged = self.machine.push(&self.config, UNKNOWN_AFTER_MS, &Tally { start, end, figures });
        self.changes.extend(judged.changes.into_iter().map(|change| (change, end)));
        self.decided.extend(judged.decided);
        self.windows += 1;
        self
    }

    /// `count` windows of `requests`, so many of a hundred failing.
    fn windows(&mut self, count: i64, requests: u64, failing: u64) -> &mut Self {
        (0..count).for_each(|_| {
            self.window(Figures { requests, failures: requests * failing / 100, slow: 0 });
        });
        self
    }

    fn gap(&mut self, windows: i64) -> &mut Self {
        self.windows += windows;
        self
    }

    /// Changes as (after, window in which it began).
    fn told(&self) -> Vec<(ComponentState, i64)> {
        let number = |at: Timestamp| at.since(start_of(0)) / WINDOW_MS;
        self.changes.iter().map(|(change, _)| (change.after, number(change.since))).collect()
    }

    /// How long after it began a change was decided, in windows.
    fn decided_after(&self, change: usize) -> i64 {
        let (change, at) = self.changes[change];
        at.since(change.since) / WINDOW_MS
    }
}

#[test]
fn an_outage_is_dated_to_its_first_and_last_window() {
    let mut run = Run::new();
    run.windows(60, 400, 0).windows(24, 300, 60).windows(60, 400, 0);
    assert_eq!(run.told(), [(Operational, 0), (MajorOutage, 60), (Operational, 84)]);
    assert_eq!((run.decided_after(1), run.decided_after(2)), (6, 36), "30 s and 3 min");
    let worse = run.changes[1].0;
    assert_eq!(worse.figures, Figures { requests: 1_800, failures: 1_080, slow: 0 });
    assert_eq!(worse.before, Operational);
}

#[test]
fn what_is_shorter_than_the_damping_is_nothing() {
    let mut run = Run::new();
    run.windows(60, 400, 0);
    for windows in 1..=3 {
        run.windows(windows, 400, 100).windows(40, 400, 0);
    }
    assert_eq!(run.told(), [(Operational, 0)]);
}

#[test]
fn alternating_windows_are_one_excursion() {
    for (bad, good) in [(1, 1), (2, 2), (1, 4), (12, 12), (6, 30)] {
        let mut run = Run::new();
        run.windows(60, 400, 0);
        (0..20).for_each(|_| {
            run.windows(bad, 400, 70).windows(good, 400, 0);
        });
        let ended = run.windows - good;
        run.windows(60, 400, 0);
        let told = run.told();
        let harm = told.iter().filter(|(state, _)| state.is_harm()).count();
        assert!(told[1].0.is_harm() && told[1].1 == 60, "{bad} bad, {good} good: {told:?}");
        assert_eq!(told.last(), Some(&(Operational, ended)), "{bad} bad, {good} good: {told:?}");
        assert!(harm <= 2 && told.iter().filter(|(state, _)| *state == Operational).count() == 2, "{told:?}");
    }
}

#[test]
fn it_gets_worse_step_by_step_and_better_the_same_way() {
    let mut run = Run::new();
    run.windows(60, 400, 0).windows(20, 400, 5).windows(20, 400, 20).windows(20, 400, 80);
    run.windows(50, 400, 20).windows(50, 400, 5).windows(50, 400, 0);
    let expected = [
        (Operational, 0),
        (DegradedPerformance, 60),
        (PartialOutage, 80),
        (MajorOutage, 100),
        (PartialOutage, 120),
        (DegradedPerformance, 170),
        (Operational, 220),
    ];
    assert_eq!(run.told(), expected);
}

#[test]
fn an_outage_that_begins_inside_a_window_is_one_change() {
    let mut run = Run::new();
    run.windows(60, 400, 0).windows(1, 400, 30).windows(20, 400, 90).windows(1, 400, 4).windows(60, 400, 0);
    assert_eq!(run.told(), [(Operational, 0), (MajorOutage, 60), (Operational, 82)]);
    let states: Vec<_> = run.decided.iter().map(|span| (span.state, span.until)).collect();
    assert!(states.contains(&(PartialOutage, start_of(61))), "the window before is as it was: {states:?}");
    assert!(states.contains(&(DegradedPerformance, start_of(82))), "{states:?}");
}

#[test]
fn slowness_is_a_state_of_its_own() {
    let mut run = Run::new();
    let slow = |share: u64| Figures { requests: 400, failures: 0, slow: 4 * share };
    (0..40).for_each(|_| {
        run.window(slow(1));
    });
    (0..20).for_each(|_| {
        run.window(slow(40));
    });
    (0..20).for_each(|_| {
        run.window(slow(100));
    });
    assert_eq!(run.told(), [(Operational, 0), (DegradedPerformance, 40), (PartialOutage, 60)]);
}

#[test]
fn too_few_requests_change_nothing() {
    let mut run = Run::new();
    run.windows(60, 400, 0);
    // One in two minutes: never 20 in half an hour.
    (0..9).for_each(|_| {
        run.windows(1, 1, 100).windows(23, 0, 0);
    });
    assert_eq!(run.told(), [(Operational, 0)]);
    (0..40).for_each(|_| {
        run.windows(1, 1, 100).windows(23, 0, 0);
    });
    let told = run.told();
    assert!(told.len() == 2 && told[1].0 == Unknown && told[1].1 < 500, "too few to tell is not well: {told:?}");
    let mut outage = Run::new();
    outage.windows(60, 400, 0).windows(24, 400, 90).windows(300, 1, 0);
    assert_eq!(outage.told()[..2], [(Operational, 0), (MajorOutage, 60)]);
    assert_eq!(outage.told().last(), Some(&(Operational, 84)), "few requests, but enough of them in half an hour");
}

/// A request a minute, so many of them, each of which fails or does not.
fn a_minute(run: &mut Run, count: i64, failing: u64) {
    (0..count).for_each(|_| {
        run.windows(1, 1, failing).windows(11, 0, 0);
    });
}

#[test]
fn a_request_a_minute_is_enough_to_tell_an_outage_and_its_end() {
    let mut run = Run::new();
    run.windows(60, 400, 0).windows(24, 400, 90);
    a_minute(&mut run, 60, 0);
    assert_eq!(run.told(), [(Operational, 0), (MajorOutage, 60), (Operational, 84)], "it ends, however few ask");
    let mut night = Run::new();
    night.windows(60, 400, 0);
    a_minute(&mut night, 60, 100);
    assert_eq!(night.told(), [(Operational, 0), (MajorOutage, 60)], "what always fails is not well");
    assert!(night.decided_after(1) <= 30 * 12, "{}", night.decided_after(1));
    let mut quiet = Run::new();
    a_minute(&mut quiet, 60, 0);
    assert_eq!(quiet.told(), [(Operational, 0)]);
}

#[test]
fn one_failed_request_is_no_state() {
    for pause in [1, 2, 5] {
        let mut run = Run::new();
        let mut ask = |failing: u64, count: i64| {
            (0..count).for_each(|_| {
                run.windows(1, 1, failing).windows(pause, 0, 0);
            });
        };
        ask(0, 60);
        ask(100, 1);
        ask(0, 40);
        ask(100, 2);
        ask(0, 40);
        assert_eq!(run.told().len(), 1, "{pause}: {:?}", run.told());
        run.config.requests_min = 1;
        (0..10).for_each(|_| {
            run.windows(1, 1, 100).windows(pause, 0, 0);
        });
        assert_eq!(run.told().last().unwrap().0, MajorOutage, "{pause}: whoever wants it so gets it");
    }
}

#[test]
fn an_outage_in_which_nobody_asks_is_not_over() {
    let mut run = Run::new();
    run.windows(60, 400, 0).windows(24, 400, 90).windows(300, 0, 0);
    assert_eq!(run.told(), [(Operational, 0), (MajorOutage, 60)]);
    run.windows(100, 0, 0);
    assert_eq!(run.told()[2], (Unknown, 84), "silent for half an hour: unknown since the last request");
    run.windows(20, 400, 0);
    assert_eq!(run.told()[3], (Operational, 484));
}

#[test]
fn a_long_gap_is_unknown_for_its_whole_length_and_a_short_one_goes_on() {
    let mut run = Run::new();
    run.windows(60, 400, 0).gap(120).windows(20, 400, 0);
    assert_eq!(run.told(), [(Operational, 0)], "exactly as long as is tolerated");
    run.gap(121).windows(20, 400, 0);
    assert_eq!(run.told(), [(Operational, 0), (Unknown, 200), (Operational, 321)]);
    let gap = run.decided.iter().find(|span| span.state == Unknown).unwrap();
    assert_eq!((gap.from, gap.until), (start_of(200), start_of(321)));
}

#[test]
fn few_requests_are_judged_over_longer_and_dated_as_well() {
    let mut run = Run::new();
    run.windows(200, 1, 0).windows(60, 1, 100).windows(120, 1, 0);
    let told = run.told();
    assert_eq!((told[0], told.last().unwrap()), ((Operational, 0), &(Operational, 260)));
    assert!(told[1].1 == 200 && told[1].0.is_harm(), "{told:?}");
}

/// Blocks of windows: (how many, requests, failing of a hundred); no requests at all where the last is above a hundred.
fn blocks() -> impl Strategy<Value = Vec<(i64, u64, u64)>> {
    let failing = prop_oneof![Just(0), Just(1), Just(5), Just(30), Just(95), 0..101_u64];
    let requests = prop_oneof![Just(0), 1..5_u64, Just(400)];
    prop::collection::vec((prop_oneof![1..4_i64, 1..80_i64, 100..400_i64], requests, failing), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn time_is_decided_once_without_gaps_and_changes_follow_on_each_other(blocks in blocks(), gaps in any::<u32>()) {
        let mut run = Run::new();
        for (number, (count, requests, failing)) in blocks.into_iter().enumerate() {
            run.windows(count, requests, failing);
            if gaps & (1 << number) != 0 {
                run.gap(count);
            }
        }
        prop_assert!(run.decided.iter().all(|span| span.from < span.until));
        prop_assert!(run.decided.windows(2).all(|pair| pair[0].until == pair[1].from));
        prop_assert!(run.decided.first().is_none_or(|first| first.from == start_of(0)));
        let (mut state, mut since, mut known_since) = (Unknown, start_of(0), None);
        for (change, at) in &run.changes {
            prop_assert!(change.before == state && change.after != state, "{:?}", change);
            prop_assert!(since <= change.since && change.since < *at, "{:?}", change);
            let lasted_ms = at.since(change.since);
            if change.before == Unknown {
                known_since = Some(change.since);
            }
            if known_since == Some(change.since) {
                // What began while nothing was known is dated to the end of that, said to be well in between or not.
            } else if change.after > change.before && change.after.is_harm() {
                prop_assert!(lasted_ms >= 30_000, "worse before its time: {:?}", change);
            } else if change.before.is_harm() && change.after != Unknown {
                prop_assert!(lasted_ms >= 180_000, "better before its time: {:?}", change);
            }
            (state, since) = (change.after, change.since);
        }
        prop_assert_eq!(state, run.machine.state());
    }

    #[test]
    fn an_outage_of_any_length_and_size_is_dated_exactly(
        calm in 40..200_i64, length in 7..300_i64, failing in 2..101_u64, requests in 60..2_000_u64, noise in 0..10_u64,
    ) {
        let mut run = Run::new();
        let noisy = |number: i64| requests + (number.unsigned_abs() * 7_919) % (noise + 1);
        (0..calm).for_each(|number| { run.windows(1, noisy(number), 0); });
        (0..length).for_each(|number| { run.windows(1, noisy(number) * 100, failing); });
        (0..60).for_each(|number| { run.windows(1, noisy(number), 0); });
        let state = match failing { 50.. => MajorOutage, 10.. => PartialOutage, _ => DegradedPerformance };
        // A hundredfold of requests in trouble would hide the calm that follows: the span is short, though.
        prop_assert_eq!(run.told(), vec![(Operational, 0), (state, calm), (Operational, calm + length)]);
    }

    #[test]
    fn what_is_held_back_is_bounded_while_requests_come(blocks in blocks()) {
        let mut run = Run::new();
        for (count, _, failing) in blocks {
            run.windows(count, 400, failing);
            if !run.machine.state().is_harm() {
                let held_ms = start_of(run.windows).since(run.machine.decided_until().unwrap());
                prop_assert!(held_ms <= LOOKBACK_MS, "{held_ms}");
            }
        }
    }
}

#[test]
fn damping_may_be_nothing() {
    let mut run = Run::new();
    (run.config.worse_after, run.config.better_after) = (Span::from_secs(0), Span::from_secs(0));
    run.windows(60, 400, 0).windows(24, 400, 100).windows(60, 400, 0);
    assert_eq!((run.told()[0], run.told().last()), ((Operational, 0), Some(&(Operational, 84))));
    assert!(run.told()[1].0.is_harm() && run.told()[1].1 == 60);
}
