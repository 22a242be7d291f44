//! Named queries at their edges: as the desk asks them, ranges that cut steps and windows, parameters that make no sense.

use floodmark::store::migrate;
use reqwest::StatusCode;
use serde_json::Value;

use crate::named_queries::{Row, ask, bind, seeded};
use crate::support::clickhouse::{TestDatabase, fresh_database};
use crate::support::platform_day::{MINUTE_MS, RELEASE};
use crate::support::questions::Questions;

const WITHIN: [(&str, &str); 2] = [("from", "2026-03-01T10:20:30.500Z"), ("until", "2026-03-01T11:10:30Z")];

/// Two hours of a subscription that makes 60 requests a minute, half of them repeats, from 10:00 on.
async fn steady() -> TestDatabase {
    let database = fresh_database().await;
    migrate(&database.admin).await.unwrap();
    let insert = "INSERT INTO {database}.requests_by_minute (minute, subscription, client, client_version, service, route, \
                  status_class, requests, resends) SELECT toDateTime('2026-03-01 10:00:00', 'UTC') + 60 * number, \
                  'sub-1', 'cli', '1', 'api', 'POST /v1/things', 2, 60, 30 FROM numbers(120)";
    database.admin.execute(insert).await.unwrap();
    database
}

fn with<'a>(range: &[(&'a str, &'a str)], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    range.iter().chain(more).copied().collect()
}

fn number(row: &Row, column: &str) -> f64 {
    row[column].as_f64().unwrap_or_else(|| panic!("{column} of {row:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_named_query_can_be_asked_by_its_name_with_its_defaults() {
    let questions = Questions::start(|_| {}).await;
    let list: Value = questions.get("reader", "/api/v1/queries").await.json().await.unwrap();
    let queries = list["queries"].as_array().unwrap();
    assert!(queries.len() >= 27, "{list}");
    for query in queries {
        let name = query["name"].as_str().unwrap();
        let parameters = query["parameters"].as_array().unwrap();
        let required = parameters.iter().filter(|parameter| parameter["default"].is_null());
        let given: Vec<String> =
            required.map(|parameter| format!("{}=x", parameter["name"].as_str().unwrap())).collect();
        let path = format!("/api/v1/queries/{name}/results?{}", given.join("&"));
        let response = questions.get("reader", &path).await;
        let (status, body) = (response.status(), response.text().await.unwrap());
        assert_eq!(status, StatusCode::OK, "{name}: {body}");
    }
}

#[tokio::test]
async fn rates_at_the_ends_of_a_range_are_those_of_the_minutes_in_it() {
    let database = steady().await;
    for (name, more) in [
        ("traffic_over_time", &[("bucket_s", "1800")][..]),
        ("versions_over_time", &[("bucket_s", "1800")]),
        ("subscription_day", &[("bucket_s", "1800"), ("subscription", "sub-1")]),
        // Steps of one minute and of two, in turn.
        ("traffic_over_time", &[("bucket_s", "90")]),
    ] {
        let rows = ask(&database, name, &with(&WITHIN, more)).await;
        assert!(rows.len() >= 3, "{name}: {rows:?}");
        for row in &rows {
            assert!((number(row, "requests_per_second") - 1.0).abs() < 1e-9, "{name}: {row:?}");
        }
    }
    let rows = ask(&database, "subscriptions_top_load", &WITHIN).await;
    assert_eq!((rows[0]["requests"].as_u64(), number(&rows[0], "requests_per_minute")), (Some(50 * 60), 60.0));
    let one = [("from", "2026-03-01T11:00:10Z"), ("until", "2026-03-01T11:00:50Z")];
    let rows = ask(&database, "subscriptions_top_load", &one).await;
    assert_eq!((rows[0]["requests"].as_u64(), number(&rows[0], "requests_per_minute")), (Some(60), 60.0));
    let empty = [("from", "2026-03-01T11:00:10Z"), ("until", "2026-03-01T11:00:10Z")];
    assert!(ask(&database, "subscriptions_top_load", &empty).await.is_empty());
}

#[tokio::test]
async fn rates_of_curves_are_those_of_what_lies_in_the_range() {
    let database = steady().await;
    let sql = include_str!("../../queries/series/requests.sql");
    let empty = ["by", "subscription", "client", "client_version", "service", "caller", "route"];
    let mut values: Vec<(&str, &str)> = empty.map(|name| (name, "")).to_vec();
    // 10:30:30 until 10:45:30.
    values.extend([("series", "requests_per_second"), ("limit", "10"), ("step", "90")]);
    values.extend([("start", "1772361030"), ("end", "1772361930")]);
    let rows: Vec<Row> = database.reader.fetch(sql, &values).await.unwrap();
    let rates = rows[0]["values"].as_array().unwrap();
    assert!(rates.len() == 10 && rates.iter().all(|rate| rate.as_f64() == Some(1.0)), "{rows:?}");
    let run = "INSERT INTO {database}.query_runs (timestamp, state) SELECT toDateTime64('2026-03-01 10:30:00', 3, 'UTC') + number, \
               'finished' FROM numbers(3600)";
    database.admin.execute(run).await.unwrap();
    let empty = ["by", "fingerprint", "origin", "version", "node"];
    let mut values: Vec<(&str, &str)> = empty.map(|name| (name, "")).to_vec();
    values.extend([("series", "queries_per_second"), ("limit", "10"), ("step", "600")]);
    values.extend([("start", "1772361030"), ("end", "1772361930")]);
    let sql = include_str!("../../queries/series/query_runs.sql");
    let rows: Vec<Row> = database.reader.fetch(sql, &values).await.unwrap();
    assert_eq!(rows[0]["values"], serde_json::json!([1, 1]));
}

#[tokio::test]
async fn a_window_that_is_cut_is_compared_by_the_minute() {
    let database = seeded().await;
    let until = RELEASE.plus(31 * MINUTE_MS).to_string();
    let [cut, whole] = [&[("until", until.as_str())][..], &[]];
    let (cut, whole) = (ask(&database, "change_impact", cut).await, ask(&database, "change_impact", whole).await);
    let release = |rows: &[Row]| rows.iter().find(|row| row["service"] == "kameleo-cli").unwrap().clone();
    let (cut, whole) = (release(&cut), release(&whole));
    let minutes = |row: &Row| (row["minutes_before"].as_u64(), row["minutes_after"].as_u64());
    assert_eq!((minutes(&cut), minutes(&whole)), ((Some(60), Some(30)), (Some(60), Some(60))));
    for column in ["requests_per_minute_after", "requests_per_subscription_after", "requests_per_subscription_ratio"] {
        let ratio = number(&cut, column) / number(&whole, column);
        assert!((0.9..1.1).contains(&ratio), "{column}: {cut:?} {whole:?}");
    }
}

#[tokio::test]
async fn repeats_are_no_creates_and_routes_may_have_spaces() {
    let database = steady().await;
    let range = [("from", "2026-03-01T10:00:00Z"), ("until", "2026-03-01T12:00:00Z")];
    let routes = ("create_routes", "CreateProfile, POST /v1/things ");
    let bursts = async |most: &'static str| {
        let given = with(&range, &[routes, ("creates_per_minute_min", most)]);
        let rows = ask(&database, "wasteful_callers", &given).await;
        rows.iter().filter(|row| row["pattern"] == "creates_one_by_one").cloned().collect::<Vec<Row>>()
    };
    assert_eq!(bursts("30").await[0]["requests"], 30 * 120);
    assert!(bursts("31").await.is_empty());
    let given = with(&range, &[("routes", "x, POST /v1/things"), ("limit_per_minute", "50")]);
    assert_eq!(ask(&database, "limit_exceeded", &given).await[0]["minutes_over"], 120);
}

#[tokio::test]
async fn parameters_without_sense_are_refused_with_what_makes_sense() {
    let database = steady().await;
    for (name, parameter, value, expected) in [
        ("growth_forecast", "of", "disk", "of is memory or load"),
        ("growth_forecast", "of", "", "of is memory or load"),
        ("error_budget_state", "objective", "99.9", "as in 0.999"),
        ("error_budget_state", "objective", "1", "as in 0.999"),
        ("error_budget_state", "objective", "0", "as in 0.999"),
    ] {
        let refused = database.reader.ask_bound::<Row>(&bind(name, &[(parameter, value)])).await;
        assert!(refused.unwrap_err().to_string().contains(expected), "{name} with {parameter} = {value}");
    }
}

#[tokio::test]
async fn a_burn_rate_needs_a_range_as_long_as_its_window() {
    let database = steady().await;
    let range = |from: &'static str| [("from", from), ("until", "2026-03-01T12:00:00Z")];
    let of = async |from| ask(&database, "error_budget_state", &range(from)).await[0].clone();
    let is_told = |row: &Row| [!row["burn_rate_1h"].is_null(), !row["burn_rate_6h"].is_null()];
    assert_eq!(is_told(&of("2026-03-01T11:30:00Z").await), [false, false]);
    assert_eq!(is_told(&of("2026-03-01T11:00:00Z").await), [true, false]);
    assert_eq!(is_told(&of("2026-03-01T06:00:00Z").await), [true, true]);
}
