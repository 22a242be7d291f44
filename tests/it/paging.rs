//! Pages through the real service: told once, whoever kills it, and what people ask of them.

use std::process::Output;

use floodmark::model::Timestamp;
use serde_json::Value;

use crate::support::clickhouse::{TestDatabase, fresh_database, shared_engine};
use crate::support::intake::with_lines;
use crate::support::proxy::Proxy;
use crate::support::service::{Service, Setup, until};

/// Seconds between two readings of a container.
const STEP: i64 = 10;
/// Kills of the test that kills at random, unless `FLOODMARK_PAGING_SEEDS` says otherwise.
const SEEDS: u64 = 3;

/// A container that restarts every minute until a moment, and stays up after it; its log goes on as far as it is asked to.
struct Log {
    source: &'static str,
    restarts_until: i64,
    sent_until: i64,
}

impl Log {
    fn new(source: &'static str, restarts_until: i64) -> Self {
        Self { source, restarts_until, sent_until: 0 }
    }

    /// Readings up to a moment, in seconds, and the promise that nothing older comes.
    fn until(&mut self, seconds: i64) -> String {
        let mut lines = String::new();
        while self.sent_until < seconds {
            self.sent_until += STEP;
            let restarts = self.sent_until.min(self.restarts_until) / 60;
            let (at, source) = (at(self.sent_until), self.source);
            lines += &format!(
                "{{\"type\":\"signal\",\"timestamp\":\"{at}\",\"source\":\"{source}\",\"metric\":\"restarts_total\",\
                 \"value\":{restarts}}}\n"
            );
        }
        lines + &format!("{{\"type\":\"watermark\",\"timestamp\":\"{}\"}}\n", at(self.sent_until))
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_772_360_105_000 + seconds * 1_000)
}

/// Sends the log bit by bit, as it comes: the pager sees its time pass.
async fn send_until(service: &Service, log: &mut Log, seconds: i64) {
    while log.sent_until < seconds {
        let lines = log.until((log.sent_until + 300).min(seconds));
        send(service, &lines).await;
    }
}

/// Sends until it is taken: a service that is killed meanwhile is sent the same again.
async fn send(service: &Service, lines: &str) {
    until("the records are taken", async || {
        let sent = with_lines(service.post("/api/v1/events"), lines.to_owned()).send().await;
        sent.ok().filter(|response| response.status() == 200).map(drop)
    })
    .await;
}

async fn pages(service: &Service) -> Vec<Value> {
    service.json("/api/v1/pages").await["pages"].as_array().unwrap().clone()
}

/// Waits until there is one page, and it stands so.
async fn until_page(service: &Service, standing: &str) -> Value {
    until(&format!("one page, {standing}"), async || {
        let pages = pages(service).await;
        assert!(pages.len() <= 1, "more than one page: {pages:#?}");
        pages.into_iter().find(|page| page["standing"] == standing)
    })
    .await
}

async fn setup() -> (Setup, TestDatabase) {
    let database = fresh_database().await;
    (Setup::new(None).with_database(&database), database)
}

/// `floodmark alerts …` against the service.
async fn alerts(setup: &Setup, service: &Service, arguments: &[&str]) -> Output {
    let url = service.url("");
    setup.output(&[&["alerts"], arguments, &["--url", &url]].concat()).await
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What ClickHouse has of pages: `event` by revision; each revision once.
async fn history(service: &Service, key: &str) -> Vec<String> {
    let rows = service.json(&format!("/api/v1/alerts/history?since=2026-01-01T00:00:00Z&key={key}")).await;
    let mut rows = rows["history"].as_array().unwrap().clone();
    rows.reverse();
    let revisions: Vec<u64> = rows.iter().map(|row| row["revision"].as_u64().unwrap()).collect();
    assert_eq!(revisions, (1..=rows.len() as u64).collect::<Vec<_>>(), "each revision once: {rows:#?}");
    rows.iter().map(|row| row["event"].as_str().unwrap().to_owned()).collect()
}

async fn until_history(service: &Service, key: &str, events: &[&str]) {
    let mut last = Vec::new();
    let found = async || {
        last = history(service, key).await;
        (last == events).then_some(())
    };
    until(&format!("history holds {events:?}"), found).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_told_once_through_a_crash_with_who_has_it_and_what_is_silenced() {
    let (setup, _database) = setup().await;
    let mut log = Log::new("container/api-7", 900);
    let service = Service::start(&setup).await;
    send(&service, &log.until(300)).await;
    let view = until_page(&service, "open").await;
    let key = view["page"]["dedup_key"].as_str().unwrap().to_owned();
    assert_eq!(view["page"]["title"], "[CRITICAL] container/api-7: restarts again and again");
    assert_eq!(view["page"]["lead"]["labels"]["source"], "container/api-7");

    succeeded(&alerts(&setup, &service, &["ack", &key, "--author", "jo", "--note", "on it"]).await);
    let silence = ["silence", "source=container/other", "--for", "2h", "--reason", "a test", "--author", "jo"];
    let id = succeeded(&alerts(&setup, &service, &silence).await).trim().to_owned();
    let no_end =
        alerts(&setup, &service, &["silence", "color=red", "--for", "2h", "--reason", "x", "--author", "jo"]).await;
    assert!(!no_end.status.success() && String::from_utf8_lossy(&no_end.stderr).contains("color"));
    service.kill_9();

    let service = Service::start(&setup).await;
    let view = until_page(&service, "waiting_for_data").await;
    assert_eq!(
        (view["page"]["dedup_key"].as_str(), &view["acknowledgement"]["author"]),
        (Some(key.as_str()), &"jo".into())
    );
    assert!(succeeded(&alerts(&setup, &service, &["silences"]).await).contains(&id));
    // It goes on, and the core that began anew finds it again: the same page.
    send(&service, &log.until(600)).await;
    until_page(&service, "open").await;
    assert!(succeeded(&alerts(&setup, &service, &["list"]).await).contains("container/api-7"));
    assert!(succeeded(&alerts(&setup, &service, &["show", &key]).await).contains("taken by jo"));
    // Over, once it has stayed up for longer than what counts as a loop.
    send_until(&service, &mut log, 3_600).await;
    until_page(&service, "resolved").await;
    until_history(&service, &key, &["opened", "acknowledged", "resolved"]).await;
    let told = succeeded(&alerts(&setup, &service, &["history", "--output", "json"]).await);
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap()["history"].as_array().unwrap().len(), 3);
    succeeded(&alerts(&setup, &service, &["silences", "--end", &id]).await);
    let gone = alerts(&setup, &service, &["ack", &key, "--author", "jo"]).await;
    assert!(String::from_utf8_lossy(&gone.stderr).contains("no page"), "{gone:?}");
    assert!(service.metric("floodmark_pages_total").await >= 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_clickhouse_away_a_restart_remembers_pages_and_ends_those_that_ended_meanwhile() {
    let (mut setup, database) = setup().await;
    let proxy = Proxy::start(&shared_engine().url).await;
    setup.config.clickhouse.url = Some(proxy.url.clone());
    let mut log = Log::new("container/api-7", 300);
    let service = Service::start(&setup).await;
    send(&service, &log.until(300)).await;
    let view = until_page(&service, "open").await;
    let key = view["page"]["dedup_key"].as_str().unwrap().to_owned();
    until_history(&service, &key, &["opened"]).await;
    proxy.switch(false);
    service.kill_9();

    let service = Service::start(&setup).await;
    until_page(&service, "waiting_for_data").await;
    let (status, body) = service.get("/api/v1/alerts/history").await;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("storage_away"), "{body}");
    proxy.switch(true);
    // It stays up: the core that began anew never saw it restart.
    send_until(&service, &mut log, 3_600).await;
    let view = until_page(&service, "resolved").await;
    assert!(view["page"]["impact"].as_str().unwrap().contains("not seen since the restart"), "{view:#}");
    until_history(&service, &key, &["opened", "resolved"]).await;
    drop(database);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_it_tells_the_page_it_would_have_told_once() {
    let seeds = std::env::var("FLOODMARK_PAGING_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    let (setup, _database) = setup().await;
    for seed in 0..seeds {
        let mut setup_of_seed = Setup::new(None);
        setup_of_seed.config.clickhouse = setup.config.clickhouse.clone();
        let mut log = Log::new("container/api-7", 2_100);
        let mut service = Service::start(&setup_of_seed).await;
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x2545_f491_4f6c_dd1d);
        for part in 1..=10 {
            let lines = log.until(part * 150);
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if state >> 62 == 0 {
                // Somewhere between taking it in, deciding, writing down and telling.
                let sending = with_lines(service.post("/api/v1/events"), lines.clone()).send();
                let _ = tokio::time::timeout(std::time::Duration::from_millis(state >> 40 & 0x7f), sending).await;
                service.kill_9();
                service = Service::start(&setup_of_seed).await;
            }
            send(&service, &lines).await;
        }
        // Long enough for a core that has just begun to find it again.
        send_until(&service, &mut log, 2_100).await;
        let view = until_page(&service, "open").await;
        let key = view["page"]["dedup_key"].as_str().unwrap().to_owned();
        send_until(&service, &mut log, 5_400).await;
        until_page(&service, "resolved").await;
        let view = &pages(&service).await[0];
        assert_eq!(view["page"]["dedup_key"], key.as_str(), "seed {seed}");
        let opened = service.json("/api/v1/alerts/history?since=2026-01-01T00:00:00Z").await;
        let opened = opened["history"].as_array().unwrap().iter().filter(|row| row["event"] == "opened").count();
        assert!(opened as u64 <= seed + 1, "seed {seed}: opened more than once: {opened}");
    }
}
