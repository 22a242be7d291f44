//! `floodmark alerts`: alerts and who hears of them, a file a subcommand.

mod dead_letters;
mod test_receiver;

use std::process::ExitCode;

use clap::Subcommand;

use super::{CliError, Globals};

/// What to do.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floodmark alerts test-receiver on-call --config floodmark.toml    does a page arrive?
  floodmark alerts dead-letters --config floodmark.toml             what did not")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send a page that says of itself that it is a test, and say what came back
    TestReceiver(test_receiver::Args),
    /// Show notifications that could not be delivered
    DeadLetters(dead_letters::Args),
}

/// Runs a subcommand.
///
/// # Errors
/// What the subcommand says.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    match &args.command {
        Command::TestReceiver(args) => test_receiver::run(args, globals),
        Command::DeadLetters(args) => dead_letters::run(args, globals),
    }
}
