//! `floodmark status`: a file a subcommand. What the public is told, and was.

pub mod export;
mod replay;

use std::process::ExitCode;

use clap::Subcommand;

use super::{CliError, Globals};

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floodmark status replay --config floodmark.toml requests.ndjson --output table    what would the page have said?")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What the page would have said of a log: states of components over time, and their uptime
    Replay(replay::Args),
}

/// Runs the command.
///
/// # Errors
/// See the subcommands.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    match &args.command {
        Command::Replay(args) => replay::run(args, globals),
    }
}
