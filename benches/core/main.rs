//! `make bench-core`: what the pure core costs, without Kafka and ClickHouse: ns an event by stage, then time a window
//! and bytes a subscription with the shipped rules.

mod allocator;
mod stages;
mod traffic;
mod windows;

use anyhow::Result;

use windows::Load;

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;

/// What is measured by window. Within the default bound of cells, a million subscriptions take turns.
const LOADS: [Load; 3] = [
    Load { subscriptions: 100_000, active: 100_000, failing: 0.000_5, windows: 72 },
    Load { subscriptions: 100_000, active: 100_000, failing: 0.2, windows: 72 },
    Load { subscriptions: 1_000_000, active: 190_000, failing: 0.000_5, windows: 72 },
];

fn main() -> Result<()> {
    let wanted: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    if wanted.is_empty() {
        stages::measure()?;
        println!();
    }
    println!(
        "| subscriptions | active a window | fail | window closes in, p50 | slowest | ns a request | bytes a subscription | MiB at most |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let chosen = LOADS.iter().filter(|load| wanted.is_empty() || wanted.contains(&load.subscriptions));
    chosen.for_each(windows::measure);
    Ok(())
}
