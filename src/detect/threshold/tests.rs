//! Thresholds through the whole core, on hand-made logs: fires and clears, both sides, late and absent data, bounds.

use crate::alert::Rules;
use crate::config::FlowConfig;
use crate::detect::test_traffic::{at, request, signal};
use crate::detect::{Limits, Series};
use crate::flow::StreamId;
use crate::model::{Confidence, Event, Output, QueryRun, Request, Severity, Text, Transition, TransitionEvent};
use crate::pipeline::{Pipeline, Settings};

/// What a log gives with one rule, `MyOwn`, whose lines below `alert` are given.
pub fn told(condition: &str, timing: &str, mut events: Vec<Event>) -> (Vec<Transition>, Pipeline) {
    events.sort_by_key(Event::timestamp);
    told_in_order(condition, timing, &events)
}

pub fn told_in_order(condition: &str, timing: &str, events: &[Event]) -> (Vec<Transition>, Pipeline) {
    let (outputs, pipeline) = run(condition, timing, "warning", events);
    let transitions = outputs.into_iter().filter_map(|output| match output {
        Output::Transition(transition) => Some(transition),
        Output::Incident(_) => None,
    });
    (transitions.collect(), pipeline)
}

fn run(condition: &str, timing: &str, severity: &str, events: &[Event]) -> (Vec<Output>, Pipeline) {
    let text = format!(
        "groups:\n  - name: own\n    rules:\n      - alert: MyOwn\n        {condition}\n        {timing}\n        \
         labels: {{ severity: {severity} }}\n        annotations: {{ summary: s, runbook_url: \"https://example.org\" }}\n"
    );
    let rules = Rules::parse(&[("own.yaml".to_owned(), text)]).unwrap();
    let settings = Settings { flow: FlowConfig::default(), rules, limits: Limits::default() };
    let mut pipeline = Pipeline::new(&settings);
    let mut outputs = Vec::new();
    for event in events {
        outputs.extend(pipeline.apply(StreamId(0), event));
    }
    outputs.extend(pipeline.finish());
    (outputs, pipeline)
}

/// `firing 25 s service = api`: what fired and resolved, by seconds of the log.
pub fn story(transitions: &[Transition]) -> Vec<String> {
    let said = transitions.iter().filter(|t| t.event != TransitionEvent::Pending);
    said.map(|t| format!("{} {} s {}", t.event.as_str(), t.at.since(at(0.0)) / 1_000, t.labels)).collect()
}

/// Requests of a subscription to a service, `per_second` between two moments, every `failing`-th of which fails.
fn requests(span: (u32, u32), per_second: u32, who: (u32, &str), failing: Option<u32>) -> Vec<Event> {
    let step = 1.0 / f64::from(per_second);
    let count = (span.1 - span.0) * per_second;
    let request = |i: u32| {
        let seconds = f64::from(span.0) + f64::from(i) * step;
        let failed = failing.is_some_and(|every| i.is_multiple_of(every));
        let request = request(seconds, who.0, ("", who.1, "GET /v1/things"));
        Event::Request(Request { status: if failed { 503 } else { 200 }, ..request })
    };
    (0..count).map(request).collect()
}

fn all<const N: usize>(parts: [Vec<Event>; N]) -> Vec<Event> {
    parts.into_iter().flatten().collect()
}

#[test]
fn a_rate_fires_on_one_side_only_and_is_over_with_the_traffic() {
    let condition = "threshold: { series: requests_per_second, by: [subscription], op: \">\", value: 5, over: 30s }";
    let log = || {
        all([
            requests((0, 300), 5, (1, "api"), None),
            requests((60, 120), 6, (2, "api"), None),
            requests((0, 300), 1, (3, "api"), None),
        ])
    };
    let (transitions, _) = told(condition, "keep_firing_for: 30s", log());
    assert_eq!(story(&transitions), ["firing 90 s subscription = tenant-2", "resolved 150 s subscription = tenant-2"]);
    let fired = transitions.iter().find(|t| t.event == TransitionEvent::Firing).unwrap();
    assert_eq!((fired.value, fired.baseline, fired.unit), (6.0, 5.0, "requests per second"));
    assert_eq!(
        fired.summary,
        "subscription = tenant-2: requests_per_second is 6 over 30 s, above 5 (requests per second)"
    );
    assert_eq!((fired.alert.as_str(), fired.severity), ("MyOwn", Severity::Warning));
    assert!(fired.incident.contains("-my-own-"), "{}", fired.incident);
    let (transitions, _) = told(&condition.replace("\">\"", "\">=\""), "", log());
    assert!(story(&transitions).iter().any(|line| line.ends_with("tenant-1")), "{:?}", story(&transitions));
}

#[test]
fn a_ratio_needs_enough_requests_and_keeps_still_where_there_are_none() {
    let condition = "threshold: { series: server_error_ratio, by: [service], op: \">=\", value: 0.25 }";
    let few = all([requests((0, 120), 1, (1, "calm"), None), requests((60, 66), 1, (1, "api"), Some(1))]);
    assert_eq!(story(&told(condition, "", few).0), [""; 0], "six requests tell nothing");
    let sick = |every| {
        all([
            requests((0, 600), 1, (1, "calm"), None),
            requests((0, 120), 4, (1, "api"), Some(every)),
            requests((240, 600), 4, (1, "api"), None),
        ])
    };
    assert_eq!(story(&told(condition, "", sick(5)).0), [""; 0], "a fifth fails");
    // From 180 s to 240 s nobody asks the service: that is no sign of health, though other traffic goes on.
    let story = story(&told(condition, "keep_firing_for: 10s", sick(4)).0);
    assert_eq!(story, ["firing 5 s service = api", "resolved 245 s service = api"]);
}

#[test]
fn what_is_silent_for_a_quarter_of_an_hour_has_gone() {
    let condition = "threshold: { series: server_error_ratio, by: [service], op: \">=\", value: 0.25 }";
    let log = all([requests((0, 1_500), 1, (1, "calm"), None), requests((0, 120), 4, (1, "api"), Some(2))]);
    let story = story(&told(condition, "", log).0);
    assert_eq!(story, ["firing 5 s service = api", "resolved 1080 s service = api"]);
}

#[test]
fn too_little_fires_and_nothing_at_all_does_not() {
    let condition = "threshold: { series: requests_per_second, by: [service], op: \"<\", value: 2, over: 10s }";
    let log = all([
        requests((0, 300), 5, (1, "calm"), None),
        requests((0, 60), 3, (1, "gone"), None),
        requests((0, 60), 3, (1, "slow"), None),
        requests((60, 300), 1, (1, "slow"), None),
    ]);
    assert_eq!(story(&told(condition, "for: 10s", log).0), ["firing 80 s service = slow"]);
}

#[test]
fn what_held_comes_back_over_clear() {
    let condition =
        |clear: &str| format!("threshold: {{ series: requests_per_second, op: \">\", value: 8, {clear} over: 10s }}");
    let log = || {
        all([
            requests((0, 60), 2, (1, "api"), None),
            requests((60, 120), 10, (1, "api"), None),
            requests((120, 180), 5, (1, "api"), None),
            requests((180, 240), 2, (1, "api"), None),
        ])
    };
    assert_eq!(story(&told(&condition(""), "", log()).0), ["firing 70 s everything", "resolved 125 s everything"]);
    let with_clear = story(&told(&condition("clear: 4,"), "", log()).0);
    assert_eq!(with_clear, ["firing 70 s everything", "resolved 185 s everything"]);
}

#[test]
fn what_is_narrowed_down_has_its_labels_and_leaves_the_rest_out() {
    let condition = "threshold: { series: requests_per_second, by: [service], \
                     where: { subscription: tenant-2, service: [\"a*\"] }, op: \">\", value: 1 }";
    let log = all([
        requests((0, 60), 3, (1, "api"), None),
        requests((0, 60), 3, (2, "auth"), None),
        requests((0, 60), 3, (2, "billing"), None),
    ]);
    assert_eq!(story(&told(condition, "", log).0), ["firing 5 s subscription = tenant-2, service = auth"]);
}

#[test]
fn late_requests_are_not_counted_and_those_in_time_are_in_any_order() {
    let condition = "threshold: { series: errors_per_second, op: \">\", value: 2, over: 30s }";
    let calm = || requests((0, 300), 5, (1, "api"), None);
    let failing = || requests((60, 90), 3, (2, "api"), Some(1));
    let in_time = told(condition, "", all([calm(), failing()])).0;
    assert_eq!(story(&in_time), ["firing 85 s everything", "resolved 100 s everything"]);
    let mut late = calm();
    late.extend(failing());
    assert_eq!(story(&told_in_order(condition, "", &late).0), [""; 0], "they come after their windows were closed");
}

#[test]
fn durations_calls_and_bytes_are_told() {
    let slow = |ms: f64| -> Vec<Event> {
        let of = |i: u32| {
            let mut request = request(f64::from(i) * 0.2, 1, ("", "api", "GET /v1/things"));
            (request.duration_ms, request.request_bytes) = (if i.is_multiple_of(10) { ms } else { 20.0 }, Some(100));
            Event::Request(request)
        };
        (0..600).map(of).collect()
    };
    let p95 = "threshold: { series: latency_p95_milliseconds, by: [route], op: \">\", value: 500 }";
    assert_eq!(story(&told(p95, "", slow(600.0)).0).len(), 1);
    assert_eq!(story(&told(p95, "", slow(400.0)).0), [""; 0]);
    let p50 = "threshold: { series: latency_p50_milliseconds, op: \">\", value: 100 }";
    assert_eq!(story(&told(p50, "", slow(600.0)).0), [""; 0]);
    let bytes =
        |value| format!("threshold: {{ series: request_bytes_per_second, by: [service], op: \">\", value: {value} }}");
    assert_eq!(story(&told(&bytes(499), "", slow(20.0)).0), ["firing 5 s service = api"]);
    assert_eq!(story(&told(&bytes(501), "", slow(20.0)).0), [""; 0]);
    let calls = |each: u32| -> Vec<Event> {
        let outer = requests((0, 120), 2, (1, "api"), None);
        let inner = outer.iter().flat_map(|event| {
            let seconds = event.timestamp().since(at(0.0));
            #[allow(clippy::cast_precision_loss)]
            let call = move |_| request(seconds as f64 / 1_000.0, 1, ("api", "database", "read"));
            (0..each).map(call).map(Event::Request)
        });
        outer.iter().cloned().chain(inner).collect()
    };
    let per_request = "threshold: { series: calls_per_request, by: [caller, service], op: \">\", value: 3 }";
    let fires = story(&told(per_request, "", calls(4)).0);
    assert_eq!(fires, ["firing 5 s service = database, caller = api"]);
    assert_eq!(story(&told(per_request, "", calls(3)).0), [""; 0]);
}

#[test]
fn retries_and_queries_are_told() {
    let attempts = |most: u32| -> Vec<Event> {
        let of = |i: u32| {
            let mut request = request(f64::from(i) * 0.1, 1, ("", "api", "GET /v1/things"));
            request.attempt = Some(i % most + 1);
            Event::Request(request)
        };
        (0..1_200).map(of).collect()
    };
    let condition = "threshold: { series: attempts_per_request, by: [client_version], op: \">\", value: 2.5 }";
    assert_eq!(story(&told(condition, "", attempts(3)).0).len(), 1);
    assert_eq!(story(&told(condition, "", attempts(2)).0), [""; 0]);
    let retried = "threshold: { series: retry_ratio, op: \">=\", value: 0.5 }";
    assert_eq!(story(&told(retried, "", attempts(2)).0).len(), 1);
    let queries = |memory_bytes: u64| -> Vec<Event> {
        let of = |i: u32| {
            Event::Query(Box::new(QueryRun {
                timestamp: at(f64::from(i)),
                node: Text::from("ch-1"),
                query: None,
                fingerprint: Some(Text::from("f1")),
                user: None,
                origin: None,
                version: None,
                subscription: None,
                state: None,
                duration_ms: Some(2_000.0),
                memory_bytes: Some(memory_bytes),
                read_rows: None,
                read_bytes: None,
                exception_code: None,
                attributes: crate::model::Attributes::default(),
            }))
        };
        (0..120).map(of).collect()
    };
    let memory = "threshold: { series: query_memory_max_bytes, by: [fingerprint], op: \">\", value: 1000000000 }";
    assert_eq!(story(&told(memory, "", queries(1_200_000_000)).0), ["firing 5 s fingerprint = f1"]);
    assert_eq!(story(&told(memory, "", queries(800_000_000)).0), [""; 0]);
    let duration = "threshold: { series: query_duration_p95_milliseconds, op: \">\", value: 1500 }";
    assert_eq!(story(&told(duration, "", queries(1)).0).len(), 1);
}

#[test]
fn gauges_counters_and_ratios_of_sources_are_told_while_they_are_current() {
    let every_ten = |from: u32, until: u32, source: &str, metric: &str, value: &dyn Fn(u32) -> f64| -> Vec<Event> {
        let moments = (from..until).step_by(10);
        moments.map(|second| signal(f64::from(second), source, metric, value(second))).collect()
    };
    let gauge =
        "threshold: { series: signal, metric: queue_depth, where: { source: \"queue/*\" }, op: \">\", value: 10 }";
    let log = || {
        all([
            every_ten(0, 600, "queue/a", "queue_depth", &|second| if second < 300 { 11.0 } else { 10.0 }),
            every_ten(0, 600, "other/a", "queue_depth", &|_| 99.0),
            every_ten(0, 100, "queue/b", "queue_depth", &|_| 12.0),
        ])
    };
    let told_of = story(&told(gauge, "for: 20s", log()).0);
    assert_eq!(
        told_of,
        ["firing 25 s source = queue/a", "firing 25 s source = queue/b", "resolved 305 s source = queue/a"],
        "a queue that nobody reads any more is not empty"
    );
    let counter = "threshold: { series: signal, metric: jobs_failed_total, op: \">\", value: 2, over: 1m }";
    let log = all([
        every_ten(0, 600, "worker/1", "jobs_failed_total", &|second| f64::from(second.min(300)) * 2.5),
        every_ten(0, 600, "worker/2", "jobs_failed_total", &|second| f64::from(second) * 1.9),
        // It begins anew every hundred seconds.
        every_ten(0, 600, "worker/3", "jobs_failed_total", &|second| f64::from(second % 100) * 1.9),
    ]);
    assert_eq!(story(&told(counter, "", log).0), ["firing 15 s source = worker/1", "resolved 325 s source = worker/1"]);
    let ratio = "threshold: { series: signal_ratio, metric: memory_used_bytes, divided_by: memory_limit_bytes, \
                 op: \">=\", value: 0.8 }";
    let log = all([
        every_ten(0, 120, "redis/a", "memory_used_bytes", &|_| 8.0),
        every_ten(0, 120, "redis/a", "memory_limit_bytes", &|_| 10.0),
        every_ten(0, 120, "redis/b", "memory_used_bytes", &|_| 7.9),
        every_ten(0, 120, "redis/b", "memory_limit_bytes", &|_| 10.0),
        every_ten(0, 120, "redis/without-limit", "memory_used_bytes", &|_| 8.0),
        every_ten(0, 120, "redis/unlimited", "memory_used_bytes", &|_| 8.0),
        every_ten(0, 120, "redis/unlimited", "memory_limit_bytes", &|_| 0.0),
    ]);
    assert_eq!(story(&told(ratio, "", log).0), ["firing 5 s source = redis/a"]);
}

#[test]
fn a_page_of_ones_own_is_an_incident_of_its_own_and_names_no_culprit() {
    let condition = "threshold: { series: error_ratio, by: [service], op: \">\", value: 0.2 }";
    let mut log = all([requests((0, 120), 4, (1, "api"), Some(2)), requests((0, 120), 4, (2, "web"), Some(2))]);
    log.sort_by_key(Event::timestamp);
    let (outputs, _) = run(condition, "", "critical", &log);
    let incidents: Vec<_> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Incident(incident) => Some(incident),
            Output::Transition(_) => None,
        })
        .collect();
    assert_eq!(incidents.len(), 2, "a service each: {incidents:#?}");
    for incident in incidents {
        assert_eq!((incident.severity, incident.alerts.len()), (Severity::Critical, 1));
        assert_eq!(incident.actions, ["See the runbook."]);
        assert!(incident.causes.iter().all(|cause| cause.confidence == Confidence::Low), "{:?}", incident.causes);
        assert!(incident.incident.contains("-my-own-"), "{}", incident.incident);
    }
}

#[test]
fn past_the_bound_the_busiest_are_followed_and_the_rest_is_counted() {
    let condition = "threshold: { series: requests_per_second, by: [subscription], op: \">\", value: 0.25, over: 10s }";
    let mut log: Vec<Event> =
        (0..6_000).map(|i| Event::Request(request(1.0, 10 + i, ("", "api", "GET /v1/things")))).collect();
    log.extend(requests((0, 3), 4, (1, "api"), None));
    let (transitions, pipeline) = told(condition, "", log);
    assert_eq!(story(&transitions), ["firing 5 s subscription = tenant-1"]);
    assert!(pipeline.counts().overflowed >= 1_001, "{:?}", pipeline.counts());
}

#[test]
fn the_readme_has_the_table_of_all_series() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/alerts/rules/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (_, rest) = readme.split_once("<!-- series: made from the code -->\n").unwrap();
    let (table, _) = rest.split_once("<!-- end of series -->").unwrap();
    assert!(table == Series::table(), "write this table into alerts/rules/README.md:\n{}", Series::table());
}

#[test]
fn names_of_series_are_those_of_rule_files() {
    for series in Series::ALL {
        let written = serde_json::to_string(&series).unwrap();
        assert_eq!(written, format!("\"{}\"", series.as_str()));
    }
}
