//! `floodmark alerts test-receiver` and `dead-letters`: what people see when they try a receiver.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use floodmark::alert::notify::sample;
use floodmark::model::Page;
use serde_json::Value;

use crate::cli_contract::floodmark;
use crate::support::endpoint::Endpoint;
use crate::support::notifier::{Around, Running, config};

/// Runs `floodmark alerts …` with this configuration, in a directory of its own.
async fn alerts(directory: &Path, text: &str, arguments: &[&str]) -> Output {
    std::fs::write(directory.join("floodmark.toml"), text).unwrap();
    let mut command = floodmark();
    command.arg("alerts").args(arguments).args(["--config", "floodmark.toml"]).current_dir(directory);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// One receiver of each kind, all at one endpoint; their files are in the directory.
fn of_every_kind(directory: &Path, url: &str) -> String {
    let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
    write("url", &format!("{url}/services/hunter2\n"));
    write("key", "0123456789abcdef0123456789hunter2");
    write("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    format!(
        "[[notify.receivers]]\nname = 'hook'\nkind = 'webhook'\nurl_file = 'url'\nsecret_file = 'secret'\n\
         [[notify.receivers]]\nname = 'legacy'\nkind = 'webhook'\nurl = '{url}'\nbody = 'alertmanager'\n\
         [[notify.receivers]]\nname = 'chat'\nkind = 'slack'\nurl_file = 'url'\n\
         [[notify.receivers]]\nname = 'on-call'\nkind = 'pagerduty'\nrouting_key_file = 'key'\nurl = '{url}'\n\
         [[notify.receivers]]\nname = 'am'\nkind = 'alertmanager'\nurls = ['{url}']\n\
         [[notify.receivers]]\nname = 'pulse'\nkind = 'heartbeat'\nurl = '{url}'\n"
    )
}

#[tokio::test]
async fn a_receiver_is_tried_with_a_page_that_says_so_and_what_came_back_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::answering(|_, _| (StatusCode::ACCEPTED, "fine").into_response()).await;
    let text = of_every_kind(directory.path(), &endpoint.url);
    for (name, messages) in [("hook", 1), ("legacy", 1), ("chat", 1), ("on-call", 2), ("am", 2), ("pulse", 1)] {
        let before = endpoint.received().len();
        let output = alerts(directory.path(), &text, &["test-receiver", name, "--dry-run"]).await;
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(!stdout(&output).contains("hunter2"), "{}", stdout(&output));
        assert_eq!(endpoint.received().len(), before, "a dry run sends nothing");

        let output = alerts(directory.path(), &text, &["test-receiver", name]).await;
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(stdout(&output).matches("taken: 202 Accepted: fine").count(), messages, "{}", stdout(&output));
        assert!(!stdout(&output).contains("hunter2"));
        let received = endpoint.received().split_off(before);
        assert_eq!(received.len(), messages);
        for request in received.iter().filter(|request| !request.body.is_empty()) {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            assert!(body.contains("floodmark test: nothing is wrong") && !body.contains("critical"), "{body}");
        }
    }
    assert!(!directory.path().join(".local").exists(), "no outbox is touched");
}

#[tokio::test]
async fn a_receiver_that_refuses_is_exit_code_1_and_an_unusable_one_78() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::answering(|_, _| (StatusCode::FORBIDDEN, "invalid_token").into_response()).await;
    let text = of_every_kind(directory.path(), &endpoint.url);
    let output = alerts(directory.path(), &text, &["test-receiver", "chat"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("NOT taken: 403 Forbidden: invalid_token"), "{}", stdout(&output));
    let output = alerts(directory.path(), &text, &["test-receiver", "on-cal", "--output", "json"]).await;
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("there are hook, legacy, chat, on-call, am, pulse"), "{}", stderr(&output));
    std::fs::remove_file(directory.path().join("key")).unwrap();
    let output = alerts(directory.path(), &text, &["test-receiver", "on-call"]).await;
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("receiver on-call: routing_key_file: "), "{}", stderr(&output));
}

#[tokio::test]
async fn dead_letters_are_shown_with_their_reason() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::answering(|_, _| (StatusCode::BAD_REQUEST, "no").into_response()).await;
    let text = format!(
        "[notify]\nstate_dir = 'state'\n[[notify.receivers]]\nname = 'hook'\nkind = 'webhook'\nurl = '{}'\n",
        endpoint.url
    );
    let output = alerts(directory.path(), &text, &["dead-letters"]).await;
    assert_eq!(stdout(&output), "0 dead letters\n");
    let state = directory.path().join("state");
    let running = Running::start(&config(&text), Around { state_dir: Some(&state), ..Around::default() });
    for revision in 1..=3 {
        running.pages.send(Arc::new(Page { revision, ..sample::page() })).await.unwrap();
    }
    endpoint.until_count(3).await;
    running.stop().await;
    let output = alerts(directory.path(), &text, &["dead-letters", "--limit", "2"]).await;
    assert!(
        stdout(&output).contains("refused") && stdout(&output).contains("400 Bad Request: no"),
        "{}",
        stdout(&output)
    );
    assert!(stdout(&output).ends_with("3 dead letters\n"));
    let output = alerts(directory.path(), &text, &["dead-letters", "--output", "json"]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let first = &report["dead_letters"][0];
    assert_eq!((&report["total"], &first["receiver"]), (&3.into(), &"webhook hook".into()));
    assert_eq!(first["notice"]["page"], serde_json::to_value(sample::page()).unwrap());
}
