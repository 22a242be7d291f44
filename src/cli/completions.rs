//! `floodmark completions`: completion scripts for shells.

use std::process::ExitCode;

use clap::CommandFactory;

use super::{Cli, CliError};

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: floodmark completions bash > /etc/bash_completion.d/floodmark")]
pub struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

/// Writes the script to stdout.
pub fn run(args: &Args) -> Result<ExitCode, CliError> {
    clap_complete::generate(args.shell, &mut Cli::command(), "floodmark", &mut std::io::stdout());
    Ok(ExitCode::SUCCESS)
}
