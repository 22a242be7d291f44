//! `floodmark dead-letters`: refused records, and sending them again after a fix.

mod list;
mod replay;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use super::output::OutputArgs;
use super::{CliError, Globals};
use crate::config::{Config, KafkaConfig};
use crate::model::RejectionCode;
use crate::telemetry;

/// Arguments of `dead-letters`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: floodmark dead-letters replay --dry-run --config floodmark.toml")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Count what was refused and not replayed, and show examples
    List(ListArgs),
    /// Send records again that are accepted now
    Replay(ReplayArgs),
}

const LIST_HELP: &str = "\
Reads the topic `kafka.topics.dead_letters` from its beginning, joins no group and changes nothing. Letters that were
replayed are left out; one that was delivered twice counts once.

Examples:
  floodmark dead-letters list --config floodmark.toml
  floodmark dead-letters list --since 2h --reason missing_field --limit 3 --output json";

/// Arguments of `dead-letters list`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = LIST_HELP, after_help = "More, with examples: floodmark dead-letters list --help")]
struct ListArgs {
    /// Only letters written this long ago or later
    #[arg(long, value_parser = humantime::parse_duration, value_name = "DURATION")]
    since: Option<Duration>,
    /// Only letters with this reason
    #[arg(long, value_name = "CODE", value_parser = reason())]
    reason: Option<String>,
    /// How many examples are shown: the newest
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1_000))]
    limit: u16,
    #[command(flatten)]
    output: OutputArgs,
}

const REPLAY_HELP: &str = "\
Decodes the original bytes of each letter with the present configuration. A letter holds the first 16 KiB of its record:
a longer one is read from where it was refused, if it is still there and is the same. What is accepted now is sent again,
as a new record, to the topic that it came from; of an array only the refused elements, for the others are stored. A
line of a file that `floodmark ingest` converted is converted again.

Nothing is replayed twice: each record is sent in one transaction with a receipt in the dead-letter topic. It carries the
header floodmark-replayed-from, which names the letter. Letters that still fail stay listed, for the next fix. (Brokers
must support transactions; on the demo broker, a replay that is killed half way may leave records without receipts.)

The service stores replayed records as it does all others. They are late: it counts them, and does not alert on them.

Examples:
  floodmark dead-letters replay --dry-run          what would be accepted now, and what is still refused, by reason
  floodmark dead-letters replay --reason too_long  after decode.record_bytes_max was raised";

/// Arguments of `dead-letters replay`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = REPLAY_HELP, after_help = "More, with examples: floodmark dead-letters replay --help")]
struct ReplayArgs {
    /// Only letters with this reason
    #[arg(long, value_name = "CODE", value_parser = reason())]
    reason: Option<String>,
    /// Say what would happen, send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArgs,
}

fn reason() -> clap::builder::PossibleValuesParser {
    RejectionCode::ALL.map(RejectionCode::as_str).into()
}

/// Runs the command.
///
/// # Errors
/// Configuration (78), Kafka not to be had (1).
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let config = globals.load_config()?;
    let kafka = kafka(&config)?;
    telemetry::init(&globals.log, true).map_err(|error| CliError::Usage(error.to_string()))?;
    match &args.command {
        Command::List(args) => list::run(args, kafka)?,
        Command::Replay(args) => replay::run(args, &config, kafka)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn kafka(config: &Config) -> Result<&KafkaConfig, CliError> {
    let missing = || CliError::Config("kafka.brokers: no Kafka is configured, so there are no dead letters".to_owned());
    config.kafka.as_ref().ok_or_else(missing)
}

/// Prints to standard output.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout().lock(), "{text}").context("cannot write")
}
