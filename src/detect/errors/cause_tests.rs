//! What is said of failures that have up to three things in common.

use crate::detect::test_traffic::{Lcg, request, run};
use crate::model::{AlertName, Event, Text};

const ONSET_S: f64 = 600.0;

/// The first causes of the page about requests that fail with a probability that depends on customer, version and route.
fn causes(failing: impl Fn(u32, &str, &str) -> f64) -> Vec<String> {
    let mut random = Lcg(3);
    let mut events = Vec::new();
    for time in random.arrivals(0.0, 1_600.0, |_| 20.0, 20.0) {
        let customer = random.below(3);
        let version = ["1.0", "2.0", "3.0"][random.below(3) as usize];
        let route = ["/a", "/b", "/c"][random.below(3) as usize];
        let share = if time >= ONSET_S { failing(customer, version, route) } else { 0.0 };
        let mut one = request(time, customer, ("", "api", route));
        one.client = Some(Text::from("app"));
        one.client_version = Some(Text::from(version));
        one.status = if random.next() < share { 500 } else { 200 };
        events.push(Event::Request(one));
    }
    let told = run(events);
    let page = told.pages(AlertName::ErrorBudgetBurn).first().copied().cloned().expect("a page");
    page.causes.iter().map(|cause| cause.dimensions.to_string()).collect()
}

#[test]
fn a_customers_version_on_a_route_is_named() {
    let found = causes(|customer, version, route| f64::from(u8::from((customer, version, route) == (1, "2.0", "/b"))));
    assert_eq!(found[0], "subscription = tenant-1, client_version = 2.0, route = /b");
}

#[test]
fn two_causes_at_once_are_both_named() {
    let found = causes(|customer, version, route| match (customer, version, route) {
        (_, "3.0", _) => 0.9,
        (2, ..) => 0.5,
        _ => 0.001,
    });
    assert_eq!(found[..2], ["client_version = 3.0", "subscription = tenant-2"], "{found:?}");
}

#[test]
fn what_fails_alike_everywhere_has_no_narrower_culprit() {
    assert_eq!(causes(|_, _, _| 0.3)[0], "everything");
}
