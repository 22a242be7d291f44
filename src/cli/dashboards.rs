//! `floodmark dashboards`: Grafana's files.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::CliError;
use crate::dashboards;

/// Arguments of `dashboards`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: floodmark dashboards export /etc/grafana/dashboards/floodmark")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write the dashboards as JSON files into a folder, one each, over those of the same name
    #[command(after_help = "Example: floodmark dashboards export /etc/grafana/dashboards/floodmark")]
    Export {
        /// The folder; it is made when it is not there
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// The folder cannot be made or written to.
pub fn run(args: &Args) -> Result<ExitCode, CliError> {
    let Command::Export { directory } = &args.command;
    write(directory)?;
    Ok(ExitCode::SUCCESS)
}

fn write(directory: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    for file in dashboards::export()? {
        let path = directory.join(&file.name);
        std::fs::write(&path, &file.json).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}
