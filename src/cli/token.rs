//! `floodmark token`: bearer tokens for the HTTP server.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;

use super::CliError;
use crate::api;
use crate::config::{Scope, TokenConfig};

/// Random bytes of a token: far more than anybody can try.
const TOKEN_BYTES: usize = 32;
/// What tokens begin with, so that scanners for leaked secrets can know them.
const TOKEN_PREFIX: &str = "floodmark_";

/// Arguments of `token`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: floodmark token new --name log-shipper --scopes ingest >> floodmark.toml")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a token: it goes to stderr once and is kept nowhere; the configuration lines with its hash go to stdout
    #[command(after_help = "\
Send it as `authorization: Bearer TOKEN`.

Example: floodmark token new --name log-shipper --scopes ingest >> floodmark.toml")]
    New {
        /// Whose it is
        #[arg(long, value_name = "NAME")]
        name: String,
        /// What its bearer may do, separated by commas
        #[arg(long, value_enum, value_delimiter = ',', default_value = "ingest", value_name = "SCOPES")]
        scopes: Vec<Scope>,
        /// Its bearer sees rows of this subscription only; for the scopes read and query
        #[arg(long, value_name = "SUBSCRIPTION")]
        subscription: Option<String>,
    },
}

/// The section of a configuration file that a token needs.
#[derive(serde::Serialize)]
struct File {
    http: Section,
}

#[derive(serde::Serialize)]
struct Section {
    tokens: Vec<TokenConfig>,
}

/// Runs the command.
///
/// # Errors
/// No random bytes, or stdout that cannot be written.
pub fn run(args: &Args) -> Result<ExitCode, CliError> {
    let Command::New { name, scopes, subscription } = &args.command;
    if name.trim().is_empty() {
        return Err(CliError::Usage("--name must not be empty".to_owned()));
    }
    let acts = scopes.iter().any(|scope| !matches!(scope, Scope::Read | Scope::Query));
    if subscription.is_some() && acts {
        return Err(CliError::Usage("--subscription goes with --scopes read,query: the others act for all".to_owned()));
    }
    if subscription.as_ref().is_some_and(|subscription| subscription.is_empty()) {
        return Err(CliError::Usage("--subscription must not be empty".to_owned()));
    }
    let mut random = [0; TOKEN_BYTES];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    let token = format!("{TOKEN_PREFIX}{}", hexadecimal(&random));
    let mut scopes = scopes.clone();
    scopes.sort_unstable();
    scopes.dedup();
    let sha256 = hexadecimal(&api::hash(&token));
    let config = TokenConfig { name: name.clone(), sha256, scopes, subscription: subscription.clone() };
    let text = toml::to_string(&File { http: Section { tokens: vec![config] } }).context("cannot write TOML")?;
    eprintln!("token (shown once): {token}");
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
