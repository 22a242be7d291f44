//! `floodmark alerts list`: pages.

use std::process::ExitCode;

use reqwest::Method;

use super::client::{ServiceArgs, print_json, shown, text};
use crate::cli::output::{OutputArgs, OutputFormat, say, table};
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
        let [key, since, taken, title] =
            ["dedup_key", "since", "acknowledged_by", "title"].map(|name| shown(page, name));
        rows.add_row([key, since, standing, firing, taken, title]);
    }
    say(&rows.trim_fmt())?;
    Ok(ExitCode::SUCCESS)
}
