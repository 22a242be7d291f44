//! What clients may not choose they do not: their place in the queue, whose quota they use, as whom they run, their caps.

use floodmark::local::Credentials;
use serde_json::Value;

use crate::support::clickhouse::{TestDatabase, fresh_database, shared_engine};
use crate::support::guard_proxy::{Guarded, curl, start, until};

/// Two tenants that are both the engine's user `reader`; the second's password is that of the user.
fn tenants() -> String {
    let password = &shared_engine().users.reader.password;
    ["first", "second"]
        .map(|name| format!("[tenants.{name}]\nclass = \"dashboard\"\nuser = \"reader\"\npassword = \"{password}\"\n"))
        .join("")
}

fn as_tenant(name: &'static str) -> Credentials {
    Credentials { user: name, password: shared_engine().users.reader.password.clone() }
}

/// What the engine's log says of a query.
async fn logged(database: &TestDatabase, id: &str) -> Value {
    let sql = "SELECT user, quota_key, forwarded_for, query, log_comment, Settings['workload'] AS workload,
               Settings['max_threads'] AS threads FROM system.query_log
               WHERE query_id = {id:String} AND type = 'QueryFinish' LIMIT 1";
    let row = async || {
        database.admin.execute("SYSTEM FLUSH LOGS query_log").await.unwrap();
        database.admin.fetch::<Value>(sql, &[("id", id)]).await.unwrap().into_iter().next()
    };
    until("the query is logged", async || row().await.is_some()).await;
    row().await.unwrap()
}

async fn code(guarded: &Guarded, user: Option<&Credentials>, path: &str, further: &[&str], body: &str) -> String {
    let address = format!("{}{path}", guarded.url);
    let arguments = [&[address.as_str(), "-g"], further].concat();
    let answer = curl(user, &arguments, body.as_bytes()).await;
    answer.header("x-clickhouse-exception-code").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_workload_address_and_comment_are_the_guards() {
    let guarded = start(true, &tenants()).await;
    let database = fresh_database().await;
    let id = format!("own-{}", database.name);
    let path = format!(
        "{}/?query_id={id}&quota_key=mine&quota%5Fkey=&workload=free&profile=reader&max_threads=1&log_comment={}",
        guarded.url, "%7B%22service%22:%22api%22,%22tenant%22:%22boss%22%7D"
    );
    let doubled = curl(Some(&as_tenant("first")), &["-g", &path], b"SELECT 1").await;
    assert_eq!(doubled.header("x-clickhouse-exception-code"), "36", "{}", doubled.text());
    let path = path.replace("&quota%5Fkey=", "");
    let further = ["-H", "X-ClickHouse-Quota: other", "-H", "X-Forwarded-For: 8.8.8.8", "--data-binary", "@-"];
    let answer = curl(Some(&as_tenant("first")), &[&["-g", path.as_str()], &further[..]].concat(), b"SELECT 1").await;
    assert_eq!(answer.text(), "1\n");
    assert_eq!(answer.header("x-clickhouse-query-id"), id);
    let row = logged(&database, &id).await;
    assert_eq!((row["user"].as_str(), row["quota_key"].as_str()), (Some("reader"), Some("first")));
    assert_eq!((row["workload"].as_str(), row["forwarded_for"].as_str()), (Some(""), Some("127.0.0.1")));
    assert_eq!(row["threads"].as_str(), Some("1"), "what is not guarded stays the client's");
    let comment: Value = serde_json::from_str(row["log_comment"].as_str().unwrap()).unwrap();
    assert_eq!((comment["service"].as_str(), comment["tenant"].as_str()), (Some("api"), Some("first")));
    assert_eq!(comment["fingerprint"].as_str().map(str::len), Some(16));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_as_somebody_else() {
    let guarded = start(true, &tenants()).await;
    let (first, admin) = (as_tenant("first"), guarded.engine.users.admin.clone());
    let reader = guarded.engine.users.reader.clone();
    let query = "/?query=SELECT%20currentUser()";
    assert_eq!(code(&guarded, Some(&first), query, &[], "").await, "");
    for (who, path, further) in [
        (None, query, vec![]),
        (Some(&admin), query, vec![]),
        (Some(&reader), query, vec![]),
        (Some(&Credentials { password: "wrong".to_owned(), ..first.clone() }), query, vec![]),
        (Some(&first), "/?query=SELECT%20currentUser()&user=admin", vec![]),
        (Some(&first), "/?query=SELECT%20currentUser()&us%65r=admin&password=x", vec![]),
        (Some(&first), query, vec!["-H", "X-ClickHouse-User: admin"]),
        (None, query, vec!["-H", "X-ClickHouse-User: first", "-H", "X-ClickHouse-User: admin"]),
    ] {
        let refused = code(&guarded, who, path, &further, "").await;
        assert!(["36", "516"].contains(&refused.as_str()), "{path} {further:?}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_of_one_user_have_sessions_of_their_own() {
    let guarded = start(true, &tenants()).await;
    let session = format!("{}/?session_id=same{}", guarded.url, std::process::id());
    let ask = async |tenant, sql: &str| {
        curl(Some(&as_tenant(tenant)), &[&session, "--data-binary", "@-"], sql.as_bytes()).await
    };
    let set = ask("first", "SET max_block_size = 1234").await;
    assert_eq!(set.text(), "");
    assert_eq!(ask("first", "SELECT getSetting('max_block_size')").await.text(), "1234\n");
    assert_ne!(ask("second", "SELECT getSetting('max_block_size')").await.text(), "1234\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_hides_from_the_guard() {
    let guarded = start(true, "").await;
    let admin = guarded.engine.users.admin.clone();
    for sql in [
        "SELECT 1 SETTINGS workload = 'free'",
        "SELECT $$'$$ SETTINGS `profile` = 'default'",
        "SELECT 1 // '\n SETTINGS max_memory_usage=0, workload='free' // '",
        "SELECT 1 /* /* */ ' */ SETTINGS workload='free' -- '",
    ] {
        let data = ["--data-binary", "@-"];
        assert_eq!(code(&guarded, Some(&admin), "/", &data, sql).await, "452", "{sql}");
        assert_eq!(code(&guarded, Some(&admin), "/?query=", &data, sql).await, "452", "{sql}");
        // The text goes on in the body.
        let (start, rest) = sql.split_at(7);
        let path = format!("/?query={}", start.replace(' ', "%20"));
        assert_eq!(code(&guarded, Some(&admin), &path, &data, rest).await, "452", "{sql}");
    }
    // Behind the data start that an INSERT does not have, and behind a compressed text's first stream.
    let long =
        format!("INSERT INTO FUNCTION null('n UInt8') /*{}*/ SELECT 1 SETTINGS workload = 'free'", " ".repeat(70_000));
    assert_eq!(code(&guarded, Some(&admin), "/", &["--data-binary", "@-"], &long).await, "452");
    let zlib = |text: &str| {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let twice = [zlib("SELECT 1"), zlib(" SETTINGS workload = 'free'")].concat();
    let address = format!("{}/", guarded.url);
    let arguments = [address.as_str(), "-H", "Content-Encoding: deflate", "--data-binary", "@-"];
    let refused = curl(Some(&admin), &arguments, &twice).await;
    assert_eq!(refused.header("x-clickhouse-exception-code"), "452", "{}", refused.text());
    assert_eq!(code(&guarded, Some(&admin), "/?decompress=00", &["--data-binary", "@-"], "SELECT 1").await, "36");
    // A list of a megabyte in front of it does not hide it either.
    let long = format!("SELECT 1 WHERE 1 IN ({}1) SETTINGS workload = 'free'", "1,".repeat(400_000));
    assert_eq!(code(&guarded, Some(&admin), "/", &["--data-binary", "@-"], &long).await, "452");
    let longer = format!("SELECT 1 WHERE 1 IN ({}1)", "1,".repeat(700_000));
    assert_eq!(code(&guarded, Some(&admin), "/", &["--data-binary", "@-"], &longer).await, "48");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_refused_for_its_caps_keeps_no_slot() {
    let password = &shared_engine().users.reader.password;
    let capped = format!(
        "[classes.short]\nslots = 1\nduration_max = \"10s\"\n\
         [tenants.first]\nclass = \"short\"\nuser = \"reader\"\npassword = \"{password}\"\n"
    );
    let guarded = start(true, &capped).await;
    let (user, data) = (as_tenant("first"), ["--data-binary", "@-"]);
    for value in ["0", "11", "0.5"] {
        let sql = format!("SELECT 1 SETTINGS max_execution_time = {value}");
        assert_eq!(code(&guarded, Some(&user), "/", &data, &sql).await, "452", "{value}");
        assert_eq!(guarded.metric("floodmark_guard_queries_running"), 0);
    }
    assert_eq!(code(&guarded, Some(&user), "/", &data, "SELECT 1 SETTINGS max_execution_time = 9").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_field_named_query_does_not_get_through() {
    let guarded = start(true, "").await;
    let admin = guarded.engine.users.admin.clone();
    let database = fresh_database().await;
    let table = ["-F", "wanted=1;filename=wanted"];
    let address = format!("{}/?wanted_structure=n%20UInt64&query=SELECT%20n%20FROM%20wanted", guarded.url);
    let answer = curl(Some(&admin), &[&["-g", address.as_str()], &table[..]].concat(), b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = format!("form-{}", database.name);
    let address = format!("{address}&query_id={id}");
    let field = [&["-g", address.as_str()], &table[..], &["-F", "query= UNION ALL SELECT 2"]].concat();
    let answer = curl(Some(&admin), &field, b"").await;
    assert_eq!(answer.header("x-clickhouse-exception-code"), "36", "{}", answer.text());
    database.admin.execute("SYSTEM FLUSH LOGS query_log").await.unwrap();
    let sql = "SELECT query FROM system.query_log WHERE query_id = {id:String} AND type = 'QueryFinish'";
    assert!(database.admin.fetch::<Value>(sql, &[("id", &id)]).await.unwrap().is_empty());
}
