//! `floodmark alerts backtest`: what other rules would have made of the past.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use super::{backtest_files, backtest_report, backtest_stored};
use crate::backtest::{Side, diff};
use crate::cli::moment::moment;
use crate::cli::output::{OutputArgs, put};
use crate::cli::{CliError, Globals, settings};
use crate::clock;
use crate::config::Format;
use crate::model::Timestamp;
use crate::telemetry;

const HELP: &str = "\
Replays what is stored in ClickHouse (the tables requests, signals, changes and query_runs, in the order of time) through
the rules in force and through other rules, in one pass, and prints which pages and tickets differ: new, gone, earlier,
later, or of another severity. An alert of one side is that of the other when name and labels are the same and their
times overlap.

It replays what is still there: raw requests are kept for `store.retention.requests`, 14 days by default. From when to
when there was something is said first. Records that came too late live are in their place here, and so are detected on.

Rules need time to learn what is normal: the first hours of a backtest are those of a fresh start, for both sides.

Examples:
  floodmark alerts backtest --since 14d --rules my-rules/
  floodmark alerts backtest --since 2026-03-01T00:00:00Z --until 2026-03-08T00:00:00Z --rules new/ --against old/
  floodmark alerts backtest --files storm.ndjson --rules my-rules/ --output json";

/// Arguments of `alerts backtest`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP, after_help = "More, with examples: floodmark alerts backtest --help")]
#[command(group = clap::ArgGroup::new("past").args(["since", "files"]).required(true))]
pub struct Args {
    /// Directory of the rules to try
    #[arg(long, value_name = "DIR")]
    rules: PathBuf,
    /// Directory of the rules to compare with; without it, those in force (configured, else built in)
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// From when: a time, or how long ago, as in 30d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Until when: a time, or how long ago; without it, now
    #[arg(long, value_name = "TIME", conflicts_with = "files")]
    until: Option<String>,
    /// Log files instead of what is stored; no engine is needed
    #[arg(long, value_name = "FILE", num_args = 1..)]
    files: Vec<PathBuf>,
    /// Format of the files
    #[arg(long, value_enum, default_value_t, requires = "files")]
    format: Format,
    /// Also list what is the same
    #[arg(long)]
    all: bool,
    /// How long ClickHouse may take for an answer to begin or go on
    #[arg(long, default_value = "10m", value_parser = humantime::parse_duration, value_name = "DURATION")]
    timeout: Duration,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs both rule sets and prints the difference.
pub(super) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let config = globals.load_config()?;
    let new = settings::load(&config, Some(&args.rules))?;
    let old = settings::load(&config, args.against.as_deref())?;
    telemetry::init(&globals.log, true).map_err(|error| CliError::Usage(error.to_string()))?;
    let (old, new): (Side, Side) = if args.files.is_empty() {
        let span = span(args)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
        runtime.block_on(backtest_stored::run(&config, span, args.timeout, (&old, &new)))?
    } else {
        backtest_files::run(&config, &args.files, args.format, (&old, &new))?
    };
    let overflowed = old.overflowed + new.overflowed;
    let summary = new.summary.clone();
    let diffs = diff(old.pages, new.pages);
    let text = backtest_report::report(&diffs, &summary, overflowed, args.all, args.output.output);
    put(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn span(args: &Args) -> Result<(Timestamp, Timestamp), CliError> {
    let now = clock::now();
    let from = args.since.as_deref().map_or(Ok(now), |text| moment(text, now))?;
    let until = args.until.as_deref().map_or(Ok(now), |text| moment(text, now))?;
    if until <= from {
        return Err(CliError::Usage(format!("--until ({until}) must be after --since ({from})")));
    }
    Ok((from, until))
}
