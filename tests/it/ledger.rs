//! `floodmark ledger verify`: a whole ledger passes, and each way of not being whole is found.

use floodmark::config::RetentionConfig;
use floodmark::ingest::EventProducer;
use floodmark::model::Batch;
use floodmark::store::{Writer, apply_retention, migrate};
use serde_json::Value;

use crate::support::broker::TestBroker;
use crate::support::clickhouse::{TestDatabase, fresh_database};
use crate::support::events;
use crate::support::service::{Service, Setup, until};

/// A database with 1,000 stored requests in four ranges of `requests[3]`.
async fn four_ranges() -> (TestDatabase, Setup) {
    let database = fresh_database().await;
    migrate(&database.admin).await.unwrap();
    write(&database, &events::requests(1_000, 4)).await;
    let setup = Setup::new(None).with_database(&database);
    (database, setup)
}

async fn write(database: &TestDatabase, batches: &[Batch]) {
    let writer = Writer::new(database.writer.clone());
    for batch in batches {
        writer.write(batch).await.unwrap();
    }
}

/// Makes all rows of `table` seem to have been stored that much earlier.
async fn make_older(database: &TestDatabase, table: &str, by: &str) {
    for sql in [
        format!("CREATE TABLE {{database}}.aged_{table} AS {{database}}.{table}"),
        format!(
            "INSERT INTO {{database}}.aged_{table} SELECT * REPLACE (inserted_at - INTERVAL {by} AS inserted_at) \
             FROM {{database}}.{table}"
        ),
        format!("EXCHANGE TABLES {{database}}.aged_{table} AND {{database}}.{table}"),
    ] {
        database.admin.execute(&sql).await.unwrap();
    }
}

async fn verify(setup: &Setup, further: &[&str]) -> (Option<i32>, Value) {
    let arguments = [&["ledger", "verify", "--output", "json"], further].concat();
    let output = setup.output(&arguments).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    (output.status.code(), report)
}

/// What is found: kind, topic, epoch, partition, from, to, detail.
fn findings(report: &Value) -> Vec<String> {
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let line = |finding: &Value| {
        let (start, end) = (&finding["offset_start"], &finding["offset_end"]);
        let place = format!("{}[{}] {start}..{end}", text(finding, "topic"), finding["partition"]);
        format!("{} {place}{}: {}", text(finding, "kind"), text(finding, "epoch"), text(finding, "detail"))
    };
    report["findings"].as_array().unwrap().iter().map(line).collect()
}

/// The only thing that is found.
async fn only_finding(setup: &Setup) -> String {
    let (code, report) = verify(setup, &[]).await;
    let found = findings(&report);
    assert_eq!((code, found.len()), (Some(1), 1), "{found:#?}");
    found[0].clone()
}

#[tokio::test]
async fn an_empty_ledger_is_no_mistake() {
    let database = fresh_database().await;
    let setup = Setup::new(None).with_database(&database);
    let nothing = setup.stdout(&["ledger", "verify"]).await;
    assert_eq!(nothing.trim(), "The ledger is empty: nothing was stored yet.");
    migrate(&database.admin).await.unwrap();
    assert_eq!(setup.stdout(&["ledger", "verify"]).await, nothing);
    // Nor is a local engine that was never started: none is started to find that out.
    let local = Setup::new(None);
    assert_eq!(local.stdout(&["ledger", "verify"]).await, nothing);
    assert!(!local.config.local.data_dir.exists());
}

#[tokio::test]
async fn a_whole_ledger_passes_and_is_summed_up() {
    let (_database, setup) = four_ranges().await;
    let (code, report) = verify(&setup, &[]).await;
    assert_eq!((code, findings(&report)), (Some(0), vec![]));
    let totals = &report["partitions"][0];
    assert_eq!(
        (&totals["ranges"], &totals["rows"], &totals["offset_through"]),
        (&4.into(), &1_000.into(), &1_000.into())
    );
    assert_eq!(verify(&setup, &["--topic", "signals"]).await.1["partitions"], Value::Array(vec![]));
    let text = setup.stdout(&["ledger", "verify"]).await;
    assert!(text.contains("All is accounted for exactly once: 4 ranges of 1 partitions."), "{text}");
}

#[tokio::test]
async fn a_gap_and_an_overlap_are_found() {
    let database = fresh_database().await;
    migrate(&database.admin).await.unwrap();
    let setup = Setup::new(None).with_database(&database);
    let batches = events::requests(1_000, 10);
    write(&database, &[&batches[..3], &batches[4..]].concat()).await;
    assert_eq!(only_finding(&setup).await, "gap requests[3] 300..400: in no range");

    // As after a crash that cut the ranges differently: one over what two others hold, and a range within it.
    write(&database, &batches[3..4]).await;
    let wide = events::requests(1_000, 5).swap_remove(1);
    write(&database, &[wide]).await;
    let (code, report) = verify(&setup, &[]).await;
    assert_eq!(code, Some(1));
    let found = findings(&report);
    assert!(found.iter().all(|line| !line.starts_with("gap")), "{found:#?}");
    assert!(found.iter().any(|line| line.starts_with("overlap requests[3] 200..")), "{found:#?}");
    assert!(found.iter().any(|line| line.starts_with("rows requests[3] ")), "{found:#?}");
}

#[tokio::test]
async fn rows_that_are_gone_or_there_twice_are_found() {
    let (database, setup) = four_ranges().await;
    let delete = "ALTER TABLE {database}.requests DELETE WHERE _offset = 300 SETTINGS mutations_sync = 1";
    database.admin.execute(delete).await.unwrap();
    let gone = "rows requests[3] 250..500: 250 rows in the ledger, 249 stored, 249 of them distinct";
    assert_eq!(only_finding(&setup).await, gone);

    // A row twice in its place: the number is right again, and still it is not the right rows.
    let again = "INSERT INTO {database}.requests SELECT * FROM {database}.requests WHERE _offset = 301";
    database.admin.execute(again).await.unwrap();
    let twice = "rows requests[3] 250..500: 250 rows in the ledger, 250 stored, 249 of them distinct";
    assert_eq!(only_finding(&setup).await, twice);

    let delete =
        "ALTER TABLE {database}.requests DELETE WHERE _offset >= 250 AND _offset < 500 SETTINGS mutations_sync = 1";
    database.admin.execute(delete).await.unwrap();
    let all = "rows requests[3] 250..500: 250 rows in the ledger, 0 stored, 0 of them distinct";
    assert_eq!(only_finding(&setup).await, all);
}

#[tokio::test]
async fn numbers_that_do_not_add_up_are_found() {
    let columns = "topic, epoch, partition, offset_start, offset_end, messages, rows, dead_lettered, control, dropped, \
                   dropped_reason";
    for (numbers, is_right) in [
        ("10, 0, 10, 0, 0, ''", true),
        // An array: three messages, ten elements, all refused. Holes: seven offsets without a message.
        ("3, 0, 10, 0, 0, ''", true),
        ("0, 0, 0, 0, 10, 'expired'", true),
        ("11, 0, 11, 0, 0, ''", false),
        ("10, 0, 9, 0, 0, ''", false),
        ("0, 0, 1, 0, 0, ''", false),
        ("5, 0, 5, 0, 6, 'expired'", false),
        ("0, 0, 0, 0, 10, ''", false),
    ] {
        let (database, setup) = four_ranges().await;
        let sql = format!(
            "INSERT INTO {{database}}.ingest_ledger ({columns}) VALUES ('requests', '', 3, 1000, 1010, {numbers})"
        );
        database.admin.execute(&sql).await.unwrap();
        let (code, report) = verify(&setup, &[]).await;
        let found = findings(&report);
        assert_eq!(code, Some(i32::from(!is_right)), "{numbers}: {found:?}");
        assert!(is_right || found[0].starts_with("numbers requests[3] 1000..1010: 10 offsets: "), "{found:?}");
    }
}

#[tokio::test]
async fn rows_past_their_retention_are_not_missed() {
    let (database, setup) = four_ranges().await;
    apply_retention(&database.admin, &RetentionConfig::default()).await.unwrap();
    database.admin.execute("TRUNCATE TABLE {database}.requests").await.unwrap();
    assert_eq!(findings(&verify(&setup, &[]).await.1).len(), 4);
    make_older(&database, "ingest_ledger", "14 DAY").await;
    let (code, report) = verify(&setup, &[]).await;
    assert_eq!((code, findings(&report)), (Some(0), vec![]));
}

#[tokio::test]
async fn a_topic_that_was_made_anew_is_held_to_its_own_rows() {
    let (database, setup) = four_ranges().await;
    // Its rows were stored before the newer topic was there.
    make_older(&database, "requests", "1 HOUR").await;
    make_older(&database, "ingest_ledger", "1 HOUR").await;
    let anew: Vec<Batch> =
        events::requests(500, 4).into_iter().map(|batch| Batch { epoch: "anew".into(), ..batch }).collect();
    write(&database, &anew).await;
    let (code, report) = verify(&setup, &[]).await;
    assert_eq!((code, findings(&report)), (Some(0), vec![]));
    let epochs: Vec<(&str, u64)> = report["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|totals| (totals["epoch"].as_str().unwrap(), totals["newest"].as_u64().unwrap()))
        .collect();
    assert_eq!(epochs, [("", 0), ("anew", 1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_local_clickhouse_is_found_while_the_service_runs_and_started_when_none_does() {
    let broker = TestBroker::start(2).await;
    let mut setup = Setup::new(Some(&broker.kafka));
    setup.config.clickhouse.database = "t_local".to_owned();
    let mut service = Service::start(&setup).await;
    let mut producer = EventProducer::new(&broker.kafka, None).unwrap();
    for event in events::requests(200, 1)[0].chunks[0].events.iter().map(|positioned| &positioned.event) {
        producer.send_event(event).unwrap();
    }
    producer.send_raw("requests", None, b"no event").unwrap();
    producer.flush().unwrap();
    let sum = |report: &Value, name: &str| -> u64 {
        report["partitions"].as_array().unwrap().iter().map(|totals| totals[name].as_u64().unwrap()).sum()
    };
    // Before, the tables may be on their way to what this binary reads, and that is said instead.
    service.until_ready("ok", "ok").await;
    until("all is in the ledger", async || {
        let (code, report) = verify(&setup, &["--committed"]).await;
        (code == Some(0) && (sum(&report, "rows"), sum(&report, "dead_lettered")) == (200, 1)).then_some(())
    })
    .await;
    assert!(service.terminate().await.success());
    let (code, report) = verify(&setup, &["--committed"]).await;
    assert_eq!((code, sum(&report, "rows")), (Some(0), 200), "{report:#}");
    // The group is ahead of a ledger that has lost its last ranges: of one of nothing, to begin with.
    setup.config.local.data_dir = setup.directory.path().join("another");
    let (code, report) = verify(&setup, &["--committed"]).await;
    let found = findings(&report);
    assert_eq!(code, Some(1));
    assert!(found.iter().all(|line| line.starts_with("committed requests[")) && found.len() == 2, "{found:?}");
}
