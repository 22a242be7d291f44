//! The desk of questions itself, on a real ClickHouse: what one token may take of it, and what is counted.

use std::sync::Arc;
use std::time::Duration;

use floodmark::clock;
use floodmark::config::{QueryConfig, Secret};
use floodmark::metrics::Metrics;
use floodmark::model::NamedQuery;
use floodmark::query::{Asker, QueryDesk, QueryError, ResultFormat};
use floodmark::store::{Endpoint, migrate};
use futures_util::future::join_all;

use crate::support::clickhouse::{TestDatabase, fresh_database, shared_engine};
use crate::support::service::until;

async fn desk(config: &QueryConfig) -> (QueryDesk, TestDatabase) {
    let (desk, database, _) = counting_desk(config).await;
    (desk, database)
}

async fn counting_desk(config: &QueryConfig) -> (QueryDesk, TestDatabase, Arc<Metrics>) {
    let database = fresh_database().await;
    migrate(&database.admin).await.unwrap();
    let engine = shared_engine();
    let endpoint = Endpoint {
        url: engine.url.clone(),
        database: database.name.clone(),
        user: engine.users.desk.user.to_owned(),
        password: Secret::new(engine.users.desk.password.as_str()),
        timeout: Duration::from_secs(60),
        tls: None,
    };
    let metrics = Arc::new(Metrics::new());
    (QueryDesk::new(&endpoint, config, &metrics), database, metrics)
}

fn asker(token: &str) -> Asker {
    Asker { token: Arc::from(token), subscription: None }
}

/// How many were told that their token has enough, and how many failed otherwise.
fn busy_and_others<T>(answers: &[Result<T, QueryError>]) -> (usize, usize) {
    let is_busy = |error: &QueryError| matches!(error, QueryError::Busy(why) if why.contains("of this token"));
    let failed = answers.iter().filter_map(|answer| answer.as_ref().err());
    let (busy, others): (Vec<_>, Vec<_>) = failed.partition(|error| is_busy(error));
    (busy.len(), others.len())
}

#[tokio::test]
async fn one_token_leaves_places_for_named_queries_of_others() {
    let config = QueryConfig { named_at_once_max: 3, named_at_once_per_token_max: 2, ..QueryConfig::default() };
    let (desk, _database) = desk(&config).await;
    let bound = NamedQuery::find("server_time").unwrap().bind(&[].into(), clock::now()).unwrap();
    let ask = async |token: &str| desk.rows(&bound, &asker(token)).await;
    // All of them begin before any of them has an answer: the first poll goes as far as the network.
    for _ in 0..3 {
        let answers = join_all(["greedy", "greedy", "greedy", "greedy", "modest"].map(&ask)).await;
        assert_eq!(busy_and_others(&answers), (2, 0), "{answers:?}");
        assert!(answers[4].is_ok(), "the other token has its place: {answers:?}");
    }
    let crowd = join_all(["a", "a", "b", "c"].map(&ask)).await;
    let QueryError::Busy(why) = crowd[3].as_ref().unwrap_err() else { panic!("{crowd:?}") };
    assert!(why.starts_with("3 named queries run already"), "all places together have their bound: {why}");
}

#[tokio::test]
async fn one_token_leaves_others_the_looks_at_what_sql_would_cost() {
    // Six places for those that are prepared.
    let config = QueryConfig { at_once_max: 4, at_once_per_token_max: 2, waiting_max: 2, ..QueryConfig::default() };
    let (desk, database) = desk(&config).await;
    let looks = async |token: &str| desk.explain("SELECT count() FROM requests", &asker(token)).await;
    let answers = join_all(["greedy"; 9].into_iter().chain(["modest"; 2]).map(&looks)).await;
    assert_eq!(busy_and_others(&answers), (7, 0), "{answers:?}");
    assert!(answers[9].is_ok() && answers[10].is_ok(), "{answers:?}");
    // What was refused has asked ClickHouse nothing.
    database.admin.execute("SYSTEM FLUSH LOGS").await.unwrap();
    let sql = "SELECT countIf(query LIKE 'EXPLAIN AST%') AS trees FROM system.query_log WHERE type = 'QueryStart' \
               AND position(log_comment, {token:String}) > 0 AND has(databases, {database:String}) = 0 \
               AND current_database = {database:String}";
    for (token, trees) in [("greedy", 2), ("modest", 2)] {
        let parameters = [("token", token), ("database", &database.name)];
        let rows: Vec<serde_json::Value> = database.admin.fetch(sql, &parameters).await.unwrap();
        assert_eq!(rows[0]["trees"], trees, "{token}");
    }
    let format = ResultFormat::Ndjson;
    let ask = async |token: &str| desk.sql("SELECT 1 AS one", &asker(token), format).await.map(|(_, answer)| answer);
    assert_eq!(busy_and_others(&join_all(["greedy"; 3].map(&ask)).await), (1, 0));
}

#[tokio::test]
async fn what_somebody_writes_in_a_literal_or_a_comment_is_not_replaced() {
    let (desk, _database) = desk(&QueryConfig::default()).await;
    let sql = "SELECT '{database}' AS text, count() AS n /* {database} */ FROM {database}.requests -- {database}";
    let (_, answer) = desk.sql(sql, &asker("a"), ResultFormat::Ndjson).await.unwrap();
    let row: serde_json::Value = serde_json::from_slice(&answer.collect().await.unwrap()).unwrap();
    assert_eq!(row, serde_json::json!({ "text": "{database}", "n": 0 }));
}

#[tokio::test]
async fn every_question_is_counted_once_by_what_became_of_it() {
    let config = QueryConfig { read_rows_max: 1_000, at_once_per_token_max: 1, ..QueryConfig::default() };
    let (desk, _database, metrics) = counting_desk(&config).await;
    let format = ResultFormat::Ndjson;
    let whole = async |sql: &str| -> Result<usize, QueryError> {
        let (_, answer) = desk.sql(sql, &asker("a"), format).await?;
        Ok(answer.collect().await.unwrap().len())
    };
    let bytes = whole("SELECT 'three' AS words").await.unwrap();
    assert!(whole("SELECT * FROM system.users").await.is_err());
    assert!(whole("SELECT no_such_column FROM requests").await.is_err());
    // The server does not say beforehand how many numbers it will read.
    assert!(whole("SELECT max(sipHash64(number)) FROM numbers(1000000)").await.is_err());
    assert!(desk.explain("SELECT 1", &asker("a")).await.is_ok());
    let two = join_all(["SELECT 1", "SELECT 2"].map(&whole)).await;
    assert_eq!(busy_and_others(&two), (1, 0));
    // Who leaves in the middle of an answer of many pieces.
    let (_, answer) = desk.sql("SELECT repeat('x', 10000) FROM numbers(900)", &asker("a"), format).await.unwrap();
    drop(answer);
    let count = |name: &str| {
        let text = metrics.encode(clock::now());
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<f64>().ok());
        line.unwrap_or_else(|| panic!("{name} is not in {text}"))
    };
    until("nothing is under way", async || {
        (count(r#"floodmark_questions_under_way{kind="sql"}"#) == 0.0).then_some(())
    })
    .await;
    let expected = [
        ("answered", 2.0),
        ("refused_by_fence", 1.0),
        ("failed", 1.0),
        ("limit", 1.0),
        ("refused_by_places", 1.0),
        ("left", 1.0),
    ];
    for (outcome, times) in expected {
        assert_eq!(
            count(&format!("floodmark_questions_total{{kind=\"sql\",outcome=\"{outcome}\"}}")),
            times,
            "{outcome}"
        );
    }
    assert_eq!(count(r#"floodmark_questions_total{kind="explain",outcome="answered"}"#), 1.0);
    assert_eq!(count("floodmark_questions_waiting"), 0.0);
    assert!(count(r#"floodmark_answers_bytes_total{kind="sql"}"#) >= bytes as f64);
}
