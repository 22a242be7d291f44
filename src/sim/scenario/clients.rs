//! The customers' side of a scenario: client versions and their retries, workflows, cohorts.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::Span;
use crate::model::Text;

/// A version of a client program.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionSpec {
    /// Client program.
    pub client: Text,
    /// Its version.
    pub version: Text,
    /// What it does when an attempt fails with 429 or 5xx.
    pub retry: RetrySpec,
    /// Share of its logical requests on routes with `persistent_failures` that fail however often they are tried (a
    /// search nothing can satisfy, for instance).
    #[serde(default)]
    pub persistent_failure_share: f64,
}

/// What a client does when an attempt fails.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(tag = "policy", rename_all = "snake_case", deny_unknown_fields)]
pub enum RetrySpec {
    /// Gives up.
    None,
    /// Exponential back-off with full jitter, then gives up.
    Bounded {
        /// Attempts in all, the first included.
        attempts: u32,
        /// Longest wait before the second attempt; doubles each time.
        base: Span,
        /// Longest wait ever.
        cap: Span,
    },
    /// Tries again after the same wait until it works.
    Unlimited {
        /// The wait.
        delay: Span,
    },
}

/// Logical requests that a customer makes one after the other.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkflowSpec {
    /// Routes, in order. A request that fails for good ends the workflow.
    pub steps: Vec<Text>,
    /// Median pause between a response and the next request (log-normal, sigma 0.7).
    pub think_time: Span,
}

/// Rise and fall of the load over a day: `1 + amplitude × cos(2π (t − peak) / 24 h)`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DailySpec {
    /// 0 (flat) to 1 (nothing at night).
    pub amplitude: f64,
    /// Hour of the day, UTC, with the most load.
    pub peak_hour: f64,
}

/// Subscriptions that behave alike.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CohortSpec {
    /// For the reader of the file; not in the output.
    pub name: Text,
    /// How many.
    pub subscriptions: u32,
    /// Workflows that all of them together begin in a minute, on the day's average.
    pub workflows_per_minute: f64,
    /// The share of the k-th biggest is proportional to k^−zipf; 0: all alike.
    #[serde(default)]
    pub zipf: f64,
    /// Workflows that one subscription runs at a time; with all of them busy it begins nothing.
    pub concurrency: u32,
    /// Workflows a customer begins in one burst, on average (1: plain Poisson arrivals).
    #[serde(default = "one")]
    pub burst_mean: f64,
    /// Weights of the workflows, by name.
    pub workflows: BTreeMap<String, f64>,
    /// Client program.
    pub client: Text,
    /// Weights of its versions at the start, by version.
    pub versions: BTreeMap<String, f64>,
    /// Scales the client's `persistent_failure_share`: how much these customers use the feature that fails.
    #[serde(default = "one")]
    pub persistent_failure_scale: f64,
    /// Installations of other versions.
    #[serde(default)]
    pub switches: Vec<SwitchSpec>,
    /// Times with more load.
    #[serde(default)]
    pub surges: Vec<SurgeSpec>,
}

fn one() -> f64 {
    1.0
}

/// Subscriptions of a cohort install a version, one after the other, the smallest first. Whatever their old processes
/// were doing is given up.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchSpec {
    /// First one, after the start.
    pub at: Span,
    /// The last one this much later.
    pub over: Span,
    /// The version.
    pub version: Text,
}

/// A time with more load.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SurgeSpec {
    /// First moment, after the start.
    pub at: Span,
    /// How long.
    pub lasts: Span,
    /// Times the usual load.
    pub factor: f64,
}
