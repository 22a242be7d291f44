//! `floodmark alerts history`: what was said of pages.

use std::process::ExitCode;

use reqwest::Method;

use super::client::{ServiceArgs, encoded, print_json, shown, text};
use crate::cli::output::{OutputArgs, OutputFormat, say, table};
use crate::cli::{CliError, Globals};
use crate::clock;

/// Rows that the service gives at most: more would be cut without a word.
const ROWS_MAX: i64 = 1_000;

/// Arguments of `history`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floodmark alerts history --since 7d
  floodmark alerts history --key 20260301T101000Z-retry-amplification-3f9c --output json")]
pub struct Args {
    /// How far back
    #[arg(long, value_name = "TIME", default_value = "1d")]
    since: humantime::Duration,
    /// Only this page
    #[arg(long)]
    key: Option<String>,
    /// At most so many rows, the newest; up to 1000
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=ROWS_MAX))]
    limit: u32,
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints it.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let back_ms = i64::try_from(args.since.as_millis()).unwrap_or(i64::MAX);
    let since = clock::now().plus(-back_ms).max(crate::model::Timestamp::MIN).to_string();
    let key = args.key.iter().map(|key| format!("&key={}", encoded(key))).collect::<String>();
    let path = format!("/api/v1/alerts/history?since={}&limit={}{key}", encoded(&since), args.limit);
    let answer = args.service.ask(globals, Method::GET, &path, None)?;
    if args.output.output == OutputFormat::Json {
        print_json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = table(["said at", "event", "key", "revision", "why", "title"]);
    for row in answer["history"].as_array().into_iter().flatten() {
        let revision = row["revision"].to_string();
        let silenced = if text(row, "silenced_by").is_empty() { "" } else { ", silenced" };
        let why = format!("{}{silenced}", text(row, "reason"));
        let [said_at, event, key, title] = ["said_at", "event", "dedup_key", "title"].map(|name| shown(row, name));
        rows.add_row([said_at, event, key, revision, why, title]);
    }
    say(&rows.trim_fmt())?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn more_rows_than_the_service_gives_are_refused() {
        let limit = |limit: &str| Line::try_parse_from(["history", "--limit", limit]).map(|line| line.args.limit);
        assert_eq!(limit("1000").unwrap(), 1_000);
        assert!(limit("1001").is_err() && limit("0").is_err());
    }
}
