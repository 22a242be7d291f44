//! `floodmark alerts test`: rules held to their tests, and the tests to broken rules.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use super::test_report;
use crate::cli::{CliError, Globals, settings};
use crate::detect::Limits;
use crate::rule_tests::{self, FileOutcome, Survivors, TestFile, TestFileError, shipped_survivors, shipped_tests};

/// Arguments of `alerts test`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A test file names a rule, says what comes in (events that are repeated, or a scenario) and which transitions must come
out, at which times. Exit code 0: all as expected. 1: not so; the lines with - were expected, those with + came.

With --mutate each rule is broken in many ways, one at a time (thresholds and times doubled and halved, the severity
swapped, the rule taken away), and its tests are run: a mutant that none of them notices has survived, exit code 1.

Examples:
  floodmark alerts test
  floodmark alerts test --rules my-rules/ my-tests/
  floodmark alerts test --mutate --output json")]
pub struct Args {
    /// Test files, or directories of them; without any, the tests of the shipped rules
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Directory of rule files (*.yaml) instead of the rules built in
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Break each rule, one change at a time, and fail when its tests do not notice
    #[arg(long)]
    mutate: bool,
    /// Mutants that may survive, with reasons; for the shipped tests theirs are built in
    #[arg(long, value_name = "FILE", requires = "mutate")]
    survivors: Option<PathBuf>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

/// Forms of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum Format {
    /// A table for people
    #[default]
    Table,
    /// JSON for programs
    Json,
    /// JUnit's XML for CI systems
    Junit,
}

/// Runs the tests, or the mutants.
pub(super) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    if args.mutate && args.output == Format::Junit {
        return Err(CliError::Usage("--mutate reports as table or json".to_owned()));
    }
    let config = globals.load_config()?;
    let settings = settings::load(&config, args.rules.as_deref())?;
    let files = if args.files.is_empty() { shipped_tests() } else { TestFile::load(&args.files) };
    let files = files.map_err(unusable)?;
    // The shipped tests know the shipped limits.
    let limits = if args.files.is_empty() {
        Limits::shipped().map_err(|e| CliError::Config(e.to_string()))?
    } else {
        settings.limits.clone()
    };
    let progress = progress(files.len());
    let (text, passed) = if args.mutate {
        let survivors = survivors(args)?;
        let report = rule_tests::mutate(&settings.rules, &limits, &files, &survivors, &mut || progress.inc(1));
        (test_report::mutation(&report, args.output), report.passed())
    } else {
        let mut outcomes = rule_tests::run(&settings.rules, &limits, &files, &mut |_| progress.inc(1));
        if args.files.is_empty() {
            // Rules of one's own need not be those that the shipped tests are for.
            outcomes.retain(|outcome| !outcome.rule_missing);
        }
        let passed = !outcomes.is_empty() && outcomes.iter().all(FileOutcome::passed);
        (test_report::tests(&outcomes, args.output), passed)
    };
    progress.finish_and_clear();
    std::io::stdout().lock().write_all(text.as_bytes()).context("cannot write to stdout")?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn unusable(error: TestFileError) -> CliError {
    CliError::Config(error.to_string())
}

/// The named file, else one beside the tests, else those of the shipped tests.
fn survivors(args: &Args) -> Result<Survivors, CliError> {
    let beside = args.files.iter().map(|path| path.join("survivors.yaml")).find(|path| path.is_file());
    match args.survivors.clone().or(beside) {
        Some(path) => read_survivors(&path),
        None if args.files.is_empty() => shipped_survivors().map_err(unusable),
        None => Ok(Survivors::default()),
    }
}

fn read_survivors(path: &Path) -> Result<Survivors, CliError> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Survivors::parse(&path.display().to_string(), &text).map_err(unusable)
}

/// A bar over files on stderr; hidden where stderr is no terminal.
fn progress(files: usize) -> ProgressBar {
    let bar = ProgressBar::new(files as u64);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} files  {elapsed}");
    // The template is a constant; should it ever not parse, the plain bar does as well.
    style.map(|style| bar.clone().with_style(style)).unwrap_or(bar)
}
