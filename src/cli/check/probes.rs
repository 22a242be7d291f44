//! One look at the target of every probe, and what it would send: a wrong password or mapping shows in the first minute.

use std::collections::BTreeMap;

use super::Outcome;
use crate::config::ProbesConfig;
use crate::ingest::probes::{ProbeError, Probes, Reading};
use crate::model::{Event, QueryRun, QueryState};

/// Most signals and queries of one probe that are shown.
const SHOWN_MAX: usize = 40;
/// Most characters of a query that are shown.
const QUERY_CHARACTERS_MAX: usize = 60;

/// Looks once, at all targets at the same time; each has its own `timeout`.
pub(super) fn look(config: &ProbesConfig) -> Vec<Outcome> {
    if config.is_empty() {
        return Vec::new();
    }
    let probes = match Probes::new(config) {
        Ok(probes) => probes,
        Err(error) => return vec![Outcome::Problems(vec![error.to_string()])],
    };
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(probes.look_once()).into_iter().map(outcome).collect(),
        Err(error) => vec![Outcome::Problems(vec![format!("probes: {error}")])],
    }
}

fn outcome((probe, look): (String, Result<Reading, ProbeError>)) -> Outcome {
    match look {
        Err(error) => Outcome::Problems(vec![format!("{probe}: {error}")]),
        Ok(reading) => Outcome::Well(told(&probe, &reading)),
    }
}

/// A line for the probe, one for each signal, one for each kind of query and its largest.
fn told(probe: &str, reading: &Reading) -> String {
    let signals = reading.events.iter().filter_map(|event| match event {
        Event::Signal(signal) => Some(format!("  {} {} = {}", signal.source, signal.metric, signal.value)),
        _ => None,
    });
    let mut lines: Vec<String> = signals.collect();
    let count = lines.len();
    lines.truncate(SHOWN_MAX);
    lines.extend((count > SHOWN_MAX).then(|| format!("  and {} more", count - SHOWN_MAX)));
    lines.insert(0, format!("{probe}: {count} signals"));
    lines.extend(queries(&reading.events));
    lines.extend(reading.note.iter().map(|note| format!("  note: {note}")));
    lines.join("\n")
}

fn queries(events: &[Event]) -> Vec<String> {
    let mut by_state: BTreeMap<&str, Vec<&QueryRun>> = BTreeMap::new();
    for event in events {
        if let Event::Query(run) = event {
            by_state.entry(run.state.map_or("query", QueryState::as_str)).or_default().push(run);
        }
    }
    let line = |(state, runs): (&str, Vec<&QueryRun>)| {
        let largest = runs.iter().max_by_key(|run| run.memory_bytes)?;
        let text: String = largest.query.iter().flat_map(|query| query.chars()).take(QUERY_CHARACTERS_MAX).collect();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let bytes = largest.memory_bytes.unwrap_or(0);
        Some(format!("  {} queries {state}, the largest with {bytes} bytes: {text}", runs.len()))
    };
    by_state.into_iter().filter_map(line).collect()
}
