//! `guard preflight` on a real ClickHouse: each way in which a query gets heavier is caught and named, and a set that did
//! not change passes again and again.

use std::path::{Path, PathBuf};
use std::process::Output;

use floodmark::guard::preflight::report::{json, junit, sarif};
use floodmark::guard::preflight::{
    Budgets, Folder, Kind, Measured, Report, Scale, Server, judge, measure_all, seed, updated,
};
use floodmark::local::LocalClickHouse;
use serde_json::Value;

use crate::cli_contract::floodmark;
use crate::support::clickhouse::{client, options};

/// The most memory of a query.
const QUERY_BYTES_MAX: u64 = 1 << 30;
/// Times that an unchanged set is measured.
const REPEATS: usize = 5;

const SCHEMA: &str = "
CREATE TABLE events
(
    day Date, customer UInt32, session UInt64, feature LowCardinality(String), payload String,
    INDEX by_session session TYPE bloom_filter GRANULARITY 1,
    PROJECTION by_feature (SELECT feature, day, count(), sum(session) GROUP BY feature, day)
)
ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY (customer, day)";
const SEED: &str = "
INSERT INTO events SELECT
    toDate('2026-01-01') + number % 60, cityHash64(number) % 500, cityHash64(number, 's') % 50000,
    ['login', 'search', 'export'][number % 3 + 1], hex(cityHash64(number, 'p'))
FROM numbers({scale} * 100000)";

const CUSTOMER: &str =
    "SELECT day, count(), any(payload) FROM events WHERE customer = {customer:UInt32} GROUP BY day FORMAT JSON;";
const SESSION: &str = "SELECT payload FROM events WHERE session = 77";
const FEATURES: &str = "SELECT feature, count() FROM events GROUP BY feature";
const SESSIONS: &str = "SELECT session, any(payload) AS last FROM {database}.events GROUP BY session ORDER BY session";
const MONTH: &str = "SELECT count(), max(payload) FROM events WHERE day >= '2026-02-01'";

/// The dashboard's query without its index: a condition on another column beside that on the key.
fn full_scan() -> String {
    CUSTOMER.replace("customer = {customer:UInt32}", "(customer = {customer:UInt32} OR payload = 'none')")
}

fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).unwrap();
}

/// A folder with five queries.
fn folder() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("schema.sql", SCHEMA),
        ("seed.sql", SEED),
        ("customer.sql", CUSTOMER),
        ("session.sql", SESSION),
        ("features.sql", FEATURES),
        ("sessions.sql", SESSIONS),
        ("month.sql", MONTH),
        ("budgets.toml", "[queries.customer]\nnote = \"a dashboard\"\nparameters = { customer = \"7\" }"),
    ] {
        write(directory.path(), name, text);
    }
    directory
}

/// An engine for each scale, seeded once.
struct Bench {
    engines: Vec<(Scale, LocalClickHouse, Server)>,
    _data: tempfile::TempDir,
}

impl Bench {
    async fn start(folder: &Folder) -> Self {
        let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut engines = Vec::new();
        for scale in folder.scales() {
            let mut options = options(&data.path().join(&scale.label));
            options.databases = folder.database().to_owned();
            options.memory_bytes_max = 1 << 30;
            let engine = LocalClickHouse::start(options).await.unwrap();
            let admin = &engine.users().admin;
            let access = folder.access(engine.url(), admin.user, &admin.password, QUERY_BYTES_MAX);
            let server = Server::connect(access).await.unwrap();
            seed(&server, folder, scale.factor.unwrap()).await.unwrap();
            engines.push((scale, engine, server));
        }
        Self { engines, _data: data }
    }

    fn engine(&self) -> &str {
        self.engines[0].2.version()
    }

    async fn measure(&self, folder: &Folder) -> Vec<Measured> {
        let mut all = Vec::new();
        for (scale, _, server) in &self.engines {
            all.extend(measure_all(server, folder, scale).await.unwrap());
        }
        all
    }

    async fn judge(&self, directory: &Path) -> Report {
        let folder = Folder::read(directory, None).unwrap();
        judge(&folder, &folder.scales(), &self.measure(&folder).await, self.engine())
    }

    /// What is said with another text of one query; then the text is as it was.
    async fn planted(&self, directory: &Path, name: &str, text: &str) -> Report {
        let path = directory.join(name);
        let kept = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text).unwrap();
        let report = self.judge(directory).await;
        std::fs::write(&path, kept).unwrap();
        report
    }

    async fn alter(&self, sql: &str) {
        for (_, engine, _) in &self.engines {
            client(engine.url(), &engine.users().admin, "preflight").execute(sql).await.unwrap();
        }
    }
}

/// Kinds of findings of one query, when no other query has any.
fn kinds_of(report: &Report, name: &str) -> Vec<Kind> {
    let others: Vec<_> =
        report.queries.iter().filter(|query| query.query != name && !query.findings.is_empty()).collect();
    assert!(others.is_empty(), "{others:#?}");
    let query = report.queries.iter().find(|query| query.query == name).unwrap();
    query.findings.iter().map(|finding| finding.kind).collect()
}

fn said(report: &Report, name: &str, kind: Kind) -> String {
    let query = report.queries.iter().find(|query| query.query == name).unwrap();
    let finding = query.findings.iter().find(|finding| finding.kind == kind).unwrap();
    format!("{} -> {}, {}: {}", finding.was, finding.now, finding.since, finding.look_at)
}

#[tokio::test]
async fn each_way_to_get_heavier_is_caught_and_what_did_not_change_passes() {
    let directory = folder();
    let read = Folder::read(directory.path(), None).unwrap();
    let bench = Bench::start(&read).await;

    let fresh = bench.judge(directory.path()).await;
    assert_eq!(fresh.failed(), 5, "nothing was accepted yet");
    assert!(said(&fresh, "sessions", Kind::NoBaseline).contains("--update"), "{fresh:#?}");

    let measured = bench.measure(&read).await;
    let budgets = updated(&read, &read.scales(), &measured, bench.engine(), "2026-11-21");
    assert_eq!(budgets.queries["customer"].note.as_deref(), Some("a dashboard"));
    let required = |name: &str| budgets.queries[name].require.clone().unwrap();
    assert_eq!(required("customer"), ["events PrimaryKey"]);
    assert_eq!(required("features"), ["projection by_feature"]);
    assert!(required("session").contains(&"events Skip by_session".to_owned()), "{:?}", required("session"));
    write(directory.path(), "budgets.toml", &budgets.to_toml());

    for _ in 0..REPEATS {
        let again = bench.judge(directory.path()).await;
        assert!(again.passes(), "{again:#?}");
    }
    let read = Folder::read(directory.path(), None).unwrap();
    let later = updated(&read, &read.scales(), &bench.measure(&read).await, bench.engine(), "2027-01-01");
    assert_eq!(later, budgets, "an update without a change writes the same file");

    // A full scan: any customer may have it now.
    let report = bench.planted(directory.path(), "customer.sql", &full_scan()).await;
    assert!(kinds_of(&report, "customer").starts_with(&[Kind::ReadRows]), "{report:#?}");
    let rows = said(&report, "customer", Kind::ReadRows);
    assert!(rows.contains("400000") && rows.contains("no filter on its key or partition is left"), "{rows}");
    let lost = said(&report, "customer", Kind::Index);
    assert!(lost.contains("events PrimaryKey") && lost.contains("2026-11-21"), "{lost}");

    // As many rows, of the same columns, and twice the memory.
    let heavy = SESSIONS.replace("any(payload)", "groupArray(payload)");
    let report = bench.planted(directory.path(), "sessions.sql", &heavy).await;
    assert_eq!(kinds_of(&report, "sessions")[0], Kind::Memory, "{report:#?}");
    let memory = said(&report, "sessions", Kind::Memory);
    assert!(memory.contains("as many rows") && memory.contains("groupArray"), "{memory}");

    // Twice the rows: both months instead of one.
    let wide = MONTH.replace("2026-02-01", "2026-01-01");
    let report = bench.planted(directory.path(), "month.sql", &wide).await;
    assert!(kinds_of(&report, "month").starts_with(&[Kind::ReadRows]), "{report:#?}");

    // A column that the projection does not have.
    let report = bench
        .planted(directory.path(), "features.sql", "SELECT feature, uniq(customer) FROM events GROUP BY feature")
        .await;
    assert!(kinds_of(&report, "features").contains(&Kind::Projection), "{report:#?}");

    // What cannot be run is told, and so is what writes.
    let report = bench.planted(directory.path(), "month.sql", "INSERT INTO events SELECT * FROM events").await;
    assert_eq!(kinds_of(&report, "month"), [Kind::Failed], "{report:#?}");

    // The schema loses an index.
    bench.alter("SYSTEM START MERGES {database}.events").await;
    bench.alter("ALTER TABLE {database}.events DROP INDEX by_session SETTINGS mutations_sync = 2").await;
    let report = bench.judge(directory.path()).await;
    let kinds = kinds_of(&report, "session");
    assert!(kinds.contains(&Kind::Index) && kinds.contains(&Kind::ReadRows), "{report:#?}");
    assert!(said(&report, "session", Kind::Index).contains("events Skip by_session"), "{report:#?}");
    programs_can_read(&report);
}

/// What the formats' own documents require of a file.
fn programs_can_read(report: &Report) {
    assert_eq!(json(report)["passes"], false);
    let xml = junit(report);
    let elements = |name: &str| xml.matches(&format!("<{name} ")).count();
    assert!(xml.starts_with("<?xml") && elements("testcase") == 5 && elements("failure") == 1, "{xml}");
    assert!(xml.contains("tests=\"5\" failures=\"1\"") && xml.contains("type=\"read_rows\""), "{xml}");

    let log = sarif(report);
    assert_eq!((log["version"].as_str(), log["runs"].as_array().unwrap().len()), (Some("2.1.0"), 1));
    let run = &log["runs"][0];
    assert!(run["tool"]["driver"]["name"].is_string());
    let rules: Vec<&Value> =
        run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect();
    let results = run["results"].as_array().unwrap();
    assert!(results.len() >= 2);
    for result in results {
        assert!(rules.contains(&&result["ruleId"]) && result["message"]["text"].is_string(), "{result}");
        assert!(["error", "note"].contains(&result["level"].as_str().unwrap()));
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["artifactLocation"]["uri"].as_str().unwrap().ends_with(".sql"), "{result}");
        assert_eq!(place["region"]["startLine"], 1);
    }
}

fn preflight(directory: &Path, further: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = root.join(".local/engines/libchdb.so");
    let mut command = floodmark();
    command.args(["guard", "preflight"]).arg(directory).args(further);
    command.env("FLOODMARK__LOCAL__CLICKHOUSE_LIBRARY", library).current_dir(root);
    command.output().unwrap()
}

#[test]
fn the_command_writes_a_baseline_and_later_says_what_got_heavier() {
    let directory = folder();
    let accepted = preflight(directory.path(), &["--update"]);
    assert_eq!(accepted.status.code(), Some(0), "{}", String::from_utf8_lossy(&accepted.stderr));
    write(directory.path(), "customer.sql", &full_scan());
    std::fs::remove_file(directory.path().join("month.sql")).unwrap();
    write(directory.path(), "unknown.sql", "SELECT absent FROM events");
    let refused = preflight(directory.path(), &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stderr));
    let text = String::from_utf8(refused.stdout).unwrap();
    // Memory differs a little from run to run, so the table of measures is left out.
    let findings = text.split("\n\n").next().unwrap();
    let budgets = Budgets::parse(&std::fs::read_to_string(directory.path().join("budgets.toml")).unwrap()).unwrap();
    let date = &budgets.queries["customer"].baseline["4x"].date;
    insta::assert_snapshot!(findings.replace(date.as_str(), "YYYY-MM-DD"));
    assert!(
        text.contains("note: month.sql is gone") && text.ends_with("3 of 5 queries pass on ClickHouse 26.7.2.1\n"),
        "{text}"
    );
}

#[test]
fn the_budgets_of_the_shipped_queries_are_complete_and_as_the_command_writes_them() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("queries/named");
    let folder = Folder::read(&path, None).unwrap();
    assert_eq!(std::fs::read_to_string(&folder.budgets_path).unwrap(), folder.budgets.to_toml());
    assert_eq!(folder.budgets.queries.len(), folder.queries.len());
    for (name, query) in &folder.budgets.queries {
        assert!(query.budget.is_some() && query.require.is_some(), "{name}");
        let scales: Vec<&str> = query.baseline.keys().map(String::as_str).collect();
        assert_eq!(scales, ["1x", "4x"], "{name}");
    }
}

#[test]
fn a_folder_that_cannot_be_used_is_wrong_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let output = preflight(directory.path(), &[]);
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("holds 0 queries"));
}

#[test]
fn a_seed_that_fills_nothing_is_no_preflight() {
    let directory = folder();
    write(directory.path(), "seed.sql", &format!("{SEED} WHERE number < 0"));
    let output = preflight(directory.path(), &["--update"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("the seed has filled no table"), "{error}");
    let budgets = std::fs::read_to_string(directory.path().join("budgets.toml")).unwrap();
    assert!(!budgets.contains("baseline"), "nothing was accepted: {budgets}");
}
