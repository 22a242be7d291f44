//! A scenario file of either model: what the command line, `check` and `evaluate` work with.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{AmplitudeSpec, Scenario, ScenarioError, TruthSpec, embedded};
use crate::config::{Problem, Span};
use crate::model::{Event, Text, Timestamp};
use crate::sim::platform_model::{PlatformScenario, PlatformSimulation};
use crate::sim::simulation::Simulation;

/// A scenario, by the model that runs it.
#[derive(Debug, Clone, PartialEq)]
pub enum ScenarioFile {
    /// Single requests in queues: exact, for one service and its store.
    Queues(Box<Scenario>),
    /// A whole platform in steps of a second: services that call each other, caches, pools, networks, queries.
    Platform(Box<PlatformScenario>),
}

/// What says which model a file is for.
#[derive(Deserialize)]
struct Head {
    model: Option<toml::Value>,
}

impl ScenarioFile {
    /// Reads and checks the text of a scenario file; `origin` names it in errors.
    ///
    /// # Errors
    /// [`ScenarioError::Syntax`] with line and key, or [`ScenarioError::Invalid`] with all problems at once.
    pub fn parse(text: &str, origin: &str) -> Result<Self, ScenarioError> {
        let head: Head = from_text(text, origin)?;
        let scenario = if head.model.is_some() {
            Self::Platform(Box::new(from_text(text, origin)?))
        } else {
            Self::Queues(Box::new(from_text(text, origin)?))
        };
        scenario.checked(origin)
    }

    /// The same with the values of another amplitude; `None`: as it stands.
    ///
    /// # Errors
    /// As [`ScenarioFile::parse`]; [`ScenarioError::Invalid`] too when the file has no such amplitude.
    pub fn parse_at(text: &str, origin: &str, amplitude: Option<f64>) -> Result<Self, ScenarioError> {
        let scenario = Self::parse(text, origin)?;
        let Some(amplitude) = amplitude else { return Ok(scenario) };
        let invalid = |problems| ScenarioError::Invalid { origin: origin.to_owned(), problems };
        let Some(spec) = scenario.amplitude() else {
            let message = "this scenario has one amplitude only".to_owned();
            return Err(invalid(vec![Problem { key: "amplitude".to_owned(), message }]));
        };
        let mut table: toml::Table = from_text(text, origin)?;
        spec.apply(amplitude, &mut table).map_err(invalid)?;
        let syntax = |e: toml::de::Error| ScenarioError::Syntax { origin: origin.to_owned(), message: e.to_string() };
        let changed = match scenario {
            Self::Queues(_) => Self::Queues(Box::new(table.try_into().map_err(syntax)?)),
            Self::Platform(_) => Self::Platform(Box::new(table.try_into().map_err(syntax)?)),
        };
        changed.checked(origin)
    }

    /// A built-in scenario by its name, or one from a file: what contains a path separator or ends in `.toml` is a path.
    ///
    /// # Errors
    /// See [`ScenarioError`].
    pub fn load(name_or_path: &str, amplitude: Option<f64>) -> Result<Self, ScenarioError> {
        let is_path = name_or_path.contains(std::path::MAIN_SEPARATOR)
            || Path::new(name_or_path).extension().is_some_and(|extension| extension == "toml");
        if is_path {
            let text = std::fs::read_to_string(name_or_path)
                .map_err(|source| ScenarioError::Unreadable { path: name_or_path.to_owned(), source })?;
            return Self::parse_at(&text, name_or_path, amplitude);
        }
        let text = embedded(name_or_path).ok_or_else(|| ScenarioError::Unknown(name_or_path.to_owned()))?;
        Self::parse_at(text, name_or_path, amplitude)
    }

    /// The truth is checked here alone: a scenario that is run for less time than it has is still one.
    fn checked(self, origin: &str) -> Result<Self, ScenarioError> {
        let checked = match &self {
            Self::Queues(scenario) => scenario.validate(),
            Self::Platform(scenario) => scenario.validate(),
        };
        let mut problems = checked.err().unwrap_or_default();
        problems.extend(self.truth().map(|truth| truth.problems(self.duration())).unwrap_or_default());
        if problems.is_empty() {
            return Ok(self);
        }
        Err(ScenarioError::Invalid { origin: origin.to_owned(), problems })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Queues(scenario) => &scenario.name,
            Self::Platform(scenario) => &scenario.name,
        }
    }

    /// One line about it.
    #[must_use]
    pub fn title(&self) -> &str {
        match self {
            Self::Queues(scenario) => &scenario.title,
            Self::Platform(scenario) => &scenario.title,
        }
    }

    /// Event time at which output begins.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        match self {
            Self::Queues(scenario) => scenario.start,
            Self::Platform(scenario) => scenario.start,
        }
    }

    /// How much event time is written.
    #[must_use]
    pub fn duration(&self) -> Span {
        match self {
            Self::Queues(scenario) => scenario.duration,
            Self::Platform(scenario) => scenario.duration,
        }
    }

    /// Writes less, or more.
    pub fn set_duration(&mut self, duration: Span) {
        match self {
            Self::Queues(scenario) => scenario.duration = duration,
            Self::Platform(scenario) => scenario.duration = duration,
        }
    }

    /// Seed when none is named.
    #[must_use]
    pub fn seed(&self) -> u64 {
        match self {
            Self::Queues(scenario) => scenario.seed,
            Self::Platform(scenario) => scenario.seed,
        }
    }

    /// What is true about it.
    #[must_use]
    pub fn truth(&self) -> Option<&TruthSpec> {
        match self {
            Self::Queues(scenario) => scenario.truth.as_ref(),
            Self::Platform(scenario) => scenario.truth.as_ref(),
        }
    }

    /// Its amplitudes, if it has several.
    #[must_use]
    pub fn amplitude(&self) -> Option<&AmplitudeSpec> {
        match self {
            Self::Queues(scenario) => scenario.amplitude.as_ref(),
            Self::Platform(scenario) => scenario.amplitude.as_ref(),
        }
    }

    /// How many customers it has.
    #[must_use]
    pub fn subscriptions(&self) -> u64 {
        match self {
            Self::Queues(scenario) => scenario.cohorts.iter().map(|cohort| u64::from(cohort.subscriptions)).sum(),
            Self::Platform(scenario) => scenario.groups.iter().map(|group| u64::from(group.subscriptions)).sum(),
        }
    }

    /// Source of the store whose memory `simulate --describe` shows.
    #[must_use]
    pub fn store_source(&self) -> Option<Text> {
        match self {
            Self::Queues(scenario) => scenario.store.as_ref().map(|store| store.source.clone()),
            Self::Platform(scenario) => scenario.stores.first().map(|store| store.source.clone()),
        }
    }

    /// Its events, in order.
    ///
    /// # Errors
    /// [`ScenarioError::Invalid`] when it was changed into one that is not valid.
    pub fn events(&self, seed: u64) -> Result<Box<dyn Iterator<Item = Event> + Send>, ScenarioError> {
        Ok(match self {
            Self::Queues(scenario) => Box::new(Simulation::new(scenario, seed)?),
            Self::Platform(scenario) => Box::new(PlatformSimulation::new(scenario, seed)?),
        })
    }
}

fn from_text<T: DeserializeOwned>(text: &str, origin: &str) -> Result<T, ScenarioError> {
    toml::from_str(text)
        .map_err(|e| ScenarioError::Syntax { origin: origin.to_owned(), message: e.to_string().trim_end().to_owned() })
}
