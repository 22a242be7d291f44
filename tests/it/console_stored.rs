//! Incidents from before the process began: their page, and drafts of post-mortems, with ClickHouse there and away.

use floodmark::store::migrate;

use crate::support::browser::Browser;
use crate::support::clickhouse::fresh_database;
use crate::support::proxy::Proxy;
use crate::support::service::{Service, Setup, until};

const INCIDENT: &str = "20260309T100430Z-retry-amplification-9c0f";
/// Also one whose rule is gone, and words that would be a page's own.
const STORED: &str = r#"INSERT INTO {database}.incidents
    (incident, started_at, ended_at, severity, alerts, causes, ruled_out, customers, actions, timeline,
    affected_subscriptions, affected_requests_share, summary)
    SELECT '20260309T100430Z-retry-amplification-9c0f', toDateTime64('2026-03-09 10:04:30', 3, 'UTC'),
    toDateTime64('2026-03-09 11:11:00', 3, 'UTC'), 'critical', '["RetryAmplification","NobodyKnowsThisRule"]',
    '[{"dimensions":{"client_version":"4.0.0"},"share":0.9,"confidence":"high","evidence":"it <b>repeats</b>"}]',
    '[]', '[{"subscription":"acme","share":0.5}]', '["Ask acme to roll back"]',
    '[{"at":"2026-03-09T10:04:30Z","what":"it began"}]', 7, 0.25, 'Clients of 4.0.0 repeat what failed'"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_from_before_the_start_has_its_page_and_a_draft_of_its_post_mortem() {
    let database = fresh_database().await;
    migrate(&database.admin).await.unwrap();
    database.admin.execute(STORED).await.unwrap();
    let mut setup = Setup::new(None).with_database(&database);
    let proxy = Proxy::start(setup.config.clickhouse.url.as_ref().unwrap()).await;
    setup.config.clickhouse.url = Some(proxy.url.clone());
    let service = Service::start(&setup).await;
    service.until_ready("ok", "ok").await;
    let page_path = format!("/incidents/{INCIDENT}");

    let mut browser = Browser::start();
    browser.screen(390, 844);
    browser.open(&service.url(&page_path));
    let page = browser.text("main");
    for part in [
        "Stored.",
        "Clients of 4.0.0 repeat what failed",
        "NobodyKnowsThisRule",
        "it <b>repeats</b>",
        "acme",
        "Ask acme to roll back",
        "Draft of a post-mortem",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let over = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert!(browser.eval(over).as_f64().unwrap() <= 0.0, "wider than a phone");
    let barriers = browser.barriers();
    assert!(barriers.is_empty(), "{barriers:#?}");
    assert!(browser.troubles(&service.url("")).is_empty());

    let (_, by_page) = service.get(&format!("{page_path}/postmortem.md")).await;
    let response = service.client().get(service.url(&format!("/api/v1/incidents/{INCIDENT}/postmortem.md")));
    let response = response.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/markdown; charset=utf-8");
    let by_api = response.text().await.unwrap();
    assert_eq!(by_page, by_api);
    for part in ["# Post-mortem of 2026-03-09", "Ask acme to roll back", "this process does not know the incident"] {
        assert!(by_api.contains(part), "{part} in {by_api}");
    }
    for absent in ["/incidents/none", "/incidents/none/postmortem.md", "/api/v1/incidents/none/postmortem.md"] {
        assert_eq!(service.get(absent).await.0, 404, "{absent}");
    }

    proxy.switch(false);
    until("pages say that history is away", async || {
        let (status, page) = service.get(&page_path).await;
        (status == 503 && page.contains("which cannot be asked now")).then_some(())
    })
    .await;
    let (status, problem) = service.get(&format!("/api/v1/incidents/{INCIDENT}/postmortem.md")).await;
    assert!(status == 503 && problem.contains("storage_away"), "{status} {problem}");
}
