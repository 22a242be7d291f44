//! `floodmark status export`: the page, its feeds and badges as static files, for any web host or bucket.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use crate::app::status::read_board;
use crate::cli::{CliError, Globals};
use crate::clock;
use crate::public_site::write_site;
use crate::status::render::public_files;

/// Arguments of `status export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: floodmark status export /var/www/status --config floodmark.toml

The directory changes as a whole: readers find all of the old or all of the new. One that is not empty and was not written \
by this command is refused. The service does the same by itself into `status.export_dir`.")]
pub struct Args {
    /// The directory; it is made when it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// The configuration cannot be used, there is no board, or the directory cannot be written.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let config = globals.load_config()?;
    let files = public_files(&read_board(&config, clock::now())?);
    write_site(&args.directory, &files).context("cannot export the status page")?;
    println!("{}", args.directory.join("index.html").display());
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        globals: Globals,
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn nothing_is_written_before_anything_is_known() {
        let parent = tempfile::tempdir().unwrap();
        let (config, directory) = (parent.path().join("floodmark.toml"), parent.path().join("public"));
        let words = ["export".as_ref(), "--config".as_ref(), config.as_os_str(), directory.as_os_str()];
        let line = Line::try_parse_from(words).unwrap();
        for (text, why) in [("", "no [status] section"), ("[status]\nstate_dir = '/nowhere'\n", "holds nothing yet")] {
            std::fs::write(&config, text).unwrap();
            let refused = run(&line.args, &line.globals).unwrap_err().to_string();
            assert!(refused.contains(why) && !directory.exists(), "{refused}");
        }
    }
}
