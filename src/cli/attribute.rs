//! `floodmark attribute`: which combinations of dimension values explain why a number deviates.

mod load;
mod report;
mod rows;
pub(in crate::cli) mod when;

use std::path::PathBuf;
use std::process::ExitCode;

use super::output::OutputFormat;
use super::{CliError, Globals};
use crate::incident::lattice::{CAUSES_MAX, DEPTH, Options, explain};

/// Arguments of `attribute`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP, after_help = "More, with examples: floodmark attribute --help")]
#[command(group = clap::ArgGroup::new("table").args(["file", "query"]).required(true))]
#[command(group = clap::ArgGroup::new("usual").args(["time_column", "expected"]).required(true).multiple(true))]
pub struct Args {
    /// Table with a header line, comma-separated (CSV)
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Ask this named query of the configured ClickHouse instead of reading a file
    #[arg(long, value_name = "NAME")]
    query: Option<String>,
    /// A value for a parameter of the query; those that are not given have their defaults
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE", requires = "query")]
    parameters: Vec<String>,
    /// Column with the time of a row
    #[arg(long, value_name = "T", requires = "at")]
    time_column: Option<String>,
    /// The moment to explain: a value of the time column, or the same time written in another way
    #[arg(long, value_name = "TIME", requires = "time_column", allow_hyphen_values = true)]
    at: Option<String>,
    /// Column with the number to explain
    #[arg(long, value_name = "V")]
    measure: String,
    /// Explain the ratio V/N: column with the denominator
    #[arg(long, value_name = "N")]
    of: Option<String>,
    /// With --of: V is the ratio or the mean of its row already, N what it was taken over
    #[arg(long, requires = "of")]
    mean: bool,
    /// Column with what was expected of V, instead of a comparison with earlier moments
    #[arg(long, value_name = "COLUMN")]
    expected: Option<String>,
    /// Columns to search, at most 10; without it all that have no other part
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    dimensions: Vec<String>,
    /// Columns that are neither dimensions nor anything else
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', conflicts_with = "dimensions")]
    ignore: Vec<String>,
    /// Dimensions that one cause may name, at most
    #[arg(long, value_name = "N", default_value_t = DEPTH as u64, value_parser = clap::value_parser!(u64).range(1..=5))]
    depth: u64,
    /// Causes that are printed, at most
    #[arg(long, value_name = "K", default_value_t = CAUSES_MAX as u64, value_parser = clap::value_parser!(u64).range(1..=20))]
    top: u64,
    /// Print also what comes next and does not stand out, as `others`
    #[arg(long)]
    all: bool,
    /// Form of the output; without it a table on a terminal, else JSON
    #[arg(long, value_enum)]
    output: Option<OutputFormat>,
}

const HELP: &str = "\
Why is it so high, or so low? Every combination of up to three dimensions is looked at. Printed is the set of those
that explain the deviation, best first: each with its share of the deviation, the measure now and expected, and how sure
it is. Usually that is one; more are printed only where each stands out from what deviates at every moment anyway.

What the measure is:
  --measure V            V is a count or a sum; rows of the same combination add up
  --measure V --of N     the ratio sum(V) / sum(N): failures of requests, milliseconds of requests
  --measure V --of N --mean
                         each row's V is a ratio or mean over N already: sum(V * N) / sum(N)

What was expected comes from the rows before TIME in the same table: the last 20 moments, or the same time on earlier days
where that would have foretold the last moments better. With --expected it is a column (of a ratio's V, like V).

Times are epoch numbers (seconds to nanoseconds), RFC 3339, or a date and time without a zone, which is UTC.
Rows after TIME are not looked at.

Examples:
  floodmark attribute requests.csv --time-column min --at 1596697740 --measure failures --of requests
  floodmark attribute sales.csv --time-column time --at 2026-03-09T10:05:00Z --measure orders --dimensions city,isp
  floodmark attribute forecast.csv --measure real --expected predict --output table
  floodmark attribute --query traffic_by_minute -p from=2026-03-09T09:30:00Z -p until=2026-03-09T10:06:00Z \\
      -p limit=1000000 --time-column minute --at 2026-03-09T10:05:00Z \\
      --measure failures --of requests --ignore resends";

/// Attributes the deviation.
///
/// # Errors
/// Wrong usage (64), configuration (78), a table that cannot be read or ClickHouse not to be had (1).
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let rows = match (&args.file, &args.query) {
        (Some(file), _) => rows::Rows::of_file(file)?,
        (None, Some(query)) => rows::Rows::of_query(query, &args.parameters, globals)?,
        (None, None) => return Err(CliError::Usage("name a FILE or a --query".to_owned())),
    };
    let columns = load::Columns::of(args, rows.header())?;
    let loaded = load::load(args, &columns, &rows)?;
    let options = Options {
        depth: usize::try_from(args.depth).unwrap_or(DEPTH),
        causes_max: usize::try_from(args.top).unwrap_or(CAUSES_MAX),
        others: args.all,
        dispersion: None,
    };
    let explanation = explain(&loaded.table, &options);
    report::print(args, &loaded, &explanation)?;
    Ok(ExitCode::SUCCESS)
}
