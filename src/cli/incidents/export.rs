//! `floodmark incidents export`: customers to contact as CSV, a post-mortem draft with pictures.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::find::{FindArgs, dossier};
use crate::cli::{CliError, Globals};
use crate::drawing::svg;
use crate::postmortem::{Dossier, Files, cause_chart, customers_csv, file_stem, load_chart, markdown};

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The CSV has a row for each subscription, client and version whose requests are of the cause: requests, failures, repeats,
attempts per request, share of the harm, from when to when. Cells that a spreadsheet would take for formulas begin with an
apostrophe. Where the cause is none of customers, it lists those whose requests failed.

The draft is INCIDENT.md in the directory, with INCIDENT-load.svg, INCIDENT-cause.svg and INCIDENT-customers.csv beside it.
Pictures and figures are of what is stored around the incident; without that the draft says so.

Examples:
  floodmark incidents export latest --csv customers.csv
  floodmark incidents export 20260309T100430Z --markdown post-mortems/
  floodmark incidents export latest --from-replay said.ndjson --events storm.ndjson --markdown .")]
#[command(group = clap::ArgGroup::new("written").args(["csv", "markdown"]).required(true).multiple(true))]
pub(super) struct Args {
    #[command(flatten)]
    find: FindArgs,
    /// Write customers to contact; `-` is standard output
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Also customers that had nothing to do with the cause and whose requests failed
    #[arg(long)]
    affected: bool,
    /// Write a post-mortem draft with pictures into this directory
    #[arg(long, value_name = "DIR")]
    markdown: Option<PathBuf>,
}

/// Writes what is asked for.
pub(super) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let dossier = dossier(&args.find, globals)?;
    for note in &dossier.notes {
        eprintln!("{note}");
    }
    if let Some(path) = &args.csv {
        let text = customers_csv(&dossier, args.affected);
        if path.as_os_str() == "-" {
            std::io::stdout().lock().write_all(text.as_bytes()).context("cannot write to stdout")?;
        } else {
            write(path, &text)?;
        }
    }
    if let Some(directory) = &args.markdown {
        draft(&dossier, directory, args.affected)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn draft(dossier: &Dossier, directory: &Path, affected: bool) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let stem = file_stem(&dossier.record.incident);
    let picture = |name: &str, chart: Option<crate::drawing::Chart>| -> anyhow::Result<Option<String>> {
        let Some(chart) = chart else { return Ok(None) };
        let name = format!("{stem}-{name}.svg");
        write(&directory.join(&name), &svg(&chart))?;
        Ok(Some(name))
    };
    let customers = format!("{stem}-customers.csv");
    write(&directory.join(&customers), &customers_csv(dossier, affected))?;
    let files = Files {
        load: picture("load", load_chart(dossier))?,
        cause: picture("cause", cause_chart(dossier))?,
        customers: Some(customers),
    };
    write(&directory.join(format!("{stem}.md")), &markdown(dossier, &files))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}
