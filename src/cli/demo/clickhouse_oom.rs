//! `floodmark demo clickhouse-oom`: a release whose reports take abnormal memory, on a real ClickHouse in a container of
//! 2 GB. Prints the table of the runs.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use super::temporary_directory;
use crate::cli::output::{OutputFormat, table};
use crate::config::Config;
use crate::guard::trial::{
    Access, Account, Container, ContainerReport, Load, LoadOptions, Share, Tally, TrialPolicy, prepare,
};
use crate::local::{Credentials, LocalClickHouse, LocalClickHouseOptions, LocalGuard};

/// Name of the demo.
pub const NAME: &str = "clickhouse-oom";
/// Memory of the container: small, so that the machine is safe from the demo.
const CONTAINER_BYTES_MAX: u64 = 2_000_000_000;
/// What an engine believes it may take that nobody told of its container.
const UNTOLD_BYTES_MAX: u64 = 6_000_000_000;
/// What the policy lets it take: four fifths of its container, because some memory is not counted.
const TOLD_BYTES_MAX: u64 = CONTAINER_BYTES_MAX / 5 * 4;
/// How long dashboards and inserts run alone first, to know how fast they are.
const QUIET: Duration = Duration::from_secs(30);

/// Longest that the reports go on without the guard: a loop of kills shows itself within two minutes.
const WITHOUT_MAX: Duration = Duration::from_secs(120);

/// What one run showed.
#[derive(Debug, Serialize)]
struct Run {
    /// With the guard, or without.
    guarded: bool,
    /// How long the reports went on, in seconds.
    loaded_seconds: u64,
    /// 95th percentile of dashboards alone, in milliseconds.
    quiet_p95_ms: Option<f64>,
    /// The same beside the reports.
    loaded_p95_ms: Option<f64>,
    /// The container of the engine.
    container: ContainerReport,
    /// Statements beside the reports.
    statements: Tally,
}

/// Runs the trial; how long the reports go on is `duration`. Exit code 1 when an insert failed behind the guard, or the
/// engine had to be started again.
///
/// # Errors
/// An engine that is missing or does not start; a table that cannot be filled.
pub async fn run(config: &Config, duration: Duration, output: OutputFormat) -> anyhow::Result<ExitCode> {
    let directory = temporary_directory(config)?;
    let without = without_guard(config, &directory.path().join("without"), duration).await?;
    let with = with_guard(config, &directory.path().join("with"), duration).await?;
    let runs = [without, with];
    let mut out = std::io::stdout().lock();
    match output {
        OutputFormat::Json => serde_json::to_writer_pretty(&mut out, &runs)?,
        OutputFormat::Table => write_table(&runs, &mut out)?,
    }
    writeln!(out)?;
    Ok(if runs.iter().all(Run::is_as_promised) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Run {
    /// Behind the guard no insert fails and the engine is never started again. Without it nothing is promised.
    fn is_as_promised(&self) -> bool {
        !self.guarded
            || self.statements.inserts.succeeded == self.statements.inserts.sent && self.container.restarts == 0
    }
}

async fn without_guard(config: &Config, directory: &Path, duration: Duration) -> anyhow::Result<Run> {
    let engine = start_engine(config, directory, UNTOLD_BYTES_MAX, None).await?;
    let users = engine.users();
    let access = Access {
        url: engine.url().to_owned(),
        dashboards: account(&users.reader),
        inserts: account(&users.writer),
        reports: account(&users.reader),
    };
    fill(&engine).await?;
    let run = measure(&engine, &access, duration.min(WITHOUT_MAX), false).await?;
    engine.shutdown().await?;
    Ok(run)
}

async fn with_guard(config: &Config, directory: &Path, duration: Duration) -> anyhow::Result<Run> {
    let policy = TrialPolicy::new(TOLD_BYTES_MAX, &directory.join("guard"))?;
    let cores = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
    let guard = policy
        .compile(TOLD_BYTES_MAX, cores)?
        .local_guard()
        .map_err(|names| anyhow::anyhow!("names of the engine's own users: {names:?}"))?;
    let engine = start_engine(config, &directory.join("clickhouse"), TOLD_BYTES_MAX, Some(guard)).await?;
    fill(&engine).await?;
    let (proxy, access) = policy.guard(engine.url(), &engine.users().admin).await?;
    let run = measure(&engine, &access, duration, true).await?;
    proxy.stop().await;
    engine.shutdown().await?;
    Ok(run)
}

async fn start_engine(
    config: &Config,
    directory: &Path,
    memory_bytes_max: u64,
    guard: Option<LocalGuard>,
) -> anyhow::Result<LocalClickHouse> {
    let mut options = LocalClickHouseOptions::new(std::env::current_exe()?, &config.local, "trial");
    options.directory = directory.to_owned();
    options.memory_bytes_max = memory_bytes_max;
    options.guard = guard;
    Ok(LocalClickHouse::start(options).await?)
}

fn account(credentials: &Credentials) -> Account {
    Account { user: credentials.user.to_owned(), password: credentials.password.clone() }
}

async fn fill(engine: &LocalClickHouse) -> anyhow::Result<()> {
    eprintln!("filling a table of 8,000,000 rows");
    prepare(engine.url(), &account(&engine.users().admin)).await.context("cannot fill the trial's table")
}

/// Dashboards and inserts alone, then beside the reports.
async fn measure(engine: &LocalClickHouse, access: &Access, duration: Duration, guarded: bool) -> anyhow::Result<Run> {
    let container = Container::watch(engine.state(), CONTAINER_BYTES_MAX);
    eprintln!("{} s of dashboards and inserts alone", QUIET.as_secs());
    let quiet = Load::start(access, LoadOptions { duration: QUIET, reports: false })?.end().await;
    eprintln!("{} s beside the reports of the new release, {} the guard", duration.as_secs(), with(guarded));
    let statements = Load::start(access, LoadOptions { duration, reports: true })?.end().await;
    Ok(Run {
        guarded,
        loaded_seconds: duration.as_secs(),
        quiet_p95_ms: quiet.dashboards.quantile_ms(0.95),
        loaded_p95_ms: statements.dashboards.quantile_ms(0.95),
        container: container.end().await,
        statements,
    })
}

fn with(guarded: bool) -> &'static str {
    if guarded { "with" } else { "without" }
}

fn write_table(runs: &[Run], out: &mut dyn Write) -> anyhow::Result<()> {
    let mut table = table([
        "",
        "OOM kills",
        "restarts",
        "inserts failed",
        "dashboards failed",
        "p95 alone",
        "p95 loaded",
        "reports",
    ]);
    let milliseconds = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0} ms"));
    let failed = |share: &Share| format!("{} of {}", share.failures() + share.refused, share.sent);
    for run in runs {
        let reports = &run.statements.reports;
        table.add_row([
            format!("{} the guard", with(run.guarded)),
            format!("{} s", run.loaded_seconds),
            run.container.oom_kills.to_string(),
            run.container.restarts.to_string(),
            failed(&run.statements.inserts),
            failed(&run.statements.dashboards),
            milliseconds(run.quiet_p95_ms),
            milliseconds(run.loaded_p95_ms),
            format!("{} done, {} failed, {} refused", reports.succeeded, reports.failures(), reports.refused),
        ]);
    }
    writeln!(out, "{}", table.trim_fmt())?;
    Ok(())
}
