//! Calls between services: who amplifies, who only serves more, and what is told of it.

use crate::detect::test_traffic::{Lcg, Told, at, request, run, run_in_order};
use crate::model::{AlertName, Dimension, Event, Request, Text, Transition};

/// From this second on things are different.
const ONSET: f64 = 600.0;

/// By time, and by time and route.
type ByTime = fn(f64) -> f64;
type ByRoute = fn(f64, &str) -> f64;

/// Edge → shop → catalog → store, with a background service that fills caches from the store.
struct Platform {
    seconds: f64,
    edge_per_second: f64,
    /// Factor on the edge rate.
    demand: ByTime,
    /// Calls of shop to catalog, and of catalog to store, per request, by route.
    shop_calls: ByTime,
    catalog_calls: ByRoute,
    /// Calls of the filler a second.
    filler_per_second: ByTime,
    /// Median duration of the store, and its failure share.
    store_ms: ByTime,
    store_failing: ByTime,
    /// Attempts of catalog at the store.
    attempts: u32,
}

impl Default for Platform {
    fn default() -> Self {
        Self {
            seconds: 1_200.0,
            edge_per_second: 10.0,
            demand: |_| 1.0,
            shop_calls: |_| 1.0,
            catalog_calls: |_, _| 1.2,
            filler_per_second: |_| 1.0,
            store_ms: |_| 20.0,
            store_failing: |_| 0.0005,
            attempts: 1,
        }
    }
}

const ROUTES: [&str; 3] = ["GET /items/{id}", "GET /prices/{id}", "GET /stock/{id}"];

impl Platform {
    fn events(&self, seed: u64) -> Vec<Event> {
        let mut random = Lcg(seed);
        let mut events = Vec::new();
        let peak = (0..1_000).map(|i| (self.demand)(self.seconds * f64::from(i) / 1_000.0)).fold(1.0, f64::max);
        let edge = random.arrivals(
            0.0,
            self.seconds,
            |t| self.edge_per_second * (self.demand)(t),
            self.edge_per_second * peak,
        );
        for time in edge {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let tenant = (random.next() * 30.0) as u32;
            let mut page = request(time, tenant, ("", "shop", "GET /page"));
            page.duration_ms = random.duration_ms(120.0);
            events.push(Event::Request(page));
            for _ in 0..random.times((self.shop_calls)(time)) {
                self.catalog(time, tenant, &mut random, &mut events);
            }
        }
        for time in random.arrivals(0.0, self.seconds, |t| (self.filler_per_second)(t), 60.0) {
            let fill = self.store(time, 0, ("filler", "store", "SCAN"), &mut random);
            events.push(Event::Request(fill));
        }
        events
    }

    fn catalog(&self, time: f64, tenant: u32, random: &mut Lcg, events: &mut Vec<Event>) {
        let mut call = request(time, tenant, ("shop", "catalog", "GET /catalog"));
        call.duration_ms = random.duration_ms(60.0);
        events.push(Event::Request(call));
        for route in ROUTES {
            for _ in 0..random.times((self.catalog_calls)(time, route)) {
                for attempt in 0..self.attempts {
                    let call = self.store(time + f64::from(attempt), tenant, ("catalog", "store", route), random);
                    let failed = call.failed();
                    events.push(Event::Request(call));
                    if !failed {
                        break;
                    }
                }
            }
        }
    }

    fn store(&self, time: f64, tenant: u32, way: (&str, &str, &str), random: &mut Lcg) -> Request {
        let mut call = request(time, tenant, way);
        call.duration_ms = random.duration_ms((self.store_ms)(time));
        call.response_bytes = Some(2_000);
        if random.next() < (self.store_failing)(time) {
            call.status = 503;
        }
        call
    }
}

fn after(time: f64, factor: f64) -> f64 {
    if time >= ONSET { factor } else { 1.0 }
}

fn delay_s(page: &Transition) -> i64 {
    page.at.since(at(ONSET)) / 1_000
}

fn names(page: &Transition, caller: &str, service: &str) {
    for dimensions in [&page.labels, &page.causes[0].dimensions] {
        assert_eq!(dimensions.get(Dimension::Caller), Some(caller), "{page:#?}");
        assert_eq!(dimensions.get(Dimension::Service), Some(service), "{page:#?}");
    }
}

fn amplified(told: &Told) -> Vec<&Transition> {
    told.fired(AlertName::RequestAmplification)
}

fn three_times_slower(time: f64) -> f64 {
    20.0 * after(time, 3.0)
}

#[test]
fn more_calls_a_request_page_once_the_service_called_gets_slower() {
    let cases: [(ByRoute, f64, i64); 3] = [
        (|t, _| 1.2 * after(t, 2.0), 2.0, 60),
        (|t, _| 1.2 * after(t, 3.0), 3.0, 30),
        (|t, _| 1.2 * after(t, 10.0), 10.0, 20),
    ];
    for (catalog_calls, factor, delay_s_max) in cases {
        let told = run(Platform { catalog_calls, store_ms: three_times_slower, ..Platform::default() }.events(1));
        let pages = told.pages(AlertName::RequestAmplification);
        assert_eq!(pages.len(), 1, "{factor}: {:#?}", amplified(&told));
        names(pages[0], "catalog", "store");
        assert!((0..=delay_s_max).contains(&delay_s(pages[0])), "{factor}: {} s", delay_s(pages[0]));
        let measured = pages[0].value / pages[0].baseline;
        assert!((0.7..1.4).contains(&(measured / factor)), "{factor}: {measured}");
        assert!(pages[0].summary.contains("store answers"), "{}", pages[0].summary);
        let resolved = told.transitions.iter().filter(|t| t.event == crate::model::TransitionEvent::Resolved);
        assert_eq!(resolved.filter(|t| t.alert == AlertName::RequestAmplification).count(), 0, "it lasts");
    }
}

#[test]
fn sixty_calls_a_minute_are_enough() {
    let cases: [(ByRoute, i64); 3] =
        [(|t, _| 0.33 * after(t, 2.0), 150), (|t, _| 0.33 * after(t, 3.0), 60), (|t, _| 0.33 * after(t, 10.0), 25)];
    for (catalog_calls, delay_s_max) in cases {
        let small = Platform { edge_per_second: 1.0, filler_per_second: |_| 0.0, ..Platform::default() };
        let told = run(Platform { catalog_calls, store_ms: |t| 20.0 * after(t, 10.0), ..small }.events(2));
        let pages = told.pages(AlertName::RequestAmplification);
        assert_eq!(pages.len(), 1, "{:#?}", amplified(&told));
        names(pages[0], "catalog", "store");

        assert!((0..=delay_s_max).contains(&delay_s(pages[0])), "{} s", delay_s(pages[0]));
    }
}

#[test]
fn one_route_is_named_and_five_minutes_of_log_are_enough() {
    let platform = Platform {
        catalog_calls: |t, route| if route == ROUTES[1] && t >= 300.0 { 12.0 } else { 1.2 },
        store_failing: |t| if t >= 310.0 { 0.3 } else { 0.0005 },
        seconds: 600.0,
        ..Platform::default()
    };
    let told = run(platform.events(3));
    let pages = told.pages(AlertName::RequestAmplification);
    assert_eq!(pages.len(), 1, "{:#?}", amplified(&told));
    names(pages[0], "catalog", "store");
    assert_eq!(pages[0].causes[0].dimensions.get(Dimension::Route), Some(ROUTES[1]));

    assert!(pages[0].at < at(345.0), "{}", pages[0].at);
}

#[test]
fn without_harm_ten_times_pages_later_and_three_times_is_a_ticket() {
    let ten = run(Platform { catalog_calls: |t, _| 1.2 * after(t, 10.0), ..Platform::default() }.events(4));
    let pages = ten.pages(AlertName::RequestAmplification);
    assert_eq!(pages.len(), 1, "{:#?}", amplified(&ten));
    assert!((30..=60).contains(&delay_s(pages[0])), "{} s", delay_s(pages[0]));
    let three = run(Platform { catalog_calls: |t, _| 1.2 * after(t, 3.0), ..Platform::default() }.events(4));
    assert!(three.critical().is_empty(), "{:#?}", three.critical());
    let tickets = amplified(&three);
    assert_eq!(tickets.len(), 1, "{tickets:#?}");
    names(tickets[0], "catalog", "store");
}

#[test]
fn a_background_service_is_compared_with_the_edge_and_itself() {
    let storm = Platform { filler_per_second: |t| after(t, 40.0), store_ms: three_times_slower, ..Platform::default() };
    let told = run(storm.events(5));
    let pages = told.pages(AlertName::RequestAmplification);
    assert_eq!(pages.len(), 1, "{:#?}", amplified(&told));
    names(pages[0], "filler", "store");

    assert_eq!(pages[0].unit, "calls per request at the edge");
    let quiet = run(Platform { filler_per_second: |t| after(t, 40.0), ..Platform::default() }.events(5));
    assert!(quiet.critical().is_empty(), "planned work without harm: {:#?}", quiet.critical());
}

#[test]
fn layers_multiply_and_the_first_says_so() {
    let platform = Platform {
        shop_calls: |t| after(t, 4.0),
        catalog_calls: |t, _| 1.2 * after(t, 4.0),
        store_ms: three_times_slower,
        edge_per_second: 5.0,
        ..Platform::default()
    };
    let told = run(platform.events(6));
    let pages = told.pages(AlertName::RequestAmplification);
    let outer = pages.iter().find(|p| p.labels.get(Dimension::Caller) == Some("shop"));
    let inner = pages.iter().find(|p| p.labels.get(Dimension::Caller) == Some("catalog")).expect("the inner hop");
    names(inner, "catalog", "store");

    let outer = outer.expect("the outer hop");
    assert!(outer.summary.contains("layers multiply: shop → catalog"), "{}", outer.summary);
    assert_eq!(outer.causes[1].dimensions.get(Dimension::Caller), Some("catalog"));
}

#[test]
fn more_bytes_a_call_are_amplification_too() {
    let platform = Platform { store_ms: three_times_slower, ..Platform::default() };
    let mut events = platform.events(7);
    for event in &mut events {
        if let Event::Request(request) = event
            && request.caller.as_deref() == Some("catalog")
            && request.timestamp >= at(ONSET)
        {
            request.response_bytes = Some(20_000);
        }
    }
    let told = run(events);
    let pages = told.pages(AlertName::RequestAmplification);
    assert_eq!(pages.len(), 1, "{:#?}", amplified(&told));
    names(pages[0], "catalog", "store");

    assert_eq!(pages[0].unit, "bytes per request served");
}

#[test]
fn more_requests_are_not_amplification() {
    let crowd: ByTime = |t| if (600.0..1_000.0).contains(&t) { 6.0 } else { 1.0 };
    let night: ByTime = |t| if t > 600.0 { 0.05 } else { 1.0 };
    let bursts: ByTime = |t| if (t / 37.0).fract() < 0.2 { 4.0 } else { 0.4 };
    for demand in [crowd, night, bursts, |_| 1.0] {
        for seed in 1..3 {
            let told = run(Platform { demand, ..Platform::default() }.events(seed));
            assert!(amplified(&told).is_empty(), "{:#?}", amplified(&told));
        }
    }
    let slow_crowd = run(Platform { demand: crowd, store_ms: three_times_slower, ..Platform::default() }.events(3));
    assert!(amplified(&slow_crowd).is_empty(), "{:#?}", amplified(&slow_crowd));
}

#[test]
fn a_timer_that_calls_in_bursts_is_normal() {
    let platform = Platform {
        filler_per_second: |t| if (t / 60.0).fract() < 0.1 { 50.0 } else { 0.0 },
        store_ms: three_times_slower,
        ..Platform::default()
    };
    let told = run(platform.events(8));
    assert!(told.critical().is_empty(), "{:#?}", told.critical());
}

#[test]
fn three_attempts_of_a_caller_in_an_outage_are_nobodys_fault() {
    let cases: [ByTime; 2] =
        [|t| if (600.0..900.0).contains(&t) { 1.0 } else { 0.001 }, |t| if t > 600.0 { 0.4 } else { 0.001 }];
    for store_failing in cases {
        let told = run(Platform { attempts: 3, store_failing, ..Platform::default() }.events(9));
        assert!(amplified(&told).is_empty(), "{:#?}", amplified(&told));
    }
}

#[test]
fn the_work_of_one_customer_and_a_new_caller_wake_nobody() {
    for caller in ["catalog", "backfill"] {
        let mut events = Platform::default().events(10);
        let mut random = Lcg(11);
        for time in random.arrivals(ONSET, 1_200.0, |_| 400.0, 400.0) {
            events.push(Event::Request(request(time, 7, (caller, "store", ROUTES[0]))));
        }
        let told = run(events);
        assert!(told.critical().is_empty(), "{caller}: {:#?}", told.critical());
    }
}

#[test]
fn a_route_that_replaces_another_is_no_amplification() {
    let platform = Platform {
        catalog_calls: |t, route| match (t > ONSET, route == ROUTES[0]) {
            (false, true) | (true, false) => 2.0,
            _ => 0.1,
        },
        ..Platform::default()
    };
    let mut events = platform.events(12);
    // Two routes at two calls instead of one: as many calls as before on the whole.
    events.retain(|event| !matches!(event, Event::Request(r) if r.timestamp > at(ONSET) && r.route == ROUTES[2]));
    let told = run(events);
    assert!(amplified(&told).is_empty(), "{:#?}", amplified(&told));
}

#[test]
fn more_of_the_requests_that_make_the_calls_are_demand() {
    let mut random = Lcg(13);
    let mut events = Vec::new();
    for time in random.arrivals(0.0, 1_200.0, |_| 20.0, 20.0) {
        let heavy = random.next() < if time > ONSET { 0.5 } else { 0.1 };
        let route = if heavy { "GET /report" } else { "GET /ping" };
        events.push(Event::Request(request(time, 1, ("", "front", route))));
        let calls = if heavy { 6 } else { 0 };
        events.extend((0..calls).map(|_| Event::Request(request(time, 1, ("front", "numbers", "GET /cells")))));
    }
    let told = run(events);
    assert!(amplified(&told).is_empty(), "{:#?}", amplified(&told));
}

#[test]
fn order_inside_the_lateness_changes_nothing_and_absent_data_is_not_zero() {
    let platform = Platform {
        catalog_calls: |t, _| 1.2 * after(t, 3.0),
        store_ms: three_times_slower,
        seconds: 800.0,
        ..Platform::default()
    };
    let mut events = platform.events(14);
    events.sort_by_key(Event::timestamp);
    let in_order = run_in_order(&events);
    let mut random = Lcg(15);
    let mut delayed: Vec<(i64, Event)> = events
        .iter()
        .map(|event| {
            #[allow(clippy::cast_possible_truncation)]
            let late_ms = (random.next() * 3_500.0) as i64;
            (event.timestamp().as_millis() + late_ms, event.clone())
        })
        .collect();
    delayed.sort_by_key(|(arrival, _)| *arrival);
    let delayed: Vec<Event> = delayed.into_iter().map(|(_, event)| event).collect();
    assert_eq!(in_order.transitions, run_in_order(&delayed).transitions);
    assert!(!in_order.transitions.is_empty());
    // Without callers there is nothing to compare; with a hole in the log nothing begins.
    let mut no_callers = platform.events(14);
    for event in &mut no_callers {
        if let Event::Request(request) = event {
            request.caller = None;
        }
    }
    assert!(amplified(&run(no_callers)).is_empty());
    let mut hole = Platform { seconds: 800.0, ..Platform::default() }.events(14);
    hole.retain(|event| !(at(500.0)..at(700.0)).contains(&event.timestamp()));
    assert!(amplified(&run(hole)).is_empty());
}

#[test]
fn what_is_told_of_repeated_keys() {
    let mut events = Platform { catalog_calls: |t, _| 1.2 * after(t, 10.0), ..Platform::default() }.events(16);
    let mut key = 0;
    for event in &mut events {
        if let Event::Request(request) = event
            && request.service.as_deref() == Some("store")
        {
            key += 1;
            let same = if request.timestamp >= at(ONSET) { 10 } else { 1 };
            request.request_key = Some(Text::from(format!("item-{}", key / same)));
        }
    }
    let told = run(events);
    let pages = told.pages(AlertName::RequestAmplification);
    assert!(pages.iter().any(|p| p.labels.get(Dimension::Caller) == Some("catalog")), "{pages:#?}");
}

#[test]
fn a_job_that_runs_by_the_hour_is_no_ticket_each_time_and_its_storm_still_pages() {
    let runs: ByTime = |t| {
        let storm = if t > 7_300.0 { 10.0 } else { 1.0 };
        if (t % 1_800.0) > 1_300.0 { 20.0 * storm } else { 0.05 }
    };
    let platform = Platform {
        seconds: 9_000.0,
        edge_per_second: 2.0,
        filler_per_second: runs,
        store_ms: |t| if t > 8_540.0 { 200.0 } else { 20.0 },
        ..Platform::default()
    };
    let mut events = platform.events(17);
    // The generator's thinning caps the filler at 60 a second: three times what it is known for.
    events.sort_by_key(Event::timestamp);
    let told = run_in_order(&events);
    let alerts = amplified(&told);
    let tickets = alerts.iter().filter(|a| a.severity == crate::model::Severity::Warning).count();
    assert!(tickets == 1, "{alerts:#?}");
    let pages = told.pages(AlertName::RequestAmplification);
    assert_eq!(pages.len(), 1, "{alerts:#?}");
    names(pages[0], "filler", "store");
    assert!((at(8_540.0)..at(8_680.0)).contains(&pages[0].at), "{}", pages[0].at);
}
