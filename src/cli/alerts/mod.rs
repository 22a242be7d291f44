//! `floodmark alerts`: pages, silences and their history, asked of a running service.

mod ack;
mod client;
mod history;
mod list;
mod show;
mod silence;

use std::process::ExitCode;

use super::{CliError, Globals};

/// Arguments of `alerts`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floodmark alerts list
  floodmark alerts ack 20260301T101000Z-retry-amplification-3f9c --note 'talking to the customer'
  floodmark alerts silence subscription=acme --for 2h --reason 'their load test'")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Pages that are open, and those that were
    List(list::Args),
    /// Everything about one page
    Show(show::Args),
    /// Take a page, or give it back
    Ack(ack::Args),
    /// Make a silence: nobody is told of the alerts it names for a while
    Silence(silence::MakeArgs),
    /// Silences in force or to come; ends one
    Silences(silence::Args),
    /// What was said of pages, from ClickHouse
    History(history::Args),
}

/// Runs a subcommand.
///
/// # Errors
/// What the subcommand says.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    match &args.command {
        Command::List(args) => list::run(args, globals),
        Command::Show(args) => show::run(args, globals),
        Command::Ack(args) => ack::run(args, globals),
        Command::Silence(args) => silence::make(args, globals),
        Command::Silences(args) => silence::run(args, globals),
        Command::History(args) => history::run(args, globals),
    }
}
