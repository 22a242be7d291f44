//! Scoring on outputs made by hand.

use crate::model::{
    Affected, AlertName, Cause, Confidence, Dimension, Dimensions, IncidentReport, Output, RuledOut, Severity, Text,
    Timestamp, Transition, TransitionEvent,
};
use crate::sim::TruthSpec;

use super::score::{RunScore, Trouble, score};
use super::{CaseOutcome, Ratio, aims, report, summarise};

const MINUTE_MS: i64 = 60_000;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(1_780_000_000_000 + minute * MINUTE_MS)
}

fn of(dimension: Dimension, value: &str) -> Dimensions {
    Dimensions::new([(dimension, Text::from(value))])
}

fn cause(dimensions: Dimensions) -> Cause {
    Cause { dimensions, share: 0.9, confidence: Confidence::High, evidence: String::new() }
}

fn firing(minute: i64, alert: AlertName, severity: Severity, labels: Dimensions) -> Output {
    Output::Transition(Transition {
        at: at(minute),
        event: TransitionEvent::Firing,
        alert,
        severity,
        incident: Text::from("one"),
        since: at(minute),
        causes: vec![cause(labels.clone())],
        labels,
        value: 1.0,
        baseline: 1.0,
        unit: "",
        affected: Affected::default(),
        summary: String::new(),
        runbook: Text::default(),
    })
}

fn incident(causes: Vec<Cause>, ruled_out: &[&str]) -> Output {
    Output::Incident(IncidentReport {
        event: "incident",
        incident: Text::from("one"),
        started_at: at(60),
        ended_at: None,
        severity: Severity::Critical,
        alerts: Vec::new(),
        causes,
        ruled_out: ruled_out
            .iter()
            .map(|candidate| RuledOut { candidate: (*candidate).to_owned(), why: String::new() })
            .collect(),
        affected: Affected::default(),
        customers: Vec::new(),
        sample_requests: Vec::new(),
        sample_queries: Vec::new(),
        actions: Vec::new(),
        timeline: Vec::new(),
        summary: String::new(),
    })
}

fn truth(text: &str) -> TruthSpec {
    toml::from_str(text).unwrap()
}

/// A storm from minute 60 to 90.
fn storm() -> TruthSpec {
    truth(
        "onset = '60m'\nend = '90m'\n\
         expected = [{ alert = 'RetryAmplification', severity = 'critical', labels = { client_version = '4' } },\n\
                     { alert = 'CacheCollapse', severity = 'warning' }]\n\
         also = [{ alert = 'ErrorBudgetBurn', severity = 'critical' }, { alert = 'TrafficSurge', severity = 'warning' }]\n\
         cause = [{ client_version = '4' }, { client = 'cli' }]\nred_herrings = ['agent']",
    )
}

fn judged(truth: &TruthSpec, outputs: &[Output]) -> RunScore {
    score(truth, Trouble::new(truth, at(0), at(120)), outputs)
}

#[test]
fn a_page_with_the_right_labels_in_time_is_recalled_and_right() {
    let version = || of(Dimension::ClientVersion, "4");
    let score = judged(
        &storm(),
        &[
            firing(61, AlertName::RetryAmplification, Severity::Critical, version()),
            firing(63, AlertName::CacheCollapse, Severity::Critical, of(Dimension::Source, "cache")),
            firing(65, AlertName::ErrorBudgetBurn, Severity::Critical, of(Dimension::Service, "api")),
            firing(66, AlertName::TrafficSurge, Severity::Warning, version()),
            firing(67, AlertName::LatencyRegression, Severity::Warning, version()),
            incident(vec![cause(version())], &["container/agent-1"]),
        ],
    );
    let delays: Vec<Option<i64>> = score.expected.iter().map(|expected| expected.delay_ms).collect();
    assert_eq!(delays, [Some(MINUTE_MS), Some(3 * MINUTE_MS)]);
    assert_eq!(score.delay_ms, Some(MINUTE_MS));
    // CacheCollapse is expected as a ticket: as a page it is one too many.
    assert_eq!((score.pages, score.pages_true), (3, 2));
    assert_eq!(score.false_pages[0].alert, AlertName::CacheCollapse);
    assert_eq!(score.tickets_unexpected, 1, "LatencyRegression is neither expected nor allowed");
    assert_eq!((score.cause_first, score.red_herrings_refused), (Some(true), Some(true)));
}

#[test]
fn wrong_labels_and_wrong_times_are_false_pages() {
    let retry = |minute, version| {
        firing(minute, AlertName::RetryAmplification, Severity::Critical, of(Dimension::ClientVersion, version))
    };
    let score = judged(&storm(), &[retry(30, "4"), retry(62, "3"), retry(106, "4")]);
    assert_eq!((score.pages, score.pages_true), (3, 0), "before the onset, another version, long after the end");
    assert_eq!(score.expected[0].delay_ms, None);
    assert_eq!((score.cause_first, score.red_herrings_refused), (None, None), "nothing to judge");
    let aftermath = judged(&storm(), &[retry(104, "4")]);
    assert_eq!(aftermath.pages_true, 1);
}

#[test]
fn another_cause_first_is_wrong_and_a_herring_must_be_named() {
    let page = firing(61, AlertName::RetryAmplification, Severity::Critical, of(Dimension::ClientVersion, "4"));
    let blamed = vec![cause(of(Dimension::Source, "agent")), cause(of(Dimension::ClientVersion, "4"))];
    let score = judged(&storm(), &[page.clone(), incident(blamed, &["a deploy"])]);
    assert_eq!((score.cause_first, score.red_herrings_refused), (Some(false), Some(false)));
    // Without a report the alert's own causes count; the second of several causes that are right is right.
    let other = judged(&storm(), &[page, incident(vec![cause(of(Dimension::Client, "cli"))], &["agent"])]);
    assert_eq!((other.cause_first, other.red_herrings_refused), (Some(true), Some(true)));
}

#[test]
fn a_warning_does_not_do_where_a_page_is_expected() {
    let ticket = firing(61, AlertName::RetryAmplification, Severity::Warning, of(Dimension::ClientVersion, "4"));
    let score = judged(&storm(), &[ticket]);
    assert_eq!(score.expected[0].delay_ms, None);
    assert_eq!((score.pages, score.tickets_unexpected), (0, 0), "a milder form of what is expected is no mistake");
}

fn outcome(scenario: &str, score: RunScore, subscriptions: u64) -> CaseOutcome {
    CaseOutcome {
        scenario: scenario.to_owned(),
        amplitude: (!score.quiet).then_some(10.0),
        seed: 1,
        events: 1_000,
        days: 14.0,
        subscriptions,
        score,
        trace: None,
    }
}

#[test]
fn quiet_runs_give_the_rate_of_false_pages_and_storms_the_delay() {
    let quiet = truth("quiet = true\nalso = [{ alert = 'TrafficSurge', severity = 'warning' }]");
    let calm = judged(&quiet, &[firing(5, AlertName::TrafficSurge, Severity::Warning, Dimensions::default())]);
    assert_eq!((calm.pages, calm.tickets_unexpected), (0, 0));
    let woken = judged(&quiet, &[firing(5, AlertName::RestartLoop, Severity::Critical, Dimensions::default())]);
    let page = firing(61, AlertName::RetryAmplification, Severity::Critical, of(Dimension::ClientVersion, "4"));
    let outcomes = [
        outcome("calm", calm, 100_000),
        outcome("calm", woken, 100_000),
        outcome("storm", judged(&storm(), &[page]), 100),
    ];
    let summary = summarise(&outcomes);
    let total = &summary.total;
    assert_eq!((total.quiet_pages, total.quiet_days), (1, 28.0));
    assert_eq!(total.false_pages_per_week, Some(0.25), "one page in four weeks of 100,000 subscriptions");
    assert!((total.false_pages_per_week_max.unwrap() - 4.744 / 4.0).abs() < 0.001);
    assert_eq!(total.recall_at(&["10"]), Ratio { hits: 1, of: 2 });
    assert_eq!(summary.storms.delay_s_p95, Some(60.0));
    assert_eq!(summary.scenarios.iter().map(|group| group.runs).collect::<Vec<_>>(), [2, 1]);
    let aims = aims(&summary);
    let reached = |part: &str| aims.iter().find(|aim| aim.name.contains(part)).unwrap().reached;
    assert!(reached("false pages") && reached("quiet") && !reached("p95") && !reached("recall at 3"));
    let report = report(&summary, &aims, &outcomes, &[("a storm".to_owned(), "e/storm.svg".to_owned())], "x");
    for part in ["| storm | 1 | 1/2 |", "RestartLoop everything", "![a storm](e/storm.svg)", "**no**"] {
        assert!(report.contains(part), "{part} is missing in {report}");
    }
}
