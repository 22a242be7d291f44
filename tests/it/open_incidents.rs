//! During a storm: history tells of incidents that are open, and a limit tried on it knows which minutes were calm.

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
