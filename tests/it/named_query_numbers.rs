//! What named queries say, counted again in Rust from the requests that were stored.

use std::collections::{BTreeMap, BTreeSet};

use floodmark::model::{Request, Timestamp};
use serde_json::Value;

use crate::named_queries::{Row, ask, seeded};
use crate::support::platform_day::{self, END, MINUTE_MS, RELEASE, START};

/// A bucket of durations is so much longer at its end than at its beginning, and what is said is rounded.
const BUCKET: f64 = 1.091;

fn edge() -> Vec<Request> {
    let within = |request: &Request| request.timestamp >= START && request.timestamp < END;
    platform_day::requests().into_iter().filter(|request| request.caller.is_none() && within(request)).collect()
}

fn is_resend(request: &Request) -> bool {
    request.attempt.is_some_and(|attempt| attempt > 1)
}

fn minute(request: &Request) -> Timestamp {
    request.timestamp.window_start(MINUTE_MS)
}

fn number(row: &Row, column: &str) -> f64 {
    row[column].as_f64().unwrap_or_else(|| panic!("{column} of {row:?}"))
}

fn text<'a>(row: &'a Row, column: &str) -> &'a str {
    row[column].as_str().unwrap_or_else(|| panic!("{column} of {row:?}"))
}

fn time(value: &Value) -> Timestamp {
    Timestamp::parse_rfc3339(value.as_str().unwrap()).unwrap()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-3 * b.abs().max(1.0)
}

/// Whether a row is about one of those whose number 4 divides.
fn on_bad_version(row: &Row) -> bool {
    text(row, "subscription")[4..].parse::<u32>().is_ok_and(|number| number % 4 == 0)
}

/// The duration that so much of `requests` does not exceed.
fn percentile_ms(requests: &[&Request], share: f64) -> f64 {
    let mut durations: Vec<f64> = requests.iter().map(|request| request.duration_ms).collect();
    durations.sort_by(f64::total_cmp);
    durations[((share * durations.len() as f64).ceil() as usize).max(1) - 1]
}

fn assert_percentile(said: f64, requests: &[&Request], share: f64) {
    let exact = percentile_ms(requests, share);
    assert!(said >= exact - 0.1 && said <= exact * BUCKET, "{said} is not the end of the bucket of {exact}");
}

#[tokio::test]
async fn load_errors_and_versions_are_what_was_stored() {
    let database = seeded().await;
    let edge = edge();
    let mut load: BTreeMap<&str, u64> = BTreeMap::new();
    edge.iter().for_each(|request| *load.entry(&request.subscription).or_default() += 1);
    let rows = ask(&database, "subscriptions_top_load", &[("from", "now-3h")]).await;
    let said: BTreeMap<&str, u64> =
        rows.iter().map(|row| (text(row, "subscription"), row["requests"].as_u64().unwrap())).collect();
    assert_eq!(said, load);
    assert!(rows.is_sorted_by(|a, b| number(a, "requests") >= number(b, "requests")));
    assert!(close(rows.iter().map(|row| number(row, "share")).sum(), 1.0));
    assert!(close(number(&rows[0], "requests_per_minute"), number(&rows[0], "requests") / 180.0));

    let rows = ask(&database, "amplification_by_client_version", &[("from", "now-3h")]).await;
    assert_eq!(rows.len(), 2);
    for row in &rows {
        let of_version =
            edge.iter().filter(|request| request.client_version.as_deref() == row["client_version"].as_str());
        let of_version: Vec<&Request> = of_version.collect();
        let resends = of_version.iter().filter(|request| is_resend(request)).count();
        let subscriptions: BTreeSet<&str> = of_version.iter().map(|request| request.subscription.as_str()).collect();
        assert_eq!(row["requests"], of_version.len());
        assert_eq!(row["resends"], resends);
        assert_eq!(row["subscriptions"], subscriptions.len());
        let attempts = of_version.len() as f64 / (of_version.len() - resends) as f64;
        assert!(close(number(row, "attempts_per_request"), attempts), "{row:?} {attempts}");
    }
    assert_eq!(rows[0]["client_version"], "4.0.0", "the worst is first");

    let rows = ask(&database, "error_budget_state", &[("objective", "0.99"), ("service", "api")]).await;
    let failed = |from: Timestamp| {
        let asked: Vec<&Request> = edge.iter().filter(|request| request.timestamp >= from).collect();
        asked.iter().filter(|request| request.status >= 500).count() as f64 / asked.len() as f64
    };
    assert!(close(number(&rows[0], "budget_used"), failed(START) / 0.01));
    assert!(close(number(&rows[0], "burn_rate_1h"), failed(END.plus(-60 * MINUTE_MS)) / 0.01));
}

#[tokio::test]
async fn customers_and_limits_are_those_of_the_requests() {
    let database = seeded().await;
    let edge = edge();
    let given = [("client", "kameleo-cli"), ("client_version", "4.0.0")];
    let rows = ask(&database, "customers_on_version", &given).await;
    assert_eq!(rows.len(), 10);
    let harm = |request: &&&Request| u64::from(is_resend(request)) + u64::from(request.failed());
    let on_version: Vec<&Request> =
        edge.iter().filter(|request| request.client_version.as_deref() == Some("4.0.0")).collect();
    let all_harm: u64 = on_version.iter().map(|request| harm(&request)).sum();
    for row in &rows {
        let own: Vec<&Request> =
            on_version.iter().copied().filter(|request| request.subscription == text(row, "subscription")).collect();
        assert_eq!(row["requests"], own.len());
        assert_eq!(time(&row["first_seen_at"]), own.iter().map(|request| minute(request)).min().unwrap());
        assert_eq!(time(&row["last_seen_at"]), own.iter().map(|request| minute(request)).max().unwrap());
        let share = own.iter().map(|request| harm(&request)).sum::<u64>() as f64 / all_harm as f64;
        assert!((number(row, "share_of_harm") - share).abs() < 1e-5, "{row:?} {share}");
    }

    let mut minutes: BTreeMap<(&str, Timestamp), u64> = BTreeMap::new();
    let counted = ["SearchFingerprints", "CreateProfile", "StartProfile"];
    for request in edge.iter().filter(|request| counted.contains(&request.route.as_str())) {
        *minutes.entry((&request.subscription, minute(request))).or_default() += 1;
    }
    let over = minutes.iter().filter(|(_, requests)| **requests > 50);
    let mut expected: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for ((subscription, _), requests) in over {
        let entry = expected.entry(subscription).or_default();
        *entry = (entry.0 + 1, entry.1.max(*requests), entry.2 + requests - 50);
    }
    let rows = ask(&database, "limit_exceeded", &[("limit_per_minute", "50")]).await;
    let count = |row: &Row, column: &str| row[column].as_u64().unwrap();
    let said: BTreeMap<&str, (u64, u64, u64)> = rows
        .iter()
        .map(|row| {
            let numbers =
                (count(row, "minutes_over"), count(row, "peak_requests_per_minute"), count(row, "requests_over"));
            (text(row, "subscription"), numbers)
        })
        .collect();
    assert!(!said.is_empty());
    assert_eq!(said, expected);
}

#[tokio::test]
async fn curves_and_percentiles_are_those_of_the_requests() {
    let database = seeded().await;
    let edge = edge();
    let rows = ask(&database, "traffic_over_time", &[("from", "now-3h"), ("bucket_s", "1800")]).await;
    assert_eq!(rows.len(), 6);
    for row in &rows {
        let start = time(&row["time"]);
        let within = |request: &&Request| request.timestamp >= start && request.timestamp < start.plus(30 * MINUTE_MS);
        let step: Vec<&Request> = edge.iter().filter(within).collect();
        let subscriptions: BTreeSet<&str> = step.iter().map(|request| request.subscription.as_str()).collect();
        assert_eq!(row["requests"], step.len());
        assert_eq!(row["failures"], step.iter().filter(|request| request.failed()).count());
        assert_eq!(row["subscriptions"], subscriptions.len());
        assert!(close(number(row, "requests_per_second"), step.len() as f64 / 1_800.0));
        assert_percentile(number(row, "p50_ms"), &step, 0.5);
        assert_percentile(number(row, "p95_ms"), &step, 0.95);
    }
    // Steps that are not asked for: about two hundred, whole minutes.
    let rows = ask(&database, "traffic_over_time", &[("from", "now-3h")]).await;
    assert_eq!(rows.len(), 180);
}

#[tokio::test]
async fn a_change_is_held_against_what_came_before() {
    let database = seeded().await;
    let edge = edge();
    let rows = ask(&database, "change_impact", &[]).await;
    let services: Vec<&str> = rows.iter().map(|row| text(row, "service")).collect();
    assert_eq!(services, ["billing", "kameleo-cli", "api"], "newest first, those without traffic too");
    assert_eq!((rows[0]["requests_per_minute_before"].as_f64(), rows[0]["p95_ms_after"].is_null()), (Some(0.0), true));
    let release = &rows[1];
    let side = |from: Timestamp, until: Timestamp| {
        let within = |request: &&Request| request.timestamp >= from && request.timestamp < until;
        edge.iter().filter(within).collect::<Vec<&Request>>()
    };
    // The store is called by the platform for a client's request: of that client as well.
    let inner = platform_day::requests().into_iter().filter(|request| request.caller.is_some()).collect::<Vec<_>>();
    let inner = |from: Timestamp, until: Timestamp| {
        inner.iter().filter(|request| request.timestamp >= from && request.timestamp < until).count()
    };
    let (before_from, after_until) = (RELEASE.plus(-60 * MINUTE_MS), RELEASE.plus(61 * MINUTE_MS));
    let (before, after) = (side(before_from, RELEASE), side(RELEASE.plus(MINUTE_MS), after_until));
    let failed = |side: &[&Request]| side.iter().filter(|request| request.failed()).count() as f64;
    let (all_before, all_after) =
        (before.len() + inner(before_from, RELEASE), after.len() + inner(RELEASE.plus(MINUTE_MS), after_until));
    assert_eq!((release["minutes_before"].as_u64(), release["minutes_after"].as_u64()), (Some(60), Some(60)));
    assert!(close(number(release, "requests_per_minute_before"), all_before as f64 / 60.0));
    assert!(close(number(release, "requests_per_minute_after"), all_after as f64 / 60.0));
    assert!(close(number(release, "failure_share_after"), failed(&after) / all_after as f64));
    assert!(close(number(release, "requests_per_subscription_after"), all_after as f64 / 40.0 / 60.0));
    assert!(number(release, "attempts_per_request_after") > 1.3 * number(release, "attempts_per_request_before"));
    assert!(number(release, "p95_ms_after") > 1.9 * number(release, "p95_ms_before"));
}

#[tokio::test]
async fn wasteful_callers_are_those_who_were_made_so() {
    let database = seeded().await;
    let rows = ask(&database, "wasteful_callers", &[("raw_minutes", "180"), ("from", "now-3h")]).await;
    let of = |pattern: &str| -> Vec<&Row> { rows.iter().filter(|row| row["pattern"] == pattern).collect() };
    let polls = of("polling_unchanged");
    assert_eq!(polls.iter().map(|row| text(row, "subscription")).collect::<Vec<_>>(), ["sub-01"]);
    assert_eq!((polls[0]["requests"].as_u64(), polls[0]["requests_saved"].as_u64()), (Some(1_080), Some(1_079)));
    assert!(text(polls[0], "evidence").ends_with("ListProfiles unchanged, asked for every 10 s"), "{polls:?}");
    let bursts = of("creates_one_by_one");
    assert_eq!(bursts.iter().map(|row| text(row, "subscription")).collect::<Vec<_>>(), ["sub-02"]);
    assert_eq!((bursts[0]["requests"].as_u64(), bursts[0]["requests_saved"].as_u64()), (Some(300), Some(294)));
    let early = of("before_retry_after");
    // Those whose searches fail repeat them at once, without having been told how long to wait.
    let told = |row: &&&Row| text(row, "subscription") == "sub-03";
    assert!(early.iter().filter(|row| !told(row)).all(|row| on_bad_version(row)), "{early:?}");
    let early = early.iter().find(told).unwrap();
    // 199 come after a refusal, 19 of them after six seconds.
    assert_eq!((early["requests"].as_u64(), early["requests_saved"].as_u64()), (Some(199), Some(180)));
    let repeats = of("repeats_failed");
    assert!(!repeats.is_empty() && repeats.iter().all(|row| on_bad_version(row)), "{repeats:?}");
    let edge = edge();
    for row in of("searches_per_start") {
        let made = |route: &str| {
            let own = |request: &&Request| {
                request.subscription == text(row, "subscription") && request.route == route && !is_resend(request)
            };
            edge.iter().filter(own).count() as u64
        };
        let (searches, starts) = (made("SearchFingerprints"), made("StartProfile"));
        assert!(searches >= 2 * starts && searches >= 100);
        assert_eq!(
            (row["requests"].as_u64(), row["requests_saved"].as_u64()),
            (Some(searches), Some(searches - starts))
        );
    }
}

#[tokio::test]
async fn growth_meets_its_limit_when_the_line_does() {
    let database = seeded().await;
    let rows = ask(&database, "growth_forecast", &[]).await;
    assert_eq!(rows.iter().map(|row| text(row, "subject")).collect::<Vec<_>>(), ["container/api-1", "container/api-2"]);
    let (leaks, steady) = (&rows[0], &rows[1]);
    assert_eq!((leaks["days"].as_u64(), leaks["limit_value"].as_f64()), (Some(21), Some(2e9)));
    assert!(close(number(leaks, "growth_per_day"), 2e7), "{leaks:?}");
    // Yesterday's peak was 1.59 GB; 20 MB a day leave 20.5 days from its noon.
    let left = (2e9 - 1.59e9) / 2e7 - 0.5 - 13.0 / 24.0;
    assert_eq!(time(&leaks["limit_met_at"]).to_string(), "2026-03-21T00:00:00Z");
    assert!((number(leaks, "days_left") - left).abs() < 0.01, "{leaks:?} {left}");
    assert!(steady["days_left"].is_null() && steady["limit_met_at"].is_null(), "{steady:?}");
    let given = [("subject", "container/api-2"), ("capacity", "1000000000")];
    assert_eq!(number(&ask(&database, "growth_forecast", &given).await[0], "used_share"), 0.5);
}

#[tokio::test]
async fn the_heaviest_queries_are_those_that_took_most() {
    let database = seeded().await;
    let rows = ask(&database, "query_fingerprints_heaviest", &[]).await;
    let told: Vec<(&str, u64, u64)> = rows
        .iter()
        .map(|row| {
            let count = |column: &str| row[column].as_u64().unwrap();
            (text(row, "fingerprint"), count("memory_bytes_max"), count("runs"))
        })
        .collect();
    // Of 600 runs every fiftieth only began; the ninth, the fifty-ninth and so on: four of each kind.
    let expected =
        [("fingerprint-0", 30_000_000, 196), ("fingerprint-1", 20_000_000, 196), ("fingerprint-2", 10_000_000, 196)];
    assert_eq!(told, expected);
    assert!(rows.iter().all(|row| row["failed"] == 8), "{rows:?}");
}
