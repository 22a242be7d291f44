//! The gate as its shell sees it: one behaviour a test.

use super::*;

const GIB: u64 = 1 << 30;
pub(super) const LIMIT_BYTES: u64 = 100 * GIB;

pub(super) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + ms)
}

/// The shipped policy with tenants of every class.
pub(super) fn policy(enforce: bool) -> GuardPolicy {
    let tenants =
        [("grafana", "dashboard"), ("ann", "ad_hoc"), ("bob", "ad_hoc"), ("etl", "export"), ("writer", "ingest")];
    let tenants = tenants.map(|(name, class)| format!("[tenants.{name}]\nclass = \"{class}\"\n")).join("");
    let mut policy = GuardPolicy::parse(&format!("{}{tenants}", include_str!("../../../config/guard.toml"))).unwrap();
    policy.proxy.enforce = enforce;
    policy
}

fn gate() -> Gate {
    Gate::new(policy(true), LIMIT_BYTES).with_cores(8)
}

fn ask(number: QueryNumber, tenant: &str, fingerprint: &str) -> Ask {
    Ask { number, tenant: tenant.to_owned(), fingerprint: fingerprint.to_owned(), ..Ask::default() }
}

fn asked(gate: &mut Gate, number: QueryNumber, tenant: &str, fingerprint: &str, ms: i64) -> Vec<GateOutput> {
    gate.apply(GateInput::Ask(ask(number, tenant, fingerprint)), at(ms))
}

fn ended(gate: &mut Gate, number: QueryNumber, memory_bytes: u64, ms: i64) -> Vec<GateOutput> {
    let ended = Ended { memory_bytes: Some(memory_bytes), duration_ms: 100, ..Ended::default() };
    gate.apply(GateInput::Ended(number, ended), at(ms))
}

fn failed(gate: &mut Gate, number: QueryNumber, exception_code: u32, exception: &str, ms: i64) {
    let ended = Ended {
        exception_code: Some(exception_code),
        exception: Some(exception.to_owned()),
        duration_ms: 100,
        ..Ended::default()
    };
    gate.apply(GateInput::Ended(number, ended), at(ms));
}

fn own_memory(gate: &mut Gate, number: QueryNumber, ms: i64) {
    failed(gate, number, 241, "Query memory limit exceeded: would use 6 GiB, maximum: 5 GiB", ms);
}

fn admitted(outputs: &[GateOutput]) -> Vec<QueryNumber> {
    outputs.iter().filter(|output| matches!(output, GateOutput::Admit { .. })).map(GateOutput::number).collect()
}

fn refusal(outputs: &[GateOutput]) -> Option<&Refusal> {
    outputs.iter().find_map(|output| match output {
        GateOutput::Refuse(_, refusal) | GateOutput::WouldRefuse(_, refusal) => Some(refusal),
        GateOutput::Admit { shadow, .. } => shadow.as_ref(),
    })
}

fn reason(outputs: &[GateOutput]) -> Option<RefusalReason> {
    refusal(outputs).map(|refusal| refusal.reason)
}

fn setting<'a>(outputs: &'a [GateOutput], name: &str) -> Option<&'a str> {
    outputs.iter().find_map(|output| match output {
        GateOutput::Admit { settings, .. } => {
            settings.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
        }
        _ => None,
    })
}

#[test]
fn a_query_runs_with_its_class_s_caps() {
    let mut gate = gate();
    let outputs = asked(&mut gate, 1, "ann", "f", 0);
    assert_eq!(admitted(&outputs), [1]);
    assert_eq!(setting(&outputs, "max_memory_usage"), Some((5 * GIB).to_string().as_str()));
    assert_eq!(setting(&outputs, "max_threads"), Some("4"));
    assert_eq!(reason(&asked(&mut gate, 2, "nobody", "f", 0)), Some(RefusalReason::NotInPolicy));
}

#[test]
fn an_estimate_above_the_class_s_rows_is_refused_unless_a_limit_makes_it_wrong() {
    let mut gate = gate();
    let rows = Ask { estimated_rows: Some(6_000_000_000), ..ask(1, "ann", "f") };
    let outputs = gate.apply(GateInput::Ask(rows.clone()), at(0));
    insta::assert_snapshot!(refusal(&outputs).unwrap(), @"The query would read about 6,000,000,000 rows; class ad_hoc may read 5,000,000,000. Narrow the time range, or filter by columns of the primary key; a larger one belongs to a class for exports.");
    let outputs = gate.apply(GateInput::Ask(Ask { number: 2, limit_trap: true, ..rows }), at(0));
    assert_eq!(admitted(&outputs), [2]);
    assert_eq!(setting(&outputs, "max_rows_to_read"), None);
}

#[test]
fn what_needs_no_estimate_is_known_before_it() {
    let mut gate = gate();
    let small = Ask { estimated_rows: Some(1_000), ..ask(9, "ann", "f") };
    let before = gate.before_estimate(&ask(0, "ann", "f"), at(0));
    let get = |name: &str| before.settings.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str());
    assert!(!before.is_refused);
    assert_eq!(get("max_memory_usage"), Some((5 * GIB).to_string().as_str()));
    assert_eq!((get("max_execution_time"), get("max_threads")), (Some("1"), Some("1")));
    assert_eq!((get("max_rows_to_read"), get("max_bytes_to_read")), (None, Some("300000000000")));
    assert!(gate.before_estimate(&ask(0, "nobody", "f"), at(0)).is_refused);
    // A breaker that lets smaller scans pass: only the estimate tells whether this is one.
    for number in 1..=3 {
        gate.apply(GateInput::Ask(Ask { number, estimated_rows: Some(1 << 30), ..ask(0, "ann", "f") }), at(0));
        own_memory(&mut gate, number, 0);
    }
    assert_eq!(reason(&asked(&mut gate, 4, "ann", "f", 0)), Some(RefusalReason::BreakerOpen));
    assert!(!gate.before_estimate(&ask(0, "ann", "f"), at(0)).is_refused);
    assert_eq!(admitted(&gate.apply(GateInput::Ask(small), at(0))), [9]);
    // One that lets none pass, and what operators say.
    gate.apply(GateInput::Killed { fingerprint: "g".to_owned(), query_id: String::new() }, at(0));
    (0..2).for_each(|_| {
        drop(gate.apply(GateInput::Killed { fingerprint: "g".to_owned(), query_id: String::new() }, at(0)))
    });
    assert!(gate.before_estimate(&ask(0, "ann", "g"), at(0)).is_refused);
    gate.apply(GateInput::Block { fingerprint: "h".to_owned(), until: None, reason: "test".to_owned() }, at(0));
    assert!(gate.before_estimate(&ask(0, "ann", "h"), at(0)).is_refused);
    (0..2).for_each(|_| drop(gate.apply(GateInput::Restarted { unclean: Some(true), suspects: Vec::new() }, at(0))));
    assert!(gate.before_estimate(&ask(0, "ann", "other"), at(0)).is_refused, "only writes are let in");
}

#[test]
fn slots_waits_and_bounds() {
    let mut gate = gate();
    let outputs: Vec<GateOutput> = (1..=4).flat_map(|number| asked(&mut gate, number, "ann", "f", 0)).collect();
    assert_eq!(admitted(&outputs), [1, 2, 3, 4]);
    for number in 5..=12 {
        assert_eq!(asked(&mut gate, number, "ann", "f", 0), [], "waits");
    }
    let outputs = asked(&mut gate, 13, "ann", "f", 0);
    assert_eq!((outputs[0].number(), reason(&outputs)), (13, Some(RefusalReason::QueueFull)));
    let outputs = asked(&mut gate, 14, "bob", "f", 0);
    assert_eq!(
        (outputs[0].number(), reason(&outputs)),
        (12, Some(RefusalReason::QueueFull)),
        "who holds most gives way"
    );
    assert_eq!(admitted(&ended(&mut gate, 1, GIB, 1_000)), [14], "bob was served least");
    assert_eq!(gate.apply(GateInput::Left(5), at(2_000)), []);
    assert_eq!(admitted(&ended(&mut gate, 2, GIB, 2_000)), [6], "5 has gone");
    assert_eq!(gate.next_wake(), Some(at(30_000)));
    let outputs = gate.apply(GateInput::Tick, at(30_000));
    assert_eq!(outputs.len(), 5);
    insta::assert_snapshot!(refusal(&outputs).unwrap(), @"The query waited 30 s for a slot of class ad_hoc, of which 4 of 4 are taken. Ask fewer queries at once, or make the long ones shorter.");
}

#[test]
fn reads_never_take_the_slots_of_writes() {
    let mut policy = policy(true);
    policy.server.slots = 10;
    let mut gate = Gate::new(policy, LIMIT_BYTES);
    let outputs: Vec<GateOutput> = (1..=20).flat_map(|number| asked(&mut gate, number, "grafana", "f", 0)).collect();
    assert_eq!(admitted(&outputs).len(), 8);
    let write = |number| GateInput::Ask(Ask { writes: true, ..ask(number, "writer", "insert") });
    assert_eq!(admitted(&gate.apply(write(100), at(0))), [100]);
    assert_eq!(admitted(&gate.apply(write(101), at(0))), [101]);
    assert_eq!(gate.apply(write(102), at(0)), [], "all slots are taken");
    assert_eq!(admitted(&ended(&mut gate, 1, GIB, 10)), [102], "before the reads that wait longer");
    assert_eq!(admitted(&ended(&mut gate, 100, 0, 20)), [9], "seven reads ran");
    assert_eq!(ended(&mut gate, 101, 0, 30), [], "a write's slot is not for reads");
}

#[test]
fn memory_has_room_for_what_is_expected_and_not_for_more() {
    let mut gate = gate();
    for number in 0..40 {
        asked(&mut gate, number, "etl", "heavy", 0);
        ended(&mut gate, number, 9 * GIB, 0);
    }
    let hear = |gate: &mut Gate, used: u64, ms| {
        gate.apply(GateInput::Memory { used_bytes: used * GIB, limit_bytes: LIMIT_BYTES }, at(ms))
    };
    hear(&mut gate, 1, 0);
    let outputs = asked(&mut gate, 100, "etl", "heavy", 0);
    assert_eq!((admitted(&outputs).len(), setting(&outputs, "max_threads")), (1, Some("4")));
    hear(&mut gate, 87, 100);
    assert_eq!(asked(&mut gate, 101, "etl", "heavy", 100), [], "waits for memory, though a slot is free");
    assert_eq!(admitted(&hear(&mut gate, 20, 1_000)), [101], "others have given theirs back");
    hear(&mut gate, 88, 2_000);
    ended(&mut gate, 101, 9 * GIB, 2_000);
    assert_eq!(asked(&mut gate, 102, "etl", "heavy", 3_000), []);
    (1..=30).for_each(|i| assert_eq!(hear(&mut gate, 88, 2_000 + i * 10_000 - i), []));
    let outputs = hear(&mut gate, 88, 303_000);
    insta::assert_snapshot!(refusal(&outputs).unwrap(), @"The query is expected to take 10.0 GiB of memory (by the p95 of 41 runs like it); 2.0 GiB of 90.0 GiB are free, and it has waited 300 s. Ask again when less is running; group by fewer keys or a shorter time range, or take approximate aggregates (uniq for uniqExact).");
}

#[test]
fn a_server_full_of_caches_does_not_shut_the_gate() {
    let mut gate = gate();
    gate.apply(GateInput::Memory { used_bytes: 95 * GIB, limit_bytes: LIMIT_BYTES }, at(0));
    assert_eq!(admitted(&asked(&mut gate, 1, "grafana", "f", 0)), [1], "one at a time goes on");
    assert_eq!(asked(&mut gate, 2, "grafana", "f", 0), []);
    assert_eq!(admitted(&ended(&mut gate, 1, GIB, 10)), [2]);
}

#[test]
fn a_heavy_query_on_a_busy_server_gets_fewer_threads_then_fewer_bytes() {
    let threads_at = |used: u64| {
        let mut gate = gate();
        for number in 0..20 {
            asked(&mut gate, number, "etl", "heavy", 0);
            let run = Ended { memory_bytes: Some(8 * GIB), read_bytes: Some(GIB), duration_ms: 9, ..Ended::default() };
            gate.apply(GateInput::Ended(number, run), at(0));
        }
        gate.apply(GateInput::Memory { used_bytes: used * GIB, limit_bytes: LIMIT_BYTES }, at(0));
        let outputs = asked(&mut gate, 100, "etl", "heavy", 0);
        let bytes: Option<u64> = setting(&outputs, "max_bytes_to_read").map(|value| value.parse().unwrap());
        (setting(&outputs, "max_threads").map(str::to_owned), bytes.is_some_and(|bytes| bytes < 3 * GIB))
    };
    assert_eq!(threads_at(10), (Some("4".to_owned()), false));
    assert_eq!(threads_at(50), (Some("2".to_owned()), false));
    assert_eq!(threads_at(70), (Some("1".to_owned()), true));
}

#[test]
fn three_offences_open_the_breaker_and_a_probe_at_half_caps_closes_it() {
    let mut gate = gate();
    for number in 1..=3 {
        asked(&mut gate, number, "ann", "hog", 0);
        own_memory(&mut gate, number, 1_000);
    }
    let outputs = asked(&mut gate, 4, "bob", "hog", 2_000);
    insta::assert_snapshot!(refusal(&outputs).unwrap(), @"Queries like this one (hog) have repeatedly reached their memory limit; they are refused until 2027-01-15T08:10:01Z. Read less: a shorter time range, fewer groups, approximate aggregates; a smaller scan may pass now. An operator can let it in (floodmark guard unblock).");
    assert_eq!(refusal(&outputs).unwrap().retry_after_seconds, Some(599));
    assert_eq!(admitted(&asked(&mut gate, 5, "etl", "hog", 2_000)), [5], "an export may take more");
    let outputs = asked(&mut gate, 6, "ann", "hog", 601_000);
    assert_eq!(setting(&outputs, "max_memory_usage"), Some((5 * GIB / 2).to_string().as_str()), "the probe");
    assert_eq!(reason(&asked(&mut gate, 7, "bob", "hog", 601_000)), Some(RefusalReason::BreakerOpen));
    ended(&mut gate, 6, GIB, 602_000);
    assert_eq!(admitted(&asked(&mut gate, 8, "bob", "hog", 602_000)), [8]);
}

#[test]
fn a_suspect_that_needs_more_than_half_its_cap_proves_itself_alone() {
    let mut gate = gate();
    gate.apply(GateInput::Restarted { unclean: None, suspects: vec!["report".to_owned()] }, at(0));
    let probe = |gate: &mut Gate, number, ms| {
        let outputs = asked(gate, number, "ann", "report", ms);
        assert_eq!(admitted(&outputs), [number]);
        setting(&outputs, "max_memory_usage").map(|bytes| bytes.parse::<u64>().unwrap()).unwrap()
    };
    asked(&mut gate, 1, "bob", "other", 600_000);
    assert_eq!(probe(&mut gate, 2, 600_000), 5 * GIB / 2);
    own_memory(&mut gate, 2, 601_000);
    ended(&mut gate, 1, GIB, 602_000);
    assert_eq!(reason(&asked(&mut gate, 3, "ann", "report", 1_800_000)), Some(RefusalReason::BreakerOpen));
    assert_eq!(probe(&mut gate, 4, 1_801_000), 5 * GIB);
    ended(&mut gate, 4, 4 * GIB, 1_802_000);
    assert_eq!(gate.status(at(1_802_000)).breakers, []);
}

#[test]
fn what_is_told_of_an_end_later_counts_as_if_it_had_been_heard() {
    let mut gate = gate();
    let partial = |gate: &mut Gate, number, exception_code, ms| {
        asked(gate, number, "ann", "export", ms);
        let ended = Ended { exception_code, duration_ms: 5_000, is_partial: true, ..Ended::default() };
        gate.apply(GateInput::Ended(number, ended), at(ms + 5_000));
    };
    // Long answers: what they took is in the query log.
    for number in 1..=20 {
        partial(&mut gate, number, None, 0);
        assert_eq!(gate.status(at(5_000)).classes["ad_hoc"].running, 0, "its slot is free at once");
        let told = Ended { memory_bytes: Some(2 * GIB), ..Ended::default() };
        gate.apply(GateInput::EndTold(number, told.clone()), at(15_000));
        gate.apply(GateInput::EndTold(number, told), at(15_000));
    }
    asked(&mut gate, 30, "ann", "export", 20_000);
    let committed = gate.status(at(20_000)).memory.committed_bytes;
    assert!((2 * GIB..3 * GIB).contains(&committed), "{committed}");
    ended(&mut gate, 30, 2 * GIB, 20_000);
    // Encoded answers that broke off: the query log says why.
    for number in 41..=43 {
        partial(&mut gate, number, Some(210), 30_000);
        let exception = Some("Query memory limit exceeded".to_owned());
        let told = Ended { exception_code: Some(241), exception, ..Ended::default() };
        gate.apply(GateInput::EndTold(number, told), at(40_000));
    }
    assert_eq!(reason(&asked(&mut gate, 50, "ann", "export", 41_000)), Some(RefusalReason::BreakerOpen));
    // A probe is neither proved nor failed until it is told of; of one that nobody tells of counts what was known.
    partial(&mut gate, 60, None, 700_000);
    assert_eq!(reason(&asked(&mut gate, 61, "ann", "export", 706_000)), Some(RefusalReason::BreakerOpen));
    gate.apply(GateInput::Tick, at(765_000));
    assert_eq!(admitted(&asked(&mut gate, 62, "ann", "export", 765_001)), [62]);
}

#[test]
fn a_kill_counts_once_when_its_end_is_told_later() {
    let mut gate = gate();
    for number in 1..=2 {
        gate.apply(GateInput::Ask(Ask { query_id: format!("q{number}"), ..ask(number, "ann", "hog") }), at(0));
        let ended = Ended { exception_code: Some(210), is_partial: true, ..Ended::default() };
        gate.apply(GateInput::Ended(number, ended), at(1));
        gate.apply(killed("hog", &format!("q{number}")), at(2));
        let exception = Some("Query memory limit exceeded".to_owned());
        let told = Ended { exception_code: Some(241), exception, ..Ended::default() };
        gate.apply(GateInput::EndTold(number, told), at(3));
    }
    assert_eq!(admitted(&asked(&mut gate, 3, "ann", "hog", 4)), [3], "two offences");
}

#[test]
fn victims_are_never_charged() {
    let mut gate = gate();
    for number in 1..=20 {
        asked(&mut gate, number, "ann", "victim", 0);
        let text = ["(total) memory limit exceeded: would use", "User memory limit exceeded: would use"];
        failed(&mut gate, number, 241, text[number as usize % 2], 1);
    }
    assert_eq!(admitted(&asked(&mut gate, 21, "ann", "victim", 2)), [21]);
    ended(&mut gate, 21, GIB, 3);
    (30..60).for_each(|number| {
        asked(&mut gate, number, "ann", "usually quick", 4);
        ended(&mut gate, number, GIB, 4);
    });
    (60..70).for_each(|number| {
        asked(&mut gate, number, "ann", "usually quick", 5);
        failed(&mut gate, number, 159, "Timeout exceeded", 5);
    });
    assert_eq!(admitted(&asked(&mut gate, 70, "ann", "usually quick", 6)), [70], "slowed by others");
    assert_eq!(gate.status(at(7)).counts.failures_not_charged, 30);
}

#[test]
fn kills_of_the_watchdog_are_offences_and_count_once() {
    let mut gate = gate();
    for number in 1..=2 {
        asked(&mut gate, number, "ann", "hog", 0);
        gate.apply(killed("hog", ""), at(1));
        failed(&mut gate, number, 394, "Query was cancelled", 2);
    }
    assert_eq!(admitted(&asked(&mut gate, 3, "ann", "hog", 3)), [3], "two");
    gate.apply(killed("hog", ""), at(4));
    assert_eq!(reason(&asked(&mut gate, 4, "ann", "hog", 5)), Some(RefusalReason::BreakerOpen), "three");
    assert_eq!(admitted(&asked(&mut gate, 5, "etl", "hog", 5)), [5], "in its class");
}

fn killed(fingerprint: &str, query_id: &str) -> GateInput {
    GateInput::Killed { fingerprint: fingerprint.to_owned(), query_id: query_id.to_owned() }
}

#[test]
fn a_kill_is_charged_to_the_run_that_was_killed_even_when_its_end_is_heard_first() {
    let mut gate = gate();
    // The heavier run of the same fingerprint is the export's.
    let with_id = |number, tenant, id: &str| Ask { query_id: id.to_owned(), ..ask(number, tenant, "hog") };
    gate.apply(GateInput::Ask(with_id(1, "etl", "export")), at(0));
    for number in 2..=4 {
        let id = format!("ann-{number}");
        gate.apply(GateInput::Ask(with_id(number, "ann", &id)), at(number as i64 * 100));
        failed(&mut gate, number, 394, "Query was cancelled", number as i64 * 100 + 10);
        gate.apply(killed("hog", &id), at(number as i64 * 100 + 20));
    }
    let breakers = gate.status(at(1_000)).breakers;
    let classes: Vec<Option<&str>> = breakers.iter().map(|breaker| breaker.class.as_deref()).collect();
    assert_eq!(classes, [Some("ad_hoc")], "not all classes, and not the export");
    gate.apply(killed("hog", "ann-4"), at(20_000));
    assert_eq!(ended(&mut gate, 1, GIB, 21_000), []);
}

#[test]
fn blocks_hold_for_those_who_wait_too_and_are_taken_back() {
    let mut gate = gate();
    (1..=5).for_each(|number| drop(asked(&mut gate, number, "ann", "f", 0)));
    let block =
        GateInput::Block { fingerprint: "f".to_owned(), until: None, reason: "ann: takes node 3 down".to_owned() };
    let outputs = gate.apply(block, at(1));
    assert_eq!((outputs[0].number(), reason(&outputs)), (5, Some(RefusalReason::Blocked)));
    insta::assert_snapshot!(refusal(&outputs).unwrap(), @"An operator has blocked queries like this one (f) until it is unblocked: ann: takes node 3 down. Ask whoever is on call before running it again.");
    gate.apply(GateInput::Unblock { fingerprint: "f".to_owned() }, at(2));
    assert_eq!(reason(&asked(&mut gate, 6, "etl", "f", 3)), None);
}

#[test]
fn after_an_unclean_restart_little_is_let_in_and_suspects_not() {
    let mut gate = gate();
    let restarted = || GateInput::Restarted { unclean: Some(true), suspects: vec!["killer".to_owned()] };
    gate.apply(restarted(), at(0));
    assert_eq!(reason(&asked(&mut gate, 1, "ann", "f", 1)), Some(RefusalReason::SafeMode), "expendable");
    assert_eq!(reason(&asked(&mut gate, 2, "grafana", "killer", 1)), Some(RefusalReason::BreakerOpen));
    let outputs: Vec<GateOutput> = (10..20).flat_map(|number| asked(&mut gate, number, "grafana", "f", 1)).collect();
    assert_eq!(admitted(&outputs).len(), 4, "a quarter of 16");
    assert_eq!(setting(&outputs, "max_memory_usage"), Some((3 * GIB / 2).to_string().as_str()), "half of 3 %");
    gate.apply(restarted(), at(600_000));
    assert_eq!(reason(&asked(&mut gate, 30, "grafana", "f", 3_600_000)), Some(RefusalReason::SafeMode));
    let write = Ask { writes: true, ..ask(31, "writer", "insert") };
    assert_eq!(admitted(&gate.apply(GateInput::Ask(write), at(3_600_000))), [31]);
    let again = Gate::restore(policy(true), LIMIT_BYTES, gate.snapshot());
    assert_eq!(
        again.status(at(3_600_000)).safe_mode,
        SafeModeLevel::WritesOnly,
        "a restart of the proxy is no operator"
    );
    gate.apply(GateInput::SafeMode { until: None }, at(3_600_001));
    assert_eq!(reason(&asked(&mut gate, 32, "ann", "f", 3_600_002)), None);
}

#[test]
fn who_has_gone_holds_the_slot_until_the_query_ends_or_ten_seconds() {
    let mut gate = gate();
    (1..=5).for_each(|number| drop(asked(&mut gate, number, "ann", "f", 0)));
    assert_eq!(gate.apply(GateInput::Left(1), at(100)), [], "ClickHouse may still run it");
    assert_eq!(admitted(&gate.apply(GateInput::Tick, at(10_100))), [5]);
    assert_eq!(ended(&mut gate, 1, GIB, 11_000), [], "a late end of one that was given up");
    assert_eq!(gate.status(at(11_000)).classes["ad_hoc"].running, 4);
}

#[test]
fn shadow_mode_lets_everything_run_and_tells() {
    let mut gate = Gate::new(policy(false), LIMIT_BYTES);
    let outputs: Vec<GateOutput> = (1..=13).flat_map(|number| asked(&mut gate, number, "ann", "f", 0)).collect();
    assert_eq!(admitted(&outputs).len(), 13);
    assert_eq!(reason(&outputs), Some(RefusalReason::QueueFull));
    assert_eq!(setting(&outputs, "max_memory_usage"), None);
    let outputs = gate.apply(GateInput::Tick, at(30_000));
    assert_eq!(outputs.iter().filter(|output| matches!(output, GateOutput::WouldRefuse(..))).count(), 8);
    for number in 20..23 {
        asked(&mut gate, number, "grafana", "big", 31_000);
        ended(&mut gate, number, 50 * GIB, 31_000);
    }
    assert_eq!(reason(&asked(&mut gate, 23, "grafana", "big", 32_000)), Some(RefusalReason::BreakerOpen));
    assert_eq!(gate.status(at(32_000)).counts.would_be_capped, 3);
}

#[test]
fn a_snapshot_is_json_and_back() {
    let mut gate = gate();
    for number in 1..=3 {
        asked(&mut gate, number, "ann", "hog", 0);
        own_memory(&mut gate, number, 1_000);
    }
    let until = Some(Timestamp::MAX.plus(1));
    gate.apply(GateInput::Block { fingerprint: "f".to_owned(), until, reason: String::new() }, at(2_000));
    gate.apply(GateInput::SafeMode { until }, at(2_000));
    let text = serde_json::to_string(&gate.snapshot()).unwrap();
    let snapshot: GateSnapshot = serde_json::from_str(&text).unwrap();
    assert_eq!(snapshot, gate.snapshot());
    let mut again = Gate::restore(policy(true), LIMIT_BYTES, snapshot);
    assert_eq!(reason(&asked(&mut again, 1, "grafana", "f", 3_000)), Some(RefusalReason::Blocked));
    again.apply(GateInput::SafeMode { until: None }, at(3_000));
    assert_eq!(reason(&asked(&mut again, 2, "ann", "hog", 3_000)), Some(RefusalReason::BreakerOpen));
}

#[test]
fn a_cap_that_a_client_sets_itself_is_charged_to_nobody_and_teaches_nothing() {
    let mut gate = gate();
    let learned = |gate: &Gate| serde_json::to_value(gate.snapshot()).unwrap()["learned"].clone();
    let before = learned(&gate);
    for number in 1..=6 {
        assert_eq!(admitted(&asked(&mut gate, number, "ann", "f", 0)), [number]);
        let ended = Ended {
            exception_code: Some(241),
            exception: Some("Query memory limit exceeded: would use 2 MiB, maximum: 1 MiB".to_owned()),
            own_caps: vec![Offence::Memory],
            ..Ended::default()
        };
        gate.apply(GateInput::Ended(number, ended), at(0));
    }
    assert!(gate.status(at(0)).breakers.is_empty());
    assert_eq!(learned(&gate), before);
    assert!(before.is_object(), "{before}");
}
