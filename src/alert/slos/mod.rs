//! Service level objectives in OpenSLO v1, which become burn-rate rules.

mod check;
mod file;
mod rules;
mod unsupported;

use std::path::Path;

use crate::alert::yaml::{self, FileProblem};
use crate::detect::ObjectiveSelector;
use check::Collector;

/// All objectives, in the order of the files' names.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Slos {
    /// The objectives.
    pub slos: Vec<Slo>,
}

/// One objective.
#[derive(Debug, Clone, PartialEq)]
pub struct Slo {
    /// The file it is from.
    pub file: String,
    /// Line and column of its name there.
    pub at: (u64, u64),
    /// Its title for people: the display name, else the name.
    pub title: String,
    /// Share of requests that must be good over 30 days.
    pub target: f64,
    /// What it is about, and its name.
    pub select: ObjectiveSelector,
}

/// Objectives that cannot be used: every problem, with file and place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", yaml::lines(.0))]
pub struct SlosError(pub Vec<FileProblem>);

impl Slos {
    /// The JSON Schema of a file.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(file::SloFile).to_value()
    }

    /// Reads every `*.yaml` and `*.yml` file of a directory, an objective each. There may be none.
    ///
    /// # Errors
    /// Unreadable, or problems in any of them, all together.
    pub fn load(directory: &Path) -> Result<Self, SlosError> {
        let files = yaml::read_directory(directory).map_err(SlosError)?;
        Self::parse_all(&files.texts, files.unreadable)
    }

    /// Reads objectives given as (name of the file, text).
    ///
    /// # Errors
    /// Problems in any of them, all together, each with the file's name.
    pub fn parse(files: &[(String, String)]) -> Result<Self, SlosError> {
        Self::parse_all(files, Vec::new())
    }

    fn parse_all(files: &[(String, String)], problems: Vec<FileProblem>) -> Result<Self, SlosError> {
        let schema = Self::schema();
        let mut collector = Collector::default();
        collector.problems = problems;
        for (name, text) in files {
            collector.file(name, text, &schema);
        }
        let Collector { slos, problems, .. } = collector;
        if problems.is_empty() { Ok(Self { slos }) } else { Err(SlosError(problems)) }
    }
}
