//! `ErrorBudgetBurn`, fast and slow, on made traffic.

use super::outcome_sums::{OutcomeSums, Sums};
use super::slow_burn::above_budget;
use crate::detect::test_logs::{Lcg, at, firing, pages, replay};
use crate::model::{AlertName, Dimension, Event, Request, Severity, Text, Transition};

/// Requests at a rate, each failing (with a status) as told by its time, customer and route.
fn traffic(minutes: f64, per_second: f64, seed: u64, status: impl Fn(f64, u32, &str, &mut Lcg) -> u16) -> Vec<Event> {
    let mut random = Lcg(seed);
    let (mut events, mut seconds) = (Vec::new(), 0.0);
    loop {
        seconds += -(1.0 - random.next()).ln() / per_second;
        if seconds > minutes * 60.0 {
            return events;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let customer = (random.next() * 40.0) as u32;
        let route = if random.next() < 0.03 { "POST /v1/reports" } else { "GET /v1/items" };
        let status = status(seconds, customer, route, &mut random);
        events.push(Event::Request(Request {
            timestamp: at(seconds),
            subscription: Text::from(format!("customer-{customer}")),
            client: Some(Text::from("sdk")),
            client_version: Some(Text::from(if customer.is_multiple_of(8) { "2.1" } else { "2.0" })),
            service: Some(Text::from("catalog")),
            route: Text::from(route),
            status,
            duration_ms: 30.0,
            ..Request::default()
        }));
    }
}

fn failing(random: &mut Lcg, share: f64, status: u16) -> u16 {
    if random.next() < share { status } else { 200 }
}

fn burns(transitions: &[Transition]) -> Vec<&Transition> {
    firing(transitions, AlertName::ErrorBudgetBurn)
}

#[test]
fn twelve_hours_at_twice_the_budget_are_a_ticket_that_says_how_sure() {
    for status in [500, 429] {
        let (transitions, _) = replay(&traffic(720.0, 2.0, 1, |_, _, _, random| failing(random, 0.002, status)));
        let alerts = burns(&transitions);
        assert_eq!(alerts.len(), 1, "{alerts:#?}");
        assert_eq!(alerts[0].severity, Severity::Warning);
        assert_eq!(alerts[0].labels.get(Dimension::Service), Some("catalog"));
        assert!(alerts[0].summary.contains("sure"), "{}", alerts[0].summary);
        println!("{}: {}", alerts[0].at, alerts[0].summary);
    }
}

#[test]
fn what_fails_everywhere_has_no_narrower_culprit_and_says_so() {
    let (transitions, _) = replay(&traffic(720.0, 2.0, 1, |_, _, _, random| failing(random, 0.002, 500)));
    let first = &burns(&transitions)[0].causes[0];
    assert!(first.dimensions.is_empty() && first.evidence.contains("no narrower culprit"), "{first:#?}");
}

#[test]
fn the_route_that_burns_a_services_budget_is_its_first_cause() {
    let (transitions, _) = replay(&traffic(720.0, 2.0, 8, |_, _, route, random| {
        failing(random, if route == "POST /v1/reports" { 0.1 } else { 0.0002 }, 500)
    }));
    let alerts = burns(&transitions);
    assert_eq!(alerts[0].labels.get(Dimension::Service), Some("catalog"), "{alerts:#?}");
    let first = &alerts[0].causes[0];
    assert_eq!(first.dimensions.to_string(), "route = POST /v1/reports", "{first:#?}");
    assert!(first.share > 0.9 && first.evidence.contains("of all others"), "{first:#?}");
}

#[test]
fn half_the_budget_one_bad_minute_and_a_limit_at_work_are_no_ticket() {
    assert!(burns(&replay(&traffic(480.0, 2.0, 2, |_, _, _, random| failing(random, 0.0005, 500))).0).is_empty());
    let limited =
        traffic(
            480.0,
            4.0,
            3,
            |_, customer, _, random| {
                if customer == 7 { failing(random, 0.6, 429) } else { failing(random, 0.0002, 500) }
            },
        );
    let mut limited = limited;
    // One customer makes a third of all requests, beyond its limit.
    for event in &mut limited {
        if let Event::Request(request) = event
            && request.timestamp.as_millis() % 3 == 0
        {
            request.subscription = Text::from("customer-7");
            request.status = if request.timestamp.as_millis() % 2 == 0 { 429 } else { 200 };
        }
    }
    assert!(burns(&replay(&limited).0).is_empty(), "{:#?}", burns(&replay(&limited).0));
}

#[test]
fn a_month_is_judged_from_its_hours() {
    let month = |share: f64, per_hour: u64, bad_hour: Option<u64>| {
        let mut sums = OutcomeSums::new(0);
        let mut random = Lcg(5);
        for hour in 0..720_u64 {
            #[allow(clippy::cast_precision_loss)]
            let expected = share * per_hour as f64;
            let noise = expected.sqrt() * random.normal_of_twelve();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let failures = (expected + noise).round().max(0.0) as u64;
            let failures = if bad_hour == Some(hour) { per_hour / 2 } else { failures };
            #[allow(clippy::cast_possible_wrap)]
            sums.push(at(3_600.0 * hour as f64), Sums { failures, requests: per_hour });
        }
        sums
    };
    let end = at(720.0 * 3_600.0);
    let above = |sums: &OutcomeSums, objective: f64| above_budget(sums, end, 1.0 - objective, 20);
    assert!(above(&month(0.002, 200, None), 0.999).is_some(), "0.2 % for 30 days on 99.9 %");
    assert!(above(&month(0.002, 5_000, None), 0.998).is_none(), "on the line");
    assert!(
        above(&month(0.0022, 5_000, None), 0.998).is_some(),
        "a little above the line, and enough requests to know"
    );
    assert!(above(&month(0.002, 5_000, None), 0.995).is_none(), "inside its budget");
    assert!(above(&month(0.000_1, 5_000, Some(300)), 0.9995).is_none(), "one bad hour is no habit");
    assert!(above(&month(0.0006, 1_000, None), 0.999).is_none());
}

#[test]
fn customers_too_small_alone_are_judged_together() {
    // Five of forty customers use 2.1, which fails five times as often; all others are well within the budget.
    let (transitions, _) = replay(&traffic(720.0, 3.0, 6, |_, customer, _, random| {
        failing(random, if customer.is_multiple_of(8) { 0.004 } else { 0.0001 }, 502)
    }));
    let alerts = burns(&transitions);
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    assert_eq!(alerts[0].labels.get(Dimension::ClientVersion), Some("2.1"));
    assert_eq!(alerts[0].severity, Severity::Warning);
    assert!(alerts[0].summary.contains("pooled over 5 customers"), "{}", alerts[0].summary);
    println!("{}: {}", alerts[0].at, alerts[0].summary);
}

#[test]
fn an_outage_pages_within_three_minutes_with_an_hour_or_ten_minutes_of_log() {
    for before_min in [10.0, 70.0] {
        let onset_s = before_min * 60.0;
        let events = traffic(
            before_min + 15.0,
            1.2,
            7,
            |s, _, _, random| {
                if s > onset_s { 503 } else { failing(random, 0.0005, 500) }
            },
        );
        let (transitions, _) = replay(&events);
        let pages = pages(&transitions);
        assert_eq!(pages.len(), 1, "{pages:#?}");
        assert_eq!(pages[0].alert, AlertName::ErrorBudgetBurn);
        let delay_s = pages[0].at.since(at(onset_s)) / 1_000;
        assert!((0..=180).contains(&delay_s), "{delay_s} s after {before_min} min of log");
        println!("{before_min} min of log: {delay_s} s");
    }
}

#[test]
fn spikes_that_recover_and_lone_failures_at_night_page_nobody() {
    for before_min in [10.0, 90.0] {
        let onset_s = before_min * 60.0;
        let spike = traffic(before_min + 20.0, 5.0, 8, |s, _, _, random| {
            if (onset_s..onset_s + 30.0).contains(&s) { 500 } else { failing(random, 0.0005, 500) }
        });
        let (transitions, _) = replay(&spike);
        assert!(pages(&transitions).is_empty(), "{before_min}: {transitions:#?}");
    }
    let night = traffic(480.0, 0.01, 9, |s, _, _, _| if (3_000.0..3_400.0).contains(&s) { 500 } else { 200 });
    assert!(pages(&replay(&night).0).is_empty());
}

#[test]
fn a_route_that_fails_wholly_is_found_though_it_is_three_percent_of_the_traffic() {
    let events = traffic(105.0, 10.0, 10, |s, _, route, random| {
        if s > 3_600.0 && route.starts_with("POST") { 500 } else { failing(random, 0.0003, 500) }
    });
    let (transitions, _) = replay(&events);
    let alerts = pages(&transitions);
    let page = alerts.iter().find(|p| p.alert == AlertName::ErrorBudgetBurn).unwrap();
    assert_eq!(page.causes[0].dimensions.get(Dimension::Route), Some("POST /v1/reports"), "{:#?}", page.causes);
    println!("{} min", page.at.since(at(3_600.0)) / 60_000);
}
