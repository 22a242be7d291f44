//! `cargo run --release --example what_if`: how fast a limit is tried on the past, and how much memory it takes: thirty days
//! of ten thousand subscriptions (as many of their minutes as `MINUTES` says, one in so many), and single requests.

use std::time::Instant;

use floodmark::limits::{Algorithm, Described, MinuteCell, Question, SourceKind, WhatIf};
use floodmark::model::{Request, Text, Timestamp};

const SUBSCRIPTIONS: u64 = 10_000;
const START: Timestamp = Timestamp::from_millis(1_772_323_200_000);
const DAYS: i64 = 30;
const REQUESTS: u64 = 1_000_000;

/// Bytes of this process that were in memory at most.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or_default() / 1_024.0
}

fn question(algorithm: Algorithm, sweep: Option<&str>) -> Question {
    let sweep = sweep.map(str::to_owned);
    Question { limit: "1200/min".to_owned(), algorithm, sweep, ..Question::default() }
}

/// A number that looks like chance and is the same each time.
fn scramble(number: u64) -> u64 {
    let mixed = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32
}

#[allow(clippy::disallowed_methods)] // a benchmark reads the clock
fn timed(what: &str, question: &Question, kind: SourceKind, work: impl FnOnce(&mut WhatIf) -> u64) {
    let Ok(spec) = question.spec() else { return };
    let mut what_if = WhatIf::new(&spec, kind, Vec::new());
    let started = Instant::now();
    let events = work(&mut what_if);
    let seconds = started.elapsed().as_secs_f64();
    let throttled = what_if.finish("").traffic.throttled;
    println!(
        "{what}: {events} in {seconds:.1} s, {:.0} a second, {throttled} throttled, {:.0} MiB at most",
        events as f64 / seconds,
        peak_mib()
    );
}

fn main() {
    let names: Vec<String> = (0..SUBSCRIPTIONS).map(|number| format!("subscription-{number}")).collect();
    let requests = |what_if: &mut WhatIf| {
        for number in 0..REQUESTS {
            let subscription = Text::from(&names[(scramble(number) % SUBSCRIPTIONS) as usize]);
            let timestamp = START.plus(number as i64 / 10);
            what_if.apply(&Request { timestamp, subscription, status: 200, ..Request::default() });
        }
        REQUESTS
    };
    for algorithm in [Algorithm::FixedWindow, Algorithm::SlidingWindow, Algorithm::TokenBucket, Algorithm::Gcra] {
        timed(&format!("requests, {}", algorithm.as_str()), &question(algorithm, None), SourceKind::Files, requests);
    }
    let swept = question(Algorithm::FixedWindow, Some("100/min..5000/min"));
    timed("requests, fixed-window, sweep", &swept, SourceKind::Files, requests);
    let every = std::env::var("MINUTES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_u64).max(1);
    timed("minutes of 30 days, sweep", &swept, SourceKind::RequestsByMinute, |what_if| {
        let mut cells = 0;
        for minute in (0..DAYS * 1_440).step_by(every as usize) {
            for (number, subscription) in names.iter().enumerate() {
                let described = Described { at: START.plus(minute * 60_000), subscription, ..Described::default() };
                let requests = 1 + scramble(minute as u64 * SUBSCRIPTIONS + number as u64) % 600;
                what_if.apply_minute(&MinuteCell { described, requests, repeats: 0 });
                cells += 1;
            }
        }
        cells
    });
}
