//! The guard's proxy is ClickHouse to its clients: what `curl` gets through it is what it gets without it.

use std::io::Write as _;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::clickhouse::fresh_database;
use crate::support::guard_proxy::{Answer, curl, start, until};

/// What must be the same through the proxy: all but ids, times and marks made anew for each answer.
fn essence(answer: &Answer) -> (u16, String, String, i32) {
    let tag = answer.header("x-clickhouse-exception-tag").to_owned();
    let body = if tag.is_empty() { answer.text() } else { answer.text().replace(&tag, "TAG") };
    (answer.status, answer.header("x-clickhouse-exception-code").to_owned(), body, answer.exit)
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_the_server() {
    let guarded = start(true, "").await;
    let admin = &guarded.engine.users.admin;
    let cases: &[(&str, &[&str], &[u8])] = &[
        ("/?query=SELECT%201", &[], b""),
        ("/", &["--data-binary", "@-"], b"SELECT number, toString(number) FROM numbers(5) FORMAT JSONCompact SETTINGS output_format_json_quote_64bit_integers=0, output_format_write_statistics=0"),
        ("/?query=SELECT%20number", &["--data-binary", "@-"], b"FROM numbers(3)"),
        ("/?query=SELECT%20{a:UInt32}%2B1%20AS%20x&param_a=41&default_format=JSONEachRow", &["-g"], b""),
        ("/?database=system&query=SELECT%20count()%3E0%20FROM%20one", &["-g", "-H", "X-ClickHouse-Format: CSV"], b""),
        ("/?wait_end_of_query=1&query=SELECT%20throwIf(number=2000000)%20FROM%20numbers(3000000)", &[], b""),
        ("/?query=SELECT%20nothing", &[], b""),
        ("/?query=SELEC", &[], b""),
        ("/?query=SELECT%201%20FROM%20absent.t", &[], b""),
        ("/", &[], b""),
        ("/ping", &[], b""),
    ];
    for (path, arguments, body) in cases {
        let of = async |url: &str| {
            let address = format!("{url}{path}");
            let mut all = vec![address.as_str()];
            all.extend_from_slice(arguments);
            essence(&curl(Some(admin), &all, body).await)
        };
        assert_eq!(of(&guarded.url).await, of(&guarded.engine.url).await, "{path}");
    }
    let page = curl(Some(admin), &[&format!("{}/play", guarded.url)], b"").await;
    assert_eq!((page.status, page.header("x-clickhouse-exception-code")), (404, "36"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_middle_of_a_result_breaks_it_off_as_the_server_does() {
    let guarded = start(true, "").await;
    let admin = &guarded.engine.users.admin;
    let sql =
        b"SELECT throwIf(number = 2000000) FROM numbers(3000000) SETTINGS max_threads = 1, max_block_size = 65536";
    let through = curl(Some(admin), &[&guarded.url, "--data-binary", "@-"], sql).await;
    let direct = curl(Some(admin), &[&guarded.engine.url, "--data-binary", "@-"], sql).await;
    // How many rows came before it is by chance; the end is not.
    let end = |answer: &Answer| {
        let (status, code, body, exit) = essence(answer);
        let at = body.find("\r\n__exception__").map_or(0, |at| at);
        (status, code, body[at..].to_owned(), exit)
    };
    assert!(end(&through).2.contains("Code: 395. DB::Exception"), "{}", through.status);
    assert_eq!(end(&through), end(&direct));
    until("the failure is counted", async || guarded.metric("floodmark_guard_queries_total{outcome=\"failed\"}") == 1)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_passes_in_both_ways() {
    let guarded = start(true, "").await;
    let admin = &guarded.engine.users.admin;
    let sql = b"SELECT sum(number) FROM numbers(10)";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(sql).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&sql[..], 1).unwrap();
    for (encoding, body) in [("gzip", &gzip), ("zstd", &zstd)] {
        let header = format!("Content-Encoding: {encoding}");
        let answer = curl(Some(admin), &[&guarded.url, "-H", &header, "--data-binary", "@-"], body).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "45\n"), "{encoding}");
    }
    let unknown = curl(Some(admin), &[&guarded.url, "-H", "Content-Encoding: br", "--data-binary", "@-"], sql).await;
    assert_eq!(unknown.header("x-clickhouse-exception-code"), "48");
    let compressed = format!("{}/?enable_http_compression=1&query=SELECT%20number%20FROM%20numbers(1000)", guarded.url);
    let answer = curl(Some(admin), &[&compressed, "-H", "Accept-Encoding: gzip"], b"").await;
    assert_eq!(answer.header("content-encoding"), "gzip");
    let mut clear = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&answer.body[..]), &mut clear).unwrap();
    assert!(clear.ends_with("\n999\n"));
    let blocks = format!("{}/?compress=1&query=SELECT%20number%20FROM%20numbers(1000)", guarded.url);
    let answer = curl(Some(admin), &[&blocks], b"").await;
    // What ClickHouse compressed it takes back as a body: the whole way of its native clients.
    let database = fresh_database().await;
    database.admin.execute("CREATE DATABASE {database}").await.unwrap();
    database.admin.execute("CREATE TABLE {database}.t (n UInt64) ENGINE = MergeTree ORDER BY n").await.unwrap();
    let insert = format!("{}/?decompress=1&query=INSERT%20INTO%20{}.t%20FORMAT%20TSV", guarded.url, database.name);
    let inserted = curl(Some(admin), &[&insert, "--data-binary", "@-"], &answer.body).await;
    assert_eq!((inserted.status, inserted.text().as_str()), (200, ""));
    let count = format!("{}/?query=SELECT%20count()%20FROM%20{}.t", guarded.url, database.name);
    assert_eq!(curl(Some(admin), &[&count], b"").await.text(), "1000\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_hold_and_large_inserts_stream() {
    let guarded = start(true, "").await;
    let admin = &guarded.engine.users.admin;
    let session = format!("{}/?session_id=s{}", guarded.url, std::process::id());
    for sql in ["CREATE TEMPORARY TABLE kept (n UInt32)", "INSERT INTO kept VALUES (7)"] {
        let answer = curl(Some(admin), &[&session, "--data-binary", "@-"], sql.as_bytes()).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, ""), "{sql}");
    }
    assert_eq!(curl(Some(admin), &[&session, "--data-binary", "@-"], b"SELECT n FROM kept").await.text(), "7\n");

    let database = fresh_database().await;
    database.admin.execute("CREATE DATABASE {database}").await.unwrap();
    database
        .admin
        .execute("CREATE TABLE {database}.t (n UInt64, s String) ENGINE = MergeTree ORDER BY n")
        .await
        .unwrap();
    // The text at the beginning of the body, then 30 MB of data, in chunks.
    let mut body = format!("INSERT INTO {}.t FORMAT TSV\n", database.name).into_bytes();
    for number in 0..500_000 {
        writeln!(body, "{number}\tsome data that make a row about sixty bytes long 'quoted'").unwrap();
    }
    let chunked = ["-H", "Transfer-Encoding: chunked", "--data-binary", "@-"];
    let arguments = [&[guarded.url.as_str()], &chunked[..]].concat();
    let inserted = curl(Some(admin), &arguments, &body).await;
    assert_eq!((inserted.status, inserted.text().as_str()), (200, ""));
    let count = format!("{}/?query=SELECT%20count(),uniqExact(n)%20FROM%20{}.t", guarded.url, database.name);
    assert_eq!(curl(Some(admin), &[&count], b"").await.text(), "500000\t500000\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_stops_when_its_client_leaves() {
    let guarded = start(true, "").await;
    let database = fresh_database().await;
    let id = format!("left-{}", database.name);
    let sql = "SELECT sleepEachRow(1) FROM numbers(120) SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0";
    let admin = &guarded.engine.users.admin;
    let mut stream = TcpStream::connect(guarded.proxy.listen()).await.unwrap();
    let head = format!(
        "POST /?query_id={id} HTTP/1.1\r\nHost: x\r\nX-ClickHouse-User: {}\r\nX-ClickHouse-Key: {}\r\nContent-Length: {}\r\n\r\n{sql}",
        admin.user,
        admin.password,
        sql.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let runs = async || {
        let sql = "SELECT query_id FROM system.processes WHERE query_id = {id:String}";
        let rows: Vec<serde_json::Value> = database.admin.fetch(sql, &[("id", &id)]).await.unwrap();
        !rows.is_empty()
    };
    until("the query runs", &runs).await;
    drop(stream);
    until("the query has stopped", async || !runs().await).await;
    assert_eq!(guarded.metric("floodmark_guard_queries_total{outcome=\"left\"}"), 1);
    assert_eq!(guarded.metric("floodmark_guard_left_ended_total"), 1);
    assert_eq!(guarded.metric("floodmark_guard_queries_running"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_the_head_ends_by_itself_and_a_header_names_a_query() {
    let guarded = start(true, "").await;
    let id = format!("head-{}", fresh_database().await.name);
    let (admin, header) = (&guarded.engine.users.admin, format!("X-ClickHouse-Query-Id: {id}"));
    let address = format!("{}/?query=SELECT%201", guarded.url);
    let head = curl(Some(admin), &["-I", &address, "-H", &header], b"").await;
    assert_eq!((head.status, head.header("x-clickhouse-query-id")), (200, id.as_str()));
    until("it has ended", async || guarded.metric("floodmark_guard_queries_running") == 0).await;
    assert_eq!(guarded.metric("floodmark_guard_queries_total{outcome=\"answered\"}"), 1);
    assert_eq!(guarded.metric("floodmark_guard_queries_total{outcome=\"left\"}"), 0);
    let taken = curl(Some(admin), &[&format!("{address}&query_id=floodmark-1")], b"").await;
    assert_eq!(taken.header("x-clickhouse-exception-code"), "36", "{}", taken.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn identical_queries_in_flight_run_once_and_failures_are_each_ones_own() {
    let guarded = start(true, "").await;
    let admin = &guarded.engine.users.admin;
    let mark = fresh_database().await.name;
    let all = async |sql: &str| {
        let address = format!("{}/?query={sql}", guarded.url);
        let asked: Vec<_> = (0..6)
            .map(|_| {
                let (address, admin) = (address.clone(), admin.clone());
                tokio::spawn(async move { curl(Some(&admin), &[&address], b"").await })
            })
            .collect();
        let mut answers = Vec::new();
        for one in asked {
            answers.push(one.await.unwrap());
        }
        answers
    };
    // What may be set for the user is known from here on, so that the next six come together.
    all("SELECT%20'warm'").await;
    let collapsed = "floodmark_guard_queries_total{outcome=\"collapsed\"}";
    let before = guarded.metric(collapsed);
    for answer in all(&format!("SELECT%20sleep(2),'{mark}'")).await {
        assert_eq!((answer.status, answer.text()), (200, format!("0\t{mark}\n")));
    }
    let shared = guarded.metric(collapsed) - before;
    assert!((1..=5).contains(&shared), "{shared} of six shared an answer");
    for answer in all(&format!("SELECT%20throwIf(sleep(1)=0),'{mark}'")).await {
        assert_eq!(answer.header("x-clickhouse-exception-code"), "395", "{}", answer.text());
    }
    assert_eq!(guarded.metric(collapsed) - before, shared, "a failure was shared");
}
