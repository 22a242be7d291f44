//! Mutants that may survive, each with the reason. A line that excuses nothing is an error: the list stays short.

use serde::{Deserialize, Serialize};

use super::file::{RuleKey, TestFileError};
use super::mutation_run::MutantOutcome;

/// A mutant that may survive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Survivor {
    /// The rule.
    pub rule: RuleKey,
    /// What is changed.
    pub key: String,
    /// To what.
    pub to: String,
    /// Why no test can or needs to notice.
    pub reason: String,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Survivors {
    /// The list.
    pub survivors: Vec<Survivor>,
}

impl Survivors {
    /// Reads the text of a file of survivors.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(name: &str, text: &str) -> Result<Self, TestFileError> {
        serde_saphyr::from_str(text).map_err(|error| TestFileError(vec![format!("{name}: {error}")]))
    }

    /// Marks the survivors that are listed, and gives the lines that excuse none.
    pub(super) fn excuse(&self, mutants: &mut [MutantOutcome]) -> Vec<Survivor> {
        let mut needless = Vec::new();
        for survivor in &self.survivors {
            let place = mutants.iter().position(|mutant| {
                let same = mutant.rule == survivor.rule && mutant.key == survivor.key && mutant.to == survivor.to;
                same && mutant.noticed_by.is_none()
            });
            // The excuses of rules that were not mutated in this run are nobody's business.
            let is_of_this_run = mutants.iter().any(|mutant| mutant.rule == survivor.rule);
            match place {
                Some(place) => mutants[place].excused = Some(survivor.reason.clone()),
                None if is_of_this_run => needless.push(survivor.clone()),
                None => {}
            }
        }
        needless
    }
}
