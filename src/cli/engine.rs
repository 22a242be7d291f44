//! `floodmark engine-clickhouse`: the child process in which the local ClickHouse engine runs.

use std::ffi::CString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use super::CliError;
use crate::local::clickhouse_engine;

/// Arguments of `engine-clickhouse`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The engine as a shared library
    #[arg(long)]
    shared_library: PathBuf,
    /// What the engine's own command line is given
    #[arg(last = true)]
    engine_args: Vec<String>,
}

/// Runs the engine until its standard input is closed. Returns only when the engine could not be entered.
pub fn run(args: &Args) -> Result<ExitCode, CliError> {
    let engine_args: Vec<CString> = args
        .engine_args
        .iter()
        .map(|argument| CString::new(argument.as_str()))
        .collect::<Result<_, _>>()
        .context("an engine argument holds a zero byte")?;
    let error = clickhouse_engine::run_until_stdin_closes(&args.shared_library, engine_args);
    Err(CliError::Failed(error.into()))
}
