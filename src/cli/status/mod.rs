//! `floodmark status`: what the public is told, and would have been. Words are given to a running service.

mod ask;
mod export;
mod incident;
mod list;
mod maintenance;
mod replay;
mod show;
mod word;

use std::process::ExitCode;

use clap::Subcommand;

use super::{CliError, Globals};

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What people write is looked through: names of customers, clients, services and machines are refused. Drafts are made from
what is measured; publish one as it is, or with words of your own.

Examples:
  floodmark status drafts                                      what waits to be published
  floodmark status publish 4hx0v9mqw2tc                        as it was proposed
  floodmark status publish 4hx0v9mqw2tc --name 'Slow search' --file words.txt
  floodmark status update 4hx0v9mqw2tc --status identified --body 'We know why, and are at it.'
  floodmark status resolve 4hx0v9mqw2tc                        says how long it lasted
  floodmark status state search operational --for 2h --note 'The monitoring is wrong, not the search.'
  floodmark status maintenance announce --name 'Larger database' --body 'A minute without writes.' \\
      --from 2026-12-01T02:00:00Z --for 30m --components api
  floodmark status export /var/www/status                      the page as files, for any web host
  floodmark status replay requests.ndjson --output table       what would the page have said of this log?")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Drafts that wait to be published, with the words that are proposed
    Drafts(list::DraftsArgs),
    /// Open incidents, components, announced work
    List(list::Args),
    /// Everything about one incident or draft
    Show(show::Args),
    /// Publish a draft, as it is proposed or with other words
    Publish(incident::PublishArgs),
    /// Publish a new incident that is not measured
    Open(incident::OpenArgs),
    /// Say more of an incident
    Update(incident::UpdateArgs),
    /// Correct an update; what it said before is kept, not public
    Edit(incident::EditArgs),
    /// Say that an incident is over
    Resolve(incident::ResolveArgs),
    /// Say what was learnt from one that is over
    Postmortem(incident::PostmortemArgs),
    /// Drop a draft
    Discard(incident::DiscardArgs),
    /// Say how a component is, whatever is measured, for a while
    State(word::StateArgs),
    /// Let what is measured count again
    Clear(word::ClearArgs),
    /// Work that is announced to the public
    #[command(subcommand, after_help = "Example: floodmark status maintenance list")]
    Maintenance(maintenance::Command),
    /// Write the page, its feeds and badges as static files
    Export(export::Args),
    /// What the page would have said of a log: states of components over time, and their uptime
    Replay(replay::Args),
}

/// Runs the command.
///
/// # Errors
/// See the subcommands.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    match &args.command {
        Command::Drafts(args) => list::drafts(args, globals),
        Command::List(args) => list::run(args, globals),
        Command::Show(args) => show::run(args, globals),
        Command::Publish(args) => incident::publish(args, globals),
        Command::Open(args) => incident::open(args, globals),
        Command::Update(args) => incident::update(args, globals),
        Command::Edit(args) => incident::edit(args, globals),
        Command::Resolve(args) => incident::resolve(args, globals),
        Command::Postmortem(args) => incident::postmortem(args, globals),
        Command::Discard(args) => incident::discard(args, globals),
        Command::State(args) => word::state(args, globals),
        Command::Clear(args) => word::clear(args, globals),
        Command::Maintenance(command) => maintenance::run(command, globals),
        Command::Export(args) => export::run(args, globals),
        Command::Replay(args) => replay::run(args, globals),
    }
}
