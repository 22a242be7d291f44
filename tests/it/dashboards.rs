//! Dashboards as Grafana would use them: every panel, annotation and variable asked on the real engine, with macros and
//! variables put in as Grafana and its ClickHouse data source do it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use floodmark::model::Timestamp;
use serde_json::Value;

use crate::named_queries::{Row, seeded};
use crate::support::clickhouse::TestDatabase;
use crate::support::platform_day::{END, START};

/// Panels that the seeded day has no answer for: one page of alerts lies months later, and load grows over weeks only.
const EMPTY: [&str; 3] = ["Alerts", "Incidents", "Growth of load"];
/// As a reader might choose it, or put it into the address of a dashboard.
const HOSTILE: &str = "\\' OR 1 = 1 UNION ALL SELECT * FROM system.users -- '); {limit:UInt32} ö ${database} $__toTime";

fn dashboards() -> Vec<Value> {
    let files = floodmark::dashboards::export().unwrap();
    files.iter().map(|file| serde_json::from_str(&file.json).unwrap()).collect()
}

fn list<'a>(value: &'a Value, pointer: &str) -> Vec<&'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten().collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// `encodeURIComponent` with `!'()*` encoded too: Grafana's format `percentencode`.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// A query that a dashboard asks.
struct Asked {
    /// The title of its panel.
    of: String,
    sql: String,
    /// Where its range begins.
    from: Timestamp,
}

/// What is sent for a raw query: variables first, as the browser does it, then the macros of the data source.
fn sent(query: &Asked, database: &str, variable: impl Fn(&str) -> String) -> String {
    let mut pieces = query.sql.split("${");
    let mut sql = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once('}').unwrap();
        match name.strip_suffix(":percentencode") {
            Some(name) => sql.push_str(&percent_encoded(&variable(name))),
            None => {
                assert_eq!(name, "database", "a variable that is put in as it is");
                sql.push_str(database);
            }
        }
        sql.push_str(rest);
    }
    let moment = |at: Timestamp| format!("toDateTime({})", at.as_millis() / 1_000);
    let sql = sql.replace("$__fromTime", &moment(query.from)).replace("$__toTime", &moment(END));
    sql.replace("$__interval_s", "600")
}

/// As people would choose.
fn usual(name: &str) -> String {
    match name {
        "subscription" => "sub-04",
        "client" => "kameleo-cli",
        "version" => "4.0.0",
        "limit" => "50",
        "objective" => "0.99",
        other => panic!("no value for the variable {other}"),
    }
    .to_owned()
}

/// Every SQL of a dashboard.
fn queries(dashboard: &Value) -> Vec<Asked> {
    let mut all = Vec::new();
    for panel in list(dashboard, "/panels") {
        for target in list(panel, "/targets").into_iter().filter(|target| target["rawSql"].is_string()) {
            let days = text(panel, "timeFrom").strip_suffix('d').map(|days| days.parse::<i64>().unwrap());
            let from = days.map_or(START, |days| END.plus(-days * 86_400_000));
            all.push(Asked { of: text(panel, "title").to_owned(), sql: text(target, "rawSql").to_owned(), from });
        }
    }
    for annotation in list(dashboard, "/annotations/list") {
        let of = format!("annotation {}", text(annotation, "name"));
        all.push(Asked { of, sql: text(&annotation["target"], "rawSql").to_owned(), from: START });
    }
    for variable in list(dashboard, "/templating/list").into_iter().filter(|variable| variable["type"] == "query") {
        let of = format!("variable {}", text(variable, "name"));
        all.push(Asked { of, sql: text(variable, "query").to_owned(), from: START });
    }
    all
}

async fn ask(database: &TestDatabase, of: &str, sql: &str) -> Vec<Row> {
    let answer = database.reader.fetch(sql, &[]).await;
    answer.unwrap_or_else(|error| panic!("{of}: {error}\n{sql}"))
}

#[tokio::test]
async fn every_panel_has_an_answer() {
    let database = seeded().await;
    for dashboard in dashboards() {
        for asked in queries(&dashboard) {
            let of = &asked.of;
            let rows = ask(&database, of, &sent(&asked, &database.name, usual)).await;
            let may_be_empty = EMPTY.contains(&of.as_str()) || of.starts_with("annotation Alerts");
            assert!(!rows.is_empty() || may_be_empty, "{}: {of} is empty", dashboard["title"]);
        }
    }
}

#[tokio::test]
async fn variables_are_data_whatever_they_hold() {
    let database = seeded().await;
    for dashboard in dashboards() {
        for asked in queries(&dashboard).iter().filter(|asked| asked.sql.contains(":percentencode")) {
            let of = &asked.of;
            let sql = sent(asked, &database.name, |_| HOSTILE.to_owned());
            if of == "Error budgets" {
                let refused = database.reader.fetch::<Row>(&sql, &[]).await.unwrap_err().to_string();
                assert!(refused.contains("objective is a share"), "{refused}");
                continue;
            }
            let rows = ask(&database, of, &sql).await;
            // A limit of 0 has an answer; nobody is called like that.
            assert!(rows.is_empty() || of == "Above the limit", "{of}: {rows:?}");
        }
    }
}

#[test]
fn every_panel_says_what_it_is_and_asks_a_chosen_source() {
    let (mut uids, mut panels) = (BTreeSet::new(), 0);
    for dashboard in dashboards() {
        let name = text(&dashboard, "uid").to_owned();
        assert!(dashboard["id"].is_null() && name.starts_with("floodmark-") && name.len() <= 40, "{name}");
        assert!(!text(&dashboard, "title").is_empty() && !text(&dashboard, "description").is_empty(), "{name}");
        assert_eq!(dashboard["editable"], false);
        assert!(uids.insert(name.clone()), "{name} is there twice");
        let variables: BTreeSet<&str> =
            list(&dashboard, "/templating/list").iter().map(|variable| text(variable, "name")).collect();
        let mut ids = BTreeSet::new();
        for panel in list(&dashboard, "/panels") {
            panels += 1;
            assert!(ids.insert(panel["id"].as_u64()), "{name}: two panels have one id");
            let title = text(panel, "title");
            assert!(!title.is_empty() && !text(panel, "description").is_empty(), "{name}: {title}");
            assert!(panel.pointer("/fieldConfig/defaults/unit").is_some_and(Value::is_string), "{name}: {title}");
            let targets = list(panel, "/targets");
            assert!(!targets.is_empty(), "{name}: {title}");
            for source in targets.iter().map(|target| &target["datasource"]).chain([&panel["datasource"]]) {
                let variable = text(source, "uid").trim_start_matches("${").trim_end_matches('}');
                assert!(variables.contains(variable), "{name}: {title} asks {source}");
            }
        }
        for Asked { of, sql, .. } in queries(&dashboard) {
            for variable in sql.split("${").skip(1).filter_map(|rest| rest.split(['}', ':']).next()) {
                assert!(variables.contains(variable), "{name}: {of} uses {variable}");
            }
        }
    }
    assert!(uids.len() == 7 && panels > 40, "{} dashboards, {panels} panels", uids.len());
}

#[test]
fn metrics_of_panels_are_served() {
    let served = std::fs::read_to_string(
        "src/metrics/snapshots/floodmark__metrics__tests__every_metric_has_a_name_a_type_and_a_help_text.snap",
    )
    .unwrap();
    let mut count = 0;
    for dashboard in dashboards() {
        for target in list(&dashboard, "/panels").into_iter().flat_map(|panel| list(panel, "/targets")) {
            for piece in text(target, "expr").split("floodmark_").skip(1) {
                let name: String = piece.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                let (bare, kind) = match name.strip_suffix("_total") {
                    Some(bare) => (bare, "counter"),
                    None => (name.as_str(), "gauge"),
                };
                assert!(
                    served.contains(&format!("# TYPE floodmark_{bare} {kind}\n")),
                    "{name} is not served as a {kind}"
                );
                count += 1;
            }
        }
    }
    assert!(count > 10, "only {count} metrics are asked for");
}

#[test]
fn provisioning_names_what_dashboards_ask() {
    let sources = std::fs::read_to_string("dashboards/provisioning/datasources/floodmark.yml").unwrap();
    for dashboard in dashboards() {
        for variable in list(&dashboard, "/templating/list").into_iter().filter(|one| one["type"] == "datasource") {
            assert!(sources.contains(&format!("type: {}", text(variable, "query"))), "{variable}");
        }
    }
    assert!(sources.contains("uid: floodmark-clickhouse") && !sources.contains("password: \""));
}

#[test]
fn a_folder_that_is_not_there_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("grafana/floodmark");
    let output = crate::cli_contract::floodmark().args(["dashboards", "export"]).arg(&folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(std::fs::read_dir(&folder).unwrap().count() > 3);
}
