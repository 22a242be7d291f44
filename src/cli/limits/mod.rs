//! `floodmark limits`: limits tried on the past, and written for gateways.

mod export;
mod files;
mod report;
mod what_if;

use std::process::ExitCode;

use clap::Subcommand;

use super::{CliError, Globals};

/// Arguments of `limits`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  floodmark limits what-if --limit 1200/min --routes SearchFingerprints,CreateProfile,StartProfile --since 30d
  floodmark limits what-if --limit 1200/min --sweep 100/min..5000/min --events storm.ndjson
  floodmark limits export --format nginx > limits.conf")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What a limit would have done: who is throttled and when, what is left of the peaks, what it does in incidents
    WhatIf(Box<what_if::Args>),
    /// The limits file as Envoy's rate-limit service, Envoy or NGINX read it
    Export(export::Args),
}

/// Runs the command.
///
/// # Errors
/// See [`CliError`].
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    match &args.command {
        Command::WhatIf(args) => what_if::run(args, globals),
        Command::Export(args) => export::run(args, globals),
    }
}
