//! During a storm: history tells of incidents that are open, and a limit tried on it knows which minutes were calm.

use floodmark::ingest::{EventProducer, WatermarkPolicy};
use floodmark::model::{Event, Timestamp};
use floodmark::sim::{Scenario, Simulation};
use serde_json::Value;

use crate::support::broker::TestBroker;
use crate::support::clickhouse::fresh_database;
use crate::support::service::{Service, Setup, until};

/// The storm begins 64 minutes after the log does.
const IN_THE_STORM: &str = "80m";
const STORM: [&str; 4] = ["simulate", "kameleo-retry-storm", "--seed", "7"];
const STORED: &str = "
    SELECT incident, toString(severity) AS severity, toUnixTimestamp64Milli(ended_at) AS ended_ms
    FROM {database}.incidents FINAL ORDER BY incident";

const STORED_REQUESTS: &str = "SELECT toUInt32(count()) AS requests FROM {database}.requests";

/// Incident, severity, and when it ended (0: it is open).
fn rows(incidents: &[Value]) -> Vec<(String, String, i64)> {
    let row = |one: &Value| {
        let ended = one["ended_at"].as_str().and_then(|at| floodmark::model::Timestamp::parse_rfc3339(at).ok());
        let ended_ms = one["ended_ms"].as_i64().or(ended.map(floodmark::model::Timestamp::as_millis));
        let text = |name: &str| one[name].as_str().unwrap().to_owned();
        (text("incident"), text("severity"), ended_ms.unwrap_or(0))
    };
    let mut rows: Vec<_> = incidents.iter().map(row).collect();
    rows.sort();
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_incident_is_in_history_and_its_storm_is_not_taken_for_calm() {
    let (broker, database) = (TestBroker::start(2).await, fresh_database().await);
    let setup = Setup::new(Some(&broker.kafka)).with_database(&database);
    let service = Service::start(&setup).await;
    // The tables are there.
    service.until_ready("ok", "ok").await;
    let log = setup.stdout(&[&STORM[..], &["--duration", IN_THE_STORM]].concat()).await;
    let requests = log.lines().filter(|line| line.contains(r#""type":"request""#)).count();
    setup.stdout(&[&STORM[..], &["--duration", IN_THE_STORM, "--to", "kafka"]].concat()).await;
    until("the whole log is stored", async || {
        let count = database.reader.fetch::<Value>(STORED_REQUESTS, &[]).await.unwrap();
        (count[0]["requests"] == requests).then_some(())
    })
    .await;
    until("history says of incidents what the service says", async || {
        let live = rows(service.json("/api/v1/incidents").await["incidents"].as_array().unwrap());
        let stored = rows(&database.reader.fetch::<Value>(STORED, &[]).await.unwrap());
        let in_storm = live.iter().any(|(_, severity, ended)| severity == "critical" && *ended == 0);
        (in_storm && live == stored).then_some(())
    })
    .await;
    let open = service.json("/api/v1/incidents").await["incidents"][0]["incident"].as_str().unwrap().to_owned();
    let between = "/api/v1/queries/incidents_between/results?from=2026-03-09T10:10:00Z&until=2026-03-09T10:15:00Z";
    let (status, body) = service.get(between).await;
    assert!(status == 200 && body.contains(&open), "{status} {body}");

    let tried = "/api/v1/limits/what-if?limit=300/min&sweep=100/min..5000/min&since=2026-03-09T09:00:00Z&until=2026-03-09T11:00:00Z";
    let report = service.json(tried).await;
    assert!(report["incidents"].as_array().unwrap().iter().any(|one| one["severity"] == "critical"), "{report}");
    let proposed = report["sweep"]["proposal"]["rate"].as_str().unwrap_or_else(|| panic!("{report}")).to_owned();
    let per_minute: u64 = proposed.strip_suffix("/min").unwrap().parse().unwrap();
    assert!(per_minute < 1_000, "{proposed}: the storm is taken for what customers need");
}

/// Events of the storm's log up to its flood; the calm before it, which follows it again and again below.
const EVENTS: usize = 45_000;
const CALM_MS: i64 = 15 * 60_000;

fn moved(event: &Event, by_ms: i64) -> Option<Event> {
    let Event::Request(request) = event else { return None };
    let mut request = request.clone();
    request.timestamp = request.timestamp.plus(by_ms);
    Some(Event::Request(request))
}

fn last_of(log: &[Event]) -> Timestamp {
    log[log.len() - 1].timestamp()
}

/// Waits until detection has decided what was sent up to this moment.
async fn until_decided(service: &Service, at: Timestamp) {
    #[allow(clippy::cast_precision_loss)]
    let decided = at.as_millis() as f64 / 1_000.0 - 60.0;
    until("the log is decided", async || {
        (service.metric("floodmark_watermark_timestamp_seconds").await >= decided).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_in_a_storm_every_stored_incident_has_an_end_also_one_that_nobody_knows_any_more() {
    let (broker, database) = (TestBroker::start(1).await, fresh_database().await);
    let setup = Setup::new(Some(&broker.kafka)).with_database(&database);
    let service = Service::start(&setup).await;
    service.until_ready("ok", "ok").await;
    let scenario = Scenario::load("kameleo-retry-storm").unwrap();
    let mut producer = EventProducer::new(&broker.kafka, Some(WatermarkPolicy::every_five_seconds(0))).unwrap();
    let mut log: Vec<Event> = Simulation::new(&scenario, 7).unwrap().take(EVENTS).collect();
    log.sort_by_key(Event::timestamp);
    for event in &log {
        producer.send_event(event).unwrap();
    }
    producer.flush().unwrap();
    let stored = async || rows(&database.reader.fetch::<Value>(STORED, &[]).await.unwrap());
    let open = async || stored().await.into_iter().filter(|(_, _, ended)| *ended == 0).collect::<Vec<_>>();
    until("a storm is stored as open", async || (!open().await.is_empty()).then_some(())).await;
    service.kill_9();

    // What the process before knew under another name: its warm-up began elsewhere.
    let ghost = "INSERT INTO {database}.incidents (incident, started_at, ended_at, severity, alerts, causes, ruled_out, \
                 customers, actions, timeline, affected_subscriptions, affected_requests_share, summary) \
                 SELECT 'ghost', started_at, ended_at, severity, alerts, causes, ruled_out, customers, actions, timeline, \
                 affected_subscriptions, affected_requests_share, summary FROM {database}.incidents FINAL \
                 WHERE toUnixTimestamp64Milli(ended_at) = 0 LIMIT 1";
    database.admin.execute(ghost).await.unwrap();
    let ghosts_words = async |name: &str| {
        let sql = "SELECT causes, timeline, summary, affected_subscriptions FROM {database}.incidents FINAL \
                   WHERE incident = {name:String}";
        database.reader.fetch::<Value>(sql, &[("name", name)]).await.unwrap()
    };
    let words = ghosts_words("ghost").await;

    let service = Service::start(&setup).await;
    until_decided(&service, last_of(&log)).await;
    until("the storm is known again and the ghost has an end", async || {
        let live = service.json("/api/v1/incidents").await;
        let is_open = live["incidents"].as_array().unwrap().iter().any(|one| one["ended_at"].is_null());
        (is_open && open().await.iter().all(|(name, ..)| name != "ghost")).then_some(())
    })
    .await;
    assert_eq!(ghosts_words("ghost").await, words, "nothing else of it has changed");
    until("what is open is stored as open", async || (!open().await.is_empty()).then_some(())).await;

    // The calm comes back until nothing is open.
    // Changes of a week before come first.
    let is_request = |event: &&Event| matches!(event, Event::Request(_));
    let first = log.iter().find(is_request).unwrap().timestamp();
    let calm: Vec<&Event> = log.iter().take_while(|event| event.timestamp().since(first) < CALM_MS).collect();
    let mut begins = last_of(&log);
    for _ in 0..24 {
        let by_ms = begins.since(first);
        for event in calm.iter().filter_map(|event| moved(event, by_ms)) {
            producer.send_event(&event).unwrap();
        }
        producer.flush().unwrap();
        begins = begins.plus(CALM_MS);
        until_decided(&service, begins).await;
        if service.metric("floodmark_incidents_open").await == 0.0 {
            break;
        }
    }
    assert_eq!(service.metric("floodmark_incidents_open").await, 0.0, "the storm is over");
    until("no open row remains", async || open().await.is_empty().then_some(())).await;
    for (name, _, ended_ms) in stored().await {
        assert!(ended_ms >= first.as_millis(), "{name} ended at {ended_ms}");
    }
}
