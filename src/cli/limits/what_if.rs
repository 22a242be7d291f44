//! `floodmark limits what-if`: a limit that is not there yet, on the past.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::{files, report};
use crate::cli::ledger::access::Access;
use crate::cli::output::{OutputArgs, OutputFormat};
use crate::cli::{CliError, Globals, settings};
use crate::clock;
use crate::config::{Config, Format};
use crate::limits::{Algorithm, By, History, Precision, Question, Report, Retries, Spec, curve_svg, what_if};
use crate::telemetry;

const HELP: &str = "\
Applies a limiter, exact to the request, to what was sent, and says which customers it would have throttled and when, how
much of their and of all traffic, what the busiest second and minute would have been, and what it would have done in each
incident, to those who did it and to everybody else.

Over what is stored in ClickHouse every request is read where the whole span is there and not too much; else counts by
minute, and the answer says so, with the error that brings. With --events, files are read as `floodmark replay` does, twice:
first to find the incidents. No engine is needed.

The past cannot be run again: docs/limits.md says what an answer leaves out.

Examples:
  floodmark limits what-if --limit 1200/min --routes SearchFingerprints,CreateProfile,StartProfile --since 30d
  floodmark limits what-if --limit 1200/min --sweep 100/min..5000/min --since 14d --svg curve.svg
  floodmark limits what-if --limit 20/s --algorithm gcra --burst 40 --events storm.ndjson --output json";

/// Arguments of `limits what-if`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP, after_help = "More, with examples: floodmark limits what-if --help")]
#[command(group = clap::ArgGroup::new("past").args(["since", "events"]).required(true))]
pub struct Args {
    /// The limit: requests in a span of time, as in 1200/min, 20/s or 100/10s
    #[arg(long, value_name = "RATE")]
    limit: String,
    /// Routes counted together; all when absent
    #[arg(long, value_name = "ROUTE,...", value_delimiter = ',')]
    routes: Vec<String>,
    /// Who has a count of its own [default: subscription]
    #[arg(long, value_enum, value_name = "BY,...", value_delimiter = ',')]
    by: Vec<By>,
    /// On top of a window's requests; a bucket's size; or the requests that may come early (gcra)
    #[arg(long, value_name = "N")]
    burst: Option<u64>,
    /// How requests are counted
    #[arg(long, value_enum, default_value_t)]
    algorithm: Algorithm,
    /// Subscriptions that have no limit
    #[arg(long, value_name = "SUBSCRIPTION,...", value_delimiter = ',')]
    exempt: Vec<String>,
    /// What clients do when a request is refused
    #[arg(long, value_enum, default_value_t)]
    retries: Retries,
    /// Try these rates as well, draw the curve and propose one, as in 100/min..5000/min
    #[arg(long, value_name = "RATE..RATE")]
    sweep: Option<String>,
    /// Plans and their subscriptions (TOML: `free = ["sub-1", "sub-2"]`), for a proposal a plan
    #[arg(long, value_name = "FILE", requires = "sweep")]
    plans: Option<PathBuf>,
    /// Write the curve to this file, as SVG
    #[arg(long, value_name = "FILE", requires = "sweep")]
    svg: Option<PathBuf>,
    /// From when: a time, or how long ago, as in 30d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Until when: a time, or how long ago; without it, now
    #[arg(long, value_name = "TIME", conflicts_with = "events")]
    until: Option<String>,
    /// Which table to read
    #[arg(long, value_enum, default_value_t, conflicts_with = "events")]
    precision: Precision,
    /// Log files instead of what is stored
    #[arg(long, value_name = "FILE", num_args = 1..)]
    events: Vec<PathBuf>,
    /// Format of the files
    #[arg(long, value_enum, default_value_t, requires = "events")]
    format: Format,
    /// Directory of the rules that find the incidents of the files; without it, those in force
    #[arg(long, value_name = "DIR", requires = "events")]
    rules: Option<PathBuf>,
    /// Read the files once, and look for no incidents
    #[arg(long, requires = "events", conflicts_with = "rules")]
    no_incidents: bool,
    /// How long ClickHouse may take for an answer to begin or go on
    #[arg(long, default_value = "10m", value_parser = humantime::parse_duration, value_name = "DURATION")]
    timeout: Duration,
    #[command(flatten)]
    output: OutputArgs,
}

/// Answers.
pub(super) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let config = globals.load_config()?;
    let question = question(args)?;
    let spec = question.spec().map_err(|error| CliError::Usage(error.to_string()))?;
    telemetry::init(&globals.log, true).map_err(|error| CliError::Usage(error.to_string()))?;
    let answer = if args.events.is_empty() {
        let span = question.span(clock::now()).map_err(|error| CliError::Usage(error.to_string()))?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
        runtime.block_on(stored(&config, span, args, &spec))?
    } else {
        let settings = settings::load(&config, args.rules.as_deref())?;
        let settings = (!args.no_incidents).then_some(&settings);
        files::answer(&config, &args.events, args.format, settings, &spec)?
    };
    if let (Some(path), Some(sweep)) = (&args.svg, &answer.sweep) {
        std::fs::write(path, curve_svg(sweep)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let text = match args.output.output {
        OutputFormat::Table => report::text(&answer),
        OutputFormat::Json => serde_json::to_string_pretty(&answer).context("cannot write the report")? + "\n",
    };
    let exit = if answer.traffic.counted == 0 {
        eprintln!("floodmark: the limit counted no request of this span: nothing was tried (see the notes)");
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("cannot write to stdout").into())
        }
        _ => Ok(exit),
    }
}

fn question(args: &Args) -> Result<Question, CliError> {
    Ok(Question {
        limit: args.limit.clone(),
        routes: args.routes.clone(),
        by: args.by.clone(),
        burst: args.burst,
        algorithm: args.algorithm,
        exempt: args.exempt.clone(),
        retries: args.retries,
        sweep: args.sweep.clone(),
        plans: args.plans.as_ref().map(plans).transpose()?.unwrap_or_default(),
        since: args.since.clone(),
        until: args.until.clone(),
        precision: args.precision,
    })
}

fn plans(path: &PathBuf) -> Result<BTreeMap<String, Vec<String>>, CliError> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).map_err(|error| CliError::Config(format!("{}: {error}", path.display())))
}

async fn stored(
    config: &Config,
    (from, until): (crate::model::Timestamp, crate::model::Timestamp),
    args: &Args,
    spec: &Spec,
) -> anyhow::Result<Report> {
    let Some(access) = Access::open(config, args.timeout).await? else {
        bail!("the local ClickHouse holds nothing; set clickhouse.url, or give --events");
    };
    let history = History { clickhouse: &access.clickhouse, from, until, precision: args.precision };
    let answer = what_if(&history, spec).await;
    access.close().await?;
    Ok(answer?)
}
