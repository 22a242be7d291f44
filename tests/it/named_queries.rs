//! Named queries on the real engine: a golden case each, and parameters that attack. Numbers are counted again in
//! `named_query_numbers`.

use std::collections::{BTreeMap, BTreeSet};

use floodmark::model::{Bound, NamedQuery, Unit};
use floodmark::store::{Writer, migrate};
use serde_json::{Map, Value};

use crate::support::clickhouse::{TestDatabase, fresh_database};
use crate::support::events;
use crate::support::platform_day::{self, END};

pub type Row = Map<String, Value>;

/// Rows of an answer that a golden case shows.
const ROWS_SHOWN: usize = 12;

const PAGE: &str = "INSERT INTO {database}.pages (dedup_key, revision, event, severity, reason, title, at, since, said_at) \
                    VALUES ('page-1', 1, 'opened', 'critical', 'fired', 'a title', '2026-03-01 12:00:00', \
                    '2026-03-01 11:59:00', '2026-03-01 12:00:01.5')";

/// Each query with what it is asked for; what is not given has its default, with the end of the day as `now`.
const CASES: [(&str, &[(&str, &str)]); 27] = [
    ("alerts_between", &[("from", "2026-09-14T00:00:00Z"), ("until", "2026-09-15T00:00:00Z")]),
    ("amplification_by_client_version", &[("from", "now-3h")]),
    ("change_impact", &[]),
    ("changes_between", &[]),
    ("customers_on_version", &[("client", "kameleo-cli"), ("client_version", "4.0.0")]),
    ("error_budget_state", &[("objective", "0.99")]),
    ("growth_forecast", &[]),
    ("incidents_between", &[("until", "2026-09-15T00:00:00Z")]),
    ("ledger_proof", &[("as_of", "2100-01-01T00:00:00Z")]),
    ("ledger_totals", &[]),
    ("limit_exceeded", &[("limit_per_minute", "50")]),
    ("memory_over_time", &[("bucket_s", "3600")]),
    ("pages_said", &[]),
    ("pools_over_time", &[("bucket_s", "3600"), ("source", "pool/sessions")]),
    ("query_fingerprints_heaviest", &[]),
    ("query_fingerprints_slowest", &[("node", "node-1")]),
    ("query_runs_over_time", &[("bucket_s", "3600")]),
    ("route_latency_over_time", &[("from", "now-3h"), ("bucket_s", "3600"), ("service", "api")]),
    ("server_time", &[]),
    ("subscription_day", &[("subscription", "sub-04"), ("from", "now-3h"), ("bucket_s", "1800")]),
    ("subscriptions_top_errors", &[("from", "now-3h")]),
    ("subscriptions_top_load", &[("from", "now-3h")]),
    ("subscriptions_top_retries", &[("from", "now-3h"), ("client", "kameleo-cli")]),
    ("traffic_by_minute", &[("from", "now-3h"), ("limit", "5")]),
    ("traffic_over_time", &[("from", "now-3h"), ("bucket_s", "1800")]),
    ("versions_over_time", &[("from", "now-3h"), ("bucket_s", "1800")]),
    ("wasteful_callers", &[("raw_minutes", "180")]),
];

/// A database with the day in it.
pub async fn seeded() -> TestDatabase {
    let database = fresh_database().await;
    migrate(&database.admin).await.unwrap();
    let writer = Writer::new(database.writer.clone());
    for batch in platform_day::batches() {
        writer.write(&batch).await.unwrap();
    }
    writer.write_transitions(&[events::transition()]).await.unwrap();
    writer.write_incidents(&[events::incident()]).await.unwrap();
    database.admin.execute(PAGE).await.unwrap();
    database
}

/// The rows of a query, asked at the end of the day.
pub async fn ask(database: &TestDatabase, name: &str, given: &[(&str, &str)]) -> Vec<Row> {
    database.reader.ask_bound(&bind(name, given)).await.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A query with what it is asked for; the end of the day is `now`.
pub fn bind(name: &str, given: &[(&str, &str)]) -> Bound<'static> {
    let query = NamedQuery::find(name).unwrap_or_else(|| panic!("no query {name}"));
    let given: BTreeMap<String, String> = given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    query.bind(&given, END).unwrap()
}

/// Whether a value is one of a column of `unit`.
fn fits(value: &Value, unit: Unit) -> bool {
    match value {
        Value::Null => true,
        Value::Number(_) => unit.is_number(),
        Value::String(text) if unit == Unit::Json => serde_json::from_str::<Value>(text).is_ok() || text.is_empty(),
        Value::String(text) if unit == Unit::Time => text.parse::<jiff::Timestamp>().is_ok(),
        Value::String(_) => unit == Unit::Text,
        _ => false,
    }
}

#[tokio::test]
async fn every_named_query_has_a_golden_case() {
    let database = seeded().await;
    let names: Vec<&str> = NamedQuery::all().iter().map(|query| query.name).collect();
    assert_eq!(CASES.map(|(name, _)| name).to_vec(), names);
    for (name, given) in CASES {
        let rows = ask(&database, name, given).await;
        let columns = &NamedQuery::find(name).unwrap().columns;
        for row in &rows {
            for column in columns {
                assert!(fits(&row[&column.name], column.unit), "{name}: {}: {}", column.name, row[&column.name]);
            }
        }
        let shown = rows.iter().take(ROWS_SHOWN).map(|row| Value::Object(row.clone()).to_string());
        let more = rows.len().saturating_sub(ROWS_SHOWN);
        let text = shown.chain((more > 0).then(|| format!("and {more} more"))).collect::<Vec<_>>().join("\n");
        if name != "server_time" && name != "ledger_totals" {
            insta::assert_snapshot!(format!("named_{name}"), text);
        }
        assert_eq!(rows.is_empty(), name == "ledger_proof", "{name}: {text}");
    }
}

#[tokio::test]
async fn columns_are_those_of_the_header_in_its_order() {
    let database = fresh_database().await;
    migrate(&database.admin).await.unwrap();
    for query in NamedQuery::all() {
        let given: BTreeMap<String, String> = query
            .parameters
            .iter()
            .filter(|parameter| parameter.default.is_none())
            .map(|parameter| (parameter.name.clone(), "x".to_owned()))
            .collect();
        let bound = query.bind(&given, END).unwrap();
        let values: Vec<(&str, &str)> = bound.values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let described: Vec<Row> =
            database.reader.fetch(&format!("DESCRIBE TABLE ({})", query.sql), &values).await.unwrap();
        let found: Vec<&str> = described.iter().map(|row| row["name"].as_str().unwrap()).collect();
        let declared: Vec<&str> = query.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(found, declared, "{}", query.name);
        for (row, column) in described.iter().zip(&query.columns) {
            let kind = row["type"].as_str().unwrap();
            let inner = kind.trim_start_matches("Nullable(").trim_start_matches("LowCardinality(");
            let is_number = ["UInt", "Int", "Float"].iter().any(|start| inner.starts_with(start));
            assert_eq!(is_number, column.unit.is_number(), "{}: {} is a {kind}", query.name, column.name);
        }
    }
}

/// Rows of tables whose first cell is a name: the rest by the name.
fn rows_of(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | ")).collect()
}

#[test]
fn the_document_lists_every_query_with_its_class_and_its_own_parameters() {
    let document = std::fs::read_to_string("docs/queries.md").unwrap();
    let (list, costs) = document.split_once("\n## What they cost").expect("docs/queries.md says what they cost");
    let (listed, measured) = (rows_of(list), rows_of(costs));
    for query in NamedQuery::all() {
        assert!(measured.contains_key(query.name), "docs/queries.md does not say what {} costs", query.name);
        let row = listed.get(query.name).unwrap_or_else(|| panic!("docs/queries.md does not list {}", query.name));
        let range = ["from", "until", "limit"];
        let own = query.parameters.iter().filter(|parameter| !range.contains(&parameter.name.as_str()));
        let own: Vec<String> = own.map(|parameter| format!("`{}`", parameter.name)).collect();
        let own = if own.is_empty() { "–".to_owned() } else { own.join(", ") };
        assert_eq!(*row, format!("{} | {} | {own} |", query.budget.as_str(), query.title), "{}", query.name);
    }
    for class in floodmark::model::BudgetClass::ALL {
        let limits = class.limits();
        let row = document.lines().find(|line| line.starts_with(&format!("| `{}` | ", class.as_str()))).unwrap();
        assert!(
            row.contains(&format!(" {} s ", limits.time_s))
                && row.contains(&format!(" {} GiB ", limits.memory_bytes >> 30))
        );
    }
}

#[tokio::test]
async fn hostile_texts_are_data() {
    let database = seeded().await;
    let tables = "SELECT toString(count()) AS n FROM system.tables WHERE database = '{database}'";
    let before: Vec<Row> = database.admin.fetch(tables, &[]).await.unwrap();
    let texts = [
        "'; DROP TABLE requests; --",
        "' OR 1 = 1 --",
        "\\' OR 1 = 1 --",
        "sub-01' UNION ALL SELECT * FROM system.users --",
        "{database}",
        "{limit:UInt32}",
        "zero\0after",
        "tab\tline\nreturn\r\\N\\0",
        "日本 🌊 \u{202e} ö",
        "%00&param_limit=1#",
        "sub-01 ",
    ];
    for query in NamedQuery::all() {
        for parameter in query.parameters.iter().filter(|parameter| parameter.kind.type_name() == "String") {
            // The catalogue of a query's own words is no filter: anything else asks for nothing.
            for text in texts {
                let mut given: Vec<(&str, &str)> = vec![(&parameter.name, text)];
                let required = query.parameters.iter().filter(|other| other.default.is_none());
                given
                    .extend(required.filter(|other| other.name != parameter.name).map(|o| (o.name.as_str(), "sub-01")));
                let asked = database.reader.ask_bound::<Row>(&bind(query.name, &given)).await;
                if (query.name, parameter.name.as_str()) == ("growth_forecast", "of") {
                    // One of two words, and nothing else.
                    assert!(asked.is_err(), "{text:?}");
                    continue;
                }
                let rows = asked.unwrap_or_else(|error| panic!("{} with {text:?}: {error}", query.name));
                let is_list = parameter.name.ends_with("_routes");
                assert!(rows.is_empty() || is_list, "{} with {} = {text:?}: {rows:?}", query.name, parameter.name);
            }
        }
    }
    let after: Vec<Row> = database.admin.fetch(tables, &[]).await.unwrap();
    assert_eq!(before, after);
    // What is stored comes back as it was, byte for byte.
    let stored = texts.map(|text| text.to_owned());
    let mut batch = platform_day::requests().into_iter().filter(|request| request.caller.is_none()).collect::<Vec<_>>();
    batch.truncate(stored.len());
    for (request, text) in batch.iter_mut().zip(&stored) {
        request.subscription = text.as_str().into();
    }
    let events = batch.into_iter().map(floodmark::model::Event::Request).collect();
    Writer::new(database.writer.clone()).write(&events::batch(10_000_000, events)).await.unwrap();
    let mut found = BTreeSet::new();
    for text in &stored {
        let rows = ask(&database, "traffic_over_time", &[("from", "now-3h"), ("subscription", text)]).await;
        let requests: u64 = rows.iter().map(|row| row["requests"].as_u64().unwrap()).sum();
        assert_eq!(requests, 1, "{text:?}");
        found.insert(text.clone());
    }
    assert_eq!(found.len(), stored.len());
}

#[tokio::test]
async fn a_query_beyond_its_budget_fails_and_says_so() {
    let database = fresh_database().await;
    let clickhouse = database.reader.limited(&floodmark::model::BudgetLimits {
        read_rows: 1_000,
        ..floodmark::model::BudgetClass::Interactive.limits()
    });
    let refused = clickhouse.fetch::<Row>("SELECT count() AS n FROM numbers(1000000) WHERE number > 1", &[]).await;
    assert!(refused.unwrap_err().to_string().contains("Limit for rows"), "too many rows");
    let kept = clickhouse.fetch::<Row>("SELECT count() AS n FROM numbers(1000) WHERE number > 1", &[]).await;
    assert_eq!(kept.unwrap()[0]["n"], 998);
}
