//! `floodmark guard watch`: black box and watchdog, without the proxy.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::situation;
use crate::cli::output::{OutputArgs, OutputFormat};
use crate::cli::{CliError, Globals};
use crate::guard::policy::GuardPolicy;
use crate::guard::watch::{self, Watch, WatchEvent};
use crate::metrics::Metrics;
use crate::shutdown::Signals;
use crate::telemetry;

/// Events on their way to the terminal. When it does not keep up, the watch keeps the latest.
const EVENTS_BOUND: usize = 256;

/// Arguments of `guard watch`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Looks at system.processes each second, on a connection of its own, and keeps every look in a ring on disk
(black_box.directory), where `floodmark guard postmortem` finds it after a crash. When memory runs short it kills queries,
before the server's own limit fails everybody: never a write, a merge or its own user. With watchdog.enforce = false, the
default, it says what it would have killed. Either way a line goes to audit.ndjson in the same directory.

Its user (server.user) needs SELECT on system.processes, metrics, server_settings and query_log, and KILL QUERY; it must not
be the user of an application.

What happens is told on standard error; with --output json as a line each on standard output.

Examples:
  floodmark guard watch --policy config/guard.toml
  floodmark guard watch --output json >> watch.ndjson")]
pub struct Args {
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs until a signal comes.
///
/// # Errors
/// The policy (78), its password file, the black box.
pub fn run(args: &Args, policy: &Path, globals: &Globals) -> Result<ExitCode, CliError> {
    let policy = situation::without_holes(policy)?;
    telemetry::init(&globals.log, true).map_err(|error| CliError::Usage(error.to_string()))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(watched(policy, args.output.output))?;
    Ok(ExitCode::SUCCESS)
}

async fn watched(policy: GuardPolicy, output: OutputFormat) -> anyhow::Result<()> {
    let mut signals = Signals::install().context("cannot take over signals")?;
    let shutdown = CancellationToken::new();
    let (events, mut told) = mpsc::channel(EVENTS_BOUND);
    let mode = if policy.watchdog.enforce { "kills" } else { "shadow: kills nothing, says what it would" };
    tracing::info!(server = policy.server.url, watchdog = mode, directory = %policy.black_box.directory.display(), "watching");
    let watch = Watch::alone(policy, Arc::new(Metrics::new()))?;
    let mut running = tokio::spawn(watch::run(watch, shutdown.clone(), events));
    loop {
        tokio::select! {
            () = signals.received() => break,
            ended = &mut running => return Ok(ended.context("the watch has panicked")??),
            Some(event) = told.recv() => tell(&event, output)?,
        }
    }
    signals.exit_on_next();
    shutdown.cancel();
    running.await.context("the watch has panicked")??;
    while let Ok(event) = told.try_recv() {
        tell(&event, output)?;
    }
    Ok(())
}

fn tell(event: &WatchEvent, output: OutputFormat) -> std::io::Result<()> {
    if matches!(event, WatchEvent::Memory { .. }) {
        return Ok(());
    }
    match output {
        OutputFormat::Json => {
            let mut stdout = std::io::stdout().lock();
            serde_json::to_writer(&mut stdout, event)?;
            stdout.write_all(b"\n")?;
            stdout.flush()
        }
        OutputFormat::Table => writeln!(std::io::stderr().lock(), "{event}"),
    }
}
