//! `floodmark ingest`: brings real logs in.

mod counts;
mod sinks;

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read as _, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use super::{CliError, Globals};
use crate::config::{Config, Format};
use crate::decode::{Decoded, Decoder};
use crate::ingest::{Line, LineReader};
use counts::Counts;
use sinks::{KafkaSink, Sink, TextSink};

/// Bytes read from the input at a time.
const BUFFER_BYTES: usize = 256 * 1024;
/// Bytes that are kept of a message that is too long to be read.
const EXCERPT_BYTES: usize = 1_024;
/// The progress bar moves every so many lines.
const PROGRESS_EVERY_LINES: u64 = 1_000;

const EXAMPLES: &str = "\
Examples:
  See what an access log becomes, without sending anything:
    floodmark ingest access.log --format combined --dry-run | head

  The same for a gateway's log; the summary says whether repeats and customers can be seen in it:
    floodmark ingest --file envoy.ndjson --format envoy --dry-run

  Send it to a service that reads access-log lines:
    export FLOODMARK__DECODE__REQUESTS_FORMAT=combined
    floodmark ingest access.log --format combined --to kafka

  Convert it, and look for incidents in it without any engine:
    floodmark ingest access.log --format combined --to stdout | floodmark replay -

  From a pipe, to another broker:
    zcat log.gz | floodmark ingest - --format native --to kafka --brokers kafka-1:9092

How lines are sent: when --format is what the service reads (decode.requests_format), lines
go as they are, keyed by their subscription, and the service refuses the bad ones. When the
service reads native events, other formats are converted here, and bad lines go to the
dead-letter topic from here (topic = file, offset = line, counted from 0).

Watermarks tell the service that nothing older will follow, so that at the end of the file
it decides on everything at once. Use --no-watermarks when other producers write to the same
topics: their records would be late.";

/// Arguments of `ingest`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES, after_help = "More, with examples: floodmark ingest --help")]
#[command(group = clap::ArgGroup::new("records").args(["file", "file_named"]).required(true))]
#[command(group = clap::ArgGroup::new("target").args(["to", "dry_run"]).required(true))]
pub struct Args {
    /// File with one record a line (otlp_proto: the whole file is one record); `-` reads standard input
    file: Option<PathBuf>,
    /// The same, as an option
    #[arg(long = "file", id = "file_named", value_name = "FILE")]
    file_named: Option<PathBuf>,
    /// Format of the lines
    #[arg(long, value_enum)]
    format: Format,
    /// Where to send events
    #[arg(long, value_enum)]
    to: Option<Destination>,
    /// Print what each line becomes, send nothing
    #[arg(long)]
    dry_run: bool,
    /// Kafka brokers, instead of `kafka.brokers` of the configuration
    #[arg(long, value_name = "HOST:PORT,…")]
    brokers: Option<String>,
    /// Send no watermarks
    #[arg(long)]
    no_watermarks: bool,
    /// How the counts at the end are printed (on standard output, or on standard error when that is taken by events)
    #[arg(long, value_enum, default_value_t = CountsFormat::Table)]
    output: CountsFormat,
}

impl Args {
    fn path(&self) -> &Path {
        // One of the two is always given: the parser of arguments requires it.
        self.file.as_deref().or(self.file_named.as_deref()).unwrap_or(Path::new("-"))
    }
}

/// Where events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Destination {
    /// The input topics
    Kafka,
    /// Standard output, as native events
    Stdout,
}

/// How counts are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CountsFormat {
    /// For people
    Table,
    /// For programs
    Json,
}

/// Runs the command.
///
/// # Errors
/// Wrong usage (64), configuration (78), input unreadable or records not taken by Kafka (1).
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let config = globals.load_config()?;
    let to_kafka = args.to == Some(Destination::Kafka);
    if to_kafka {
        check_formats(args.format, config.decode.requests_format)?;
    }
    let decoder = Decoder::new(args.format, &config.decode);
    let (input, bytes) = open(args.path())?;
    let mut sink = sink(args, &config, &decoder)?;
    let mut counts = Counts::default();
    let progress = progress_bar(bytes);
    let ended = match args.format {
        Format::OtlpProto => copy_whole(input, &decoder, sink.as_mut(), &mut counts),
        _ => {
            let mut reader = LineReader::new(input, decoder.record_bytes_max());
            copy(&mut reader, &decoder, sink.as_mut(), &mut counts, &progress)
        }
    };
    match ended.and_then(|()| sink.finish(&mut counts)) {
        Ok(()) => {}
        // Who reads our output has seen enough: `| head`.
        Err(error) if is_broken_pipe(&error) => return Ok(ExitCode::SUCCESS),
        Err(error) => return Err(error.into()),
    }
    let page = page_of(args.format);
    match (args.output, to_kafka) {
        (CountsFormat::Table, true) => println!("{}", counts.table(&page)),
        (CountsFormat::Table, false) => eprintln!("{}", counts.table(&page)),
        (CountsFormat::Json, true) => println!("{}", counts.json()),
        (CountsFormat::Json, false) => eprintln!("{}", counts.json()),
    }
    Ok(ExitCode::SUCCESS)
}

/// The page that says what to configure where such a log is written.
fn page_of(format: Format) -> String {
    match format {
        Format::Native => "docs/events.md".to_owned(),
        Format::OtlpJson | Format::OtlpProto => "docs/sources/otlp.md".to_owned(),
        format => format!("docs/sources/{}.md", format.as_str()),
    }
}

fn check_formats(lines: Format, service: Format) -> Result<(), CliError> {
    if lines == service || service == Format::Native {
        return Ok(());
    }
    let (lines, service) = (lines.as_str(), service.as_str());
    Err(CliError::Usage(format!(
        "the service reads {service} lines (decode.requests_format = \"{service}\") and cannot read {lines} ones: \
         set decode.requests_format = \"native\" for both, or give --format {service}"
    )))
}

fn sink<'a>(args: &Args, config: &Config, decoder: &'a Decoder) -> Result<Box<dyn Sink + 'a>, CliError> {
    let to_terminal = || stdout().lock();
    match args.to {
        Some(Destination::Stdout) => Ok(Box::new(TextSink::events_only(to_terminal()))),
        None => Ok(Box::new(TextSink::with_rejections(to_terminal()))),
        Some(Destination::Kafka) => {
            let mut kafka = config.kafka.clone().unwrap_or_default();
            if let Some(brokers) = &args.brokers {
                kafka.brokers.clone_from(brokers);
            }
            let as_they_are = args.format == config.decode.requests_format;
            let flow = (!args.no_watermarks).then_some(&config.flow);
            let file_name = args.path().file_name().map_or("-".into(), |name| name.to_string_lossy());
            let sink =
                KafkaSink::connect(&kafka, flow, &file_name, decoder, as_they_are).map_err(anyhow::Error::from)?;
            Ok(Box::new(sink))
        }
    }
}

fn open(path: &Path) -> Result<(Box<dyn BufRead>, Option<u64>), CliError> {
    if path == Path::new("-") {
        return Ok((Box::new(BufReader::with_capacity(BUFFER_BYTES, stdin().lock())), None));
    }
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = opened.with_context(|| format!("cannot read {}", path.display()))?;
    if metadata.is_dir() {
        return Err(CliError::Usage(format!("{} is a directory; give a file, or - and a pipe", path.display())));
    }
    let bytes = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(BufReader::with_capacity(BUFFER_BYTES, file)), bytes))
}

fn copy(
    reader: &mut LineReader<Box<dyn BufRead>>,
    decoder: &Decoder,
    sink: &mut dyn Sink,
    counts: &mut Counts,
    progress: &ProgressBar,
) -> anyhow::Result<()> {
    let mut decoded: Vec<Decoded> = Vec::new();
    while let Some(line) = reader.next_line().context("cannot read on")? {
        decoded.clear();
        line.decode(decoder, &mut |_, one| decoded.push(one));
        counts.add(&decoded);
        sink.line(&line, &decoded, counts)?;
        if counts.lines.is_multiple_of(PROGRESS_EVERY_LINES) {
            progress.set_position(reader.bytes_read());
            progress.set_message(format!("{} lines, {} rejected", counts.lines, counts.rejected()));
        }
    }
    progress.finish_and_clear();
    Ok(())
}

/// The whole input as one record: a binary message has no lines.
fn copy_whole(
    input: Box<dyn BufRead>,
    decoder: &Decoder,
    sink: &mut dyn Sink,
    counts: &mut Counts,
) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    // One byte more than is read, to see that there is more.
    let bound = decoder.record_bytes_max() as u64 + 1;
    input.take(bound).read_to_end(&mut bytes).context("cannot read on")?;
    let length = bytes.len();
    if length > decoder.record_bytes_max() {
        bytes.truncate(EXCERPT_BYTES);
    }
    let line = Line { number: 0, bytes: &bytes, length };
    let mut decoded: Vec<Decoded> = Vec::new();
    line.decode(decoder, &mut |_, one| decoded.push(one));
    counts.add(&decoded);
    sink.line(&line, &decoded, counts)
}

/// A bar on a terminal, nothing otherwise.
fn progress_bar(bytes: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = match bytes {
        Some(_) => "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}",
        None => "{spinner} {bytes} {bytes_per_sec} {msg}",
    };
    let bar = bytes.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}
