//! Black box and watchdog on a real ClickHouse that is killed, and one that fills up.

use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::Duration;

use floodmark::guard::black_box::{Entry, is_written, read_entries};
use floodmark::guard::watch::WatchEvent;
use floodmark::local::Credentials;
use serde_json::Value;

use crate::cli_contract::floodmark;
use crate::support::clickhouse::shared_engine;
use crate::support::guard::{Application, GuardedEngine, RunningWatch, Statement, kill_9, policy_text, until};

const MIB: u64 = 1 << 20;
/// Seeds of an ordinary run; `FLOODMARK_GUARD_SEEDS=20` asks for the first twenty, `FLOODMARK_GUARD_SEEDS=21-40` for others.
const SEEDS: &str = "3";

fn seeds() -> std::ops::RangeInclusive<u64> {
    let asked = std::env::var("FLOODMARK_GUARD_SEEDS").unwrap_or_else(|_| SEEDS.to_owned());
    let (first, last) = asked.split_once('-').unwrap_or(("1", &asked));
    first.parse().unwrap()..=last.parse().unwrap()
}

/// What a seed decides.
struct Plan {
    seed: u64,
    /// What a long export holds, from before the killer begins.
    export_mib: u64,
    /// How fast the killer grows.
    killer_mib_per_second: u64,
    /// What it holds when the server is killed: from two thirds of what the export holds on.
    killer_mib: u64,
    panels: u64,
}

impl Plan {
    fn of(seed: u64) -> Self {
        // SplitMix64: neighbouring seeds give unlike plans.
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut next = |from: u64, to: u64| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            from + (mixed ^ (mixed >> 27)) % (to - from)
        };
        let export_mib = next(150, 400);
        Self {
            seed,
            export_mib,
            killer_mib_per_second: next(80, 220),
            killer_mib: next(export_mib * 2 / 3, export_mib * 3 / 2).max(150),
            panels: next(1, 4),
        }
    }
}

fn statement(engine: &GuardedEngine, user: &Credentials, id: &str, app: &str, version: &str, sql: &str) -> Statement {
    Statement {
        url: engine.engine.url().to_owned(),
        user: user.clone(),
        query_id: id.to_owned(),
        comment: format!(r#"{{"app":"{app}","version":"{version}","subscription":"sub-{app}"}}"#),
        sql: sql.to_owned(),
    }
}

/// The killer: gains so much a second.
fn growing(engine: &GuardedEngine, mib_per_second: u64) -> Statement {
    let pause_seconds = 1.0 / mib_per_second as f64;
    let sql = format!(
        "SELECT length(groupArray(concat(repeat('k', 1000000), toString(number)))) FROM numbers(3000)
         WHERE sleepEachRow({pause_seconds:.4}) = 0 SETTINGS max_block_size = 10, max_threads = 1"
    );
    statement(engine, &engine.engine.users().reader, "killer", "analysis", "9.0", &sql)
}

/// Holds so much, and goes on holding it for so many hundredths of a second.
fn export(engine: &GuardedEngine, id: &str, mib: u64, hundredths: u64) -> Statement {
    let sql = format!(
        "SELECT sum(length(value)) FROM
           (SELECT number AS key FROM numbers({hundredths}) WHERE sleepEachRow(0.01) = 0) AS slow
         INNER JOIN (SELECT number AS key, repeat('e', 1000000) AS value FROM numbers({mib})) AS held USING key
         SETTINGS max_block_size = 50, max_threads = 1"
    );
    statement(engine, &engine.engine.users().reader, id, "nightly", "2.0", &sql)
}

/// Dashboards and inserts that harm nobody.
fn ordinary(engine: &GuardedEngine, panels: u64) -> (Vec<Application>, Application) {
    let users = engine.engine.users();
    let panel = |number: u64| {
        let keys = 100_000 * number;
        let sql = format!("SELECT uniqExact(number) AS panel_{number} FROM numbers({keys}) SETTINGS max_threads = 1");
        let id = format!("panel-{number}");
        statement(engine, &users.reader, &id, "dashboard", "2.1", &sql).repeat(Duration::from_millis(50))
    };
    let sql = "INSERT INTO t_guard.events SELECT number, 'text' FROM numbers(100)";
    let inserts = statement(engine, &users.writer, "insert", "loader", "1.0", sql);
    ((1..=panels).map(panel).collect(), inserts.repeat(Duration::from_millis(20)))
}

fn postmortem(policy: &std::path::Path) -> Value {
    let mut command = floodmark();
    let output = command.args(["guard", "postmortem", "--output", "json", "--policy"]).arg(policy).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn restarted(event: &WatchEvent) -> Option<(Option<bool>, Vec<String>)> {
    match event {
        WatchEvent::Restarted { unclean, suspects, .. } => Some((*unclean, suspects.clone())),
        _ => None,
    }
}

/// Kills an engine under load, with a killer among well-behaved queries; gives what the postmortem says.
async fn killed_under_load(plan: &Plan) -> Value {
    let engine = GuardedEngine::start(2_048 * MIB).await;
    let policy = engine.policy_file(false);
    let mut watch = RunningWatch::start(&policy);
    let (_panels, _inserts) = ordinary(&engine, plan.panels);
    let export = export(&engine, "export", plan.export_mib, 100_000).begin();
    engine.until_memory("export", plan.export_mib * MIB * 9 / 10).await;
    watch.looks(10).await;
    let killer = growing(&engine, plan.killer_mib_per_second).begin();
    engine.until_memory("killer", plan.killer_mib * MIB).await;
    // One look of a second or less: a query that no look saw is nobody's to name.
    watch.looks(1).await;
    engine.kill();
    let (unclean, suspects) = watch.until("the restart", restarted).await;
    assert_eq!(unclean, Some(true), "seed {}", plan.seed);
    watch.stop().await;
    let report = postmortem(&policy);
    let killer_seen = report["queries"].as_array().unwrap().iter().find(|query| query["query_id"] == "killer");
    let killer_seen = killer_seen.unwrap_or_else(|| panic!("seed {}: {report:#}", plan.seed));
    let fingerprint = killer_seen["fingerprint"].as_str().unwrap();
    assert!(suspects.iter().any(|suspect| suspect == fingerprint), "{suspects:?}");
    for ended in [export, killer] {
        assert!(ended.await.unwrap().is_err(), "the server died under it");
    }
    engine.engine.shutdown().await.unwrap();
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_under_load_the_postmortem_names_the_planted_killer_first() {
    let (mut named, mut count) = (0, 0);
    for seed in seeds() {
        count += 1;
        let plan = Plan::of(seed);
        let report = killed_under_load(&plan).await;
        let first = &report["queries"][0];
        let right = first["query_id"] == "killer" && report["verdict"] == "query";
        named += u32::from(right);
        eprintln!(
            "seed {seed}: export {} MiB, killer {} MiB at {} MiB/s: {} {}",
            plan.export_mib,
            plan.killer_mib,
            plan.killer_mib_per_second,
            if right { "named" } else { "MISSED" },
            report["summary"]
        );
        if right {
            assert_eq!((&first["origin"], &first["version"]), (&"analysis".into(), &"9.0".into()));
            assert_eq!((&first["user"], &first["subscription"]), (&"reader".into(), &"sub-analysis".into()));
            assert!(first["slope_bytes_per_second"].as_i64().unwrap() > MIB as i64, "{first:#}");
            assert_eq!((&report["crash"]["kind"], &report["crash"]["unclean"]), (&"restarted".into(), &true.into()));
            assert!(!report["before"].as_array().unwrap().is_empty(), "dashboards had run");
        }
    }
    eprintln!("the planted killer was named first in {named} of {count} seeds");
    assert_eq!(named, count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_calm_server_that_is_killed_from_outside_has_no_killer() {
    let engine = GuardedEngine::start(2_048 * MIB).await;
    let policy = engine.policy_file(true);
    let mut watch = RunningWatch::start(&policy);
    let (_panels, _inserts) = ordinary(&engine, 2);
    watch.looks(10).await;
    engine.kill();
    watch.until("the restart", restarted).await;
    let report = postmortem(&policy);
    assert!(["calm", "nothing_in_flight"].contains(&report["verdict"].as_str().unwrap()), "{report:#}");
    watch.stop().await;
    engine.engine.shutdown().await.unwrap();
}

fn audit(engine: &GuardedEngine) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(engine.black_box().join("audit.ndjson")).unwrap();
    let line = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&value["what"]), text(&value["query"]["query_id"]))
    };
    text.lines().map(line).collect()
}

fn said(what: &[&str]) -> Vec<(String, String)> {
    what.iter().map(|what| ((*what).to_owned(), "killer".to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watchdog_kills_a_growing_query_before_the_limit_and_no_insert_fails() {
    let engine = GuardedEngine::start(1_024 * MIB).await;
    let mut watch = RunningWatch::start(&engine.policy_file(true));
    let (panels, inserts) = ordinary(&engine, 2);
    watch.looks(2).await;
    let answer = growing(&engine, 150).begin();
    let ended = watch
        .until("the end of the killer", |event| match event {
            WatchEvent::Ended { kill, after_ms, .. } => Some((kill.query.clone(), *after_ms)),
            _ => None,
        })
        .await;
    watch.looks(4).await;
    let refusal = answer.await.unwrap().unwrap_err();
    assert!(refusal.contains("QUERY_WAS_CANCELLED"), "killed, and not by the server's limit: {refusal}");
    assert_eq!(ended.0.query_id, "killer");
    assert!(ended.0.memory_bytes < 700 * MIB && ended.1 < 5_000, "{ended:?}");
    assert_eq!(inserts.failed.load(Ordering::Relaxed), 0);
    assert!(inserts.succeeded.load(Ordering::Relaxed) > 20);
    assert!(panels.iter().all(|panel| panel.failed.load(Ordering::Relaxed) == 0));
    let charged = watch.events.iter().filter_map(WatchEvent::gate_input).any(|input| {
        matches!(input, floodmark::guard::gate::GateInput::Killed { fingerprint, query_id }
            if ended.0.fingerprint == fingerprint && query_id == "killer")
    });
    assert!(charged, "the breaker hears of it");
    watch.stop().await;
    assert_eq!(audit(&engine), said(&["kill", "killed", "ended"]));
    engine.engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_shadow_mode_nothing_is_killed_and_the_audit_says_what_would_have_been() {
    let engine = GuardedEngine::start(1_024 * MIB).await;
    let mut watch = RunningWatch::start(&engine.policy_file(false));
    watch.looks(2).await;
    let answer = export(&engine, "killer", 400, 400).begin();
    let would = |event: &WatchEvent| matches!(event, WatchEvent::WouldKill { .. }).then_some(());
    watch.until("what it would have killed", would).await;
    assert_eq!(answer.await.unwrap().unwrap().trim(), "400000000", "it ran to its end");
    watch.looks(4).await;
    let text = watch.metrics.encode(floodmark::model::Timestamp::default());
    let series = |outcome: &str, count: u32| format!("floodmark_guard_kills_total{{outcome=\"{outcome}\"}} {count}\n");
    assert!(text.contains(&series("would_kill", 1)) && text.contains(&series("killed", 0)), "{text}");
    watch.stop().await;
    assert_eq!(audit(&engine), said(&["would_kill"]));
    engine.engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_is_still_looked_at() {
    let engine = GuardedEngine::start(1_024 * MIB).await;
    let mut watch = RunningWatch::start(&engine.policy_file(false));
    let mut holding = Vec::new();
    for (number, mib) in [150, 150, 150, 150, 100, 60, 40, 30, 20, 20].into_iter().enumerate() {
        let id = format!("fill-{number}");
        let fill = export(&engine, &id, mib, 100_000).begin();
        // The last ones may be too much already.
        until("it holds its part", async || {
            let held = engine.memory_of(&id).await.unwrap_or(0) >= mib * MIB * 8 / 10;
            (held || fill.is_finished()).then_some(())
        })
        .await;
        holding.push(fill);
    }
    let reader = &engine.engine.users().reader;
    let sql = "SELECT uniqExact(number) FROM numbers(3000000) SETTINGS max_threads = 1";
    let refusal = statement(&engine, reader, "victim", "dashboard", "1.0", sql).send().await.unwrap_err();
    assert!(refusal.contains("MEMORY_LIMIT_EXCEEDED"), "the server is full: {refusal}");
    watch.looks(8).await;
    let full = |event: &WatchEvent| matches!(event, WatchEvent::Memory { used_bytes, .. } if *used_bytes > 850 * MIB);
    assert!(watch.events.last().is_some_and(full), "{:?}", watch.events.last());
    watch.stop().await;
    // A busy machine may make a look late; but none is refused because memory is short.
    let refused = |entry: &Entry| matches!(entry, Entry::LookFailed { code, .. } if code == "memory_limit");
    assert!(!read_entries(&engine.black_box()).unwrap().0.iter().any(refused));
    engine.engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_black_box_survives_kill_9_of_the_guard_and_has_one_writer() {
    let directory = tempfile::tempdir().unwrap();
    let black_box = directory.path().join("guard");
    let policy = directory.path().join("guard.toml");
    let engine = shared_engine();
    std::fs::write(&policy, policy_text(&engine.url, &engine.users.admin, &black_box, false)).unwrap();
    let start = || {
        let mut command = floodmark();
        command.args(["guard", "watch", "--policy"]).arg(&policy).stderr(Stdio::piped()).spawn().unwrap()
    };
    let looks = || read_entries(&black_box).map_or(0, |(entries, _)| entries.iter().filter_map(Entry::look).count());
    let mut first = start();
    until("it has looked", async || (looks() >= 3).then_some(())).await;
    let second = start().wait_with_output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8(second.stderr).unwrap().contains("another guard writes to it"));
    kill_9(first.id());
    first.wait().unwrap();
    let before = looks();
    assert!(!is_written(&black_box));
    assert_eq!(postmortem(&policy)["crash"]["kind"], "records_end");
    let mut third = start();
    until("it goes on", async || (looks() > before + 1).then_some(())).await;
    assert!(std::process::Command::new("kill").arg(third.id().to_string()).status().unwrap().success());
    assert!(third.wait().unwrap().success());
    let (entries, not_understood) = read_entries(&black_box).unwrap();
    assert!(matches!(entries.last(), Some(Entry::Ended { .. })) && not_understood == 0);
    assert_eq!(postmortem(&policy)["crash"], Value::Null, "nothing has crashed");
}

#[tokio::test]
async fn a_server_that_refuses_the_guard_is_told_from_one_that_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let black_box = directory.path().join("guard");
    let policy = directory.path().join("guard.toml");
    let engine = shared_engine();
    let write = |user: &Credentials| {
        std::fs::write(&policy, policy_text(&engine.url, user, &black_box, false)).unwrap();
    };
    write(&engine.users.admin);
    let mut watch = RunningWatch::start(&policy);
    watch.looks(1).await;
    watch.stop().await;
    write(&Credentials { password: "changed".to_owned(), ..engine.users.admin.clone() });
    let mut watch = RunningWatch::start(&policy);
    let refused = |event: &WatchEvent| match event {
        WatchEvent::LookRefused { error, .. } => Some(error.clone()),
        _ => None,
    };
    let error = watch.until("a look is refused", refused).await;
    assert!(error.contains("AUTHENTICATION_FAILED"), "{error}");
    watch.stop().await;
    let told = postmortem(&policy);
    assert_eq!(told["crash"], Value::Null, "a changed password kills no server: {told}");
    assert!(told["looks_refused"]["why"].as_str().unwrap().contains("AUTHENTICATION_FAILED"), "{told}");
}
