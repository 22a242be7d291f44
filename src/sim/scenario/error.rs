//! Why a scenario cannot be used.

use crate::config::Problem;

use super::NAMES;

/// A scenario that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// No built-in scenario has this name.
    #[error("no scenario is named {0:?}; there are: {names}", names = NAMES.join(", "))]
    Unknown(String),
    /// A scenario of the platform model where one of queues is needed.
    #[error("{0:?} is a scenario of the platform model; here one of queues is needed")]
    OtherModel(String),
    /// A scenario without a truth block cannot be evaluated.
    #[error("{0:?} has no [truth]: nothing to hold its alerts against")]
    NoTruth(String),
    /// The file cannot be read.
    #[error("cannot read scenario file {path}: {source}")]
    Unreadable {
        /// As given.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, or a key that does not exist or has the wrong type.
    #[error("{origin}: {message}")]
    Syntax {
        /// Name or path.
        origin: String,
        /// The parser's message, with line and key.
        message: String,
    },
    /// Values that do not fit; every problem is listed.
    #[error("{origin}: {} problem(s)\n{}", .problems.len(), list(.problems))]
    Invalid {
        /// Name or path.
        origin: String,
        /// All of them.
        problems: Vec<Problem>,
    },
}

impl ScenarioError {
    /// The class of mistake, from a bounded set.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "unknown_scenario",
            Self::OtherModel(_) => "other_model",
            Self::NoTruth(_) => "no_truth",
            Self::Unreadable { .. } => "unreadable",
            Self::Syntax { .. } => "syntax",
            Self::Invalid { .. } => "invalid",
        }
    }
}

fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|p| format!("{}: {}", p.key, p.message)).collect();
    lines.join("\n")
}
