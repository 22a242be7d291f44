//! `floodmark status replay`: states of components over time, of a log, as the page would have measured them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use crate::alert::Rules;
use crate::cli::output::table;
use crate::cli::replay::{Failure, count_rejected, open_all, progress, show, tell_late, to_exit_code, write_line};
use crate::cli::{CliError, Globals};
use crate::config::{Config, Format, StatusConfig};
use crate::decode::Decoder;
use crate::detect::Limits;
use crate::flow::StreamId;
use crate::model::{DurationMs, Event, Timestamp};
use crate::pipeline::{Pipeline, Settings};
use crate::replay::{Mistake, Source, merge};
use crate::status::{ComponentChange, ComponentState, Figures, Measured, StatusWindow, uptime};

/// Arguments of `status replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each line of output is JSON: changes of components in order, then their uptime. A change is told when it is decided (`at`),
and dated back to the window in which it began (`since`). Only what is measured: nobody's word, no announced work. Without
[status] in the configuration there is one component, API, of all requests from outside. No engine is needed, and the same
log gives the same output, byte for byte.

Examples:
  floodmark simulate kameleo-retry-storm | floodmark status replay --output table -
  floodmark status replay --config floodmark.toml monday.ndjson tuesday.ndjson")]
pub struct Args {
    /// Log files, merged by time; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Format of the files
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    output: LinesFormat,
}

/// `--output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum LinesFormat {
    /// A line of JSON a change
    #[default]
    Ndjson,
    /// Tables for people
    Table,
}

/// A change, as a line.
#[derive(Debug, Serialize)]
struct ChangeLine<'a> {
    event: &'static str,
    at: Timestamp,
    since: Timestamp,
    component: &'a str,
    before: ComponentState,
    after: ComponentState,
    #[serde(flatten)]
    figures: Figures,
}

/// The last line.
#[derive(Debug, Serialize)]
struct UptimeLine {
    event: &'static str,
    /// End of the last window.
    at: Option<Timestamp>,
    components: Vec<ComponentUptime>,
    /// Windows that a bound left out.
    windows_lost: u64,
    rejected: u64,
    late: u64,
}

/// A component over the whole log, 90 days at most.
#[derive(Debug, Serialize)]
struct ComponentUptime {
    component: String,
    state: ComponentState,
    /// 0 to 1; absent where nothing is known.
    uptime: Option<f64>,
    operational_ms: DurationMs,
    degraded_ms: DurationMs,
    partial_ms: DurationMs,
    major_ms: DurationMs,
    #[serde(flatten)]
    figures: Figures,
}

/// Runs the command.
///
/// # Errors
/// A file that cannot be read, a configuration that cannot be used.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let config = globals.load_config()?;
    let status = config.status.clone().unwrap_or_default();
    let sources = open_all(&args.files, &Decoder::new(args.format, &config.decode))?;
    let progress = progress(&args.files);
    let mut stdout = BufWriter::new(std::io::stdout().lock());
    let mut changes = Vec::new();
    let mut on_change = |change: &ComponentChange| match args.output {
        LinesFormat::Ndjson => write_line(&mut stdout, &line(change)).map_err(Failure::Write),
        LinesFormat::Table => {
            changes.push(change.clone());
            Ok(())
        }
    };
    let result = replay(&config, &status, sources, &mut on_change, &|bytes| progress.set_position(bytes));
    progress.finish_and_clear();
    let result = result.and_then(|replayed| {
        let last = last_line(&replayed);
        let written = match args.output {
            LinesFormat::Ndjson => write_line(&mut stdout, &last),
            LinesFormat::Table => write_tables(&mut stdout, &changes, &last),
        };
        written.and_then(|()| stdout.flush()).map_err(Failure::Write)?;
        Ok(replayed)
    });
    to_exit_code(result.map(|replayed| {
        count_rejected(&replayed.rejected);
        tell_late(replayed.late, replayed.out_of_order_ms_max, "status replay");
    }))
}

struct Replayed {
    measured: Measured,
    rejected: BTreeMap<Mistake, u64>,
    late: u64,
    windows_lost: u64,
    out_of_order_ms_max: DurationMs,
}

/// Runs the log through the core without a rule: windows close as they do in the service.
fn replay<R: BufRead>(
    config: &Config,
    status: &StatusConfig,
    sources: Vec<Source<R>>,
    on_change: &mut dyn FnMut(&ComponentChange) -> Result<(), Failure>,
    on_progress: &dyn Fn(u64),
) -> Result<Replayed, Failure> {
    let rules = Rules { rules: Vec::new() };
    let settings = Settings { flow: config.flow.clone(), rules, limits: Limits::default() };
    let mut pipeline = Pipeline::new(&settings).with_components(status);
    let mut measured = Measured::new(status);
    let mut take_in = |windows: Vec<StatusWindow>| {
        let nothing_said = |_, _| None;
        let mut changes = windows.iter().flat_map(|window| measured.apply(window, &nothing_said));
        changes.try_for_each(|change| on_change(&change))
    };
    let (mut newest, mut out_of_order_ms_max) = (None, 0);
    let mut on_event = |event: &Event| {
        pipeline.apply(StreamId(0), event);
        newest = newest.max(Some(event.timestamp()));
        let behind_ms = newest.map_or(0, |newest: Timestamp| newest.since(event.timestamp()));
        out_of_order_ms_max = behind_ms.max(out_of_order_ms_max);
        take_in(pipeline.take_status_windows())
    };
    let rejected = merge(sources, &mut on_event, &mut |rejected| show(rejected), &mut |bytes| on_progress(bytes))?;
    pipeline.finish();
    take_in(pipeline.take_status_windows())?;
    let (late, windows_lost) = (pipeline.counts().late, pipeline.status_windows_lost());
    Ok(Replayed { measured, rejected, late, windows_lost, out_of_order_ms_max })
}

fn line(change: &ComponentChange) -> ChangeLine<'_> {
    ChangeLine {
        event: "component",
        at: change.at,
        since: change.since,
        component: &change.component,
        before: change.before,
        after: change.after,
        figures: change.figures,
    }
}

fn last_line(replayed: &Replayed) -> UptimeLine {
    let at = replayed.measured.data_as_of();
    let views = at.map(|at| replayed.measured.views(at, replayed.measured.freshness(at), &|_, _| None));
    let component = |view: crate::status::ComponentView| {
        let sum = |part: fn(&crate::status::DayView) -> i64| view.days.iter().map(part).sum();
        let count = |part: fn(&crate::status::DayView) -> u64| view.days.iter().map(part).sum();
        ComponentUptime {
            uptime: uptime::share(&view.days),
            operational_ms: sum(|day| day.operational_ms),
            degraded_ms: sum(|day| day.degraded_ms),
            partial_ms: sum(|day| day.partial_ms),
            major_ms: sum(|day| day.major_ms),
            figures: Figures {
                requests: count(|day| day.requests),
                failures: count(|day| day.failures),
                slow: count(|day| day.slow),
            },
            component: view.id,
            state: view.state,
        }
    };
    UptimeLine {
        event: "uptime",
        at,
        components: views.unwrap_or_default().into_iter().map(component).collect(),
        windows_lost: replayed.windows_lost,
        rejected: replayed.rejected.values().sum(),
        late: replayed.late,
    }
}

fn write_tables(out: &mut impl Write, changes: &[ComponentChange], last: &UptimeLine) -> std::io::Result<()> {
    let mut states = table(["since", "decided at", "component", "before", "after", "requests", "failed", "slow"]);
    for change in changes {
        states.add_row([
            change.since.to_string(),
            change.at.to_string(),
            change.component.clone(),
            change.before.words().to_owned(),
            change.after.words().to_owned(),
            change.figures.requests.to_string(),
            percent(change.figures.failures, change.figures.requests),
            percent(change.figures.slow, change.figures.requests),
        ]);
    }
    let mut uptimes = table(["component", "state", "uptime", "degraded", "partly out", "out", "requests", "failed"]);
    for component in &last.components {
        uptimes.add_row([
            component.component.clone(),
            component.state.words().to_owned(),
            component.uptime.map_or_else(|| "not known".to_owned(), |uptime| format!("{:.3} %", uptime * 100.0)),
            seconds(component.degraded_ms),
            seconds(component.partial_ms),
            seconds(component.major_ms),
            component.figures.requests.to_string(),
            percent(component.figures.failures, component.figures.requests),
        ]);
    }
    writeln!(out, "{}\n\n{}", states.trim_fmt(), uptimes.trim_fmt())
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.1} %", crate::flow::ratio(part, whole) * 100.0)
}

fn seconds(duration_ms: DurationMs) -> String {
    format!("{} s", duration_ms / 1_000)
}
