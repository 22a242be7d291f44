//! The gate and the SQL lexer against the real engine: whose fault its messages say a failure is, whether it takes the
//! settings, and whether it reads quirky SQL as the lexer does.

use std::fmt::Write as _;
use std::time::Duration;

use floodmark::guard::gate::{Ask, Ended, Gate, GateInput, GateOutput, QueryNumber, RefusalReason};
use floodmark::guard::policy::GuardPolicy;
use floodmark::local::{Credentials, LocalClickHouse, LocalClickHouseOptions};
use floodmark::model::{SqlLexer, Timestamp, normalise_sql, sql_facts};

use crate::support::clickhouse::options;

/// Small, so that a query can reach the server's own limit.
const LIMIT_BYTES: u64 = 1 << 30;
/// Takes more memory than any limit here.
const HOG: &str = "SELECT uniqExact(number) FROM numbers(200000000)";

struct Engine {
    engine: LocalClickHouse,
    http: reqwest::Client,
    _directory: tempfile::TempDir,
}

impl Engine {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = LocalClickHouseOptions { memory_bytes_max: LIMIT_BYTES, ..options(directory.path()) };
        let engine = LocalClickHouse::start(options).await.unwrap();
        // Another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        Self { engine, http, _directory: directory }
    }

    /// The answer, or code and message.
    async fn ask(&self, sql: &str, settings: &[(&str, String)]) -> Result<String, (u32, String)> {
        let Credentials { user, password, .. } = &self.engine.users().admin;
        let mut url = reqwest::Url::parse(self.engine.url()).unwrap();
        url.query_pairs_mut().extend_pairs(settings).append_pair("enable_http_compression", "0");
        let request = self.http.post(url).header("X-ClickHouse-User", user.to_string());
        let request = request.header("X-ClickHouse-Key", password.as_str()).body(sql.to_owned());
        let answer = request.send().await.unwrap();
        let code = answer.headers().get("X-ClickHouse-Exception-Code").map(|code| code.to_str().unwrap().to_owned());
        let text = answer.text().await.unwrap();
        match code {
            Some(code) => Err((code.parse().unwrap(), text)),
            None => Ok(text.trim_end().to_owned()),
        }
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + seconds * 1_000)
}

fn gate() -> Gate {
    let text = format!("{}\n[tenants.ann]\nclass = \"ad_hoc\"\n", include_str!("../../config/guard.toml"));
    let mut policy = GuardPolicy::parse(&text).unwrap();
    policy.proxy.enforce = true;
    Gate::new(policy, LIMIT_BYTES).with_cores(2)
}

fn ask(gate: &mut Gate, number: QueryNumber) -> Vec<GateOutput> {
    let ask = Ask { number, tenant: "ann".to_owned(), fingerprint: "hog".to_owned(), ..Ask::default() };
    gate.apply(GateInput::Ask(ask), at(number as i64))
}

/// Whether three failures of the same kind open the breaker.
fn is_charged((code, message): &(u32, String)) -> bool {
    let mut gate = gate();
    for number in 1..=3 {
        assert!(matches!(ask(&mut gate, number)[..], [GateOutput::Admit { .. }]));
        let ended = Ended { exception_code: Some(*code), exception: Some(message.clone()), ..Ended::default() };
        gate.apply(GateInput::Ended(number, ended), at(number as i64));
    }
    match &ask(&mut gate, 4)[..] {
        [GateOutput::Refuse(4, refusal)] => refusal.reason == RefusalReason::BreakerOpen,
        _ => false,
    }
}

#[tokio::test]
async fn the_engine_s_messages_say_whose_fault_a_failure_is() {
    let engine = Engine::start().await;
    let fails = async |sql: &str, settings: &[(&str, String)]| engine.ask(sql, settings).await.unwrap_err();
    let bytes = || (100 << 20).to_string();

    let own = fails(HOG, &[("max_memory_usage", bytes())]).await;
    assert_eq!(own.0, 241);
    assert!(is_charged(&own), "{}", own.1);
    let quoted =
        "SELECT uniqExact(number) FROM numbers(200000000) WHERE toString(number) != '(total) memory limit exceeded'";
    let own = fails(quoted, &[("max_memory_usage", bytes())]).await;
    assert!(is_charged(&own), "{}", own.1);
    let read = fails("SELECT sum(number) FROM numbers(200000000)", &[("max_bytes_to_read", bytes())]).await;
    assert_eq!(read.0, 307);
    assert!(is_charged(&read), "{}", read.1);

    let user = fails(HOG, &[("max_memory_usage_for_user", bytes())]).await;
    let total = fails(HOG, &[]).await;
    let rows = fails(HOG, &[("max_rows_to_read", bytes())]).await;
    let syntax = fails("SELEC 1", &[]).await;
    assert_eq!((user.0, total.0, rows.0, syntax.0), (241, 241, 158, 62));
    for victim in [user, total, rows, syntax] {
        assert!(!is_charged(&victim), "{}", victim.1);
    }
}

#[tokio::test]
async fn the_engine_takes_the_gate_s_settings_and_keeps_to_them() {
    let engine = Engine::start().await;
    let outputs = ask(&mut gate(), 1);
    let [GateOutput::Admit { settings, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    let answer =
        engine.ask("SELECT number % 10 AS n, count() FROM numbers(100) GROUP BY n ORDER BY n LIMIT 1", settings);
    assert_eq!(answer.await.unwrap(), "0\t10");
    // 5 % of the limit.
    let (code, message) = engine.ask(HOG, settings).await.unwrap_err();
    assert_eq!(code, 241, "{message}");
    let said = "SELECT value FROM system.settings WHERE name = 'group_by_overflow_mode'";
    assert_eq!(engine.ask(said, settings).await.unwrap(), "throw");
}

/// Each is one statement for ClickHouse, and written anew by its own formatter it is the same query.
const QUIRKY: [&str; 21] = [
    "SELECT 1, 'it''s', 'it\\'s', '/* no comment', $tag$it's -- $$ \" $tag$, $$ ' $$",
    "SELECT a /* one /* two */ ' */ FROM t -- it's",
    "SELECT a // it's\nFROM t #! \"\n WHERE b = 1 # '",
    "SELECT x'4142', b'0101', 0x1F, 0b101, 1_000_000, 1e3, .5, 1., 1e-3 FROM t",
    "SELECT ‘a -- b’, “odd ' name” FROM t",
    "SELECT `a -- b`, \"c /* d\", `e\\`f` FROM `db 1`.`t '1`",
    "SELECT {a:Map(String, Array(Int32))}, {b:String} FROM {c:Identifier}",
    "SELECT t.1, (a, b).2, a.b.c, tuple(1, 2).1 FROM t",
    "SELECT a FROM t WHERE a IN (1) AND b IN (1, 2, 3) AND (a, b) IN ((1, 2), (3, 4))",
    "(SELECT 1) UNION ALL (SELECT 2)",
    "FROM t SELECT a LIMIT 10",
    "SELECT a FROM t LIMIT 5, 10",
    "SELECT a FROM t LIMIT 3 BY b LIMIT 10",
    "WITH x AS (SELECT a FROM u) SELECT * FROM x INNER JOIN v USING (a)",
    "SELECT count(), countIf(a > 1), quantile(0.9)(b) FROM t GROUP BY c WITH TOTALS",
    "SELECT a FROM t SETTINGS max_threads = 1, max_block_size = 10",
    "SELECT a FROM t FORMAT JSON",
    "SELECT -1, - 1, a - 1, a-1, a -1 FROM t",
    "SELECT arrayMap(x -> x + 1, [1, 2]), a || b, a != 1, a <> 2, a == 3, a <=> b FROM t",
    "SELECT 1a, 2b FROM t",
    "INSERT INTO db.t (a, b) SELECT a, b FROM u",
];

#[tokio::test]
async fn the_lexer_reads_quirky_sql_as_the_engine_does() {
    let engine = Engine::start().await;
    for sql in QUIRKY {
        let tag = "$quoted$";
        let formatted = format!("SELECT formatQuerySingleLine({tag}{sql}\n{tag}) FORMAT TSVRaw");
        let formatted = engine.ask(&formatted, &[]).await.unwrap_or_else(|(_, error)| panic!("{sql}: {error}"));
        let (ours, theirs) = (sql_facts(sql), sql_facts(&formatted));
        assert_eq!(ours, theirs, "{sql}\n{formatted}");
        assert_eq!(ours.statements, 1, "{sql}");
        assert_eq!(words(sql), words(&formatted), "{sql}\n{formatted}");
    }
    for (sql, accepts) in [("SELECT 1; SELECT 2", false), ("SELECT ';' -- ;\n;", true), ("SELECT 1;;", true)] {
        assert_eq!(engine.ask(sql, &[]).await.is_ok(), accepts, "{sql}");
        assert_eq!(sql_facts(sql).statements == 1, accepts, "{sql}");
    }
}

#[test]
fn a_mebibyte_of_tags_that_never_end_is_read_once() {
    let mut distinct = String::new();
    for number in 0.. {
        write!(distinct, "$a{number} ").unwrap();
        if distinct.len() > 1 << 20 {
            break;
        }
    }
    // The square of a mebibyte would take minutes.
    let began = tokio::time::Instant::now();
    for text in ["$a".repeat(1 << 19), "$a ".repeat(1 << 18), "$".repeat(1 << 20), distinct] {
        assert!(SqlLexer::new(&text).count() > 0);
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

/// Words, names and literals of the normal form, without what the engine's formatter writes in its own way: brackets,
/// operators, quotes of names, where FROM stands.
fn words(sql: &str) -> Vec<String> {
    let normal = normalise_sql(sql);
    let mut words: Vec<String> = normal
        .split(|c: char| c.is_whitespace() || "()[],+-=!<>|`\"“”".contains(c))
        .filter(|word| !word.is_empty() && !["as", "concat"].contains(word))
        .map(str::to_owned)
        .collect();
    words.sort();
    words
}
