//! `floodmark status publish`, `open`, `update`, `edit`, `resolve`, `postmortem`, `discard`: words for the public.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use serde_json::json;

use super::ask::{AskArgs, BodyArgs, BodyOrNoneArgs, statuses};
use crate::cli::{CliError, Globals};

/// Arguments of `publish`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floodmark status publish 4hx0v9mqw2tc
  floodmark status publish 4hx0v9mqw2tc --status identified --body 'Some requests fail. We know why.'
  fmt words.txt | floodmark status publish 4hx0v9mqw2tc --file -")]
pub struct PublishArgs {
    /// Id of the draft
    draft: String,
    /// Title, 120 characters at most
    #[arg(long)]
    name: Option<String>,
    /// Where it stands
    #[arg(long, value_parser = statuses())]
    status: Option<String>,
    /// Ids of the components it touches, with commas between
    #[arg(long, value_delimiter = ',', value_name = "IDS")]
    components: Option<Vec<String>>,
    #[command(flatten)]
    body: BodyOrNoneArgs,
    #[command(flatten)]
    ask: AskArgs,
}

/// Makes a draft public.
pub fn publish(args: &PublishArgs, globals: &Globals) -> Result<ExitCode, CliError> {
    let PublishArgs { draft, name, status, components, body, ask } = args;
    let body = body.text()?;
    let command = json!({"do": "publish", "draft": draft, "name": name, "status": status, "body": body, "components": components});
    ask.send(globals, command, "published")
}

/// Arguments of `open`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: floodmark status open --name 'Slow search' --body 'Searches take up to a minute.' --components search")]
pub struct OpenArgs {
    /// Title, 120 characters at most
    #[arg(long)]
    name: String,
    /// Where it stands [default: investigating]
    #[arg(long, value_parser = statuses())]
    status: Option<String>,
    /// How bad it is [default: minor]
    #[arg(long, value_parser = PossibleValuesParser::new(["none", "minor", "major", "critical"]))]
    impact: Option<String>,
    /// Ids of the components it touches, with commas between
    #[arg(long, value_delimiter = ',', value_name = "IDS")]
    components: Vec<String>,
    /// When it began to be felt [default: now]
    #[arg(long, value_name = "TIME")]
    started_at: Option<String>,
    #[command(flatten)]
    body: BodyArgs,
    #[command(flatten)]
    ask: AskArgs,
}

/// Publishes a new incident.
pub fn open(args: &OpenArgs, globals: &Globals) -> Result<ExitCode, CliError> {
    let OpenArgs { name, status, impact, components, started_at, body, ask } = args;
    let now = crate::clock::now();
    let started_at = started_at.as_deref().map(|text| crate::cli::moment::moment(text, now)).transpose()?;
    let body = body.text()?;
    let command = json!({
        "do": "open", "name": name, "body": body, "status": status, "impact": impact, "components": components,
        "started_at": started_at,
    });
    ask.send(globals, command, "opened")
}

/// Arguments of `update`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floodmark status update 4hx0v9mqw2tc --status monitoring --body 'A fix is out. We go on watching.'
  floodmark status update 4hx0v9mqw2tc --reopen --body 'It is back.'")]
pub struct UpdateArgs {
    /// Id of the incident
    incident: String,
    /// Where it stands [default: as before]
    #[arg(long, value_parser = statuses())]
    status: Option<String>,
    /// A better title
    #[arg(long)]
    name: Option<String>,
    /// Ids of the components it touches, with commas between [default: as before]
    #[arg(long, value_delimiter = ',', value_name = "IDS")]
    components: Option<Vec<String>>,
    /// It was told to be over, and is not
    #[arg(long)]
    reopen: bool,
    #[command(flatten)]
    body: BodyArgs,
    #[command(flatten)]
    ask: AskArgs,
}

/// Says more of an incident.
pub fn update(args: &UpdateArgs, globals: &Globals) -> Result<ExitCode, CliError> {
    let UpdateArgs { incident, status, name, components, reopen, body, ask } = args;
    let body = body.text()?;
    let command = json!({
        "do": "update", "incident": incident, "body": body, "status": status, "name": name, "components": components,
        "reopen": reopen,
    });
    ask.send(globals, command, "updated")
}

/// Arguments of `edit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: floodmark status edit 4hx0v9mqw2tc 7d1kq0x5rn3b --body 'Some requests failed.'

`floodmark status show` names the updates.")]
pub struct EditArgs {
    /// Id of the incident
    incident: String,
    /// Id of the update
    update: String,
    #[command(flatten)]
    body: BodyArgs,
    #[command(flatten)]
    ask: AskArgs,
}

/// Corrects an update.
pub fn edit(args: &EditArgs, globals: &Globals) -> Result<ExitCode, CliError> {
    let EditArgs { incident, update, body, ask } = args;
    let body = body.text()?;
    let command = json!({"do": "edit_update", "incident": incident, "update": update, "body": body});
    ask.send(globals, command, "corrected")
}

/// Arguments of `resolve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: floodmark status resolve 4hx0v9mqw2tc --body 'All requests succeed again.'")]
pub struct ResolveArgs {
    /// Id of the incident
    incident: String,
    #[command(flatten)]
    body: BodyOrNoneArgs,
    #[command(flatten)]
    ask: AskArgs,
}

/// Says that it is over.
pub fn resolve(args: &ResolveArgs, globals: &Globals) -> Result<ExitCode, CliError> {
    let command = json!({"do": "resolve", "incident": args.incident, "body": args.body.text()?});
    args.ask.send(globals, command, "resolved")
}

/// Arguments of `postmortem`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: floodmark status postmortem 4hx0v9mqw2tc --file postmortem.txt")]
pub struct PostmortemArgs {
    /// Id of the incident
    incident: String,
    #[command(flatten)]
    body: BodyArgs,
    #[command(flatten)]
    ask: AskArgs,
}

/// Says what was learnt.
pub fn postmortem(args: &PostmortemArgs, globals: &Globals) -> Result<ExitCode, CliError> {
    let command = json!({"do": "postmortem", "incident": args.incident, "body": args.body.text()?});
    args.ask.send(globals, command, "published")
}

/// Arguments of `discard`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: floodmark status discard 4hx0v9mqw2tc")]
pub struct DiscardArgs {
    /// Id of the draft
    draft: String,
    #[command(flatten)]
    ask: AskArgs,
}

/// Drops a draft.
pub fn discard(args: &DiscardArgs, globals: &Globals) -> Result<ExitCode, CliError> {
    args.ask.send(globals, json!({"do": "discard", "draft": args.draft}), "discarded")
}
