//! What the core is told at the start, from configuration and flags.

use std::path::Path;

use super::CliError;
use crate::app;
use crate::config::Config;
use crate::pipeline::Settings;

/// Rules from `rules_dir` (a flag), else from the configuration, else those built in; limits likewise.
///
/// # Errors
/// [`CliError::Config`] with every problem of the files.
pub fn load(config: &Config, rules_dir: Option<&Path>) -> Result<Settings, CliError> {
    let (rules, limits) =
        app::read_rules(&config.detect, rules_dir).map_err(|error| CliError::Config(error.to_string()))?;
    Ok(Settings { flow: config.flow.clone(), rules, limits })
}
