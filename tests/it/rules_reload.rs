//! Rules that are read again while the service runs: on SIGHUP and over HTTP, and what bad files do (nothing).

use std::path::Path;

use floodmark::config::{Scope, TokenConfig};
use serde_json::Value;

use crate::support::clickhouse::{TestDatabase, fresh_database};
use crate::support::intake::answer;
use crate::support::service::{Service, Setup, signal, until};

/// A service whose rules and objectives are in directories of its own.
async fn with_own_rules() -> (Setup, TestDatabase) {
    let database = fresh_database().await;
    let mut setup = Setup::new(None).with_database(&database);
    let (rules, slos) = (setup.directory.path().join("rules"), setup.directory.path().join("slos"));
    for (from, to) in [("alerts/rules", &rules), ("alerts/slos", &slos)] {
        std::fs::create_dir(to).unwrap();
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(from)).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
    setup.config.detect.rules_dir = Some(rules);
    setup.config.detect.slos_dir = Some(slos);
    (setup, database)
}

async fn reload(service: &Service) -> (u16, Value) {
    let (status, _, body) = answer(service.post("/-/reload").send().await.unwrap()).await;
    (status, body)
}

async fn rules_component(service: &Service) -> (String, String) {
    let readiness = service.json("/readyz").await;
    let line = readiness["components"].as_array().unwrap().iter().find(|line| line["name"] == "rules").unwrap().clone();
    (line["status"].as_str().unwrap().to_owned(), line["detail"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_files_keep_the_good_rules_in_force_and_say_so_everywhere() {
    let (setup, _database) = with_own_rules().await;
    let service = Service::start(&setup).await;
    let (status, detail) = rules_component(&service).await;
    assert_eq!(status, "ok");
    let rules: usize = detail.strip_suffix(" rules").unwrap().parse().unwrap();
    assert_eq!(service.metric("floodmark_rules_reload_successful").await.to_string(), "1");
    let first_success = service.metric("floodmark_rules_reload_last_success_timestamp_seconds").await;
    assert!(first_success > 1_700_000_000.0);

    let (status, body) = reload(&service).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body, serde_json::json!({"rules": rules, "new": 0, "kept": rules, "removed": 0}));

    let directory = setup.directory.path();
    std::fs::write(directory.join("rules/mine.yaml"), "groups:\n  - name: mine\n    rule: []\n").unwrap();
    std::fs::write(directory.join("slos/mine.yaml"), "kind: SLO\n").unwrap();
    let (status, body) = reload(&service).await;
    assert_eq!((status, body["code"].as_str()), (422, Some("rules_refused")), "{body}");
    let errors: Vec<&str> = body["errors"].as_array().unwrap().iter().map(|error| error.as_str().unwrap()).collect();
    assert!(
        errors[0].ends_with("rules/mine.yaml:2:5: groups[0]: the key `rules` is missing (it says: A list of rules)"),
        "{errors:?}"
    );
    assert!(errors[1].contains("did you mean `rules`?"), "{errors:?}");
    assert!(
        errors.iter().any(|error| error.contains("slos/mine.yaml:1:1: the key `apiVersion` is missing")),
        "{errors:?}"
    );
    let (status, detail) = rules_component(&service).await;
    assert_eq!(status, "degraded");
    assert!(detail.contains("the former rules and limits are in force"), "{detail}");
    assert_eq!(service.metric("floodmark_rules_reload_successful").await.to_string(), "0");
    assert_eq!(service.logged("rule files refused").len(), errors.len());

    // What would be waited for for ever holds up neither this reload nor those after it.
    let pipe = directory.join("rules/pipe.yaml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (status, body) = reload(&service).await;
    assert!(status == 422 && body.to_string().contains("pipe.yaml: is no regular file"), "{body}");
    std::fs::remove_file(pipe).unwrap();

    std::fs::remove_file(directory.join("rules/mine.yaml")).unwrap();
    std::fs::remove_file(directory.join("slos/mine.yaml")).unwrap();
    std::fs::remove_file(directory.join("rules/caches.yaml")).unwrap();
    signal(service.pid(), libc::SIGHUP);
    until("the rules are read again", async || {
        let (status, detail) = rules_component(&service).await;
        (status == "ok" && detail == format!("{} rules", rules - 1)).then_some(())
    })
    .await;
    let read = service.logged("rules and limits read again").pop().unwrap();
    assert_eq!((&read["kept"], &read["removed"]), (&(rules - 1).into(), &1.into()), "{read}");
    assert_eq!(service.metric("floodmark_rules_reload_successful").await.to_string(), "1");
    assert!(service.metric("floodmark_rules_reload_last_success_timestamp_seconds").await > first_success);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_tokens_only_one_with_the_scope_admin_reloads() {
    let (mut setup, _database) = with_own_rules().await;
    let token = |secret: &str, scope| TokenConfig {
        name: secret.to_owned(),
        sha256: floodmark::api::hash(secret).iter().map(|byte| format!("{byte:02x}")).collect(),
        scopes: vec![scope],
        subscription: None,
    };
    setup.config.http.tokens = vec![token("shipper", Scope::Ingest), token("operator", Scope::Admin)];
    let service = Service::start(&setup).await;
    let status = async |secret: &str| {
        let request = service.post("/-/reload").header("authorization", format!("Bearer {secret}"));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(reload(&service).await.0, 401);
    assert_eq!((status("shipper").await, status("operator").await), (403, 200));
}
