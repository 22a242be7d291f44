//! `floodmark check`: everything a start would trip over, all at once.

mod online;
mod probes;
mod subjects;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::output::{OutputArgs, OutputFormat, table};
use super::{CliError, Globals, environment};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Checks the configuration, the rules, the objectives, the limits, the scenarios and the schema's SQL, and reports every problem of all of
them. With --online, Kafka (do the topics exist?) and ClickHouse (does it answer?) too, for at most 10 seconds, and one
look at the target of every probe: what it tells is shown. Nothing is changed.

Exit code: 0 all is well, 78 a file cannot be used, 1 only an engine is at fault.

Examples:
  floodmark check --config floodmark.toml
  floodmark check --config floodmark.toml --online
  floodmark check --rules my-rules/ my-scenario.toml --output json")]
pub struct Args {
    /// Scenario files to check besides the built-in ones
    #[arg(value_name = "FILE")]
    scenarios: Vec<String>,
    /// Directory of rule files (*.yaml) instead of the configuration's or those built in
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Also ask the engines
    #[arg(long)]
    online: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Subject {
    Configuration,
    Rules,
    Objectives,
    Limits,
    Scenarios,
    Schema,
    Http,
    Receivers,
    Guard,
    Kafka,
    ClickHouse,
    Probe,
}

impl Subject {
    fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Rules => "rules",
            Self::Objectives => "objectives",
            Self::Limits => "limits",
            Self::Scenarios => "scenarios",
            Self::Schema => "schema",
            Self::Http => "http",
            Self::Receivers => "receivers",
            Self::Guard => "guard",
            Self::Kafka => "kafka",
            Self::ClickHouse => "clickhouse",
            Self::Probe => "probe",
        }
    }

    /// Whether an engine was asked, so that a problem need not be one of files.
    fn is_engine(self) -> bool {
        matches!(self, Self::Kafka | Self::ClickHouse | Self::Probe)
    }
}

/// What a check came to, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// What was found to be well.
    Well(String),
    /// All that is wrong, each with file or key.
    Problems(Vec<String>),
    /// Why there is nothing to check.
    Skipped(String),
}

impl Outcome {
    fn problems(&self) -> usize {
        if let Self::Problems(problems) = self { problems.len() } else { 0 }
    }
}

/// One line of the report.
#[derive(Debug, serde::Serialize)]
struct Line {
    subject: Subject,
    result: &'static str,
    details: Vec<String>,
}

impl Line {
    fn new(subject: Subject, outcome: Outcome) -> Self {
        let (result, details) = match outcome {
            Outcome::Well(detail) => ("ok", vec![detail]),
            Outcome::Problems(problems) => ("problem", problems),
            Outcome::Skipped(why) => ("skipped", vec![why]),
        };
        Self { subject, result, details }
    }
}

/// Runs the command.
///
/// # Errors
/// [`CliError::Config`] when a file cannot be used, [`CliError::Failed`] when only an engine is at fault.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let configuration = subjects::configuration(globals.config.as_deref(), &environment());
    let detect = configuration.detect.as_ref();
    let mut findings = vec![
        (Subject::Configuration, configuration.outcome),
        (Subject::Rules, subjects::rules(args.rules.as_deref(), detect)),
        (Subject::Limits, subjects::limits(detect)),
        (Subject::Scenarios, subjects::scenarios(&args.scenarios)),
        (Subject::Schema, subjects::schema()),
        (Subject::Http, subjects::http(configuration.usable.as_ref())),
        (Subject::Receivers, subjects::receivers(configuration.usable.as_ref())),
    ];
    findings.extend(subjects::objectives(detect).map(|outcome| (Subject::Objectives, outcome)));
    if let Some(policy) = configuration.usable.as_ref().and_then(|config| config.guard.policy.as_deref()) {
        findings.push((Subject::Guard, subjects::guard(policy)));
    }
    if args.online {
        findings.extend(online::ask(configuration.usable.as_ref()));
    }
    let count = |engines: bool| -> usize {
        let kind = findings.iter().filter(|(subject, _)| subject.is_engine() == engines);
        kind.map(|(_, outcome)| outcome.problems()).sum()
    };
    let (of_files, of_engines) = (count(false), count(true));
    print(findings, args.output.output)?;
    match (of_files, of_engines) {
        (0, 0) => Ok(ExitCode::SUCCESS),
        (0, problems) => Err(anyhow::anyhow!("{}", problems_in_words(problems)).into()),
        (problems, more) => Err(CliError::Config(problems_in_words(problems + more))),
    }
}

fn problems_in_words(count: usize) -> String {
    format!("{count} problem{} found", if count == 1 { "" } else { "s" })
}

fn print(findings: Vec<(Subject, Outcome)>, format: OutputFormat) -> anyhow::Result<()> {
    let lines: Vec<Line> = findings.into_iter().map(|(subject, outcome)| Line::new(subject, outcome)).collect();
    let text = match format {
        OutputFormat::Json => serde_json::to_string_pretty(&serde_json::json!({ "checks": lines }))?,
        OutputFormat::Table => {
            let mut table = table(["subject", "result", "details"]);
            for line in &lines {
                table.add_row([line.subject.as_str(), line.result, &line.details.join("\n")]);
            }
            table.trim_fmt()
        }
    };
    writeln!(std::io::stdout(), "{text}").context("cannot write to stdout")
}
