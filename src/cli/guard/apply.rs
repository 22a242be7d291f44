//! `floodmark guard apply`: change the server so that the policy holds.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;

use super::situation::{self, Situation};
use super::{report, said_once};
use crate::cli::output::{OutputArgs, OutputFormat};
use crate::cli::{CliError, Globals};
use crate::guard::policy::{ServerFacts, Target, Way, apply, write_private_file};
use crate::telemetry;

/// Arguments of `guard apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Shows the plan, asks, and does it: settings profiles, roles, quotas, workloads, then users, then what is to be removed. After
each kind the server is read again; if it is not as it should be, nothing further is done. Done a second time it does nothing.
The guard's own user (server.user) is never changed. Passwords go to the server as SHA-256 hashes.

A ClickHouse whose users come from users.xml only, like the local engine, cannot make them with SQL (its code 514). There
--users-xml FILE writes them into a file for its users.d (mode 0600, at once or not at all), and only workloads are made with
SQL. A server reads the file within seconds, the local engine when it starts; `floodmark guard drift` says when it has.

Exit code: 0 applied, or nothing to do; 1 refused by the server, or something is in the way; 78 the policy has holes.

Examples:
  floodmark guard apply --policy config/guard.toml
  floodmark guard apply --yes --output json
  floodmark guard apply --users-xml /etc/clickhouse-server/users.d/floodmark.xml
  floodmark guard apply --users-xml guard.xml --offline > workloads.sql")]
pub struct Args {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Take over users of the policy that exist already and are not the guard's
    #[arg(long)]
    adopt: bool,
    /// Write profiles, roles, quotas and users into this file
    #[arg(long, value_name = "FILE")]
    users_xml: Option<PathBuf>,
    /// Do not ask the server: S from the policy, this machine's cores; the workloads' statements go to stdout
    #[arg(long, requires = "users_xml", conflicts_with = "adopt")]
    offline: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs the command.
///
/// # Errors
/// The policy has holes (78); the server refuses, or something is in the way; no answer on a terminal (64).
pub fn run(args: &Args, policy: &Path, globals: &Globals) -> Result<ExitCode, CliError> {
    telemetry::init(&globals.log, true).map_err(|error| CliError::Usage(error.to_string()))?;
    match (&args.users_xml, args.offline) {
        (Some(file), true) => write_offline(file, policy),
        _ => situation::block_on(applied(args, policy)),
    }
}

fn write_offline(file: &Path, path: &Path) -> Result<ExitCode, CliError> {
    let usable = situation::usable(path)?;
    let memory_bytes_max = usable.policy.server.memory_bytes_max.map_or(0, |bytes| bytes.0.as_u64());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let facts = ServerFacts { memory_bytes_max, cores: u32::try_from(cores).unwrap_or(u32::MAX), ..Default::default() };
    let desired = situation::compiled(path, &usable, &facts)?;
    write_private_file(file, &desired.users_xml()).with_context(|| format!("cannot write {}", file.display()))?;
    let statements: String = desired.workload_statements().iter().map(|statement| format!("{statement};\n")).collect();
    std::io::stdout().write_all(statements.as_bytes()).context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}

async fn applied(args: &Args, path: &Path) -> Result<ExitCode, CliError> {
    let mut situation = situation::look(path, args.adopt).await?;
    let is_json = args.output.output == OutputFormat::Json;
    if !is_json {
        say(&report::as_text(&situation))?;
    }
    refuse_without_file(args, &situation)?;
    let plan = report::as_json(&situation);
    let mut statements = Vec::new();
    let mut is_written = false;
    if !situation.plan.is_empty() {
        confirm(args, situation.plan.changes.len())?;
        let target = Target {
            clickhouse: &situation.clickhouse,
            endpoint: &situation.endpoint,
            desired: &situation.desired,
            options: situation.options,
        };
        let said = |statement: &str| {
            if !is_json {
                eprintln!("{statement}");
            }
            statements.push(statement.to_owned());
        };
        let done = apply(target, &situation.plan, said).await;
        done.map_err(|error| said_once("the policy was not applied, or not wholly", &error))?;
        if let (Some(file), false) = (&args.users_xml, situation.server.sql_access) {
            let xml = situation.desired.users_xml();
            is_written = write_private_file(file, &xml).with_context(|| format!("cannot write {}", file.display()))?;
        }
        situation.compare().await?;
    }
    let remaining = situation.plan.changes.len();
    if is_json {
        let file = args.users_xml.as_ref().map(|file| json!({"file": file, "written": is_written}));
        let done = json!({"applied": plan, "statements": statements, "users_xml": file, "remaining": remaining});
        say(&format!("{done:#}\n"))?;
    } else if remaining > 0 {
        say("\nWritten. The rest holds once the server has read the file: ask `floodmark guard drift`.\n")?;
    } else if !statements.is_empty() {
        say(&format!("\n{} statements sent; the server is as the policy says.\n", statements.len()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A file that is needed, or of no use, is said before anything is done.
fn refuse_without_file(args: &Args, situation: &Situation) -> Result<(), CliError> {
    let needs_file = situation.plan.by(Way::UsersXml).next().is_some();
    if needs_file && args.users_xml.is_none() {
        let message = "this server cannot make users with SQL: write them for its users.d with --users-xml FILE";
        return Err(CliError::Usage(message.to_owned()));
    }
    if args.users_xml.is_some() && situation.server.sql_access {
        let message = "this server makes users with SQL: --users-xml would give it each of them twice";
        return Err(CliError::Usage(message.to_owned()));
    }
    Ok(())
}

fn confirm(args: &Args, changes: usize) -> Result<(), CliError> {
    if args.yes {
        return Ok(());
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(CliError::Usage("there is no terminal to ask on: --yes applies without asking".to_owned()));
    }
    eprint!("\nApply {changes} changes? Only `yes` will do: ");
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).context("cannot read the answer")?;
    if answer.trim() == "yes" { Ok(()) } else { Err(CliError::Usage("nothing was applied".to_owned())) }
}

fn say(text: &str) -> Result<(), CliError> {
    Ok(std::io::stdout().write_all(text.as_bytes()).context("cannot write to stdout")?)
}
