//! Cases on all processors.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::CliError;
use crate::evaluation::{Case, CaseOutcome, run};
use crate::pipeline::Settings;
use crate::sim::ScenarioError;

/// Scenarios with a picture in the report, if they are run: the first run of the greatest amplitude each.
pub(super) const PICTURED: [&str; 2] = ["kameleo-retry-storm", "kameleoon-cache-loss"];

/// Runs all cases; outcomes are in the order of the cases, whatever ends first.
///
/// # Errors
/// A scenario that cannot be used.
pub(super) fn run_all(settings: &Settings, cases: &[Case]) -> Result<Vec<CaseOutcome>, CliError> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(cases.len());
    let next = AtomicUsize::new(0);
    let (sender, receiver) = sync_channel::<(usize, Result<CaseOutcome, ScenarioError>)>(threads);
    let progress = progress(cases.len());
    let mut outcomes: Vec<Option<CaseOutcome>> = vec![None; cases.len()];
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(index) else { break };
                    let outcome = run(settings, case, is_pictured(cases, index));
                    if sender.send((index, outcome)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (index, outcome) in receiver {
            let outcome = outcome?;
            progress.set_message(format!("{} seed {}", outcome.scenario, outcome.seed));
            progress.inc(1);
            outcomes[index] = Some(outcome);
        }
        Ok::<(), ScenarioError>(())
    })?;
    progress.finish_and_clear();
    Ok(outcomes.into_iter().flatten().collect())
}

/// Whether a case is the first of its scenario's greatest amplitude, and has a picture.
fn is_pictured(cases: &[Case], index: usize) -> bool {
    let case = &cases[index];
    let name = &case.scenario;
    if !PICTURED.contains(&name.as_str()) {
        return false;
    }
    let greatest = cases.iter().rposition(|other| other.scenario == *name);
    let greatest = greatest.and_then(|last| cases[last].amplitude);
    cases.iter().position(|other| other.scenario == *name && other.amplitude == greatest) == Some(index)
}

/// A bar over runs on stderr; hidden where stderr is no terminal.
fn progress(runs: usize) -> ProgressBar {
    let bar = ProgressBar::new(runs as u64);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} runs  {msg}  {elapsed}");
    // The template is a constant; should it ever not parse, the plain bar does as well.
    style.map(|style| bar.clone().with_style(style)).unwrap_or(bar)
}
