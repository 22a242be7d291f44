//! Receivers of pages: the real notifier against servers that hold what comes to the published rules of the receivers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use floodmark::alert::notify::sample;
use floodmark::api::View;
use floodmark::config::{Span, SubscriberConfig};
use floodmark::model::{Page, PageEvent, PublicNews, Severity, Timestamp, TransitionEvent};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::sync::watch;

use crate::samples;
use crate::support::broker::TestBroker;
use crate::support::endpoint::{Endpoint, Received};
use crate::support::notifier::{Around, Running, config};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";

/// A directory with the files that receivers name.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }
}

fn page(key: &str, revision: u32, event: PageEvent) -> Page {
    let mut page = Page { dedup_key: key.into(), revision, event, ..sample::page() };
    if event == PageEvent::Resolved {
        page.resolved_at = Some(page.at);
    }
    page
}

/// Opened, updated, acknowledged, resolved.
fn lifecycle(key: &str) -> [Page; 4] {
    let events = [PageEvent::Opened, PageEvent::Updated, PageEvent::Acknowledged, PageEvent::Resolved];
    [0, 1, 2, 3].map(|i: usize| page(key, u32::try_from(i).unwrap() + 1, events[i]))
}

/// A page with texts far longer than any receiver takes.
fn huge_page() -> Page {
    let long = "<&\"ä".repeat(10_000);
    Page { impact: long.clone(), title: long.clone(), actions: vec![long; 30], ..page("huge", 1, PageEvent::Opened) }
}

#[tokio::test]
async fn a_signed_webhook_verifies_with_either_secret_and_a_repeat_keeps_its_id() {
    let files = Files::new();
    let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let secrets = files.write("secrets", &format!("{other}\n{SECRET}\n"));
    let endpoint = Endpoint::answering(|count, _| answer(if count == 0 { 503 } else { 204 }, json!(null))).await;
    let text = format!(
        "[[notify.receivers]]\nname = 'hook'\nkind = 'webhook'\nurl = '{}/in'\nsecret_file = '{secrets}'\n",
        endpoint.url
    );
    let running = Running::start(&config(&text), Around::default());
    for page in lifecycle("a") {
        running.page(&page).await;
    }
    let received = endpoint.until_count(5).await;
    for request in &received {
        for secret in [SECRET, other] {
            Webhook::new(secret).unwrap().verify(&request.body, &request.headers).unwrap();
        }
        assert_eq!((request.path.as_str(), request.header("content-type")), ("/in", "application/json"));
    }
    let ids: Vec<&str> = received.iter().map(|request| request.header("webhook-id")).collect();
    assert_eq!(ids, ["a/1", "a/1", "a/2", "a/3", "a/4"]);
    assert_eq!(serde_json::from_slice::<Page>(&received[4].body).unwrap(), lifecycle("a")[3]);
    running.stop().await;
}

#[tokio::test]
async fn subscribers_hear_news_signed_and_in_order_and_neither_pages_nor_transitions() {
    let files = Files::new();
    let secrets = files.write("secrets", SECRET);
    let endpoint = Endpoint::answering(|count, _| answer(if count == 1 { 503 } else { 204 }, json!(null))).await;
    let subscriber = SubscriberConfig {
        name: "partner".to_owned(),
        url: endpoint.url.clone(),
        secret_file: Some(secrets.into()),
        timeout: Span::from_secs(10),
    };
    let subscribers = [subscriber];
    let running = Running::start(&config(""), Around { subscribers: &subscribers, ..Around::default() });
    running.page(&page("a", 1, PageEvent::Opened)).await;
    running.transition(&samples::transition("4.0.0", TransitionEvent::Firing)).await;
    for id in ["n1", "n2"] {
        let body = format!("{{\"said\":\"{id}\"}}");
        let news = PublicNews { id: id.to_owned(), subject: "component api".to_owned(), body };
        running.news.send(news.into()).await.unwrap();
    }
    let received = endpoint.until_count(3).await;
    let told: Vec<_> = received.iter().map(|request| (request.header("webhook-id"), request.body.clone())).collect();
    let expected = |id: &'static str| (id, format!("{{\"said\":\"{id}\"}}").into_bytes());
    assert_eq!(told, [expected("n1"), expected("n2"), expected("n2")]);
    for request in &received {
        Webhook::new(SECRET).unwrap().verify(&request.body, &request.headers).unwrap();
    }
    running.stop().await;
    assert_eq!(endpoint.received().len(), 3, "neither the page nor the transition");
}

#[tokio::test]
async fn a_webhook_that_is_gone_is_off_and_what_was_for_it_is_a_dead_letter() {
    let files = Files::new();
    let endpoint = Endpoint::answering(|_, _| answer(410, json!("nobody is here"))).await;
    let text = format!("[[notify.receivers]]\nname = 'hook'\nkind = 'webhook'\nurl = '{}'\n", endpoint.url);
    let state = files.path("state");
    let mut running = Running::start(&config(&text), Around { state_dir: Some(&state), ..Around::default() });
    running.page(&page("a", 1, PageEvent::Opened)).await;
    let why = running.until_trouble("off until the next start").await;
    assert!(why.contains("webhook hook") && why.contains("nobody is here"), "{why}");
    running.page(&page("a", 2, PageEvent::Resolved)).await;
    running.until_safe(2).await;
    assert_eq!(running.counted("floodmark_notification_dead_letters_total{receiver=\"webhook\"}"), 2);
    running.stop().await;
    assert_eq!(endpoint.received().len(), 1);
    let (letters, total) = floodmark::alert::notify::read_dead_letters(&state, 10).unwrap();
    assert_eq!((total, letters[0].id.as_str(), letters[1].id.as_str()), (2, "a/1", "a/2"));
}

/// Slack's rules for messages of incoming webhooks.
fn slack_rules(body: &Value) -> Result<(), &'static str> {
    let blocks = body["blocks"].as_array().ok_or("no_blocks")?;
    let length = |text: &Value| text.as_str().map_or(0, |text| text.chars().count());
    let is_sized = |block: &Value| {
        let text = &block["text"]["text"];
        match (block["type"].as_str(), block["text"]["type"].as_str()) {
            (Some("header"), Some("plain_text")) => (1..=150).contains(&length(text)),
            (Some("section"), Some("mrkdwn")) => (1..=3_000).contains(&length(text)),
            _ => false,
        }
    };
    let is_escaped = |text: &Value| {
        let text = text.as_str().unwrap_or_default();
        text.match_indices('<').all(|(at, _)| text[at..].starts_with("<http"))
    };
    let sections = blocks.iter().filter(|block| block["type"] == "section");
    match () {
        () if blocks.is_empty() || blocks.len() > 50 || !blocks.iter().all(is_sized) => Err("invalid_blocks"),
        () if length(&body["text"]) == 0 => Err("no_text"),
        () if body.to_string().chars().count() > 10_000 => Err("msg_too_long"),
        () if !sections.map(|block| &block["text"]["text"]).chain([&body["text"]]).all(is_escaped) => Err("unescaped"),
        () => Ok(()),
    }
}

/// The rules of PagerDuty's Events API v2.
fn pagerduty_rules(body: &Value) -> Result<(), &'static str> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let is_long = |value: &Value, most| (1..=most).contains(&text(value).chars().count());
    let payload = &body["payload"];
    let is_link = |link: &Value| text(&link["href"]).starts_with("http") && is_long(&link["text"], 255);
    match () {
        () if text(&body["routing_key"]) != ROUTING_KEY => Err("routing_key"),
        () if !["trigger", "acknowledge", "resolve"].contains(&text(&body["event_action"]).as_str()) => Err("action"),
        () if !is_long(&body["dedup_key"], 255) => Err("dedup_key"),
        () if !is_long(&payload["summary"], 1_024) || !is_long(&payload["source"], 1_024) => Err("payload"),
        () if !["critical", "error", "warning", "info"].contains(&text(&payload["severity"]).as_str()) => {
            Err("severity")
        }
        () if Timestamp::parse_rfc3339(&text(&payload["timestamp"])).is_err() => Err("timestamp"),
        () if !payload["custom_details"].is_object() => Err("custom_details"),
        () if !body["links"].as_array().is_some_and(|links| links.iter().all(is_link)) => Err("links"),
        () if body.to_string().len() > 512 * 1_024 => Err("too large"),
        () => Ok(()),
    }
}

fn answer(status: u16, body: Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
}

#[tokio::test]
async fn slack_takes_pages_of_any_size() {
    let files = Files::new();
    let endpoint = Endpoint::answering(|_, request| match slack_rules(&request.json()) {
        Ok(()) => (StatusCode::OK, "ok").into_response(),
        Err(why) => (StatusCode::BAD_REQUEST, why).into_response(),
    })
    .await;
    let url = files.write("url", &format!("{}/services/T0/B0/secret\n", endpoint.url));
    let text = format!("[[notify.receivers]]\nname = 'chat'\nkind = 'slack'\nurl_file = '{url}'\n");
    let running = Running::start(&config(&text), Around::default());
    for page in lifecycle("a").into_iter().chain([huge_page()]) {
        running.page(&page).await;
    }
    let received = endpoint.until_count(5).await;
    let statuses: Vec<u16> = received.iter().map(|request| request.status).collect();
    assert_eq!(statuses, [200; 5]);
    let fallback = received[3].json()["text"].as_str().unwrap().to_owned();
    assert!(fallback.starts_with("Resolved: [CRITICAL] kameleo-cli 4.0.0"), "{fallback}");
    assert!(slack_rules(&json!({"text": "a", "blocks": []})).is_err(), "the rules refuse something");
    running.stop().await;
}

#[tokio::test]
async fn pagerduty_hears_of_beginning_and_end_under_one_key_and_says_when_to_come_back() {
    let files = Files::new();
    let key = files.write("key", ROUTING_KEY);
    let endpoint = Endpoint::answering(|count, request| {
        if count == 0 {
            return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")], "").into_response();
        }
        match pagerduty_rules(&request.json()) {
            Ok(()) => answer(202, json!({"status": "success", "dedup_key": request.json()["dedup_key"]})),
            Err(why) => answer(400, json!({"status": "invalid event", "errors": [why]})),
        }
    })
    .await;
    let text = format!(
        "[[notify.receivers]]\nname = 'on-call'\nkind = 'pagerduty'\nrouting_key_file = '{key}'\nurl = '{}/v2/enqueue'\n",
        endpoint.url
    );
    let running = Running::start(&config(&text), Around::default());
    for page in lifecycle("storm").into_iter().chain([huge_page()]) {
        running.page(&page).await;
    }
    let received = endpoint.until_count(6).await;
    assert!(received[1].at - received[0].at >= Duration::from_secs(1), "it came back when it was told to");
    assert!(received[1..].iter().all(|request| request.status == 202), "{received:?}");
    let said = |request: &Received| {
        let body = request.json();
        (body["event_action"].as_str().unwrap().to_owned(), body["dedup_key"].as_str().unwrap().to_owned())
    };
    let actions: Vec<(String, String)> = received[1..5].iter().map(said).collect();
    let expected =
        ["trigger", "trigger", "acknowledge", "resolve"].map(|action| (action.to_owned(), "storm".to_owned()));
    assert_eq!(actions, expected);
    running.until_counted("floodmark_notifications_total{receiver=\"pagerduty\",outcome=\"delivered\"}", 5).await;
    assert!(pagerduty_rules(&json!({"routing_key": ROUTING_KEY})).is_err(), "the rules refuse something");
    running.stop().await;
}

#[tokio::test]
async fn routes_decide_who_hears_and_who_heard_of_a_beginning_hears_of_the_end() {
    let files = Files::new();
    let (pager, chat, transitions) = (Endpoint::start().await, Endpoint::start().await, Endpoint::start().await);
    let (key, url) = (files.write("key", ROUTING_KEY), files.write("url", &chat.url));
    let text = format!(
        "[[notify.receivers]]\nname = 'on-call'\nkind = 'pagerduty'\nrouting_key_file = '{key}'\nurl = '{}'\n\
         [[notify.receivers]]\nname = 'chat'\nkind = 'slack'\nurl_file = '{url}'\n\
         [[notify.receivers]]\nname = 'audit'\nkind = 'webhook'\nbody = 'transition'\nurl = '{}'\n\
         [[notify.routes]]\nreceivers = ['chat']\nseverity = ['warning']\ncontinue = true\n\
         [[notify.routes]]\nreceivers = ['on-call']\nlabels = ['client=kameleo-cli']\nseverity = ['critical']\n\
         [[notify.routes]]\nreceivers = ['audit']\n",
        pager.url, transitions.url
    );
    let running = Running::start(&config(&text), Around::default());
    let warning = Page { severity: Severity::Warning, ..page("a", 1, PageEvent::Opened) };
    let worse = page("a", 2, PageEvent::Updated);
    let over = Page { severity: Severity::Info, ..page("a", 3, PageEvent::Resolved) };
    for page in [&warning, &worse, &over] {
        running.page(page).await;
    }
    running.transition(&samples::transition("4", TransitionEvent::Firing)).await;
    assert_eq!(chat.until_count(3).await.len(), 3, "it heard of the warning, so of all that follows");
    let actions: Vec<Value> =
        pager.until_count(2).await.iter().map(|request| request.json()["event_action"].clone()).collect();
    assert_eq!(actions, ["trigger", "resolve"]);
    assert_eq!(transitions.until_count(1).await[0].json()["event"], "firing");
    running.stop().await;
    assert_eq!((chat.received().len(), pager.received().len(), transitions.received().len()), (3, 2, 1));
}

#[tokio::test]
async fn a_topic_gets_pages_in_order_under_the_key_of_the_page() {
    let broker = TestBroker::without_topics();
    broker.broker.create_topics(&[("floodmark.pages", 1)]).await.unwrap();
    let text = "[[notify.receivers]]\nname = 'log'\nkind = 'kafka'\ntopic = 'floodmark.pages'\nbody = 'cloudevents'\n";
    let running = Running::start(&config(text), Around { kafka: Some(&broker.kafka), ..Around::default() });
    for page in lifecycle("a") {
        running.page(&page).await;
    }
    let read = tokio::task::spawn_blocking(move || broker.read("floodmark.pages", 0, 4)).await.unwrap();
    for ((key, body), page) in read.iter().zip(lifecycle("a")) {
        let event: Value = serde_json::from_slice(body).unwrap();
        assert_eq!((key.as_str(), &event["data"]), ("a", &serde_json::to_value(&page).unwrap()));
        assert_eq!((&event["specversion"], &event["id"]), (&json!("1.0"), &json!(format!("a/{}", page.revision))));
    }
    running.stop().await;
}

#[tokio::test]
async fn a_heartbeat_is_sent_while_the_watermark_moves_and_not_when_it_stands() {
    let endpoint = Endpoint::start().await;
    let text = format!(
        "[[notify.receivers]]\nname = 'pulse'\nkind = 'heartbeat'\nurl = '{}/ping/x'\ninterval = '1s'\nmethod = 'get'\n",
        endpoint.url
    );
    let (sender, view) = watch::channel(Arc::new(View::default()));
    let mut running = Running::start(&config(&text), Around { view: Some(view), ..Around::default() });
    running.until_trouble("the watermark does not move").await;
    assert!(endpoint.received().is_empty());
    let publish = |at: i64| {
        let mut view = View::default();
        view.watermark = Some(samples::noon().plus(at));
        sender.send_replace(Arc::new(view));
    };
    publish(0);
    let received = endpoint.until_count(1).await;
    assert_eq!((&received[0].method, received[0].path.as_str()), (&Method::GET, "/ping/x"));
    running.until_trouble("the watermark does not move").await;
    assert_eq!(endpoint.received().len(), 1);
    publish(1_000);
    endpoint.until_count(2).await;
    running.stop().await;
}
