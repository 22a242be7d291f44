//! `floodmark query`: asks a named query or ad-hoc SQL, within the limits that the API has.

mod answer;
mod chart;
mod describe;
mod explain;
mod held;
mod plot;
mod row;
mod running;
mod shown;

pub(in crate::cli) use held::held;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::builder::PossibleValuesParser;

use super::attribute::when::epoch_ms;
use super::{CliError, Globals};
use crate::clock;
use crate::model::{Bound, NamedQuery, ParameterKind, Timestamp, did_you_mean};
use crate::query::ResultFormat;
use crate::telemetry;

/// Ctrl-C, as shells say it: 128 + SIGINT.
const EXIT_INTERRUPTED: u8 = 130;

/// Arguments of `query`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without a name the queries are listed. Times are RFC 3339, now, or now-24h. Results go to standard output, everything else to
standard error. An answer that is too large, or takes too long, is refused, never cut; Ctrl-C ends the query on the server.

Exit codes: 0 done, 1 failed or refused, 64 wrong usage, 78 configuration unusable, 130 Ctrl-C.

Examples:
  floodmark query
  floodmark query traffic_over_time --describe
  floodmark query subscriptions_top_retries -p from=now-1h -p limit=10
  floodmark query traffic_over_time -p from=now-6h --chart
  floodmark query route_latency_over_time --output parquet --out latency.parquet
  floodmark query --sql 'SELECT route, count() FROM requests WHERE timestamp > now() - 60 GROUP BY route' --explain")]
#[command(group = clap::ArgGroup::new("question").args(["name", "sql"]))]
pub struct Args {
    /// Name of the query
    #[arg(value_name = "NAME", hide_possible_values = true, value_parser = names())]
    name: Option<String>,
    /// A value for a parameter of the query; those that are not given have their defaults
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE", requires = "name")]
    parameters: Vec<String>,
    /// One SELECT over the tables, instead of a named query; `-` reads it from standard input
    #[arg(long, value_name = "SELECT")]
    sql: Option<String>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    output: OutputForm,
    /// Write to this file instead of standard output; it appears whole or not at all
    #[arg(long, value_name = "FILE", conflicts_with_all = ["chart", "explain", "describe"])]
    out: Option<PathBuf>,
    /// Plot columns of numbers against the column of times, in the terminal
    #[arg(long, conflicts_with = "explain")]
    chart: bool,
    /// Only plot this column; give several
    #[arg(long, value_name = "COLUMN", requires = "chart")]
    value: Vec<String>,
    /// Say what it would read, and of which indexes it makes use, and do not run it
    #[arg(long)]
    explain: bool,
    /// Say what the query answers, what it takes and what it gives
    #[arg(long, requires = "name", conflicts_with_all = ["chart", "explain"])]
    describe: bool,
}

/// Names for completion and for "did you mean".
fn names() -> PossibleValuesParser {
    let value = |query: &NamedQuery| clap::builder::PossibleValue::new(query.name).help(query.title.clone());
    PossibleValuesParser::new(NamedQuery::all().iter().map(value))
}

/// Forms of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum OutputForm {
    /// A table for people
    #[default]
    Table,
    /// One JSON document: meta, data, rows, statistics
    Json,
    /// A JSON object a line
    Ndjson,
    /// CSV with a header (RFC 4180)
    Csv,
    /// Parquet
    Parquet,
    /// Arrow's stream of record batches
    Arrow,
}

impl OutputForm {
    /// How ClickHouse is asked.
    fn format(self) -> ResultFormat {
        match self {
            Self::Table | Self::Ndjson => ResultFormat::Ndjson,
            Self::Json => ResultFormat::Json,
            Self::Csv => ResultFormat::Csv,
            Self::Parquet => ResultFormat::Parquet,
            Self::Arrow => ResultFormat::ArrowStream,
        }
    }

    fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow)
    }
}

/// What is asked.
enum Question {
    Named(Bound<'static>),
    Sql(String),
}

/// Runs the command.
///
/// # Errors
/// Usage (64), configuration (78), a query that is refused or fails (1).
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    refuse_contradictions(args)?;
    let question = match (&args.name, &args.sql) {
        (None, None) => return describe::list(args.output),
        (Some(name), _) => {
            let query = find(name)?;
            if args.describe {
                return describe::one(query, args.output);
            }
            refuse_unknown_values(query, &args.value)?;
            Question::Named(bind(query, &args.parameters)?)
        }
        (None, Some(sql)) => Question::Sql(text(sql)?),
    };
    refuse_unreadable(args)?;
    telemetry::init(&globals.log, true).map_err(|error| CliError::Usage(error.to_string()))?;
    let config = globals.load_config()?;
    // Two threads: progress is asked for while an answer is read.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(running::run(args, &question, &config))
}

fn find(name: &str) -> Result<&'static NamedQuery, CliError> {
    // clap has looked it up already.
    NamedQuery::find(name).ok_or_else(|| CliError::Usage(format!("there is no query {name}")))
}

/// A query with the values of `-p NAME=VALUE`, and defaults for the rest.
pub(in crate::cli) fn bind(query: &'static NamedQuery, given: &[String]) -> Result<Bound<'static>, CliError> {
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    for given in given {
        let (name, value) = given
            .split_once('=')
            .ok_or_else(|| CliError::Usage(format!("query {}: -p {given} is not NAME=VALUE", query.name)))?;
        let is_moment = query.parameter(name).is_some_and(|one| one.kind == ParameterKind::Moment);
        let value = if is_moment { in_rfc3339(value) } else { value.to_owned() };
        if values.insert(name.to_owned(), value).is_some() {
            return Err(CliError::Usage(format!("query {}: {name} is given twice", query.name)));
        }
    }
    query.bind(&values, clock::now()).map_err(|error| CliError::Usage(error.to_string()))
}

/// Columns that the query does not have.
fn refuse_unknown_values(query: &NamedQuery, values: &[String]) -> Result<(), CliError> {
    let names = || query.columns.iter().map(|column| column.name.as_str());
    let Some(unknown) = values.iter().find(|value| names().all(|name| name != value.as_str())) else { return Ok(()) };
    let hint = match did_you_mean(unknown, names()) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("its columns are: {}", names().collect::<Vec<_>>().join(", ")),
    };
    Err(CliError::Usage(format!("query {} has no column {unknown}; {hint}", query.name)))
}

/// Numbers of seconds and the like are times too; what is none of them is looked at by the query itself.
fn in_rfc3339(text: &str) -> String {
    let is_number = text.trim().parse::<f64>().is_ok();
    let epoch_ms = if is_number { epoch_ms(text) } else { None };
    epoch_ms.map_or_else(|| text.to_owned(), |epoch_ms| Timestamp::from_millis(epoch_ms).to_string())
}

fn text(sql: &str) -> Result<String, CliError> {
    if sql != "-" {
        return Ok(sql.to_owned());
    }
    let mut text = String::new();
    let stdin = std::io::Read::take(std::io::stdin(), crate::model::SQL_BYTES_MAX as u64 + 1);
    std::io::Read::read_to_string(&mut { stdin }, &mut text).context("cannot read standard input")?;
    Ok(text)
}

/// What clap cannot see: a list of queries has nothing to plot or to explain, and a plot has one form.
fn refuse_contradictions(args: &Args) -> Result<(), CliError> {
    let asks_nothing = args.name.is_none() && args.sql.is_none();
    if asks_nothing && (args.explain || args.chart || args.out.is_some()) {
        return Err(CliError::Usage("name a query, or give --sql: `floodmark query` lists them".to_owned()));
    }
    if args.chart && args.output != OutputForm::Table {
        return Err(CliError::Usage("--chart is a plot for people: leave --output out, or --chart".to_owned()));
    }
    Ok(())
}

/// A terminal cannot show Parquet.
fn refuse_unreadable(args: &Args) -> Result<(), CliError> {
    let shown = args.out.is_none() && std::io::IsTerminal::is_terminal(&std::io::stdout());
    if args.output.is_binary() && (shown || args.chart || args.explain) {
        let form = if args.output == OutputForm::Arrow { "arrow" } else { "parquet" };
        return Err(CliError::Usage(format!("--output {form} is not for a terminal: give a file with --out")));
    }
    Ok(())
}
