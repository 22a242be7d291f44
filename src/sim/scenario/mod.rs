//! Scenario files: what a simulated platform and its customers are like.

mod amplitude;
mod clients;
mod error;
mod file;
mod platform;
mod registry;
mod truth;
mod validate;

pub use amplitude::{AmplitudeLevel, AmplitudeSpec};
pub use clients::{CohortSpec, DailySpec, RetrySpec, SurgeSpec, SwitchSpec, VersionSpec, WorkflowSpec};
pub use error::ScenarioError;
pub use file::ScenarioFile;
pub use platform::{AgentSpec, ContainerMemorySpec, RateLimitSpec, RouteSpec, ServiceSpec, ServiceTimeSpec, StoreSpec};
pub use registry::{NAMES, embedded};
pub use truth::{AllowedAlert, ExpectedAlert, TruthSpec};
pub(in crate::sim) use validate::{DURATION_MAX, LIFE_MAX};

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::Span;
use crate::model::{ChangeKind, Text, Timestamp};

/// A scenario file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Name on the command line; the file's stem for those built in.
    pub name: String,
    /// One line for `simulate --list`.
    pub title: String,
    /// Event time at which output begins.
    pub start: Timestamp,
    /// How much event time is written.
    pub duration: Span,
    /// Simulated before `start` without output, so that queues, keys and connections are not cold at the start.
    pub warm_up: Span,
    /// Seed when the command line names none.
    pub seed: u64,
    /// How often gauges and counters are read.
    pub signals_interval: Span,
    /// Region of every request; absent by default.
    pub region: Option<Text>,
    /// What is true about it, for `floodmark evaluate`.
    pub truth: Option<TruthSpec>,
    /// Values that `--amplitude` changes.
    pub amplitude: Option<AmplitudeSpec>,
    /// Which optional fields the gateway logs.
    #[serde(default)]
    pub log: LogSpec,
    /// Releases and deploys; they may lie before the start.
    #[serde(default)]
    pub changes: Vec<ChangeSpec>,
    /// Services behind the gateway.
    pub services: Vec<ServiceSpec>,
    /// Operations customers call.
    pub routes: Vec<RouteSpec>,
    /// Store of sessions and keys (Redis); absent: routes leave nothing behind.
    pub store: Option<StoreSpec>,
    /// Processes beside the platform whose memory has nothing to do with its load.
    #[serde(default)]
    pub agents: Vec<AgentSpec>,
    /// A limit at the gateway.
    pub rate_limit: Option<RateLimitSpec>,
    /// Sequences of requests that customers run, by name.
    pub workflows: BTreeMap<String, WorkflowSpec>,
    /// Client programs and their versions.
    pub versions: Vec<VersionSpec>,
    /// Rise and fall of the load over a day; absent: flat.
    pub daily: Option<DailySpec>,
    /// Groups of subscriptions that behave alike.
    pub cohorts: Vec<CohortSpec>,
}

/// Which optional fields the gateway logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSpec {
    /// `attempt`, from 1.
    pub attempt: bool,
    /// `request_key`, the same for all attempts of one logical request.
    pub request_key: bool,
}

impl Default for LogSpec {
    fn default() -> Self {
        Self { attempt: true, request_key: true }
    }
}

/// A release, deploy, configuration or flag change, as a record only: it changes nothing by itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeSpec {
    /// When.
    pub at: Timestamp,
    /// What kind.
    pub kind: ChangeKind,
    /// Service, or client name.
    pub service: Text,
    /// New version.
    pub version: Option<Text>,
    /// One line for people.
    pub title: Option<Text>,
}

impl Scenario {
    /// A built-in scenario of this model by its name, or one from a file.
    ///
    /// # Errors
    /// See [`ScenarioError`]; [`ScenarioError::OtherModel`] for one of the platform model.
    pub fn load(name_or_path: &str) -> Result<Self, ScenarioError> {
        match ScenarioFile::load(name_or_path, None)? {
            ScenarioFile::Queues(scenario) => Ok(*scenario),
            ScenarioFile::Platform(scenario) => Err(ScenarioError::OtherModel(scenario.name)),
        }
    }

    /// Event time at which output ends.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.start.plus(self.duration.as_millis())
    }
}
