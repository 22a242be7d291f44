//! `floodmark incidents list`: incidents, newest first.

use std::process::ExitCode;

use serde_json::json;

use super::find::{ReplayArgs, live};
use super::replayed::Replayed;
use super::stored;
use crate::cli::alerts::client::{ServiceArgs, print_json};
use crate::cli::moment::moment;
use crate::cli::output::{OutputArgs, OutputFormat, table};
use crate::cli::{CliError, Globals};
use crate::clock;
use crate::model::{Severity, Timestamp};
use crate::postmortem::{IncidentRecord, plain};
use crate::telemetry;

/// Stored incidents that are looked through at most.
pub(super) const STORED_MAX: u32 = 1_000;

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floodmark incidents list
  floodmark incidents list --since 30d --severity critical
  floodmark incidents list --from-replay said.ndjson --output json")]
pub(super) struct Args {
    /// From ClickHouse: those that went on since then; a time, or how long ago, as in 30d
    #[arg(long, value_name = "TIME", conflicts_with = "from_replay")]
    since: Option<String>,
    /// Until when; without it, now
    #[arg(long, value_name = "TIME", requires = "since")]
    until: Option<String>,
    /// Only of this severity, or graver
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    severity: Option<Severity>,
    /// Only those that have not ended
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    replay: ReplayArgs,
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

fn severity(text: &str) -> Result<Severity, String> {
    let found = Severity::ALL.into_iter().find(|severity| severity.as_str() == text);
    found.ok_or_else(|| "one of info, warning, critical".to_owned())
}

/// Prints them.
pub(super) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let (mut records, now) = records(args, globals)?;
    let wanted = |record: &IncidentRecord| {
        args.severity.is_none_or(|severity| record.severity >= severity) && (!args.open || record.ended_at.is_none())
    };
    records.retain(wanted);
    if args.output.output == OutputFormat::Json {
        print_json(&json!({"incidents": records}))?;
        return Ok(ExitCode::SUCCESS);
    }
    if records.is_empty() {
        eprintln!("no incident");
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = table(["incident", "severity", "began", "lasted", "cause", "affected", "alerts"]);
    for record in &records {
        let (severity, began) = (record.severity.as_str(), record.started_at.to_string());
        let affected = record.affected.subscriptions.to_string();
        let (incident, cause, alerts) =
            (plain(&record.incident), plain(&record.cause_named()), plain(&record.alerts.join(", ")));
        rows.add_row([&incident, severity, &began, &record.lasted(now), &cause, &affected, &alerts]);
    }
    println!("{}", rows.trim_fmt());
    Ok(ExitCode::SUCCESS)
}

fn records(args: &Args, globals: &Globals) -> Result<(Vec<IncidentRecord>, Option<Timestamp>), CliError> {
    if let Some(path) = &args.replay.from_replay {
        let replayed = Replayed::read(path)?;
        return Ok((replayed.records, replayed.watermark));
    }
    let Some(since) = &args.since else { return live(&args.service, globals) };
    telemetry::init(&globals.log, true).map_err(|error| CliError::Usage(error.to_string()))?;
    let now = clock::now();
    let (from, until) = (moment(since, now)?, args.until.as_deref().map_or(Ok(now), |text| moment(text, now))?);
    if until <= from {
        return Err(CliError::Usage(format!("--until ({until}) must be after --since ({from})")));
    }
    let records = stored::records(globals, (from, until), "", STORED_MAX)?;
    if records.len() >= STORED_MAX as usize {
        eprintln!("only the newest {STORED_MAX} are looked through: ask for less");
    }
    Ok((records, Some(now)))
}
