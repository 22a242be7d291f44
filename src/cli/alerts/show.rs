//! `floodmark alerts show`: one page, whole.

use std::process::ExitCode;

use reqwest::Method;
use serde_json::Value;

use super::client::{ServiceArgs, encoded, print_json, text};
use crate::cli::output::{OutputArgs, OutputFormat, say};
use crate::cli::{CliError, Globals};
use crate::postmortem::plain;

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
        say(&words(&view))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The page for a terminal.
fn words(view: &Value) -> String {
    let page = &view["page"];
    let mut lines = vec![
        text(page, "title").to_owned(),
        format!("{} since {}; {}", text(view, "standing"), text(page, "since"), text(page, "impact")),
    ];
    let taken = &view["acknowledgement"];
    if !taken.is_null() {
        let [author, until, note] = ["author", "expires_at", "note"].map(|name| text(taken, name));
        lines.push(format!("taken by {author} until {until}: {note}"));
    }
    lines.extend(view["silenced_by"].as_str().map(|silence| format!("silenced by {silence}")));
    lines.extend([String::new(), "alerts".to_owned()]);
    for alert in std::iter::once(&page["lead"]).chain(list(page, "alerts")) {
        let over = if alert["resolved_at"].is_null() { "" } else { " (over)" };
        lines.push(format!("  {} {}{over}: {}", text(alert, "severity"), text(alert, "alert"), text(alert, "summary")));
        lines.push(format!("    {} {}, usually {}", alert["value"], text(alert, "unit"), alert["baseline"]));
    }
    lines.extend(more(page, "alerts_more"));
    lines.extend(section("likely causes", list(page, "causes"), |cause| {
        format!("{} ({}): {}", dimensions(cause), text(cause, "confidence"), text(cause, "evidence"))
    }));
    let who = |one: &Value| format!("{} {}", percent(&one["share"]), dimensions(one));
    lines.extend(section("who", list(page, "contributors"), who));
    lines.extend(more(page, "contributors_more"));
    let refused = |one: &Value| format!("{}: {}", text(one, "candidate"), text(one, "why"));
    lines.extend(section("ruled out", list(page, "ruled_out"), refused));
    let action = |action: &Value| action.as_str().unwrap_or_default().to_owned();
    lines.extend(section("what to do", list(page, "actions"), action));
    let runbook = text(&page["lead"], "runbook");
    if !runbook.is_empty() {
        lines.extend([String::new(), format!("runbook: {runbook}")]);
    }
    // Names are those of strangers: none of them is a line of its own.
    lines.iter().map(|line| plain(line)).collect::<Vec<_>>().join("\n")
}

fn section(title: &str, entries: &[Value], line: impl Fn(&Value) -> String) -> Vec<String> {
    if entries.is_empty() {
        return Vec::new();
    }
    let head = [String::new(), title.to_owned()];
    head.into_iter().chain(entries.iter().map(|entry| format!("  {}", line(entry)))).collect()
}

fn more(page: &Value, name: &str) -> Option<String> {
    page[name].as_u64().filter(|count| *count > 0).map(|count| format!("  and {count} more"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_strangers_do_not_command_the_terminal() {
        let evil = "a\u{1b}[31m\nalerts";
        let view = serde_json::json!({
            "standing": "open",
            "page": {
                "title": evil,
                "lead": {"alert": "RestartLoop", "severity": "critical", "summary": evil, "value": 1.5, "baseline": 0.0},
                "causes": [{"dimensions": {"client": evil}, "confidence": "high", "evidence": evil}],
                "contributors": [{"dimensions": {"subscription": evil}, "share": 0.5}],
                "actions": [evil],
            },
        });
        let said = words(&view);
        assert!(!said.contains('\u{1b}'), "{said:?}");
        assert_eq!(said.lines().filter(|line| *line == "alerts").count(), 1, "{said}");
        assert!(said.contains("  50 % subscription = a\u{fffd}[31m"), "{said}");
    }
}
