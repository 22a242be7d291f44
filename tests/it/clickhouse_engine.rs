//! The local ClickHouse: starts, stops, comes back after a kill, refuses a second owner, says why it failed.

use std::time::Duration;

use floodmark::local::{EngineState, LocalClickHouse, LocalError};
use serde::Deserialize;

use crate::support::clickhouse::{client, fresh_database, options};

/// Long enough for a busy machine; a state that is not reached by then is a failure.
const STATE_TIMEOUT: Duration = Duration::from_secs(90);

#[derive(Debug, PartialEq, Deserialize)]
struct Number {
    n: u64,
}

async fn wait_for(
    engine: &LocalClickHouse,
    what: impl Fn(&EngineState) -> bool,
) -> Result<EngineState, tokio::time::error::Elapsed> {
    let mut state = engine.state();
    let wait = async move { state.wait_for(|state| what(state)).await.unwrap().clone() };
    tokio::time::timeout(STATE_TIMEOUT, wait).await
}

fn pid_of(engine: &LocalClickHouse) -> u32 {
    match &*engine.state().borrow() {
        EngineState::Running { pid, .. } => *pid,
        state => panic!("not running: {state:?}"),
    }
}

fn kill_9(pid: u32) {
    // SAFETY: sends a signal to a child of this test; no memory is involved.
    assert_eq!(unsafe { libc::kill(i32::try_from(pid).unwrap(), libc::SIGKILL) }, 0);
}

#[tokio::test]
async fn data_and_query_log_survive_stop_and_kill_and_the_port_stays() {
    let directory = tempfile::tempdir().unwrap();
    let engine = LocalClickHouse::start(options(directory.path())).await.unwrap();
    let admin = client(engine.url(), &engine.users().admin, "t_a");
    admin.execute("CREATE DATABASE {database}").await.unwrap();
    admin.execute("CREATE TABLE {database}.t (n UInt64) ENGINE = MergeTree ORDER BY n").await.unwrap();
    admin.execute("INSERT INTO {database}.t VALUES (1)").await.unwrap();
    let first_url = engine.url().to_owned();
    let first_pid = pid_of(&engine);

    kill_9(first_pid);
    wait_for(&engine, |state| matches!(state, EngineState::Down { .. })).await.unwrap();
    let again = |state: &EngineState| matches!(state, EngineState::Running { pid, .. } if *pid != first_pid);
    let EngineState::Running { url, .. } = wait_for(&engine, again).await.unwrap() else { unreachable!() };
    assert_eq!(url, first_url);
    let rows: Vec<Number> = admin.fetch("SELECT n FROM {database}.t", &[]).await.unwrap();
    assert_eq!(rows, [Number { n: 1 }]);
    admin.execute("SYSTEM FLUSH LOGS").await.unwrap();

    let second_pid = pid_of(&engine);
    engine.shutdown().await.unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{second_pid}")).exists(), "the child outlives its shutdown");

    let engine = LocalClickHouse::start(options(directory.path())).await.unwrap();
    let admin = client(engine.url(), &engine.users().admin, "t_a");
    let logged = "SELECT toUInt64(count() > 0) AS n FROM system.query_log WHERE query LIKE 'SELECT n FROM t_a.t%'";
    let rows: Vec<Number> = admin.fetch(logged, &[]).await.unwrap();
    assert_eq!(rows, [Number { n: 1 }], "the query log of the run before is there");
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_engine_ends_when_its_owner_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let engine = LocalClickHouse::start(options(directory.path())).await.unwrap();
    let mut state = engine.state();
    drop(engine);
    let stopped = state.wait_for(|state| *state == EngineState::Stopped);
    tokio::time::timeout(STATE_TIMEOUT, stopped).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_second_engine_on_the_same_directory_is_refused_and_disturbs_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let engine = LocalClickHouse::start(options(directory.path())).await.unwrap();
    let error = LocalClickHouse::start(options(directory.path())).await.unwrap_err();
    assert_eq!(error.code(), "directory_in_use", "{error}");
    let admin = client(engine.url(), &engine.users().admin, "t_a");
    admin.execute("CREATE DATABASE {database}").await.unwrap();
    engine.shutdown().await.unwrap();
}

/// Polls until `condition` holds.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let polled = async {
        let mut interval = tokio::time::interval(Duration::from_millis(5));
        while !condition() {
            interval.tick().await;
        }
    };
    tokio::time::timeout(STATE_TIMEOUT, polled).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// What a service that was killed leaves behind: an engine that nobody supervises, on the directory.
async fn start_orphan(directory: &std::path::Path) -> std::process::Child {
    let options = options(directory);
    let port_path = directory.join("orphan-port");
    let statements = format!(
        "SYSTEM START LISTEN HTTP; SELECT 1 INTO OUTFILE '{}'; \
         SELECT count() FROM file('/dev/stdin', LineAsString, 'l String') FORMAT Null",
        port_path.display()
    );
    let child = std::process::Command::new(&options.program)
        .args(["engine-clickhouse", "--shared-library"])
        .arg(&options.shared_library)
        .args(["--", "--config-file"])
        .arg(directory.join("config.xml"))
        .arg("--path")
        .arg(directory.join("data"))
        .args(["--listen_host", "127.0.0.1", "--http_port", "0", "--query", &statements])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    until("the orphan listens", || port_path.exists()).await;
    child
}

#[tokio::test]
async fn a_start_waits_for_the_engine_of_a_killed_service_to_end() {
    let directory = tempfile::tempdir().unwrap();
    LocalClickHouse::start(options(directory.path())).await.unwrap().shutdown().await.unwrap();
    let mut orphan = start_orphan(directory.path()).await;
    let stderr = directory.path().join("stderr");
    let starting = tokio::spawn(LocalClickHouse::start(options(directory.path())));
    // The orphan ends only after the start has been refused once.
    let is_refused = || std::fs::read_to_string(&stderr).is_ok_and(|text| text.contains("Code: 76."));
    until("the start is refused", || is_refused() || starting.is_finished()).await;
    drop(orphan.stdin.take());
    orphan.wait().unwrap();
    starting.await.unwrap().unwrap().shutdown().await.unwrap();
}

#[tokio::test]
async fn a_failed_start_shows_the_engines_last_words() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path().join("data/metadata")).unwrap();
    std::fs::write(directory.path().join("data/metadata/system.sql"), "ATTACH DATABASE nonsense").unwrap();
    let error = LocalClickHouse::start(options(directory.path())).await.unwrap_err();
    assert!(matches!(&error, LocalError::EndedEarly(stderr) if stderr.contains("Exception")), "{error}");
}

#[tokio::test]
async fn a_missing_library_says_how_to_get_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(directory.path());
    options.shared_library = directory.path().join("libchdb.so");
    let error = LocalClickHouse::start(options).await.unwrap_err();
    assert!(error.to_string().contains("make engines"), "{error}");
}

#[tokio::test]
async fn each_user_has_its_rights_and_no_more() {
    let database = fresh_database().await;
    database.admin.execute("CREATE DATABASE {database}").await.unwrap();
    database.admin.execute("CREATE TABLE {database}.t (n UInt64) ENGINE = MergeTree ORDER BY n").await.unwrap();
    database.writer.execute("INSERT INTO {database}.t VALUES (7)").await.unwrap();
    let rows: Vec<Number> = database.reader.fetch("SELECT n FROM {database}.t", &[]).await.unwrap();
    assert_eq!(rows, [Number { n: 7 }]);

    let denied = |result: Result<(), floodmark::store::StoreError>| {
        let error = result.unwrap_err();
        assert!(matches!(error.code(), "access_denied" | "readonly"), "{error}");
    };
    // The log's table is made with its first entry.
    database.admin.execute("SYSTEM FLUSH LOGS").await.unwrap();
    denied(database.reader.execute("INSERT INTO {database}.t VALUES (8)").await);
    denied(database.reader.execute("DROP TABLE {database}.t").await);
    denied(database.reader.execute("SELECT * FROM system.query_log FORMAT Null").await);
    denied(database.reader.execute("SELECT * FROM file('/etc/passwd', LineAsString, 'l String') FORMAT Null").await);
    denied(database.writer.execute("DROP TABLE {database}.t").await);
    denied(database.writer.execute("SYSTEM FLUSH LOGS").await);

    let wrong = floodmark::local::Credentials { user: "admin", password: "guess".to_owned() };
    let url = &crate::support::clickhouse::shared_engine().url;
    let error = client(url, &wrong, &database.name).execute("SELECT 1").await.unwrap_err();
    assert_eq!(error.code(), "authentication_failed", "{error}");
}
