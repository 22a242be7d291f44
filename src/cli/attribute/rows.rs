//! Where the rows come from: a file, read twice and never held, or the answer of a named query.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use serde_json::Value as Json;

use crate::cli::query::held;
use crate::cli::{CliError, Globals};

/// A table with a header.
pub(super) enum Rows {
    File { path: PathBuf, header: Vec<String> },
    Held { header: Vec<String>, rows: Vec<Vec<String>> },
}

impl Rows {
    /// Reads the header of a CSV file.
    pub(super) fn of_file(path: &Path) -> Result<Self, CliError> {
        let mut reader = open(path)?;
        let header = reader.headers().with_context(|| format!("cannot read {}", path.display()))?;
        let header = header.iter().map(|name| name.trim().to_owned()).collect();
        Ok(Self::File { path: path.to_owned(), header })
    }

    /// Asks a named query.
    pub(super) fn of_query(name: &str, parameters: &[String], globals: &Globals) -> Result<Self, CliError> {
        let answer = held(name, parameters, globals)?;
        let header: Vec<String> = answer.first().map(|row| row.keys().cloned().collect()).unwrap_or_default();
        let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let rows = answer.iter().map(|row| row.values().map(text).collect()).collect();
        Ok(Self::Held { header, rows })
    }

    pub(super) fn header(&self) -> &[String] {
        match self {
            Self::File { header, .. } | Self::Held { header, .. } => header,
        }
    }

    /// Each row with its line (of an answer its number), in order, until one fails.
    pub(super) fn each(&self, mut take: impl FnMut(&[&str]) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let width = self.header().len();
        match self {
            Self::File { path, .. } => {
                let mut reader = open(path)?;
                let mut record = csv::StringRecord::new();
                let place = |line: u64| format!("{}:{line}", path.display());
                while reader.read_record(&mut record).with_context(|| format!("cannot read {}", path.display()))? {
                    let fields: Vec<&str> = record.iter().collect();
                    let line = record.position().map_or(0, csv::Position::line);
                    if fields.len() != width {
                        return Err(anyhow!("{} fields, but the header has {width}", fields.len()))
                            .context(place(line));
                    }
                    take(&fields).with_context(|| place(line))?;
                }
            }
            Self::Held { rows, .. } => {
                for (row, number) in rows.iter().zip(1_u64..) {
                    let fields: Vec<&str> = row.iter().map(String::as_str).collect();
                    take(&fields).with_context(|| format!("row {number} of the answer"))?;
                }
            }
        }
        Ok(())
    }
}

fn open(path: &Path) -> anyhow::Result<csv::Reader<std::fs::File>> {
    let file = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    Ok(csv::ReaderBuilder::new().flexible(true).from_reader(file))
}
