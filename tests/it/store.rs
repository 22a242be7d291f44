//! Storage against a real ClickHouse: migrations, retention, batches, repeats, outages.

use std::time::Duration;

use floodmark::config::{RetentionConfig, Span};
use floodmark::model::{Batch, Output, Stored};
use floodmark::store::{MIGRATIONS, StoreHealth, StoreTask, Writer, apply_retention, check_schema, migrate};
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::support::clickhouse::{TestDatabase, fresh_database};
use crate::support::events;

/// Long enough for a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

async fn migrated() -> TestDatabase {
    let database = fresh_database().await;
    migrate(&database.admin).await.unwrap();
    database
}

/// The answer of a query with one row and one column `n`.
async fn number(database: &TestDatabase, sql: &str) -> i64 {
    #[derive(Deserialize)]
    struct Row {
        n: i64,
    }
    let rows: Vec<Row> = database.admin.fetch(sql, &[]).await.unwrap();
    assert_eq!(rows.len(), 1, "{sql}");
    rows[0].n
}

/// The answer of a query as text, a row a line.
async fn lines(database: &TestDatabase, sql: &str) -> Vec<String> {
    let rows: Vec<serde_json::Value> = database.admin.fetch(sql, &[]).await.unwrap();
    rows.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn migrations_run_once() {
    let database = fresh_database().await;
    assert_eq!(migrate(&database.admin).await.unwrap(), MIGRATIONS.len());
    assert_eq!(migrate(&database.admin).await.unwrap(), 0);
    let recorded = number(&database, "SELECT toInt32(count()) AS n FROM {database}.schema_migrations").await;
    assert_eq!(recorded, MIGRATIONS.len() as i64);
}

#[tokio::test]
async fn a_migration_that_stopped_before_its_record_is_taken_up() {
    let database = migrated().await;
    let last = MIGRATIONS.len();
    let forget =
        format!("ALTER TABLE {{database}}.schema_migrations DELETE WHERE number = {last} SETTINGS mutations_sync = 1");
    database.admin.execute(&forget).await.unwrap();
    assert_eq!(migrate(&database.admin).await.unwrap(), 1);
}

#[tokio::test]
async fn who_only_reads_is_told_of_a_schema_that_is_older_and_changes_nothing() {
    let database = fresh_database().await;
    assert_eq!(check_schema(&database.admin).await.map_err(|error| error.to_string()), Ok(()), "nothing is there");
    migrate(&database.admin).await.unwrap();
    assert_eq!(check_schema(&database.admin).await.map_err(|error| error.to_string()), Ok(()));
    let remove = format!(
        "ALTER TABLE {{database}}.schema_migrations DELETE WHERE number >= {} SETTINGS mutations_sync = 1",
        MIGRATIONS.len()
    );
    database.admin.execute(&remove).await.unwrap();
    let error = check_schema(&database.admin).await.unwrap_err();
    assert_eq!(error.code(), "schema_older");
    let counts = format!("{} of {} migrations are recorded", MIGRATIONS.len() - 1, MIGRATIONS.len());
    assert!(error.to_string().contains(&counts), "{error}");
    assert_eq!(check_schema(&database.admin).await.unwrap_err().code(), "schema_older");
}

#[tokio::test]
async fn a_drifted_a_newer_and_a_gapped_schema_are_refused_with_what_differs() {
    let database = migrated().await;
    let edit = "ALTER TABLE {database}.schema_migrations UPDATE sha256 = 'edited' WHERE number = 2 SETTINGS mutations_sync = 1";
    database.admin.execute(edit).await.unwrap();
    let error = migrate(&database.admin).await.unwrap_err();
    assert_eq!(error.code(), "schema_drifted");
    assert!(error.to_string().contains("0002_signals") && error.to_string().contains("edited"), "{error}");

    let database = migrated().await;
    let later = MIGRATIONS.len() + 1;
    let add =
        &format!("INSERT INTO {{database}}.schema_migrations (number, name, sha256) VALUES ({later}, 'later', 'x')");
    database.admin.execute(add).await.unwrap();
    let error = migrate(&database.admin).await.unwrap_err();
    assert_eq!(error.code(), "schema_newer");
    assert!(error.to_string().contains(&format!("{later:04}_later")), "{error}");

    let database = migrated().await;
    let remove = "ALTER TABLE {database}.schema_migrations DELETE WHERE number = 3 SETTINGS mutations_sync = 1";
    database.admin.execute(remove).await.unwrap();
    let error = migrate(&database.admin).await.unwrap_err();
    assert_eq!(error.code(), "schema_gap");
    assert!(error.to_string().contains("0003 is not recorded"), "{error}");
}

#[tokio::test]
async fn every_kind_of_event_comes_back_as_it_was_sent() {
    let database = migrated().await;
    let batch = events::one_of_each_kind();
    let written = Writer::new(database.writer.clone()).write(&batch).await.unwrap();
    assert_eq!(written.rows, 5);
    let mut stored = Vec::new();
    for table in ["requests", "signals", "changes", "query_runs", "requests_by_minute"] {
        stored.extend(
            lines(
                &database,
                &format!("SELECT '{table}' AS table, * EXCEPT inserted_at FROM {{database}}.{table} ORDER BY ALL"),
            )
            .await,
        );
    }
    stored.extend(lines(&database, "SELECT * EXCEPT inserted_at FROM {database}.ingest_ledger").await);
    insta::assert_snapshot!(stored.join("\n"));
}

#[tokio::test]
async fn the_rollup_agrees_with_a_count_over_the_raw_rows() {
    let database = migrated().await;
    let writer = Writer::new(database.writer.clone());
    for batch in events::requests(20_000, 4) {
        writer.write(&batch).await.unwrap();
    }
    let dimensions = "subscription, client, client_version, service, caller, route";
    let rollup = format!(
        "SELECT toString(minute) AS minute, {dimensions}, status_class, sum(requests) AS requests, \
         sum(failures) AS failures, sum(resends) AS resends, sum(attempts_known) AS attempts_known, \
         sum(upstream_attempts) AS upstream_attempts, sum(request_bytes) AS request_bytes, \
         sum(response_bytes) AS response_bytes, toString(mapSort(sumMap(duration_ms))) AS duration_ms \
         FROM {{database}}.requests_by_minute GROUP BY minute, {dimensions}, status_class ORDER BY ALL"
    );
    let raw = format!(
        "SELECT toString(toStartOfMinute(toDateTime(timestamp))) AS minute, {dimensions}, \
         toUInt16(intDiv(status, 100)) AS status_class, count() AS requests, \
         countIf(status >= 500 OR status = 429) AS failures, countIf(attempt > 1) AS resends, countIf(attempt > 0) AS attempts_known, \
         sum(requests.upstream_attempts) AS upstream_attempts, \
         sum(requests.request_bytes) AS request_bytes, sum(requests.response_bytes) AS response_bytes, \
         toString(mapSort(sumMap(map(if(requests.duration_ms > 0, \
         toInt16(ceil(log2(requests.duration_ms) * 8) - 1), toInt16(-32768)), toUInt64(1))))) AS duration_ms \
         FROM {{database}}.requests GROUP BY minute, {dimensions}, status_class ORDER BY ALL"
    );
    let (rollup, raw) = (lines(&database, &rollup).await, lines(&database, &raw).await);
    assert!(rollup.len() > 1_000, "{} rows are not much of a test", rollup.len());
    assert_eq!(rollup.len(), raw.len());
    for (from_rollup, from_raw) in rollup.iter().zip(&raw) {
        assert_eq!(from_rollup, from_raw);
    }
    // Merging must not change a sum.
    database.admin.execute("OPTIMIZE TABLE {database}.requests_by_minute FINAL").await.unwrap();
    assert_eq!(
        number(&database, "SELECT toInt32(sum(requests)) AS n FROM {database}.requests_by_minute").await,
        20_000
    );
}

#[tokio::test]
async fn a_repeated_batch_is_stored_once_and_half_a_batch_is_completed() {
    let database = migrated().await;
    let writer = Writer::new(database.writer.clone());
    let batch = events::requests(1_000, 1).remove(0);
    // The rollup's table is away while the raw rows are written: the first try fails half way.
    database.admin.execute("RENAME TABLE {database}.requests_by_minute TO {database}.away").await.unwrap();
    assert_eq!(writer.write(&batch).await.unwrap_err().code(), "unknown_table");
    database.admin.execute("RENAME TABLE {database}.away TO {database}.requests_by_minute").await.unwrap();
    for _ in 0..3 {
        writer.write(&batch).await.unwrap();
    }
    assert_eq!(number(&database, "SELECT toInt32(count()) AS n FROM {database}.requests").await, 1_000);
    let rollup = "SELECT toInt32(sum(requests)) AS n FROM {database}.requests_by_minute";
    assert_eq!(number(&database, rollup).await, 1_000);
    assert_eq!(number(&database, "SELECT toInt32(sum(rows)) AS n FROM {database}.ingest_ledger").await, 1_000);
}

#[tokio::test]
async fn a_batch_over_hundreds_of_days_is_stored_and_repeated_once() {
    let database = migrated().await;
    let writer = Writer::new(database.writer.clone());
    let batch = events::requests_a_day_apart(300);
    writer.write(&batch).await.unwrap();
    writer.write(&batch).await.unwrap();
    assert_eq!(number(&database, "SELECT toInt32(count()) AS n FROM {database}.requests").await, 300);
    let rollup = "SELECT toInt32(sum(requests)) AS n FROM {database}.requests_by_minute";
    assert_eq!(number(&database, rollup).await, 300);
}

#[tokio::test]
async fn a_changed_retention_is_applied_once_and_drops_what_was_stored_long_ago() {
    let database = migrated().await;
    let year = Span::from_days(365);
    let day = Span::from_days(1);
    let mut retention = RetentionConfig { requests: year, ..RetentionConfig::default() };
    assert_eq!(apply_retention(&database.admin, &retention).await.unwrap().len(), 11);
    assert_eq!(apply_retention(&database.admin, &retention).await.unwrap(), [""; 0]);

    let insert = "INSERT INTO {database}.requests (timestamp, subscription, inserted_at) \
                  VALUES (now64(3) - INTERVAL 3 DAY, 'stored long ago', now() - INTERVAL 3 DAY), \
                  (now64(3) - INTERVAL 4000 DAY, 'an old log stored today', now())";
    database.writer.execute(insert).await.unwrap();
    retention.requests = day;
    assert_eq!(apply_retention(&database.admin, &retention).await.unwrap(), ["requests", "query_runs"]);
    database.admin.execute("OPTIMIZE TABLE {database}.requests FINAL").await.unwrap();
    let left = lines(&database, "SELECT subscription FROM {database}.requests").await;
    assert_eq!(left, [r#"{"subscription":"an old log stored today"}"#]);
}

#[tokio::test]
async fn outputs_written_twice_collapse_and_a_later_report_replaces_the_earlier() {
    let database = migrated().await;
    let writer = Writer::new(database.writer.clone());
    let transitions = [events::transition()];
    writer.write_transitions(&transitions).await.unwrap();
    writer.write_transitions(&transitions).await.unwrap();
    let mut report = events::incident();
    writer.write_incidents(&[report.clone()]).await.unwrap();
    report.ended_at = Some(report.started_at.plus(600_000));
    writer.write_incidents(&[report]).await.unwrap();
    let mut stored = lines(&database, "SELECT * EXCEPT inserted_at FROM {database}.alert_transitions FINAL").await;
    stored.extend(lines(&database, "SELECT * EXCEPT inserted_at FROM {database}.incidents FINAL").await);
    insta::assert_snapshot!(stored.join("\n"));
}

#[tokio::test]
async fn the_task_stores_all_batches_across_an_outage_and_says_so() {
    let database = migrated().await;
    database.admin.execute("RENAME TABLE {database}.requests TO {database}.away").await.unwrap();
    let (task, mut health) = StoreTask::new(Writer::new(database.writer.clone()));
    let (batches_sender, batches) = mpsc::channel(2);
    let (stored_sender, mut stored) = mpsc::channel(16);
    let running = tokio::spawn(async move { task.run_batches(batches, stored_sender).await });
    let sent = events::requests(3_000, 3);
    let expected: Vec<Stored> = sent.iter().map(stored_of).collect();
    let sending = tokio::spawn(async move {
        for batch in sent {
            batches_sender.send(batch).await.unwrap();
        }
    });
    let is_down = |health: &StoreHealth| matches!(health, StoreHealth::Down { code: "unknown_table", .. });
    tokio::time::timeout(DEADLINE, health.wait_for(is_down)).await.unwrap().unwrap();
    assert!(stored.try_recv().is_err(), "nothing is reported that is not stored");
    database.admin.execute("RENAME TABLE {database}.away TO {database}.requests").await.unwrap();
    let mut reported = Vec::new();
    while let Some(range) = tokio::time::timeout(DEADLINE, stored.recv()).await.unwrap() {
        reported.push(range);
    }
    assert_eq!(reported, expected);
    assert_eq!(*health.borrow_and_update(), StoreHealth::Up);
    sending.await.unwrap();
    running.await.unwrap();
    assert_eq!(number(&database, "SELECT toInt32(count()) AS n FROM {database}.requests").await, 3_000);
}

#[tokio::test]
async fn the_task_stores_outputs() {
    let database = migrated().await;
    let (task, _health) = StoreTask::new(Writer::new(database.writer.clone()));
    let (sender, outputs) = mpsc::channel(2);
    sender.send(Output::Transition(events::transition())).await.unwrap();
    sender.send(Output::Incident(events::incident())).await.unwrap();
    drop(sender);
    task.run_outputs(outputs).await;
    assert_eq!(number(&database, "SELECT toInt32(count()) AS n FROM {database}.alert_transitions").await, 1);
    assert_eq!(number(&database, "SELECT toInt32(count()) AS n FROM {database}.incidents").await, 1);
}

#[tokio::test]
async fn an_unreachable_server_is_worth_another_try() {
    let database = fresh_database().await;
    // Port 9 (discard) listens nowhere that tests run.
    let credentials = &crate::support::clickhouse::shared_engine().users.writer;
    let nowhere = crate::support::clickhouse::client("http://127.0.0.1:9", credentials, &database.name);
    let error = nowhere.execute("SELECT 1").await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), ("unreachable", true), "{error}");
}

#[tokio::test]
async fn a_stored_request_takes_an_eighth_of_its_json_or_less() {
    let database = migrated().await;
    let writer = Writer::new(database.writer.clone());
    let batches = events::requests(100_000, 2);
    let json_bytes: usize = batches
        .iter()
        .flat_map(|batch| &batch.chunks)
        .flat_map(|chunk| &chunk.events)
        .map(|positioned| serde_json::to_string(&positioned.event).unwrap().len())
        .sum();
    for batch in &batches {
        writer.write(batch).await.unwrap();
    }
    database.admin.execute("OPTIMIZE TABLE {database}.requests FINAL").await.unwrap();
    let disk = "SELECT toInt32(sum(bytes_on_disk)) AS n FROM system.parts \
                WHERE active AND database = '{database}' AND table = 'requests'";
    let per_request = number(&database, disk).await as f64 / 100_000.0;
    let per_json = json_bytes as f64 / 100_000.0;
    // 24 of them are the random bits of `request_id` and `request_key`, which nothing can compress.
    println!("bytes per stored request: {per_request:.1}, as JSON: {per_json:.1}");
    for line in lines(
        &database,
        "SELECT column, round(sum(column_data_compressed_bytes) / 100000, 2) AS bytes FROM system.parts_columns \
         WHERE active AND database = '{database}' AND table = 'requests' GROUP BY column ORDER BY bytes DESC",
    )
    .await
    {
        println!("{line}");
    }
    assert!(per_request < per_json / 8.0, "{per_request:.1} bytes stored, {per_json:.1} bytes of JSON");
}

fn stored_of(batch: &Batch) -> Stored {
    let Batch { topic_partition, start, end, chunks, .. } = batch;
    let rows = chunks.iter().map(|chunk| chunk.events.len() as u64).sum();
    Stored { topic_partition: topic_partition.clone(), start: *start, end: *end, rows }
}
