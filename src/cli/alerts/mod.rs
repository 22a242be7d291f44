//! `floodmark alerts`: a file a subcommand.

mod test;
mod test_report;

use std::process::ExitCode;

use clap::Subcommand;

use super::{CliError, Globals};

/// What to do.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floodmark alerts test             do the rules fire when they should, and only then?
  floodmark alerts test --mutate    would the tests notice a broken rule?")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the tests of alert rules
    Test(test::Args),
}

/// Runs the command.
///
/// # Errors
/// See the subcommands.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    match &args.command {
        Command::Test(args) => test::run(args, globals),
    }
}
