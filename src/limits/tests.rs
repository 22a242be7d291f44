//! What a tried limit answers, on any traffic; and the whole report, word for word.

use proptest::prelude::*;
use rustc_hash::FxHashMap;

use super::*;
use crate::model::{Dimension, Dimensions, Request, Severity, Text, Timestamp};

const MINUTE_MS: i64 = 60_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::parse_rfc3339("2026-03-01T10:00:00Z").unwrap().plus(ms)
}

fn request(subscription: &str, ms: i64) -> Request {
    Request {
        timestamp: at(ms),
        subscription: Text::from(subscription),
        route: Text::from("StartProfile"),
        status: 200,
        ..Request::default()
    }
}

fn incident(from_ms: i64, until_ms: i64, culprit: &str) -> PastIncident {
    PastIncident {
        incident: Text::from("20260301T100200Z-retry-amplification-0000"),
        started_at: at(from_ms),
        ended_at: Some(at(until_ms)),
        severity: Severity::Critical,
        summary: format!("{culprit} repeats failed requests"),
        culprits: Dimensions::new([(Dimension::Subscription, Text::from(culprit))]),
    }
}

fn answer(spec: &Spec, incidents: Vec<PastIncident>, requests: &[Request]) -> Report {
    let mut what_if = WhatIf::new(spec, SourceKind::Files, incidents);
    requests.iter().for_each(|request| what_if.apply(request));
    what_if.finish("")
}

/// The same requests as the rollup would have them.
fn answer_by_minute(spec: &Spec, requests: &[Request]) -> Report {
    let mut minutes: std::collections::BTreeMap<(Timestamp, Text), u64> = std::collections::BTreeMap::new();
    for request in requests {
        let minute = request.timestamp.window_start(MINUTE_MS);
        *minutes.entry((minute, request.subscription.clone())).or_default() += 1;
    }
    let mut what_if = WhatIf::new(spec, SourceKind::RequestsByMinute, Vec::new());
    for ((minute, subscription), requests) in &minutes {
        let described = Described { at: *minute, subscription, route: "StartProfile", ..Described::default() };
        what_if.apply_minute(&MinuteCell { described, requests: *requests, repeats: 0 });
    }
    what_if.finish("")
}

fn questions() -> impl Strategy<Value = Spec> {
    let algorithm = prop_oneof![
        Just(Algorithm::FixedWindow),
        Just(Algorithm::SlidingWindow),
        Just(Algorithm::TokenBucket),
        Just(Algorithm::Gcra)
    ];
    (1_u64..30, 1_i64..4, algorithm, proptest::option::of(1_u64..20)).prop_map(
        |(requests, minutes, algorithm, burst)| {
            Question { limit: format!("{requests}/{minutes}m"), algorithm, burst, ..Question::default() }
                .spec()
                .unwrap()
        },
    )
}

/// Requests of five subscriptions in the order of time, in rushes.
fn traffic() -> impl Strategy<Value = Vec<Request>> {
    let gap = prop_oneof![8 => 0_i64..500, 2 => 0_i64..5_000, 1 => 0_i64..150_000];
    proptest::collection::vec((gap, 0_usize..5), 1..400).prop_map(|steps| {
        let mut now = 0;
        let mut next = |(gap, who): (i64, usize)| {
            now += gap;
            request(["a", "b", "c", "d", "e"][who], now)
        };
        steps.into_iter().map(&mut next).collect()
    })
}

proptest! {
    #[test]
    fn what_passes_and_what_does_not_is_all_there_was(spec in questions(), requests in traffic()) {
        let report = answer(&spec, Vec::new(), &requests);
        let customers = |of: fn(&CustomerEffect) -> u64| report.customers.iter().map(of).sum::<u64>();
        prop_assert_eq!(report.traffic.requests, requests.len() as u64);
        prop_assert_eq!(report.traffic.counted, report.traffic.requests);
        prop_assert_eq!(customers(|customer| customer.throttled), report.traffic.throttled);
        let intervals = |customer: &CustomerEffect| customer.intervals.iter().map(|i| i.throttled).sum::<u64>();
        for customer in &report.customers {
            prop_assert!(customer.throttled <= customer.requests);
            let told = customer.further_intervals > 0 || intervals(customer) == customer.throttled;
            prop_assert!(told, "{customer:?}");
        }
        prop_assert!(report.load.all_minute.after <= report.load.all_minute.before);
        prop_assert_eq!(report.outside_incidents.throttled, report.traffic.throttled);
    }

    #[test]
    fn the_order_and_the_names_of_keys_do_not_matter(spec in questions(), requests in traffic()) {
        let report = answer(&spec, Vec::new(), &requests);
        // Of the same moment, the other way round; and under names that sort the other way round.
        let mut turned = requests.clone();
        turned.reverse();
        turned.sort_by_key(|request| request.timestamp);
        let names: FxHashMap<&str, &str> = [("a", "v"), ("b", "u"), ("c", "t"), ("d", "s"), ("e", "r")].into_iter().collect();
        turned.iter_mut().for_each(|request| request.subscription = Text::from(names[request.subscription.as_str()]));
        let other = answer(&spec, Vec::new(), &turned);
        prop_assert_eq!(&report.traffic, &other.traffic);
        prop_assert_eq!(&report.load, &other.load);
        for customer in &report.customers {
            let twin = other.customers.iter().find(|twin| twin.key == names[customer.key.as_str()]).unwrap();
            prop_assert_eq!((twin.throttled, &twin.intervals), (customer.throttled, &customer.intervals));
        }
    }

    #[test]
    fn counts_by_minute_are_within_their_stated_error(spec in questions(), requests in traffic()) {
        let exact = answer(&spec, Vec::new(), &requests);
        let rough = answer_by_minute(&spec, &requests);
        let throttled = exact.traffic.throttled;
        let (least, most) = (rough.traffic.throttled, rough.traffic.throttled_most);
        prop_assert!(least <= throttled && throttled <= most, "{throttled} is not within {least} and {most}");
        if rough.source.exact {
            prop_assert_eq!((least, most), (throttled, throttled));
        }
        // Whoever may not have been touched at all was not.
        for customer in &exact.customers {
            let twin = rough.customers.iter().find(|twin| twin.key == customer.key);
            let twin = twin.map_or((0, 0), |twin| (twin.throttled, twin.throttled_most));
            prop_assert!(twin.0 <= customer.throttled && customer.throttled <= twin.1, "{customer:?}: {twin:?}");
        }
        prop_assert_eq!(rough.load.all_minute.before, exact.load.all_minute.before);
    }

    #[test]
    fn a_swept_rate_answers_as_if_it_were_asked_for(requests in traffic()) {
        let ask = |limit: &str, sweep: Option<&str>| {
            let sweep = sweep.map(str::to_owned);
            let spec = Question { limit: limit.to_owned(), sweep, ..Question::default() }.spec().unwrap();
            answer(&spec, Vec::new(), &requests)
        };
        let swept = ask("7/min", Some("2/min..40/min")).sweep.unwrap();
        for point in swept.points {
            let alone = ask(&point.rate.to_string(), None);
            prop_assert_eq!(point.throttled_outside, alone.traffic.throttled);
            prop_assert_eq!(point.customers, alone.customers_throttled);
        }
    }
}

/// Ten quiet minutes of three customers, then five in which one of them makes ten times as much.
fn storm() -> Vec<Request> {
    let mut requests = Vec::new();
    for second in 0..900 {
        for (number, name) in ["big", "middle", "small"].into_iter().enumerate() {
            let every = [2, 5, 30][number];
            if second % every == 0 {
                requests.push(request(name, second * 1_000 + 100 * number as i64));
            }
        }
        if second >= 600 {
            requests.extend((0..5).map(|i| Request { status: 500, ..request("big", second * 1_000 + 500 + 50 * i) }));
        }
    }
    requests
}

#[test]
fn the_report_of_a_storm() {
    let question = Question {
        limit: "60/min".to_owned(),
        routes: vec!["StartProfile".to_owned()],
        sweep: Some("5/min..500/min".to_owned()),
        plans: [("pro".to_owned(), vec!["big".to_owned()])].into_iter().collect(),
        ..Question::default()
    };
    let spec = question.spec().unwrap();
    let report = answer(&spec, vec![incident(600_000, 900_000, "big")], &storm());
    insta::assert_json_snapshot!(report);
    insta::assert_snapshot!(curve_svg(report.sweep.as_ref().unwrap()));
}

#[test]
fn a_refused_request_comes_again_only_if_the_log_has_no_repeat_of_it() {
    let ask = |retries| {
        let spec = Question { limit: "1/s".to_owned(), retries, ..Question::default() }.spec().unwrap();
        let mut requests = vec![request("a", 0), request("a", 10), request("a", 9_000)];
        requests.insert(2, Request { status: 503, ..request("a", 20) });
        answer(&spec, Vec::new(), &requests).traffic
    };
    let (logged, client) = (ask(Retries::AsLogged), ask(Retries::Client));
    assert_eq!((logged.throttled, logged.sent_again), (2, 0));
    assert_eq!((client.throttled, client.sent_again, client.passed_again), (2, 1, 1));
}

#[test]
fn repeats_and_calls_between_services_are_left_out() {
    let spec = Question { limit: "1/min".to_owned(), retries: Retries::None, ..Question::default() }.spec().unwrap();
    let repeat = Request { attempt: Some(2), ..request("a", 10) };
    let call = Request { caller: Some(Text::from("gateway")), ..request("a", 20) };
    let report = answer(&spec, Vec::new(), &[request("a", 0), repeat, call, request("a", 30)]);
    let traffic = report.traffic;
    assert_eq!((traffic.requests, traffic.throttled), (2, 1));
    assert_eq!((traffic.repeats_left_out, traffic.calls_between_services), (1, Some(1)));
}

#[test]
fn keys_beyond_the_bound_pass_and_are_counted() {
    let spec = Question { limit: "1/min".to_owned(), ..Question::default() }.spec().unwrap();
    let mut what_if = WhatIf::bounded(&spec, SourceKind::Files, Vec::new(), 2);
    for name in ["a", "b", "c", "c", "a"] {
        what_if.apply(&request(name, 0));
    }
    let report = what_if.finish("");
    assert_eq!((report.traffic.throttled, report.traffic.not_judged), (1, 2));
    assert!(report.notes.iter().any(|note| note.contains("beyond the first 2")), "{:?}", report.notes);
}

#[test]
fn nothing_at_all_is_a_report() {
    let question =
        Question { limit: "1/min".to_owned(), sweep: Some("1/min..9/min".to_owned()), ..Question::default() };
    let report = answer(&question.spec().unwrap(), Vec::new(), &[]);
    assert_eq!((report.traffic.requests, report.load.usual_per_minute), (0, 0.0));
    assert!(serde_json::to_string(&report).is_ok());
}

#[test]
fn a_storm_that_no_incident_tells_of_is_no_measure_of_what_customers_need() {
    let calm = |minute: i64| (0..10).map(move |i| request("a", minute * MINUTE_MS + i * 1_000));
    let mut requests: Vec<Request> = (0..10).flat_map(calm).collect();
    requests.extend((0..200).map(|i| request("a", 10 * MINUTE_MS + i * 100)));
    let question = Question {
        limit: "10/min".to_owned(),
        sweep: Some("5/min..500/min".to_owned()),
        plans: [("free".to_owned(), vec!["a".to_owned()])].into(),
        ..Question::default()
    };
    let spec = question.spec().unwrap();
    let sweep = answer(&spec, Vec::new(), &requests).sweep.unwrap();
    for proposal in [&sweep.proposal, &sweep.plans[0].proposal] {
        assert_eq!(proposal.rate, None, "{proposal:?}");
        assert!(proposal.reason.contains("200 requests, 20 times the usual"), "{}", proposal.reason);
    }
    let known = answer(&spec, vec![incident(10 * MINUTE_MS, 11 * MINUTE_MS, "a")], &requests).sweep.unwrap();
    assert!(known.proposal.rate.is_some(), "{:?}", known.proposal);
    requests.truncate(100);
    let even = answer(&spec, Vec::new(), &requests).sweep.unwrap();
    assert!(even.proposal.rate.is_some(), "{:?}", even.proposal);
}

#[test]
fn a_route_that_nobody_called_is_told_with_the_nearest_that_was() {
    let routes = |names: &[&str]| {
        let routes = names.iter().map(|name| (*name).to_owned()).collect();
        Question { limit: "1/min".to_owned(), routes, ..Question::default() }.spec().unwrap()
    };
    let told = |spec: &Spec| answer(spec, Vec::new(), &[request("a", 0), request("a", 1)]).notes.join("; ");
    let notes = told(&routes(&["StartProfil", "StartProfile", "/x"]));
    assert!(notes.contains("nobody called the route StartProfil; did you mean StartProfile?"), "{notes}");
    assert!(notes.contains("nobody called the route /x"), "{notes}");
    assert!(!told(&routes(&["StartProfile"])).contains("nobody called"));
}
