//! `floodmark alerts dead-letters`: notifications that could not be delivered.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::alert::notify::{DeadLetter, read_dead_letters};
use crate::cli::output::{OutputArgs, OutputFormat, say, table};
use crate::cli::{CliError, Globals};
use crate::postmortem::plain;

/// Arguments of `alerts dead-letters`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads `notify-dead-letters.ndjson` (and the file before it) in `notify.state_dir`. Each letter has the whole page. They are
not sent again: an older page helps nobody.

Examples:
  floodmark alerts dead-letters --config floodmark.toml
  floodmark alerts dead-letters --limit 1 --output json")]
pub struct Args {
    /// How many are shown: the newest
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=10_000))]
    limit: u16,
    #[command(flatten)]
    output: OutputArgs,
}

/// Shows them.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let directory = globals.load_config()?.notify_state_dir();
    let (letters, total) = read_dead_letters(&directory, usize::from(args.limit))
        .with_context(|| format!("cannot read the dead letters in {}", directory.display()))?;
    let text = match args.output.output {
        OutputFormat::Json => {
            let report = serde_json::json!({"total": total, "dead_letters": letters});
            serde_json::to_string_pretty(&report).context("cannot write JSON")?
        }
        OutputFormat::Table => in_a_table(&letters, total),
    };
    say(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn in_a_table(letters: &[DeadLetter], total: u64) -> String {
    if letters.is_empty() {
        return format!("{total} dead letters");
    }
    let mut table = table(["at", "receiver", "reason", "why", "what"]);
    for letter in letters {
        let cells = [&letter.at.to_string(), &letter.receiver, letter.reason.as_str(), &letter.why, letter.subject()];
        table.add_row(cells.map(plain));
    }
    format!("{}\n{total} dead letters", table.trim_fmt())
}
