//! What closing a window costs with many subscriptions, and how much is remembered of each.

use std::time::{Duration, Instant};

use floodmark::flow::StreamId;
use floodmark::pipeline::Pipeline;

use crate::allocator::{forget_peak, live_bytes, peak_bytes};
use crate::traffic::{Traffic, settings};

const STREAM: StreamId = StreamId(0);
const MIB: f64 = 1_048_576.0;

/// Subscriptions, how many of them send a request in a window, and the share of requests that fail.
pub struct Load {
    pub subscriptions: usize,
    pub active: usize,
    pub failing: f64,
    pub windows: u64,
}

/// Measures and prints a row.
#[allow(clippy::disallowed_methods)] // a benchmark reads the clock
pub fn measure(load: &Load) {
    let settings = settings(load.subscriptions).expect("shipped rules are valid");
    let before = live_bytes();
    let mut pipeline = Pipeline::new(&settings);
    let mut traffic = Traffic::new();
    let (mut closed, mut applied, mut live_max, mut peak_max) = (Vec::new(), Duration::ZERO, 0, 0);
    for window in 0..load.windows {
        let live = live_bytes();
        let events = traffic.window(window, load.subscriptions as u64, load.active as u64, load.failing);
        let events_bytes = live_bytes() - live;
        forget_peak();
        let started = Instant::now();
        for event in &events {
            pipeline.apply(STREAM, event);
        }
        applied += started.elapsed();
        let closing = traffic.closing(window);
        let started = Instant::now();
        drop(pipeline.apply(STREAM, &closing));
        closed.push(started.elapsed());
        peak_max = peak_max.max(peak_bytes() - events_bytes - before);
        drop(events);
        live_max = live_max.max(live_bytes().saturating_sub(before));
    }
    assert_eq!(pipeline.counts().overflowed, 0, "the bounds were reached");
    closed.sort_unstable();
    println!(
        "| {} | {} | {} % | {:.0} ms | {:.0} ms | {:.0} | {} | {:.0} |",
        load.subscriptions,
        load.active,
        load.failing * 100.0,
        closed[closed.len() / 2].as_secs_f64() * 1e3,
        closed[closed.len() - 1].as_secs_f64() * 1e3,
        applied.as_nanos() as f64 / (load.windows * load.active as u64) as f64,
        live_max / load.subscriptions,
        peak_max as f64 / MIB,
    );
}
