//! What an event costs, stage by stage: decoding, windows alone, and the whole core.

use std::time::Instant;

use anyhow::{Result, ensure};
use floodmark::config::{DecodeConfig, Format};
use floodmark::decode::Decoder;
use floodmark::flow::{Assembler, StreamId};
use floodmark::model::Event;
use floodmark::pipeline::{Pipeline, Settings};

use crate::traffic::{Traffic, settings};

/// Subscriptions, a few of which make most of the traffic, and 20 requests of each window's second.
const SUBSCRIPTIONS: u64 = 2_000;
const REQUESTS_PER_WINDOW: u64 = 10_000;
const WINDOWS: u64 = 100;
/// Turns of the core without the ring of traffic and with it.
const TURNS: usize = 3;
const STREAM: StreamId = StreamId(0);

/// Measures and prints a row a stage.
pub fn measure() -> Result<()> {
    let mut traffic = Traffic::new();
    let events: Vec<Event> =
        (0..WINDOWS).flat_map(|window| traffic.window(window, SUBSCRIPTIONS, REQUESTS_PER_WINDOW, 0.002)).collect();
    let records = events.iter().map(serde_json::to_vec).collect::<Result<Vec<_>, _>>()?;
    let bytes: usize = records.iter().map(Vec::len).sum();
    let settings = settings(0)?;
    println!("{} events of {} bytes in {WINDOWS} windows", events.len(), bytes / events.len());
    println!("| stage | ns an event | events/s on a core |");
    println!("|---|---|---|");
    let decoder = Decoder::new(Format::Native, &DecodeConfig::default());
    let mut decoded = 0;
    let decode_ns = timed(events.len(), || {
        for record in &records {
            decoder.decode(record, &mut |_, event| decoded += usize::from(event.is_ok()));
        }
    });
    ensure!(decoded == events.len(), "{decoded} of {} records were decoded", events.len());
    let mut assembler = Assembler::new(&settings.flow);
    let flow_ns = timed(events.len(), || {
        for event in &events {
            assembler.apply(STREAM, event);
            while assembler.close_next().is_some() {}
        }
    });
    let [core_ns, service_ns] = fastest_in_turns(&events, &settings);
    row("decode (native JSON)", decode_ns);
    row("flow: windows, retries, keys", flow_ns);
    row("detect, incidents and alerts, all shipped rules", core_ns - flow_ns);
    row("**all three**", decode_ns + core_ns);
    let (more_ns, share) = (service_ns - core_ns, 100.0 * (service_ns / core_ns - 1.0));
    println!();
    println!("The ring of traffic that pages show adds {more_ns:.0} ns an event to flow and detection, {share:.1} %.");
    Ok(())
}

/// ns an event of flow and detection, without and with the ring of traffic that the service keeps. They take turns, so that
/// what else the machine does meets both, and the fastest turn of each counts.
fn fastest_in_turns(events: &[Event], settings: &Settings) -> [f64; 2] {
    let mut fastest = [f64::INFINITY; 2];
    for _ in 0..TURNS {
        for (with_traffic, fastest_ns) in [false, true].into_iter().zip(&mut fastest) {
            let pipeline = Pipeline::new(settings);
            let mut pipeline = if with_traffic { pipeline.with_traffic() } else { pipeline };
            let ns = timed(events.len(), || {
                for event in events {
                    pipeline.apply(STREAM, event);
                }
            });
            *fastest_ns = fastest_ns.min(ns);
        }
    }
    fastest
}

#[allow(clippy::disallowed_methods)] // a benchmark reads the clock
fn timed(events: usize, mut work: impl FnMut()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_nanos() as f64 / events as f64
}

fn row(stage: &str, ns: f64) {
    println!("| {stage} | {ns:.0} | {:.0} |", 1e9 / ns);
}
