//! `floodmark limits export`: the limits file for a gateway.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::app;
use crate::cli::{CliError, Globals};
use crate::detect::Limits;
use crate::limits::export::{ExportFormat, ExportOptions, RoutePath, export};

/// Arguments of `limits export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What a gateway cannot express (the limits file counts in any span of time) is said at the top of what is written.

Examples:
  floodmark limits export --format envoy > ratelimit/config/floodmark.yaml
  floodmark limits export --format envoy-routes --path 'StartProfile=POST /v1/profiles/{id}/start'
  floodmark limits export --format nginx --header x-api-client --dry-run > /etc/nginx/conf.d/limits.conf")]
pub struct Args {
    /// What reads it
    #[arg(long, value_enum)]
    format: ExportFormat,
    /// Limits file [default: the one in force]
    #[arg(long, value_name = "FILE")]
    limits: Option<PathBuf>,
    /// Header that names the subscription; your authentication must set it
    #[arg(long, value_name = "NAME", default_value = "x-subscription")]
    header: String,
    /// Where a route is: NAME=METHOD /path/{variable}; may be repeated
    #[arg(long = "path", value_name = "ROUTE=PLACE", value_parser = parse_path)]
    paths: Vec<(String, RoutePath)>,
    /// Requests that may come at once (nginx); without it, whoever keeps to the limit is never refused
    #[arg(long, value_name = "N")]
    burst: Option<u64>,
    /// Count and log, and refuse nobody
    #[arg(long)]
    dry_run: bool,
}

fn parse_path(text: &str) -> Result<(String, RoutePath), String> {
    let (name, place) = text.split_once('=').ok_or_else(|| "write ROUTE=PLACE".to_owned())?;
    Ok((name.to_owned(), place.parse::<RoutePath>().map_err(|error| error.to_string())?))
}

/// Writes them to stdout.
pub(super) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let limits = limits(args, globals)?;
    let paths: BTreeMap<String, RoutePath> = args.paths.iter().cloned().collect();
    let known = |name: &String| limits.limits.iter().any(|limit| limit.routes.contains(name));
    if let Some(name) = paths.keys().find(|name| !known(name)) {
        return Err(CliError::Usage(format!("--path: no limit has a route {name}")));
    }
    let options = ExportOptions { header: args.header.clone(), paths, burst: args.burst, dry_run: args.dry_run };
    let text = export(&limits, args.format, &options).map_err(|error| CliError::Config(error.to_string()))?;
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

fn limits(args: &Args, globals: &Globals) -> Result<Limits, CliError> {
    let refused = |error: String| CliError::Config(error);
    match &args.limits {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            Limits::parse(&text, &path.display().to_string()).map_err(|error| refused(error.to_string()))
        }
        None => app::limits(&globals.load_config()?.detect).map_err(|error| refused(error.to_string())),
    }
}
