//! `floodmark status state` and `clear`: a person's word on a component.

use std::process::ExitCode;

use serde_json::json;

use super::ask::{AskArgs, moment_ahead, states};
use crate::cli::{CliError, Globals};

/// Arguments of `state`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The page says until when a person says so. What is measured does not count so long, for uptime neither.

Example: floodmark status state search major_outage --for 45m --note 'All searches fail; our measurement misses it.'")]
pub struct StateArgs {
    /// Id of the component
    component: String,
    /// How it is
    #[arg(value_parser = states())]
    state: String,
    /// For how long, or until which time; within 7 days
    #[arg(long = "for", visible_alias = "until", value_name = "SPAN|TIME")]
    until: String,
    /// Why; public
    #[arg(long)]
    note: Option<String>,
    #[command(flatten)]
    ask: AskArgs,
}

/// Says how a component is.
pub fn state(args: &StateArgs, globals: &Globals) -> Result<ExitCode, CliError> {
    let StateArgs { component, state, until, note, ask } = args;
    let until = moment_ahead(until).map_err(CliError::Usage)?;
    let command = json!({"do": "state", "component": component, "state": state, "until": until, "note": note});
    ask.send(globals, command, &format!("said until {until}"))
}

/// Arguments of `clear`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: floodmark status clear search")]
pub struct ClearArgs {
    /// Id of the component
    component: String,
    #[command(flatten)]
    ask: AskArgs,
}

/// Takes a word back.
pub fn clear(args: &ClearArgs, globals: &Globals) -> Result<ExitCode, CliError> {
    args.ask.send(globals, json!({"do": "clear", "component": args.component}), "what is measured counts again")
}
