//! `floodmark replay`: a log through the same core as the live service.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use super::{CliError, Globals, settings};
use crate::config::Format;
use crate::decode::Decoder;
use crate::model::DurationMs;
use crate::replay::{Mistake, RejectedRecord, ReplayError, Source, replay};

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each line of output is JSON: alert transitions and incidents in order, then a summary. The same log gives the same
output, byte for byte, and the same transitions as the live service. No engine is needed.

Examples:
  floodmark replay requests.ndjson signals.ndjson changes.ndjson
  floodmark replay --format combined /var/log/nginx/access.log
  zcat old.ndjson.gz | floodmark replay --rules my-rules/ -")]
pub struct Args {
    /// Log files, merged by time; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Format of the files
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Directory of rule files (*.yaml) instead of the rules built in
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
}

/// The greatest `flow.allowed_lateness`.
const LATENESS_SECONDS_MAX: i64 = 3_600;

/// The command failed at reading or at writing.
pub(super) enum Failure {
    /// An input.
    Read(ReplayError),
    /// Standard output.
    Write(std::io::Error),
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        Self::Read(error)
    }
}

/// Replays the files to stdout.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let config = globals.load_config()?;
    let settings = settings::load(&config, args.rules.as_deref())?;
    let sources = open_all(&args.files, &Decoder::new(args.format, &config.decode))?;
    let progress = progress(&args.files);
    let mut stdout = BufWriter::new(std::io::stdout().lock());
    let result = replay::<_, Failure>(
        &settings,
        sources,
        &mut |output| write_line(&mut stdout, output).map_err(Failure::Write),
        &mut |rejected| progress.suspend(|| show(rejected)),
        &mut |bytes| progress.set_position(bytes),
    );
    progress.finish_and_clear();
    let result = result.and_then(|replayed| {
        write_line(&mut stdout, &replayed.summary).and_then(|()| stdout.flush()).map_err(Failure::Write)?;
        Ok(replayed)
    });
    to_exit_code(result.map(|replayed| {
        count_rejected(&replayed.rejected);
        tell_late(replayed.summary.late, replayed.out_of_order_ms_max, "replay");
    }))
}

/// What the command ends with.
pub(super) fn to_exit_code(result: Result<(), Failure>) -> Result<ExitCode, CliError> {
    match result {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // Whoever reads our output has seen enough.
        Err(Failure::Write(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(Failure::Write(error)) => Err(anyhow::Error::new(error).context("cannot write to stdout").into()),
        Err(Failure::Read(error)) => Err(anyhow::Error::new(error).into()),
    }
}

/// All files, to be read by `decoder`.
pub(super) fn open_all(files: &[PathBuf], decoder: &Decoder) -> Result<Vec<Source<Box<dyn BufRead>>>, CliError> {
    if files.iter().filter(|path| path.as_os_str() == "-").count() > 1 {
        return Err(CliError::Usage("standard input (-) can be read only once".to_owned()));
    }
    let source = |path: &PathBuf| Ok(Source::new(path.display().to_string(), open(path)?, decoder.clone()));
    files.iter().map(source).collect()
}

/// A file of lines; `-` is standard input.
pub(super) fn open(path: &Path) -> Result<Box<dyn BufRead>, CliError> {
    const BUFFER_BYTES: usize = 1 << 18;
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, std::io::stdin())));
    }
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(CliError::Usage(format!("{} is a directory; name its files", path.display())));
    }
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, file)))
}

/// Writes a value as a line of JSON.
pub(super) fn write_line(out: &mut impl Write, value: &impl serde::Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, value).map_err(std::io::Error::from)?;
    out.write_all(b"\n")
}

/// Shows a refused record.
pub(super) fn show(rejected: &RejectedRecord<'_>) {
    eprintln!("{}:{}: {}", rejected.source, rejected.line, rejected.reason);
}

/// Says how many records were refused, by mistake.
pub(super) fn count_rejected(rejected: &BTreeMap<Mistake, u64>) {
    for ((code, field), count) in rejected {
        let field = field.map(|field| format!(" ({field})")).unwrap_or_default();
        eprintln!("rejected {count} × {}{field}", code.as_str());
    }
}

/// Says how many events came too late to be counted, and how to count them with `command`.
pub(super) fn tell_late(late: u64, out_of_order_ms_max: DurationMs, command: &str) {
    if late > 0 {
        let seconds = out_of_order_ms_max.div_euclid(1_000) + 1;
        eprintln!(
            "late {late}: not detected on; the log is out of order by up to {seconds} s (see flow.allowed_lateness)"
        );
        if seconds <= LATENESS_SECONDS_MAX {
            eprintln!("to detect on all of it: FLOODMARK__FLOW__ALLOWED_LATENESS={seconds}s floodmark {command} ...");
        }
    }
}

/// A bar over the files' bytes, on a terminal only.
pub(super) fn progress(files: &[PathBuf]) -> ProgressBar {
    let total: Option<u64> = files.iter().map(|path| std::fs::metadata(path).ok().map(|m| m.len())).sum();
    if !std::io::stderr().is_terminal() || std::io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    match (total, style) {
        (Some(total), Ok(style)) => ProgressBar::new(total).with_style(style),
        _ => ProgressBar::new_spinner(),
    }
}
