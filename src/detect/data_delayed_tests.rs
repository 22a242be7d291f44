//! `DataDelayed` on made traffic: late records, requests that stop, a hole; and what is none of these.

use super::test_logs::{Lcg, at, firing, memory, replay, sorted};
use crate::model::{AlertName, Event, Request, Severity, Text, Transition};

fn requests(from_s: f64, to_s: f64, per_second: f64, seed: u64) -> Vec<Event> {
    let mut random = Lcg(seed);
    let mut events = Vec::new();
    let mut seconds = from_s;
    loop {
        seconds += -(1.0 - random.next()).ln() / per_second;
        if seconds > to_s {
            return events;
        }
        events.push(request(seconds, &mut random));
    }
}

fn request(seconds: f64, random: &mut Lcg) -> Event {
    Event::Request(Request {
        timestamp: at(seconds),
        subscription: Text::from(format!("s{:.0}", random.next() * 30.0)),
        route: Text::from("GET /v1/items"),
        status: 200,
        duration_ms: 20.0,
        ..Request::default()
    })
}

fn delayed(transitions: &[Transition]) -> Vec<&Transition> {
    firing(transitions, AlertName::DataDelayed)
}

#[test]
fn a_share_of_late_records_is_a_ticket_and_a_customer_with_a_slow_clock_is_none() {
    // A tenth of the records is shipped ten minutes late, for ten minutes from minute 20 on.
    let shipped = |share: f64, from_s: f64| {
        let mut random = Lcg(9);
        let mut arrivals: Vec<(f64, Event)> = requests(0.0, 3_000.0, 10.0, 1)
            .into_iter()
            .map(|event| {
                #[allow(clippy::cast_precision_loss)]
                let seconds = event.timestamp().since(at(0.0)) as f64 / 1_000.0;
                let late = (from_s..from_s + 600.0).contains(&seconds) && random.next() < share;
                (if late { seconds + 600.0 } else { seconds }, event)
            })
            .collect();
        arrivals.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        arrivals.into_iter().map(|(_, event)| event).collect::<Vec<_>>()
    };
    let (transitions, _) = replay(&shipped(0.1, 1_200.0));
    let alerts = delayed(&transitions);
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    assert_eq!(alerts[0].severity, Severity::Warning);
    assert!(alerts[0].labels.is_empty());
    assert!(alerts[0].at < at(1_200.0 + 600.0 + 180.0), "{}", alerts[0].at);
    println!("{}", alerts[0].summary);
    assert!(delayed(&replay(&shipped(0.005, 1_200.0)).0).is_empty(), "half a percent is nobody's trouble");

    let mut skewed = requests(0.0, 7_200.0, 10.0, 2);
    let mut random = Lcg(3);
    for event in &mut skewed {
        if let Event::Request(request) = event
            && random.next() < 0.06
        {
            request.timestamp = request.timestamp.plus(-3_600_000);
        }
    }
    assert!(delayed(&replay(&skewed).0).is_empty(), "always late");
}

#[test]
fn requests_that_stop_while_signals_go_on_are_told_within_two_minutes() {
    let mut events = requests(0.0, 1_200.0, 5.0, 4);
    events.extend(requests(1_500.0, 2_400.0, 5.0, 5));
    events.extend(memory(40.0, 8.0, |_| 3.0));
    let (transitions, _) = replay(&sorted(events));
    let alerts = delayed(&transitions);
    assert_eq!(alerts.len(), 1, "{transitions:#?}");
    let delay_s = alerts[0].at.since(at(1_200.0)) / 1_000;
    assert!((85..=120).contains(&delay_s), "{delay_s} s");
    assert!(alerts[0].summary.contains("other records went on"), "{}", alerts[0].summary);
    println!("{}", alerts[0].summary);
}

#[test]
fn a_hole_in_everything_is_told_when_records_come_again() {
    let mut events = requests(0.0, 1_200.0, 5.0, 6);
    events.extend(requests(1_380.0, 2_400.0, 5.0, 7));
    let (transitions, _) = replay(&events);
    let alerts = delayed(&transitions);
    assert_eq!(alerts.len(), 1);
    assert!(alerts[0].summary.contains("no records came at all from"), "{}", alerts[0].summary);
    assert!((at(1_380.0)..at(1_400.0)).contains(&alerts[0].at));
    println!("{}", alerts[0].summary);
}

#[test]
fn sparse_nights_short_pauses_and_the_end_of_a_log_are_silent() {
    let sparse = requests(0.0, 28_800.0, 1.0 / 20.0, 8);
    assert!(replay(&sparse).0.is_empty());
    let mut night: Vec<Event> = (0..8)
        .flat_map(|hour| {
            let from_s = f64::from(hour) * 3_600.0;
            requests(
                from_s,
                from_s + 3_600.0,
                [5.0, 2.0, 0.6, 0.2, 0.05, 0.02, 0.2, 2.0][hour as usize],
                20 + hour as u64,
            )
        })
        .collect();
    night.extend(memory(480.0, 8.0, |_| 3.0));
    assert!(delayed(&replay(&sorted(night)).0).is_empty());
    let mut pause = requests(0.0, 1_200.0, 5.0, 9);
    pause.extend(requests(1_260.0, 2_000.0, 5.0, 10));
    assert!(delayed(&replay(&pause).0).is_empty());
    assert!(delayed(&replay(&requests(0.0, 900.0, 50.0, 11)).0).is_empty());
}
