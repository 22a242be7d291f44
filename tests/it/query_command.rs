//! `floodmark query`, and `detect` over a query's answer, on a real ClickHouse.

use std::process::{Output, Stdio};

use floodmark::model::NamedQuery;
use floodmark::store::{Writer, migrate};
use serde::Deserialize;
use serde_json::Value;

use crate::cli_contract::floodmark;
use crate::support::clickhouse::{TestDatabase, fresh_database};
use crate::support::events;
use crate::support::service::{Service, Setup, signal, until};

const RANGE: [&str; 4] = ["-p", "from=2026-09-14T10:00:00Z", "-p", "until=2026-09-14T10:10:00Z"];

/// A database with 20,000 requests of ten minutes.
async fn stored() -> (TestDatabase, Setup) {
    let database = fresh_database().await;
    migrate(&database.admin).await.unwrap();
    let writer = Writer::new(database.writer.clone());
    for batch in events::requests(20_000, 2) {
        writer.write(&batch).await.unwrap();
    }
    let setup = Setup::new(None).with_database(&database);
    (database, setup)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Requests of each minute, counted from the events alone.
fn by_minute() -> Vec<u64> {
    let mut minutes = vec![0; 10];
    for batch in events::requests(20_000, 2) {
        for event in &batch.chunks[0].events {
            let floodmark::model::Event::Request(request) = &event.event else { continue };
            let minute = (request.timestamp.as_millis() - 1_789_380_000_000) / 60_000;
            // The last few are past the end of the range.
            minutes.get_mut(minute as usize).into_iter().for_each(|count| *count += 1);
        }
    }
    minutes
}

#[test]
fn queries_are_listed_and_described_without_an_engine() {
    let listed = floodmark().arg("query").output().unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    assert!(NamedQuery::all().iter().all(|query| text.contains(query.name)), "{text}");
    let listed = floodmark().args(["query", "--output", "json"]).output().unwrap();
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["queries"].as_array().unwrap().len(), NamedQuery::all().len());
    let described = floodmark().args(["query", "pages_said", "--describe"]).output().unwrap();
    insta::assert_snapshot!("query_described", String::from_utf8(described.stdout).unwrap());
}

#[test]
fn mistakes_are_told_with_what_was_meant_before_anything_is_asked() {
    for (arguments, told) in [
        (&["query", "trafic_over_time"][..], "traffic_over_time"),
        (&["query", "traffic_over_time", "-p", "form=now"], "did you mean from?"),
        (&["query", "traffic_over_time", "-p", "from"], "is not NAME=VALUE"),
        (&["query", "traffic_over_time", "-p", "limit=1", "-p", "limit=2"], "given twice"),
        (&["query", "traffic_over_time", "-p", "from=yesterday"], "is not a moment"),
        (&["query", "customers_on_version"], "client is missing"),
        (&["query", "traffic_over_time", "--sql", "SELECT 1"], "cannot be used with"),
        (&["query", "--describe"], "required"),
        (&["query", "--output", "csv"], "listed as table, json or ndjson"),
        (&["detect", "--query", "traffic_over_time"], "--timestamp-column"),
    ] {
        let output = floodmark().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(told), "{arguments:?}: {}", stderr(&output));
    }
}

#[tokio::test]
async fn a_named_query_answers_in_every_form() {
    let (_database, setup) = stored().await;
    let directory = setup.directory.path().to_owned();
    let ask = |more: &[&str]| -> Vec<String> {
        let words = [&["query", "traffic_over_time", "-p", "bucket_s=60"], &RANGE[..], more].concat();
        words.into_iter().map(str::to_owned).collect()
    };
    let stdout = async |more: &[&str]| {
        let arguments = ask(more);
        setup.stdout(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    let requests = |rows: &[Value]| -> Vec<u64> { rows.iter().map(|row| row["requests"].as_u64().unwrap()).collect() };

    let ndjson = stdout(&["--output", "ndjson"]).await;
    let rows: Vec<Value> = ndjson.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(requests(&rows), by_minute());
    assert_eq!(rows[0]["time"], "2026-09-14T10:00:00.000Z");
    let json: Value = serde_json::from_str(&stdout(&["--output", "json"]).await).unwrap();
    assert_eq!(requests(json["data"].as_array().unwrap()), by_minute());
    assert_eq!(json["rows"], 10);
    let csv = stdout(&["--output", "csv"]).await;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let place = reader.headers().unwrap().iter().position(|name| name == "requests").unwrap();
    let counts: Vec<u64> = reader.records().map(|row| row.unwrap()[place].parse().unwrap()).collect();
    assert_eq!(counts, by_minute());
    let table = stdout(&[]).await;
    assert!(table.contains("requests/s") && table.contains("2026-09-14T10:09:00.000Z"), "{table}");
    assert!(!table.contains('\u{1b}'), "{table}");
    let chart = stdout(&["--chart", "--value", "requests_per_second"]).await;
    assert!(chart.contains("requests_per_second, requests/s") && chart.contains("10:05"), "{chart}");
    assert!(chart.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "{chart}");

    for (form, begins) in [("parquet", &b"PAR1"[..]), ("arrow", &[0xff, 0xff, 0xff, 0xff]), ("csv", b"\"time\"")] {
        let path = directory.join(form);
        let text = stdout(&["--output", form, "--out", path.to_str().unwrap()]).await;
        assert_eq!(text, "");
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.starts_with(begins), "{form}: {:?}", &bytes[..20]);
        assert!(form != "parquet" || bytes.ends_with(b"PAR1"));
    }
    // Nothing was stored in the last hours: there is nothing to plot, and that is no mistake. A column that is none is one.
    let nothing = setup.output(&["query", "traffic_over_time", "--chart", "--value", "requests"]).await;
    assert!(nothing.status.success() && stderr(&nothing).contains("no rows"), "{}", stderr(&nothing));
    let missing = setup.output(&["query", "traffic_over_time", "--chart", "--value", "requets"]).await;
    assert_eq!(missing.status.code(), Some(64), "{}", stderr(&missing));
    assert!(stderr(&missing).contains("did you mean requests?"), "{}", stderr(&missing));
}

#[tokio::test]
async fn sql_is_read_only_and_refusals_say_why() {
    let (database, setup) = stored().await;
    let sql = async |text: &str| setup.output(&["query", "--sql", text, "--output", "ndjson"]).await;
    let counted = sql("SELECT count() AS rows, uniqExact(subscription) > 100 AS many FROM requests").await;
    assert_eq!(String::from_utf8_lossy(&counted.stdout).trim(), "{\"rows\":20000,\"many\":1}", "{}", stderr(&counted));
    for (text, why) in [
        ("DROP TABLE requests", "only SELECT"),
        ("SELECT 1; SELECT 2", "exactly one statement"),
        ("SELECT * FROM system.users", "refused"),
        ("SELECT * FROM url('http://127.0.0.1:1', 'CSV', 'a String')", "refused"),
        ("SELECT count() FROM requests SETTINGS max_memory_usage = 0", "sets settings"),
        ("SELECT no_such_column FROM requests", "no_such_column"),
        ("SELECT sum(cityHash64(a.number, b.number)) FROM numbers(1000000000000) AS a, numbers(10) AS b", "rows"),
    ] {
        let output = sql(text).await;
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(stderr(&output).contains(why), "{text}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{text}");
    }
    // What breaks in the middle leaves no file.
    let path = setup.directory.path().join("broken.csv");
    let breaks = "SELECT throwIf(_offset = 19999) FROM requests";
    let arguments = ["query", "--sql", breaks, "--output", "csv", "--out", path.to_str().unwrap()];
    let output = setup.output(&arguments).await;
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(!path.exists());
    #[derive(Deserialize)]
    struct Count {
        rows: u64,
    }
    let rows: Vec<Count> = database.reader.fetch("SELECT count() AS rows FROM {database}.requests", &[]).await.unwrap();
    assert_eq!(rows[0].rows, 20_000);
}

#[tokio::test]
async fn what_a_query_reads_is_said_before_it_runs() {
    let (_database, setup) = stored().await;
    let explained =
        setup.stdout(&[&["query", "traffic_over_time", "--explain", "--output", "json"], &RANGE[..]].concat()).await;
    let explained: Value = serde_json::from_str(&explained).unwrap();
    let rows = explained["rows"].as_u64().unwrap();
    assert!(rows > 0 && rows <= 20_000, "{explained:#}");
    assert_eq!(explained["budget_share"].as_f64().unwrap(), rows as f64 / 200_000_000.0);
    assert_eq!(explained["tables"][0]["table"], "requests_by_minute");
    assert!(explained["bytes_max"].as_u64().unwrap() > rows, "{explained:#}");
    let plan = explained["plan"].to_string();
    assert!(plan.contains("PrimaryKey") && plan.contains("Granules"), "{plan}");
    let text = setup.stdout(&["query", "--sql", "SELECT count() FROM requests WHERE status > 500", "--explain"]).await;
    assert!(text.contains("20000 rows") && text.contains("it would run"), "{text}");
}

#[tokio::test]
async fn ctrl_c_ends_the_query_on_the_server() {
    let (database, setup) = stored().await;
    // Every pair of rows: it would take minutes, and reads little.
    let slow = "SELECT countIf(cityHash64(a.request_id, b.request_id) % 7 = 3) AS interrupted_by_hand \
                FROM requests AS a CROSS JOIN requests AS b CROSS JOIN requests AS c";
    let child = setup
        .command(&["query", "--sql", slow, "--output", "csv"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    #[derive(Deserialize)]
    struct Running {
        running: u64,
    }
    let running = async || {
        let sql = "SELECT count() AS running FROM system.processes \
                   WHERE position(query, 'interrupted_by_hand') > 0 AND position(query, 'system.processes') = 0";
        let rows: Vec<Running> = database.admin.fetch(sql, &[]).await.unwrap();
        rows[0].running
    };
    let pid = child.id();
    until("the query runs", async || (running().await > 0).then_some(())).await;
    signal(pid, libc::SIGINT);
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains("interrupted: the query"), "{}", stderr(&output));
    until("the query is over", async || (running().await == 0).then_some(())).await;
}

#[tokio::test]
async fn series_of_a_query_are_judged() {
    let database = fresh_database().await;
    migrate(&database.admin).await.unwrap();
    // Two hundred minutes of two routes; one of them gets ten times the requests at the end.
    let rows = "INSERT INTO {database}.requests_by_minute (minute, subscription, service, route, status_class, requests) \
                SELECT toDateTime('2026-03-09 08:00:00', 'UTC') + 60 * intDiv(number, 2), 'acme', 'api', \
                ['/calm', '/flood'][number % 2 + 1], 2, \
                if(number % 2 = 1 AND number >= 380, 1000, 100) + cityHash64(number) % 7 FROM numbers(400)";
    database.admin.execute(rows).await.unwrap();
    let setup = Setup::new(None).with_database(&database);
    let range = ["-p", "from=2026-03-09T08:00:00Z", "-p", "until=2026-03-09T12:00:00Z", "-p", "limit=100000"];
    let columns = ["--time", "minute", "--value", "requests"];
    let detect = ["detect", "--query", "traffic_by_minute"];
    let text = setup.stdout(&[&detect[..], &range, &columns, &["--by", "route"]].concat()).await;
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("route,timestamp,value,score,alert"));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 400);
    let alerts: Vec<&[&str]> = rows.iter().filter(|row| row[4] == "1").map(|row| &row[..2]).collect();
    assert!(!alerts.is_empty() && alerts.iter().all(|row| row[0] == "/flood"), "{alerts:?}");
    assert!(alerts[0][1] >= "2026-03-09 11:10", "{alerts:?}");
    let together = setup.output(&[&detect[..], &range, &columns].concat()).await;
    assert_eq!(together.status.code(), Some(1));
    assert!(stderr(&together).contains("--by"), "{}", stderr(&together));
    let cut = [&detect[..], &range[..4], &["-p", "limit=400"], &columns, &["--by", "route"]].concat();
    let cut = setup.output(&cut).await;
    assert!(stderr(&cut).contains("has reached its limit of 400 rows"), "{}", stderr(&cut));
    let one = setup
        .stdout(
            &[
                &["detect", "--query", "traffic_over_time", "-p", "bucket_s=60", "-p", "route=/flood"],
                &range[..4],
                &["--time", "time", "--value", "requests"],
            ]
            .concat(),
        )
        .await;
    assert!(one.starts_with("timestamp,value,score,alert\n") && one.contains(",1\n"), "{one}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_clickhouse_is_asked_while_the_service_runs_and_started_when_none_does() {
    let mut setup = Setup::new(None);
    setup.config.clickhouse.database = "t_asked".to_owned();
    let nothing = setup.output(&["query", "--sql", "SELECT 1 AS one"]).await;
    assert_eq!(nothing.status.code(), Some(1));
    assert!(stderr(&nothing).contains("nothing was stored yet"), "{}", stderr(&nothing));
    let mut service = Service::start(&setup).await;
    let ask = async || {
        let sql = "SELECT count() AS rows FROM requests";
        let output = setup.output(&["query", "--sql", sql, "--output", "ndjson"]).await;
        String::from_utf8(output.stdout).unwrap()
    };
    // The service serves before its tables are there.
    until("the tables are there", async || (ask().await == "{\"rows\":0}\n").then_some(())).await;
    until("a named query is answered", async || {
        let none = setup.output(&["query", "incidents_between", "-p", "from=now-1d"]).await;
        (none.status.success() && stderr(&none).contains("no rows")).then_some(())
    })
    .await;
    let listed = setup.output(&["incidents", "list", "--url", &service.url("")]).await;
    assert!(listed.status.success() && stderr(&listed).contains("no incident"), "{}", stderr(&listed));
    assert!(service.terminate().await.success());
    assert_eq!(ask().await, "{\"rows\":0}\n");
}

#[test]
fn what_contradicts_itself_is_wrong_usage() {
    for arguments in [
        &["--explain"][..],
        &["--chart"],
        &["traffic_over_time", "--output", "csv", "--chart"],
        &["traffic_over_time", "--chart", "--value", "nope"],
        &["traffic_over_time", "-p", "from=now-1h", "-p", "until=now-2h"],
    ] {
        let output = crate::cli_contract::floodmark().arg("query").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
