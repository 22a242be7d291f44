//! `floodmark alerts test-receiver`: sends one receiver a page that says of itself that it is a test.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::alert::notify::{Trial, TrialAnswer};
use crate::cli::output::{OutputArgs, OutputFormat, say};
use crate::cli::{CliError, Globals};
use crate::config::Config;
use crate::postmortem::plain;

/// Arguments of `alerts test-receiver`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The page has severity info and the title `[INFO] floodmark test: nothing is wrong`. PagerDuty and Alertmanager are told of
its end as well, so that nothing stays open. No route is asked, nothing is repeated, and no outbox is touched.

Exit code: 0 the receiver took it, 1 it did not, 78 it is not configured, or a file of it cannot be read.

Examples:
  floodmark alerts test-receiver on-call --config floodmark.toml
  floodmark alerts test-receiver on-call --dry-run")]
pub struct Args {
    /// Name of the receiver (`notify.receivers`)
    #[arg(value_name = "NAME")]
    name: String,
    /// Print what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Tries the receiver.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let config = globals.load_config()?;
    let answers = ask(args, &config)?;
    let text = match (args.output.output, args.dry_run) {
        (OutputFormat::Json, _) => pretty(&answers)?,
        (OutputFormat::Table, true) => bodies(&answers)?,
        (OutputFormat::Table, false) => answers.iter().map(in_words).collect::<Vec<_>>().join("\n"),
    };
    say(&text)?;
    let refused = answers.iter().filter(|answer| answer.accepted == Some(false)).count();
    if refused > 0 {
        return Err(anyhow::anyhow!("{} did not take {refused} of {} messages", args.name, answers.len()).into());
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(args: &Args, config: &Config) -> Result<Vec<TrialAnswer>, CliError> {
    let receivers = &config.notify.receivers;
    let Some(receiver) = receivers.iter().find(|receiver| receiver.name == args.name) else {
        let names: Vec<&str> = receivers.iter().map(|receiver| receiver.name.as_str()).collect();
        let known =
            if names.is_empty() { "none is configured".to_owned() } else { format!("there are {}", names.join(", ")) };
        return Err(CliError::Config(format!("notify.receivers: no receiver is named {}: {known}", args.name)));
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let trial = runtime.block_on(async { Trial::new(receiver, config.kafka.as_ref()) });
    let trial = trial.map_err(|error| CliError::Config(error.to_string()))?;
    Ok(runtime.block_on(trial.run(args.dry_run)))
}

fn in_words(answer: &TrialAnswer) -> String {
    let TrialAnswer { receiver, to, event, .. } = answer;
    let said = answer.said.as_deref().unwrap_or_default();
    let verdict = if answer.accepted == Some(true) { "taken" } else { "NOT taken" };
    format!("{receiver} at {to}: {event}: {verdict}: {}", plain(said))
}

fn bodies(answers: &[TrialAnswer]) -> Result<String, CliError> {
    let bodies: Result<Vec<String>, CliError> = answers.iter().map(|answer| pretty(&answer.body)).collect();
    Ok(bodies?.join("\n"))
}

fn pretty(value: &impl serde::Serialize) -> Result<String, CliError> {
    Ok(serde_json::to_string_pretty(value).context("cannot write JSON")?)
}
