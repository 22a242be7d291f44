//! `floodmark guard postmortem`: after a crash, what ran and who took the memory.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;

use super::said_once;
use crate::cli::output::{OutputArgs, OutputFormat, table};
use crate::cli::{CliError, Globals};
use crate::guard::black_box::{
    Entry, LooksRefused, Postmortem, RankedQuery, RingError, is_written, looks_refused, postmortem, read_entries,
};
use crate::guard::policy::GuardPolicy;
use crate::model::Timestamp;
use crate::telemetry;

/// Arguments of `guard postmortem`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads the black box that the guard keeps; ClickHouse need not run, nor the guard.
The queries of the last look come ranked, the likeliest culprit first, each with why. It says so, too, when nothing that
ran explains the crash: then look at the kernel's log, the container's limits, and who has stopped it.

Examples:
  floodmark guard postmortem
  floodmark guard postmortem --at 2026-03-01T10:15:05Z --output json")]
pub struct Args {
    /// The crash nearest to this time (RFC 3339), or what ran then. Absent: the latest crash
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_rfc3339)]
    at: Option<Timestamp>,
    /// Directory of the black box. Absent: that of the policy
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs the command.
///
/// # Errors
/// The policy (78); there is no black box.
pub fn run(args: &Args, policy: &Path, globals: &Globals) -> Result<ExitCode, CliError> {
    let policy = GuardPolicy::load(policy).map_err(|error| CliError::Config(error.to_string()))?;
    telemetry::init(&globals.log, true).map_err(|error| CliError::Usage(error.to_string()))?;
    let directory = args.directory.as_ref().unwrap_or(&policy.black_box.directory);
    let (entries, not_understood) = read_entries(directory).map_err(|error| unreadable(directory, &error))?;
    if not_understood > 0 {
        tracing::warn!(records = not_understood, "records of another version of floodmark were left out");
    }
    let share_min = policy.safe_mode.suspect_memory_share_min;
    let report = postmortem(&entries, args.at, share_min, is_written(directory));
    let refused = looks_refused(&entries);
    let text = match args.output.output {
        OutputFormat::Json => as_json(report.as_ref(), refused.as_ref(), entries.len())?,
        OutputFormat::Table => {
            let text = report.as_ref().map_or_else(|| no_crash(&entries), as_table);
            refused.map_or(text.clone(), |refused| format!("{text}\n\n{}", not_seen(&refused)))
        }
    };
    writeln!(std::io::stdout().lock(), "{text}").context("cannot write the report")?;
    Ok(ExitCode::SUCCESS)
}

/// Where nothing is, whoever asks after the first crash wants to know why.
fn unreadable(directory: &Path, error: &RingError) -> anyhow::Error {
    match error {
        RingError::Files { source, .. } if source.kind() == std::io::ErrorKind::NotFound => anyhow::anyhow!(
            "there is no black box in {}: `floodmark guard watch` and `floodmark guard proxy` write one",
            directory.display()
        ),
        error => said_once("cannot read the black box", error),
    }
}

fn as_json(report: Option<&Postmortem>, refused: Option<&LooksRefused>, records: usize) -> anyhow::Result<String> {
    let no_crash = json!({"crash": null, "records": records});
    let told = match report {
        Some(report) => serde_json::to_string_pretty(&Told { report, looks_refused: refused }),
        None => serde_json::to_string_pretty(&Told { report: &no_crash, looks_refused: refused }),
    };
    told.context("cannot write the report")
}

/// A report, and whether the guard has seen anything since.
#[derive(serde::Serialize)]
struct Told<'a, T: serde::Serialize> {
    #[serde(flatten)]
    report: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    looks_refused: Option<&'a LooksRefused>,
}

fn not_seen(refused: &LooksRefused) -> String {
    let LooksRefused { since, why } = refused;
    format!("since {since} the server answers and does not let the guard look, so that nobody knows what runs: {why}")
}

fn no_crash(entries: &[Entry]) -> String {
    match (entries.first(), entries.last()) {
        (Some(first), Some(last)) => {
            let (first, last, records) = (first.at(), last.at(), entries.len());
            format!("no crash in {records} records from {first} to {last}; with --at TIME: what ran then")
        }
        _ => "the black box is empty".to_owned(),
    }
}

fn as_table(report: &Postmortem) -> String {
    let mut parts = vec![report.summary.clone()];
    if !report.queries.is_empty() {
        let mut queries =
            table(["score", "memory", "per second", "ran", "user", "origin", "version", "query", "fingerprint", "why"]);
        for RankedQuery { suspect, why } in &report.queries {
            let query = &suspect.query;
            let or_dash = |text: &Option<crate::model::Text>| text.as_deref().unwrap_or("-").to_owned();
            queries.add_row([
                format!("{:.1}", suspect.score),
                bytes(query.memory_bytes),
                per_second(suspect.slope_bytes_per_second),
                format!("{:.1} s", query.elapsed_ms as f64 / 1_000.0),
                query.user.to_string(),
                or_dash(&query.origin),
                or_dash(&query.version),
                query.query_id.to_string(),
                query.fingerprint.to_string(),
                why.join("; "),
            ]);
        }
        parts.push(queries.trim_fmt());
        let texts = report.queries.iter().take(3).map(|query| &query.suspect.query);
        parts.push(texts.map(|query| format!("{}  {}", query.fingerprint, query.text)).collect::<Vec<_>>().join("\n"));
    }
    let not_listed = report.in_flight.saturating_sub(report.queries.len() as u64);
    if not_listed > 0 {
        parts.push(format!("{not_listed} smaller queries in flight are not listed"));
    }
    if !report.before.is_empty() {
        let mut before = table(["ran before, and ended", "runs", "peak memory", "user", "origin", "text"]);
        for runs in &report.before {
            before.add_row([
                runs.fingerprint.to_string(),
                runs.runs.to_string(),
                bytes(runs.memory_peak_bytes),
                runs.user.to_string(),
                runs.origin.as_deref().unwrap_or("-").to_owned(),
                runs.text.chars().take(80).collect(),
            ]);
        }
        parts.push(before.trim_fmt());
    }
    parts.push(format!("{} looks since {}", report.looks, report.records_from));
    parts.join("\n\n")
}

fn per_second(slope: i64) -> String {
    let sign = if slope < 0 { "-" } else { "+" };
    if slope == 0 { "0".to_owned() } else { format!("{sign}{}", bytes(slope.unsigned_abs())) }
}

fn bytes(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().iec().to_string()
}
