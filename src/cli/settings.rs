//! What the core is told at the start, from configuration and flags.

use std::path::Path;

use super::CliError;
use crate::alert::Rules;
use crate::config::Config;
use crate::detect::Limits;
use crate::pipeline::Settings;

/// Rules from `rules_dir` (a flag), else from the configuration, else those built in; limits likewise.
///
/// # Errors
/// [`CliError::Config`] with every problem of the files.
pub fn load(config: &Config, rules_dir: Option<&Path>) -> Result<Settings, CliError> {
    let rules = match rules_dir.or(config.detect.rules_dir.as_deref()) {
        Some(directory) => Rules::load(directory),
        None => Rules::shipped(),
    }
    .map_err(|error| CliError::Config(error.to_string()))?;
    Ok(Settings { flow: config.flow.clone(), rules, limits: limits(config)? })
}

fn limits(config: &Config) -> Result<Limits, CliError> {
    let invalid = |error: &dyn std::fmt::Display| CliError::Config(error.to_string());
    match &config.detect.limits_file {
        Some(path) => {
            let origin = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|e| invalid(&format!("cannot read {origin}: {e}")))?;
            Limits::parse(&text, &origin).map_err(|e| invalid(&e))
        }
        None => Limits::shipped().map_err(|e| invalid(&e)),
    }
}
