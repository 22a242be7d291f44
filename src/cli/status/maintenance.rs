//! `floodmark status maintenance`: work that is announced to the public.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::ask::{AskArgs, BodyArgs, BodyOrNoneArgs, moment_ahead};
use super::list::maintenances;
use crate::cli::alerts::client::{ServiceArgs, print_json};
use crate::cli::output::{OutputArgs, OutputFormat};
use crate::cli::{CliError, Globals};
use crate::model::Timestamp;

/// What there is to do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Work that was announced
    #[command(after_help = "Example: floodmark status maintenance list")]
    List(ListArgs),
    /// Announce work
    #[command(after_help = "\
Components are `under_maintenance` meanwhile, and the time does not count for uptime.

Example: floodmark status maintenance announce --name 'Larger database' --body 'A minute without writes.' \\
             --from 2026-12-01T02:00:00Z --for 30m --components api,search")]
    Announce(AnnounceArgs),
    /// Change it, before it begins; its end and words also later
    #[command(after_help = "Example: floodmark status maintenance change 9k2m4w7x0cde --until 2026-12-01T04:00:00Z")]
    Change(ChangeArgs),
    /// Call it off, or end it early
    #[command(after_help = "Example: floodmark status maintenance cancel 9k2m4w7x0cde")]
    Cancel(CancelArgs),
}

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `announce`.
#[derive(Debug, clap::Args)]
pub struct AnnounceArgs {
    /// Title, 120 characters at most
    #[arg(long)]
    name: String,
    /// When it begins: a time, or a span from now [default: now]
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// When it ends
    #[arg(long, value_name = "TIME", required_unless_present = "for", conflicts_with = "for")]
    until: Option<String>,
    /// How long it lasts, 7 days at most
    #[arg(long, value_name = "SPAN")]
    r#for: Option<humantime::Duration>,
    /// Ids of the components it is about, with commas between
    #[arg(long, required = true, value_delimiter = ',', value_name = "IDS")]
    components: Vec<String>,
    #[command(flatten)]
    body: BodyArgs,
    #[command(flatten)]
    ask: AskArgs,
}

/// Arguments of `change`.
#[derive(Debug, clap::Args)]
pub struct ChangeArgs {
    /// Id of the maintenance
    maintenance: String,
    /// Title
    #[arg(long)]
    name: Option<String>,
    /// When it begins
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// When it ends
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Ids of the components it is about, with commas between
    #[arg(long, value_delimiter = ',', value_name = "IDS")]
    components: Option<Vec<String>>,
    #[command(flatten)]
    body: BodyOrNoneArgs,
    #[command(flatten)]
    ask: AskArgs,
}

/// Arguments of `cancel`.
#[derive(Debug, clap::Args)]
pub struct CancelArgs {
    /// Id of the maintenance
    maintenance: String,
    #[command(flatten)]
    ask: AskArgs,
}

/// Runs the command.
pub fn run(command: &Command, globals: &Globals) -> Result<ExitCode, CliError> {
    match command {
        Command::List(args) => list(args, globals),
        Command::Announce(args) => announce(args, globals),
        Command::Change(args) => change(args, globals),
        Command::Cancel(args) => {
            let command = json!({"do": "cancel_maintenance", "maintenance": args.maintenance});
            args.ask.send(globals, command, "called off")
        }
    }
}

fn list(args: &ListArgs, globals: &Globals) -> Result<ExitCode, CliError> {
    let view = super::ask::view(&args.service, globals)?;
    if args.output.output == OutputFormat::Json {
        print_json(&json!({"maintenances": view["maintenances"]}))?;
    } else {
        println!("{}", maintenances(&view));
    }
    Ok(ExitCode::SUCCESS)
}

fn announce(args: &AnnounceArgs, globals: &Globals) -> Result<ExitCode, CliError> {
    let from = time(args.from.as_deref())?;
    let lasts = args.r#for.map(|span| i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
    let until = match lasts {
        Some(lasts) => Some(from.unwrap_or_else(crate::clock::now).plus(lasts)),
        None => time(args.until.as_deref())?,
    };
    let AnnounceArgs { name, components, .. } = args;
    let body = args.body.text()?;
    let command: Value = json!({
        "do": "announce", "name": name, "body": body, "from": from, "until": until, "components": components,
    });
    args.ask.send(globals, command, "announced")
}

fn change(args: &ChangeArgs, globals: &Globals) -> Result<ExitCode, CliError> {
    let (from, until) = (time(args.from.as_deref())?, time(args.until.as_deref())?);
    let ChangeArgs { maintenance, name, components, .. } = args;
    let body = args.body.text()?;
    let command = json!({
        "do": "change_maintenance", "maintenance": maintenance, "name": name, "body": body, "from": from,
        "until": until, "components": components,
    });
    args.ask.send(globals, command, "changed")
}

fn time(text: Option<&str>) -> Result<Option<Timestamp>, CliError> {
    text.map(moment_ahead).transpose().map_err(CliError::Usage)
}
