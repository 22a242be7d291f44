//! `floodmark alerts`: a file a subcommand. Pages and silences are asked of a running service; rules are tested and tried here.

mod ack;
mod backtest;
mod backtest_files;
mod backtest_report;
mod backtest_stored;
pub(in crate::cli) mod client;
mod dead_letters;
mod history;
mod list;
mod show;
mod silence;
mod test;
mod test_receiver;
mod test_report;

use std::process::ExitCode;

use clap::Subcommand;

use super::{CliError, Globals};

/// Arguments of `alerts`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floodmark alerts list
  floodmark alerts ack 20260301T101000Z-retry-amplification-3f9c --note 'talking to the customer'
  floodmark alerts silence subscription=acme --for 2h --reason 'their load test'
  floodmark alerts test-receiver on-call --config floodmark.toml    does a page arrive?
  floodmark alerts dead-letters --config floodmark.toml             what did not
  floodmark alerts test             do the rules fire when they should, and only then?
  floodmark alerts test --mutate    would the tests notice a broken rule?
  floodmark alerts backtest --since 14d --rules my-rules/    which pages would be new, gone, earlier or later?")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
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
    /// Send a page that says of itself that it is a test, and say what came back
    TestReceiver(test_receiver::Args),
    /// Show notifications that could not be delivered
    DeadLetters(dead_letters::Args),
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
        Command::List(args) => list::run(args, globals),
        Command::Show(args) => show::run(args, globals),
        Command::Ack(args) => ack::run(args, globals),
        Command::Silence(args) => silence::make(args, globals),
        Command::Silences(args) => silence::run(args, globals),
        Command::History(args) => history::run(args, globals),
        Command::TestReceiver(args) => test_receiver::run(args, globals),
        Command::DeadLetters(args) => dead_letters::run(args, globals),
        Command::Test(args) => test::run(args, globals),
        Command::Backtest(args) => backtest::run(args, globals),
    }
}
