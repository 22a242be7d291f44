//! `floodmark detect`: anomalies in one series of numbers, row by row.

mod table;
mod time;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::CliError;
use crate::detect::{SeriesDetector, SeriesOptions, Verdict};
use crate::ingest::LineReader;
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
worse. Columns are found by name, whatever their case; others are ignored. The first 50 values are only learnt from.

Timestamps: 2026-03-09 10:04:55 (UTC), RFC 3339, epoch seconds or milliseconds, 3/9/2026 10:04. An empty value is a
missing one: its row is written with score 0. A row that cannot be read is told on standard error and left out.

Examples:
  floodmark detect requests-per-minute.csv
  floodmark detect --timestamp-column minute --value-column p99_ms --delimiter ';' latency.csv
  floodmark detect requests-per-minute.csv | awk -F, '$NF == 1'
  tail -n +1 -f live.csv | floodmark detect -")]
pub struct Args {
    /// CSV file with a header; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Column with the time of a row
    #[arg(long, value_name = "NAME", default_value = "timestamp")]
    timestamp_column: String,
    /// Column with the number to judge
    #[arg(long, value_name = "NAME", default_value = "value")]
    value_column: String,
    /// Character between columns, or `tab`
    #[arg(long, value_name = "CHARACTER", default_value = ",", value_parser = delimiter)]
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

/// Judges the file's rows to stdout.
pub fn run(args: &Args) -> Result<ExitCode, CliError> {
    let (input, flush_rows) = open(&args.file)?;
    let mut lines = LineReader::new(input, ROW_BYTES_MAX);
    let columns = Columns { timestamp: &args.timestamp_column, value: &args.value_column };
    let name = args.file.display();
    let table = header(&mut lines, args.delimiter, &columns).with_context(|| format!("cannot use {name}"))?;
    let mut detector = SeriesDetector::new(SeriesOptions { alert_score: args.alert_score });
    let mut out = Output::new(std::io::stdout().lock(), flush_rows);
    let mut refused: BTreeMap<Refusal, u64> = BTreeMap::new();
    let mut written = out.header();
    while written.is_ok() {
        let Some(line) = lines.next_line().with_context(|| format!("cannot read {name}"))? else { break };
        if line.bytes.iter().all(u8::is_ascii_whitespace) && !line.is_skipped() {
            continue;
        }
        let row = if line.is_skipped() { Err(Refusal::TooLong) } else { table.row(line.bytes) };
        match row {
            Ok(row) => written = out.row(&row, detector.step(row.timestamp_ms, row.value)),
            Err(refusal) => show(&name, line.number + 1, refusal, &mut refused),
        }
    }
    match written.and_then(|()| out.finish()) {
        // Whoever reads our output has seen enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            return Err(anyhow::Error::new(error).context("cannot write to stdout").into());
        }
        _ => {}
    }
    for (refusal, count) in refused {
        eprintln!("rejected {count} × {refusal}");
    }
    Ok(ExitCode::SUCCESS)
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
}

impl<W: Write> Output<W> {
    fn new(out: W, flush_rows: bool) -> Self {
        Self { writer: csv::Writer::from_writer(out), flush_rows }
    }

    fn header(&mut self) -> std::io::Result<()> {
        self.write(["timestamp", "value", "score", "alert"])
    }

    fn row(&mut self, row: &Row, verdict: Verdict) -> std::io::Result<()> {
        let score = format!("{:.6}", verdict.score);
        self.write([row.timestamp.as_str(), row.number.as_str(), &score, if verdict.alert { "1" } else { "0" }])
    }

    fn write(&mut self, fields: [&str; 4]) -> std::io::Result<()> {
        self.writer.write_record(fields).map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) => error,
            other => std::io::Error::other(format!("{other:?}")),
        })?;
        if self.flush_rows { self.writer.flush() } else { Ok(()) }
    }

    fn finish(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}
