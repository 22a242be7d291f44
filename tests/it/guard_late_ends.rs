//! What an answer does not tell, the query log does: an exception deep in an encoded answer is charged like any other.

use crate::support::clickhouse::{fresh_database, shared_engine};
use crate::support::guard_proxy::{curl, start, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_exception_deep_in_an_encoded_answer_is_charged() {
    let password = &shared_engine().users.admin.password;
    let small = format!(
        "[classes.small]\nquery_memory_share_max = 0.05\nspill_share_min = 0.01\nthreads_max = 1\nslots = 4\n\
         [tenants.admin]\nclass = \"small\"\npassword = \"{password}\"\n"
    );
    let (guarded, database) = (start(true, &small).await, fresh_database().await);
    let admin = &guarded.engine.users.admin;
    // Megabytes of compressed rows, then a row that takes more memory than it may have.
    let sql = format!(
        "SELECT randomPrintableASCII(100), '{}', length(range(if(number = 200000, 30000000, 1))) FROM numbers(300000)",
        database.name
    );
    let url = format!("{}/?enable_http_compression=1", guarded.url);
    let ask =
        async || curl(Some(admin), &[&url, "-H", "Accept-Encoding: gzip", "--data-binary", "@-"], sql.as_bytes()).await;
    for _ in 0..3 {
        let answer = ask().await;
        assert_eq!((answer.status, answer.header("content-encoding")), (200, "gzip"), "{}", answer.headers);
        assert!(answer.body.len() > 100_000 && answer.exit != 0, "{} {}", answer.body.len(), answer.exit);
    }
    database.admin.execute("SYSTEM FLUSH LOGS").await.unwrap();
    let is_open = async || {
        let breakers = guarded.proxy.status().breakers;
        breakers.iter().any(|breaker| breaker.class.as_deref() == Some("small"))
    };
    until("the breaker is open", is_open).await;
    let answer = ask().await;
    assert_eq!(answer.header("x-floodmark-refused"), "breaker_open", "{}", answer.text());
}
