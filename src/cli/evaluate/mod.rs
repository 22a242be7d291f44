//! `floodmark evaluate`: how well the rules do on scenarios whose truth is known.

mod save;
mod workers;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::output::{OutputArgs, OutputFormat, table};
use super::{CliError, Globals, settings};
use crate::evaluation::{Aim, CaseOutcome, HEADS, Summary, aims, cases, row, summarise};
use crate::sim::NAMES;

/// Most seeds a scenario is run with: every run is waited for.
const SEEDS_MAX: i64 = 1_000;

/// Arguments of `evaluate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each scenario runs with each of its amplitudes and several seeds through the same core as the live service, in virtual
time, on all processors. What comes out is held against the [truth] of the scenario's file: which alerts had to fire and
when, which cause had to come first, which red herring had to be refused, and that nothing else woke anybody.

Examples:
  floodmark evaluate
  floodmark evaluate --scenarios kameleo-retry-storm,quiet-day --seeds 1
  floodmark evaluate --rules my-rules/ --amplitudes 3 --output json
  floodmark evaluate --report docs/evaluation.md --check")]
pub struct Args {
    /// Names of built-in scenarios or paths of scenario files [default: all that are built in]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    scenarios: Vec<String>,
    /// Seeds for each, from the scenario's own on
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=SEEDS_MAX as u64))]
    seeds: u64,
    /// Only these amplitudes, of scenarios that have several
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    amplitudes: Vec<f64>,
    /// Directory of rule files (*.yaml) instead of the rules built in
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Write a Markdown report; results.json and pictures go into a directory of its name beside it
    #[arg(long, value_name = "FILE.md")]
    report: Option<PathBuf>,
    /// Exit with 1 when an aim is missed
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Everything that is saved and printed as JSON.
#[derive(serde::Serialize)]
struct Results<'a> {
    aims: &'a [Aim],
    summary: &'a Summary,
    runs: &'a [CaseOutcome],
}

/// Runs the command.
///
/// # Errors
/// Configuration, rules or a scenario that cannot be used; a report that cannot be written.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let settings = settings::load(&globals.load_config()?, args.rules.as_deref())?;
    let built_in: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    let names = if args.scenarios.is_empty() { built_in } else { args.scenarios.clone() };
    let mut all = Vec::new();
    for name in &names {
        all.extend(cases(name, &args.amplitudes, args.seeds)?);
    }
    if all.is_empty() {
        return Err(CliError::Usage("no scenario has any of these amplitudes".to_owned()));
    }
    let outcomes = workers::run_all(&settings, &all)?;
    let summary = summarise(&outcomes);
    let aims = aims(&summary);
    let results = Results { aims: &aims, summary: &summary, runs: &outcomes };
    if let Some(path) = &args.report {
        save::save(path, &results, &command(args))?;
    }
    print(args.output.output, &results).map_err(anyhow::Error::from)?;
    let missed = aims.iter().any(|aim| !aim.reached);
    Ok(if args.check && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What was asked for, without where the report goes.
fn command(args: &Args) -> String {
    let mut command = "floodmark evaluate".to_owned();
    if !args.scenarios.is_empty() {
        command.push_str(&format!(" --scenarios {}", args.scenarios.join(",")));
    }
    if !args.amplitudes.is_empty() {
        let amplitudes: Vec<String> = args.amplitudes.iter().map(f64::to_string).collect();
        command.push_str(&format!(" --amplitudes {}", amplitudes.join(",")));
    }
    command.push_str(&format!(" --seeds {}", args.seeds));
    command
}

fn print(format: OutputFormat, results: &Results<'_>) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if format == OutputFormat::Json {
        serde_json::to_writer_pretty(&mut out, results).map_err(std::io::Error::from)?;
        return writeln!(out);
    }
    let mut scenarios = table(HEADS);
    for group in results.summary.scenarios.iter().chain([&results.summary.total]) {
        scenarios.add_row(row(group));
    }
    writeln!(out, "{scenarios}\n")?;
    let total = &results.summary.total;
    if let (Some(rate), Some(most)) = (total.false_pages_per_week, total.false_pages_per_week_max) {
        writeln!(
            out,
            "false pages: {} in {:.1} quiet days; {rate:.2} a week and 100,000 subscriptions, at most {most:.2} (95 %)\n",
            total.quiet_pages, total.quiet_days
        )?;
    }
    let mut goals = table(["what", "aim", "measured", "reached"]);
    for aim in results.aims {
        let value = aim.value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
        let reached = if aim.reached { "yes" } else { "no" };
        goals.add_row([aim.name.to_owned(), aim.aim.to_owned(), value, reached.to_owned()]);
    }
    writeln!(out, "{goals}")
}
