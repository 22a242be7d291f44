//! `floodmark detect`: anomalies in one series of numbers, row by row.

mod series;
mod table;
mod time;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::query::held;
use super::{CliError, Globals};
use crate::detect::VALUES_LEARNT;
use crate::detect::{SeriesDetector, SeriesOptions, Verdict};
use crate::ingest::LineReader;
use crate::postmortem::plain;
use table::{Columns, Refusal, Row, Table};

/// A row longer than this is refused.
const ROW_BYTES_MAX: usize = 65_536;
/// Refused rows that are shown one by one, for each reason; all are counted.
const REFUSALS_SHOWN_MAX: u64 = 20;

/// Arguments of `detect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads CSV with a header and writes `timestamp,value,score,alert` as it reads: nothing ahead of a row is looked at, and
nothing is to be set for a series. The score is between 0 (usual) and 1; alert is 1 where an episode begins or becomes much
worse. Columns are found by name, whatever their case; others are ignored. The first 51 values are only learnt from, and up to the
150th an alert takes more than later; a series that ends with these is told on standard error.

Timestamps: 2026-03-09 10:04:55 (UTC), RFC 3339, epoch seconds or milliseconds, 3/9/2026 10:04. An empty value is a
missing one: its row is written with score 0. A row that cannot be read is told on standard error and left out.

Examples:
  floodmark detect requests-per-minute.csv
  floodmark detect --timestamp-column minute --value-column p99_ms --delimiter ';' latency.csv
  floodmark detect requests-per-minute.csv | awk -F, '$NF == 1'
  tail -n +1 -f live.csv | floodmark detect -
  floodmark detect --query traffic_over_time -p from=now-7d -p bucket_s=300 --time time --value requests_per_second
  floodmark detect --query route_latency_over_time -p from=now-1d --time time --value p95_ms --by route

With --by the first column of the output is the series, and the series follow each other.")]
#[command(group = clap::ArgGroup::new("series").args(["file", "query"]).required(true))]
pub struct Args {
    /// CSV file with a header; `-` is standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Ask this named query of the configured ClickHouse instead of reading a file
    #[arg(long, value_name = "NAME", requires_all = ["timestamp_column", "value_column"])]
    query: Option<String>,
    /// A value for a parameter of the query; those that are not given have their defaults
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE", requires = "query")]
    parameters: Vec<String>,
    /// With --query: a series for each value of this column
    #[arg(long, value_name = "COLUMN", requires = "query")]
    by: Option<String>,
    /// Column with the time of a row [default: timestamp]
    #[arg(long, visible_alias = "time", value_name = "NAME")]
    timestamp_column: Option<String>,
    /// Column with the number to judge [default: value]
    #[arg(long, visible_alias = "value", value_name = "NAME")]
    value_column: Option<String>,
    /// Character between columns, or `tab`
    #[arg(long, value_name = "CHARACTER", default_value = ",", value_parser = delimiter, conflicts_with = "query")]
    delimiter: u8,
    /// Score from which on a row is an alert, between 0 and 1
    #[arg(long, value_name = "SCORE", default_value_t = SeriesOptions::default().alert_score, value_parser = alert_score)]
    alert_score: f64,
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Ok(*byte),
        b"tab" | b"\\t" => Ok(b'\t'),
        _ => Err("one ASCII character, or `tab`".to_owned()),
    }
}

fn alert_score(text: &str) -> Result<f64, String> {
    let score = text.parse().ok().filter(|score| (0.01..=0.99).contains(score));
    score.ok_or_else(|| "a number from 0.01 to 0.99".to_owned())
}

/// Judges the rows of a file, or of a query's answer, to stdout.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let column = |given: &Option<String>, usual: &str| given.clone().unwrap_or_else(|| usual.to_owned());
    let (timestamp, value) = (column(&args.timestamp_column, "timestamp"), column(&args.value_column, "value"));
    let columns = Columns { timestamp: &timestamp, value: &value };
    match (&args.query, &args.file) {
        (Some(query), _) => of_query(args, query, &columns, globals),
        (None, Some(file)) => of_file(args, file, &columns),
        (None, None) => Err(CliError::Usage("name a FILE or a --query".to_owned())),
    }
}

fn of_query(args: &Args, query: &str, columns: &Columns<'_>, globals: &Globals) -> Result<ExitCode, CliError> {
    let answer = held(query, &args.parameters, globals)?;
    let series = series::series(&answer, columns, args.by.as_deref())?;
    let mut out = Output::new(std::io::stdout().lock(), false);
    out.by = args.by.is_some();
    let mut written = out.header(args.by.as_deref());
    for (name, rows) in &series {
        let mut detector = SeriesDetector::new(SeriesOptions { alert_score: args.alert_score });
        warn_if_short(name, rows.iter().filter(|row| !row.value.is_nan()).count());
        for row in rows {
            let verdict = detector.step(row.timestamp_ms, row.value);
            written = written.and_then(|()| out.row(name, row, verdict));
        }
    }
    finished(written.and_then(|()| out.finish()))
}

fn of_file(args: &Args, file: &Path, columns: &Columns<'_>) -> Result<ExitCode, CliError> {
    let (input, flush_rows) = open(file)?;
    let mut lines = LineReader::new(input, ROW_BYTES_MAX);
    let name = file.display();
    let table = header(&mut lines, args.delimiter, columns).with_context(|| format!("cannot use {name}"))?;
    let mut detector = SeriesDetector::new(SeriesOptions { alert_score: args.alert_score });
    let mut out = Output::new(std::io::stdout().lock(), flush_rows);
    let mut refused: BTreeMap<Refusal, u64> = BTreeMap::new();
    let mut written = out.header(None);
    let mut values = 0;
    while written.is_ok() {
        let Some(line) = lines.next_line().with_context(|| format!("cannot read {name}"))? else { break };
        if line.bytes.iter().all(u8::is_ascii_whitespace) && !line.is_skipped() {
            continue;
        }
        let row = if line.is_skipped() { Err(Refusal::TooLong) } else { table.row(line.bytes) };
        match row {
            Ok(row) => {
                values += usize::from(!row.value.is_nan());
                written = out.row("", &row, detector.step(row.timestamp_ms, row.value));
            }
            Err(refusal) => show(&name, line.number + 1, refusal, &mut refused),
        }
    }
    finished(written.and_then(|()| out.finish()))?;
    warn_if_short("", values);
    for (refusal, count) in refused {
        eprintln!("rejected {count} × {refusal}");
    }
    Ok(ExitCode::SUCCESS)
}

/// A series that was only learnt from has no alert, and that means nothing.
fn warn_if_short(series: &str, values: usize) {
    if values <= VALUES_LEARNT {
        let of = if series.is_empty() { "it".to_owned() } else { format!("series {}", plain(series)) };
        eprintln!(
            "floodmark: {of} has {values} values, and the first {VALUES_LEARNT} are only learnt from: no alert was possible"
        );
    }
}

fn finished(written: std::io::Result<()>) -> Result<ExitCode, CliError> {
    match written {
        // Whoever reads our output has seen enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("cannot write to stdout").into())
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// The input, and whether its rows come one by one, so that each is to be answered at once.
fn open(path: &Path) -> Result<(Box<dyn BufRead>, bool), CliError> {
    if path.as_os_str() == "-" {
        return Ok((Box::new(BufReader::new(std::io::stdin())), true));
    }
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let kind = file.metadata().with_context(|| format!("cannot open {}", path.display()))?.file_type();
    if kind.is_dir() {
        return Err(CliError::Usage(format!("{} is a directory; name its files", path.display())));
    }
    Ok((Box::new(BufReader::new(file)), !kind.is_file()))
}

fn header<R: BufRead>(lines: &mut LineReader<R>, delimiter: u8, columns: &Columns<'_>) -> anyhow::Result<Table> {
    let Some(line) = lines.next_line()? else { anyhow::bail!("it is empty; the first line names the columns") };
    anyhow::ensure!(!line.is_skipped(), "its first line is longer than {ROW_BYTES_MAX} bytes");
    Ok(Table::new(line.bytes, delimiter, columns)?)
}

fn show(name: &impl std::fmt::Display, line: i64, refusal: Refusal, refused: &mut BTreeMap<Refusal, u64>) {
    let count = refused.entry(refusal).or_default();
    *count += 1;
    if *count <= REFUSALS_SHOWN_MAX {
        eprintln!("{name}:{line}: {refusal}");
    }
}

/// The rows that are written.
struct Output<W: Write> {
    writer: csv::Writer<W>,
    flush_rows: bool,
    /// Whether a row says of which series it is.
    by: bool,
}

impl<W: Write> Output<W> {
    fn new(out: W, flush_rows: bool) -> Self {
        Self { writer: csv::Writer::from_writer(out), flush_rows, by: false }
    }

    fn header(&mut self, by: Option<&str>) -> std::io::Result<()> {
        self.write(by.unwrap_or_default(), ["timestamp", "value", "score", "alert"])
    }

    fn row(&mut self, series: &str, row: &Row, verdict: Verdict) -> std::io::Result<()> {
        let score = format!("{:.6}", verdict.score);
        let alert = if verdict.alert { "1" } else { "0" };
        self.write(series, [row.timestamp.as_str(), row.number.as_str(), &score, alert])
    }

    fn write(&mut self, series: &str, fields: [&str; 4]) -> std::io::Result<()> {
        let series = self.by.then_some(series);
        self.writer.write_record(series.into_iter().chain(fields)).map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) => error,
            other => std::io::Error::other(format!("{other:?}")),
        })?;
        if self.flush_rows { self.writer.flush() } else { Ok(()) }
    }

    fn finish(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}
