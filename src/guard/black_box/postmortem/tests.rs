//! Postmortems of made-up crashes: who is named, and when nobody is.

use super::*;
use crate::guard::black_box::look::{QueryInFlight, QueryKind};

const MIB: u64 = 1 << 20;
const LIMIT: u64 = 2_048 * MIB;

fn query(id: &str, user: &str, memory_mib: u64, elapsed_ms: i64) -> QueryInFlight {
    QueryInFlight {
        query_id: Text::from(id),
        fingerprint: Text::from(id.split('-').next().unwrap()),
        text: Text::from(format!("SELECT {id}")),
        user: Text::from(user),
        kind: QueryKind::Select,
        initial: true,
        origin: Some(Text::from("dashboard /usage")),
        version: Some(Text::from("2.1")),
        memory_bytes: memory_mib * MIB,
        memory_peak_bytes: memory_mib * MIB,
        elapsed_ms,
        ..QueryInFlight::default()
    }
}

fn look(second: u64, queries: Vec<QueryInFlight>) -> Look {
    let at = Timestamp::from_millis(1_772_000_000_000 + second as i64 * 1_000);
    Look {
        at,
        server_ms: at.as_millis(),
        uptime_seconds: 5_000 + second,
        memory_used_bytes: 200 * MIB + queries.iter().map(|query| query.memory_bytes).sum::<u64>(),
        memory_limit_bytes: LIMIT,
        merges_memory_bytes: 0,
        in_flight: queries.len() as u64,
        queries,
    }
}

/// An export that holds much, dashboards that come and go, and from second 30 on what `add` gives.
fn story(seconds: u64, add: impl Fn(u64) -> Option<QueryInFlight>) -> Vec<Entry> {
    (0..seconds)
        .map(|second| {
            let mut queries = vec![query("export-1", "batch", 700, second as i64 * 1_000 + 60_000)];
            queries.push(query(&format!("panel-{}", second / 2), "grafana", 60, second as i64 % 2 * 1_000 + 100));
            queries.extend(add(second));
            Entry::Look(look(second, queries))
        })
        .collect()
}

fn crashed(mut entries: Vec<Entry>) -> Vec<Entry> {
    let second = entries.len() as u64 + 8;
    let at = Timestamp::from_millis(1_772_000_000_000 + second as i64 * 1_000 - 5_000);
    entries.push(Entry::LookFailed { at, code: Text::from("unreachable"), why: "connection refused".to_owned() });
    entries.push(Entry::Look(Look { uptime_seconds: 2, ..look(second, Vec::new()) }));
    entries
}

fn asked(entries: &[Entry]) -> Postmortem {
    postmortem(entries, None, 0.05, true).unwrap()
}

#[test]
fn a_growing_newcomer_is_named_before_a_larger_steady_export() {
    let steps = [20, 45, 437, 437, 437, 560];
    let entries = crashed(story(36, |second| {
        let step = steps.get(second.checked_sub(30)? as usize)?;
        Some(query("killer-9", "analyst", *step, (second as i64 - 30) * 1_000 + 200))
    }));
    let report = asked(&entries);
    assert_eq!((report.verdict, report.confidence), (Verdict::Query, Confidence::High));
    let first = &report.queries[0];
    assert_eq!(first.suspect.query.query_id, "killer-9");
    assert!(report.queries[1].suspect.score * LEAD_TIMES < first.suspect.score);
    insta::assert_snapshot!(format!("{}\n\n{}", report.summary, reasons(&report)));
    assert_eq!(report.before[0].fingerprint, "panel");
    assert_eq!((report.crash.kind, report.looks), (CrashKind::Restarted, 36));
}

fn reasons(report: &Postmortem) -> String {
    let line = |query: &RankedQuery| format!("{}: {}", query.suspect.query.query_id, query.why.join("; "));
    report.queries.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_server_killed_from_outside_while_calm_has_no_killer() {
    let report = asked(&crashed(story(40, |_| None)));
    assert_eq!(report.verdict, Verdict::Calm, "{}", report.summary);
    assert!(report.summary.contains("from outside"));
    let idle = crashed((0..10).map(|second| Entry::Look(look(second, Vec::new()))).collect());
    assert_eq!(asked(&idle).verdict, Verdict::NothingInFlight);
}

#[test]
fn merges_that_hold_the_memory_are_named() {
    let merging = |second| Look {
        merges_memory_bytes: 1_500 * MIB,
        memory_used_bytes: 1_800 * MIB,
        ..look(second, vec![query("panel-1", "grafana", 60, 100)])
    };
    let report = asked(&crashed((0..10).map(|second| Entry::Look(merging(second))).collect()));
    assert_eq!(report.verdict, Verdict::Merges, "{}", report.summary);
}

#[test]
fn a_usual_query_beside_large_merges_is_not_blamed_nor_is_nobody() {
    let full = |second: u64, queries: Vec<QueryInFlight>| Look {
        merges_memory_bytes: 1_434 * MIB,
        memory_used_bytes: 1_843 * MIB,
        ..look(second, queries)
    };
    // A run of 120 MiB ends every five seconds; the last one is as the others.
    let usual = |second: u64| query(&format!("report-{}", second / 5), "app", 120, second as i64 % 5 * 1_000 + 500);
    let entries = crashed((0..24).map(|second| Entry::Look(full(second, vec![usual(second)]))).collect());
    let report = asked(&entries);
    assert_eq!((report.verdict, report.confidence), (Verdict::Merges, Confidence::Medium), "{}", report.summary);
    let nobody = crashed((0..10).map(|second| Entry::Look(full(second, Vec::new()))).collect());
    assert_eq!(asked(&nobody).verdict, Verdict::Merges);
}

#[test]
fn a_newcomer_that_was_killed_before_has_no_custom() {
    // Three runs grow to 900 MiB, are told to stop, and come again; the fourth takes the server with it.
    let entries = story(60, |second| {
        let age = second.checked_sub(40)? % 5;
        Some(query(&format!("report-{}", second / 5), "app", 200 * age + 100, age as i64 * 1_000 + 100))
    });
    let told = |entry: Entry| match entry.look() {
        Some(look) if look.queries.iter().any(|query| query.memory_bytes == 900 * MIB) => {
            let query_id = look.queries.iter().find(|query| query.memory_bytes == 900 * MIB).unwrap().query_id.clone();
            vec![Entry::Killed { at: look.at, query_id }, entry]
        }
        _ => vec![entry],
    };
    let report = asked(&crashed(entries.into_iter().flat_map(told).collect()));
    assert_eq!((report.verdict, report.confidence), (Verdict::Query, Confidence::High), "{}", report.summary);
    let first = &report.queries[0].suspect;
    assert_eq!((first.query.fingerprint.as_str(), first.usual_memory_bytes), ("report", None));
}

#[test]
fn runs_that_died_of_their_own_limit_are_no_custom() {
    // Three runs grow to 700 MiB and are gone at the next look; with a limit of 850 MiB that was their end, without one
    // they were done. The fourth takes the server with it.
    let usual = |limit_mib: u64| {
        let entries = story(60, |second| {
            let age = second.checked_sub(40)? % 4;
            let report = query(&format!("report-{}", second / 4), "app", 200 * age + 100, age as i64 * 1_000 + 100);
            Some(QueryInFlight { memory_limit_bytes: limit_mib * MIB, ..report })
        });
        let report = asked(&crashed(entries));
        report.queries[0].suspect.usual_memory_bytes.map(|bytes| bytes / MIB)
    };
    assert_eq!((usual(850), usual(0), usual(4_000)), (None, Some(700), Some(700)));
}

#[test]
fn an_orderly_stop_is_no_crash_of_a_query() {
    let mut entries = crashed(story(40, |_| None));
    let at = entries[entries.len() - 1].at();
    entries.push(Entry::Restarted { at, unclean: Some(false) });
    assert_eq!(asked(&entries).verdict, Verdict::StoppedInOrder);
}

#[test]
fn a_pattern_that_always_takes_as_much_is_a_victim() {
    // Runs of 3 s that take 500 MiB each time and end; the newcomer has less, but nothing explains it.
    let entries = crashed(story(40, |second| Some(query(&format!("heavy-{}", second / 3), "app", 500, 900))));
    let mut with_newcomer = entries.clone();
    if let Entry::Look(last) = &mut with_newcomer[39] {
        last.queries.push(query("late-1", "analyst", 420, 700));
        last.memory_used_bytes += 420 * MIB;
    }
    assert_eq!(asked(&with_newcomer).queries[0].suspect.query.query_id, "late-1");
    let heavy = asked(&entries).queries.into_iter().find(|query| query.suspect.query.fingerprint == "heavy").unwrap();
    assert!(heavy.suspect.is_usual());
}

#[test]
fn runs_cut_off_by_a_crash_do_not_make_their_memory_usual() {
    let killer = |second: u64| Some(query("killer-1", "analyst", 300 * second.checked_sub(37)?, 1_000));
    let mut entries = crashed(story(40, killer));
    let shift = 60;
    for second in 0..20_u64 {
        let mut queries = vec![query("panel-99", "grafana", 60, 100)];
        if second >= 17 {
            queries.push(query("killer-2", "analyst", 300 * (second - 16), (second as i64 - 17) * 1_000 + 100));
        }
        entries.push(Entry::Look(Look { uptime_seconds: second + 10, ..look(shift + second, queries) }));
    }
    let mut given_up = |second: i64| {
        let at = Timestamp::from_millis(1_772_000_000_000 + second * 1_000);
        entries.push(Entry::LookFailed { at, code: Text::from("timed_out"), why: "no answer".to_owned() });
        asked(&entries)
    };
    // A server that was just started may take its time: that is not yet another crash.
    assert_eq!(given_up(81).crash.kind, CrashKind::Restarted);
    assert_eq!(given_up(85).crash.kind, CrashKind::Restarted);
    let report = given_up(86);
    assert_eq!((report.crash.kind, report.verdict), (CrashKind::Unreachable, Verdict::Query));
    assert_eq!(report.queries[0].suspect.query.query_id, "killer-2");
    assert_eq!(report.queries[0].suspect.usual_memory_bytes, None);
    // The earlier crash is found by its time, and a quiet time gives what ran then.
    let at = |second: i64| Some(Timestamp::from_millis(1_772_000_000_000 + second * 1_000));
    let earlier = postmortem(&entries, at(41), 0.05, true).unwrap();
    assert_eq!(earlier.queries[0].suspect.query.query_id, "killer-1");
    let later = postmortem(&entries, at(10_000), 0.05, true).unwrap();
    assert_eq!(later.crash.kind, CrashKind::AskedFor);
    assert_eq!(postmortem(&entries, at(-1), 0.05, true).map(|report| report.crash.kind), Some(CrashKind::Restarted));
}

#[test]
fn records_that_end_are_a_crash_only_when_nobody_stopped_or_still_writes() {
    let mut entries = story(10, |_| None);
    assert_eq!(postmortem(&entries, None, 0.05, true), None, "a guard still writes");
    let ended = postmortem(&entries, None, 0.05, false).unwrap();
    assert_eq!(ended.crash.kind, CrashKind::RecordsEnd);
    entries.push(Entry::Ended { at: Timestamp::from_millis(1_772_000_011_000) });
    assert_eq!(postmortem(&entries, None, 0.05, false), None, "it was stopped in order");
    assert_eq!(postmortem(&[], None, 0.05, false), None);
}

#[test]
fn a_server_that_refuses_the_guard_is_not_gone() {
    let killer = |second: u64| Some(query("killer-1", "analyst", 300 * second.checked_sub(5)?, 1_000));
    let failed = |second: i64, code: &str| {
        let at = Timestamp::from_millis(1_772_000_000_000 + second * 1_000);
        Entry::LookFailed { at, code: Text::from(code), why: format!("it said {code}") }
    };
    let mut entries = story(10, killer);
    entries.push(failed(10, "authentication_failed"));
    entries.push(failed(11, "authentication_failed"));
    assert_eq!(postmortem(&entries, None, 0.05, true), None, "a changed password kills no server");
    let refused = looks_refused(&entries).unwrap();
    assert_eq!((refused.since, refused.why.as_str()), (entries[10].at(), "it said authentication_failed"));
    // A machine that dies while its server has no memory for the guard's query dies all the same.
    let ended = postmortem(&entries, None, 0.05, false).unwrap();
    assert_eq!((ended.crash.kind, ended.verdict), (CrashKind::RecordsEnd, Verdict::Query));
    entries.push(failed(100, "authentication_failed"));
    assert_eq!(postmortem(&entries, None, 0.05, false), None, "nobody knows what ran in the end");
    entries.push(failed(101, "unreachable"));
    let gone = postmortem(&entries, None, 0.05, true).unwrap();
    assert_eq!((gone.crash.kind, gone.crash.failed_at), (CrashKind::Unreachable, Some(entries[13].at())));
    assert_eq!(looks_refused(&entries), None);
    entries.push(Entry::Look(look(102, Vec::new())));
    assert_eq!(postmortem(&entries, None, 0.05, true), None);
}
