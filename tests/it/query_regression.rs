//! From a real ClickHouse's query log to the alert: a release that makes a query pattern heavier is named, with the
//! pattern, who asks and the version, as `log_comment` tells them.

use floodmark::alert::Rules;
use floodmark::config::FlowConfig;
use floodmark::detect::Limits;
use floodmark::flow::StreamId;
use floodmark::model::{
    AlertName, Dimension, Event, IncidentReport, Output, QueryRun, QueryState, Timestamp, Transition, TransitionEvent,
    normalise_sql, sql_fingerprint,
};
use floodmark::pipeline::{Pipeline, Settings};

use crate::probes_clickhouse::{application, id_of, probe};
use crate::support::clickhouse::shared_engine;
use crate::support::probes::{RunningProbes, queries};

/// Runs before the release, and after it.
const BEFORE: usize = 24;
const AFTER: usize = 30;
/// The application asks once in so many milliseconds; the test, which asks one after the other, hurries.
const PACE_MS: i64 = 10_000;
/// What each of its questions takes.
const DURATION_MS: f64 = 100.0;

/// Eight reports of `rows` rows of eleven bytes: the same pattern whatever their length, which is a literal.
fn sql(rows: u32) -> String {
    format!("SELECT sum(length(repeat(concat(toString(number % 9), '0123456789'), {rows}))) FROM numbers(8)")
}

/// The alerts that fire, and their incidents.
fn said(events: &[Event]) -> (Vec<Transition>, Vec<IncidentReport>) {
    let settings =
        Settings { flow: FlowConfig::default(), rules: Rules::shipped().unwrap(), limits: Limits::shipped().unwrap() };
    let mut pipeline = Pipeline::new(&settings);
    let mut outputs: Vec<Output> = events.iter().flat_map(|event| pipeline.apply(StreamId(0), event)).collect();
    outputs.extend(pipeline.finish());
    let (mut firing, mut incidents) = (Vec::new(), Vec::new());
    for output in outputs {
        match output {
            Output::Transition(transition) if transition.event == TransitionEvent::Firing => firing.push(transition),
            Output::Transition(_) => {}
            Output::Incident(incident) => incidents.push(incident),
        }
    }
    (firing, incidents)
}

#[tokio::test]
async fn a_release_that_takes_more_memory_is_named_with_its_pattern_and_origin() {
    let engine = shared_engine();
    let mut probes = RunningProbes::start(&probe(&engine.url, &engine.users.admin, ""), 10_000);
    probes.until("a first look", |_| Some(())).await;
    let prefix = format!("release-{}-", std::process::id());
    for i in 0..BEFORE + AFTER {
        let (version, rows) = if i < BEFORE { ("1.9.0", 450_000) } else { ("2.0.0", 950_000) };
        let comment = format!(
            r#"{{"service":"reports","feature":"sessions","version":"{version}","subscription":"sub-7","flag":"new"}}"#
        );
        let answer = application(&format!("{prefix}{i:02}"), &comment, &sql(rows)).await.unwrap();
        assert_eq!(answer.trim(), (8 * 11 * rows).to_string());
    }
    let mut runs: Vec<QueryRun> = Vec::new();
    probes
        .until("all runs in the log", |events| {
            let ended = queries(events).filter(|run| run.state == Some(QueryState::Finished));
            runs.extend(ended.filter(|run| id_of(run).starts_with(&prefix)).cloned());
            (runs.len() >= BEFORE + AFTER).then_some(())
        })
        .await;
    runs.sort_by_key(|run| id_of(run).to_owned());
    let fingerprint = sql_fingerprint(&normalise_sql(&sql(1)));
    for run in &runs {
        assert_eq!(run.fingerprint.as_ref(), Some(&fingerprint));
        assert_eq!((run.origin.as_deref(), run.subscription.as_deref()), (Some("reports sessions"), Some("sub-7")));
        assert_eq!(run.attributes.get("flag"), Some("new"));
    }
    let start = runs[0].timestamp;
    for (run, i) in runs.iter_mut().zip(0..) {
        run.timestamp = Timestamp::from_millis(start.as_millis() + i * PACE_MS);
        // How long they take beside other tests is no property of the release.
        run.duration_ms = Some(DURATION_MS);
    }
    let events: Vec<Event> = runs.into_iter().map(|run| Event::Query(Box::new(run))).collect();

    let (alerts, incidents) = said(&events);
    let regressions: Vec<_> = alerts.iter().filter(|alert| alert.alert == AlertName::QueryRegression).collect();
    assert_eq!(regressions.len(), 1, "{alerts:#?}");
    let alert = regressions[0];
    assert_eq!(alert.labels.get(Dimension::Fingerprint), Some(fingerprint.as_str()));
    assert_eq!((alert.unit, alert.value >= 2.0 * alert.baseline), ("bytes", true), "{alert:#?}");
    let cause = &alert.causes[0].dimensions;
    assert_eq!(cause.get(Dimension::Origin), Some("reports sessions"));
    assert_eq!(cause.get(Dimension::Version), Some("2.0.0"));

    // Runs to look up in that server's own log: of the new version, the heaviest first.
    let samples = &incidents[0].sample_queries;
    assert_eq!(samples.len(), 3, "{samples:#?}");
    assert!(samples.is_sorted_by(|a, b| a.memory_bytes >= b.memory_bytes), "{samples:#?}");
    for sample in samples {
        let run = queries(&events).find(|run| id_of(run) == sample.query_id.as_str()).expect("it is in the log");
        assert_eq!((run.version.as_deref(), run.memory_bytes), (Some("2.0.0"), Some(sample.memory_bytes)));
        assert_eq!((&sample.fingerprint, sample.state), (&fingerprint, Some(QueryState::Finished)));
    }

    let calm: Vec<Event> = events.into_iter().take(BEFORE).collect();
    assert_eq!(said(&calm), (Vec::new(), Vec::new()));
}
