//! How commands reach the service: who asks, words from the command line, a file or standard input.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::alerts::client::{ServiceArgs, print_json, text};
use crate::cli::output::{OutputArgs, OutputFormat};
use crate::cli::{CliError, Globals};
use crate::clock;
use crate::model::Timestamp;
use crate::status::ComponentState;

/// Longest text that is read: the service refuses far shorter ones.
const TEXT_BYTES_MAX: u64 = 64 * 1024;

/// Who asks, and where.
#[derive(Debug, clap::Args)]
pub struct AskArgs {
    /// Who asks; a token's name comes first. Never public
    #[arg(long, env = "USER")]
    author: Option<String>,
    /// The same key with the same command is done once: for scripts that try again
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl AskArgs {
    /// Sends a command. The id of what it is about goes to stdout, what was done to stderr.
    pub fn send(&self, globals: &Globals, command: Value, done: &str) -> Result<ExitCode, CliError> {
        let absent_fields_away = |(name, value): (String, Value)| (!value.is_null()).then_some((name, value));
        let command = match command {
            Value::Object(fields) => fields.into_iter().filter_map(absent_fields_away).collect(),
            other => other,
        };
        let body = json!({"command": command, "author": self.author, "idempotency_key": self.idempotency_key});
        let answer = self.service.ask(globals, Method::POST, "/api/v1/status/commands", Some(&body))?;
        if self.output.output == OutputFormat::Json {
            print_json(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        println!("{}", text(&answer, "id"));
        let before = if answer["repeated"] == true { " before" } else { "" };
        eprintln!("{done}{before}");
        Ok(ExitCode::SUCCESS)
    }
}

/// What there is.
pub fn view(service: &ServiceArgs, globals: &Globals) -> Result<Value, CliError> {
    service.ask(globals, Method::GET, "/api/v1/status", None)
}

/// Words that there must be.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct BodyArgs {
    /// What users see: plain text, a blank line ends a paragraph
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,
    /// File with the text; - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Words that there may be.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub struct BodyOrNoneArgs {
    /// What users see, in place of what is proposed: plain text, a blank line ends a paragraph
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,
    /// File with the text; - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl BodyArgs {
    pub fn text(&self) -> Result<Option<String>, CliError> {
        read(self.body.as_deref(), self.file.as_deref())
    }
}

impl BodyOrNoneArgs {
    pub fn text(&self) -> Result<Option<String>, CliError> {
        read(self.body.as_deref(), self.file.as_deref())
    }
}

fn read(body: Option<&str>, file: Option<&Path>) -> Result<Option<String>, CliError> {
    let Some(file) = file else { return Ok(body.map(str::to_owned)) };
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(TEXT_BYTES_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(TEXT_BYTES_MAX).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Some(text))
}

/// Where an incident stands, as long as it is told of.
pub fn statuses() -> PossibleValuesParser {
    PossibleValuesParser::new(["investigating", "identified", "monitoring", "resolved"])
}

/// How a component is.
pub fn states() -> PossibleValuesParser {
    PossibleValuesParser::new(ComponentState::ALL.map(ComponentState::as_str))
}

/// A time in RFC 3339, or how long from now.
pub fn moment_ahead(text: &str) -> Result<Timestamp, String> {
    if let Ok(ahead) = humantime::parse_duration(text) {
        return Ok(clock::now().plus(i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX)));
    }
    let wrong = || format!("\"{text}\" is neither a time (2026-12-01T02:00:00Z) nor a span from now (2h)");
    Timestamp::parse_rfc3339(text).map_err(|_| wrong())
}
