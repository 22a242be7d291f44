//! `floodmark alerts show`: one page, whole.

use std::process::ExitCode;

use reqwest::Method;
use serde_json::Value;

use super::client::{ServiceArgs, encoded, print_json, text};
use crate::cli::output::{OutputArgs, OutputFormat};
use crate::cli::{CliError, Globals};

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: floodmark alerts show 20260301T101000Z-retry-amplification-3f9c")]
pub struct Args {
    /// Key of the page, as `list` shows it
    key: String,
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints it.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let path = format!("/api/v1/pages/{}", encoded(&args.key));
    let view = args.service.ask(globals, Method::GET, &path, None)?;
    if args.output.output == OutputFormat::Json {
        print_json(&view)?;
    } else {
        print(&view);
    }
    Ok(ExitCode::SUCCESS)
}

/// The page for a terminal.
pub fn print(view: &Value) {
    let page = &view["page"];
    println!("{}", text(page, "title"));
    println!("{} since {}; {}", text(view, "standing"), text(page, "since"), text(page, "impact"));
    let taken = &view["acknowledgement"];
    if !taken.is_null() {
        println!("taken by {} until {}: {}", text(taken, "author"), text(taken, "expires_at"), text(taken, "note"));
    }
    if let Some(silence) = view["silenced_by"].as_str() {
        println!("silenced by {silence}");
    }
    println!("\nalerts");
    let others = list(page, "alerts");
    for alert in std::iter::once(&page["lead"]).chain(others) {
        let over = if alert["resolved_at"].is_null() { "" } else { " (over)" };
        println!("  {} {}{over}: {}", text(alert, "severity"), text(alert, "alert"), text(alert, "summary"));
        println!("    {} {}, usually {}", alert["value"], text(alert, "unit"), alert["baseline"]);
    }
    more(page, "alerts_more");
    section("likely causes", list(page, "causes"), |cause| {
        format!("{} ({}): {}", dimensions(cause), text(cause, "confidence"), text(cause, "evidence"))
    });
    section("who", list(page, "contributors"), |one| format!("{} {}", percent(&one["share"]), dimensions(one)));
    more(page, "contributors_more");
    section("ruled out", list(page, "ruled_out"), |one| format!("{}: {}", text(one, "candidate"), text(one, "why")));
    section("what to do", list(page, "actions"), |action| action.as_str().unwrap_or_default().to_owned());
    let runbook = text(&page["lead"], "runbook");
    if !runbook.is_empty() {
        println!("\nrunbook: {runbook}");
    }
}

fn section(title: &str, entries: &[Value], line: impl Fn(&Value) -> String) {
    if entries.is_empty() {
        return;
    }
    println!("\n{title}");
    entries.iter().for_each(|entry| println!("  {}", line(entry)));
}

fn more(page: &Value, name: &str) {
    if let Some(count) = page[name].as_u64().filter(|count| *count > 0) {
        println!("  and {count} more");
    }
}

fn list<'a>(page: &'a Value, name: &str) -> &'a [Value] {
    page[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn percent(share: &Value) -> String {
    crate::detect::percent(share.as_f64().unwrap_or_default())
}

fn dimensions(value: &Value) -> String {
    let pairs = value["dimensions"].as_object().into_iter().flatten();
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name} = {}", value.as_str().unwrap_or("?"))).collect();
    if pairs.is_empty() { "nobody in particular".to_owned() } else { pairs.join(", ") }
}
