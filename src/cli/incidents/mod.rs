//! `floodmark incidents`: what is known of an incident, from a running service, from storage, or from a replay.

mod export;
mod find;
mod list;
mod replayed;
mod show;
mod stored;

use std::process::ExitCode;

use clap::Subcommand;

use super::{CliError, Globals};

/// Arguments of `incidents`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floodmark incidents list                            open and recent ones, from the running service
  floodmark incidents list --since 30d                from ClickHouse
  floodmark incidents show latest
  floodmark incidents export latest --csv customers.csv --markdown post-mortems/
  floodmark replay storm.ndjson > said.ndjson && floodmark incidents show latest --from-replay said.ndjson --events storm.ndjson")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Incidents, newest first
    List(list::Args),
    /// One incident: timeline, causes, what was ruled out, impact, what ended it, how to look again
    Show(show::Args),
    /// Customers to contact as CSV, a post-mortem draft with pictures as Markdown
    Export(export::Args),
}

/// Runs the command.
///
/// # Errors
/// See the subcommands.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    match &args.command {
        Command::List(args) => list::run(args, globals),
        Command::Show(args) => show::run(args, globals),
        Command::Export(args) => export::run(args, globals),
    }
}
