//! Routes that became slow, and routes that only look like it.

use super::super::test_traffic::{Lcg, Told, at, request, run, run_in_order};
use crate::model::{AlertName, Dimension, Event, Severity, Text, Transition};

const ONSET: f64 = 900.0;
const ROUTES: [&str; 4] = ["POST /render", "GET /status", "GET /list", "PUT /item"];

/// By route, client version and time.
type Factor = fn(&str, u32, f64) -> f64;

struct Service {
    seconds: f64,
    per_second: fn(f64) -> f64,
    /// Share of the first route.
    first_share: fn(f64) -> f64,
    /// Factor on the duration, by route, client version and time.
    factor: Factor,
    failing: fn(f64) -> f64,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            seconds: 1_800.0,
            per_second: |_| 12.0,
            first_share: |_| 0.25,
            factor: |_, _, _| 1.0,
            failing: |_| 0.001,
        }
    }
}

impl Service {
    fn events(&self, seed: u64) -> Vec<Event> {
        let mut random = Lcg(seed);
        let mut events = Vec::new();
        for time in random.arrivals(0.0, self.seconds, |t| (self.per_second)(t), 60.0) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let (tenant, other) = ((random.next() * 40.0) as u32, 1 + (random.next() * 3.0) as usize);
            let place = if random.next() < (self.first_share)(time) { 0 } else { other };
            let mut call = request(time, tenant, ("", "renderer", ROUTES[place]));
            let version = tenant % 4;
            call.client_version = Some(Text::from(format!("2.{version}")));
            let median = [400.0, 5.0, 40.0, 80.0][place];
            call.duration_ms = random.duration_ms(median) * (self.factor)(ROUTES[place], version, time);
            if random.next() < (self.failing)(time) {
                call.status = 503;
                call.duration_ms = 1.0;
            }
            events.push(Event::Request(call));
        }
        events
    }
}

fn slow(told: &Told) -> Vec<&Transition> {
    told.fired(AlertName::LatencyRegression)
}

fn after(time: f64, factor: f64) -> f64 {
    if time >= ONSET { factor } else { 1.0 }
}

#[test]
fn one_slow_route_is_a_ticket_that_names_it() {
    let cases: [(Factor, f64); 3] = [
        (|route, _, t| if route == ROUTES[0] { after(t, 2.0) } else { 1.0 }, 2.0),
        (|route, _, t| if route == ROUTES[0] { after(t, 3.0) } else { 1.0 }, 3.0),
        (|route, _, t| if route == ROUTES[0] { after(t, 10.0) } else { 1.0 }, 10.0),
    ];
    for (factor, times) in cases {
        let told = run(Service { factor, ..Service::default() }.events(1));
        let alerts = slow(&told);
        assert_eq!(alerts.len(), 1, "{times}: {alerts:#?}");
        let alert = alerts[0];
        assert_eq!(alert.severity, Severity::Warning);
        for dimensions in [&alert.labels, &alert.causes[0].dimensions] {
            assert_eq!(dimensions.get(Dimension::Service), Some("renderer"));
            assert_eq!(dimensions.get(Dimension::Route), Some(ROUTES[0]));
        }
        assert_eq!(alert.causes[0].dimensions.get(Dimension::ClientVersion), None);
        let delay_s = alert.at.since(at(ONSET)) / 1_000;

        assert!((180..=300).contains(&delay_s), "{times}: {delay_s} s");
        assert!((0.75..1.3).contains(&(alert.value / alert.baseline / times)), "{alert:#?}");
    }
}

#[test]
fn a_slow_service_is_named_without_its_routes() {
    let told = run(Service { factor: |_, _, t| after(t, 3.0), ..Service::default() }.events(2));
    let alerts = slow(&told);
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    assert_eq!(alerts[0].labels.get(Dimension::Service), Some("renderer"));
    assert_eq!(alerts[0].labels.get(Dimension::Route), None);
}

#[test]
fn the_client_version_that_is_slow_is_the_cause() {
    let factor: Factor = |route, version, t| if version == 2 && route == ROUTES[0] { after(t, 6.0) } else { 1.0 };
    let told = run(Service { factor, ..Service::default() }.events(3));
    let alerts = slow(&told);
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    let cause = &alerts[0].causes[0];

    assert_eq!(cause.dimensions.get(Dimension::ClientVersion), Some("2.2"), "{cause:#?}");
}

#[test]
fn what_is_no_regression() {
    let silent = |name: &str, service: Service| {
        let told = run(service.events(4));
        assert!(slow(&told).is_empty(), "{name}: {:#?}", slow(&told));
    };
    silent("steady", Service::default());
    silent(
        "other routes are asked for",
        Service { first_share: |t| if t > ONSET { 0.8 } else { 0.25 }, ..Service::default() },
    );
    silent("fast refusals end", Service { failing: |t| if t < ONSET { 0.4 } else { 0.0 }, ..Service::default() });
    silent("fast refusals begin", Service { failing: |t| if t > ONSET { 0.6 } else { 0.0 }, ..Service::default() });
    silent(
        "one bad minute",
        Service { factor: |_, _, t| if (900.0..960.0).contains(&t) { 5.0 } else { 1.0 }, ..Service::default() },
    );
    silent("a quarter slower", Service { factor: |_, _, t| after(t, 1.25), ..Service::default() });
    let crowd = Service {
        per_second: |t| if t > ONSET { 48.0 } else { 12.0 },
        factor: |_, _, t| after(t, 1.8),
        ..Service::default()
    };
    silent("slower because of four times the load", crowd);
    let rhythm = Service { factor: |_, _, t| if (t / 45.0).fract() < 0.15 { 3.0 } else { 1.0 }, ..Service::default() };
    silent("collections every 45 seconds", rhythm);
}

#[test]
fn late_and_absent_data() {
    let service = Service { factor: |_, _, t| after(t, 3.0), seconds: 1_300.0, ..Service::default() };
    let mut events = service.events(5);
    events.sort_by_key(Event::timestamp);
    let in_order = run_in_order(&events);
    let mut random = Lcg(6);
    let mut delayed: Vec<(i64, Event)> = events
        .into_iter()
        .map(|event| {
            #[allow(clippy::cast_possible_truncation)]
            let late_ms = (random.next() * 3_500.0) as i64;
            (event.timestamp().as_millis() + late_ms, event)
        })
        .collect();
    delayed.sort_by_key(|(arrival, _)| *arrival);
    let delayed: Vec<Event> = delayed.into_iter().map(|(_, event)| event).collect();
    assert_eq!(in_order.transitions, run_in_order(&delayed).transitions);
    assert_eq!(slow(&in_order).len(), 1);
    let mut hole = Service { factor: |_, _, t| after(t, 3.0), ..Service::default() }.events(7);
    hole.retain(|event| event.timestamp() < at(ONSET));
    assert!(slow(&run(hole)).is_empty());
    let mut nameless = Service { factor: |_, _, t| after(t, 3.0), ..Service::default() }.events(8);
    for event in &mut nameless {
        if let Event::Request(request) = event {
            request.service = None;
        }
    }
    assert_eq!(slow(&run(nameless)).len(), 1, "a log without services has routes");
}
