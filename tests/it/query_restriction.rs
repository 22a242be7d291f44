//! A token of one subscription: what it sees, whatever it asks, and what it never sees.

use serde_json::{Value, json};

use crate::support::questions::{Questions, problem};

/// Everything that an answer or a refusal says.
async fn said(questions: &Questions, sql: &str) -> (u16, String) {
    let response = questions.sql("acme", sql).await;
    let status = response.status().as_u16();
    (status, response.text().await.unwrap_or_else(|error| panic!("{sql}: {error}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_rows_are_seen_and_those_of_others_are_not_however_they_are_asked_for() {
    let questions = Questions::start(|_| {}).await;
    assert_eq!(questions.rows("acme", "SELECT count() AS n FROM requests").await, [json!({"n": 50_000})]);
    assert_eq!(questions.rows("analyst", "SELECT count() AS n FROM requests").await, [json!({"n": 100_000})]);
    // Texts that are answered, and show nothing of globex.
    for sql in [
        "SELECT DISTINCT subscription AS s FROM requests",
        "SELECT DISTINCT subscription AS s FROM requests AS tables",
        "SELECT DISTINCT subscription AS s FROM requests AS system",
        "SELECT DISTINCT subscription AS s FROM {database}.requests AS x",
        "SELECT DISTINCT x.subscription AS s FROM requests x JOIN requests y ON x.timestamp = y.timestamp LIMIT 5",
        "SELECT subscription AS s FROM requests WHERE 1 OR subscription = 'globex' GROUP BY 1",
        "SELECT subscription AS s FROM requests GROUP BY 1 UNION ALL SELECT subscription FROM requests_by_minute GROUP BY 1",
        "SELECT arrayJoin((SELECT groupUniqArray(subscription) FROM requests)) AS s",
        "WITH a AS (SELECT subscription FROM requests) SELECT DISTINCT subscription AS s FROM a",
        "SELECT DISTINCT s FROM (SELECT subscription AS s FROM (SELECT * FROM requests_by_minute))",
        "SELECT subscription AS s FROM requests -- ' OR 1\n GROUP BY 1",
        "SELECT DISTINCT subscription AS s, _table FROM requests",
        "SELECT DISTINCT s FROM (SELECT any(subscription) OVER (PARTITION BY subscription) AS s FROM requests)",
        "SELECT argMax(subscription, timestamp) AS s FROM requests",
        "SELECT subscription AS s FROM requests INTERSECT SELECT subscription FROM requests LIMIT 1",
    ] {
        let (status, text) = said(&questions, sql).await;
        assert_eq!(status, 200, "{sql}: {text}");
        assert!(text.contains("acme") && !text.contains("globex"), "{sql}: {text}");
    }
    for (sql, expected) in [
        ("SELECT 'globex' IN (SELECT subscription FROM requests) AS n", 0),
        ("SELECT count() AS n FROM requests WHERE subscription = 'globex'", 0),
        ("SELECT uniqExact(timestamp) AS n FROM requests WHERE status != 0", 50_000),
        ("SELECT sum(requests) AS n FROM requests_by_minute FINAL", 50_000),
        ("SELECT count() AS n FROM requests WHERE (subscription, status) IN (SELECT 'globex', 200)", 0),
        ("SELECT count() AS n FROM numbers(5) WHERE 'globex' GLOBAL IN (SELECT subscription FROM requests)", 0),
        ("SELECT count() AS n FROM (SELECT 'globex' AS s) AS a SEMI JOIN requests AS b ON a.s = b.subscription", 0),
        ("SELECT count() AS n FROM query_runs", 0),
        ("SELECT dateDiff('second', min(timestamp), max(timestamp)) AS n FROM requests", 99_998),
    ] {
        let rows = questions.rows("acme", sql).await;
        let n = &rows[0]["n"];
        let n = n.as_u64().unwrap_or_else(|| u64::from(n.as_bool() == Some(true)));
        assert_eq!(n, expected, "{sql}: {rows:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_show_more_is_refused() {
    let questions = Questions::start(|_| {}).await;
    for (sql, expected) in [
        ("SELECT * FROM incidents", "forbidden"),
        ("SELECT * FROM {database}.alert_transitions", "forbidden"),
        ("SELECT * FROM pages", "forbidden"),
        ("SELECT * FROM signals", "forbidden"),
        ("SELECT 1 IN incidents", "forbidden"),
        ("SELECT count() FROM requests WHERE route IN {database}.incidents", "forbidden"),
        ("WITH incidents AS (SELECT 1) SELECT * FROM incidents", "forbidden"),
        ("WITH a AS (SELECT * FROM incidents) SELECT * FROM a", "forbidden"),
        ("SELECT (SELECT count() FROM changes)", "forbidden"),
        ("SELECT 1 WHERE EXISTS (SELECT 1 FROM silences)", "forbidden"),
        ("SELECT count() FROM requests PREWHERE throwIf(subscription = 'globex') = 0", "forbidden"),
        ("SELECT count() FROM requests prewhere toUInt8(subscription) = 0", "forbidden"),
        ("SELECT * FROM secrets", "query_refused"),
        ("SELECT * FROM `secrets`", "query_refused"),
        ("SELECT * FROM /* requests */ \"secrets\"", "query_refused"),
        ("WITH secrets AS (SELECT 1 AS a) SELECT * FROM secrets", "query_refused"),
        ("SELECT * FROM (WITH secrets AS (SELECT 1 AS a) SELECT * FROM secrets), secrets", "query_refused"),
        ("WITH secrets AS (SELECT * FROM b), b AS (SELECT * FROM secrets) SELECT * FROM secrets", "query_refused"),
        ("SELECT 'swordfish' IN secrets", "query_refused"),
        ("SELECT in('swordfish', secrets)", "query_refused"),
        ("SELECT * FROM everything", "query_refused"),
        ("SELECT * FROM requests, everything", "query_refused"),
        ("SELECT * FROM merge('', '^requests$')", "query_refused"),
        ("SELECT * FROM merge({database}, 'requests')", "query_refused"),
        ("SELECT * FROM mergeTreeIndex('{database}', 'requests')", "query_refused"),
        ("SELECT * FROM mergeTreeProjection('{database}', 'requests', 'p')", "query_refused"),
        ("SELECT * FROM remote('127.0.0.1', '{database}', 'requests')", "query_refused"),
        ("SELECT * FROM remoteSecure('127.0.0.1', '{database}', 'requests')", "query_refused"),
        ("SELECT * FROM view(SELECT * FROM requests)", "query_refused"),
        ("SELECT * FROM viewIfPermitted(SELECT * FROM requests ELSE null('a String'))", "query_refused"),
        ("SELECT * FROM loop(requests)", "query_refused"),
        ("SELECT * FROM dictionary('d')", "query_refused"),
        ("SELECT * FROM (EXPLAIN SELECT * FROM incidents)", "query_refused"),
        ("EXPLAIN SELECT * FROM requests", "query_refused"),
        ("SELECT dictGet('d', 'a', 'globex')", "query_refused"),
        ("SELECT joinGet('{database}.requests', 'route', 'globex')", "query_refused"),
        ("SELECT hasColumnInTable('{database}', 'secrets', 'word')", "query_refused"),
        ("SELECT getSetting('additional_table_filters')", "query_refused"),
        ("SELECT * FROM system.processes", "query_refused"),
        ("SELECT * FROM system.query_log", "query_refused"),
        ("SELECT * FROM system.parts", "query_refused"),
        ("SELECT * FROM system.tables", "query_refused"),
        ("SELECT * FROM information_schema.tables", "query_refused"),
        ("SELECT * FROM INFORMATION_SCHEMA.TABLES", "query_refused"),
        ("SELECT count() FROM requests SETTINGS additional_table_filters = {}", "query_refused"),
        ("SELECT count() FROM requests Settings/**/`additional_table_filters` = {}", "query_refused"),
        ("SELECT * FROM (SELECT * FROM requests SETTINGS max_threads = 1)", "query_refused"),
        ("SELECT count() FROM (SELECT * FROM requests SETTINGS additional_table_filters = {})", "query_refused"),
        ("SELECT count() FROM (SELECT * FROM requests SETTINGS optimize_move_to_prewhere)", "query_refused"),
        ("WITH a AS (SELECT * FROM requests SETTINGS max_threads = DEFAULT) SELECT * FROM a", "query_refused"),
        ("SELECT 1 IN (SELECT 1 FROM requests SETTINGS additional_table_filters = {})", "query_refused"),
        ("SELECT * FROM numbers(1, SETTINGS max_threads = 1)", "query_refused"),
        ("SELECT 'x' AS `a\\nTableIdentifier requests` FROM secrets", "query_refused"),
        ("SELECT uniq(subscription) FROM requests AS `system.tables`", "forbidden"),
        ("SELECT uniq(subscription) FROM requests_by_minute AS `system.columns`", "forbidden"),
        ("SELECT 1 FROM numbers(1) AS n JOIN requests AS `system.tables` ON 1 = 1", "forbidden"),
        ("SELECT uniq(subscription) FROM (SELECT * FROM requests AS `{database}.changes`)", "forbidden"),
        ("SELECT current_user()", "query_refused"),
        ("SELECT 1 PARALLEL WITH SELECT 2", "query_refused"),
        ("SELECT * APPLY(toString) FROM requests", "query_refused"),
    ] {
        let sql = sql.replace("{database}", &questions.database.name);
        let (code, body) = questions.refusal("acme", &sql).await;
        assert_eq!(code, expected, "{sql}: {body}");
        assert!(!body.to_string().contains("swordfish") || sql.contains("swordfish"), "{sql}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_condition_that_fails_tells_nothing_of_rows_of_others() {
    let questions = Questions::start(|_| {}).await;
    // Each of these would fail if it were evaluated on a row of globex.
    for sql in [
        "SELECT count() AS n FROM requests WHERE throwIf(subscription = 'globex') = 0",
        "SELECT count() AS n FROM requests WHERE intDiv(1, toUInt8(subscription = 'acme')) = 1",
        "SELECT count() AS n FROM requests WHERE status > 0 AND intDiv(1, toUInt8(subscription = 'acme')) = 1 AND route = '/a'",
        "SELECT count() AS n FROM (SELECT subscription AS s FROM requests) WHERE intDiv(1, toUInt8(s = 'acme')) = 1",
        "SELECT count() AS n FROM requests AS a JOIN requests AS b ON a.timestamp = b.timestamp \
         AND intDiv(1, toUInt8(b.subscription = 'acme')) = 1",
        "SELECT count() AS n FROM requests AS a JOIN requests AS b ON a.timestamp = b.timestamp \
         WHERE throwIf(b.subscription = 'globex') = 0",
        "SELECT sum(throwIf(subscription = 'globex')) + 50000 AS n FROM requests",
        "SELECT count() AS n FROM (SELECT subscription, max(timestamp) FROM requests GROUP BY subscription, timestamp \
         HAVING intDiv(1, toUInt8(subscription = 'acme')) = 1)",
    ] {
        assert_eq!(questions.rows("acme", sql).await, [json!({"n": 50_000})], "{sql}");
    }
    // One that fails on rows of its own is told without them.
    let (code, body) = questions.refusal("acme", "SELECT toUInt8(subscription) FROM requests").await;
    assert!(code == "bad_query" && !body.to_string().contains("'acme'"), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_about_all_subscriptions_are_closed_and_named_queries_show_its_own() {
    let questions = Questions::start(|_| {}).await;
    for path in [
        "/metrics",
        "/api/v1/alerts",
        "/api/v1/alerts/history",
        "/api/v1/incidents",
        "/api/v1/incidents/globex-storm",
        "/api/v1/pages",
        "/api/v1/pages/x",
        "/api/v1/silences",
        "/api/v1/events",
    ] {
        let (code, body) = problem(questions.get("acme", path).await).await;
        assert_eq!(code, "forbidden", "{path}: {body}");
    }
    let results = "/api/v1/queries/traffic_by_minute/results?from=2026-03-01T10:00:00Z&until=2026-03-01T10:10:00Z";
    let seen = async |token: &str| {
        let body: Value = questions.get(token, results).await.json().await.unwrap();
        let rows = body["data"].as_array().unwrap().iter().map(|row| row["subscription"].as_str().unwrap().to_owned());
        rows.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    assert_eq!(
        (seen("acme").await, seen("reader").await),
        (vec!["acme".to_owned()], vec!["acme".to_owned(), "globex".to_owned()])
    );
    let history = "/api/v1/queries/pages_said/results?from=now-1h&until=now&key=&limit=10";
    assert_eq!(problem(questions.get("acme", history).await).await.0, "forbidden");
    let ledger = "/api/v1/queries/ledger_totals/results?topic=requests";
    assert_eq!(problem(questions.get("acme", ledger).await).await.0, "forbidden");
    for method in ["/-/reload", "/api/v1/silences"] {
        let response = questions.ask("acme", method, "{}", "*/*").await;
        assert_eq!(response.status(), 403, "{method}");
    }
}
