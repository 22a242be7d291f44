//! The command line: a file a command. Data goes to stdout, progress and errors to stderr.
//!
//! Exit codes: 0 done, 1 failed, 64 wrong usage, 78 configuration, rules or scenario unusable (`sysexits.h`).

mod alerts;
mod attribute;
mod check;
mod completions;
mod config;
mod dashboards;
mod dead_letters;
mod demo;
mod detect;
mod engine;
mod error;
mod evaluate;
pub mod event_sink;
mod guard;
mod incidents;
mod ingest;
mod ledger;
mod limits;
mod moment;
pub mod output;
mod query;
mod replay;
mod run;
mod settings;
pub mod simulate;
mod status;
mod token;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use error::CliError;

use crate::config::Config;
use crate::telemetry::LogArgs;

/// Finds who is flooding an API platform: which customer, client release, query or leak.
#[derive(Debug, Parser)]
#[command(
    name = "floodmark",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  floodmark demo --exit                                       see it catch an incident, on local engines
  floodmark simulate kameleo-retry-storm --out storm.ndjson   a platform that its clients flood
  floodmark replay storm.ndjson                               who does it, and what would have alerted
  floodmark check --config floodmark.toml                     everything a start would trip over

Exit codes: 0 done, 1 failed, 64 wrong usage, 78 configuration, rules or scenario unusable."
)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
pub struct Globals {
    /// Configuration file (TOML). Without it every key has its default.
    #[arg(long, global = true, env = "FLOODMARK_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What is logged, and how.
    #[command(flatten)]
    pub log: LogArgs,
}

impl Globals {
    /// The configuration: file, then environment, checked.
    ///
    /// # Errors
    /// [`CliError::Config`], exit code 78.
    pub fn load_config(&self) -> Result<Config, CliError> {
        Ok(Config::load(self.config.as_deref(), environment())?)
    }
}

/// The process's environment. A value that is not UTF-8 is taken as near as it can be read, and then refused by the key.
fn environment() -> Vec<(String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service: read Kafka, store in ClickHouse, alert
    Run(run::Args),
    /// See it work: local engines, a simulated incident, the whole service
    Demo(demo::Args),
    /// Run a log through the detectors and print what would have alerted
    Replay(replay::Args),
    /// Pages, silences and who hears of them; tests of alert rules, and other rules tried on the past
    Alerts(alerts::Args),
    /// What is known of an incident: timeline, cause, customers to contact, a post-mortem draft
    Incidents(incidents::Args),
    /// What the public is told: drafts, incidents, announced work, and what a log would have said
    Status(status::Args),
    /// Ask a question of what is stored: a named query, or SQL
    Query(query::Args),
    /// Find the combinations of dimension values that explain why a number deviates
    Attribute(attribute::Args),
    /// Find anomalies in a CSV file with times and numbers, online
    Detect(detect::Args),
    /// Find every problem of configuration, rules, limits and scenarios before a start does
    Check(check::Args),
    /// Show the configuration in force, or what may be written
    Config(config::Args),
    /// Grafana dashboards over what is stored
    Dashboards(dashboards::Args),
    /// Write the events of a simulated platform, calm or flooded
    Simulate(simulate::Args),
    /// Keep ClickHouse alive under its own users
    Guard(guard::Args),
    /// Measure recall, precision, delay and false pages on scenarios whose truth is known
    Evaluate(evaluate::Args),
    /// Make a bearer token for the HTTP server
    Token(token::Args),
    /// Write a completion script for a shell to stdout
    Completions(completions::Args),
    /// The local ClickHouse engine in a process of its own; started by the service, not by people
    #[command(hide = true)]
    EngineClickhouse(engine::Args),
    /// Bring request logs in: decode lines of a file and send them to Kafka or standard output
    Ingest(ingest::Args),
    /// Prove that every record is accounted for exactly once
    Ledger(ledger::Args),
    /// Request limits: what one would have done in the past, and those there are as a gateway reads them
    Limits(limits::Args),
    /// Look at refused records, and send them again after a fix
    DeadLetters(dead_letters::Args),
}

/// Whether these arguments are a command line: what documentation names must be one.
///
/// # Errors
/// What clap says of them. Help and version are command lines.
pub fn check_usage(arguments: &[&str]) -> Result<(), String> {
    let arguments = std::iter::once(&"floodmark").chain(arguments);
    match Cli::try_parse_from(arguments) {
        Err(error) if error.use_stderr() => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return error::usage(&error),
    };
    let result = match cli.command {
        Command::Run(args) => run::run(&args, &cli.globals),
        Command::Demo(args) => demo::run(&args, &cli.globals),
        Command::Replay(args) => replay::run(&args, &cli.globals),
        Command::Alerts(args) => alerts::run(&args, &cli.globals),
        Command::Incidents(args) => incidents::run(&args, &cli.globals),
        Command::Status(args) => status::run(&args, &cli.globals),
        Command::Query(args) => query::run(&args, &cli.globals),
        Command::Attribute(args) => attribute::run(&args, &cli.globals),
        Command::Detect(args) => detect::run(&args, &cli.globals),
        Command::Check(args) => check::run(&args, &cli.globals),
        Command::Config(args) => config::run(&cli.globals, &args),
        Command::Dashboards(args) => dashboards::run(&args),
        Command::Simulate(args) => simulate::run(&args, &cli.globals),
        Command::Guard(args) => guard::run(&args, &cli.globals),
        Command::Evaluate(args) => evaluate::run(&args, &cli.globals),
        Command::Token(args) => token::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::EngineClickhouse(args) => engine::run(&args),
        Command::Ingest(args) => ingest::run(&args, &cli.globals),
        Command::Ledger(args) => ledger::run(&args, &cli.globals),
        Command::Limits(args) => limits::run(&args, &cli.globals),
        Command::DeadLetters(args) => dead_letters::run(&args, &cli.globals),
    };
    result.unwrap_or_else(|error| error.report())
}
