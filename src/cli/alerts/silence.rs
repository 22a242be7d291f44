//! `floodmark alerts silence` and `silences`: which alerts nobody is told about for a while.

use std::process::ExitCode;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{ServiceArgs, encoded, print_json, shown, text};
use crate::cli::output::{OutputArgs, OutputFormat, say, table};
use crate::cli::{CliError, Globals};
use crate::postmortem::plain;

/// Arguments of `silence`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Labels are alert, severity and the dimensions of alerts (subscription, client_version, service ...). Expressions match the
whole value; an absent label is the empty text; a value may stand in double quotes, as Alertmanager's do. A silence keeps pages
from receivers, not from the record.

Examples:
  floodmark alerts silence subscription=acme --for 2h --reason 'their load test'
  floodmark alerts silence alert=RestartLoop source=~container/batch-.* --for 30m --reason 'rolling restart'")]
pub struct MakeArgs {
    /// name=value, name!=value, name=~expression or name!~expression; all must fit
    #[arg(required = true, value_name = "MATCHER")]
    matchers: Vec<String>,
    /// For how long, 30 days at most
    #[arg(long, value_name = "TIME")]
    r#for: humantime::Duration,
    /// Why
    #[arg(long)]
    reason: String,
    /// Who asks for it; a token's name comes first
    #[arg(long, env = "USER")]
    author: Option<String>,
    #[command(flatten)]
    service: ServiceArgs,
}

/// Arguments of `silences`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floodmark alerts silences
  floodmark alerts silences --end 19ca8b7e0a4-0")]
pub struct Args {
    /// End this silence now
    #[arg(long, value_name = "ID")]
    end: Option<String>,
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Makes a silence; its id goes to stdout.
pub fn make(args: &MakeArgs, globals: &Globals) -> Result<ExitCode, CliError> {
    let MakeArgs { matchers, reason, author, .. } = args;
    let body = json!({"matchers": matchers, "for": args.r#for.to_string(), "reason": reason, "author": author});
    let made = args.service.ask(globals, Method::POST, "/api/v1/silences", Some(&body))?;
    say(text(&made, "id"))?;
    Ok(ExitCode::SUCCESS)
}

/// Lists silences, or ends one.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    if let Some(id) = &args.end {
        args.service.ask(globals, Method::DELETE, &format!("/api/v1/silences/{}", encoded(id)), None)?;
        eprintln!("silence {id} has ended");
        return Ok(ExitCode::SUCCESS);
    }
    let answer = args.service.ask(globals, Method::GET, "/api/v1/silences", None)?;
    if args.output.output == OutputFormat::Json {
        print_json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = table(["id", "from", "until", "matchers", "author", "reason"]);
    for silence in answer["silences"].as_array().into_iter().flatten() {
        let matchers = silence["matchers"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let matchers = plain(&matchers.collect::<Vec<_>>().join(" "));
        let [id, from, until, author, reason] =
            ["id", "starts_at", "ends_at", "author", "reason"].map(|name| shown(silence, name));
        rows.add_row([id, from, until, matchers, author, reason]);
    }
    say(&rows.trim_fmt())?;
    Ok(ExitCode::SUCCESS)
}
