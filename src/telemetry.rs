//! Logging: to stderr, as text for people on a terminal and as JSON for machines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// What is logged when nobody says otherwise.
const DEFAULT_FILTER: &str = "info";
/// What is logged while a live view has the terminal: only what the view cannot show.
const QUIET_FILTER: &str = "error";

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// Text when stderr is a terminal, else JSON
    #[default]
    Auto,
    /// A line of text each
    Text,
    /// A JSON object each
    Json,
}

/// Options of logging, to be flattened into a command's arguments.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct LogArgs {
    /// What to log, e.g. `debug` or `info,floodmark::store=trace`
    #[arg(long = "log", global = true, env = "RUST_LOG", value_name = "FILTER")]
    pub filter: Option<String>,
    /// Form of log lines on stderr
    #[arg(long, global = true, value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// Logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is none.
    #[error("--log {filter}: {source}")]
    Filter {
        /// As given.
        filter: String,
        /// Why.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logging was started before.
    #[error("logging was started twice")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logging for the process. `quiet` raises the default level for commands that draw on the terminal; a filter
/// given by the user always wins.
///
/// # Errors
/// A filter that cannot be read, or a second start.
pub fn init(args: &LogArgs, quiet: bool) -> Result<(), TelemetryError> {
    use tracing_subscriber::util::SubscriberInitExt;
    let filter = filter(args.filter.as_deref(), quiet)?;
    let terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json(args.log_format, terminal) {
        builder.json().flatten_event(true).with_current_span(false).finish().try_init()?;
    } else {
        builder.with_ansi(terminal && !no_color(std::env::var_os("NO_COLOR").as_deref())).finish().try_init()?;
    }
    Ok(())
}

/// Whether `NO_COLOR` (<https://no-color.org>) asks for plain text: set, and not empty.
#[must_use]
pub fn no_color(variable: Option<&std::ffi::OsStr>) -> bool {
    variable.is_some_and(|value| !value.is_empty())
}

fn json(format: LogFormat, terminal: bool) -> bool {
    match format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    }
}

fn filter(given: Option<&str>, quiet: bool) -> Result<EnvFilter, TelemetryError> {
    let default = if quiet { QUIET_FILTER } else { DEFAULT_FILTER };
    let text = given.map(str::trim).filter(|text| !text.is_empty()).unwrap_or(default);
    EnvFilter::builder().parse(text).map_err(|source| TelemetryError::Filter { filter: text.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_filter_wins_over_quiet() {
        assert_eq!(filter(None, false).unwrap().to_string(), "info");
        assert_eq!(filter(Some(" "), true).unwrap().to_string(), "error");
        assert_eq!(filter(Some("floodmark=debug"), true).unwrap().to_string(), "floodmark=debug");
    }

    #[test]
    fn a_bad_filter_is_an_error_that_shows_it() {
        let error = filter(Some("floodmark=loud"), false).unwrap_err().to_string();
        assert!(error.contains("floodmark=loud"), "{error}");
    }

    #[test]
    fn machines_get_json_unless_told_otherwise() {
        assert!(json(LogFormat::Auto, false) && !json(LogFormat::Auto, true));
        assert!(json(LogFormat::Json, true) && !json(LogFormat::Text, false));
        assert!(no_color(Some("1".as_ref())) && !no_color(Some("".as_ref())) && !no_color(None));
    }
}
