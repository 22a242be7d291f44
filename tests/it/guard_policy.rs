//! A guard's policy on a real engine: each hole is closed, each cap holds, and plan, apply and drift agree.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use floodmark::local::{LocalClickHouse, LocalClickHouseOptions, LocalGuard};
use serde_json::Value;

use crate::support::clickhouse::{client, options};
use crate::support::guard_policy::{Guarded, LIMIT_BYTES, ask, desired, engine, fill, policy_text};

/// Setting, value, code: what a reader tries, and how it is refused. 164: not with readonly; 452: not within the range.
const WAYS_OUT: [(&str, &str, u32); 23] = [
    ("max_memory_usage", "0", 452),
    ("max_memory_usage", "1000000000", 452),
    ("max_memory_usage_for_user", "0", 164),
    ("memory_overcommit_ratio_denominator", "0", 164),
    ("memory_overcommit_ratio_denominator_for_user", "0", 164),
    ("max_untracked_memory", "1000000000", 164),
    ("max_bytes_before_external_group_by", "0", 452),
    ("max_bytes_before_external_sort", "0", 452),
    ("max_temporary_data_on_disk_size_for_query", "0", 452),
    // 0 is what holds where bytes do, and so no change.
    ("max_rows_to_read", "6000000", 452),
    ("max_bytes_to_read", "0", 452),
    ("max_result_rows", "0", 452),
    ("max_execution_time", "0", 452),
    ("max_execution_time", "3", 452),
    ("max_threads", "0", 452),
    ("max_threads", "64", 452),
    ("readonly", "0", 164),
    ("readonly", "2", 164),
    ("workload", "default", 164),
    ("workload", "no_such_workload", 164),
    ("group_by_overflow_mode", "any", 164),
    ("timeout_overflow_mode", "break", 164),
    ("cancel_http_readonly_queries_on_client_close", "0", 164),
];

fn is_refused(answer: &str, code: u32) -> bool {
    answer.contains(&format!("Code: {code}. DB::Exception"))
}

#[tokio::test]
async fn a_reader_cannot_switch_off_or_raise_what_holds_it() {
    let guarded = Guarded::shared();
    for (setting, value, code) in WAYS_OUT {
        let answer = guarded.ask("grafana", "SELECT count() FROM guarded.t", &[(setting, value)]).await;
        assert!(is_refused(&answer, code), "{setting}={value} in the URL: {answer}");
        let value = if value.parse::<u64>().is_ok() { value.to_owned() } else { format!("'{value}'") };
        let sql = format!("SELECT count() FROM guarded.t SETTINGS {setting} = {value}");
        let answer = guarded.ask("grafana", &sql, &[]).await;
        assert!(is_refused(&answer, code), "{sql}: {answer}");
    }
}

#[tokio::test]
async fn a_reader_may_lower_its_caps_and_say_who_it_is() {
    let guarded = Guarded::shared();
    let free = [("max_memory_usage", "20000000"), ("max_execution_time", "1"), ("log_comment", "{\"version\":\"1\"}")];
    let free = [&free[..], &[("session_timezone", "Europe/Paris")]].concat();
    assert_eq!(guarded.ask("grafana", "SELECT max(n) FROM guarded.t", &free).await, "99999\n");
}

#[tokio::test]
async fn a_reader_reads_its_databases_and_nothing_else() {
    let guarded = Guarded::shared();
    for sql in [
        "INSERT INTO guarded.t VALUES (1, '')",
        "DROP TABLE guarded.t",
        "CREATE TABLE guarded.u (n Int8) ENGINE = Memory",
    ] {
        let answer = guarded.ask("grafana", sql, &[]).await;
        assert!(is_refused(&answer, 164) || is_refused(&answer, 497), "{sql}: {answer}");
    }
    let answer = guarded.ask("grafana", "SELECT count() FROM system.query_log", &[]).await;
    assert!(is_refused(&answer, 497) || is_refused(&answer, 60), "{answer}");
    assert_eq!(guarded.ask("jupyter", "SELECT count() > 0 FROM guarded.t", &[]).await, "1\n");
    assert!(is_refused(&ask(&guarded.url, "grafana", "guess", "SELECT 1", &[]).await, 516));
}

#[tokio::test]
async fn each_cap_refuses_with_its_own_code() {
    let guarded = Guarded::shared();
    for (user, sql, code) in [
        ("jupyter", "SELECT length(groupArray(toString(number))) FROM numbers(3000000)", 241),
        ("jupyter", "SELECT sum(number) FROM numbers(6000000)", 158),
        ("grafana", "SELECT sum(number) FROM numbers(4500000)", 307),
        (
            "grafana",
            "SELECT count() FROM numbers(100000) AS a, numbers(100000) AS b WHERE cityHash64(a.number, b.number) = 7",
            159,
        ),
        ("grafana", "SELECT number FROM numbers(2000)", 396),
        // It spills, and further than it may.
        ("grafana", "SELECT count() FROM (SELECT number AS k, count() FROM numbers(2000000) GROUP BY k)", 396),
    ] {
        let answer = guarded.ask(user, sql, &[]).await;
        assert!(is_refused(&answer, code), "{code} of {sql}: {answer}");
    }
}

#[tokio::test]
async fn a_query_spills_at_its_cap_where_it_would_die_without() {
    let guarded = Guarded::shared();
    let sql = "SELECT count(), sum(c) FROM (SELECT number AS k, count() AS c FROM numbers(3000000) GROUP BY k)";
    assert_eq!(guarded.ask("jupyter", sql, &[]).await, "3000000\t3000000\n");
    let admin = &guarded.users.admin;
    let cap = (LIMIT_BYTES / 20).to_string();
    let without = [
        ("max_memory_usage", cap.as_str()),
        ("max_threads", "1"),
        ("max_bytes_before_external_group_by", "0"),
        ("max_bytes_ratio_before_external_group_by", "0"),
    ];
    let answer = ask(&guarded.url, admin.user, &admin.password, sql, &without).await;
    assert!(is_refused(&answer, 241), "the same query without spilling: {answer}");
}

#[tokio::test]
async fn a_quota_counts_the_user_whatever_key_the_client_chooses() {
    let guarded = Guarded::shared();
    let mut refused = 0;
    for key in 0..8 {
        let answer =
            guarded.ask("counted", "SELECT min(n) FROM guarded.t", &[("quota_key", &format!("key-{key}"))]).await;
        refused += u32::from(is_refused(&answer, 201));
    }
    assert_eq!(refused, 3, "5 of 8 queries are in the hour's budget");
}

#[tokio::test]
async fn inserts_go_on_while_reads_fill_their_slots_and_their_queue() {
    let guarded = Guarded::shared();
    // One runs, one waits, one is refused at once: from then on the class is full.
    let mut reads = tokio::task::JoinSet::new();
    for _ in 0..3 {
        reads.spawn(guarded.ask("jupyter", "SELECT sleep(3)", &[]));
    }
    let refused = reads.join_next().await.unwrap().unwrap();
    assert!(is_refused(&refused, 745), "{refused}");
    for number in 0..5 {
        let sql = format!("INSERT INTO guarded.t VALUES ({}, 'late')", 1_000_000 + number);
        assert_eq!(guarded.ask("loader", &sql, &[]).await, "");
        assert!(reads.try_join_next().is_none(), "a slot came free, and nothing was shown");
    }
    assert_eq!(guarded.ask("grafana", "SELECT 1", &[]).await, "1\n", "another class has slots of its own");
    assert_eq!(reads.join_all().await, ["0\n", "0\n"]);
}

#[tokio::test]
async fn workloads_are_there_again_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path(), true).await;
    let admin = client(engine.url(), &engine.users().admin, "guarded");
    fill(&admin).await;
    let pid = |engine: &LocalClickHouse| match &*engine.state().borrow() {
        floodmark::local::EngineState::Running { pid, .. } => Some(*pid),
        _ => None,
    };
    let first = pid(&engine).unwrap();
    // SAFETY: sends a signal to a child of this test; no memory is involved.
    assert_eq!(unsafe { libc::kill(i32::try_from(first).unwrap(), libc::SIGKILL) }, 0);
    let mut state = engine.state();
    let again =
        state.wait_for(|state| matches!(state, floodmark::local::EngineState::Running { pid, .. } if *pid != first));
    tokio::time::timeout(std::time::Duration::from_secs(90), again).await.unwrap().unwrap();
    #[derive(serde::Deserialize)]
    struct Row {
        name: String,
    }
    // They are made before the engine is said to run.
    let rows: Vec<Row> = admin.fetch("SELECT name FROM system.workloads ORDER BY name", &[]).await.unwrap();
    let mut wanted: Vec<String> = desired().workloads.into_iter().map(|workload| workload.name).collect();
    wanted.sort();
    assert_eq!(rows.into_iter().map(|row| row.name).collect::<Vec<_>>(), wanted);
    assert_eq!(ask(engine.url(), "jupyter", "narrow-secret", "SELECT 1", &[]).await, "1\n");
    engine.shutdown().await.unwrap();
}

/// A policy file for an engine, and the command on it.
struct Policy {
    path: PathBuf,
}

impl Policy {
    fn new(directory: &Path) -> Self {
        Self { path: directory.join("guard.toml") }
    }

    /// Writes it for the engine's administrator, with `changes`: each replaces a text by another.
    fn write(&self, engine: &LocalClickHouse, changes: &[(&str, &str)]) -> &Self {
        let admin = &engine.users().admin;
        let server = format!("url = '{}'\nuser = '{}'\npassword = '{}'", engine.url(), admin.user, admin.password);
        let mut text = policy_text(&server);
        for (old, new) in changes {
            assert!(text.contains(old), "{old}");
            text = text.replace(old, new);
        }
        std::fs::write(&self.path, text).unwrap();
        self
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_floodmark"));
        command.args(["guard", "--policy"]).arg(&self.path).args(arguments).stdin(Stdio::null());
        command.env_remove("FLOODMARK_CONFIG").env_remove("FLOODMARK_GUARD_POLICY");
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// Code and JSON of a command.
    async fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.run(&[arguments, &["--output", "json"]].concat()).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let json =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {said}"));
        (output.status.code().unwrap(), json)
    }
}

/// `action kind name` of each change of a plan.
fn changes(plan: &Value) -> Vec<String> {
    let text = |change: &Value, key: &str| change[key].as_str().unwrap().to_owned();
    let changes = plan["changes"].as_array().unwrap().iter();
    changes.map(|change| ["action", "kind", "name"].map(|key| text(change, key)).join(" ")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plan_apply_plan_is_empty_and_drift_finds_what_was_changed_by_hand() {
    let directory = tempfile::tempdir().unwrap();
    let policy = Policy::new(directory.path());
    let xml_path = directory.path().join("users-of-the-guard.xml");
    let xml = xml_path.to_str().unwrap();
    let engine_directory = directory.path().join("engine");

    let first = engine(&engine_directory, false).await;
    policy.write(&first, &[]);
    let (code, planned) = policy.json(&["plan"]).await;
    let all = changes(&planned["plan"]);
    assert_eq!((code, all.len()), (0, 3 + 4 + 1 + 6 + 1 + 4), "{all:#?}");
    assert!(all.iter().all(|change| change.starts_with("create ")), "{all:#?}");
    assert_eq!(planned["sql_access_management"], false);
    assert_eq!(policy.json(&["drift"]).await.0, 1);
    for (arguments, message) in [(&["apply"][..], "--users-xml"), (&["apply", "--users-xml", xml], "--yes")] {
        let output = policy.run(arguments).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(64) && said.contains(message), "{arguments:?}: {said}");
    }
    let (code, applied) = policy.json(&["apply", "--yes", "--users-xml", xml]).await;
    assert_eq!((code, &applied["users_xml"]["written"]), (0, &Value::Bool(true)), "{applied:#}");
    assert_eq!(applied["statements"].as_array().unwrap().len(), 7, "the workloads and the resource");
    let (code, again) = policy.json(&["apply", "--yes", "--users-xml", xml]).await;
    assert_eq!(
        (code, &again["statements"], &again["users_xml"]["written"]),
        (0, &Value::Array(Vec::new()), &Value::Bool(false))
    );
    first.shutdown().await.unwrap();

    let users_xml = std::fs::read_to_string(&xml_path).unwrap();
    assert_eq!(users_xml, desired().users_xml());
    let guard = Some(LocalGuard { users_xml, workload_statements: desired().workload_statements() });
    let second = LocalClickHouse::start(LocalClickHouseOptions { guard, ..options(&engine_directory) }).await.unwrap();
    policy.write(&second, &[]);
    let (code, drift) = policy.json(&["drift"]).await;
    assert_eq!((code, changes(&drift["plan"])), (0, Vec::new()), "{drift:#}");
    let output = policy.run(&["apply"]).await;
    assert!(output.status.success(), "nothing to do needs neither file nor answer: {output:?}");

    let admin = client(second.url(), &second.users().admin, "guarded");
    let by_hand = "CREATE OR REPLACE WORKLOAD floodmark_guard_narrow IN floodmark_guard_reads SETTINGS max_concurrent_queries = 100";
    admin.execute(by_hand).await.unwrap();
    let (code, drift) = policy.json(&["drift"]).await;
    assert_eq!((code, changes(&drift["plan"])), (1, vec!["change workload floodmark_guard_narrow".to_owned()]));
    assert_eq!(policy.json(&["apply", "--yes"]).await.0, 0);
    assert_eq!(policy.json(&["drift"]).await.0, 0);

    policy.write(&second, &[("loader-secret", "a-new-secret")]);
    let (code, drift) = policy.json(&["drift"]).await;
    assert_eq!((code, changes(&drift["plan"])), (1, vec!["change user loader".to_owned()]));

    let text = std::fs::read_to_string(&policy.path).unwrap();
    let (before, rest) = text.split_once("[classes.narrow]").unwrap();
    let (_, rest) = rest.split_once("[classes.ingest]").unwrap();
    let (tenants, after) = rest.split_once("[tenants.narrow]").unwrap();
    let (_, after) = after.split_once("[tenants.loader]").unwrap();
    let shorter =
        format!("{before}[classes.ingest]{tenants}[tenants.loader]{after}").replace("a-new-secret", "loader-secret");
    std::fs::write(&policy.path, shorter).unwrap();
    let (_, gone) = policy.json(&["plan"]).await;
    assert_eq!(
        changes(&gone["plan"]),
        [
            "remove user jupyter",
            "remove workload floodmark_guard_narrow",
            "remove role floodmark_guard_narrow",
            "remove profile floodmark_guard_narrow",
        ]
    );
    let (code, applied) = policy.json(&["apply", "--yes", "--users-xml", xml]).await;
    assert_eq!((code, applied["statements"].as_array().unwrap().len()), (0, 1), "{applied:#}");
    assert!(!std::fs::read_to_string(&xml_path).unwrap().contains("jupyter"));
    second.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_policy_with_holes_is_refused_before_anything_is_asked() {
    let directory = tempfile::tempdir().unwrap();
    let policy = Policy::new(directory.path());
    let text = policy_text("url = 'http://127.0.0.1:1'").replace("spill_share_min = 0.0125", "spill_share_min = 0.02");
    std::fs::write(&policy.path, text.replace("password = 'loader-secret'", "password_file = '/no/such/file'"))
        .unwrap();
    for command in ["plan", "apply", "drift"] {
        let output = policy.run(&[command]).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{said}");
        for key in [
            "3 holes",
            "classes.dashboard.spill_share_min",
            "classes.narrow.spill_share_min",
            "tenants.loader.password_file",
        ] {
            assert!(said.contains(key), "{key} not in {said}");
        }
    }
    std::fs::write(&policy.path, policy_text("url = 'http://127.0.0.1:1'")).unwrap();
    let output = policy.run(&["plan"]).await;
    assert_eq!(output.status.code(), Some(1), "a server that is away is no fault of the policy");
    let xml = directory.path().join("guard.xml");
    let output = policy.run(&["apply", "--offline", "--users-xml", xml.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(&xml).unwrap(), desired().users_xml());
    let statements: String =
        desired().workload_statements().iter().map(|statement| format!("{statement};\n")).collect();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), statements);
}

#[tokio::test]
async fn a_user_of_somebody_else_is_never_changed() {
    let directory = tempfile::tempdir().unwrap();
    let policy = Policy::new(directory.path());
    let engine = engine(&directory.path().join("engine"), false).await;
    policy.write(&engine, &[("user = 'jupyter'", "user = 'reader'")]);
    let output = policy.run(&["plan"]).await;
    assert!(String::from_utf8_lossy(&output.stdout).contains("! user reader\n"), "{output:?}");
    let xml = directory.path().join("guard.xml");
    let output = policy.run(&["apply", "--yes", "--users-xml", xml.to_str().unwrap()]).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("user `reader`"), "{said}");
    assert!(!xml.exists(), "nothing is done while something is in the way");
    engine.shutdown().await.unwrap();
}

/// What the help of `guard plan` and docs/guard.md say that the guard's user needs where users come from a file.
const GUARDIAN: &str =
    "<clickhouse><users><guardian><password>pw</password><profile>default</profile><quota>default</quota>
<grants><query>GRANT SHOW ACCESS ON *.*</query><query>GRANT SELECT ON system.*</query>
<query>GRANT CREATE WORKLOAD, DROP WORKLOAD, CREATE RESOURCE, DROP RESOURCE ON *.*</query></grants>
</guardian></users></clickhouse>";

#[tokio::test]
async fn the_guards_user_needs_no_more_rights_than_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let guard = Some(LocalGuard { users_xml: GUARDIAN.to_owned(), workload_statements: Vec::new() });
    let options = LocalClickHouseOptions { guard, ..options(&directory.path().join("engine")) };
    let engine = LocalClickHouse::start(options).await.unwrap();
    let policy = Policy::new(directory.path());
    let server = format!("url = '{}'\nuser = 'guardian'\npassword = 'pw'", engine.url());
    std::fs::write(&policy.path, policy_text(&server)).unwrap();
    assert_eq!(policy.json(&["plan"]).await.0, 0);
    let xml = directory.path().join("guard.xml");
    let (code, applied) = policy.json(&["apply", "--yes", "--users-xml", xml.to_str().unwrap()]).await;
    assert_eq!((code, applied["statements"].as_array().unwrap().len()), (0, 7), "{applied:#}");
    engine.shutdown().await.unwrap();
}
