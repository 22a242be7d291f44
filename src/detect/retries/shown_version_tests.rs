//! A version that one of its customers showed, on a hand-made log through the whole core.

use crate::detect::test_traffic::{Lcg, at, request, run};
use crate::model::{AlertName, Confidence, Dimension, Event, Text};

const ONSET_S: f64 = 900.0;

/// Thirty customers on 4.0.0; the first came to it from 3.9, and its requests fail every second time from the onset on.
fn log() -> Vec<Event> {
    let mut random = Lcg(11);
    let mut events = Vec::new();
    for (number, time) in random.arrivals(0.0, ONSET_S + 300.0, |_| 20.0, 20.0).into_iter().enumerate() {
        let customer = if random.next() < 0.08 { 0 } else { 1 + random.below(29) };
        let (mut now, mut attempt) = (time, 1);
        loop {
            let failed = customer == 0 && now >= ONSET_S && random.next() < 0.5;
            let mut sent = request(now, customer, ("", "api", "List"));
            sent.client = Some(Text::from("cli"));
            sent.client_version = Some(Text::from(if customer == 0 && now < 300.0 { "3.9" } else { "4.0.0" }));
            sent.attempt = Some(attempt);
            sent.request_key = Some(Text::from(format!("key-{number}")));
            sent.status = if failed { 503 } else { 200 };
            events.push(Event::Request(sent));
            if !failed {
                break;
            }
            (now, attempt) = (now + 0.5, attempt + 1);
        }
    }
    events
}

#[test]
fn evidence_that_a_customer_brings_is_told_as_it_is_known() {
    let told = run(log());
    let pages = told.pages(AlertName::RetryAmplification);
    assert_eq!(pages.len(), 1, "{pages:#?}");
    let (page, first) = (pages[0], &pages[0].causes[0]);
    assert_eq!(page.labels.get(Dimension::ClientVersion), Some("4.0.0"));
    assert!(page.since >= at(ONSET_S - 5.0) && page.since < at(ONSET_S + 60.0), "{}", page.since);
    assert!(first.evidence.contains("attempt or request key known on 100 %"), "{first:#?}");
    assert!(!page.summary.contains("about"), "{}", page.summary);
    assert_eq!(first.confidence, Confidence::High, "{first:#?}");
}
