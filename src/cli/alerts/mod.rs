//! `floodmark alerts`: a file a subcommand.

mod backtest;
mod backtest_files;
mod backtest_report;
mod backtest_stored;
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
  floodmark alerts test --mutate    would the tests notice a broken rule?
  floodmark alerts backtest --since 14d --rules my-rules/    which pages would be new, gone, earlier or later?")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the tests of alert rules
    Test(test::Args),
    /// Compare what other rules would have made of the past
    Backtest(backtest::Args),
}

/// Runs the command.
///
/// # Errors
/// See the subcommands.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    match &args.command {
        Command::Test(args) => test::run(args, globals),
        Command::Backtest(args) => backtest::run(args, globals),
    }
}
