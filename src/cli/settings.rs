//! What the core is told at the start, from configuration and flags.

use std::path::Path;

use super::CliError;
use crate::alert::{Rules, RulesError};
use crate::config::{Config, DetectConfig};
use crate::detect::{Limits, LimitsError};
use crate::pipeline::Settings;

/// Rules from `rules_dir` (a flag), else from the configuration, else those built in; limits likewise.
///
/// # Errors
/// [`CliError::Config`] with every problem of the files.
pub fn load(config: &Config, rules_dir: Option<&Path>) -> Result<Settings, CliError> {
    match (rules(rules_dir, &config.detect), limits(&config.detect)) {
        (Ok(rules), Ok(limits)) => Ok(Settings { flow: config.flow.clone(), rules, limits }),
        (rules, limits) => {
            let mut problems = rules.map_or_else(|error| error.0, |_| Vec::new());
            problems.extend(limits.map_or_else(|error| error.0, |_| Vec::new()));
            Err(CliError::Config(problems.join("\n")))
        }
    }
}

/// Rules from `rules_dir` (a flag), else from the configuration, else those built in.
///
/// # Errors
/// Every problem of the files.
pub fn rules(rules_dir: Option<&Path>, detect: &DetectConfig) -> Result<Rules, RulesError> {
    match rules_dir.or(detect.rules_dir.as_deref()) {
        Some(directory) => Rules::load(directory),
        None => Rules::shipped(),
    }
}

/// Limits from the configuration's file, else those built in.
///
/// # Errors
/// Every problem of the file.
pub fn limits(detect: &DetectConfig) -> Result<Limits, LimitsError> {
    let Some(path) = &detect.limits_file else { return Limits::shipped() };
    let origin = path.display().to_string();
    let unreadable = |error: std::io::Error| LimitsError(vec![format!("{origin}: {error}")]);
    Limits::parse(&std::fs::read_to_string(path).map_err(unreadable)?, &origin)
}
