//! What happens during a scenario. An effect changes what the platform is like, never what the load or the failures are.

use serde::Deserialize;

use crate::config::{ByteCount, Span};
use crate::model::Text;

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectSpec {
    /// First moment, after the start.
    pub at: Span,
    /// How long; absent: to the end.
    pub lasts: Option<Span>,
    /// What.
    pub what: EffectKind,
}

/// What an effect does. Several at a time multiply, or add where it is a growth.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EffectKind {
    /// Customers of a group make more requests.
    Surge {
        /// Its name.
        group: Text,
        /// Times the usual load.
        factor: f64,
        /// Only this route; absent: all.
        route: Option<Text>,
    },
    /// Customers of a group install a version within a time, in random order. What their old processes did is given up.
    Install {
        /// Its name.
        group: Text,
        /// The version.
        version: Text,
        /// The last one this much after the first.
        over: Span,
        /// Share of the customers.
        share: f64,
    },
    /// A service, or one of its routes, fails more.
    Fail {
        /// Its name.
        service: Text,
        /// Only this route; absent: all.
        route: Option<Text>,
        /// Share of requests.
        share: f64,
        /// Status.
        status: u16,
    },
    /// A service, or one of its routes, takes longer; each request is as much more work.
    Slow {
        /// Its name.
        service: Text,
        /// Only this route; absent: all.
        route: Option<Text>,
        /// Times the usual time.
        factor: f64,
    },
    /// Bodies of a route grow.
    Payload {
        /// Its name.
        route: Text,
        /// Times the usual bytes.
        factor: f64,
    },
    /// A service has more or less capacity.
    Capacity {
        /// Its name.
        service: Text,
        /// Times the usual capacity.
        factor: f64,
    },
    /// A cache is emptied at `at` and works with this hit ratio for as long as it lasts.
    CacheLoss {
        /// Its source.
        cache: Text,
        /// Share of lookups that hit meanwhile.
        hit_ratio: f64,
    },
    /// A route makes more calls of another: poor pagination, a rebuild, a loop.
    Calls {
        /// Caller's route.
        from: Text,
        /// Route called.
        to: Text,
        /// Times the usual number.
        factor: f64,
    },
    /// Sessions of a pool are reserved and never released.
    PoolLeak {
        /// Its source.
        pool: Text,
        /// Share of reservations.
        share: f64,
    },
    /// Sessions of a pool stay in use longer.
    PoolSlow {
        /// Its source.
        pool: Text,
        /// Times the usual time.
        factor: f64,
    },
    /// Replicas of a service leak.
    ReplicaLeak {
        /// Its name.
        service: Text,
        /// Each grows by this much an hour.
        per_hour: ByteCount,
    },
    /// Replicas of a service are replaced one after the other, without a failure.
    Deploy {
        /// Its name.
        service: Text,
    },
    /// A gauge grows beside what it does anyway.
    GaugeLeak {
        /// Its source.
        source: Text,
        /// Grows by this much an hour.
        per_hour: ByteCount,
    },
    /// A query changes with a version.
    Query {
        /// Its origin.
        origin: Text,
        /// Version from then on; absent: the same.
        version: Option<Text>,
        /// Times the usual memory.
        memory_factor: f64,
        /// Times the usual run time, rows and bytes.
        work_factor: f64,
    },
}
