//! What was an outage, of the events of a log alone: the truth that the status page is held to.

use std::collections::BTreeMap;

use floodmark::model::{Event, Request, Timestamp};

pub const WINDOW_MS: i64 = 5_000;
/// Windows that fail and are this near to each other are one outage.
pub const NEAR_MS: i64 = 60_000;
/// From this share of failing requests on a component is degraded, as by default.
const FAILING_MIN: f64 = 0.02;

/// Requests and failures, by number of the window.
pub type Windows = BTreeMap<i64, (u64, u64)>;

/// An outage: start of the first window that fails, end of the last one.
pub type Outage = (Timestamp, Timestamp);

/// Requests from outside that are wanted, and those that failed, by window.
pub fn windows(events: &[Event], is_wanted: impl Fn(&Request) -> bool) -> Windows {
    let mut windows = Windows::new();
    for event in events {
        let Event::Request(request) = event else { continue };
        if request.caller.is_none() && is_wanted(request) {
            let window = windows.entry(request.timestamp.as_millis() / WINDOW_MS).or_default();
            window.0 += 1;
            window.1 += u64::from(request.status >= 500 || request.status == 429);
        }
    }
    windows
}

/// Those that last for `lasting_ms`, have `requests_min` requests and fail on the whole.
#[allow(clippy::cast_precision_loss)] // some thousands of requests
pub fn outages(windows: &Windows, lasting_ms: i64, requests_min: u64) -> Vec<Outage> {
    let share = |(requests, failures): &(u64, u64)| *failures as f64 / *requests as f64;
    let bad = windows.iter().filter(|(_, counts)| share(counts) >= FAILING_MIN).map(|(window, _)| *window * WINDOW_MS);
    let mut outages: Vec<(i64, i64)> = Vec::new();
    for start in bad {
        match outages.last_mut() {
            Some(last) if start - last.1 < NEAR_MS => last.1 = start + WINDOW_MS,
            _ => outages.push((start, start + WINDOW_MS)),
        }
    }
    outages.retain(|(from, until)| {
        let within = windows.range(from / WINDOW_MS..until / WINDOW_MS);
        let counts = within.fold((0, 0), |sums, (_, counts)| (sums.0 + counts.0, sums.1 + counts.1));
        until - from >= lasting_ms && counts.0 >= requests_min && share(&counts) >= FAILING_MIN
    });
    outages.into_iter().map(|(from, until)| (Timestamp::from_millis(from), Timestamp::from_millis(until))).collect()
}
