//! `floodmark status show`: one incident or draft.

use std::process::ExitCode;

use serde_json::Value;

use super::ask::view;
use super::list::items;
use crate::cli::alerts::client::{ServiceArgs, print_json, text};
use crate::cli::output::{OutputArgs, OutputFormat};
use crate::cli::{CliError, Globals};

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: floodmark status show 4hx0v9mqw2tc")]
pub struct Args {
    /// Id of the incident or draft
    id: String,
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Shows it.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let view = view(&args.service, globals)?;
    let all = items(&view, "incidents").into_iter().chain(items(&view, "drafts"));
    let found = all.into_iter().find(|item| text(item, "id") == args.id);
    let absent =
        || anyhow::anyhow!("there is no incident or draft {}: `floodmark status list --all` names them", args.id);
    let found = found.ok_or_else(absent)?;
    if args.output.output == OutputFormat::Json {
        print_json(found)?;
        return Ok(ExitCode::SUCCESS);
    }
    let is_draft = found["updates"].is_null();
    let head = if is_draft { &found["proposal"] } else { found };
    let draft = if is_draft { "draft, " } else { "" };
    println!("{}", text(head, "name"));
    println!("{draft}{}, {}, since {}", text(head, "status"), text(found, "impact"), text(found, "started_at"));
    for (name, words) in [("resolved_at", "over since"), ("machine_from", "the machine is silent until")] {
        if let Some(at) = found[name].as_str() {
            println!("{words} {at}");
        }
    }
    for exposed in items(found, "exposed").into_iter().filter_map(Value::as_str) {
        println!("CORRECT IT: {exposed}");
    }
    for incident in items(found, "linked").into_iter().filter_map(Value::as_str) {
        println!("internal incident {incident} (not public)");
    }
    if !found["proposal"].is_null() {
        println!("\nproposed: {}", text(&found["proposal"], "status"));
        print_body(text(&found["proposal"], "body"));
    }
    for update in items(found, "updates") {
        println!("\n{} {} {}", text(update, "created_at"), text(update, "status"), text(update, "id"));
        print_body(text(update, "body"));
    }
    Ok(ExitCode::SUCCESS)
}

fn print_body(body: &str) {
    for line in body.lines() {
        println!("  | {line}");
    }
}
