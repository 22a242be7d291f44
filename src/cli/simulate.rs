//! `floodmark simulate`: a scenario as native events, on stdout, in a file or into Kafka.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use super::event_sink::{EventSink, KafkaSink, NdjsonSink, is_broken_pipe};
use super::{CliError, Globals};
use crate::config::{Format, Span};
use crate::model::{Event, Timestamp};
use crate::sim::{Description, NAMES, Pace, ScenarioError, ScenarioFile, WindowDescription};

/// The progress bar moves once in so many events.
const PROGRESS_EVENTS: u64 = 1_000;
/// Waits shorter than this are not worth a flush and a sleep.
const WAIT_MIN: Duration = Duration::from_millis(2);
/// Window of `--describe`.
const DESCRIBE_WINDOW_MS: i64 = 300_000;

/// Arguments of `simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  floodmark simulate --list
  floodmark simulate kameleo-retry-storm --describe
  floodmark simulate kameleo-retry-storm --seed 7 --out storm.ndjson
  floodmark simulate quiet-day --duration 1h | floodmark replay -
  floodmark simulate ./my-scenario.toml --speed 60 --to kafka --brokers 127.0.0.1:9092

The same scenario and seed give the same bytes on every machine.
A scenario says what the platform and its customers are like; load, latency and failures come out of that.")]
#[command(group = clap::ArgGroup::new("what").args(["scenario", "list"]).required(true).multiple(true))]
pub struct Args {
    /// Name of a built-in scenario, or path of a scenario file
    scenario: Option<String>,
    /// Print the built-in scenarios
    #[arg(long)]
    list: bool,
    /// Seed [default: the scenario's]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// About how many times the usual it gets, of those the scenario has [default: the scenario's]
    #[arg(long, value_name = "N")]
    amplitude: Option<f64>,
    /// Stop after this much event time, e.g. 90m [default: the scenario's]
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    duration: Option<Span>,
    /// File to write, or - for stdout
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
    /// Where events go
    #[arg(long, value_enum, default_value_t)]
    to: Destination,
    /// Kafka brokers, instead of `kafka.brokers` of the configuration
    #[arg(long, value_name = "HOST:PORT,...")]
    brokers: Option<String>,
    /// Times real time, or max
    #[arg(long, value_name = "N|max", default_value = "max", value_parser = parse_speed)]
    speed: Speed,
    /// Print a table of load, attempts, failures, latency and memory in 5-minute windows instead of the events
    #[arg(long, conflicts_with_all = ["out", "speed", "to"])]
    describe: bool,
}

/// Where events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum Destination {
    /// The file of `--out`
    #[default]
    File,
    /// The topics of `[kafka]`, followed by watermarks so that a service decides everything
    Kafka,
}

/// How fast event time passes; `None` is as fast as possible.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed(pub Option<f64>);

fn parse_span(text: &str) -> Result<Span, String> {
    humantime::parse_duration(text).map(Span).map_err(|e| e.to_string())
}

/// Reads `--speed`.
///
/// # Errors
/// Neither `max` nor a number above 0.
pub fn parse_speed(text: &str) -> Result<Speed, String> {
    match text.parse::<f64>() {
        _ if text == "max" => Ok(Speed(None)),
        Ok(speed) if speed.is_finite() && speed > 0.0 => Ok(Speed(Some(speed))),
        _ => Err("must be a number above 0, or max".to_owned()),
    }
}

impl From<ScenarioError> for CliError {
    fn from(error: ScenarioError) -> Self {
        Self::Config(error.to_string())
    }
}

/// Runs the command.
///
/// # Errors
/// [`CliError::Config`] for a scenario that is not usable, [`CliError::Failed`] when writing fails.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let result = match &args.scenario {
        Some(name) if !args.list => run_scenario(name, args, globals),
        _ => list(&mut io::stdout().lock()),
    };
    match result {
        Err(CliError::Failed(error)) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        other => other.map(|()| ExitCode::SUCCESS),
    }
}

fn run_scenario(name: &str, args: &Args, globals: &Globals) -> Result<(), CliError> {
    let mut scenario = ScenarioFile::load(name, args.amplitude)?;
    if let Some(duration) = args.duration {
        scenario.set_duration(duration);
    }
    let events = scenario.events(args.seed.unwrap_or(scenario.seed()))?;
    if args.describe {
        let store = scenario.store_source();
        return Ok(describe(events, Description::new(DESCRIBE_WINDOW_MS, store), &mut io::stdout().lock())?);
    }
    let feed = Feed {
        pace: Pace::new(scenario.start(), args.speed.0),
        progress: progress_bar(&scenario, args.out == Path::new("-") && io::stdout().is_terminal()),
        start: scenario.start(),
    };
    if args.to == Destination::Kafka {
        let mut sink = kafka_sink(args, globals)?;
        feed.run(events, &mut sink)?;
        let counts = sink.counts();
        let records = counts.acknowledged - counts.watermarks;
        eprintln!("{records} records and {} watermarks acknowledged by kafka", counts.watermarks);
        return Ok(());
    }
    if args.out == Path::new("-") {
        return Ok(feed.run(events, &mut NdjsonSink::new(io::stdout().lock()))?);
    }
    let path = args.out.display();
    let file = File::create(&args.out).with_context(|| format!("cannot create {path}"))?;
    Ok(feed.run(events, &mut NdjsonSink::new(file)).with_context(|| format!("cannot write {path}"))?)
}

fn kafka_sink(args: &Args, globals: &Globals) -> Result<KafkaSink, CliError> {
    let config = globals.load_config()?;
    if config.decode.requests_format != Format::Native {
        return Err(CliError::Usage("simulated events are native; decode.requests_format is not".to_owned()));
    }
    let mut kafka = match (config.kafka, &args.brokers) {
        (None, None) => return Err(CliError::Usage("--to kafka needs --brokers, or kafka.brokers".to_owned())),
        (kafka, _) => kafka.unwrap_or_default(),
    };
    if let Some(brokers) = &args.brokers {
        kafka.brokers.clone_from(brokers);
    }
    Ok(KafkaSink::new(&kafka, &config.flow)?)
}

/// Gives events to a sink, each when it is due.
struct Feed {
    pace: Pace,
    progress: ProgressBar,
    start: Timestamp,
}

impl Feed {
    fn run(&self, events: impl Iterator<Item = Event>, sink: &mut dyn EventSink) -> anyhow::Result<()> {
        let began = now();
        for (event, count) in events.zip(1_u64..) {
            let wait = self.pace.due(event.timestamp()).saturating_sub(began.elapsed());
            if wait >= WAIT_MIN {
                sink.flush()?;
                std::thread::sleep(wait);
            }
            sink.send(&event)?;
            if count % PROGRESS_EVENTS == 0 {
                let passed_ms = event.timestamp().since(self.start).max(0);
                self.progress.set_position(passed_ms as u64 / 1_000);
                self.progress.set_message(format!("{count} events"));
            }
        }
        sink.finish()?;
        self.progress.finish_and_clear();
        Ok(())
    }
}

// The shell may read a clock: pacing is the one thing here that needs it.
#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}

/// A bar over event time on stderr; hidden where stderr is no terminal, or where the events go to the same one.
fn progress_bar(scenario: &ScenarioFile, hidden: bool) -> ProgressBar {
    if hidden {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {percent:>3} %  {msg}  {elapsed}");
    let bar = ProgressBar::new(scenario.duration().0.as_secs()).with_prefix(scenario.name().to_owned());
    // The template is a constant; should it ever not parse, the plain bar does as well.
    style.map(|style| bar.clone().with_style(style)).unwrap_or(bar)
}

fn list(out: &mut dyn Write) -> Result<(), CliError> {
    for name in NAMES {
        let scenario = ScenarioFile::load(name, None)?;
        writeln!(out, "{name:<24} {:>8}  {}", scenario.duration().to_string(), scenario.title())
            .map_err(anyhow::Error::from)?;
    }
    Ok(())
}

fn describe(
    events: impl Iterator<Item = Event>,
    mut description: Description,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    writeln!(out, "start                 requests/s  attempts/request   5xx %   503 %   p50 ms  store MiB  restarts")?;
    for event in events {
        if let Some(window) = description.add(&event) {
            describe_window(&window, out)?;
        }
    }
    description.finish().map_or(Ok(()), |window| describe_window(&window, out))
}

fn describe_window(window: &WindowDescription, out: &mut dyn Write) -> anyhow::Result<()> {
    let per_second = window.requests as f64 / (DESCRIBE_WINDOW_MS / 1_000) as f64;
    writeln!(
        out,
        "{:<20}  {per_second:>10.1}  {:>16.2}  {:>6.2}  {:>6.2}  {:>7.0}  {:>9.0}  {:>8}",
        window.start.to_string(),
        window.attempts_per_request(),
        window.server_error_share() * 100.0,
        window.unavailable as f64 / window.requests.max(1) as f64 * 100.0,
        window.duration_ms_p50(),
        window.store_memory_bytes / f64::from(1 << 20),
        window.restarts,
    )?;
    Ok(())
}
