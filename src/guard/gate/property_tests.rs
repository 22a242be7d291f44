//! Properties of the gate over random loads: bounds hold, nobody is forgotten, nobody starves, victims are never charged,
//! shadow mode tells what enforcing does.

use proptest::prelude::*;

use super::tests::{LIMIT_BYTES, at, policy};
use super::trial::{Fate, Job, run};
use super::{Ask, Gate, GateInput, QueryNumber, RefusalReason};

const TENANTS: [&str; 5] = ["grafana", "ann", "bob", "etl", "writer"];
const WAIT_MS_MAX: i64 = 300_000;

fn job() -> impl Strategy<Value = Job> {
    let what = (0..TENANTS.len(), 0..6_usize, proptest::option::of(0..10_000_000_000_u64), any::<bool>());
    let takes = (0..60_000_i64, 0..LIMIT_BYTES / 8, 0..200_000_000_000_u64);
    let failure = prop_oneof![
        6 => Just(None),
        1 => Just(Some((241, "Query memory limit exceeded"))),
        1 => Just(Some((241, "(total) memory limit exceeded"))),
        1 => Just(Some((62, "Syntax error"))),
    ];
    (what, takes, failure, 0..20_000_i64).prop_map(|((tenant, fingerprint, rows, trap), takes, failure, gap)| {
        let ask = Ask {
            tenant: TENANTS[tenant].to_owned(),
            fingerprint: format!("f{fingerprint}"),
            writes: TENANTS[tenant] == "writer",
            estimated_rows: rows,
            limit_trap: trap,
            ..Ask::default()
        };
        let (duration_ms, memory_bytes, read_bytes) = takes;
        // As a gap for now: `load` makes moments of it.
        Job { ask, at_ms: gap, duration_ms, memory_bytes, read_bytes, failure, ..Job::default() }
    })
}

fn event() -> impl Strategy<Value = Option<GateInput>> {
    let fingerprint = (0..6_usize).prop_map(|f| format!("f{f}"));
    prop_oneof![
        40 => Just(None),
        2 => (0..LIMIT_BYTES).prop_map(|used| Some(GateInput::Memory { used_bytes: used, limit_bytes: LIMIT_BYTES })),
        1 => (fingerprint.clone(), 0..3_usize).prop_map(|(fingerprint, id)| {
            Some(GateInput::Killed { fingerprint, query_id: ["", "q1", "q2"][id].to_owned() })
        }),
        1 => fingerprint.clone().prop_map(|fingerprint| {
            Some(GateInput::Block { fingerprint, until: Some(at(60_000)), reason: "test".to_owned() })
        }),
        1 => fingerprint.clone().prop_map(|fingerprint| Some(GateInput::Unblock { fingerprint })),
        1 => fingerprint.prop_map(|f| Some(GateInput::Restarted { unclean: Some(true), suspects: vec![f] })),
        1 => Just(Some(GateInput::SafeMode { until: None })),
    ]
}

fn load() -> impl Strategy<Value = Vec<Job>> {
    let patience = proptest::option::weighted(0.2, 1..60_000_i64);
    // From one query in ten seconds to ten in one: slots, queues and memory all come to bind.
    let times = prop_oneof![Just(1), Just(10), Just(100)];
    (proptest::collection::vec((job(), event(), patience), 1..120), times).prop_map(|(jobs, times)| {
        let mut now = 0;
        let with = |(i, (mut job, event, patience_ms)): (usize, (Job, Option<GateInput>, Option<i64>))| {
            now += job.at_ms / times;
            job.ask.number = i as QueryNumber + 1;
            Job { at_ms: now, event, patience_ms, ..job }
        };
        jobs.into_iter().enumerate().map(with).collect()
    })
}

/// Moments that are this far apart: with whole seconds, many things happen in the same one.
fn step() -> impl Strategy<Value = i64> {
    prop_oneof![Just(1), Just(1_000)]
}

fn enforcing() -> Gate {
    let mut policy = policy(true);
    // Few slots, so that totals bind as well as those of classes.
    policy.server.slots = 12;
    Gate::new(policy, LIMIT_BYTES).with_cores(8)
}

fn all_ended(gate: &Gate, jobs: &[Job], fate: &Fate) {
    let status = gate.status(at(i64::from(u32::MAX)));
    for (name, class) in &status.classes {
        assert_eq!((class.running, class.waiting), (0, 0), "{name}");
    }
    assert_eq!((status.writes_running, status.writes_waiting), (0, 0));
    for job in jobs {
        let number = job.ask.number;
        let answered = fate.started.contains_key(&number) || fate.refused.contains_key(&number);
        assert!(answered || fate.left.contains(&number), "{number} was forgotten");
    }
}

/// Past every wait and every slot that is given up late.
fn settle(gate: &mut Gate) {
    for minute in 0..30 {
        gate.apply(GateInput::Tick, at(10_000_000 + minute * 60_000));
    }
}

/// A load takes a while: half as many as usual, unless more are asked for.
fn cases() -> u32 {
    let (cases, usual) = (ProptestConfig::default().cases, 256);
    if cases == usual { usual / 2 } else { cases }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn slots_hold_and_nobody_is_forgotten_or_starves(jobs in load()) {
        let mut gate = enforcing();
        let fate = run(&mut gate, &jobs, true);
        prop_assert!(fate.total_max <= 12 && fate.reads_max <= 9, "{} {}", fate.reads_max, fate.total_max);
        for job in &jobs {
            let started = fate.started.get(&job.ask.number);
            prop_assert!(started.is_none_or(|started| started - job.at_ms <= WAIT_MS_MAX));
        }
        settle(&mut gate);
        all_ended(&gate, &jobs, &fate);
    }

    #[test]
    fn the_same_load_has_the_same_fate(jobs in load()) {
        let (mut one, mut two) = (enforcing(), enforcing());
        prop_assert_eq!(run(&mut one, &jobs, true), run(&mut two, &jobs, true));
        prop_assert_eq!(one.snapshot(), two.snapshot());
        let text = serde_json::to_string(&one.snapshot()).unwrap();
        prop_assert_eq!(serde_json::from_str::<super::GateSnapshot>(&text).unwrap(), one.snapshot());
    }

    #[test]
    fn shadow_mode_refuses_nothing_and_tells_what_enforcing_refuses(mut jobs in load(), step in step()) {
        // Time caps cut queries short, which changes when they end; these loads end by themselves. And whoever loses
        // patience while it would wait has its answer in shadow mode: these askers stay.
        for job in &mut jobs {
            job.duration_ms = (job.duration_ms % 14_000 / step + 1) * step;
            job.at_ms -= job.at_ms % step;
            job.patience_ms = None;
        }
        let mut shadow_policy = policy(false);
        shadow_policy.server.slots = 12;
        let (mut enforced, mut shadow) = (enforcing(), Gate::new(shadow_policy, LIMIT_BYTES).with_cores(8));
        let truth = run(&mut enforced, &jobs, true);
        let told = run(&mut shadow, &jobs, false);
        prop_assert_eq!(told.started.len(), jobs.len(), "all run");
        prop_assert!(jobs.iter().all(|job| told.started[&job.ask.number] == job.at_ms), "and at once");
        settle(&mut shadow);
        settle(&mut enforced);
        let (told, truth) = (shadow.status(at(20_000_000)).counts, (truth, enforced.status(at(20_000_000)).counts));
        prop_assert_eq!(&told.refused, &truth.1.refused);
        prop_assert_eq!(shadow.snapshot(), enforced.snapshot());
    }

    #[test]
    fn victims_never_open_a_breaker(mut jobs in load()) {
        for job in &mut jobs {
            job.event = None;
            job.failure = Some([(241, "(total) memory limit exceeded"), (241, "User memory limit exceeded")][job.duration_ms as usize % 2]);
        }
        let mut gate = enforcing();
        let fate = run(&mut gate, &jobs, true);
        prop_assert!(fate.refused.values().all(|refusal| refusal.reason != RefusalReason::BreakerOpen));
        prop_assert!(gate.status(at(10_000_000)).breakers.is_empty());
    }

    #[test]
    fn writes_never_wait_for_reads(jobs in load()) {
        let mut gate = enforcing();
        let mut jobs = jobs;
        jobs.iter_mut().for_each(|job| job.event = None);
        // One write at a time.
        jobs.retain(|job| !job.ask.writes);
        let first = jobs.len() as QueryNumber * 2 + 200;
        let ask = |number| Ask { number, tenant: "writer".to_owned(), writes: true, ..Ask::default() };
        let writes = (0..50).map(|i| Job { ask: ask(first + i), at_ms: i as i64 * 1_000, duration_ms: 999, ..Job::default() });
        jobs.extend(writes);
        let fate = run(&mut gate, &jobs, true);
        for job in jobs.iter().filter(|job| job.ask.writes) {
            prop_assert_eq!(fate.started.get(&job.ask.number), Some(&job.at_ms));
        }
    }
}
