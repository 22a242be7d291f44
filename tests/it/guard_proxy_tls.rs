//! The guard before a server that speaks TLS: by the authority that the policy names, and by no other.

use crate::support::clickhouse::shared_engine;
use crate::support::guard_proxy::{curl, start_before, until};
use crate::support::tls::TlsProxy;

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_reached_by_the_authority_of_the_policy_alone() {
    let engine = shared_engine();
    let tls = TlsProxy::start(engine.url.trim_start_matches("http://")).await;
    let url = format!("url = \"https://{}\"", tls.address);
    let guarded = start_before(&format!("{url}\nca_file = \"{}\"", tls.ca_file.display()), true, "").await;
    let admin = &engine.users.admin;
    let answer = curl(Some(admin), &[&guarded.url, "--data-binary", "@-"], b"SELECT 1 + 1").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "2\n"));
    until("the watch looks", async || guarded.metric("floodmark_guard_memory_limit_bytes") > 0).await;

    // The system's authorities have not signed it.
    let guarded = start_before(&url, true, "").await;
    let answer = curl(Some(admin), &[&guarded.url, "--data-binary", "@-"], b"SELECT 1 + 1").await;
    assert_eq!((answer.status, answer.header("x-clickhouse-exception-code")), (502, "210"), "{}", answer.text());
}
