//! Where the rows come from: a file, read twice and never held, or the answer of a named query.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde_json::{Map, Value as Json};

use crate::cli::ledger::access::Access;
use crate::cli::{CliError, Globals};
use crate::store::named_queries::{NamedQuery, ParameterKind, Value};
use crate::telemetry;

/// A query that takes longer than this has failed.
const QUERY_TIMEOUT: Duration = Duration::from_secs(300);
/// Rows of a query's answer that are held. A query has a limit of its own; this one keeps memory below a gigabyte.
pub(super) const QUERY_ROWS_MAX: usize = 2_000_000;

/// A table with a header.
pub(super) enum Rows {
    File { path: PathBuf, header: Vec<String> },
    Held { header: Vec<String>, rows: Vec<Vec<String>> },
}

impl Rows {
    /// Reads the header of a CSV file.
    pub(super) fn of_file(path: &Path) -> Result<Self, CliError> {
        let mut reader = open(path)?;
        let header = reader.headers().with_context(|| format!("cannot read {}", path.display()))?;
        let header = header.iter().map(|name| name.trim().to_owned()).collect();
        Ok(Self::File { path: path.to_owned(), header })
    }

    /// Asks a named query.
    pub(super) fn of_query(name: &str, parameters: &[String], globals: &Globals) -> Result<Self, CliError> {
        let names = || NamedQuery::all().iter().map(|query| query.name).collect::<Vec<_>>().join(", ");
        let query = NamedQuery::find(name)
            .ok_or_else(|| CliError::Usage(format!("there is no query {name}; there are {}", names())))?;
        let values = values(query, parameters)?;
        let config = globals.load_config()?;
        telemetry::init(&globals.log, true).map_err(|error| CliError::Usage(error.to_string()))?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
        let answer: Vec<Map<String, Json>> = runtime.block_on(async {
            let access = Access::open(&config, QUERY_TIMEOUT).await?;
            let access = access.ok_or_else(|| anyhow!("nothing was stored yet: there is nothing to ask"))?;
            let answer = access.clickhouse.ask(query, values).await;
            access.close().await?;
            anyhow::Ok(answer?)
        })?;
        if answer.len() > QUERY_ROWS_MAX {
            return Err(anyhow!("the query gives more than {QUERY_ROWS_MAX} rows; ask for less").into());
        }
        let header: Vec<String> = answer.first().map(|row| row.keys().cloned().collect()).unwrap_or_default();
        if header.is_empty() {
            return Err(anyhow!("the query gives no rows").into());
        }
        let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let rows = answer.iter().map(|row| row.values().map(text).collect()).collect();
        Ok(Self::Held { header, rows })
    }

    pub(super) fn header(&self) -> &[String] {
        match self {
            Self::File { header, .. } | Self::Held { header, .. } => header,
        }
    }

    /// Each row with its line (of an answer its number), in order, until one fails.
    pub(super) fn each(&self, mut take: impl FnMut(&[&str]) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let width = self.header().len();
        match self {
            Self::File { path, .. } => {
                let mut reader = open(path)?;
                let mut record = csv::StringRecord::new();
                let place = |line: u64| format!("{}:{line}", path.display());
                while reader.read_record(&mut record).with_context(|| format!("cannot read {}", path.display()))? {
                    let fields: Vec<&str> = record.iter().collect();
                    let line = record.position().map_or(0, csv::Position::line);
                    if fields.len() != width {
                        return Err(anyhow!("{} fields, but the header has {width}", fields.len()))
                            .context(place(line));
                    }
                    take(&fields).with_context(|| place(line))?;
                }
            }
            Self::Held { rows, .. } => {
                for (row, number) in rows.iter().zip(1_u64..) {
                    let fields: Vec<&str> = row.iter().map(String::as_str).collect();
                    take(&fields).with_context(|| format!("row {number} of the answer"))?;
                }
            }
        }
        Ok(())
    }
}

fn open(path: &Path) -> anyhow::Result<csv::Reader<std::fs::File>> {
    let file = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    Ok(csv::ReaderBuilder::new().flexible(true).from_reader(file))
}

fn values(query: &'static NamedQuery, given: &[String]) -> Result<Vec<(&'static str, Value)>, CliError> {
    let usage = |text: String| CliError::Usage(format!("query {}: {text}", query.name));
    let mut values: Vec<(&'static str, Value)> = Vec::new();
    for given in given {
        let (name, text) = given.split_once('=').ok_or_else(|| usage(format!("--param {given} is not NAME=VALUE")))?;
        let parameter = query.parameters.iter().find(|parameter| parameter.name == name);
        let parameter = parameter.ok_or_else(|| usage(format!("there is no parameter {name}")))?;
        let wrong = || usage(format!("{name}={text} is not what it takes: {}", what(parameter.kind)));
        let value = match parameter.kind {
            ParameterKind::Text => Value::Text(text.to_owned()),
            ParameterKind::Count => Value::Count(text.parse().map_err(|_| wrong())?),
            ParameterKind::Number => {
                Value::Number(text.parse().ok().filter(|n: &f64| n.is_finite()).ok_or_else(wrong)?)
            }
            ParameterKind::Moment => Value::Moment(moment(text).ok_or_else(wrong)?),
        };
        values.push((parameter.name.as_str(), value));
    }
    for parameter in &query.parameters {
        if !values.iter().any(|(name, _)| *name == parameter.name) {
            let kind = what(parameter.kind);
            return Err(usage(format!("--param {}=… is missing ({kind})", parameter.name)));
        }
    }
    Ok(values)
}

fn what(kind: ParameterKind) -> &'static str {
    match kind {
        ParameterKind::Text => "a text",
        ParameterKind::Count => "a whole number",
        ParameterKind::Number => "a number",
        ParameterKind::Moment => "a time",
    }
}

/// A time as ClickHouse takes it.
fn moment(text: &str) -> Option<String> {
    let moment = jiff::Timestamp::from_millisecond(super::when::epoch_ms(text)?).ok()?;
    Some(moment.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string())
}
