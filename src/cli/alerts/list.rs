//! `floodmark alerts list`: pages.

use std::process::ExitCode;

use reqwest::Method;
use serde_json::Value;

use super::client::{ServiceArgs, print_json, text};
use crate::cli::output::{OutputArgs, OutputFormat, table};
use crate::cli::{CliError, Globals};

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floodmark alerts list
  floodmark alerts list --all --output json
  floodmark alerts list --url https://floodmark.example.com --token-file token")]
pub struct Args {
    /// Also pages that are over
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints them.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let mut answer = args.service.ask(globals, Method::GET, "/api/v1/pages", None)?;
    if let Some(pages) = answer["pages"].as_array_mut() {
        pages.retain(|view| args.all || view["standing"] != "resolved");
    }
    if args.output.output == OutputFormat::Json {
        print_json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let none = Vec::new();
    let pages = answer["pages"].as_array().unwrap_or(&none);
    if pages.is_empty() {
        eprintln!("no page is open");
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = table(["key", "since", "standing", "alerts", "taken by", "title"]);
    for view in pages {
        let page = &view["page"];
        let silenced = if view["silenced_by"].is_null() { "" } else { ", silenced" };
        let standing = format!("{}{silenced}", text(view, "standing"));
        let firing = view["firing"].as_u64().map_or_else(String::new, |firing| firing.to_string());
        let taken = page.get("acknowledged_by").and_then(Value::as_str).unwrap_or_default();
        rows.add_row([text(page, "dedup_key"), text(page, "since"), &standing, &firing, taken, text(page, "title")]);
    }
    println!("{}", rows.trim_fmt());
    Ok(ExitCode::SUCCESS)
}
