//! `floodmark alerts test`: rules held to their tests, and the tests to broken rules.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use super::test_report;
use crate::alert::Rules;
use crate::app;
use crate::cli::output::put;
use crate::cli::{CliError, Globals, settings};
use crate::config::{Config, FlowConfig};
use crate::detect::Limits;
use crate::pipeline::Settings;
use crate::rule_tests::{
    self, FileOutcome, RuleKey, Survivors, TestFile, TestFileError, shipped_survivors, shipped_tests,
};

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
    let (tested, files) = if args.files.is_empty() {
        for_shipped_tests(&config, args)?
    } else {
        (settings::load(&config, args.rules.as_deref())?, TestFile::load(&args.files).map_err(unusable)?)
    };
    let untested = untested(&config, args, &tested.rules, &files)?;
    let progress = progress(files.len());
    let (text, passed) = if args.mutate {
        let survivors = survivors(args)?;
        let mut report = rule_tests::mutate(&tested, &files, &survivors, &mut || progress.inc(1));
        report.untested = untested;
        (test_report::mutation(&report, args.output), report.passed())
    } else {
        let outcomes = rule_tests::run(&tested, &files, &mut |_| progress.inc(1));
        let passed = !outcomes.is_empty() && outcomes.iter().all(FileOutcome::passed);
        (test_report::tests(&outcomes, &untested, args.output), passed)
    };
    progress.finish_and_clear();
    put(&text)?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The shipped tests know the shipped limits and windows, and nothing of objectives.
fn for_shipped_tests(config: &Config, args: &Args) -> Result<(Settings, Vec<TestFile>), CliError> {
    let rules = own_or_shipped_rules(config, args)?;
    let limits = Limits::shipped().map_err(|error| CliError::Config(error.to_string()))?;
    let mut files = shipped_tests().map_err(unusable)?;
    // Rules of one's own need not be those that the shipped tests are for.
    files.retain(|file| rule_tests::has_rule(&rules, file));
    Ok((Settings { flow: FlowConfig::default(), rules, limits }, files))
}

fn own_or_shipped_rules(config: &Config, args: &Args) -> Result<Rules, CliError> {
    app::rules(&config.detect, args.rules.as_deref()).map_err(|error| CliError::Config(error.to_string()))
}

/// Rules of one's own that no file tests. A file by itself is a look at its rule, and says nothing of the others.
fn untested(config: &Config, args: &Args, rules: &Rules, files: &[TestFile]) -> Result<Vec<RuleKey>, CliError> {
    if !args.files.is_empty() && !args.files.iter().any(|path| path.is_dir()) {
        return Ok(Vec::new());
    }
    let mut untested = rule_tests::untested(rules, files);
    if args.rules.is_none() && config.detect.rules_dir.is_none() {
        let shipped: Vec<RuleKey> = own_or_shipped_rules(config, args)?.rules.iter().map(RuleKey::of).collect();
        untested.retain(|rule| !shipped.contains(rule));
    }
    Ok(untested)
}

fn unusable(error: TestFileError) -> CliError {
    CliError::Config(error.to_string())
}

/// The named file, else one beside the tests, else those of the shipped tests.
fn survivors(args: &Args) -> Result<Survivors, CliError> {
    let directory = |path: &PathBuf| if path.is_dir() { Some(path.clone()) } else { Some(path.parent()?.to_owned()) };
    let beside = |path| directory(path).map(|directory| directory.join("survivors.yaml"));
    let beside = args.files.iter().filter_map(beside).find(|path| path.is_file());
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
