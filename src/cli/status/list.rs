//! `floodmark status drafts` and `list`: what waits, what is public.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::ask::view;
use crate::cli::alerts::client::{ServiceArgs, print_json, text};
use crate::cli::output::{OutputArgs, OutputFormat, table};
use crate::cli::{CliError, Globals};

/// Arguments of `drafts`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: floodmark status drafts")]
pub struct DraftsArgs {
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floodmark status list
  floodmark status list --all --output json")]
pub struct Args {
    /// Incidents that are over as well
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Lists drafts with the words that are proposed.
pub fn drafts(args: &DraftsArgs, globals: &Globals) -> Result<ExitCode, CliError> {
    let view = view(&args.service, globals)?;
    if args.output.output == OutputFormat::Json {
        print_json(&json!({"drafts": view["drafts"]}))?;
        return Ok(ExitCode::SUCCESS);
    }
    let drafts = items(&view, "drafts");
    if drafts.is_empty() {
        eprintln!("nothing waits to be published");
    }
    for draft in drafts {
        let proposal = &draft["proposal"];
        println!("{}  {}", text(draft, "id"), text(proposal, "name"));
        let until = draft["recovered_at"].as_str().unwrap_or("now");
        println!("  {}, {}, {} to {until}", text(draft, "impact"), text(proposal, "status"), text(draft, "started_at"));
        for line in text(proposal, "body").lines() {
            println!("  | {line}");
        }
        println!("  publish it: floodmark status publish {}", text(draft, "id"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Lists what is public.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let mut view = view(&args.service, globals)?;
    let is_shown = |incident: &Value| args.all || !matches!(text(incident, "status"), "resolved" | "postmortem");
    if let Some(incidents) = view["incidents"].as_array_mut() {
        incidents.retain(is_shown);
    }
    if args.output.output == OutputFormat::Json {
        print_json(&view)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut components = table(["component", "state", "since", "says"]);
    for component in items(&view, "components") {
        let said = items(&view, "words").into_iter().find(|word| word["component"] == component["id"]);
        let says = said.map_or_else(
            || text(component, "authority").to_owned(),
            |word| format!("{} until {}", text(word, "who"), text(word, "until")),
        );
        components.add_row([text(component, "id"), text(component, "state"), text(component, "since"), &says]);
    }
    println!("{}\n", components.trim_fmt());
    let mut incidents = table(["incident", "status", "impact", "since", "until", "updates", "title"]);
    for incident in items(&view, "incidents") {
        let updates = items(incident, "updates").len().to_string();
        let news = if incident["proposal"].is_null() { "" } else { " (an update is proposed)" };
        let title = format!("{}{news}", text(incident, "name"));
        let [id, status, impact, since, until] =
            ["id", "status", "impact", "started_at", "resolved_at"].map(|name| text(incident, name));
        incidents.add_row([id, status, impact, since, until, &updates, &title]);
    }
    println!("{}", incidents.trim_fmt());
    if !items(&view, "maintenances").is_empty() {
        println!("\n{}", maintenances(&view));
    }
    let waiting = items(&view, "drafts").len();
    if waiting > 0 {
        eprintln!("drafts that wait: {waiting}; `floodmark status drafts` shows them");
    }
    Ok(ExitCode::SUCCESS)
}

/// Announced work as a table.
pub fn maintenances(view: &Value) -> String {
    let mut rows = table(["maintenance", "from", "until", "components", "title"]);
    for work in items(view, "maintenances") {
        let components = items(work, "components").into_iter().filter_map(Value::as_str);
        let components = components.collect::<Vec<_>>().join(",");
        let off = if work["is_cancelled"] == true { " (called off)" } else { "" };
        let title = format!("{}{off}", text(work, "name"));
        rows.add_row([text(work, "id"), text(work, "from"), text(work, "until"), &components, &title]);
    }
    rows.trim_fmt()
}

/// A list of an answer; empty where there is none.
pub fn items<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
    value[name].as_array().into_iter().flatten().collect()
}
