//! `floodmark ledger`: whether every record is accounted for exactly once.

pub(super) mod access;
mod report;
mod verify;

use std::process::ExitCode;

use anyhow::Context;

use super::output::OutputArgs;
use super::{CliError, Globals};
use crate::telemetry;

/// Arguments of `ledger`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: floodmark ledger verify --config floodmark.toml")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List every offset range that is not accounted for exactly once
    Verify(VerifyArgs),
}

const VERIFY_HELP: &str = "\
Each batch that is stored leaves a row in the table ingest_ledger with its range of offsets and what became of it:
rows stored, records dead-lettered, offsets dropped (with the reason). This command runs the query
queries/named/ledger_proof.sql and prints what is wrong:

  gap        offsets between two ranges are in neither: records may be lost
  overlap    offsets are in two ranges: their records were stored twice
  numbers    a range's own numbers do not add up
  rows       the raw tables do not hold the rows that the range says it stored (not looked at for ranges
             older than the raw tables' retention, nor for a topic of this name that was deleted)
  committed  with --committed: the consumer group has committed offsets that the ledger does not reach

and then, for each partition, how much there is and from which offset through which (the next one expected).
Exit code 0: all is accounted for, or the ledger is empty. 1: something is not.

Without `clickhouse.url` the local ClickHouse is asked: that of the service that runs on `local.data_dir`, with the
password that the service wrote there (readable by its user only), else one that is started for this command.
The raw tables are read once: on a big server give it a quiet moment, or one --topic at a time.

Examples:
  floodmark ledger verify --config floodmark.toml
  floodmark ledger verify --topic requests --committed --output json";

/// Arguments of `ledger verify`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = VERIFY_HELP, after_help = "More, with examples: floodmark ledger verify --help")]
pub struct VerifyArgs {
    /// Only this topic
    #[arg(long)]
    topic: Option<String>,
    /// Also compare with the offsets that the consumer group has committed (needs Kafka)
    #[arg(long)]
    committed: bool,
    /// How long ClickHouse may take for an answer
    #[arg(long, default_value = "10m", value_parser = humantime::parse_duration, value_name = "DURATION")]
    timeout: std::time::Duration,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs the command.
///
/// # Errors
/// Configuration (78), ClickHouse or Kafka not to be had (1).
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let Command::Verify(args) = &args.command;
    let config = globals.load_config()?;
    if args.committed && config.kafka.is_none() {
        return Err(CliError::Config("kafka.brokers: --committed needs a Kafka to ask; none is configured".to_owned()));
    }
    telemetry::init(&globals.log, true).map_err(|error| CliError::Usage(error.to_string()))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    Ok(runtime.block_on(verify::run(args, &config))?)
}
