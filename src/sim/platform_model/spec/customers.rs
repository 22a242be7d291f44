//! The customers' side: groups of subscriptions, and how the load changes over day and week.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::Span;
use crate::model::Text;
use crate::sim::scenario::DailySpec;

/// How the load changes over day and week.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoadSpec {
    /// Rise and fall over a day; absent: flat.
    pub daily: Option<DailySpec>,
    /// Times the usual load on Saturdays and Sundays (UTC).
    pub weekend_factor: f64,
}

impl Default for LoadSpec {
    fn default() -> Self {
        Self { daily: None, weekend_factor: 1.0 }
    }
}

/// Subscriptions that behave alike.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// Subscriptions are `NAME-1`, `NAME-2` ….
    pub name: Text,
    /// How many.
    pub subscriptions: u32,
    /// Logical requests of all of them together in a minute, on the week's average day.
    pub requests_per_minute: f64,
    /// The share of the k-th biggest is proportional to k^−zipf; 0: all alike.
    #[serde(default)]
    pub zipf: f64,
    /// Variance over mean of the requests in a span much longer than `batch_spread`. Real arrivals have 13 in a second,
    /// 72 in ten and 164 in a minute (Azure LLM inference trace, 2023).
    #[serde(default = "one")]
    pub fano: f64,
    /// A customer's requests come in batches; those of one batch begin within this time.
    #[serde(default = "half_minute")]
    pub batch_spread: Span,
    /// Logical requests that one subscription has under way; further ones are not begun.
    #[serde(default = "concurrency_usual")]
    pub concurrency: u32,
    /// Weights of routes, by name.
    pub routes: BTreeMap<String, f64>,
    /// Client program; must be one of `versions`.
    pub client: Text,
    /// Weights of its versions at the start, by version.
    pub versions: BTreeMap<String, f64>,
    /// Their clocks are ahead by this many seconds (behind, when negative), and their records carry their time.
    #[serde(default)]
    pub clock_ahead_seconds: f64,
}

fn one() -> f64 {
    1.0
}

fn half_minute() -> Span {
    Span::from_secs(30)
}

fn concurrency_usual() -> u32 {
    1_000
}
