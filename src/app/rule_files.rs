//! Which rules, objectives and limits are in force: from the configuration's files, else those built in.

use std::path::Path;

use crate::alert::yaml::{FileProblem, read_regular};
use crate::alert::{Rules, RulesError, Slos, SlosError};
use crate::config::DetectConfig;
use crate::detect::{Limits, LimitsError};

/// Files that cannot be used: every problem of all of them, each with its file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct RuleFilesError(pub Vec<String>);

/// Rules from `rules_dir` (a flag), else from the configuration, else those built in, with a pair for each objective;
/// and the limits.
///
/// # Errors
/// Every problem of all the files.
pub fn read_rules(detect: &DetectConfig, rules_dir: Option<&Path>) -> Result<(Rules, Limits), RuleFilesError> {
    match (rules(detect, rules_dir), objectives(detect), limits(detect)) {
        (Ok(rules), Ok(slos), Ok(limits)) => match rules.with_slos(&slos) {
            Ok(rules) => Ok((rules, limits)),
            Err(error) => Err(RuleFilesError(error.0.iter().map(ToString::to_string).collect())),
        },
        (rules, slos, limits) => {
            let mut problems: Vec<FileProblem> = rules.err().map(|error| error.0).unwrap_or_default();
            problems.extend(slos.err().map(|error| error.0).unwrap_or_default());
            let mut problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            problems.extend(limits.err().map(|error| error.0).unwrap_or_default());
            Err(RuleFilesError(problems))
        }
    }
}

/// Rules from `rules_dir` (a flag), else from the configuration, else those built in.
///
/// # Errors
/// Every problem of the files.
pub fn rules(detect: &DetectConfig, rules_dir: Option<&Path>) -> Result<Rules, RulesError> {
    match rules_dir.or(detect.rules_dir.as_deref()) {
        Some(directory) => Rules::load(directory),
        None => Rules::shipped(),
    }
}

/// Objectives from the configuration's directory, else none.
///
/// # Errors
/// Every problem of the files.
pub fn objectives(detect: &DetectConfig) -> Result<Slos, SlosError> {
    detect.slos_dir.as_deref().map_or_else(|| Ok(Slos::default()), Slos::load)
}

/// Limits from the configuration's file, else those built in.
///
/// # Errors
/// Every problem of the file.
pub fn limits(detect: &DetectConfig) -> Result<Limits, LimitsError> {
    let Some(path) = &detect.limits_file else { return Limits::shipped() };
    let origin = path.display().to_string();
    let unreadable = |why: String| LimitsError(vec![format!("{origin}: {why}")]);
    let text = String::from_utf8(read_regular(path).map_err(unreadable)?);
    Limits::parse(&text.map_err(|_| unreadable("is not UTF-8".to_owned()))?, &origin)
}
