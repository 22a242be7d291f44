//! `floodmark alerts ack`: somebody takes a page, or gives it back.

use std::process::ExitCode;

use reqwest::Method;
use serde_json::json;

use super::client::{ServiceArgs, encoded, text};
use crate::cli::{CliError, Globals};

/// Arguments of `ack`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
While somebody has a page, receivers hear of it again only when it becomes worse, or is over.

Examples:
  floodmark alerts ack 20260301T101000Z-retry-amplification-3f9c --note 'talking to the customer' --for 2h
  floodmark alerts ack 20260301T101000Z-retry-amplification-3f9c --remove")]
pub struct Args {
    /// Key of the page, as `list` shows it
    key: String,
    /// What there is to say about it
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
    /// For how long, 7 days at most
    #[arg(long, value_name = "TIME", default_value = "8h")]
    r#for: humantime::Duration,
    /// Who takes it; a token's name comes first
    #[arg(long, env = "USER")]
    author: Option<String>,
    /// Nobody has it any more
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    service: ServiceArgs,
}

/// Asks for it.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let path = format!("/api/v1/pages/{}/acknowledge", encoded(&args.key));
    if args.remove {
        args.service.ask(globals, Method::DELETE, &path, None)?;
        eprintln!("nobody has {} any more", args.key);
        return Ok(ExitCode::SUCCESS);
    }
    let body = json!({"author": args.author, "note": args.note, "for": args.r#for.to_string()});
    let view = args.service.ask(globals, Method::POST, &path, Some(&body))?;
    let taken = &view["acknowledgement"];
    eprintln!("{} has {} until {}", text(taken, "author"), args.key, text(taken, "expires_at"));
    Ok(ExitCode::SUCCESS)
}
